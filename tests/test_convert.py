"""Converting annotations: every pair of codecs, every layout of records; nothing is lost silently or half written."""

import dataclasses
import json
import tracemalloc
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from conftest import growth
from hypothesis import strategies as st

from curate import plugins
from curate.console import Console
from curate.convert import Converted, Options, as_text, convert
from curate.errors import ConfigError
from curate.grounding import dialogue
from curate.io import coco_files, images, json_stream, json_window, same_file
from curate.plugins import Project
from curate.sample import Grounded, Region
from curate.stages import layouts, losses, recast
from curate.stages.recast import Recaster, holds_records

PROJECT = Project(str(plugins.shipped()))
CODECS = plugins.names("codecs", PROJECT)
TEXTS = [name for name in CODECS if not holds_records(plugins.load("codecs", name, PROJECT))]
BOXED = [name for name in CODECS if plugins.load("codecs", name, PROJECT).FRAME != "none"]
SIZES = ((640, 480), (333, 1000), (512, 512))
CAPTIONS = (
    Grounded(
        "a red dog and two cats 🎈 near a tree",
        (
            Region("a red dog", ((0.11, 0.2, 0.43, 0.81),), start=0, end=9),
            Region("two cats", ((0.5, 0.25, 0.9, 0.75), (0.0, 0.0, 1.0, 0.125)), start=14, end=22),
        ),
    ),
    Grounded("مرحبا كلب and a bus", (Region("a bus", ((0.0, 0.0, 1.0, 1.0),), start=14, end=19),)),
    Grounded("犬 runs", (Region("犬", ((0.305, 0.407, 0.509, 0.611),), start=0, end=1),)),
)


def codec(name: str) -> Any:
    return plugins.load("codecs", name, PROJECT)


def record(name: str, number: int, grounded: Grounded, size: tuple[int, int]) -> dict[str, Any]:
    """Return a record in a codec's form, as it may lie in a file."""
    written = codec(name).encode(grounded, *size)
    told = {"id": f"r{number}", "image": f"{number}.jpg", "width": size[0], "height": size[1]}
    if name == "coco":
        made = json.loads(written)
        return {**made, "images": [{**made["images"][0], "file_name": told["image"]}]}
    if holds_records(codec(name)):
        return {**told, **json.loads(written)}
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": written}]
    return {**told, "conversations": turns}


def decoded(name: str, told: dict[str, Any]) -> list[Grounded]:
    """Return what a record in a codec's form says; turns without boxes say nothing."""
    size = layouts.stated(told)
    if holds_records(codec(name)):
        return [codec(name).decode(json.dumps(told), *size)]
    answers = [turn["value"] for turn in told["conversations"] if turn["from"] == "gpt"]
    return [codec(name).decode(answer, *size) for answer in answers]


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) if path.suffix == ".jsonl" else json.dumps(rows))
    return str(path)


def read(path: Path) -> list[Any]:
    """Return the records of a file; of COCO's one for each picture."""
    found = json.loads(path.read_text())
    return found if isinstance(found, list) else list(coco_files.read(str(path)).records())


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def run(source: str, to: Path, from_: str, as_: str, pictures: Path | None = None, **options: Any) -> Converted:
    rejects = options.pop("rejects", None)
    found = str(pictures) if pictures is not None else None
    return convert(source, str(to), from_, as_, found, rejects, PROJECT, Console(quiet=True), Options(**options))


def error(box: tuple[float, ...], other: tuple[float, ...]) -> float:
    return max(abs(a - b) for a, b in zip(box, other, strict=True))


def tolerance(name: str, size: tuple[int, int]) -> float:
    """Return the largest error of a coordinate as a share of the picture."""
    found = codec(name)
    return found.TOLERANCE * (max(size) / min(size) if found.FRAME == "square_pad" else 1.0)


@pytest.mark.parametrize("to", CODECS)
@pytest.mark.parametrize("from_", BOXED)
def test_every_pair(from_: str, to: str, tmp_path: Path) -> None:
    rows = [record(from_, n, each, SIZES[n % 3]) for n, each in enumerate(CAPTIONS)]
    done = run(write(tmp_path / "in.json", rows), tmp_path / "out.json", from_, to)
    assert (done.read, done.written, dict(done.rejected)) == (len(rows), len(rows), {})
    left = 0
    for row, made in zip(rows, read(tmp_path / "out.json"), strict=True):
        assert layouts.name_of(made) == layouts.name_of(row)
        (old,), (new,) = decoded(from_, row), decoded(to, made)
        if not old.text and "text" in codec(to).HOLDS:
            old = listed(old)
        gone = set(codec(to).uncoded(old))
        left += len(gone)
        kept = [region for n, region in enumerate(old.regions) if n not in gone]
        boxes = [box for region in kept for box in region.boxes]
        others = [box for region in new.regions for box in region.boxes]
        size = SIZES[rows.index(row) % 3]
        allowed = tolerance(from_, size) + tolerance(to, size) + 1e-9
        assert len(boxes) == len(others)
        assert all(min(error(box, other) for other in others) <= allowed for box in boxes)
        if "text" in codec(to).HOLDS:
            assert new.text == old.text
        if codec(to).HOLDS & {"spans", "phrases"}:
            assert {region.phrase for region in new.regions} == {region.phrase for region in kept}
    assert done.lost["regions"] == left


