"""SVIT's referring form: phrases in `<st>` and `<ed>`, boxes as decimals of the picture as it is.

`<st>man<ed> [x1, y1, x2, y2]`, in the plural `<st>men<ed> [x1, y1, x2, y2], [x1, y1, x2, y2]`
(BAAI-DCAI/Visual-Instruction-Tuning prompts/referring_qa.txt and README.md). The tags are plain text.

How many decimals GPT-4 wrote is not fixed. `encode` writes three, Python floats without trailing zeros: what the
published tool for square pads prints (tools/expand_to_square.py, here `square_padded`).

The LLaVA-1.5 edition of SVIT drops the tags; such a box is read, and written, as one that stands by itself. Its
coordinates are those of the square pad: `llava` reads them, this form would take them for the picture's own.
"""

import re
from functools import partial

from curate.errors import SampleError
from curate.grounding.decimals import (
    HALF,
    OPEN,
    checked_size,
    gap,
    read_boxes,
    refuse_broken,
    refuse_marks,
    several,
    writer,
    wrong_mark,
)
from curate.grounding.spans import Span, check_seams, told, unwritten, weave
from curate.sample import Box, Grounded, Region

FRAME = "original"
"""Coordinates are shares of the picture's width and height."""

HOLDS = frozenset({"text", "spans"})
"""What comes back besides the boxes."""

TOLERANCE = 0.0005 + 1e-9
"""Largest error of a coordinate: half of the third decimal, and the last bit of a float."""

SIGNS = "<["
"""A text without any of these is the same in this form and without it."""

