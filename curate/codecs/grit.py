"""GRiT's record: a JSON object of a caption whose noun chunks and referring expressions carry boxes.

Format: the data instance in https://github.com/microsoft/unilm/tree/master/kosmos-2 (README) and
https://huggingface.co/datasets/zzliang/GRIT, of which the keys that can be known are written: `caption`, `width`,
`height`, `noun_chunks`, `ref_exps`. An entry of the two lists is [char start, char end, x0, y0, x1, y1, score]:
characters of the caption, end exclusive; box in 0 to 1 of width and height. `ref_exps[i]` is the expression
around `noun_chunks[i]`, with the same box, or its copy.

A region tagged `ref_exp` is an expression, any other a noun chunk. What the form cannot hold: relations, other
tags, different scores of one span, a phrase that is not the text of its span. A missing score is null, which the
published files do not have.
"""

from math import isfinite

from curate.errors import SampleError
from curate.grounding import json_record
from curate.grounding.json_record import Record
from curate.sample import Box, Grounded, Region

FRAME = "original"
"""Coordinates are shares of the picture."""

HOLDS = frozenset({"text", "spans", "score"})
"""What comes back besides the boxes."""

TOLERANCE = 0.0
"""Coordinates of a box inside the picture are written in full."""

_CHUNK, _EXPRESSION = "noun_chunk", "ref_exp"

_Entry = tuple[Box, str]
"""A box, and its entry as it is written."""


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the record of a picture of width x height pixels.

    Boxes are cut to the picture. A noun chunk that no expression shares its box with is its own expression.
    Raises SampleError: `bad_box` for a coordinate that is not finite or corners the wrong way round, `bad_score`
    for a score that is not finite, `bad_size`.
    """
    json_record.check_size(width, height)
    chunks: list[_Entry] = []
    expressions: list[_Entry] = []
    length = len(grounded.text)
    for region in grounded.regions:
        boxes = [json_record.cut(box) for box in region.boxes]
        if _fits(region, length):
            entries = expressions if _EXPRESSION in region.tags and _CHUNK not in region.tags else chunks
            score = "null" if region.score is None else _number(region.score)
            for box in boxes:
                x0, y0, x1, y1 = box
                entries.append((box, f"[{region.start}, {region.end}, {x0}, {y0}, {x1}, {y1}, {score}]"))
    noun_chunks = ", ".join([entry for _, entry in chunks])
    ref_exps = ", ".join(_beside(chunks, expressions)) if expressions else noun_chunks
    return (
        f'{{"caption": {json_record.quoted(grounded.text)}, "width": {width}, "height": {height}, '
        f'"noun_chunks": [{noun_chunks}], "ref_exps": [{ref_exps}]}}'
    )


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of regions that the record leaves out: without a box or without words of the caption."""
    length = len(grounded.text)
    return tuple(i for i, region in enumerate(grounded.regions) if not region.boxes or not _fits(region, length))


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the caption and its regions, noun chunks first; boxes are shares of whatever size the picture has.

    Entries of one span become one region, boxes in order, its score the least of theirs. An expression with the
    span and the boxes of a noun chunk adds nothing and is left out. Linear in the text's length.

    Raises SampleError `bad_grit`, with the position in characters: no such object, an entry that is not seven
    finite numbers (or a null score), a span outside the caption, a box outside the picture or with its corners
    the wrong way round.
    """
    json_record.check_size(width, height)
    record = json_record.load(text, "bad_grit")
    caption = record.string(record.value.get("caption"), ("caption",))
    record.size(record.value)
    chunks = _regions(record, caption, "noun_chunks", _CHUNK)
    known = {(region.start, region.end, region.boxes) for region in chunks}
    expressions = _regions(record, caption, "ref_exps", _EXPRESSION)
    added = [region for region in expressions if (region.start, region.end, region.boxes) not in known]
    return Grounded(caption, (*chunks, *added))


def _fits(region: Region, length: int) -> bool:
    return region.start is not None and region.end is not None and 0 <= region.start < region.end <= length


def _number(score: float) -> str:
    if not isfinite(score):
        raise SampleError("bad_score", f"a score of {score}")
    return f"{score}"


def _beside(chunks: list[_Entry], expressions: list[_Entry]) -> list[str]:
    """Return an expression for each noun chunk, in their order: one of its box, else the chunk; then those left."""
    waiting: dict[Box, list[int]] = {}
    for index in range(len(expressions) - 1, -1, -1):
        waiting.setdefault(expressions[index][0], []).append(index)
    beside, placed = [], set()
    for box, chunk in chunks:
        same = waiting.get(box)
        if same:
            placed.add(same[-1])
            chunk = expressions[same.pop()][1]
        beside.append(chunk)
    return beside + [entry for index, (_, entry) in enumerate(expressions) if index not in placed]


def _regions(record: Record, caption: str, name: str, tag: str) -> list[Region]:
    spans: dict[tuple[int, int], tuple[list[Box], list[float]]] = {}
    for index, entry in enumerate(record.listed(record.value.get(name, []), (name,))):
        path = (name, index)
        scored = not (isinstance(entry, list) and len(entry) == 7 and entry[6] is None)
        numbers = record.numbers(entry if scored else [*entry[:6], 0], 7, path)
        start, end = int(numbers[0]), int(numbers[1])
        if start != numbers[0] or end != numbers[1] or not 0 <= start < end <= len(caption):
            raise record.bad(f"a span outside the caption of {len(caption)} characters", path)
        boxes, scores = spans.setdefault((start, end), ([], []))
        boxes.append(record.share(numbers[2:6], path))
        if scored:
            scores.append(float(numbers[6]))
    return [
        Region(caption[start:end], tuple(boxes), start=start, end=end, score=min(scores, default=None), tags=(tag,))
        for (start, end), (boxes, scores) in spans.items()
    ]
