"""Masks as COCO's compressed run-length strings, in numpy.

Format: rleToString, rleFrString, rleToBbox of
https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c
Runs go down the columns and alternate 0, 1, 0, ...; from the fourth on each is the difference to the run two
before; a number is written in groups of five bits, lowest first, as characters from `0` on, a sixth bit
saying "more follows" and the top bit of the last group being the sign.
"""

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
_MAX_GROUPS = 8
"""Forty bits: no picture has longer runs, and int64 cannot overflow."""


def runs(counts: str) -> npt.NDArray[np.int64]:
    """Return the lengths in pixels of the runs, shape (n,), zeros first.

    Raises ValueError for a malformed string.
    """
    codes = np.frombuffer(counts.encode("utf-8", "replace"), np.uint8).astype(np.int64) - 48
    if codes.size == 0:
        return codes
    last = (codes & 0x20) == 0
    if codes.min() < 0 or codes.max() > 0x3F or not last[-1]:
        raise ValueError("not a COCO run-length string")
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > _MAX_GROUPS:
        raise ValueError("a run of more than 40 bits")
    shifts = 5 * (np.arange(codes.size) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((codes & 0x1F) << shifts, starts)
    numbers -= np.where(codes[ends] & 0x10, 1 << (5 * lengths), 0)
    # The differences begin at the fourth number: odd runs from the first, even runs from the third.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    if numbers.min() < 0:
        raise ValueError("a run of negative length")
    return numbers


def decode(counts: str, size_hw: tuple[int, int]) -> Mask:
    """Return the mask, bool, shape (height, width).

    Raises ValueError for a malformed string, or runs that do not fill the mask exactly.
    """
    lengths = _filling(counts, size_hw)
    values = np.arange(lengths.size) % 2 == 1
    return np.repeat(values, lengths).reshape(size_hw[::-1]).T


def encode(mask: Mask) -> str:
    """Return the string of a mask of shape (height, width); the inverse of `decode`."""
    flat = np.asarray(mask, dtype=np.bool_).T.ravel()
    if flat.size == 0:
        return ""
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate(([0], edges, [flat.size])))
    if flat[0]:
        lengths = np.concatenate(([0], lengths))
    numbers = lengths.copy()
    numbers[3:] -= lengths[1:-2]
    return "".join(_written(number) for number in numbers.tolist())


def area(counts: str) -> int:
    """Return the number of pixels that the mask covers."""
    return int(runs(counts)[1::2].sum())


def bbox(counts: str, size_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the tight box (x, y, width, height) in pixels, all 0 for an empty mask, without unpacking it."""
    lengths = _filling(counts, size_hw)
    ends = np.cumsum(lengths)[1::2]
    starts = ends - lengths[1::2]
    starts, ends = starts[ends > starts], ends[ends > starts]
    if starts.size == 0:
        return (0, 0, 0, 0)
    height = size_hw[0]
    first_x, first_y = np.divmod(starts, height)
    last_x, last_y = np.divmod(ends - 1, height)
    # A run that goes on into the next column covers the bottom of one and the top of the other.
    wraps = first_x < last_x
    top = int(np.where(wraps, 0, first_y).min())
    bottom = int(np.where(wraps, height - 1, last_y).max())
    left, right = int(first_x.min()), int(last_x.max())
    return (left, top, right - left + 1, bottom - top + 1)


def _filling(counts: str, size_hw: tuple[int, int]) -> npt.NDArray[np.int64]:
    lengths = runs(counts)
    if int(lengths.sum()) != size_hw[0] * size_hw[1]:
        raise ValueError(f"runs of {int(lengths.sum())} pixels in a mask of {size_hw[0]}x{size_hw[1]}")
    return lengths


def _written(number: int) -> str:
    groups = []
    while True:
        group = number & 0x1F
        number >>= 5
        done = number == (-1 if group & 0x10 else 0)
        groups.append(chr(48 + (group if done else group | 0x20)))
        if done:
            return "".join(groups)