_CODE = "bad_svit"
_JOINT = ", "
# A closing tag takes the boxes behind it along. A tag's name without ">", or cut off by the end, is half a tag.
_MARKS = re.compile(
    rf"<(?P<open>st>)|<(?P<close>ed>)(?:\s*+\[(?P<named>{several(_JOINT)}))?+|{OPEN}(?:(?P<bare>{several(_JOINT)})|{HALF})"
    r"|<(?:st|ed)(?![0-9A-Za-z_])|<(?:[se]|st|ed)\Z"
)
_NAMED = re.compile(r"<st>([^<\[]++)<ed> \[([0-9., ]++\](?:, \[[0-9., ]++\])*+)")
"""A phrase and its boxes as they are mostly written, behind the first bracket."""
_LONGEST = 200
"""Characters of boxes that are read the short way."""
_PUBLISHED = re.compile(r"\[[0-9.]++, [0-9.]++, [0-9.]++, [0-9.]++\]")


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with its phrases tagged and their boxes behind them, for a picture of width x height pixels.

    Regions of one span share one mark; where spans overlap the longest is written and `uncoded` lists the rest. A
    region with an empty span is a box by itself, a blank before it but at the beginning of the text or of a line.
    Boxes are cut to the picture. Raises SampleError: `bad_box` for a coordinate that is not finite or corners the
    wrong way round, `reserved_tag` for a text that holds a tag or a box, `bad_size`.
    """
    checked_size(width, height)
    text, write = grounded.text, writer("[%s, %s, %s, %s]", 3, short=True)
    refuse_marks(text, _MARKS)
    parts: dict[Span, str] = {}
    last = None
    for (start, end), regions in told(grounded).items():
        boxes = _JOINT.join([write(box) for region in regions for box in grounded.regions[region].boxes])
        before = f"<st>{text[start:end]}<ed> " if start < end else gap(text, start, last, _JOINT)
        parts[start, end] = before + boxes
        last = end
    check_seams(text, parts, ("st", "ed"))
    return weave(text, parts)


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions left out: no box, no span of the text, or one that overlaps a longer one."""
    return unwritten(grounded)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the text without tags and boxes, and its regions with their spans.

    Boxes that no phrase stands before become a region with an empty phrase and an empty span where they stood; the
    blank before them goes with them. Several boxes are joined by exactly `, `: behind `[...] and [...]` only the
    first belongs to the phrase. A box is read with any number of decimals. Linear in the text's length.

    Raises SampleError `bad_svit` with the position in characters: half a tag, tags inside tags, a phrase that is
    empty or has no box behind it, a box that is not four numbers of 0 to 1 or has its corners the wrong way round;
    `bad_size`.
    """
    checked_size(width, height)
    simple = _simple(text)
    if simple is not None:
        return simple
    pieces: list[str] = []
    found: dict[Span, list[Box]] = {}
    length = cursor = 0
    opened: re.Match[str] | None = None
    boxless: re.Match[str] | None = None
    for mark in _MARKS.finditer(text):
        if mark.lastgroup is None:
            raise wrong_mark(_CODE, mark)
        if boxless is not None:
            raise _bad("a phrase without a box", boxless)
        if (opened is not None) is not (mark["close"] is not None):
            raise _bad(f"unexpected {mark[0][:80]!r}", mark)
        piece = text[cursor : mark.start()]
        cursor = mark.end()
        if mark["bare"] is not None:
            piece = piece.removesuffix(" ")
        pieces.append(piece)
        start, length = length, length + len(piece)
        if mark["open"] is not None:
            opened = mark
        elif mark["bare"] is not None:
            found.setdefault((length, length), []).extend(read_boxes(mark["bare"], mark.start("bare"), _CODE))
        elif not piece:
            raise _bad("an empty phrase", mark)
        else:
            opened, boxless = None, mark if mark["named"] is None else None
            found[start, length] = list(read_boxes(mark["named"] or "", mark.start("named"), _CODE))
    if opened is not None or boxless is not None:
        raise _bad("a phrase without a box" if opened is None else "<st> is never closed", opened or boxless)
    pieces.append(text[cursor:])
    clean = "".join(pieces)
    refuse_broken(clean, _MARKS, _CODE)
    regions = tuple(
        Region(clean[start:end], tuple(boxes), start=start, end=end) for (start, end), boxes in found.items()
    )
    return Grounded(clean, regions)


def _simple(text: str) -> Grounded | None:
    """Return what a text of nothing but phrases, each with its boxes behind it, says; None for any other."""
    parts = _NAMED.split(text)  # words, phrase, boxes, words, ...
    regions, length, brackets = [], 0, 0
    for words, phrase, listed in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        if len(listed) > _LONGEST:
            return None
        boxes = []
        try:
            for four in listed[:-1].split("], ["):
                x0, y0, x1, y1 = map(float, four.split(", "))
                if not (x0 <= x1 <= 1.0 and y0 <= y1 <= 1.0):
                    return None
                boxes.append((x0, y0, x1, y1))
        except ValueError:  # not four, or no number
            return None
        brackets += len(boxes)
        start = length + len(words)
        length = start + len(phrase)
        regions.append(Region(phrase, tuple(boxes), None, start, length))
    if text.count("<") != 2 * len(regions) or text.count("[") != brackets:
        return None
    del parts[2::3]
    return Grounded("".join(parts), tuple(regions))


def _bad(what: str, mark: re.Match[str] | None) -> SampleError:
    return SampleError(_CODE, f"{what} at character {mark.start() if mark else 0}")


def square_padded(text: str, width: int, height: int) -> str:
    """Return the text with its boxes moved to the square pad, as SVIT's tools/expand_to_square.py does it.

    A box is `[a, b, c, d]` of digits and dots with exactly `, ` between. Each share becomes a whole pixel (Python's
    `round`, half to even), is moved by the pad's (M - side) // 2, divided by the longer side M, rounded to three
    decimals and printed as Python prints a float. What is no number, or too large for one, stays as it is.

    As published the boxes are replaced one after the other, in the order of the text, each everywhere in the text
    as it then is: a box that comes out equal to a later one is moved again with it. Told here in one pass, linear in
    the text's length. Tags and numbers out of range pass. Raises SampleError `bad_size`.
    """
    checked_size(width, height)
    moved: dict[str, str] = {}
    for box in reversed(_PUBLISHED.findall(text)):
        new = _padded(box, width, height)
        moved[box] = moved.get(new, new)  # what later replacements make of the new box
    return _PUBLISHED.sub(partial(_replacement, moved), text)


def _replacement(moved: dict[str, str], box: re.Match[str]) -> str:
    return moved[box[0]]


def _padded(box: str, width: int, height: int) -> str:
    side = max(width, height)
    dx, dy = (side - width) // 2, (side - height) // 2
    try:
        x0, y0, x1, y1 = map(float, box[1:-1].split(", "))
        px = round(x0 * width) + dx, round(y0 * height) + dy, round(x1 * width) + dx, round(y1 * height) + dy
        a, b, c, d = (round(value / side, 3) for value in px)
    except (ValueError, OverflowError):  # the tool leaves such a box in silence
        return box
    return f"[{a}, {b}, {c}, {d}]"