def listed(grounded: Grounded) -> Grounded:
    """Return phrases without a text as the text that they make."""
    text = ", ".join(region.phrase for region in grounded.regions)
    spans = [text.index(region.phrase) for region in grounded.regions]
    regions = [
        dataclasses.replace(region, start=start, end=start + len(region.phrase))
        for region, start in zip(grounded.regions, spans, strict=True)
    ]
    return Grounded(text, tuple(regions))


@pytest.mark.parametrize("name", TEXTS)
def test_to_itself_nothing_changes(name: str, tmp_path: Path) -> None:
    rows = [record(name, n, each, SIZES[n % 3]) for n, each in enumerate(CAPTIONS)]
    done = run(write(tmp_path / "in.json", rows), tmp_path / "out.json", name, name)
    assert read(tmp_path / "out.json") == rows
    assert (done.unchanged, done.lost.total(), done.left) == (len(rows), 0, 0)


def test_boxes_keep_their_places_in_a_known_example(tmp_path: Path) -> None:
    """A pixel box of the published padded and un-padded pair (all-seeing-v2 scripts_asmv2/visualize_rec.py)."""
    said = "a tall red <ref>bus</ref><box>[[290, 260, 835, 781]]</box>"
    row = {"id": "1", "image": "b.jpg", "width": 640, "height": 514, "conversations": [{"from": "gpt", "value": said}]}
    run(write(tmp_path / "in.json", [row]), tmp_path / "out.json", "asv2", "svit")
    (made,) = read(tmp_path / "out.json")
    assert made["conversations"][0]["value"] == "a tall red <st>bus<ed> [0.291, 0.203, 0.836, 0.852]"


def test_markers_of_pictures_stay_where_they_were(tmp_path: Path) -> None:
    boxed = "<ref>dog</ref><box>[[1, 2, 3, 4]]</box>"
    values = [
        f"<image>\n{boxed}",
        f"{boxed} ?\n<image>",
        f" <image> <image>\n\n{boxed}<image>",
        "<image>",
        "<image>\na",
    ]
    turns = [{"from": "human", "value": value} for value in values]
    rows = [{"image": "a.jpg", "width": 99, "height": 99, "conversations": turns}]
    source = write(tmp_path / "in.json", rows)
    run(source, tmp_path / "same.json", "asv2", "asv2")
    assert read(tmp_path / "same.json") == rows
    run(source, tmp_path / "out.json", "asv2", "paligemma")
    made = [turn["value"] for turn in read(tmp_path / "out.json")[0]["conversations"]]
    loc = "<loc0003><loc0002><loc0005><loc0004> dog"
    shape = [value.replace(f"{boxed} ?", "B").replace(boxed, "B") for value in values]
    assert [words.split("<loc")[0] for words in made] == [each.split("B")[0] for each in shape]
    assert made[0].startswith("<image>\n<loc") and made[0].endswith(" dog"), loc
    assert made[1].endswith("dog\n<image>")
    assert made[3:] == values[3:]


def svit(number: int, *entries: Any) -> dict[str, Any]:
    turns = [
        {"content": [{"from": "user", "value": q}, {"from": "gpt", "value": a}], "topic": t} for q, a, t in entries
    ]
    return {"image_id": number, "conversations": turns}


def picture(path: Path, width: int, height: int, orientation: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode_jpeg(np.zeros((height, width, 3), np.uint8), exif_orientation=orientation))


def test_svit_as_it_is_published(tmp_path: Path) -> None:
    picture(tmp_path / "VG_100K" / "107899.jpg", 640, 480)
    picture(tmp_path / "VG_100K_2" / "2.jpg", 480, 640)
    good = ("Where is <st>the man<ed> [0.1, 0.2, 0.3, 0.4]?", "On the left.", "places")
    rows = [
        svit(107899, good, ("What is [0.1, 0.2, 0.3]?", "A dog.", "things"), ("Is it day?", "Yes.", "time")),
        svit(2, good),
        svit(3, good),
    ]
    done = run(write(tmp_path / "in.json", rows), tmp_path / "out.json", "svit", "asv2", tmp_path)
    made = read(tmp_path / "out.json")
    assert [row["id"] for row in made] == ["107899-0", "107899-2", "2-0"]
    assert [row["image"] for row in made] == ["VG_100K/107899.jpg", "VG_100K/107899.jpg", "VG_100K_2/2.jpg"]
    assert [row["topic"] for row in made] == ["places", "time", "places"]
    assert made[0]["conversations"] == [
        {
            "from": "human",
            "value": "<image>\nWhere is <ref>the man</ref><box>[[99, 274, 299, 424]]</box>?",
        },
        {"from": "gpt", "value": "On the left."},
    ]
    assert done.rejected == {"bad_svit": 1, "no_picture": 1}
    kept = lines(tmp_path / "out.json.rejects.jsonl")
    assert [(row["index"], row["id"], row["code"], row["path"]) for row in kept] == [
        (0, "107899-1", "bad_svit", "conversations[0].value"),
        (2, "3-0", "no_picture", "image_id"),
    ]
    assert kept[0]["record"]["conversations"] == [rows[0]["conversations"][1]]
    again = [dict(row["record"]) for row in kept]
    again[0]["conversations"][0]["content"][0]["value"] = "What is [0.1, 0.2, 0.3, 0.4]?"
    mended = run(write(tmp_path / "again.json", again[:1]), tmp_path / "more.json", "svit", "asv2", tmp_path)
    assert (mended.written, read(tmp_path / "more.json")[0]["id"]) == (1, "107899-1")


