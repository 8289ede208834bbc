"""Records that are one JSON object: reading them with the place of what is wrong, boxes in pixels, writing them.

JSON as of RFC 8259, with Python's leniency for NaN, which no box may hold.
"""

import json
import re
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

from curate.errors import SampleError
from curate.sample import Box

PX_TOLERANCE = 0.0005
"""Largest error in pixels of a coordinate that is written to the thousandth, as mmdetection's grit2odvg.py does."""

_OVER_PX = 0.5  # annotations reach this far over the edge where they were rounded
_MOST_PX = 1 << 31
_INF = float("inf")
_DIGITS = re.compile("[0-9]{4300}")  # more than Python reads as one number
_BLANK = re.compile(r"[ \t\n\r]*+")
_RAW = json.JSONDecoder().raw_decode

quoted = encode_basestring
"""Return a text as JSON writes it, letters as they are."""

Path = tuple[str | int, ...]
"""The way to a value: keys and indices."""


@dataclass(frozen=True, slots=True)
class Record:
    """An object read from `text`; errors have the `code`."""

    text: str
    code: str
    value: dict[str, Any]

    def bad(self, what: str, path: Path = ()) -> SampleError:
        """Return the error with the position, in characters, of the value at the path, or the deepest on its way."""
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
        try:
            at = _place(self.text, path)
        except RecursionError:  # as deep as json.loads could just read
            at = 0
        return SampleError(self.code, f"{place + ': ' if place else ''}{what} at character {at}")

    def listed(self, value: Any, path: Path) -> list[Any]:
        """Return the value if it is a list; raise otherwise."""
        if not isinstance(value, list):
            raise self.bad("not a list", path)
        return value

    def object(self, value: Any, path: Path) -> dict[str, Any]:
        """Return the value if it is an object; raise otherwise."""
        if not isinstance(value, dict):
            raise self.bad("not an object", path)
        return value

    def string(self, value: Any, path: Path) -> str:
        """Return the value if it is a text; raise otherwise."""
        if not isinstance(value, str):
            raise self.bad("not a text", path)
        return value

    def size(self, value: dict[str, Any], path: Path = ()) -> tuple[int, int]:
        """Return the `width` and `height` of an object, whole numbers of pixels; raise otherwise."""
        for name in ("width", "height"):
            px = value.get(name)
            if type(px) is not int or not 1 <= px <= _MOST_PX:
                raise self.bad(f"{name} is no number of pixels", (*path, name))
        return value["width"], value["height"]

    def numbers(self, value: Any, count: int, path: Path) -> list[float]:
        """Return the value if it is a list of so many finite numbers; raise otherwise."""
        if not isinstance(value, list) or len(value) != count:
            raise self.bad(f"not {count} numbers", path)
        for index, number in enumerate(value):
            if not (type(number) is int or type(number) is float) or not -_INF < number < _INF:
                raise self.bad("not a finite number", (*path, index))
            if abs(number) > _MOST_PX:
                raise self.bad("a number out of range", (*path, index))
        return value

    def share(self, corners: list[float], path: Path, size_wh: tuple[int, int] = (1, 1), over: float = 0.0) -> Box:
        """Return xyxy corners, in units of which the picture has `size_wh`, as shares of it.

        Corners up to `over` units outside are cut to the picture. Raises for others and for inverted corners.
        """
        x0, y0, x1, y1 = corners
        width, height = size_wh
        if x0 > x1 or y0 > y1:
            raise self.bad("corners the wrong way round", path)
        if x0 < -over or y0 < -over or x1 > width + over or y1 > height + over:
            raise self.bad("a box outside the picture", path)
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height)
            x0, y0 = min(x0, x1), min(y0, y1)
        return x0 / width, y0 / height, x1 / width, y1 / height

    def px_share(self, corners: list[float], path: Path, size_wh: tuple[int, int]) -> Box:
        """Return xyxy corners in pixels as shares of the picture; half a pixel outside is cut."""
        return self.share(corners, path, size_wh, _OVER_PX)


def load(text: str, code: str) -> Record:
    """Return the JSON object that the text is. Linear; raises SampleError `code` with the position in characters."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise SampleError(code, f"no JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        digits = _DIGITS.search(text)
        raise SampleError(code, f"a number too long at character {digits.start() if digits else 0}") from None
    except RecursionError:
        raise SampleError(code, "lists in lists too deep, in what begins at character 0") from None
    if not isinstance(value, dict):
        raise SampleError(code, "no JSON object at character 0")
    return Record(text, code, value)


def cut(box: Box) -> Box:
    """Return a normalised box cut to the picture.

    Raises SampleError `bad_box` for a coordinate that is not finite, or corners the wrong way round.
    """
    x0, y0, x1, y1 = box
    if 0.0 <= x0 <= x1 <= 1.0 and 0.0 <= y0 <= y1 <= 1.0:
        return box
    if not all(-_INF < share < _INF for share in box):
        raise SampleError("bad_box", f"a coordinate of {box} is not finite")
    if x0 > x1 or y0 > y1:
        raise SampleError("bad_box", f"the corners of {box} are the wrong way round")
    return min(max(x0, 0.0), 1.0), min(max(y0, 0.0), 1.0), min(max(x1, 0.0), 1.0), min(max(y1, 0.0), 1.0)


def thousandths(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Return a normalised box as xyxy in thousandths of a pixel, rounded, cut to the picture; errors as `cut`."""
    x0, y0, x1, y1 = cut(box)
    across, down = 1000.0 * width, 1000.0 * height
    return int(x0 * across + 0.5), int(y0 * down + 0.5), int(x1 * across + 0.5), int(y1 * down + 0.5)


def check_size(width: int, height: int) -> None:
    """Raise SampleError `bad_size` for a picture without pixels."""
    if not (1 <= width <= _MOST_PX and 1 <= height <= _MOST_PX):
        raise SampleError("bad_size", f"a picture of {width} x {height} pixels")


def _place(text: str, path: Path) -> int:
    """Return where in a valid JSON text the value at the path begins, or what of its way there is."""
    at = _skip(text, 0)
    for step in path:
        found = _member(text, at, step) if text[at] == "{" else _element(text, at, step) if text[at] == "[" else None
        if found is None:
            break
        at = found
    return at


def _member(text: str, at: int, name: str | int) -> int | None:
    """Return where the value of the last member of that name begins, as json.loads takes the last."""
    found = None
    at = _skip(text, at + 1)
    while text[at] == '"':
        key, at = _RAW(text, at)
        at = _skip(text, _skip(text, at) + 1)
        if key == name:
            found = at
        at = _skip(text, _RAW(text, at)[1])
        at = _skip(text, at + 1) if text[at] == "," else at
    return found


def _element(text: str, at: int, index: str | int) -> int | None:
    at = _skip(text, at + 1)
    while text[at] != "]":
        if index == 0 or not isinstance(index, int):
            return at if index == 0 else None
        index -= 1
        at = _skip(text, _RAW(text, at)[1])
        at = _skip(text, at + 1) if text[at] == "," else at
    return None


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at
