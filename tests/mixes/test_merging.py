"""A mix that merges, from end to end: the plan names every member, and what is written reads back as it was counted."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import Workshop

from curate import checks, digests, plans, schema, telling
from curate.doctor import Doctor
from curate.errors import ConfigError, SampleError
from curate.export_job import Export
from curate.exporting import export_last
from curate.grounding import conversation
from curate.grounding.templates import template
from curate.io import json_stream
from curate.io.tokens import counter
from curate.journey import as_text, explain
from curate.mixes import merging
from curate.packs import Packs
from curate.plugins import Project
from curate.report.page import ReportOptions, write_report
from curate.sample import Turn, sample_id
from curate.stages import foreign
from curate.views import open_root

Rows = list[dict[str, Any]]
PARTS = {"plain": "", "flip": "derived: hflip,", "both": "derived: square_pad+hflip,"}


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    extra = "".join(
        f"{workshop.url}/{picture}.jpg?{n}\ta large blue cat {n} by a tree\n" for n in range(5) for picture in (0, 1)
    )
    workshop.captions(count=4, shard_rows=5, extra=extra)
    workshop.tokenizer()
    workshop.write("jobs/mine.yaml", "from: tiny\n")
    return workshop


def record(
    number: int, picture: int, question: str = "<image>\nwhat is {}", answer: str = "thing {}"
) -> dict[str, Any]:
    turns = [{"from": "human", "value": question.format(number)}, {"from": "gpt", "value": f"thing {number}"}]
    return {"id": number, "image": f"coco/train2017/{picture:012d}.jpg", "conversations": turns}


def records() -> Rows:
    """Ten of each of three pictures, and what stays as it is."""
    some = [record(number, number % 3) for number in range(30)]
    two = {**record(31, 0, "<image> <image> {}"), "image": ["a.jpg", "b.jpg"]}
    return [*some, record(30, 0, "<image>"), two, record(32, 0, "no place {}"), {"id": 33}, record(34, 7)]


def theirs(shop: Workshop) -> Path:
    path = shop.folder / "theirs.json"
    path.write_text(json.dumps(records()))
    return path


def mix(shop: Workshop, rest: str = "", said: str = "merge: 4", limit: int = 700) -> Rows:
    path = theirs(shop)
    parts = f"  mine: {{from: mine, merge: 3}}\n  theirs: {{from: {path}, {said}}}\n"
    tokens = f"tokens: {{tokenizer: {shop.folder}/tokenizer.json, max: {limit}}}\n"
    export = "export: {as: llava_json, codec: asv2, file: out.json}\n"
    shop.write("jobs/mixed.yaml", f"mix:\n{parts}{tokens}{export}{rest}")
    return plan(shop)


def plan(shop: Workshop) -> Rows:
    digest = shop.run("mixed").jobs[-1].digest
    rows: Rows = pq.ParquetFile(f"{shop.root}/mixes/mixed/{digest}/packs.parquet").read().to_pylist()
    return rows


def written(shop: Workshop) -> Rows:
    facts = shop.run("mixed").jobs[-1].facts["export"]
    found: Rows = json.loads(Path(facts["folder"], "out.json").read_text(encoding="utf-8"))
    assert facts["records"] == len(found) and not facts["left_out"]
    return found


def sizes(rows: Rows, component: str) -> Counter[int]:
    return Counter(len(row["members"] or [0]) for row in rows if row["component"] == component and not row["reason"])


def test_every_sample_is_in_one_place(shop: Workshop) -> None:
    rows = mix(shop)
    assert sizes(rows, "mine") == {3: 4, 1: 2}  # two pictures of six captions, two of one
    assert sizes(rows, "theirs") == {4: 6, 2: 3, 1: 2}  # three pictures of ten questions, `<image>` alone, one
    assert Counter(row["reason"] for row in rows) == {None: 17, "image_count": 2, "bad_record": 1}
    facts = shop.run("mixed").jobs[-1].facts
    assert facts["components"]["theirs"].items() >= {"merged": 30, "conversations": 9, "samples": 11}.items()
    assert facts["components"]["mine"].items() >= {"merged": 12, "conversations": 4, "samples": 6}.items()
    drawn = [key for row in rows if row["component"] == "theirs" for key in row["members"] or [row["sample_id"]]]
    assert len(drawn) == len(set(drawn)) == 35
    merged = [row for row in rows if row["members"] and row["component"] == "theirs"]
    assert all(len(row["member_offsets"]) == len(row["member_bytes"]) == len(row["members"]) for row in merged)
    assert all(row["member_offsets"] is None for row in rows if row["component"] == "mine")
    assert Doctor(str(shop.root), False, print).examine().findings == ()


@pytest.mark.parametrize("said", ["merge: 4", "merge: 4, epochs: 2", "merge: 4, epochs: 0.5"])
def test_what_is_wanted_of_conversations_is_what_is_drawn(shop: Workshop, said: str) -> None:
    mix(shop, said=said)
    facts = shop.run("mixed").jobs[-1].facts
    mine, other = (facts["components"][name] for name in ("mine", "theirs"))
    assert mine["wanted"] == mine["samples"] == 6
    # Two of the three that are left out are as many as become one or two of the eleven conversations of 32.
    assert 0 <= other["wanted"] - other["samples"] <= 2
    assert facts["candidates"] == {"mine": 14, "theirs": 35}


def test_what_is_written_is_what_was_counted(shop: Workshop) -> None:
    rows = [row for row in mix(shop, "layout: {ranks: 2, per_rank: 1}\n", "merge: 4, epochs: 2") if not row["reason"]]
    chat = template("vicuna_v1")
    count = counter(f"{shop.folder}/tokenizer.json", chat)
    found = written(shop)
    assert [each["id"] for each in found] == [row["sample_id"] for row in rows]
    asked: Counter[int] = Counter()
    for row, each in zip(rows, found, strict=True):
        turns = tuple(Turn(turn["from"], turn["value"]) for turn in each["conversations"])
        pictures = each["image"] if isinstance(each["image"], list) else [each["image"]]
        text, label = count([chat.segments(turns, len(pictures))])
        assert (row["n_text_tok"], row["n_label_tok"]) == (text[0], label[0])
        assert row["n_img_tok"] == 576 * len(pictures)
        if row["members"]:
            assert len(turns) == 2 * len(row["members"])
            assert [turn.value.count("<image>") for turn in turns] == [1] + [0] * (len(turns) - 1)
        numbers = [int(match[1]) for turn in turns if (match := re.fullmatch(r"thing (\d+)", turn.value))]
        assert len({number % 3 for number in numbers if number < 30}) < 2
        asked.update(numbers)
    assert asked == {**dict.fromkeys(range(31), 2), 34: 2}


def test_members_stand_in_the_order_of_the_plan(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, told = conversation.joined, []

    def joined(dialogues: Any) -> tuple[Turn, ...]:
        told.append(whole(dialogues))
        return told[-1]

    monkeypatch.setattr(conversation, "joined", joined)
    rows = [row for row in mix(shop) if not row["reason"]]
    assert len(told) == 27 and Counter(told[1:14]) == Counter(told[14:])  # one to see what two have in common
    numbers = {
        sample_id("theirs", str(found.offset)): f"thing {found.index}"
        for found in json_stream.records(str(shop.folder / "theirs.json"))
    }
    for row, each in zip(rows, written(shop), strict=True):
        if row["members"] and row["component"] == "theirs":
            assert [turn["value"] for turn in each["conversations"][1::2]] == [numbers[key] for key in row["members"]]


def test_there_is_room_for_packs_that_round_up(shop: Workshop) -> None:
    rows = mix(shop, "pack: {length: 700, align: 64}\n", said="merge: 100")
    assert sum(count * size for size, count in sizes(rows, "theirs").items()) == 32
    assert max(row["n_text_tok"] + row["n_img_tok"] for row in rows if not row["reason"]) <= 640


def test_the_gate_comes_first(shop: Workshop) -> None:
    (shop.folder / "bench.csv").write_text("image_id\n1\n")
    path = f"{shop.folder}/bench.csv"
    rows = mix(shop, f"gate: {{against: [{path}], numbers: coco, near: null, mirror: null, duplicates: false}}\n")
    gone = [row for row in rows if row["reason"] == "contaminated"]
    assert len(gone) == 10 and all(row["members"] is None for row in gone)
    assert sizes(rows, "theirs") == {4: 4, 2: 2, 1: 2}


def test_nothing_gets_too_long_by_merging(shop: Workshop) -> None:
    alone = {row["sample_id"] for row in mix(shop, said="merge: 2", limit=640) if not row["reason"]}
    rows = mix(shop, said="merge: 100", limit=640)
    assert alone and "too_long" not in {row["reason"] for row in rows}
    assert all(row["n_text_tok"] + row["n_img_tok"] <= 640 for row in rows if not row["reason"])
    assert max(sizes(rows, "theirs")) > 4


def test_sql_and_readers_know_the_members(shop: Workshop) -> None:
    rows = mix(shop)
    row = next(row for row in rows if row["members"] and row["component"] == "mine")
    warehouse = open_root(str(shop.root), Project(str(shop.folder)))
    for member in row["members"]:
        (found,) = warehouse.table("select pack, slot from drawn where member = $id", {"id": member}).to_pylist()
        assert found == {"pack": row["pack"], "slot": row["slot"]}
    (whole,) = warehouse.table("select count(*) as n, count(distinct member) as m from drawn").to_pylist()
    assert whole == {"n": 49, "m": 49}
    warehouse.close()
    journey = explain(str(shop.root), Project(str(shop.folder)), row["members"][1])
    assert f"pack {row['pack']} slot {row['slot']}" in as_text(journey)
    packs = Packs(f"{shop.root}/mixes/mixed/{row['digest']}").packs(row["step"])
    assert row["members"] in [each["members"] for pack in packs for each in pack]


def test_people_are_told_and_plans_compared(shop: Workshop) -> None:
    mix(shop)
    before = plans.find("mixed", str(shop.root))
    result = shop.run("mixed")
    assert "42 candidates of one picture or another merged into 13 conversations" in telling.funnel(result)
    page = Path(write_report(str(shop.root), shop.project, ReportOptions()).uri).read_text(encoding="utf-8")
    assert "30 candidates merged into 9 conversations" in page and "12 candidates merged into 4" in page
    mix(shop, said="merge: 2")
    after = plans.find("mixed", str(shop.root))
    mine, other = plans.differ(before, after, str(shop.root), shop.project)
    assert other["draws"] == 11 and other["other_draws"] == 17
    assert (other["only_here"], other["only_there"], other["in_both"]) == (0, 0, 32)
    assert mine["draws"] == mine["other_draws"] == 6 and mine["in_both"] == 14
    assert other["tokens"] < other["other_tokens"]


def test_conversations_are_counted_once(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mix(shop)

    def again(*_: object) -> None:
        raise AssertionError("counted again")

    monkeypatch.setattr(merging.merge, "fitted", again)
    after = mix(shop, said="merge: 4, epochs: 3")
    assert len(after) == len(before) + 22
    with pytest.raises(AssertionError, match="counted again"):
        mix(shop, said="merge: 5")


def test_a_member_that_cannot_be_written_is_missing_alone(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = mix(shop)
    row = next(row for row in rows if row["members"] and row["component"] == "theirs")
    whole = foreign.Reading.record

    def faulty(reading: foreign.Reading, asked: dict[str, Any]) -> Any:
        if asked["record_offset"] == row["member_offsets"][0]:
            raise SampleError("bad_box", "planted")
        return whole(reading, asked)

    monkeypatch.setattr(foreign.Reading, "record", faulty)
    wanted = Export.model_validate({"as": "llava_json", "codec": "asv2", "file": "other.json"})
    folder, told = export_last("mixed", wanted, shop.project, str(shop.root))
    assert told["left_out"] == {"bad_box": 1} and told["records"] == 17
    (one,) = [each for each in json.loads(Path(folder, "other.json").read_text()) if each["id"] == row["sample_id"]]
    assert len(one["conversations"]) == 2 * len(row["members"]) - 2
    assert one["conversations"][0]["value"].startswith("<image>\n")


@pytest.mark.parametrize("pixels", ["virtual", "write"])
def test_mirrored_children_are_merged_with_their_like(shop: Workshop, pixels: str) -> None:
    augment = f"augment: [hflip, [square_pad, hflip]]\nchildren: {{pixels: {pixels}}}\n"
    shop.write("jobs/mine.yaml", f"from: tiny\n{augment}")
    parts = "".join(f"  {name}: {{from: mine, {derived} merge: 9}}\n" for name, derived in PARTS.items())
    tokens = f"tokens: {{tokenizer: {shop.folder}/tokenizer.json, max: 900}}\n"
    shop.write("jobs/mixed.yaml", f"mix:\n{parts}{tokens}export: {{as: llava_json, file: out.json}}\n")
    rows = plan(shop)
    # The first caption of each picture tells of its left side, and is not mirrored.
    assert {name: sizes(rows, name) for name in PARTS} == {"plain": {6: 2, 1: 2}, "flip": {5: 2}, "both": {5: 2}}
    found = {each["id"]: each for each in written(shop)}
    for row in rows:
        one = found[row["sample_id"]]
        assert len(one["conversations"]) == 2 * len(row["members"] or [0])
        assert ("transform" in one) == (row["component"] != "plain" and pixels == "virtual")


def test_plans_from_before_members_can_be_asked_and_written(shop: Workshop) -> None:
    path = theirs(shop)
    shop.write("jobs/mixed.yaml", f"mix:\n  mine: {{from: mine}}\n  theirs: {{from: {path}}}\n")
    rows = plan(shop)
    packs = f"{shop.root}/mixes/mixed/{rows[0]['digest']}/packs.parquet"
    older = pq.ParquetFile(packs).read().drop_columns(schema.MEMBERS.names)
    pq.write_table(older, packs)
    manifest = Path(packs).with_name("manifest.json")
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**told, "shards": {"packs": digests.columns_digest(older)}}))
    wanted = Export.model_validate({"as": "llava_json"})
    _, told = export_last("mixed", wanted, shop.project, str(shop.root))
    assert told["records"] + sum(told["left_out"].values()) == len([row for row in rows if not row["reason"]])
    mine = next(row["sample_id"] for row in rows if row["component"] == "mine")
    assert "pack" in as_text(explain(str(shop.root), shop.project, mine))
    packed = Packs(packs.rpartition("/")[0]).packs(0)
    assert {each["members"] for pack in packed for each in pack} == {None}


@pytest.mark.parametrize(
    ("said", "rest", "where"),
    [
        ("merge: 1", "", "mix.a.merge"),
        ("merge: 4", "tokens: {template: plain}\n", "mix.a.merge"),
        ("merge: 4", "gate: {same_picture: drop}\n", "mix.a.merge"),
    ],
)
def test_senseless_merges_are_told(shop: Workshop, said: str, rest: str, where: str) -> None:
    shop.write("jobs/mixed.yaml", f"mix:\n  a: {{from: mine, {said}}}\n{rest}")
    found = checks.check("mixed", Project(str(shop.folder)))
    assert where in [each.where for each in found]
    with pytest.raises(ConfigError):
        shop.run("mixed")