def dialogue_of(words: str, **more: Any) -> dict[str, Any]:
    return {"id": "d", **more, "conversations": [{"from": "human", "value": words}]}


BOX = "<st>a dog<ed> [0.1, 0.2, 0.3, 0.4]"
PIECES = (BOX, "<image>", "<image>\n", "a cat", " [0.1, 0.2, 0.3, 0.4]", "<st>", "[1", "<ref>", " ", "<loc_1>")


@pytest.mark.parametrize(
    ("row", "code", "path"),
    [
        (dialogue_of(BOX, image="a.jpg"), "no_size", "conversations[0].value"),
        (dialogue_of(BOX), "no_size", "conversations[0].value"),
        (dialogue_of(BOX, width=0, height=5), "no_size", "conversations[0].value"),
        (dialogue_of(BOX, width=True, height=5), "no_size", "conversations[0].value"),
        (dialogue_of(BOX, width=1.5, height=5), "no_size", "conversations[0].value"),
        (dialogue_of(BOX, width="640", height="480"), "no_size", "conversations[0].value"),
        (dialogue_of(BOX, image=["a.jpg", "b.jpg"], width=9, height=9), "several_pictures", "conversations[0].value"),
        (dialogue_of("a <box> b", image="a.jpg"), "reserved_tag", "conversations[0].value"),
        (dialogue_of("a <st>b", image="a.jpg", width=9, height=9), "bad_svit", "conversations[0].value"),
        (dialogue_of("a <st>b"), "bad_svit", "conversations[0].value"),
        ([], "bad_record", ""),
        (None, "bad_record", ""),
        ("text", "bad_record", ""),
        ({}, "bad_record", "conversations"),
        ({"conversations": {}}, "bad_record", "conversations"),
        ({"conversations": [{"from": "gpt"}]}, "bad_record", "conversations[0].value"),
        ({"conversations": [{"value": "a"}, ["b"]]}, "bad_record", "conversations[1].value"),
        ({"image_id": 1, "conversations": [{"content": []}]}, "bad_record", "conversations[0].content"),
        (
            {"image_id": 1, "conversations": [{"content": [{"from": "me", "value": ""}]}]},
            "bad_record",
            "conversations[0].content[0]",
        ),
        ({"image_id": [], "conversations": [{"content": [{"from": "user", "value": ""}]}]}, "bad_record", "image_id"),
    ],
)
def test_a_bad_record_is_kept_aside(row: Any, code: str, path: str, tmp_path: Path) -> None:
    fine = dialogue_of("no boxes", width=3, height=4)
    done = run(write(tmp_path / "in.json", [fine, row, fine]), tmp_path / "out.json", "svit", "asv2")
    assert (done.read, done.written, done.rejected, done.unchanged) == (3, 2, {code: 1}, 2)
    (kept,) = lines(tmp_path / "out.json.rejects.jsonl")
    assert (kept["index"], kept["code"], kept["path"]) == (1, code, path)
    assert kept["record"] == ({"id": kept["id"], **row} if path.startswith(("image_id", "conversations[0].c")) else row)
    assert done.rejects == str(tmp_path / "out.json.rejects.jsonl")
    assert f"rejected: 1 {code}" in as_text(done)
    assert ("--images" in as_text(done)) is (code == "no_size")


def test_broken_json_is_kept_aside(tmp_path: Path) -> None:
    fine = json.dumps(dialogue_of("no boxes"))
    (tmp_path / "in.jsonl").write_text(f'{fine}\n{{"a": \n{fine}\n{{"w": NaN}}\n')
    done = run(str(tmp_path / "in.jsonl"), tmp_path / "out.jsonl", "svit", "asv2", rejects=str(tmp_path / "bad.jsonl"))
    assert (done.read, done.written, done.rejected) == (4, 2, {"bad_json": 2})
    assert [row["index"] for row in lines(tmp_path / "bad.jsonl")] == [1, 3]
    assert [row["id"] for row in lines(tmp_path / "out.jsonl")] == ["d", "d"]


def test_what_json_cannot_write_is_kept_aside(tmp_path: Path) -> None:
    boxed = json.dumps(dialogue_of(BOX, width=9, height=9, x=0.5) | {"id": 7}).replace("0.5", "1e999")
    (tmp_path / "in.jsonl").write_text(f'{boxed}\n{{"id": 8, "conversations": []}}\n')
    done = run(str(tmp_path / "in.jsonl"), tmp_path / "out.jsonl", "svit", "asv2")
    assert (done.written, done.rejected) == (1, {"bad_json": 1})
    (kept,) = lines(tmp_path / "out.jsonl.rejects.jsonl")
    assert (kept["id"], kept["record"]) == (7, None)
    assert "byte 0" in kept["detail"]


def test_records_without_boxes_pass_unchanged(tmp_path: Path) -> None:
    rows = [
        dialogue_of("What is 1 + 1? <image>", image=["a.jpg", "b.jpg"], extra=[1]),
        dialogue_of("half a surrogate \ud800 and 🎈"),
        {"conversations": []},
        dialogue_of("", image="absent.jpg"),
    ]
    done = run(write(tmp_path / "in.json", rows), tmp_path / "out.json", "svit", "qwen_vl", tmp_path)
    assert read(tmp_path / "out.json") == rows
    assert (done.unchanged, done.boxes, done.rejects) == (4, 0, None)
    assert not (tmp_path / "out.json.rejects.jsonl").exists()


