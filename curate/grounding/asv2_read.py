"""Reading All-Seeing v2's tags: `<ref>phrase</ref><box>[[…]]</box>` and `<pred>words</pred><box>…</box><box>…</box>`.

The form is of Wang et al., "The All-Seeing Project V2"; the tags are plain text for the tokenizer.
"""

import re
from dataclasses import dataclass

from curate.errors import SampleError
from curate.grounding.asv2_ints import SCALE, Axis, Ints, Middles
from curate.sample import Box, Grounded, Region, Relation

TAG = re.compile(r"<(/?)(ref|box|pred)(?![0-9A-Za-z_])(>?)|<(?:/|/?(?:r|re|b|bo|p|pr|pre))\Z")
"""A tag, or what looks like one that was cut off: no ">" after its name, or the text ends inside the name."""

# Possessive repeats: a malformed list of ten million characters fails in one pass.
_BOX = r"\[\s*+[0-9]{1,4}+\s*+(?:,\s*+[0-9]{1,4}+\s*+){3}\]\s*+"
_BOX_LIST = re.compile(rf"\s*+\[\s*+(?:{_BOX}(?:,\s*+{_BOX})*+)?\]\s*+")
_NUMBER = re.compile(r"[0-9]+")

_LISTED = r"\[[0-9]{1,3}+, [0-9]{1,3}+, [0-9]{1,3}+, [0-9]{1,3}+\]"
_PHRASE = re.compile(rf"<ref>([^<]++)</ref><box>\[\[({_LISTED[2:]}(?:, {_LISTED})*+)\]</box>")
"""A phrase and its boxes as they are mostly written, behind the first bracket."""


@dataclass(frozen=True, slots=True)
class _Mention:
    """One ref or pred of a written text: its span in the clean text and the box lists that follow it."""

    tag: str
    start: int
    end: int
    position: int
    lists: list[list[Ints]]


def read(text: str, axes: tuple[Axis, Axis]) -> Grounded:
    """Return the clean text, its regions and relations; `axes` say what the picture's 0 to 999 became.

    Read as the official parsers read it: boxes belong to the last phrase or predicate, whatever stands
    between; a closing tag's name is not checked; box lists of a predicate pair up as subjects, objects. Boxes
    before any phrase become a region with an empty phrase that starts and ends where they stand; boxes that
    only a predicate names become regions with an empty phrase and no span. Linear in the text's length.

    Raises SampleError `bad_rec`, with the position in characters: half a tag, tags inside tags, a box that is
    not four integers of 0 to 999 with its corners in order or lies more than a unit in the padding, a predicate
    whose box lists do not pair up.
    """
    x_middle, y_middle = axes[0].middles, axes[1].middles

    simple = _simple(text, x_middle, y_middle)
    if simple is not None:
        return simple

    def shares(ints: Ints) -> Box:
        return x_middle[ints[0]], y_middle[ints[1]], x_middle[ints[2]], y_middle[ints[3]]

    clean, mentions, bare = _parse(text, axes)
    regions = [Region("", tuple(map(shares, ints)), start=place, end=place) for place, ints in bare.items()]
    count = sum(map(len, bare.values()))
    named: dict[Ints, int] = {}
    for mention in (m for m in mentions if m.tag == "ref"):
        ints = [box for boxes in mention.lists for box in boxes]
        for box in ints:
            named.setdefault(box, count)
            count += 1
        words = clean[mention.start : mention.end]
        regions.append(Region(words, tuple(map(shares, ints)), start=mention.start, end=mention.end))
    for place, box in enumerate(box for ints in bare.values() for box in ints):
        named.setdefault(box, place)
    preds = [m for m in mentions if m.tag == "pred"]
    for box in (box for pred in preds for boxes in pred.lists for box in boxes):
        if box not in named:
            named[box] = count
            count += 1
            regions.append(Region("", (shares(box),)))
    relations = [relation for pred in preds for relation in _relations(clean, pred, named)]
    return Grounded(text=clean, regions=tuple(regions), relations=tuple(relations))


