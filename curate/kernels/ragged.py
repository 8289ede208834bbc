"""Ragged groups laid out in dense blocks: groups of one size side by side, so that numpy works without waste.

A ragged array holds its groups end to end; group g is the values offsets[g] to offsets[g + 1]. A block holds
groups of one size as an array (size, groups): slot after slot, so that slot s of all groups stands together and
slots d apart are two contiguous slabs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

AT_ONCE = 8192
"""Values of a block, unless one group holds more: a few columns of it stay in a core's second cache."""


@dataclass(frozen=True, slots=True)
class Block:
    """Groups of one size: `groups` (G,) their numbers, `order` (size, G) where their values stand."""

    groups: Ints
    order: Ints


def as_offsets(offsets: npt.ArrayLike, total: int) -> Ints:
    """Return offsets as int64, shape (G + 1,); ValueError unless they rise from 0 to `total`."""
    bounds = np.asarray(offsets, dtype=np.int64)
    if bounds.ndim != 1 or not bounds.size or bounds[0] != 0 or bounds[-1] != total or (np.diff(bounds) < 0).any():
        raise ValueError("offsets must rise from 0 to the number of boxes")
    return bounds


def blocks(offsets: Ints, least: int = 1, at_once: int = AT_ONCE) -> Iterator[Block]:
    """Yield the groups of at least `least` values (1 or more) in blocks of at most `at_once` values or one group.

    Small groups first, in order within a size; every such group is in one block.
    """
    sizes = np.diff(offsets)
    if not len(sizes):
        return
    # A stable sort of 16 bits is a radix sort.
    narrow = sizes.astype(np.int16) if sizes.max() < 1 << 15 else sizes
    by_size = np.argsort(narrow, kind="stable")
    rising = sizes[by_size]
    begin = int(np.searchsorted(rising, max(least, 1)))
    while begin < len(by_size):
        size = int(rising[begin])
        end = int(np.searchsorted(rising, size, side="right"))
        step = max(1, at_once // size)
        slots = np.arange(size)[:, None]
        for start in range(begin, end, step):
            groups = by_size[start : min(start + step, end)]
            yield Block(groups, slots + offsets[groups])
        begin = end


def gather(columns: tuple[npt.NDArray[np.float64], ...], order: Ints, spare: int = 0) -> npt.NDArray[np.float64]:
    """Return columns (N,) as one array (columns + spare, size, G), laid out by a block's `order`; spares are unset."""
    out = np.empty((len(columns) + spare, *order.shape))
    for place, column in enumerate(columns):
        np.take(column, order, out=out[place], mode="clip")  # "clip" alone writes in place; order is within bounds
    return out
