"""Boxes written as decimals in square brackets: checked, moved to the square pad, found in a text and put into one."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

from curate.errors import SampleError
from curate.grounding.spans import Span, check_seams, told, weave
from curate.sample import Box, Grounded, Region

# Possessive repeats, and no part of a box but its first character is a bracket: ten million characters of
# brackets, digits or blanks are read in one pass. A pattern that begins with its bracket is searched for fastest.
_NUMBER = r"(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)"
_FOUR = rf"\s*+{_NUMBER}\s*+(?:,\s*+{_NUMBER}\s*+){{3}}"

OPEN = r"\[(?=[\s\d.+\-nNiI])"
"""Pattern of the bracket that opens a mark or half of one; a run of other brackets is passed at once."""

SEMICOLONS = rf"{_FOUR}(?:;{_FOUR})*+\]"
"""Pattern of one or several boxes in one bracket, semicolons between, behind the bracket that opens it."""

# A first number (of any script) with a comma, a semicolon or the end of the text after it: what looks like a box.
# "[1]" and "[3 cats]" are words.
HALF = r"\s*+[-+]?+(?:[\d.]++(?:[eE][-+]?+\d++)?+|(?i:nan|inf(?:inity)?+)\b)\s*+(?:[,;]|\Z)"
"""Pattern of the beginning of a box, behind its bracket: where no box follows it is half a box, or a wrong one."""

_EACH = re.compile(rf"({_NUMBER})\s*+,\s*+({_NUMBER})\s*+,\s*+({_NUMBER})\s*+,\s*+({_NUMBER})")
_LONGEST = 64
"""Characters of a number; more are refused unread. A float64 needs 24."""

_WHOLE_PX = 1e-6
"""A coordinate this near to a whole pixel was one before it was normalised."""

_LOW, _HIGH = 2e-3, 1 - 2e-3
"""Steps between which a coordinate is far from a half: rounded by the exact rule beyond. A side of one pixel and
three decimals make `_WHOLE_PX` a thousandth of a step."""

_INF = float("inf")


def several(joint: str) -> str:
    """Return the pattern of one or several boxes, four numbers in a bracket each and exactly `joint` between them.

    Behind the bracket that opens the first. Numbers have no sign and no exponent; blanks may stand around them.
    """
    return rf"{_FOUR}\](?:{re.escape(joint)}\[{_FOUR}\])*+"


def checked_size(width: int, height: int) -> None:
    """Raise SampleError `bad_size` for a picture without pixels."""
    if width < 1 or height < 1:
        raise SampleError("bad_size", f"a picture of {width} x {height} pixels")


def cut(box: Box) -> Box:
    """Return the box cut to the picture; shares of its width and height.

    Raises SampleError `bad_box` for a coordinate that is not finite and for corners that are the wrong way round.
    """
    x0, y0, x1, y1 = box
    if not (-_INF < x0 <= x1 < _INF and -_INF < y0 <= y1 < _INF):
        finite = all(-_INF < value < _INF for value in box)
        wrong = "has its corners the wrong way round" if finite else "has a coordinate that is not finite"
        raise SampleError("bad_box", f"{box} {wrong}")
    if x0 > 0.0 and y0 > 0.0 and x1 <= 1.0 and y1 <= 1.0:
        return box
    return _unit(x0), _unit(y0), _unit(x1), _unit(y1)


def _unit(share: float) -> float:
    return 0.0 if share <= 0.0 else 1.0 if share >= 1.0 else share


def to_pad(box: Box, width: int, height: int) -> Box:
    """Return shares of the picture as shares of its centred square pad, whose left and top are (M - side) // 2.

    A coordinate within a millionth of a whole pixel is taken as that pixel, so that the quotient is the one that
    whole pixels give.
    """
    side = max(width, height)
    dx, dy = (side - width) // 2, (side - height) // 2
    x0, y0, x1, y1 = box
    return (
        (_px(x0 * width) + dx) / side,
        (_px(y0 * height) + dy) / side,
        (_px(x1 * width) + dx) / side,
        (_px(y1 * height) + dy) / side,
    )


def _px(px: float) -> float:
    whole = round(px)
    return whole if -_WHOLE_PX < px - whole < _WHOLE_PX else px


def from_pad(box: Box, width: int, height: int) -> Box:
    """Return shares of the square pad as shares of the picture; what lies in the padding becomes its edge."""
    side = max(width, height)
    dx, dy = (side - width) // 2, (side - height) // 2
    x0, y0, x1, y1 = box
    return (
        _unit((x0 * side - dx) / width),
        _unit((y0 * side - dy) / height),
        _unit((x1 * side - dx) / width),
        _unit((y1 * side - dy) / height),
    )


@cache
def _numerals(digits: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return each number of 0 to 1 with that many decimals, with its place, and the same as Python prints floats."""
    steps = 10**digits
    return {f"{n / steps:.{digits}f}": n for n in range(steps + 1)}, tuple(repr(n / steps) for n in range(steps + 1))