@pytest.mark.parametrize("target", ["out.json", "out.jsonl"])
def test_a_record_without_boxes_is_copied_as_it_stands(target: str, tmp_path: Path) -> None:
    plain = r'{"id":1,  "x": 1.50, "y": 1e999, "conversations": [{"value": "\u0061 \u007a\ud800 é"}]}'
    wide = json.dumps({"id": 2, "conversations": []}, indent=1)
    (tmp_path / "in.json").write_text(f" [ {plain} ,\n{wide},{json.dumps(dialogue_of(BOX, width=9, height=9))}]")
    done = run(str(tmp_path / "in.json"), tmp_path / target, "svit", "asv2")
    assert (done.written, done.unchanged) == (3, 2)
    made = (tmp_path / target).read_text().strip("[]\n").split("\n")
    assert made[0].removesuffix(",") == plain
    assert made[1].removesuffix(",") == '{"id": 2, "conversations": []}'
    assert "<ref>a dog</ref><box>[[" in made[2]


NEAR = st.lists(st.sampled_from(("a", " ", "]", ">", ".", "\n", ", ", "犬", "ref", "0.5", BOX, *PIECES)), max_size=9)


@pytest.mark.parametrize("name", [name for name in TEXTS if hasattr(codec(name), "SIGNS")])
@hypothesis.given(st.text() | NEAR.map("".join), st.sampled_from(SIZES))
def test_a_text_without_signs_is_the_same_in_its_form(name: str, text: str, size: tuple[int, int]) -> None:
    for sign in codec(name).SIGNS:
        text = text.replace(sign, "")
    assert codec(name).decode(text, *size) == Grounded(text)
    assert codec(name).encode(Grounded(text), *size) == text


@pytest.mark.parametrize("to", CODECS)
@hypothesis.given(st.lists(st.lists(st.sampled_from(PIECES), max_size=4).map("".join), min_size=1, max_size=4))
@hypothesis.settings(max_examples=40, suppress_health_check=list(hypothesis.HealthCheck))
def test_the_short_way_past_plain_words_changes_nothing(to: str, values: list[str]) -> None:
    """The same with every turn read and written."""
    row = {"id": "d", "width": 640, "height": 480, "conversations": [{"value": value} for value in values]}

    def made(signs: tuple[str, ...] | None) -> Any:
        recaster = Recaster(codec("svit"), codec(to), None)
        recaster._signs = signs
        try:
            found = recaster.recast(row)
        except layouts.Refused as error:
            return error.code, error.detail, error.path
        return found.records, found.lost, found.left, found.boxes

    assert made(recast.signs(codec("svit"), codec(to))) == made(None)


def test_the_upright_picture_says_the_size_before_the_record_does(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg", 640, 480, orientation=6)
    row = dialogue_of(BOX, image="a.jpg", width=240, height=320)
    run(write(tmp_path / "in.json", [row]), tmp_path / "out.json", "svit", "asv2", tmp_path)
    upright = codec("asv2").encode(codec("svit").decode(BOX, 480, 640), 480, 640)
    (made,) = read(tmp_path / "out.json")
    assert made["conversations"][0]["value"] == upright
    assert (made["width"], made["height"]) == (480, 640), "those that the boxes were computed for"


@pytest.mark.parametrize(("size", "turned"), [((300, 900), None), ((640, 480), 6), ((480, 640), None)])
@pytest.mark.parametrize("strict", [False, True])
def test_a_picture_of_another_shape_is_not_the_one_that_was_annotated(
    size: tuple[int, int], turned: int | None, strict: bool, tmp_path: Path
) -> None:
    picture(tmp_path / "a.jpg", *size, orientation=turned)
    row = {**dialogue_of(BOX, image="a.jpg", width=640, height=480)}
    row["conversations"] = row["conversations"] * 2
    coco = {**INSTANCES, "images": [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}]}
    coco["annotations"] = [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [0, 0, 10, 10]}]
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    write(tmp_path / "in.json", [row])
    for name, from_ in (("in.json", "svit"), ("coco.json", "coco")):
        done = run(str(tmp_path / name), tmp_path / f"out_{name}", from_, "coco", tmp_path, strict=strict)
        assert (done.written, done.rejected) == (0, {"aspect_changed": 1})


def test_a_scaled_picture_rescales_pixels(tmp_path: Path) -> None:
    picture(tmp_path / "9.jpg", 200, 100)
    one = {**INSTANCES, "images": INSTANCES["images"][:1], "annotations": INSTANCES["annotations"][:1]}
    (tmp_path / "in.json").write_text(json.dumps(one))
    run(str(tmp_path / "in.json"), tmp_path / "out.json", "coco", "coco", tmp_path)
    made = json.loads((tmp_path / "out.json").read_text())
    assert (made["images"][0]["width"], made["images"][0]["height"]) == (200, 100)
    assert made["annotations"][0]["bbox"] == [20, 20, 40, 60]


@pytest.mark.parametrize("box", ["100, 20, 300, 900", "100, 20, 300, 100"])
def test_a_box_in_the_padding_is_kept_aside(box: str, tmp_path: Path) -> None:
    row = dialogue_of(f"<ref>cat</ref><box>[[{box}]]</box>", image="a.jpg", width=640, height=427)
    done = run(write(tmp_path / "in.json", [row]), tmp_path / "out.json", "asv2", "qwen_vl")
    assert (done.written, done.rejected) == (0, {"bad_rec": 1})
    (kept,) = lines(tmp_path / "out.json.rejects.jsonl")
    assert "asv2_unpadded" in kept["detail"]


