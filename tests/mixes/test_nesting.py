"""Mixes that draw from mixes: every draw is one of the inner plan's, written as that writes it, and told apart."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Workshop

from curate import check_warnings, checks, plans
from curate.doctor import Doctor
from curate.errors import ConfigError
from curate.export_job import Export
from curate.exporting import export_last
from curate.grounding import templates
from curate.io.tokens import counter
from curate.journey import as_text, explain
from curate.mixes import nesting
from curate.packs import Packs
from curate.probe import probe_all
from curate.report.page import ReportOptions, write_report
from curate.sample import Turn
from curate.stages.drawn import Drawn, Shown, numbered

Rows = list[dict[str, Any]]
BOX = "<ref>it</ref><box>[[1, 2, 30, 40]]</box>"


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    return workshop.captioned()


def record(number: int, picture: int | None = None, words: str = "a thing") -> dict[str, Any]:
    shown = number if picture is None else picture
    turns = [{"from": "human", "value": f"<image>\nwhat is {number}"}, {"from": "gpt", "value": f"{words} {number}"}]
    return {"id": number, "image": f"coco/train2017/{shown:012d}.jpg", "conversations": turns}


def theirs(shop: Workshop, records: Rows, name: str = "theirs.json") -> str:
    path = shop.folder / name
    path.write_text(json.dumps(records))
    return str(path)


def mix(shop: Workshop, name: str, parts: str, rest: str = "", limit: int = 2048) -> None:
    tokens = f"tokens: {{tokenizer: {shop.folder}/tokenizer.json, max: {limit}}}\n"
    export = "export: {as: llava_json, codec: asv2, file: out.json}\n"
    shop.write(f"jobs/{name}.yaml", f"mix:\n{parts}{tokens}{export}{rest}")


def plan(shop: Workshop, name: str) -> Rows:
    digest = next(job for job in shop.run(name).jobs if job.job == name).digest
    rows: Rows = pq.ParquetFile(f"{shop.root}/mixes/{name}/{digest}/packs.parquet").read().to_pylist()
    return rows


def written(shop: Workshop, name: str) -> Rows:
    facts = next(job for job in shop.run(name).jobs if job.job == name).facts["export"]
    found: Rows = json.loads(Path(facts["folder"], "out.json").read_text(encoding="utf-8"))
    assert facts["records"] == len(found) and not facts["left_out"]
    return found


def drawn(rows: Rows) -> Rows:
    return [row for row in rows if row["reason"] is None]


def texts(records: Rows) -> Counter[str]:
    return Counter(json.dumps(each, sort_keys=True) for each in records)


def inner(shop: Workshop, rest: str = "") -> None:
    path = theirs(shop, [record(n) for n in range(20)])
    mix(shop, "inner", f"  mine: {{from: mine}}\n  theirs: {{from: {path}, epochs: 2}}\n", rest)


def test_all_of_a_mix_is_all_that_it_draws(shop: Workshop) -> None:
    inner(shop)
    mix(shop, "outer", "  warmup: {from: jobs/inner}\n  more: {from: mine, epochs: 2}\n")
    assert checks.check("outer", shop.project) == []
    rows = plan(shop, "outer")
    nested = [row for row in rows if row["component"] == "warmup"]
    assert Counter(row["job"] for row in nested) == {"mine": 12, "warmup/theirs": 40}
    assert len({(row["component"], row["sample_id"], row["draw"]) for row in rows}) == len(rows) == 76
    counts = ("sample_id", "n_text_tok", "n_label_tok", "n_img_tok", "n_tiles", "cost", "record_offset", "record_bytes")
    before = Counter(tuple(row[name] for name in counts) for row in plan(shop, "inner"))
    assert Counter(tuple(row[name] for name in counts) for row in nested) == before
    once = {json.dumps(each, sort_keys=True) for each in written(shop, "inner")}
    out = texts(written(shop, "outer"))
    assert sum(out.values()) == 76 and {each for each in out if "coco" in each} <= once
    assert texts(written(shop, "inner")) == texts(
        [each for each, row in zip(written(shop, "outer"), rows, strict=True) if row["component"] == "warmup"]
    )


def test_half_of_a_mix_is_no_prefix_of_it_and_the_same_whatever_comes_with_it(shop: Workshop) -> None:
    inner(shop)
    mix(shop, "outer", "  warmup: {from: inner, epochs: 0.5}\n")
    half = [(row["job"].split("/")[-1], row["sample_id"], row["draw"]) for row in drawn(plan(shop, "outer"))]
    places = [(row["sample_id"], row["draw"]) for row in plan(shop, "inner")]
    assert len(half) == 26 and len(set(half)) == 26
    taken = sorted(places.index(each[1:]) for each in half)
    assert taken != list(range(26)) and max(taken) >= 40 and {each[0] for each in half} == {"mine", "theirs"}
    mix(shop, "other", "  more: {from: mine}\n  warmup: {from: inner, epochs: 0.5}\n", "seed: 0\n")
    again = [row for row in drawn(plan(shop, "other")) if row["component"] == "warmup"]
    assert sorted((row["sample_id"], row["draw"]) for row in again) == sorted(each[1:] for each in half)


def test_repeats_of_one_sample_are_told_apart(shop: Workshop) -> None:
    path = theirs(shop, [record(n) for n in range(5)])
    mix(shop, "inner", f"  a: {{from: mine, epochs: 2}}\n  b: {{from: mine}}\n  theirs: {{from: {path}}}\n")
    mix(shop, "outer", "  warmup: {from: inner, epochs: 3}\n")
    rows = drawn(plan(shop, "outer"))
    times: dict[str, list[int]] = {}
    for row in rows:
        times.setdefault(row["sample_id"], []).append(row["draw"])
    assert Counter(len(each) for each in times.values()) == {9: 12, 3: 5}
    assert all(sorted(each) == list(range(len(each))) for each in times.values())


def test_a_plan_is_the_same_in_whatever_order_the_inner_plan_stands(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner(shop)
    mix(shop, "outer", "  warmup: {from: inner, epochs: 1.5}\n", "gate: {}\n")
    before = plan(shop, "outer")
    read = nesting.drawn.draws

    def turned(folder: str) -> pa.Table:
        rows = read(folder)
        return rows.take(pa.array(range(rows.num_rows)[::-1]))

    monkeypatch.setattr(nesting.drawn, "draws", turned)
    for file in Path(shop.root, "mixes/outer").glob("*/packs.parquet"):
        file.unlink()
    assert plan(shop, "outer") == before


def test_mixes_two_deep_find_their_files(shop: Workshop) -> None:
    one, two = theirs(shop, [record(n) for n in range(9)], "one.json"), theirs(shop, [record(n) for n in range(9, 15)])
    mix(shop, "deep", f"  file: {{from: {one}, codec: asv2}}\n  mine: {{from: mine}}\n")
    mix(shop, "inner", f"  deep: {{from: deep}}\n  file: {{from: {two}, epochs: 2}}\n")
    mix(shop, "outer", "  a: {from: inner}\n  b: {from: deep, epochs: 2}\n")
    result = shop.run("outer")
    assert [job.job for job in result.jobs] == ["mine", "deep", "inner", "outer"]
    rows = plan(shop, "outer")
    assert Counter((row["component"], row["job"]) for row in rows) == {
        ("a", "a/deep/file"): 9,
        ("a", "a/file"): 12,
        ("a", "mine"): 12,
        ("b", "b/file"): 18,
        ("b", "mine"): 24,
    }
    assert len({(row["component"], row["sample_id"], row["draw"]) for row in rows}) == len(rows)
    numbers = Counter(each["id"] for each in written(shop, "outer"))
    assert sum(numbers.values()) == len(rows)
    said = Counter(each["conversations"][1]["value"] for each in written(shop, "outer") if "coco" in each["image"])
    assert said == {f"a thing {n}": 3 if n < 9 else 2 for n in range(15)}
    manifest = json.loads(Path(shop.root, "mixes/outer", result.jobs[-1].digest, "manifest.json").read_text())
    assert set(manifest["parents"]) == {"inner", "deep"}
    assert set(manifest["facts"]["files"]) == set(manifest["facts"]["sha256"]) == {"a/deep/file", "a/file", "b/file"}


def test_a_file_of_the_inner_mix_that_changes_is_another_plan_and_is_not_exported_before(shop: Workshop) -> None:
    inner(shop)
    mix(shop, "outer", "  warmup: {from: inner}\n")
    before = shop.run("outer").jobs[-1].digest
    theirs(shop, [record(n, words="a thong") for n in range(20)])
    wanted = Export(as_="llava_json", codec="internvl")
    with pytest.raises(ConfigError, match=r"the file of warmup/theirs has changed[\s\S]*curate run outer"):
        export_last("outer", wanted, shop.project, str(shop.root))
    assert shop.run("outer").jobs[-1].digest != before
    assert export_last("outer", wanted, shop.project, str(shop.root))[1]["records"] == 52


def test_lengths_are_the_outer_mix_s_own(shop: Workshop) -> None:
    inner(shop)
    shop.write(
        "jobs/outer.yaml",
        f"mix: {{warmup: {{from: inner}}}}\ntokens: {{tokenizer: {shop.folder}/tokenizer.json, template: chatml}}\n",
    )
    direct = "  mine: {from: mine}\n" + f"  theirs: {{from: {shop.folder}/theirs.json, epochs: 2}}\n"
    mix(shop, "flat", direct)
    text = Path(shop.folder, "jobs/flat.yaml").read_text().replace("max: 2048", "template: chatml")
    shop.write("jobs/flat.yaml", text)
    names = ("sample_id", "n_text_tok", "n_label_tok", "n_img_tok", "n_tiles", "n_images", "cost")
    told = [Counter(tuple(row[name] for name in names) for row in plan(shop, mixed)) for mixed in ("outer", "flat")]
    assert told[0] == told[1]
    assert told[0] != Counter(tuple(row[name] for name in names) for row in plan(shop, "inner"))


def test_a_circle_of_mixes_is_told_with_its_way(shop: Workshop) -> None:
    for name, below in (("start", "a"), ("a", "b"), ("b", "c"), ("c", "jobs/a.yaml")):
        mix(shop, name, f"  x: {{from: {below}}}\n  y: {{from: mine}}\n")
    [found] = checks.check("start", shop.project)
    assert found.what == '"a" draws from itself: a > b > c > a'
    assert (found.where, "jobs/c.yaml" in found.file) == ("mix.x.from", True)
    with pytest.raises(ConfigError, match="a > b > c > a"):
        shop.run("start")
    assert not shop.root.exists()
    assert check_warnings.warnings("start", shop.project) == []


@pytest.mark.parametrize(
    ("said", "rest", "where"),
    [
        ("derived: hflip", "", "mix.warmup.derived"),
        ("codec: asv2", "", "mix.warmup.codec"),
        ("images: x", "", "mix.warmup.images"),
        ("merge: 2", "", "mix.warmup.merge"),
        ("epochs: 1", "pack: {by: [placement]}\n", "mix.warmup.from"),
    ],
)
def test_what_a_mix_as_a_component_cannot_have(shop: Workshop, said: str, rest: str, where: str) -> None:
    mix(shop, "inner", "  mine: {from: mine}\n")
    mix(shop, "outer", f"  warmup: {{from: inner, {said}}}\n", rest)
    [found] = checks.check("outer", shop.project)
    assert found.where == where


def test_a_mix_too_large_for_one_machine_draws_from_no_mix(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    inner(shop)
    mix(shop, "outer", "  warmup: {from: inner}\n")
    shop.run("inner")
    monkeypatch.setattr("curate.mixes.placing.ROWS", 45)
    with pytest.raises(ConfigError, match="warmup is a mix"):
        shop.run("outer")


def test_a_mix_that_is_placed_can_be_drawn_from(shop: Workshop) -> None:
    inner(shop, "pack: {by: [placement]}\n")
    mix(shop, "outer", "  warmup: {from: inner}\n")
    assert Counter(row["job"] for row in drawn(plan(shop, "outer"))) == {"mine": 12, "warmup/theirs": 40}


def merging(shop: Workshop, rest: str = "") -> None:
    some = [record(n, n % 3) for n in range(30)]
    path = theirs(shop, [*some[:7], record(30, 9), *some[7:], {"id": 99}])
    mix(shop, "inner", f"  theirs: {{from: {path}, merge: 4, epochs: 2}}\n  mine: {{from: mine, merge: 2}}\n", rest)


@pytest.mark.parametrize("template", ["vicuna_v1", "chatml"])
def test_conversations_stay_merged_and_are_counted_as_the_outer_mix_counts(shop: Workshop, template: str) -> None:
    merging(shop)
    mix(shop, "outer", "  warmup: {from: inner}\n")
    text = Path(shop.folder, "jobs/outer.yaml").read_text()
    shop.write("jobs/outer.yaml", text.replace("max: 2048", f"max: 2048, template: {template}"))
    rows = drawn(plan(shop, "outer"))
    kept = ("sample_id", "members", "member_offsets", "member_bytes", "record_offset", "record_bytes")
    before = Counter(str([row[name] for name in kept]) for row in drawn(plan(shop, "inner")))
    assert Counter(str([row[name] for name in kept]) for row in rows) == before
    chat = templates.template(template)
    count = counter(f"{shop.folder}/tokenizer.json", chat)
    found = written(shop, "outer")
    assert texts(found) == texts(written(shop, "inner"))
    for row, each in zip(rows, found, strict=True):
        turns = tuple(Turn(turn["from"], turn["value"]) for turn in each["conversations"])
        text_tokens, label_tokens = count([chat.segments(turns, 1)])
        assert (row["n_text_tok"], row["n_label_tok"]) == (text_tokens[0], label_tokens[0])
    assert Counter(len(row["members"] or [0]) for row in rows) == {4: 12, 2: 6, 1: 14}


def test_what_the_outer_mix_cannot_measure_is_left_out_with_its_reason(shop: Workshop) -> None:
    merging(shop)
    mix(shop, "outer", "  warmup: {from: inner, epochs: 2}\n")
    text = Path(shop.folder, "jobs/outer.yaml").read_text()
    shop.write("jobs/outer.yaml", text.replace("max: 2048", "max: 2048, model: qwen2.5-vl, template: chatml"))
    rows = plan(shop, "outer")
    assert Counter((row["job"], row["reason"]) for row in rows) == {
        ("mine", None): 24,
        ("warmup/theirs", "no_size"): 20,
    }
    assert len({(row["sample_id"], row["draw"]) for row in rows}) == 44


def test_a_conversation_that_the_outer_mix_cannot_write_leaves_and_the_others_are_counted(shop: Workshop) -> None:
    said = [record(n, n // 2, BOX if n == 3 else "<ref>half a tag" if n == 5 else "a thing") for n in range(8)]
    path = theirs(shop, [{**each, "width": 64, "height": 64} for each in said])
    mix(shop, "inner", f"  theirs: {{from: {path}, merge: 2, samples: 7}}\n")
    mix(shop, "outer", "  warmup: {from: inner}\n")
    outer = Path(shop.folder, "jobs/outer.yaml")
    outer.write_text(outer.read_text().replace("codec: asv2", "codec: shikra"))
    rows = plan(shop, "outer")
    assert {row["reason"] for row in rows} == {None, "bad_rec"}
    assert Counter(row["sample_id"] for row in rows) == Counter(row["sample_id"] for row in plan(shop, "inner"))
    assert [len(row["members"]) for row in rows] == [2] * 7
    chat = templates.template("vicuna_v1")
    count = counter(f"{shop.folder}/tokenizer.json", chat)
    for row, each in zip(drawn(rows), written(shop, "outer"), strict=True):
        turns = tuple(Turn(turn["from"], turn["value"]) for turn in each["conversations"])
        assert row["n_text_tok"] == count([chat.segments(turns, 1)])[0][0]


def test_draws_of_one_sample_are_numbered_whatever_their_order() -> None:
    told = [("x", "b", 0, 0), ("x", "a", 1, 0), ("y", "a", 0, 0), ("x", "a", 0, 1), ("x", "a", 0, 0)]
    for turn in (told, told[::-1], told[2:] + told[:2]):
        ids, components, times, leaf = (list(each) for each in zip(*turn, strict=True))
        rows = pa.table({"sample_id": ids, "component": components, "draw": times})
        again, repeats = numbered(rows, np.array(leaf))
        found = dict(zip(turn, zip(again.tolist(), repeats.tolist(), strict=True), strict=True))
        assert found == dict(zip(told, [(2, 4), (1, 4), (0, 1), (3, 4), (0, 4)], strict=True))


def reasons(rows: Rows) -> dict[str, dict[str | None, int]]:
    names = sorted({row["component"] for row in rows})
    return {name: dict(Counter(row["reason"] for row in rows if row["component"] == name)) for name in names}


def test_the_gate_judges_samples_and_repeats_of_one_are_no_duplicates(shop: Workshop) -> None:
    inner(shop)
    two = theirs(shop, [record(n) for n in range(10, 30)], "two.json")
    (shop.folder / "bench.csv").write_text("image_id\n3\n4\n12\n")
    gate = f"gate: {{against: [{shop.folder}/bench.csv], numbers: coco, near: null, mirror: null}}\n"
    parts = f"  warmup: {{from: inner}}\n  two: {{from: {two}}}\n"
    mix(shop, "outer", parts, gate)
    assert reasons(plan(shop, "outer")) == {
        "two": {None: 10, "contaminated": 1, "duplicate": 9},
        "warmup": {None: 46, "contaminated": 6},
    }
    facts = shop.run("outer").jobs[-1].facts["gate"]
    told = [row for row in facts["report"] if (row["component"], row["by"]) == ("warmup", "picture_id")]
    assert [row["samples"] for row in told] == [3] and facts["known"]["warmup"]["picture_id"] == 19  # 0 is no number
    mix(shop, "outer", "".join(reversed(parts.splitlines(keepends=True))), gate)
    assert reasons(plan(shop, "outer")) == {
        "two": {None: 19, "contaminated": 1},
        "warmup": {None: 28, "contaminated": 6, "duplicate": 18},
    }


def test_a_conversation_leaves_when_it_is_contaminated_or_all_of_it_is_there_already(shop: Workshop) -> None:
    records = [record(number, number // 2) for number in range(8)]  # conversations of two: 0 1, 2 3, 4 5, 6 7
    path = theirs(shop, records)
    mix(shop, "inner", f"  theirs: {{from: {path}, merge: 2, epochs: 2}}\n")
    some = theirs(shop, [records[number] for number in (2, 4, 5)], "some.json")
    (shop.folder / "bench.csv").write_text("image_id\n3\n")
    gate = f"gate: {{against: [{shop.folder}/bench.csv], numbers: coco, near: null, mirror: null}}\n"
    mix(shop, "outer", f"  some: {{from: {some}}}\n  warmup: {{from: inner}}\n", gate)
    assert reasons(plan(shop, "outer"))["warmup"] == {None: 4, "contaminated": 2, "duplicate": 2}
    said = [each["conversations"][1]["value"] for each in written(shop, "outer") if len(each["conversations"]) == 4]
    assert {int(each.split()[-1]) // 2 for each in said} == {0, 1} and len(said) == 4


def test_samples_are_gone_with_all_their_draws_and_draws_by_their_samples() -> None:
    owner, row = np.array([0, 1, 1, 2, 3, 3]), np.array([7, 7, 9, 4, 9, 5])
    found = Drawn(pa.table({"x": range(4)}), (), Shown(owner, row))
    assert found.samples.tolist() == [4, 5, 7, 9]
    assert found.gone(np.array([True, False, True, True])).tolist() == [True, True, False, False]
    assert found.gone(np.array([True, True, False, False])).tolist() == [False, False, True, False]
    for said, told in (
        ([None, None, None, None], [None, None, None, None]),
        (["a", None, "b", None], ["b", None, "a", None]),
        ([None, "a", "b", "c"], ["b", "b", None, "c"]),
        (["a", None, None, "contaminated"], [None, "contaminated", "a", "contaminated"]),
    ):
        assert found.verdicts(pa.array(said, pa.string())).to_pylist() == told


def test_budget_and_pictures_count_draws(shop: Workshop) -> None:
    path = theirs(shop, [record(n, n % 4) for n in range(20)])
    mix(shop, "inner", f"  theirs: {{from: {path}, epochs: 2}}\n")
    mix(shop, "outer", "  warmup: {from: inner, per_picture: 3}\n")
    rows = plan(shop, "outer")
    assert len(rows) == 12 and len({row["sample_id"] for row in rows}) >= 6
    parts = "  warmup: {from: inner, weight: 1, max_epochs: 1, family: x}\n  mine: {from: mine, weight: 1}\n"
    mix(shop, "outer", parts, "budget: {samples: 50, families: {x: 0.6}}\n")
    assert Counter(row["component"] for row in plan(shop, "outer")) == {"warmup": 25, "mine": 25}


def test_everything_that_reads_mixes_reads_these(shop: Workshop) -> None:
    merging(shop)
    mix(
        shop,
        "outer",
        "  warmup: {from: inner}\n  more: {from: mine}\n",
        "gate: {duplicates: false, near_duplicates: false}\n",
    )
    assert [(item.name, item.state) for item in checks.items("outer", shop.project)] == [("theirs", "present")]
    rows = plan(shop, "outer")
    root = str(shop.root)
    assert Doctor(root, False, print).examine().findings == ()
    told = plans.differ(plans.find("outer", root), plans.find("inner", root), root, shop.project)
    assert [(row["component"], row["draws"], row["other_draws"]) for row in told] == [
        ("mine", 0, 12),
        ("more", 12, 0),
        ("theirs", 0, 20),
        ("warmup", 32, 0),
    ]
    assert plans.advise(plans.find("outer", root), root, shop.project)[-1].left_out == 0
    page = write_report(root, shop.project, ReportOptions()).uri
    assert "mine, warmup/theirs" in Path(page).read_text(encoding="utf-8")
    member = next(row["sample_id"] for row in rows if row["job"] == "mine" and row["component"] == "warmup")
    assert "outer · warmup draw" in as_text(explain(root, shop.project, member))
    steps = Packs(f"{root}/mixes/outer/{shop.run('outer').jobs[-1].digest}")
    assert sum(len(pack) for step in range(steps.steps) for pack in steps.packs(step)) == 44
    assert [each.dataset for each in probe_all("outer", shop.project, 2)] == ["tiny"]