@lru_cache(maxsize=1024)
def writer(four: str, digits: int, *, short: bool, padded: tuple[int, int] | None = None) -> Callable[[Box], str]:
    """Return what writes a box, shares of the picture, cut to it, in the template `four` of four `%s`.

    A number is Python's `f"{x:.{digits}f}"`, which rounds the exact value half to even, or if `short` what Python
    prints of `round(x, digits)` (`0.4`, `1.0`). `padded`: the picture's width and height in pixels where the shares
    are those of its square pad (`to_pad`). The writer raises what `cut` raises.
    """
    steps = 10**digits
    fixed, floats = _numerals(digits)
    names = floats if short else tuple(fixed)
    width, height = padded or (1, 1)
    side = max(width, height)
    by_x, by_y = width / side * steps, height / side * steps
    half_x, half_y = (side - width) // 2 / side * steps + 0.5, (side - height) // 2 / side * steps + 0.5

    def write(box: Box) -> str:
        x0, y0, x1, y1 = box = cut(box)
        a, b, c, d = x0 * by_x + half_x, y0 * by_y + half_y, x1 * by_x + half_x, y1 * by_y + half_y
        i, j, k, m = int(a), int(b), int(c), int(d)
        if _LOW < a - i < _HIGH and _LOW < b - j < _HIGH and _LOW < c - k < _HIGH and _LOW < d - m < _HIGH:
            return four % (names[i], names[j], names[k], names[m])
        exact = to_pad(box, width, height) if padded else box
        return four % tuple([names[fixed[f"{value:.{digits}f}"]] for value in exact])

    return write


def read_boxes(listed: str, position: int, code: str) -> tuple[Box, ...]:
    """Return the boxes of `listed`, text that a pattern of this module found at `position` of the whole.

    Raises SampleError `code` for a number above 1 or of absurd length and for corners the wrong way round.
    """
    boxes: list[Box] = []
    for four in _EACH.finditer(listed):
        if four.end() - four.start() > 4 * _LONGEST:
            raise SampleError(code, f"a number of absurd length at character {position + four.start()}")
        x0, y0, x1, y1 = map(float, four.groups())
        if max(x0, y0, x1, y1) > 1.0:
            raise SampleError(code, f"a coordinate above 1: {four[0][:80]!r} at character {position + four.start()}")
        if x0 > x1 or y0 > y1:
            wrong = f"corners the wrong way round: {four[0][:80]!r}"
            raise SampleError(code, f"{wrong} at character {position + four.start()}")
        boxes.append((x0, y0, x1, y1))
    return tuple(boxes)


@dataclass(frozen=True, slots=True)
class Bare:
    """A form whose boxes stand in the text by themselves, after the words that they belong to.

    `code` is the code of its errors. `marks` finds whole marks, their boxes in a named group, and whatever is half
    of one, without a group. `spaced`: a blank parts a mark from the words before it, but not at the
    beginning of the text or of a line. `joint` parts several boxes of one mark, `around` holds them. `unit` is the
    step of its coordinates: so far a box of a padded form may reach into the padding.
    `names` are those of its tags.
    """

    code: str
    marks: re.Pattern[str]
    spaced: bool
    joint: str
    around: str = "%s"
    unit: float = 0.0
    names: tuple[str, ...] = ()


def refuse_marks(text: str, marks: re.Pattern[str]) -> None:
    """Raise SampleError `reserved_tag` where plain text holds a mark of a form, or half of one."""
    mark = marks.search(text) if "[" in text or "<" in text else None
    if mark:
        raise SampleError("reserved_tag", f"the text holds {mark[0][:80]!r} at character {mark.start()}")


def gap(text: str, at: int, last: int | None, joint: str) -> str:
    """Return what parts a box at `at` from the words before it, in a form that sets a blank there.

    Nothing at the beginning of the text or of a line, nor where only the joint's comma stands between it and the
    mark that ended at `last`: with a blank the two would read as two boxes of one mark.
    """
    if at == 0 or text[at - 1] == "\n":
        return ""
    if last is not None and at - last == len(joint) - 1 and joint.startswith(text[last:at]):
        return ""
    return " "