@pytest.mark.parametrize("to", ["florence2", "paligemma"])
def test_phrases_without_boxes_leave_the_words(to: str, tmp_path: Path) -> None:
    size = {"width": 9, "height": 9}
    rows = [dialogue_of("the <ref>cat</ref> sleeps", **size), dialogue_of("<ref> </ref>", **size)]
    done = run(write(tmp_path / "in.json", rows), tmp_path / "out.json", "asv2", to)
    assert [row["conversations"][0]["value"] for row in read(tmp_path / "out.json")] == ["the cat sleeps"]
    assert (done.lost, done.rejected) == ({"regions": 1}, {"no_boxes": 1})
    assert run(str(tmp_path / "in.json"), tmp_path / "s.json", "asv2", to, strict=True).rejected["lossy"] == 1


@pytest.mark.parametrize(
    ("from_", "words", "rejected"),
    [
        ("svit", BOX, {}),
        ("qwen_vl", "<ref>a dog</ref><box>(1,2),(3,4)</box>", {}),
        ("qwen_vl", "<ref>a dog</ref><box>(1,2),(3", {"bad_qwen_vl": 1}),
        ("asv2", "<ref>a dog</ref><box>[[1, 2, 3, 4]]</box>", {"no_size": 1}),
    ],
)
def test_shares_of_the_picture_are_read_without_its_size(
    from_: str, words: str, rejected: dict[str, int], tmp_path: Path
) -> None:
    path = write(tmp_path / "in.json", [dialogue_of(words, image="a.jpg")])
    assert run(path, tmp_path / "out.json", from_, "plain").rejected == rejected
    if not rejected:
        assert read(tmp_path / "out.json")[0]["conversations"][0]["value"].strip() == "a dog"


def test_nested_records_keep_their_ids_and_pictures(tmp_path: Path) -> None:
    entry = ("Is it day?", "Yes.", "time")
    boxed = (BOX, "Yes.", "time")
    rows = [{**svit(7, entry, entry), "id": "own", "image": "VG_100K_2/7.jpg"}, svit(8, entry), svit(9, boxed)]
    done = run(write(tmp_path / "in.json", rows), tmp_path / "out.json", "svit", "asv2")
    made = read(tmp_path / "out.json")
    assert [row["id"] for row in made] == ["own-0", "own-1", "8-0"]
    assert [row.get("image") for row in made] == ["VG_100K_2/7.jpg", "VG_100K_2/7.jpg", None]
    assert (made[2]["image_id"], made[2]["conversations"][0]["value"]) == (8, "Is it day?")
    assert made[0]["conversations"][0]["value"] == "<image>\nIs it day?"
    assert (done.notes, done.rejected) == ({"no_picture": 1}, {"no_size": 1})
    assert as_text(done).startswith("wrote 3 of 4 dialogues of 3 records")
    assert f"note: 1 {losses.NOTES['no_picture']}" in as_text(done)


def test_tags_that_a_form_does_not_know_are_told(tmp_path: Path) -> None:
    said = "<ref>a</ref><box>[[1, 2, 3, 4]]</box> <pred>on</pred>"
    source = write(tmp_path / "in.json", [dialogue_of(said, width=9, height=9)])
    done = run(source, tmp_path / "out.json", "internvl", "qwen_vl")
    assert (done.written, done.notes) == (1, {"tags": 1})
    assert "note: 1 texts with tags" in as_text(done)
    assert run(source, tmp_path / "b.json", "asv2", "asv2").notes == {}


def test_what_a_form_does_not_hold_is_counted(tmp_path: Path) -> None:
    relation = (
        "<ref>man</ref><box>[[1, 2, 30, 40]]</box> <pred>on</pred><box>[[1, 2, 30, 40]]</box>"
        "<box>[[5, 6, 70, 80]]</box> <ref>bus</ref><box>[[5, 6, 70, 80]]</box>"
    )
    source = write(tmp_path / "in.json", [dialogue_of(relation, image="a.jpg", width=9, height=9)])
    wanted = {
        "asv2": {},
        "asv2_unpadded": {},
        "qwen_vl": {"relations": 1},
        "llava": {"relations": 1, "spans": 2},
        "plain": {"relations": 1, "regions": 2},
        "paligemma": {"relations": 1, "spans": 2, "texts": 1},
        "coco": {"relations": 1, "spans": 2, "texts": 1},
    }
    for to, lost in wanted.items():
        done = run(source, tmp_path / f"{to}.json", "asv2", to)
        assert done.lost == lost, to
        told = as_text(done)
        assert all(f"lost: {count} {layouts_word}" in told for count, layouts_word in words(lost)), told
        strict = run(source, tmp_path / f"{to}.strict.json", "asv2", to, strict=True)
        assert strict.rejected == ({"lossy": 1} if lost else {})
        assert strict.written == (0 if lost else 1)


def words(lost: dict[str, int]) -> list[tuple[int, str]]:
    return [(count, losses.REASONS[reason]) for reason, count in lost.items()]


def test_scores_and_tags_are_counted(tmp_path: Path) -> None:
    chunk = [0, 5, 0.1, 0.2, 0.3, 0.4, 0.9]
    row = {
        "caption": "a dog",
        "width": 9,
        "height": 9,
        "noun_chunks": [chunk],
        "ref_exps": [chunk],
        "url": "u",
        "key": "k",
    }
    source = write(tmp_path / "in.jsonl", [row])
    assert run(source, tmp_path / "a.json", "grit", "asv2").lost == {"scores": 1, "tags": 1}
    assert run(source, tmp_path / "b.json", "grit", "grit").lost == {"tags": 1}


