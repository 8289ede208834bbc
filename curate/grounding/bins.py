"""Boxes as whole numbers, and the tags that carry them: what forms with a grid of coordinates share.

A coordinate is a share of the picture. A form cuts it to a whole number, and so hides up to one step of its grid:
decode answers with the middle of what is hidden, and writing that again gives the same number.

`Tags` is a form that writes the whole text, its phrases between one pair of tags, their boxes between another.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from curate.errors import SampleError
from curate.grounding.spans import Span, check_seams, written
from curate.sample import Box, Grounded, Region

Ints = tuple[int, int, int, int]
"""x1, y1, x2, y2 of a grid."""

_WHOLE_PX = 1e-6  # a coordinate this near to a whole pixel was one before it was normalised
_NAME = 80
_POINT = r"\s*+\(\s*+([0-9]{1,4}+)\s*+,\s*+([0-9]{1,4}+)\s*+\)\s*+"
_UP_TO_999 = (*map(str, range(1000)), "999")  # only the far edge itself becomes 1000
_POINTS = re.compile(rf"{_POINT},{_POINT}")


def check_size(width: int, height: int) -> None:
    """Raise SampleError `bad_size` where a side of the picture is shorter than a pixel."""
    if width < 1 or height < 1:
        raise SampleError("bad_size", f"a picture of {width} x {height} pixels")


def shares(box: Box) -> Box:
    """Return the box cut to the picture.

    Raises SampleError `bad_box`: a coordinate that is not finite, or a corner beyond its opposite.
    """
    x1, y1, x2, y2 = box
    if 0.0 <= x1 <= x2 <= 1.0 and 0.0 <= y1 <= y2 <= 1.0:
        return box
    for name, value in zip(("x1", "y1", "x2", "y2"), box, strict=True):
        if not _finite(value):
            raise SampleError("bad_box", f"{name} of a box is not finite")
    if x1 > x2 or y1 > y2:
        raise SampleError("bad_box", f"inverted corners: {box}"[:_NAME])
    return min(max(x1, 0.0), 1.0), min(max(y1, 0.0), 1.0), min(max(x2, 0.0), 1.0), min(max(y2, 0.0), 1.0)


def _finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def pixels(box: Box, width: int, height: int) -> Box:
    """Return the box cut to the picture, in pixels; what was a whole pixel is one again, whatever the floats did.

    Raises SampleError as `shares` does.
    """
    x1, y1, x2, y2 = shares(box)
    x1, y1, x2, y2 = x1 * width, y1 * height, x2 * width, y2 * height
    a, b, c, d = round(x1), round(y1), round(x2), round(y2)
    return (
        a if -_WHOLE_PX < x1 - a < _WHOLE_PX else x1,
        b if -_WHOLE_PX < y1 - b < _WHOLE_PX else y1,
        c if -_WHOLE_PX < x2 - c < _WHOLE_PX else x2,
        d if -_WHOLE_PX < y2 - d < _WHOLE_PX else y2,
    )


def checked(error: str, ints: Ints, last: int, position: int) -> Ints:
    """Return the numbers of one box; raise SampleError `error` for one above `last`, or for inverted corners."""
    if max(ints) > last:
        raise bad(error, position, f"box {ints} beyond {last}")
    if ints[0] > ints[2] or ints[1] > ints[3]:
        raise bad(error, position, f"box {ints} with inverted corners")
    return ints


def write_points(box: Box, width: int, height: int) -> str:
    """Return a box as Qwen-VL writes it, `(x1,y1),(x2,y2)`, truncated to 1/1000 of each side and at most 999.

    Raises SampleError as `shares` does.
    """
    x1, y1, x2, y2 = pixels(box, width, height)
    a, b = _UP_TO_999[int(x1 / width * 1000)], _UP_TO_999[int(y1 / height * 1000)]
    return f"({a},{b}),({_UP_TO_999[int(x2 / width * 1000)]},{_UP_TO_999[int(y2 / height * 1000)]})"


def read_points(text: str, start: int, end: int, error: str) -> list[Box]:
    """Return the box of `write_points`, in the middle of what the truncation hides; 1000 is read as 999.

    Raises SampleError `error`, with the position in characters, for anything else.
    """
    match = _POINTS.fullmatch(text, start, end)
    if match is None:
        raise bad(error, start, f"not a box of four integers: {excerpt(text, start, end)}")
    a, b, c, d = map(int, match.groups())
    x1, y1, x2, y2 = checked(error, (a, b, c, d), 1000, start)
    return [(middle(min(x1, 999)), middle(min(y1, 999)), middle(min(x2, 999)), middle(min(y2, 999)))]


def middle(number: int, count: int = 1000) -> float:
    """Return the middle of the bin `number` of `count`, as a share."""
    return (number + 0.5) / count


def bad(error: str, position: int, what: str) -> SampleError:
    """Return the SampleError of a text that is no text of a form; `position` counts characters."""
    return SampleError(error, f"{what} at character {position}")


def excerpt(text: str, start: int, end: int) -> str:
    """Return the beginning of a piece of a text, quoted, for an error."""
    return repr(text[start : min(end, start + _NAME)])


def by_phrase(grounded: Grounded) -> list[tuple[str, list[int]]]:
    """Return phrases with the indices of their regions, in the regions' order; regions of one span share one.

    For forms that write phrases alone: spans may overlap. Regions without a box are left out.
    """
    found: dict[tuple[object, ...], tuple[str, list[int]]] = {}
    for index, region in enumerate(grounded.regions):
        if region.boxes:
            key = (index,) if region.start is None else (region.phrase, region.turn, region.start, region.end)
            found.setdefault(key, (region.phrase, []))[1].append(index)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Tags:
    """A form that writes the whole text; `tags` makes one."""

    error: str
    phrase: tuple[str, str]
    box: tuple[str, str]
    written: tuple[str, str, str]
    listed: bool
    spaced: bool
    pattern: re.Pattern[str]


def tags(
    error: str,
    phrase: tuple[str, str],
    box: tuple[str, str],
    written: tuple[str, str, str],
    *,
    listed: bool,
    spaced: bool = False,
    other: tuple[str, ...] = (),
) -> Tags:
    """Return a form by its tags.

    `error` is the code for a text that is none of this form, `phrase` and `box` the tags around a phrase and around
    boxes, `written` what stands before, between and behind the boxes of one phrase. `listed`: one pair of box tags
    holds them all; else each box has a pair. `spaced`: the space before a phrase stands inside its tags. `other`
    tags belong to the form too, so a text may not hold them.
    """
    whole = [tag[1:] for tag in (*phrase, *box, *other)]
    stems = [tag.rstrip("/|>") for tag in whole]
    first = re.escape("".join(sorted({tag[0] for tag in whole})))
    either = ["|".join(some) for some in (map(re.escape, whole), map(re.escape, stems), map(_begun, stems))]
    # A tag, or what looks like one that was cut off: nothing closes its name, or the text ends inside the name.
    pattern = re.compile(rf"<(?=[{first}])(?:({either[0]})|(?:{either[1]})(?![0-9A-Za-z_])|(?:{either[2]})\Z)")
    return Tags(error, phrase, box, written, listed, spaced, pattern)


def _begun(name: str) -> str:
    """Return a pattern of the beginnings of a name, the longest first."""
    pattern = ""
    for character in reversed(name):
        pattern = re.escape(character) + (f"(?:{pattern})?+" if pattern else "")
    return pattern


def write(form: Tags, grounded: Grounded, one: Callable[[Box, int, int], str], width: int, height: int) -> str:
    """Return the text with its phrases and boxes between tags; `one` writes a box of a width x height picture.

    Raises SampleError: `reserved_tag` when the text already holds a tag of this form, and what `one` raises, also
    for a box of a region that is left out.
    """
    text, regions = grounded.text, grounded.regions
    tag = form.pattern.search(text)
    if tag:
        raise SampleError("reserved_tag", f"the text holds {tag[0]!r} at character {tag.start()}")
    boxes = [[one(box, width, height) for box in region.boxes] for region in regions]
    before, between, behind = form.written
    pieces, cursor = [], 0
    marks = _marks(form, grounded)
    names = tuple(name.strip("</>").rstrip("|") for name in (*form.phrase, *form.box)) if "<" in text else ()
    check_seams(text, [(begin, end) for _, end, begin, _ in marks], names)
    for start, end, begin, indices in marks:
        pieces.append(text[cursor:begin])
        if end > start:
            lead = " " if form.spaced and start == 0 else ""
            pieces += [form.phrase[0], lead, text[begin:end], form.phrase[1]]
        some = boxes[indices[0]] if len(indices) == 1 else [box for index in indices for box in boxes[index]]
        pieces += [before, between.join(some), behind]
        cursor = end
    return "".join(pieces) + text[cursor:]


def left_out(form: Tags, grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions that `write` leaves out.

    They have no box, no span of the text or a span that overlaps a longer one. Boxes that stand without a phrase
    are left out inside a phrase; right behind one too, unless the form is `listed`. A `spaced` form cannot hold a
    span that begins with a space, unless another space stands before it, or the text begins with it.
    """
    held = {index for *_, indices in _marks(form, grounded) for index in indices}
    return tuple(index for index in range(len(grounded.regions)) if index not in held)