def put(grounded: Grounded, form: Bare, write: Callable[[Box], str]) -> str:
    """Return the text with the boxes of its regions after their spans, as `write` (`writer`) tells one box.

    Regions that end at one place share a mark. Where spans overlap the longest is told (`spans.told`). Raises
    SampleError `reserved_tag` for a text that holds a mark; what `write` raises passes.
    """
    text, all_regions = grounded.text, grounded.regions
    refuse_marks(text, form.marks)
    places: dict[int, list[str]] = {}
    for (_, end), regions in told(grounded).items():
        places.setdefault(end, []).extend([write(box) for region in regions for box in all_regions[region].boxes])
    parts: dict[Span, str] = {}
    last = None
    for place, boxes in places.items():
        before = gap(text, place, last, form.joint) if form.spaced else ""
        parts[place, place] = before + form.around % form.joint.join(boxes)
        last = place
    check_seams(text, parts, form.names)
    return weave(text, parts)


def find(text: str, form: Bare, padded: tuple[int, int] | None = None) -> Grounded:
    """Return the text without marks, and a region without a phrase where each stood.

    `padded`: the picture's width and height in pixels where boxes are shares of its square pad. Marks at one place
    are one region. Linear in the text's length. Raises SampleError with the form's code and the position in
    characters: half a mark, a box that is not four numbers of 0 to 1, or that lies more than a `unit` in the padding,
    words that would read as a mark once the box between them is gone.
    """
    pieces: list[str] = []
    found: dict[int, list[Box]] = {}
    length = cursor = 0
    for mark in form.marks.finditer(text):
        if mark.lastgroup is None:
            raise wrong_mark(form.code, mark)
        piece = text[cursor : mark.start()]
        if form.spaced and piece.endswith(" "):
            piece = piece[:-1]
        pieces.append(piece)
        length += len(piece)
        cursor = mark.end()
        boxes = read_boxes(mark[mark.lastgroup], mark.start(mark.lastgroup), form.code)
        if padded is not None and padded[0] != padded[1]:
            boxes = _unpadded(boxes, padded, form, mark.start())
        found.setdefault(length, []).extend(boxes)
    pieces.append(text[cursor:])
    clean = "".join(pieces)
    refuse_broken(clean, form.marks, form.code)
    regions = tuple(Region("", tuple(boxes), start=place, end=place) for place, boxes in found.items())
    return Grounded(clean, regions)


def _unpadded(boxes: tuple[Box, ...], size_wh: tuple[int, int], form: Bare, position: int) -> tuple[Box, ...]:
    """Return `from_pad` of each box; raise for one in the padding, which never is cut to nothing.

    A box may reach a `unit` into the padding. Where that is of an odd number of pixels some writers centre the picture
    half a pixel farther than `to_pad`, and round that: so much more is read at the right and at the bottom.
    """
    found = []
    (width, height), side = size_wh, max(size_wh)
    near_x, near_y = form.unit * side / width + 1e-9, form.unit * side / height + 1e-9
    first_x, first_y = (side - width) // 2 / width, (side - height) // 2 / height
    last_x, last_y = (side + width) / 2 / width + near_x, (side + height) / 2 / height + near_y
    for box in boxes:
        x0, y0, x1, y1 = moved = from_pad(box, width, height)
        a, b, c, d = box[0] * side / width, box[1] * side / height, box[2] * side / width, box[3] * side / height
        far = a < first_x - near_x or b < first_y - near_y or c > last_x or d > last_y
        if far or (x0 == x1 and a < c) or (y0 == y1 and b < d):
            seen = f"{list(box)}, of a picture of {width} x {height}"
            hint = "did you mean a form of the picture as it is?"
            raise SampleError(form.code, f"a box in the padding ({hint}): {seen} at character {position}")
        found.append(moved)
    return tuple(found)


def wrong_mark(code: str, mark: re.Match[str]) -> SampleError:
    """Return the error for what looks like a mark and is none; it tells the text's next 80 characters."""
    seen = mark.string[mark.start() : mark.start() + 80]
    return SampleError(code, f"half a mark, or not boxes of four numbers: {seen!r} at character {mark.start()}")


def refuse_broken(clean: str, marks: re.Pattern[str], code: str) -> None:
    """Raise SampleError `code` where words read as a mark once the marks between them are gone.

    The position is that in the text without marks.
    """
    mark = marks.search(clean) if "[" in clean or "<" in clean else None
    if mark:
        broken = f"words around a mark that read as a mark: {mark[0][:80]!r}"
        raise SampleError(code, f"{broken} at character {mark.start()} of the text without marks")
