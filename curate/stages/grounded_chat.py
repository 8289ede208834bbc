"""LLaVA-Grounding's grounded visual chat as it is published: dialogues whose boxes lie in COCO's annotations.

`gd_ls` has the annotation ids of each `<seg>` of the answers, `q_gd_ls` those of the `<obj>` of each question; the
picture is the one whose number is the record's id (UX-Decoder/LLaVA-Grounding datasets_os and, first commit,
scripts/data_process).
"""

from collections.abc import Callable
from typing import Any

from curate.errors import SampleError
from curate.grounding import gvc_records
from curate.io.coco_files import Instances
from curate.io.sizes import Size
from curate.sample import Grounded, Region

Json = dict[str, Any]
Decode = Callable[[str, int, int], Grounded]

KEYS = ("gd_ls", "q_gd_ls")
_OBJECT = "<obj>"
_MARKS = ("<g_s>", "<g_e>", "<seg>", _OBJECT)


def size_of(record: Json, instances: Instances) -> Size:
    """Return the size in pixels of a record's picture; SampleError `no_size` where the instances do not tell it."""
    found = instances.images.get(_number(record), {})
    width, height = found.get("width"), found.get("height")
    if type(width) is not int or type(height) is not int or width < 1 or height < 1:
        raise SampleError("no_size", f"no picture {record.get('id')!r:.80} with its size among the instances")
    return width, height


def readings(record: Json, instances: Instances, decode: Decode) -> list[Grounded]:
    """Return what each turn says; `decode` is that of codec `gvc`.

    Raises SampleError `bad_gvc` as `gvc_records.from_record`, and where `q_gd_ls` does not fit the questions;
    `no_size`.
    """
    turns = [turn["value"] for turn in record["conversations"]]
    if not record.get("gd_ls") and not record.get("q_gd_ls"):
        if any(mark in value for value in turns for mark in _MARKS):
            raise SampleError("bad_gvc", "marks in the texts, but neither gd_ls nor q_gd_ls")
        return [Grounded(value) for value in turns]
    size = size_of(record, instances)
    annotations = instances.of(_number(record))
    if record.get("q_gd_ls"):
        return _questions(record, {each.get("id"): each.get("bbox") for each in annotations}, size)
    texts = iter(gvc_records.from_record(record, annotations))
    return [
        decode(next(texts), *size) if turn.get("from") == "gpt" else Grounded(turn["value"])
        for turn in record["conversations"]
    ]


def _questions(record: Json, boxes: dict[Any, Any], size: Size) -> list[Grounded]:
    """Return the turns with a box that stands by itself for each `<obj>` of the questions."""
    named = record["q_gd_ls"]
    humans = [turn for turn in record["conversations"] if turn.get("from") == "human"]
    if not isinstance(named, list) or len(named) != len(humans):
        raise SampleError("bad_gvc", f"q_gd_ls has no entry for each of {len(humans)} questions")
    entries = iter(named)
    return [
        _question(turn["value"], next(entries), boxes, size) if turn.get("from") == "human" else Grounded(turn["value"])
        for turn in record["conversations"]
    ]


def _question(value: str, ids: Any, boxes: dict[Any, Any], size: Size) -> Grounded:
    pieces = value.split(_OBJECT)
    ids = [] if ids is None else ids
    if not isinstance(ids, list) or len(ids) != len(pieces) - 1:
        raise SampleError("bad_gvc", f"{len(pieces) - 1} {_OBJECT} and another number of ids in q_gd_ls")
    text, regions = "", []
    for piece, number in zip(pieces[:-1], ids, strict=True):
        text += piece.removesuffix(" ")
        box = boxes.get(number) if isinstance(number, int) else None
        if not isinstance(box, list) or len(box) != 4 or not all(type(px) in (int, float) for px in box):
            raise SampleError("bad_gvc", f"no annotation {number!r:.80} of this picture with a box")
        x, y, wide, high = box
        shares = (x / size[0], y / size[1], (x + wide) / size[0], (y + high) / size[1])
        regions.append(Region("", (shares,), start=len(text), end=len(text)))
    return Grounded(text + pieces[-1], tuple(regions))


def _number(record: Json) -> int:
    name = str(record.get("id"))
    return int(name) if name.isascii() and name.isdecimal() and len(name) < 20 else -1
