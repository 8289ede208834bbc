"""All-Seeing v2's relation-conversation form: tags in the text, integers 0 to 999 of the square-padded frame.

`<ref>phrase</ref><box>[[x1, y1, x2, y2], ...]</box>` names boxes;
`<pred>words</pred><box>subjects</box><box>objects</box>` relates boxes that were named (Wang et al., "The
All-Seeing Project V2"). Every truncation reproduces the padded and un-padded pair published in
scripts_asmv2/visualize_rec.py. The tags are plain text for the tokenizer.

What the form cannot hold: a region's score and tags, a phrase that is not the text of its span, and whatever
`uncoded` and `uncoded_relations` list.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from curate.errors import SampleError
from curate.grounding.spans import Span, apart, box_places, by_span, weave
from curate.sample import Box, Grounded, Region, Relation

FRAME = "square_pad"
"""Coordinates are shares of the picture's centred square pad."""

HOLDS = frozenset({"text", "spans", "relations"})
"""What comes back besides the boxes."""

TOLERANCE = 1.0 / 999 + 1e-6
"""Largest error of a coordinate of a box inside the picture after encode and decode, as a share of the pad's
side: two truncations of up to a unit each, and decode answers with the middle of what they hide."""

_SCALE = 999  # BOX_SCALE in scripts_asmv2 and llava/eval; the README's "[0, 1000)" is not what the code does
_WHOLE_PX = 1e-6  # a coordinate this near to a whole pixel was one before it was normalised

_Ints = tuple[int, ...]

