"""Boxes as arrays: frames, areas, overlaps, flips and pads, all at once. Groups of boxes are in `overlaps`.

Unless a name says otherwise a box array is float64 of shape (N, 4), each row x0, y0, x1, y1. `_px` is pixels,
`_norm` is a share of the picture's width and height; in both a pixel's left edge is x and its right edge
x + 1, so a whole picture is (0, 0, width, height). N may be 0 everywhere. Numbers that are not finite pass
through as NaN; nothing here raises on the values of a box, only on a wrong shape.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Affine = tuple[float, float, float, float, float, float]

# EXIF 2.32, tag 0x0112: upright (x, y) from the raw frame's (x, y), as (swap axes, mirror x, mirror y), the
# mirrors applied after the swap.
_ORIENTATIONS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def as_boxes(values: npt.ArrayLike) -> Floats:
    """Return `values` as a float64 array (N, 4); nothing becomes (0, 4). ValueError otherwise."""
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        return np.zeros((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"boxes have shape (N, 4), not {array.shape}")
    return array


def xywh_to_xyxy(xywh: npt.ArrayLike) -> Floats:
    """Return corners of boxes given as left, top, width, height."""
    boxes = as_boxes(xywh)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def xyxy_to_xywh(xyxy: npt.ArrayLike) -> Floats:
    """Return left, top, width, height of boxes given as corners."""
    boxes = as_boxes(xyxy)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def normalise(xyxy_px: npt.ArrayLike, size_wh: npt.ArrayLike) -> Floats:
    """Return pixels as shares of the picture; `size_wh` is (2,), or (N, 2) with one row per box."""
    return as_boxes(xyxy_px) / _scale(size_wh)


def denormalise(xyxy_norm: npt.ArrayLike, size_wh: npt.ArrayLike) -> Floats:
    """Return shares of the picture as pixels, not rounded; `size_wh` is (2,) or (N, 2)."""
    return as_boxes(xyxy_norm) * _scale(size_wh)


def clip(xyxy: npt.ArrayLike, size_wh: npt.ArrayLike = (1.0, 1.0)) -> Floats:
    """Return boxes cut to the frame (0, 0, width, height); a box wholly outside keeps no area."""
    return np.clip(as_boxes(xyxy), 0.0, _scale(size_wh))


def area(xyxy: npt.ArrayLike) -> Floats:
    """Return areas, shape (N,), in the square of the boxes' unit; 0 for an inverted box."""
    boxes = as_boxes(xyxy)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def is_well_formed(xyxy: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return, shape (N,), whether each box is finite with x0 < x1 and y0 < y1."""
    boxes = as_boxes(xyxy)
    finite = np.isfinite(boxes).all(axis=1)
    return np.asarray(finite & (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3]))


def iou_matched(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """Return intersection over union of row i with row i, shape (N,); 0 where both have no area."""
    one, two = as_boxes(first), as_boxes(second)
    shared = _intersection(one, two)
    return _ratio(shared, area(one) + area(two) - shared)


def iou_pairwise(first: npt.ArrayLike, second: npt.ArrayLike) -> Floats:
    """Return intersection over union of every row with every row, shape (N, M)."""
    one, two = as_boxes(first), as_boxes(second)
    low = np.maximum(one[:, None, :2], two[None, :, :2])
    high = np.minimum(one[:, None, 2:], two[None, :, 2:])
    sides = np.maximum(high - low, 0.0)
    shared = sides[..., 0] * sides[..., 1]
    return _ratio(shared, area(one)[:, None] + area(two)[None, :] - shared)


def containment(inner: npt.ArrayLike, outer: npt.ArrayLike) -> Floats:
    """Return the share of each inner box that lies in its outer box (row i in row i), shape (N,)."""
    one, two = as_boxes(inner), as_boxes(outer)
    return _ratio(_intersection(one, two), area(one))


def containment_pairwise(inner: npt.ArrayLike, outer: npt.ArrayLike) -> Floats:
    """Return the share of every inner box that lies in every outer box, shape (N, M); 0 for one without area."""
    one, two = as_boxes(inner), as_boxes(outer)
    low = np.maximum(one[:, None, :2], two[None, :, :2])
    sides = np.maximum(np.minimum(one[:, None, 2:], two[None, :, 2:]) - low, 0.0)
    shared = np.asarray(sides[..., 0] * sides[..., 1])
    return _ratio(shared, np.broadcast_to(area(one)[:, None], shared.shape))


def out_of_frame(xyxy_norm: npt.ArrayLike) -> Floats:
    """Return the share of each box's area outside [0, 1] x [0, 1], shape (N,); 0 for a box without area."""
    boxes = as_boxes(xyxy_norm)
    whole = area(boxes)
    return np.clip(_ratio(whole - area(clip(boxes)), whole), 0.0, 1.0)


def hflip(xyxy_norm: npt.ArrayLike) -> Floats:
    """Return boxes of the picture mirrored left to right.

    Twice is the identity: exactly for multiples of 2**-53, else to within 2**-53 (the spacing just below 1).
    """
    boxes = as_boxes(xyxy_norm)
    return np.stack([1.0 - boxes[:, 2], boxes[:, 1], 1.0 - boxes[:, 0], boxes[:, 3]], axis=1)


def orient(xyxy_norm: npt.ArrayLike, exif_orientation: int) -> Floats:
    """Return boxes of the raw, un-rotated frame in the upright frame, for an EXIF orientation of 1 to 8.

    Any other number counts as 1, as picture viewers do.
    """
    boxes = as_boxes(xyxy_norm)
    swap, mirror_x, mirror_y = _ORIENTATIONS.get(exif_orientation, _ORIENTATIONS[1])
    x, y = boxes[:, [0, 2]], boxes[:, [1, 3]]
    if swap:
        x, y = y, x
    if mirror_x:
        x = 1.0 - x[:, ::-1]
    if mirror_y:
        y = 1.0 - y[:, ::-1]
    return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)


