"""ODVG, the grounding record of MM Grounding DINO and Open-GroundingDino: a caption and its regions in pixels.

`{"filename", "height", "width", "grounding": {"caption", "regions": [{"bbox", "phrase", "tokens_positive"}]}}`,
one JSON object on a line. `bbox` is [x1, y1, x2, y2] in pixels, or a list of them for several boxes of a phrase;
`tokens_positive` is a list of [start, end] in characters of the caption, end exclusive
(open-mmlab/mmdetection mmdet/datasets/odvg.py and tools/dataset_converters/{goldg,grit}2odvg.py;
longzw1997/Open-GroundingDino data_format.md, which has no `tokens_positive`). `filename` is empty, as a codec
does not know it.

What the form cannot hold: scores, tags, relations. A phrase of several stretches of the caption, which
mmdetection writes as a list, is read as one phrase without a place.
"""

from typing import Any

from curate.grounding import json_record
from curate.grounding.json_record import PX_TOLERANCE, Path, Record
from curate.sample import Box, Grounded, Region

FRAME = "original"
"""Coordinates are pixels of the picture."""

HOLDS = frozenset({"text", "spans", "phrases"})
"""What comes back besides the boxes."""

TOLERANCE = PX_TOLERANCE + 1e-9
"""Largest error of a coordinate as a share of the picture: half a thousandth of a pixel, in a picture of one
pixel; a 640th of it for 640."""


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the record of a picture of width x height pixels, corners rounded to a thousandth.

    Boxes are cut to the picture. A region without a place in the text has no `tokens_positive`. Raises
    SampleError: `bad_box` for a coordinate that is not finite or corners the wrong way round, `bad_size`.
    """
    json_record.check_size(width, height)
    regions = []
    length = len(grounded.text)
    for region in grounded.regions:
        boxes = [_written(json_record.thousandths(box, width, height)) for box in region.boxes]
        if not boxes or not _fits(region, length):
            continue
        several = boxes[0] if len(boxes) == 1 else f"[{', '.join(boxes)}]"
        placed = region.start is not None and region.end is not None
        span = f', "tokens_positive": [[{region.start}, {region.end}]]' if placed else ""
        regions.append(f'{{"bbox": {several}, "phrase": {json_record.quoted(region.phrase)}{span}}}')
    return (
        f'{{"filename": "", "height": {height}, "width": {width}, "grounding": '
        f'{{"caption": {json_record.quoted(grounded.text)}, "regions": [{", ".join(regions)}]}}}}'
    )


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of regions that the record leaves out: without a box, or with a span outside the text."""
    length = len(grounded.text)
    return tuple(i for i, region in enumerate(grounded.regions) if not region.boxes or not _fits(region, length))


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the caption and a region for each of the record's, in their order.

    Pixels are of the size that the record itself states. A box half a pixel over the edge is cut to the
    picture. Linear in the text's length.

    Raises SampleError `bad_odvg`, with the position in characters: no such object, a box that is not four finite
    numbers, outside the picture or with its corners the wrong way round, a span outside the caption.
    """
    json_record.check_size(width, height)
    record = json_record.load(text, "bad_odvg")
    size = record.size(record.value)
    grounding = record.object(record.value.get("grounding"), ("grounding",))
    caption = record.string(grounding.get("caption"), ("grounding", "caption"))
    listed = record.listed(grounding.get("regions"), ("grounding", "regions"))
    regions = []
    for index, value in enumerate(listed):
        path: Path = ("grounding", "regions", index)
        region = record.object(value, path)
        span = _span(record, region.get("tokens_positive", []), (*path, "tokens_positive"), len(caption))
        phrase = _phrase(record, region.get("phrase"), (*path, "phrase"))
        boxes = _boxes(record, region.get("bbox"), (*path, "bbox"), size)
        regions.append(Region(phrase, boxes, start=span[0], end=span[1]) if span else Region(phrase, boxes))
    return Grounded(caption, tuple(regions))


def _written(corners: tuple[int, int, int, int]) -> str:
    """Return corners in thousandths of a pixel as a list of pixels, whole ones without a point."""
    a, b, c, d = corners
    if a % 1000 or b % 1000 or c % 1000 or d % 1000:
        return "[" + ", ".join([f"{n / 1000}" if n % 1000 else f"{n // 1000}" for n in corners]) + "]"
    return f"[{a // 1000}, {b // 1000}, {c // 1000}, {d // 1000}]"


def _fits(region: Region, length: int) -> bool:
    if region.start is None or region.end is None:
        return True
    return 0 <= region.start <= region.end <= length


def _boxes(record: Record, value: Any, path: Path, size_wh: tuple[int, int]) -> tuple[Box, ...]:
    several = record.listed(value, path)
    if not several or not isinstance(several[0], list):
        return (record.px_share(record.numbers(several, 4, path), path, size_wh),)
    places = [(box, (*path, index)) for index, box in enumerate(several)]
    return tuple(record.px_share(record.numbers(box, 4, place), place, size_wh) for box, place in places)


def _phrase(record: Record, value: Any, path: Path) -> str:
    if isinstance(value, list):
        return " ".join([record.string(words, (*path, index)) for index, words in enumerate(value)])
    return record.string(value, path)


def _span(record: Record, value: Any, path: Path, length: int) -> tuple[int, int] | None:
    """Return the only span of the list; None where there are none or several."""
    spans = []
    for index, span in enumerate(record.listed(value, path)):
        start, end = record.numbers(span, 2, (*path, index))
        if start != int(start) or end != int(end) or not 0 <= start <= end <= length:
            raise record.bad(f"a span outside the caption of {length} characters", (*path, index))
        spans.append((int(start), int(end)))
    return spans[0] if len(spans) == 1 else None