def test_a_record_becomes_a_dialogue_of_two_turns(tmp_path: Path) -> None:
    chunk = [0, 5, 0.0, 0.0, 0.5, 0.5, 0.9]
    rows = [
        {
            "id": 5,
            "file_name": "x/5.jpg",
            "caption": "a dog",
            "width": 10,
            "height": 10,
            "noun_chunks": [chunk],
            "ref_exps": [],
        },
        {"id": 6, "caption": "a cat", "width": 10, "height": 10, "noun_chunks": [], "ref_exps": []},
    ]
    run(write(tmp_path / "in.json", rows), tmp_path / "out.json", "grit", "qwen_vl")
    one, two = read(tmp_path / "out.json")
    assert (one["id"], one["image"], one["width"], one["height"]) == (5, "x/5.jpg", 10, 10)
    assert one["conversations"] == [
        {"from": "human", "value": f"<image>\n{dialogue.GROUNDED}"},
        {"from": "gpt", "value": "<ref>a dog</ref><box>(0,0),(500,500)</box>"},
    ]
    assert "image" not in two
    assert [turn["value"] for turn in two["conversations"]] == [dialogue.CAPTION, "a cat"]


def test_each_grounded_turn_becomes_a_record(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": f"<image>\n{BOX}?"},
        {"from": "gpt", "value": "no"},
        {"from": "gpt", "value": BOX},
    ]
    row = {"id": "t", "image": "a.jpg", "width": 100, "height": 100, "conversations": turns}
    done = run(write(tmp_path / "in.json", [row]), tmp_path / "out.jsonl", "svit", "odvg")
    one, two = lines(tmp_path / "out.jsonl")
    assert (one["id"], two["id"], one["filename"]) == ("t-0", "t-1", "a.jpg")
    assert one["grounding"]["caption"] == "a dog?"
    assert one["grounding"]["regions"][0]["bbox"] == [10, 20, 30, 40]
    assert (done.left, done.written, done.boxes) == (1, 2, 2)
    assert "left out: 1 turns without boxes" in as_text(done)


INSTANCES: dict[str, Any] = {
    "info": {"year": 2017},
    "images": [
        {"id": 9, "file_name": "9.jpg", "width": 100, "height": 50},
        {"id": 33471, "file_name": "COCO_train2014_000000033471.jpg", "width": 640, "height": 480},
    ],
    "annotations": [
        {"id": 1, "image_id": 9, "category_id": 7, "bbox": [10, 10, 20, 30], "segmentation": [[1, 2, 3, 4]]},
        {"id": 366501, "image_id": 33471, "category_id": 7, "bbox": [64, 48, 128, 96]},
        {"id": 2, "image_id": 9, "category_id": 3, "bbox": [0, 0, 100, 50], "iscrowd": 1},
        {"id": 3, "image_id": 8, "category_id": 3, "bbox": [0, 0, 1, 1]},
    ],
    "categories": [{"id": 3, "name": "dog"}, {"id": 7, "name": "bus"}],
}


def test_a_coco_file_gives_a_record_for_each_picture(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps(INSTANCES))
    done = run(str(tmp_path / "in.json"), tmp_path / "out.json", "coco", "qwen_vl")
    one, two = read(tmp_path / "out.json")
    assert (one["id"], one["image"], one["width"], one["height"]) == (9, "9.jpg", 100, 50)
    said = one["conversations"][1]["value"]
    assert said == "<ref>bus</ref><box>(100,200),(300,800)</box>, <ref>dog</ref><box>(0,0),(1000,1000)</box>".replace(
        "1000", "999"
    )
    assert two["image"] == "COCO_train2014_000000033471.jpg"
    assert done.rejected == {"bad_coco": 1}


def test_crowds_and_outlines_are_counted(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps({**INSTANCES, "annotations": INSTANCES["annotations"][:3]}))
    for to in ("asv2", "coco", "odvg"):
        done = run(str(tmp_path / "in.json"), tmp_path / f"{to}.json", "coco", to)
        assert {key: done.lost[key] for key in ("crowd", "masks")} == {"crowd": 1, "masks": 1}
        strict = run(str(tmp_path / "in.json"), tmp_path / f"{to}.strict.json", "coco", to, strict=True)
        assert (strict.rejected, strict.written) == ({"lossy": 1}, 1)


def test_pictures_without_boxes_are_still_pictures(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps({**INSTANCES, "annotations": INSTANCES["annotations"][1:2]}))
    done = run(str(tmp_path / "in.json"), tmp_path / "there.json", "coco", "asv2")
    assert (done.written, done.notes) == (2, {"empty": 1})
    bare = read(tmp_path / "there.json")[0]
    assert bare == {"id": 9, "image": "9.jpg", "width": 100, "height": 50, "conversations": []}
    run(str(tmp_path / "there.json"), tmp_path / "back.json", "asv2", "coco")
    made = json.loads((tmp_path / "back.json").read_text())
    assert [(each["file_name"], each["width"]) for each in made["images"]] == [
        ("9.jpg", 100),
        ("COCO_train2014_000000033471.jpg", 640),
    ]
    assert [each["image_id"] for each in made["annotations"]] == [2]