def square_offsets(size_wh: tuple[int, int]) -> tuple[int, int, int]:
    """Return (dx, dy, side) in pixels of the centred square pad: All-Seeing v2, llava/mm_utils.py."""
    width, height = size_wh
    side = max(width, height)
    return (side - width) // 2, (side - height) // 2, side


def square_pad(xyxy_norm: npt.ArrayLike, size_wh: tuple[int, int]) -> Floats:
    """Return boxes of a picture of `size_wh` pixels as shares of its centred square pad."""
    dx, dy, side = square_offsets(size_wh)
    return normalise(denormalise(xyxy_norm, size_wh) + np.array([dx, dy, dx, dy], float), (side, side))


def square_unpad(xyxy_norm: npt.ArrayLike, size_wh: tuple[int, int]) -> Floats:
    """Return boxes of the square pad as shares of the picture inside it; they may leave [0, 1]."""
    dx, dy, side = square_offsets(size_wh)
    return normalise(denormalise(xyxy_norm, (side, side)) - np.array([dx, dy, dx, dy], float), size_wh)


def apply_affine(xyxy_px: npt.ArrayLike, affine: Sequence[float]) -> Floats:
    """Return the upright bounding boxes of boxes moved by (a, b, c, d, e, f).

    x' = a x + b y + c, y' = d x + e y + f. A rotation that is no multiple of a quarter turn widens the boxes.
    """
    boxes = as_boxes(xyxy_px)
    a, b, c, d, e, f = affine
    xs, ys = boxes[:, [0, 2, 0, 2]], boxes[:, [1, 1, 3, 3]]
    # A zero factor is left out, not multiplied: 0 times inf would spoil the other axis.
    new_x = _term(a, xs) + _term(b, ys) + c
    new_y = _term(d, xs) + _term(e, ys) + f
    return np.stack([new_x.min(axis=1), new_y.min(axis=1), new_x.max(axis=1), new_y.max(axis=1)], axis=1)


def compose_affine(outer: Sequence[float], inner: Sequence[float]) -> Affine:
    """Return the affine that does `inner` first and `outer` after it."""
    a, b, c, d, e, f = outer
    g, h, i, j, k, m = inner
    top = (a * g + b * j, a * h + b * k, a * i + b * m + c)
    return (*top, d * g + e * j, d * h + e * k, d * i + e * m + f)


def invert_affine(affine: Sequence[float]) -> Affine:
    """Return the affine that undoes this one; ValueError when it flattens the plane."""
    a, b, c, d, e, f = affine
    scale = a * e - b * d
    if scale == 0.0 or not np.isfinite(scale):
        raise ValueError(f"affine {tuple(affine)} cannot be undone")
    p, q, r, s = e / scale, -b / scale, -d / scale, a / scale
    return p, q, -(p * c + q * f), r, s, -(r * c + s * f)


def _scale(size_wh: npt.ArrayLike) -> Floats:
    size = np.asarray(size_wh, dtype=np.float64)
    if size.shape[-1:] != (2,) or size.ndim > 2:
        raise ValueError(f"sizes have shape (2,) or (N, 2), not {size.shape}")
    return np.concatenate([size, size], axis=-1)


def _ratio(share: Floats, whole: Floats) -> Floats:
    return np.divide(share, whole, out=np.where(np.isnan(whole), np.nan, 0.0), where=whole > 0)


def _intersection(one: Floats, two: Floats) -> Floats:
    low = np.maximum(one[:, :2], two[:, :2])
    sides = np.maximum(np.minimum(one[:, 2:], two[:, 2:]) - low, 0.0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def _term(factor: float, values: Floats) -> Floats:
    return factor * values if factor else np.zeros_like(values)
