"""What one asks of plans that stand: another pack length, how two differ."""

import json

import pytest
from conftest import Workshop
from tokenizers import Tokenizer, models, pre_tokenizers
from typer.testing import CliRunner

from curate import cli, plans
from curate.errors import ConfigError, ShardError
from curate.export_job import Export
from curate.exporting import export_last
from curate.packs import Packs
from curate.plugins import Project
from curate.views import open_root


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.captions(count=12, shard_rows=4)
    made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(workshop.folder / "tokenizer.json"))
    workshop.write("jobs/mine.yaml", "from: tiny\n")
    mixed(workshop, "a: {from: mine}", 2000)
    return workshop


def mixed(shop: Workshop, parts: str, length: int) -> str:
    tokens = f"tokens: {{tokenizer: {shop.folder}/tokenizer.json, max: 700}}\n"
    shop.write("jobs/mixed.yaml", f"mix: {{{parts}}}\n{tokens}pack: {{length: {length}}}\n")
    return shop.run("mixed").jobs[-1].digest


def asked(shop: Workshop, *words: str) -> str:
    words = ("mix", *words, "--root", str(shop.root), "--project", str(shop.folder))
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_advice_on_pack_lengths(shop: Workshop) -> None:
    plan = plans.find("mixed", str(shop.root))
    facts = plan.manifest["facts"]
    # Samples of 576 tokens and some words: three lie in 2,000 with 200 tokens to spare, four in 2,600 with some.
    short, now, better = plans.advise(plan, str(shop.root), Project(str(shop.folder)), (600, 2000, 2600))
    assert short.left_out > 0
    assert (now.packs, now.slots) == (facts["packs"], 1.0)
    assert now.ceiling == pytest.approx(facts["fill"])
    assert better.ceiling > now.ceiling and better.slots < now.slots
    assert "would save" in asked(shop, "advise", "mixed", "-l", "2600")
    told = json.loads(asked(shop, "advise", "mixed", "--json"))
    assert [each["tokens"] for each in told["lengths"]] == list(plans.LENGTHS)
    with pytest.raises(ConfigError, match="one token"):
        plans.advise(plan, str(shop.root), Project(str(shop.folder)), (0,))


def test_how_two_plans_differ(shop: Workshop) -> None:
    before = plans.find("jobs/mixed.yaml", str(shop.root)).digest
    after = mixed(shop, "a: {from: mine, epochs: 2}, b: {from: mine, samples: 5}", 3000)
    assert before != after
    told = json.loads(asked(shop, "diff", f"mixed@{before[:6]}", "mixed", "--json"))
    one, two = told["components"]
    count = one["draws"]
    assert one == {
        **one, "component": "a", "other_draws": 2 * count, "only_here": 0, "only_there": 0, "in_both": count,
    }  # fmt: skip
    assert two["draws"] == two["in_both"] == 0 and two["only_there"] == two["other_draws"] > 0
    text = asked(shop, "diff", f"mixed@{before}", f"mixed@{after}")
    assert "pack_tokens: 2000 -> 3000" in text
    same = json.loads(asked(shop, "diff", "mixed", "mixed", "--json"))["components"]
    assert all(row["only_here"] == row["only_there"] == 0 for row in same)


@pytest.mark.parametrize("name", ["mixt", "mixed@ffffffffffffffff", "mixed@"])
def test_a_plan_that_is_not_there(shop: Workshop, name: str) -> None:
    if name == "mixed@":
        assert plans.find(name, str(shop.root)).mix == "mixed"
        return
    with pytest.raises(ConfigError, match=r"no mix|0 plans"):
        plans.find(name, str(shop.root))


def test_any_step_on_any_divisor_of_the_ranks(shop: Workshop) -> None:
    tokens = f"tokens: {{tokenizer: {shop.folder}/tokenizer.json, max: 700}}\n"
    rest = "pack: {length: 1300}\nlayout: {ranks: 4, per_rank: 2}\n"
    shop.write("jobs/mixed.yaml", f"mix: {{a: {{from: mine, epochs: 5}}}}\n{tokens}{rest}")
    result = shop.run("mixed").jobs[-1]
    plan = Packs(f"{shop.root}/mixes/mixed/{result.digest}")
    assert (plan.steps, plan.ranks) == (result.facts["steps"], 4)
    whole = {}
    for step in range(plan.steps):
        four = [plan.packs(step, rank) for rank in range(4)]
        two = [plan.packs(step, rank, 2) for rank in range(2)]
        assert two == [four[0] + four[1], four[2] + four[3]]
        assert plan.packs(step, 0, 1) == two[0] + two[1]
        assert step == plan.steps - 1 or all(len(packs) == 2 for packs in four)
        for pack in plan.packs(step, 0, 1):
            assert [row["slot"] for row in pack] == list(range(len(pack)))
            whole.update({(row["sample_id"], row["draw"]): row for row in pack})
    assert len(whole) == result.facts["samples"]
    warehouse = open_root(str(shop.root), Project(str(shop.folder)))
    steps = warehouse.table("select * from steps order by step").to_pylist()
    warehouse.close()
    assert sum(row["rows"] for row in steps if row["digest"] == result.digest) == len(whole)
    for asked in ((0, 0, 3), (0, 4, 4), (plan.steps, 0, 1), (-1, 0, 1), (0, 0, 0)):
        with pytest.raises(ConfigError):
            plan.packs(*asked)


def test_a_plan_whose_rows_are_gone_says_what_makes_them(shop: Workshop) -> None:
    result = shop.run("mixed").jobs[-1]
    folder = shop.root / "mixes/mixed" / result.digest
    (folder / "packs.parquet").unlink()
    said = rf"{folder}/packs.parquet is gone: curate run mixed makes it again"
    with pytest.raises(ShardError, match=said):
        Packs(f"{folder}/")
    with pytest.raises(ShardError, match=said):
        export_last("mixed", Export(as_="llava_json", codec="plain"), shop.project, str(shop.root))
    shop.run("mixed")
    assert Packs(str(folder)).packs(0)