def _simple(text: str, x_middle: Middles, y_middle: Middles) -> Grounded | None:
    """Return what a text of nothing but phrases, each with its boxes behind it, says; None for any other."""
    parts = _PHRASE.split(text)  # words, phrase, boxes, words, ...
    if text.count("<") != 4 * (len(parts) // 3):
        return None
    regions, length = [], 0
    for words, phrase, listed in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        boxes = []
        for four in listed[:-1].split("], ["):
            x0, y0, x1, y1 = map(int, four.split(", "))
            try:
                left, top, right, bottom = x_middle[x0], y_middle[y0], x_middle[x1], y_middle[y1]
            except LookupError:  # in the padding
                return None
            if not (x0 <= x1 and y0 <= y1) or left == right or top == bottom:
                return None
            boxes.append((left, top, right, bottom))
        start = length + len(words)
        length = start + len(phrase)
        regions.append(Region(phrase, tuple(boxes), None, start, length))
    del parts[2::3]
    return Grounded("".join(parts), tuple(regions))


def _relations(clean: str, pred: _Mention, named: dict[Ints, int]) -> list[Relation]:
    if len(pred.lists) % 2:
        raise _bad(pred.position, f"predicate with {len(pred.lists)} box lists, which do not pair up")
    sides = [tuple(named[box] for box in boxes) for boxes in pred.lists]
    words = clean[pred.start : pred.end]
    return [
        Relation(words, subjects, objects, start=pred.start, end=pred.end)
        for subjects, objects in zip(sides[::2], sides[1::2], strict=True)
    ]


def _parse(text: str, axes: tuple[Axis, Axis]) -> tuple[str, list[_Mention], dict[int, list[Ints]]]:
    """Return the text without tags and boxes, its refs and preds in order, and by place the boxes before them."""
    pieces: list[str] = []
    mentions: list[_Mention] = []
    bare: dict[int, list[Ints]] = {}
    length = cursor = 0
    opened: re.Match[str] | None = None
    for tag in TAG.finditer(text):
        if tag[3] != ">":
            raise _bad(tag.start(), f"half a tag {tag[0]!r}")
        if (tag[1] == "") is (opened is not None):
            raise _bad(tag.start(), f"unexpected {tag[0]}")
        inner = text[cursor : tag.start()]
        cursor = tag.end()
        if opened is not None and opened[2] == "box":
            boxes = _boxes(inner, opened.end(), axes)
            if mentions:
                mentions[-1].lists.append(boxes)
            elif boxes:
                bare.setdefault(length, []).extend(boxes)
        else:
            pieces.append(inner)
            if opened is not None:
                mentions.append(_Mention(opened[2], length, length + len(inner), opened.start(), []))
            length += len(inner)
        opened = tag if tag[1] == "" else None
    if opened is not None:
        raise _bad(opened.start(), f"{opened[0]} is never closed")
    pieces.append(text[cursor:])
    return "".join(pieces), mentions, bare


def _boxes(inner: str, position: int, axes: tuple[Axis, Axis]) -> list[Ints]:
    if not _BOX_LIST.fullmatch(inner):
        raise _bad(position, f"not a list of boxes of four integers: {inner[:80]!r}")
    numbers = iter([int(number) for number in _NUMBER.findall(inner)])
    boxes = list(zip(numbers, numbers, numbers, numbers, strict=True))
    for x0, y0, x1, y1 in boxes:
        if max(x0, y0, x1, y1) > SCALE:
            raise _bad(position, f"a coordinate above {SCALE}: {inner[:80]!r}")
        if x0 > x1 or y0 > y1:
            raise _bad(position, f"corners the wrong way round: {inner[:80]!r}")
        for name, axis, low, high in (("x", axes[0], x0, x1), ("y", axes[1], y0, y1)):
            if axis.beyond(low, high):
                where = f"{name} {low} to {high}, the picture is {axis.first} to {axis.last}"
                raise _bad(position, f"a box in the padding ({where}; did you mean asv2_unpadded?): {inner[:80]!r}")
    return boxes


def _bad(position: int, what: str) -> SampleError:
    return SampleError("bad_rec", f"{what} at character {position}")