# A tag, or what looks like one that was cut off: no ">" after its name, or the text ends inside the name.
_TAG = re.compile(r"<(/?)(ref|box|pred)(?![0-9A-Za-z_])(>?)|<(?:/|/?(?:r|re|b|bo|p|pr|pre))\Z")
# Possessive repeats: a malformed list of ten million characters fails in one pass.
_BOX = r"\[\s*+[0-9]{1,4}+\s*+(?:,\s*+[0-9]{1,4}+\s*+){3}\]\s*+"
_BOX_LIST = re.compile(rf"\s*+\[\s*+(?:{_BOX}(?:,\s*+{_BOX})*+)?\]\s*+")
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class _Mention:
    """One ref or pred of a written text: its span in the clean text and the box lists that follow it."""

    tag: str
    start: int
    end: int
    position: int
    lists: list[list[_Ints]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which spans are written: span -> regions named there, span -> relations told there."""

    refs: dict[Span, list[int]]
    preds: dict[Span, list[int]]
    regions: frozenset[int]


def to_999(px: float, size: int) -> int:
    """Return a coordinate in pixels of a side of `size` pixels as 0 to 999 of that side, truncated."""
    return int(px / size * _SCALE)


def pad_999(n: int, size: int, side: int) -> int:
    """Return `n`, 0 to 999 of a side of `size` pixels, as 0 to 999 of the padded side, truncated again."""
    return int((n / _SCALE * size + (side - size) // 2) / side * _SCALE)


def unpad_999(p: int, size: int, side: int) -> int:
    """Return `p`, 0 to 999 of the padded side, as 0 to 999 of the side of `size` pixels, as published.

    It is lossy: the released un-padded texts have most coordinates one lower than before the pad.
    """
    return max(0, int((p / _SCALE * side - (side - size) // 2) / size * _SCALE))


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with its phrases and predicates tagged, for a picture of width x height pixels.

    Regions of one span share one `<ref>`. Where spans overlap the longest is written (a phrase before a
    predicate) and `uncoded` lists the rest. Boxes are cut to the picture. Raises SampleError: `reserved_tag`
    when the text already holds a tag of this form, `bad_box` for a coordinate that is not finite.
    """
    x_axis, y_axis = _axes(width, height)
    tag = _TAG.search(grounded.text)
    if tag:
        raise SampleError("reserved_tag", f"the text holds {tag[0]!r} at character {tag.start()}")
    written = [_written(box, (x_axis, y_axis), (width, height)) for r in grounded.regions for box in r.boxes]
    flat, plan = box_places(grounded.regions), _plan(grounded)
    parts: dict[Span, str] = {}
    for (start, end), regions in plan.refs.items():
        boxes = [written[i] for region in regions for i in flat[region]]
        parts[start, end] = f"<ref>{grounded.text[start:end]}</ref><box>{json.dumps(boxes)}</box>"
    for (start, end), relations in plan.preds.items():
        parts[start, end] = f"<pred>{grounded.text[start:end]}</pred>" + "".join(
            f"<box>{json.dumps([written[i] for i in side])}</box>"
            for relation in relations
            for side in (grounded.relations[relation].subjects, grounded.relations[relation].objects)
        )
    return weave(grounded.text, parts)


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions that the written form leaves out.

    They have no box, no span of the text, or a span that overlaps a longer one. A region without phrase and
    span (see `decode`) is written where predicates repeat all of its boxes.
    """
    plan = _plan(grounded)
    return tuple(i for i in range(len(grounded.regions)) if i not in plan.regions)


def uncoded_relations(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the relations left out: no span, an overlapping one, or an unwritten box."""
    told = {i for relations in _plan(grounded).preds.values() for i in relations}
    return tuple(i for i in range(len(grounded.relations)) if i not in told)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the clean text, its regions and relations, from a text written for a width x height picture.

    Read as the official parsers read it: boxes belong to the last phrase or predicate, whatever stands
    between; a closing tag's name is not checked; box lists of a predicate pair up as subjects, objects. Boxes
    that no phrase names become regions with an empty phrase and no span. `encode` writes the same integers
    again. Linear in the text's length.

    Raises SampleError `bad_rec`, with the position in characters: half a tag, tags inside tags, a box that is
    not four integers of 0 to 999, a predicate whose box lists do not pair up.
    """
    x_axis, y_axis = _axes(width, height)
    x_middle, y_middle = _middles(x_axis), _middles(y_axis)
    clean, mentions, loose = _parse(text)
    regions: list[Region] = []
    named: dict[_Ints, int] = {}
    count = 0
    for mention in (m for m in mentions if m.tag == "ref"):
        ints = [box for boxes in mention.lists for box in boxes]
        for box in ints:
            named.setdefault(box, count)
            count += 1
        floats = tuple((x_middle[a], y_middle[b], x_middle[c], y_middle[d]) for a, b, c, d in ints)
        words = clean[mention.start : mention.end]
        regions.append(Region(words, floats, start=mention.start, end=mention.end))
    preds = [m for m in mentions if m.tag == "pred"]
    for a, b, c, d in [*loose, *(box for pred in preds for boxes in pred.lists for box in boxes)]:
        if (a, b, c, d) not in named:
            named[a, b, c, d] = count
            count += 1
            regions.append(Region(phrase="", boxes=((x_middle[a], y_middle[b], x_middle[c], y_middle[d]),)))
    relations = [relation for pred in preds for relation in _relations(clean, pred, named)]
    return Grounded(text=clean, regions=tuple(regions), relations=tuple(relations))


def _relations(clean: str, pred: _Mention, named: dict[_Ints, int]) -> list[Relation]:
    if len(pred.lists) % 2:
        raise _bad(pred.position, f"predicate with {len(pred.lists)} box lists, which do not pair up")
    sides = [tuple(named[box] for box in boxes) for boxes in pred.lists]
    words = clean[pred.start : pred.end]
    return [
        Relation(words, subjects, objects, start=pred.start, end=pred.end)
        for subjects, objects in zip(sides[::2], sides[1::2], strict=True)
    ]


def _parse(text: str) -> tuple[str, list[_Mention], list[_Ints]]:
    """Return the text without tags and boxes, its refs and preds in order, and boxes before any of them."""
    pieces: list[str] = []
    mentions: list[_Mention] = []
    loose: list[_Ints] = []
    length = cursor = 0
    opened: re.Match[str] | None = None
    for tag in _TAG.finditer(text):
        if tag[3] != ">":
            raise _bad(tag.start(), f"half a tag {tag[0]!r}")
        if (tag[1] == "") is (opened is not None):
            raise _bad(tag.start(), f"unexpected {tag[0]}")
        inner = text[cursor : tag.start()]
        cursor = tag.end()
        if opened is not None and opened[2] == "box":
            boxes = _boxes(inner, opened.end())
            if mentions:
                mentions[-1].lists.append(boxes)
            else:
                loose += boxes
        else:
            pieces.append(inner)
            if opened is not None:
                mentions.append(_Mention(opened[2], length, length + len(inner), opened.start(), []))
            length += len(inner)
        opened = tag if tag[1] == "" else None
    if opened is not None:
        raise _bad(opened.start(), f"{opened[0]} is never closed")
    pieces.append(text[cursor:])
    return "".join(pieces), mentions, loose


def _boxes(inner: str, position: int) -> list[_Ints]:
    if not _BOX_LIST.fullmatch(inner):
        raise _bad(position, f"not a list of boxes of four integers: {inner[:80]!r}")
    numbers = [int(number) for number in _NUMBER.findall(inner)]
    if numbers and max(numbers) > _SCALE:
        raise _bad(position, f"a coordinate above {_SCALE}: {inner[:80]!r}")
    return [tuple(numbers[i : i + 4]) for i in range(0, len(numbers), 4)]


def _bad(position: int, what: str) -> SampleError:
    return SampleError("bad_rec", f"{what} at character {position}")


def _axes(width: int, height: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return for x and for y what each of 0 to 999 of the picture becomes in the padded frame."""
    if width < 1 or height < 1:
        raise SampleError("bad_size", f"a picture of {width} x {height} pixels")
    if width == height:  # a square picture is not padded, so nothing is truncated a second time
        return (tuple(range(_SCALE + 1)),) * 2
    side = max(width, height)
    return _axis(width, side), _axis(height, side)


@lru_cache(maxsize=256)
def _axis(size: int, side: int) -> tuple[int, ...]:
    return tuple(pad_999(n, size, side) for n in range(_SCALE + 1))


@lru_cache(maxsize=256)
def _middles(axis: tuple[int, ...]) -> tuple[float, ...]:
    """Return for each written 0 to 999 the middle of the shares of the picture that become it.

    Not the plain `p / 999`: that sits on the edge of a truncation, and each encode and decode would lose a
    unit. What lies in the padding becomes the picture's edge.
    """
    p = np.arange(_SCALE + 1)
    low, high = np.searchsorted(axis, p, side="left"), np.searchsorted(axis, p, side="right")
    return tuple(float(middle) for middle in np.minimum((low + high) / 2 / _SCALE, 1.0))


def _written(box: Box, axes: tuple[tuple[int, ...], tuple[int, ...]], size_wh: tuple[int, int]) -> list[int]:
    if not np.isfinite(box).all():
        raise SampleError("bad_box", f"a coordinate of {box} is not finite")
    result = []
    for i, share in enumerate(box):
        size = size_wh[i % 2]
        px = min(max(share, 0.0), 1.0) * size
        whole = round(px)
        result.append(axes[i % 2][to_999(whole if abs(px - whole) < _WHOLE_PX else px, size)])
    return result


def _plan(grounded: Grounded) -> _Plan:
    taken = bytearray(len(grounded.text))
    places = box_places(grounded.regions)
    spans = by_span(grounded.regions, (i for i, region in enumerate(grounded.regions) if region.boxes))
    refs = {span: spans[span] for span in apart(spans, taken)}
    regions = {i for named in refs.values() for i in named}
    nameless = [i for i, r in enumerate(grounded.regions) if r.boxes and not r.phrase and r.start is None]
    known = {place for i in (*regions, *nameless) for place in places[i]}
    telling = (
        i for i, r in enumerate(grounded.relations) if known.issuperset(r.subjects) and known.issuperset(r.objects)
    )
    spans = by_span(grounded.relations, telling)
    preds = {span: spans[span] for span in apart(spans, taken)}
    told = [grounded.relations[i] for relations in preds.values() for i in relations]
    repeated = {place for relation in told for place in (*relation.subjects, *relation.objects)}
    regions.update(i for i in nameless if repeated.issuperset(places[i]))
    return _Plan(refs, preds, frozenset(regions))
