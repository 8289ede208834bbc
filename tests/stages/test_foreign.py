"""Records of others' files are measured where they lie, and each is found again by its place."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import growth
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from curate.codecs import asv2, llava, plain
from curate.errors import OutsideError, SampleError
from curate.grounding.templates import template
from curate.io import json_stream
from curate.io.tokens import counter
from curate.stages.file_parts import Part, parts, recut, stretch
from curate.stages.foreign import File, Reading, digest, measured
from curate.stages.measure import TokenModel

MODEL = TokenModel("llava-1.5-336", "vicuna_v1", "abc", 2048)


def record(number: int, question: str = "<image>\nwhat is it", **rest: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": f"thing {number}"}]
    return {"id": number, "image": f"a/{number}.jpg", "conversations": turns, **rest}


@pytest.fixture
def count(tmp_path: Path) -> Any:
    letters = sorted({*map(chr, range(32, 127)), "\n"})
    made = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    made.add_special_tokens([AddedToken("</s>", normalized=False)])
    made.save(str(tmp_path / "tokenizer.json"))
    return counter(str(tmp_path / "tokenizer.json"), template("vicuna_v1"))


def rows(path: Path, count: Any, codec: Any = plain, model: TokenModel = MODEL) -> list[dict[str, Any]]:
    return [row for table in measured(reading(path, codec), model, count) for row in table.to_pylist()]


def reading(path: Path, codec: Any = plain) -> Reading:
    return Reading(File("them", str(path), "plain"), codec, codec)


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_each_record_is_found_again_by_its_place(tmp_path: Path, count: Any, suffix: str) -> None:
    records = [record(number, note="é" * number) for number in range(7)]
    path = tmp_path / f"some.{suffix}"
    lines = "\n".join(json.dumps(each, ensure_ascii=False) for each in records)
    path.write_text(json.dumps(records, ensure_ascii=False, indent=1) if suffix == "json" else lines)
    found = rows(path, count)
    assert [row["reason"] for row in found] == [None] * 7
    assert [reading(path).at(row["record_offset"], row["record_bytes"]) for row in found] == records
    assert len({row["sample_id"] for row in found}) == 7
    assert all(row["n_img_tok"] == 576 and row["n_images"] == 1 for row in found)
    assert len({row["n_text_tok"] for row in found}) == 1
    assert [row["picture"] for row in found] == [f"a/{number}.jpg" for number in range(7)]


@pytest.mark.parametrize(
    ("faulty", "reason"),
    [
        ([1, 2], "bad_record"),
        ({"id": 1}, "bad_record"),
        ({"conversations": []}, "bad_record"),
        ({"conversations": [{"from": "user", "value": "x"}]}, "bad_record"),
        ({**record(1), "image": 5}, "bad_record"),
        ({**record(1), "image": "a/\udc80.jpg"}, "bad_record"),
        (record(1, "<image> half \ud800 a pair"), "bad_record"),
        (record(1, "no place for the picture"), "image_count"),
        (record(1, "<image> <image>"), None),
        (record(1, "<image>\n" + "x" * 3000), "too_long"),
        ({"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}, None),
    ],
)
def test_what_cannot_be_drawn_has_its_reason(tmp_path: Path, count: Any, faulty: Any, reason: str | None) -> None:
    path = tmp_path / "some.json"
    path.write_text(json.dumps([record(0), faulty, record(2)]))
    found = rows(path, count)
    assert [row["reason"] for row in found][::2] == [None, None]
    assert found[1]["reason"] == reason


def test_half_a_file_ends_in_a_reason(tmp_path: Path, count: Any) -> None:
    path = tmp_path / "some.json"
    path.write_text(json.dumps([record(0), record(1)])[:-20])
    assert [row["reason"] for row in rows(path, count)] == [None, "breaks_off"]


def test_sizes_are_read_where_they_count(tmp_path: Path, count: Any) -> None:
    path = tmp_path / "some.json"
    path.write_text(json.dumps([record(0), record(1, width=640, height=480)]))
    model = TokenModel("qwen2.5-vl", "vicuna_v1", "abc", 2048)
    found = rows(path, count, model=model)
    assert [row["reason"] for row in found] == ["no_size", None]
    assert found[1]["n_img_tok"] == 23 * 17 + 2  # 640 x 480 in patches of 28, rounded; two marks


def test_another_written_form_is_recast() -> None:
    told = record(0, width=100, height=100)
    told["conversations"][1]["value"] = "[0.25, 0.5, 0.75, 1.0]"
    turns = Reading(File("them", "", "llava"), llava, asv2).dialogue(told, sized=False).turns
    assert turns[0].value == "<image>\nwhat is it"
    assert "<box>[[" in turns[1].value and "0.25" not in turns[1].value


def test_two_records_in_one_are_refused() -> None:
    nested = {"image_id": 1, "conversations": [{"content": [{"from": "user", "value": "x"}]}] * 2}
    with pytest.raises(SampleError, match="bad_record"):
        Reading(File("them", "", "llava"), llava, asv2).dialogue(nested, sized=False)


def test_a_file_that_changed_is_seen(tmp_path: Path, count: Any) -> None:
    path = tmp_path / "some.json"
    path.write_text(json.dumps([record(0), record(1)]))
    before = digest(str(path))
    place = rows(path, count)[1]
    path.write_text(json.dumps([record(0, note="x" * 20), record(1)]))
    assert digest(str(path)) != before
    with pytest.raises(OutsideError, match="any more"):
        reading(path).at(place["record_offset"], place["record_bytes"])


DECOY = {"conversations": record(0)["conversations"], "more": [{"a": 1}, {"conversations": [], "deep": [{}, {}]}]}


def in_parts(path: Path, count: Any, every: int) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of a file that is read part by part, and how many parts had to be read again."""
    some = parts(str(path), every)
    tables = [read(path, count, part) for part in some]
    wrong = recut(str(path), some, [stretch(table) for table in tables])
    for number, part in wrong.items():
        tables[number] = read(path, count, part)
    right = [wrong.get(number, part) for number, part in enumerate(some)]
    assert recut(str(path), right, [stretch(table) for table in tables]) == {}
    return pa.concat_tables(table for table in tables if table.num_rows).to_pylist(), len(wrong)