def test_a_coco_file_is_written_for_all(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps({**INSTANCES, "annotations": INSTANCES["annotations"][:3]}))
    run(str(tmp_path / "in.json"), tmp_path / "out.json", "coco", "coco")
    made = json.loads((tmp_path / "out.json").read_text())
    assert [image["file_name"] for image in made["images"]] == ["9.jpg", "COCO_train2014_000000033471.jpg"]
    assert [(each["id"], each["image_id"]) for each in made["annotations"]] == [(1, 1), (2, 1), (3, 2)]
    names = {each["id"]: each["name"] for each in made["categories"]}
    assert [names[each["category_id"]] for each in made["annotations"]] == ["bus", "dog", "bus"]
    assert [each["bbox"] for each in made["annotations"]] == [[10, 10, 20, 30], [0, 0, 100, 50], [64, 48, 128, 96]]


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"images": [1]}', '{"images": [{"id": 1}, {"id": 1}]}', '{"images": []} x', '{"images": [] "a"'],
)
def test_a_damaged_instances_file_is_a_mistake(text: str, tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_text(text)
    source = write(tmp_path / "in.json", [])
    with pytest.raises(ConfigError, match="no COCO instances file"):
        run(source, tmp_path / "out.json", "gvc", "asv2", instances=str(tmp_path / "coco.json"))
    assert not (tmp_path / "out.json").exists()


def test_grounded_visual_chat(tmp_path: Path) -> None:
    (tmp_path / "coco.json").write_text(json.dumps(INSTANCES))
    answer = {
        "id": "000000033471",
        "image": "000000033471.jpg",
        "conversations": [
            {"from": "human", "value": "<image>\nWhat is it? (with grounding)"},
            {"from": "gpt", "value": "It is <g_s> a bus <g_e> <seg> in <g_s> town <g_e> <seg>."},
        ],
        "gd_ls": [[366501], None],
    }
    question = {
        "id": "000000033471",
        "image": "000000033471.jpg",
        "conversations": [
            {"from": "human", "value": "<image>\nWhat are the colors of the object <obj> in the image?"},
            {"from": "gpt", "value": "The bus in the image is white and red."},
        ],
        "q_gd_ls": [[366501]],
    }
    bare = {"id": "1", "conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]}
    wrong = [
        {**answer, "gd_ls": [[1], None]},
        {**answer, "id": "9"},
        {**answer, "gd_ls": None},
        {**question, "q_gd_ls": [[366501, 366501]]},
        {**question, "q_gd_ls": [[1]]},
        {**question, "id": "5"},
    ]
    source = write(tmp_path / "in.json", [answer, question, bare, *wrong])
    done = run(source, tmp_path / "out.json", "gvc", "svit", instances=str(tmp_path / "coco.json"))
    one, two, three = read(tmp_path / "out.json")
    assert one["conversations"][1]["value"] == "It is <st>a bus<ed> [0.1, 0.1, 0.3, 0.3] in town."
    assert one["conversations"][0] == answer["conversations"][0]
    assert "gd_ls" not in one
    said = two["conversations"][0]["value"]
    assert said == "<image>\nWhat are the colors of the object [0.1, 0.1, 0.3, 0.3] in the image?"
    assert three == bare
    assert done.rejected == {"bad_gvc": 5, "no_size": 1}
    assert done.lost == {"regions": 1}
    without = run(source, tmp_path / "none.json", "gvc", "svit")
    assert without.rejected == {"bad_record": 9}


def test_nothing_is_written_over_without_force(tmp_path: Path) -> None:
    source = write(tmp_path / "in.json", [dialogue_of("a <st>b")])
    run(source, tmp_path / "out.json", "svit", "asv2")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match="already"):
        run(source, tmp_path / "out.json", "svit", "asv2")
    with pytest.raises(ConfigError, match="already"):
        run(source, tmp_path / "new.json", "svit", "asv2", rejects=str(tmp_path / "out.json"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    run(source, tmp_path / "out.json", "svit", "asv2", force=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    run(source, tmp_path / "out.json", "plain", "plain", force=True)
    assert not (tmp_path / "out.json.rejects.jsonl").exists(), "rejects of an earlier run are no longer true"


@pytest.mark.parametrize(("source", "target"), [("in.json", "in.json"), ("in.json", "x.json"), ("none.json", "y.json")])
def test_files_that_cannot_be(source: str, target: str, tmp_path: Path) -> None:
    write(tmp_path / "in.json", [])
    rejects = str(tmp_path / "x.json")
    with pytest.raises(ConfigError, match=r"different files|no such file"):
        run(str(tmp_path / source), tmp_path / target, "svit", "asv2", rejects=rejects, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]


SPELLINGS = ("in.json", "./in.json", "sub/../in.json", "link.json", "hard.json", "linked/in.json", "file://{}/in.json")


@pytest.mark.parametrize("role", ["out", "rejects", "aside", "instances", "both"])
@pytest.mark.parametrize("other", SPELLINGS)
def test_one_file_is_one_however_it_is_spelled(
    other: str, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    coco = json.dumps(INSTANCES)
    (tmp_path / "in.json").write_text(coco)
    (tmp_path / "link.json").symlink_to("in.json")
    (tmp_path / "hard.json").hardlink_to(tmp_path / "in.json")
    (tmp_path / "linked").symlink_to(tmp_path, target_is_directory=True)
    name = other.format(tmp_path)
    given: dict[str, tuple[str, str, dict[str, Any]]] = {
        "out": ("in.json", name, {}),
        "rejects": ("in.json", "out.json", {"rejects": name}),
        "aside": ("b.json.rejects.jsonl", "./b.json", {}),
        "instances": ("b.json.rejects.jsonl", "out.json", {"instances": "in.json", "rejects": name}),
        "both": ("b.json.rejects.jsonl", "in.json", {"rejects": name}),
    }
    write(tmp_path / "b.json.rejects.jsonl", [dialogue_of("a")])
    source, target, options = given[role]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(ConfigError, match="different files"):
        run_as(source, target, "svit", "asv2", **options)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def run_as(source: str, to: str, from_: str, as_: str, rejects: str | None = None, **options: Any) -> Converted:
    console = Console(quiet=True)
    return convert(source, to, from_, as_, None, rejects, PROJECT, console, Options(force=True, **options))


def test_one_file_of_a_store_is_one_however_it_is_spelled() -> None:
    assert same_file.same("memory://x/a.json", "memory:///x/a.json")
    assert not same_file.same("memory://x/a.json", "memory://x/b.json")
    assert not same_file.same("memory://x/a.json", "x/a.json")


def test_a_folder_of_pictures_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    source = write(tmp_path / "in.json", [dialogue_of(BOX, image="a.jpg")])
    for folder in (tmp_path / "nope", tmp_path / "in.json"):
        with pytest.raises(ConfigError, match="no such folder of pictures"):
            run(source, tmp_path / "out.json", "svit", "asv2", folder)
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path) -> None:
    rows = [record("asv2", n, each, SIZES[n % 3]) for n, each in enumerate(CAPTIONS)] + [dialogue_of("<ref>")]
    source = write(tmp_path / "in.json", [*rows, {**rows[0], "x": 0.5}])
    (tmp_path / "in.json").write_text((tmp_path / "in.json").read_text().replace("0.5", "1e999"))
    dry = run(source, tmp_path / "out.json", "asv2", "paligemma", dry_run=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.json"]
    wet = run(source, tmp_path / "out.json", "asv2", "paligemma")
    same = ("read", "written", "unchanged", "boxes", "rejected", "lost", "left")
    assert [getattr(dry, name) for name in same] == [getattr(wet, name) for name in same]
    assert as_text(dry).startswith("would write 3 of 5 records")


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "in.json", [dialogue_of("a"), dialogue_of("<st>"), dialogue_of("b")])
    (tmp_path / "out.json").write_text("earlier")

    def broken(source: str) -> Any:
        yield from list(json_stream.records(source))[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr("curate.convert._records", broken)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "out.json", "svit", "asv2", force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.json", "out.json"]
    assert (tmp_path / "out.json").read_text() == "earlier"


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    rows = [record("asv2", n, each, SIZES[n % 3]) for n, each in enumerate(CAPTIONS)] * 5 + [dialogue_of("<ref>")]
    source = write(tmp_path / "in.json", rows)
    for name in ("a.json", "b.json"):
        run(source, tmp_path / name, "asv2", "svit")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    bad = [(tmp_path / f"{name}.json.rejects.jsonl").read_bytes() for name in "ab"]
    assert bad[0] == bad[1]


def test_progress_is_told_by_parts_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("curate.convert.PART_BYTES", 1000)
    source = write(tmp_path / "in.json", [dialogue_of("a" * 100)] * 50)
    convert(source, str(tmp_path / "out.json"), "svit", "asv2", None, None, PROJECT, Console())
    told = capsys.readouterr().err
    parts = Path(source).stat().st_size // 1000 + 1
    assert f"svit → asv2 convert 50 rows {parts}/{parts} shards" in told


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "image",
                    "image_id",
                    "conversations",
                    "from",
                    "value",
                    "content",
                    "width",
                    "height",
                    "caption",
                    "images",
                    "annotations",
                    "categories",
                    "noun_chunks",
                    "ref_exps",
                    "grounding",
                    "filename",
                    "gd_ls",
                    "q_gd_ls",
                    "bbox",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@hypothesis.given(st.lists(JSONS, max_size=4), st.sampled_from(CODECS), st.sampled_from(CODECS))
@hypothesis.settings(max_examples=60, suppress_health_check=list(hypothesis.HealthCheck))
def test_whatever_a_file_holds_is_written_or_kept_aside(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], from_: str, to: str
) -> None:
    folder = tmp_path_factory.mktemp("x")
    done = run(write(folder / "in.json", rows), folder / "out.json", from_, to)
    assert done.read == len(rows)
    seen = done.written + done.rejected.total() + done.left
    assert seen >= sum(1 for row in rows if not (isinstance(row, dict) and row.get("conversations") == []))
    kept = lines(folder / "out.json.rejects.jsonl") if done.rejected else []
    assert len(kept) == done.rejected.total()
    assert all(row["code"] and set(row) == {"index", "id", "code", "detail", "path", "record"} for row in kept)


@pytest.mark.parametrize("words", ["<image>", " <image>", "<image> a ", "a"])
def test_markers_are_found_in_linear_time(words: str) -> None:
    assert growth(lambda size: layouts.apart("a" + words * size), 20_000) < 20


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr(json_window, "BLOCK_BYTES", 1 << 14)

    source = write(tmp_path / "in.json", [record("asv2", n, CAPTIONS[0], SIZES[0]) for n in range(8000)])
    run(source, tmp_path / "out.json", "asv2", "svit", dry_run=True)
    tracemalloc.start()
    run(source, tmp_path / "out.json", "asv2", "svit")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < (tmp_path / "in.json").stat().st_size / 3
