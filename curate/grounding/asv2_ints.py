"""All-Seeing v2's chain of integers: pixels, 0 to 999 of the picture, 0 to 999 of its square pad, and back.

Every step truncates. The chain reproduces the padded and un-padded pair of texts published in
scripts_asmv2/visualize_rec.py (OpenGVLab/all-seeing, all-seeing-v2): pixels → `to_999` → `pad_999` → `unpad_999`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from functools import lru_cache
from math import inf

from curate.errors import SampleError
from curate.sample import Box

SCALE = 999
"""BOX_SCALE in scripts_asmv2 and llava/eval; the README's "[0, 1000)" is not what the code does."""

LONGEST = 16
"""Sides' ratio up to which the un-padded integers are written by way of the pad (`unpadded_axes`)."""

_MOST_PX = 1 << 31
_WHOLE_PX = 1e-6  # a coordinate this near to a whole pixel was one before it was normalised
_LOW, _HIGH = 2e-3, 1 - 2e-3
"""Parts of a unit between which a coordinate is truncated alike whether it is taken for a whole pixel or not: on a side
of one pixel `_WHOLE_PX` is a thousandth of a unit."""

_ALL = range(SCALE + 1)

Ints = tuple[int, int, int, int]


class Axis(dict[int, int]):
    """What each of 0 to 999 of a picture's side becomes in the written form; never falls.

    Counted where it is first asked for, as `written(n, *rest)`: pictures come in thousands of sizes, and a text has few
    boxes. `first` and `last` are those between which the picture lies in a padded frame; else 0 and SCALE.
    """

    def __init__(self, written: Callable[..., int], *rest: int) -> None:
        super().__init__()
        self._written, self._rest = written, rest
        self.first, self.last = 0, SCALE
        self.middles = Middles(self)

    def __missing__(self, n: int) -> int:
        self[n] = found = self._written(n, *self._rest)
        return found

    def beyond(self, low: int, high: int) -> bool:
        """Tell whether a box from `low` to `high` lies in the padding: more than a unit of it, or all but its edge."""
        if low >= self.first and high <= self.last:
            return False
        far = low < self.first - 1 or high > self.last + 1 or high < self.first or low > self.last
        return far or (low < high and self.middles[low] == self.middles[high])


class Middles(dict[int, float]):
    """For each written 0 to 999 of an axis the middle of the shares of the picture that become it.

    Not the plain `p / 999`: that sits on the edge of a truncation, and each encode and decode would lose a unit. A unit
    in the padding becomes the picture's edge; more is a KeyError. What is never written becomes the border between its
    neighbours.
    """

    def __init__(self, axis: Axis) -> None:
        super().__init__()
        self._axis = axis

    def __missing__(self, p: int) -> float:
        if not self._axis.first - 1 <= p <= self._axis.last + 1:
            raise KeyError(p)
        written = self._axis.__getitem__
        run = bisect_left(_ALL, p, key=written) + bisect_right(_ALL, p, key=written)
        self[p] = found = min(run / 2 / SCALE, 1.0)
        return found


def to_999(px: float, size: int) -> int:
    """Return a coordinate in pixels of a side of `size` pixels as 0 to 999 of that side, truncated."""
    return int(px / size * SCALE)


def pad_999(n: int, size: int, side: int) -> int:
    """Return `n`, 0 to 999 of a side of `size` pixels, as 0 to 999 of the padded side, truncated again."""
    return int((n / SCALE * size + (side - size) // 2) / side * SCALE)


def unpad_999(p: int, size: int, side: int) -> int:
    """Return `p`, 0 to 999 of the padded side, as 0 to 999 of the side of `size` pixels, as published.

    It is lossy: the released un-padded texts have most coordinates one lower than before the pad.
    """
    return max(0, int((p / SCALE * side - (side - size) // 2) / size * SCALE))


def _there_and_back(n: int, size: int, side: int) -> int:
    return unpad_999(pad_999(n, size, side), size, side)


_AS_IT_IS = Axis(int)


@lru_cache(maxsize=256)
def padded_axes(width: int, height: int) -> tuple[Axis, Axis]:
    """Return for x and for y what each of 0 to 999 of the picture becomes in the padded frame.

    Raises SampleError `bad_size` for a side below one pixel or above 2^31.
    """
    side = _side(width, height)
    if width == height:  # a square picture is not padded, so nothing is truncated a second time
        return _AS_IT_IS, _AS_IT_IS
    axes = Axis(pad_999, width, side), Axis(pad_999, height, side)
    for axis in axes:
        axis.first, axis.last = axis[0], axis[SCALE]
    return axes


@lru_cache(maxsize=256)
def unpadded_axes(width: int, height: int) -> tuple[Axis, Axis]:
    """Return for x and for y what each of 0 to 999 of the picture becomes after the pad and back.

    A square picture never was padded. Nor is one whose sides differ more than LONGEST times: a pad that long
    would leave a few steps of its short side, and no such picture is released. Raises SampleError `bad_size`.
    """
    side = _side(width, height)
    if width == height or side > LONGEST * min(width, height):
        return _AS_IT_IS, _AS_IT_IS
    return Axis(_there_and_back, width, side), Axis(_there_and_back, height, side)


def ints_of(box: Box, axes: tuple[Axis, Axis], width: int, height: int) -> Ints:
    """Return a normalised box of a width x height picture as the four integers that stand for it.

    The box is cut to the picture. Raises SampleError `bad_box` for a coordinate that is not finite, or corners
    the wrong way round.
    """
    x0, y0, x1, y1 = box
    if not (0.0 <= x0 <= x1 <= 1.0 and 0.0 <= y0 <= y1 <= 1.0):
        x0, y0, x1, y1 = _cut(box)
    # Spelled out four times: a loop or a call here is most of the time of writing a caption.
    x_axis, y_axis = axes
    a, b, c, d = x0 * SCALE, y0 * SCALE, x1 * SCALE, y1 * SCALE
    i, j, k, m = int(a), int(b), int(c), int(d)
    if _LOW < a - i < _HIGH and _LOW < b - j < _HIGH and _LOW < c - k < _HIGH and _LOW < d - m < _HIGH:
        return x_axis[i], y_axis[j], x_axis[k], y_axis[m]
    a, b, c, d = x0 * width, y0 * height, x1 * width, y1 * height
    i, j, k, m = round(a), round(b), round(c), round(d)
    return (
        x_axis[int((i if -_WHOLE_PX < a - i < _WHOLE_PX else a) / width * SCALE)],
        y_axis[int((j if -_WHOLE_PX < b - j < _WHOLE_PX else b) / height * SCALE)],
        x_axis[int((k if -_WHOLE_PX < c - k < _WHOLE_PX else c) / width * SCALE)],
        y_axis[int((m if -_WHOLE_PX < d - m < _WHOLE_PX else d) / height * SCALE)],
    )


def _side(width: int, height: int) -> int:
    if not (1 <= width <= _MOST_PX and 1 <= height <= _MOST_PX):
        raise SampleError("bad_size", f"a picture of {width} x {height} pixels")
    return max(width, height)


def _cut(box: Box) -> Box:
    if not all(-inf < share < inf for share in box):
        raise SampleError("bad_box", f"a coordinate of {box} is not finite")
    if box[0] > box[2] or box[1] > box[3]:
        raise SampleError("bad_box", f"the corners of {box} are the wrong way round")
    x0, y0, x1, y1 = (min(max(share, 0.0), 1.0) for share in box)
    return x0, y0, x1, y1
