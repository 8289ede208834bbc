"""What single boxes look like, many at once: area, shortest side, aspect, share outside the picture, soundness.

Boxes come as columns x0, y0, x1, y1, not as rows: each step then reads and writes whole cache lines, and a chunk
of the columns stays in the cache from the first step to the last.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.kernels.boxes import Floats

AT_ONCE = 16384
"""Boxes of one chunk: what is made of them on the way fits a core's second cache."""

_SCRATCH = 4


@dataclass(frozen=True, slots=True)
class BoxFacts:
    """One value per box. NaN stands in the four measures of a box that is not sound.

    `sound`: finite, x0 < x1 and y0 < y1. `area`: share of the picture, after a cut to the frame. `short_px`: the
    shorter side in pixels, after the cut. `aspect`: longer to shorter side in pixels, 1 or more, before the cut.
    `outside`: share of the box's own area beyond the frame, 0 to 1.
    """

    sound: npt.NDArray[np.bool_]
    area: Floats
    short_px: Floats
    aspect: Floats
    outside: Floats


def box_facts(xyxy_norm: Floats, width: npt.ArrayLike, height: npt.ArrayLike) -> BoxFacts:
    """Return the facts of boxes (4, ...) normalised to [0, 1]; sizes of the pictures in pixels, broadcast to (...).

    All is done in one piece: for as many boxes as a cache holds; `box_facts_of_columns` cuts larger ones up. A
    size that is NaN or 0 leaves the aspect undefined (NaN, or infinite where one side is 0 pixels).
    """
    shape = xyxy_norm.shape[1:]
    facts = BoxFacts(np.empty(shape, np.bool_), *(np.empty(shape) for _ in range(4)))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        _measure(xyxy_norm, np.asarray(width), np.asarray(height), facts, np.empty((_SCRATCH, *shape)))
    return facts


def box_facts_of_columns(xyxy_norm: Floats, width: npt.ArrayLike, height: npt.ArrayLike) -> BoxFacts:
    """Return the facts of boxes (4, N), chunk by chunk; `width` and `height` are (), or (N,) with one per box."""
    total = xyxy_norm.shape[1]
    wide, high = (np.broadcast_to(np.asarray(size, np.float64), (total,)) for size in (width, height))
    facts = BoxFacts(np.empty(total, np.bool_), *(np.empty(total) for _ in range(4)))
    scratch = np.empty((_SCRATCH, min(total, AT_ONCE)))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for start in range(0, total, AT_ONCE):
            cut = slice(start, min(start + AT_ONCE, total))
            part = BoxFacts(
                facts.sound[cut], facts.area[cut], facts.short_px[cut], facts.aspect[cut], facts.outside[cut]
            )
            _measure(xyxy_norm[:, cut], wide[cut], high[cut], part, scratch[:, : cut.stop - start])
    return facts


def _measure(xyxy: Floats, width: Floats, height: Floats, out: BoxFacts, scratch: Floats) -> None:
    """Fill `out`; all boxes are taken to lie inside first, as most do, and the others are mended."""
    wide, high, wide_px, high_px = scratch
    np.subtract(xyxy[2], xyxy[0], out=wide)
    np.subtract(xyxy[3], xyxy[1], out=high)
    np.multiply(wide, width, out=wide_px)
    np.multiply(high, height, out=high_px)
    np.multiply(wide, high, out=out.area)
    np.minimum(wide_px, high_px, out=out.short_px)
    np.maximum(wide_px, high_px, out=out.aspect)
    np.divide(out.aspect, out.short_px, out=out.aspect)
    out.outside.fill(0.0)
    np.minimum(wide, high, out=wide_px)
    np.greater(wide_px, 0.0, out=out.sound)
    least, most = (xyxy.min(), xyxy.max()) if xyxy.size else (0.0, 1.0)
    if not (least >= 0.0 and most <= 1.0):
        if not (np.isfinite(least) and np.isfinite(most)):
            np.logical_and(out.sound, np.isfinite(xyxy).all(axis=0), out=out.sound)
        _mend(xyxy, width, height, out)
    if not out.sound.all():
        wrong = ~out.sound
        for values in (out.area, out.short_px, out.aspect, out.outside):
            values[wrong] = np.nan


def _mend(xyxy: Floats, width: Floats, height: Floats, out: BoxFacts) -> None:
    """Measure anew what a cut to the frame changes, for boxes that leave it."""
    beyond = (np.minimum(xyxy[0], xyxy[1]) < 0.0) | (np.maximum(xyxy[2], xyxy[3]) > 1.0)
    places = np.flatnonzero(beyond)
    some = np.stack([row.reshape(-1)[places] for row in xyxy])
    wide, high = (
        np.broadcast_to(size, beyond.shape).reshape(-1)[places] if size.ndim else size for size in (width, height)
    )
    sides = some[2:] - some[:2]
    cut = np.maximum(np.minimum(some[2:], 1.0) - np.maximum(some[:2], 0.0), 0.0)
    # Side by side: a box so large that its area overflows still has a share outside.
    shares = cut / sides
    np.put(out.area, places, cut[0] * cut[1])
    np.put(out.short_px, places, np.minimum(cut[0] * wide, cut[1] * high))
    np.put(out.outside, places, np.clip(1.0 - shares[0] * shares[1], 0.0, 1.0))
