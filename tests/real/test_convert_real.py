"""Published annotations into every written form and back: nothing is lost that the forms do not say they lose."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from curate import plugins
from curate.console import Console
from curate.convert import Converted, Options, convert
from curate.io import coco_files
from curate.plugins import Project
from curate.sample import Grounded, Region
from curate.stages import layouts
from curate.stages.recast import holds_records, listed

PROJECT = Project(str(plugins.shipped()))
BOXED = [n for n in plugins.names("codecs", PROJECT) if plugins.load("codecs", n, PROJECT).FRAME != "none"]
COCO128 = "photos_coco/developer0hye__COCO128"
SOME = 60
"""Records of a large file that are taken."""

HEADING = re.compile(r"[\w ]+: \[[0-9, ]+\]\n")

Rows = list[dict[str, Any]]


def codec(name: str) -> Any:
    return plugins.load("codecs", name, PROJECT)


def dialogue(number: object, size_wh: tuple[int, int], answer: str) -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nWhat is there?"}, {"from": "gpt", "value": answer}]
    return {
        "id": str(number),
        "image": f"{number}.jpg",
        "width": size_wh[0],
        "height": size_wh[1],
        "conversations": turns,
    }


def all_seeing(shared: Path) -> Rows:
    """The examples of the prompts that AS-V2 was generated with: boxes of the picture as it is, predicates, faults."""
    files = sorted((shared / "annotations/as_v2").rglob("*_conv.txt"))
    answers = [answer for file in files for answer in file.read_text().split("\n\n") if "<ref>" in answer]
    return [dialogue(number, (640, 427), answer) for number, answer in enumerate(answers)]


def llava_boxes(shared: Path) -> Rows:
    """Captions with the boxes that GPT-4 saw, as lines of `name [x1, y1, x2, y2]`."""
    file = shared / "annotations/llava/haotian-liu__LLaVA/llava/eval/table/caps_boxes_coco2014_val_80.jsonl"
    rows = []
    for line in file.read_text().splitlines():
        told = json.loads(line)
        words = "\n".join(f"{each['category']} {each['bbox']}" for each in told["instances"])
        rows.append(dialogue(told["id"], (480, 640), "\n".join([*told["captions"], words])))
    return rows


def refcoco(shared: Path) -> Rows:
    """Referring expressions with their boxes in pixels, as SVIT writes them."""
    file = shared / "annotations/refcoco/Vision-CAIR__MiniGPT-4/eval_scripts/eval_data/refcocog_val.json"
    rows = []
    for number, told in enumerate(json.loads(file.read_text())[:SOME]):
        width, height = told["width"], told["height"]
        x, y, wide, high = told["bbox"]
        box = (x / width, y / height, (x + wide) / width, (y + high) / height)
        words = told["sents"].strip()
        grounded = Grounded(f"It is {words}.", (Region(words, (box,), start=6, end=6 + len(words)),))
        rows.append(dialogue(number, (width, height), codec("svit").encode(grounded, width, height)))
    return rows


SETS: dict[str, tuple[str, Callable[[Path], Rows]]] = {
    "as_v2": ("asv2_unpadded", all_seeing),
    "llava": ("pink", llava_boxes),
    "refcoco": ("svit", refcoco),
}


def run(source: Path, target: Path, from_: str, to: str, pictures: Path | None = None) -> Converted:
    found = str(pictures) if pictures is not None else None
    return convert(str(source), str(target), from_, to, found, None, PROJECT, Console(quiet=True), Options())


def read(path: Path) -> Rows:
    found: Any = json.loads(path.read_text())
    return found if isinstance(found, list) else list(coco_files.read(str(path)).records())


def said(name: str, row: dict[str, Any], size: tuple[int, int]) -> Grounded:
    if not row.get("conversations", True):  # a picture without words and boxes
        return Grounded("")
    text = json.dumps(row) if holds_records(codec(name)) else row["conversations"][1]["value"]
    found: Grounded = codec(name).decode(text, *size)
    return found


def boxes(grounded: Grounded, left: tuple[int, ...] = ()) -> list[tuple[float, ...]]:
    return sorted(box for n, region in enumerate(grounded.regions) if n not in left for box in region.boxes)


def held(old: Grounded, new: Grounded, to: str, size: tuple[int, int], from_tolerance: float) -> None:
    """Assert that all of `old` that codec `to` says it holds is in `new`."""
    form = codec(to)
    if not old.text and "text" in form.HOLDS:
        old = listed(old)
    left = form.uncoded(old)
    wanted, found = boxes(old, left), boxes(new)
    allowed = from_tolerance + tolerance(to, size)
    assert len(wanted) == len(found)
    for one in wanted:
        assert min(max(abs(a - b) for a, b in zip(one, two, strict=True)) for two in found) <= allowed
    if "text" in form.HOLDS:
        assert new.text == old.text
    if form.HOLDS & {"spans", "phrases"}:
        kept = [region for n, region in enumerate(old.regions) if n not in left and region.phrase]
        assert {region.phrase for region in kept} <= {region.phrase for region in new.regions}
    if "relations" in form.HOLDS:
        lost = form.uncoded_relations(old)
        kept = [relation.predicate for n, relation in enumerate(old.relations) if n not in lost]
        assert [relation.predicate for relation in new.relations] == kept


def tolerance(name: str, size: tuple[int, int]) -> float:
    form = codec(name)
    return float(form.TOLERANCE) * (max(size) / min(size) if form.FRAME == "square_pad" else 1.0) + 1e-9


@pytest.mark.parametrize("to", BOXED)
@pytest.mark.parametrize("name", SETS)
def test_there_and_back(name: str, to: str, shared: Path, tmp_path: Path) -> None:
    from_, rows_of = SETS[name]
    rows = rows_of(shared)
    (tmp_path / "in.json").write_text(json.dumps(rows))
    done = run(tmp_path / "in.json", tmp_path / "out.json", from_, to)
    # The prompts' headings "person: [101, 252, 430, 963]" would be read as boxes in forms of bare boxes.
    if done.rejected:
        assert set(done.rejected) == {"reserved_tag"}
        kept = [json.loads(line)["record"] for line in (tmp_path / "out.json.rejects.jsonl").read_text().splitlines()]
        assert all(HEADING.match(row["conversations"][1]["value"]) for row in kept)
        rows = [row for row in rows if row not in kept]
    back = run(tmp_path / "out.json", tmp_path / "back.json", to, from_)
    assert not back.rejected, (tmp_path / "back.json.rejects.jsonl").read_text()[:500]
    there, home = read(tmp_path / "out.json"), read(tmp_path / "back.json")
    assert len(rows) > 5
    assert (
        done.written
        == len(there)
        == len([row for row in rows if said(from_, row, sized(row)).regions or done.left == 0 or to == "coco"])
    )
    seen = written = 0
    by_name = {layouts.name_of(row): row for row in rows}
    for out, again in zip(there, home, strict=True):
        row = by_name[layouts.name_of(out)]
        size = sized(row)
        if not said(from_, row, size).regions and to == "coco":
            assert (out["annotations"], again["conversations"]) == ([], [])
            continue
        if not said(from_, row, size).regions:
            assert out["conversations"] == again["conversations"] == row["conversations"]
            continue
        old, new, last = said(from_, row, size), said(to, out, size), said(from_, again, size)
        held(old, new, to, size, tolerance(from_, size))
        held(new, last, from_, size, tolerance(to, size))
        seen += len(boxes(old))
        written += len(boxes(new))
    lost = sum(len(codec(to).uncoded(said(from_, row, sized(row)))) for row in rows)
    assert done.lost["regions"] == lost
    assert done.boxes == written
    assert seen >= 50


def sized(row: dict[str, Any]) -> tuple[int, int]:
    return row["width"], row["height"]


@pytest.mark.parametrize("to", BOXED)
def test_coco_with_its_pictures(to: str, shared: Path, tmp_path: Path) -> None:
    folder = shared / COCO128
    source = folder / "annotations/instances_train2017.json"
    done = run(source, tmp_path / "out.json", "coco", to, folder / "train2017")
    instances = coco_files.read(str(source))
    assert done.read == len(instances.images)
    assert not done.rejected, (tmp_path / "out.json.rejects.jsonl").read_text()[:500]
    pictures = {each["images"][0]["file_name"]: each for each in instances.records()}
    for row in read(tmp_path / "out.json"):
        name = layouts.name_of(row)
        image = pictures[name]["images"][0]
        size = image["width"], image["height"]
        new = said(to, row, size)
        wide, high = size
        wanted = sorted(
            (x / wide, y / high, (x + w) / wide, (y + h) / high)
            for x, y, w, h in (each["bbox"] for each in pictures[name]["annotations"])
        )
        found = boxes(new)
        assert len(found) == len(wanted)
        allowed = tolerance(to, size) + tolerance("coco", size) + 0.5 / min(size)
        for one in wanted:
            assert min(max(abs(a - b) for a, b in zip(one, two, strict=True)) for two in found) <= allowed


def test_dialogues_without_boxes_pass(shared: Path, tmp_path: Path) -> None:
    file = shared / "conversations/haotian-liu__LLaVA/playground/data/eval/scienceqa/llava_test_CQM-A.json"
    done = run(file, tmp_path / "out.json", "asv2", "qwen_vl")
    assert (done.read, done.written, done.boxes) == (len(read(file)), len(read(file)), 0)
    assert done.unchanged == done.read
    assert read(tmp_path / "out.json") == read(file)