def read(path: Path, count: Any, part: Part) -> pa.Table:
    tables = list(measured(reading(path), MODEL, count, part))
    return pa.concat_tables(tables) if tables else pa.table({})


@pytest.mark.parametrize("damage", ["none", "middle", "end", "behind"])
@pytest.mark.parametrize("decoys", [False, True])
def test_a_file_in_parts_is_the_file(tmp_path: Path, count: Any, damage: str, decoys: bool) -> None:
    records = [record(number, **({"trap": [{}, DECOY, DECOY]} if decoys else {})) for number in range(60)]
    text = json.dumps(records)
    middle = text.index('{"id": 30')
    damaged = {
        "none": text,
        "middle": text[:middle] + "?" + text[middle:],
        "end": text[:-40],
        "behind": text + " 1 ",
    }[damage]
    path = tmp_path / "some.json"
    path.write_text(damaged)
    whole = rows(path, count)
    found, again = in_parts(path, count, 300)
    assert found == whole
    assert (again > 0) == (decoys or damage == "middle")


def test_all_wrong_cuts_are_found_at_once_each_part_being_looked_at_once(
    tmp_path: Path, count: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [record(number, trap=[{}, DECOY, *[DECOY] * 9]) for number in range(60)]
    path = tmp_path / "some.json"
    path.write_text(json.dumps(records))
    some = parts(str(path), 1200)
    stretches = [stretch(read(path, count, part)) for part in some]
    opened: list[int] = []
    whole = json_stream.records
    monkeypatch.setattr(json_stream, "records", lambda uri, begin=0: (opened.append(begin), whole(uri, begin))[1])
    wrong = recut(str(path), some, stretches)
    assert len(wrong) > 10
    assert len(opened) == len(set(opened)) <= len(wrong)
    begins = {row["record_offset"] for row in rows(path, count)}
    assert {part.begin for part in wrong.values() if part.begin < path.stat().st_size} <= begins


def test_the_work_of_cutting_anew_grows_as_the_file_does(tmp_path: Path, count: Any) -> None:
    cut: dict[int, Any] = {}
    for size in (40, 320):
        records = [record(number, trap=[{}, DECOY, *[DECOY] * 9]) for number in range(size)]
        path = tmp_path / f"{size}.json"
        path.write_text(json.dumps(records))
        some = parts(str(path), 1200)
        cut[size] = (str(path), some, [stretch(read(path, count, part)) for part in some])
    assert growth(lambda size: recut(*cut[size]), 40) < 24
