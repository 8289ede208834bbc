"""Boxes against the others of their group: overlaps, near-duplicates, containment, suppression.

Groups are pictures or phrases: boxes of group g are rows offsets[g] to offsets[g + 1] of `xyxy` (N, 4); `offsets`
has shape (G + 1,), rises from 0 to N, else ValueError. A box alone in its group overlaps nothing. Time is the sum
of squared group sizes; memory grows with N alone. A coordinate that is not finite gives NaN, as in `boxes`.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from curate.kernels.boxes import Floats, as_boxes
from curate.kernels.ragged import as_offsets, blocks, gather

Columns = tuple[Floats, Floats, Floats, Floats]
"""x0, y0, x1, y1 apart, each contiguous and of shape (N,)."""

_LEAST = 5e-324
"""The least float above 0: a union of 0 has a shared area of 0, and 0 over this is 0."""


def as_columns(xyxy: npt.ArrayLike) -> Columns:
    """Return boxes (N, 4) as four contiguous columns."""
    x0, y0, x1, y1 = np.ascontiguousarray(as_boxes(xyxy).T)
    return x0, y0, x1, y1


def measured_block(columns: Columns, order: npt.NDArray[np.int64]) -> Floats:
    """Return corners and areas of a block, shape (5, size, G): x0, y0, x1, y1, area; 0 for an inverted box."""
    out = gather(columns, order, spare=1)
    wide = np.maximum(np.subtract(out[2], out[0], out=out[4]), 0.0, out=out[4])
    wide *= np.maximum(out[3] - out[1], 0.0)
    return out


def iou_apart(measured: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield (d, IoU of each slot s with slot s + d, shape (size - d, G)) for every d: each pair once.

    `measured` is `measured_block` of the group's boxes, shape (5, size, G).
    """
    for apart in range(1, measured.shape[1]):
        yield apart, _iou(measured[:, :-apart], measured[:, apart:])


def max_iou_within(xyxy: npt.ArrayLike, offsets: npt.ArrayLike) -> Floats:
    """Return for each box its largest IoU with another box of the same group, shape (N,); 0 for a box alone."""
    return max_iou_of_columns(as_columns(xyxy), offsets)


def max_iou_of_columns(columns: Columns, offsets: npt.ArrayLike) -> Floats:
    """Return what `max_iou_within` returns, for boxes that are columns already: no copy is made."""
    result = np.zeros(len(columns[0]))
    with np.errstate(invalid="ignore", over="ignore"):
        for block in blocks(as_offsets(offsets, len(result)), least=2):
            best = np.zeros(block.order.shape)
            for apart, iou in iou_apart(measured_block(columns, block.order)):
                np.maximum(best[:-apart], iou, out=best[:-apart])
                np.maximum(best[apart:], iou, out=best[apart:])
            result[block.order] = best
    return result


def near_duplicates(
    xyxy: npt.ArrayLike, offsets: npt.ArrayLike, min_iou: float
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return per group how many pairs have an IoU of at least `min_iou`, and the largest IoU, each shape (G,)."""
    columns = as_columns(xyxy)
    bounds = as_offsets(offsets, len(columns[0]))
    pairs, largest = np.zeros(len(bounds) - 1, np.int64), np.zeros(len(bounds) - 1)
    with np.errstate(invalid="ignore", over="ignore"):
        for block in blocks(bounds, least=2):
            found, best = np.zeros(len(block.groups), np.int64), np.zeros(len(block.groups))
            for _, iou in iou_apart(measured_block(columns, block.order)):
                found += np.count_nonzero(iou >= min_iou, axis=0)
                np.maximum(best, iou.max(axis=0), out=best)
            pairs[block.groups], largest[block.groups] = found, best
    return pairs, largest


def max_containment_within(xyxy: npt.ArrayLike, offsets: npt.ArrayLike) -> Floats:
    """Return for each box the largest share of its area inside one other box of its group, shape (N,).

    0 for a box without area, or alone.
    """
    columns = as_columns(xyxy)
    result = np.zeros(len(columns[0]))
    with np.errstate(invalid="ignore", over="ignore"):
        for block in blocks(as_offsets(offsets, len(result)), least=2):
            measured, best = measured_block(columns, block.order), np.zeros(block.order.shape)
            whole = np.maximum(measured[4], _LEAST)
            for apart in range(1, len(best)):
                shared = _shared(measured[:, :-apart], measured[:, apart:])
                np.maximum(best[:-apart], shared / whole[:-apart], out=best[:-apart])
                np.maximum(best[apart:], shared / whole[apart:], out=best[apart:])
            result[block.order] = best
    return result


def nms(xyxy: npt.ArrayLike, scores: npt.ArrayLike, offsets: npt.ArrayLike, max_iou: float) -> npt.NDArray[np.bool_]:
    """Return, shape (N,), which boxes greedy non-maximum suppression keeps in each group.

    Boxes are taken from the highest score (N,) down, those of one score by index, NaN last; a box is dropped when
    its IoU with one kept before it is above `max_iou`. An IoU that is NaN drops nothing. (Greedy suppression as in
    R-CNN, Girshick et al. 2014.) ValueError for scores of another length.
    """
    columns, rank = as_columns(xyxy), np.asarray(scores, dtype=np.float64)
    if rank.shape != columns[0].shape:
        raise ValueError(f"scores have shape {columns[0].shape}, not {rank.shape}")
    result = np.ones(len(rank), np.bool_)
    with np.errstate(invalid="ignore", over="ignore"):
        for block in blocks(as_offsets(offsets, len(rank)), least=2):
            best_first = np.argsort(-rank[block.order], axis=0, kind="stable")
            order = np.take_along_axis(block.order, best_first, axis=0)
            measured, kept = measured_block(columns, order), np.ones(order.shape, np.bool_)
            for slot in range(len(order) - 1):
                close = _iou(measured[:, slot : slot + 1], measured[:, slot + 1 :]) > max_iou
                kept[slot + 1 :] &= ~(close & kept[slot])
            result[order] = kept
    return result


def _shared(one: Floats, two: Floats) -> Floats:
    """Return the area that boxes share; rows are x0, y0, x1, y1."""
    wide: Floats = np.minimum(one[2], two[2])
    wide -= np.maximum(one[0], two[0])
    np.maximum(wide, 0.0, out=wide)
    high = np.minimum(one[3], two[3])
    high -= np.maximum(one[1], two[1])
    np.maximum(high, 0.0, out=high)
    wide *= high
    return wide


def _iou(one: Floats, two: Floats) -> Floats:
    """Return intersection over union; rows are x0, y0, x1, y1, area."""
    shared = _shared(one, two)
    union = one[4] + two[4]
    union -= shared
    np.maximum(union, _LEAST, out=union)
    shared /= union
    return shared