def _marks(form: Tags, grounded: Grounded) -> list[tuple[int, int, int, list[int]]]:
    """Return what is written, in order: start, end, where the text inside the tags begins, regions."""
    text, last, phrase_end = grounded.text, 0, -1
    found: list[tuple[int, int, int, list[int]]] = []
    for (start, end), indices in _in_order(grounded) or written(grounded).items():
        begin = start
        if start == end:
            if start == phrase_end and not form.listed:
                continue
        elif form.spaced and start > 0:
            if start > 1 and start > last and text[start - 1] == " ":
                begin = start - 1
            elif text[start] == " ":
                continue
        found.append((start, end, begin, indices))
        last = end
        phrase_end = end if end > start else phrase_end
    return found


def _in_order(grounded: Grounded) -> list[tuple[Span, list[int]]]:
    """Return what `written` does where all regions stand one after the other, as they mostly do; else nothing."""
    found: list[tuple[Span, list[int]]] = []
    last, size = 0, len(grounded.text)
    for index, region in enumerate(grounded.regions):
        start, end = region.start, region.end
        if start is None or end is None or not last <= start < end <= size or not region.boxes:
            return []
        found.append(((start, end), [index]))
        last = end
    return found


def read(form: Tags, text: str, boxes: Callable[[str, int, int], list[Box]], begin: int = 0) -> Grounded:
    """Return the clean text and its regions, read from character `begin`; `boxes` reads what box tags enclose.

    Boxes right behind a phrase are the phrase's, all others become a region with an empty phrase, whose start and
    end are their place in the clean text. A phrase without boxes becomes a region without boxes. Linear in the
    text's length. Raises SampleError `form.error`, with the position in characters: half a tag, tags that do not
    pair up, a phrase without words, and what `boxes` raises.
    """
    pieces: list[str] = []
    found: list[tuple[int, str, list[Box]]] = []
    length, cursor, touching = 0, begin, -1
    while (tag := form.pattern.search(text, cursor)) is not None:
        at, opened = tag.start(), tag.end()
        pieces.append(text[cursor:at])
        length += at - cursor
        if tag[0] == form.phrase[0]:
            close = form.pattern.search(text, opened)
            if close is None:
                raise bad(form.error, at, f"{tag[0]} is never closed")
            if close[0] != form.phrase[1]:
                raise bad(form.error, close.start(), f"unexpected {close[0]!r}")
            words, cursor = text[opened : close.start()], close.end()
            if form.spaced and words.startswith(" "):
                words = words[1:]
                if length:
                    pieces.append(" ")
                    length += 1
            if not words:
                raise bad(form.error, at, "a phrase without words")
            found.append((length, words, []))
            pieces.append(words)
            length += len(words)
        elif tag[0] == form.box[0]:
            shut = text.find(form.box[1], opened)
            if shut < 0:
                raise bad(form.error, at, f"{tag[0]} is never closed")
            if at != touching or (form.listed and found[-1][1] and found[-1][2]):
                found.append((length, "", []))
            found[-1][2].extend(boxes(text, opened, shut))
            cursor = shut + len(form.box[1])
        else:
            raise bad(form.error, at, f"unexpected {tag[0]!r}")
        touching = cursor
    pieces.append(text[cursor:])
    regions = [Region(words, tuple(some), start=at, end=at + len(words)) for at, words, some in found]
    return Grounded("".join(pieces), tuple(regions))
