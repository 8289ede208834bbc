"""Affines of whole pictures: EXIF orientation, resize, pad, flip, and points moved by them.

An affine is (a, b, c, d, e, f): x' = a x + b y + c, y' = d x + e y + f, in pixels, where a pixel's left edge is x
and its right edge x + 1, so that a whole picture is (0, 0, width, height). `boxes.compose_affine` joins two,
`boxes.invert_affine` undoes one, `boxes.apply_affine` moves boxes.
"""

import numpy as np
import numpy.typing as npt

from curate.kernels.boxes import Affine, Floats, compose_affine

IDENTITY: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def upright_size(raw_wh: tuple[int, int], exif_orientation: int) -> tuple[int, int]:
    """Return the size in pixels of a picture of `raw_wh` once it is turned upright."""
    return (raw_wh[1], raw_wh[0]) if 5 <= exif_orientation <= 8 else raw_wh


def of_orientation(raw_wh: tuple[int, int], exif_orientation: int) -> Affine:
    """Return the way from the raw frame of `raw_wh` pixels to the upright one: Exif 2.32, tag 0x0112, 1 to 8.

    Any other number counts as 1, as picture viewers do.
    """
    width, height = float(raw_wh[0]), float(raw_wh[1])
    return {
        2: (-1.0, 0.0, width, 0.0, 1.0, 0.0),
        3: (-1.0, 0.0, width, 0.0, -1.0, height),
        4: (1.0, 0.0, 0.0, 0.0, -1.0, height),
        5: (0.0, 1.0, 0.0, 1.0, 0.0, 0.0),
        6: (0.0, -1.0, height, 1.0, 0.0, 0.0),
        7: (0.0, -1.0, height, -1.0, 0.0, width),
        8: (0.0, 1.0, 0.0, -1.0, 0.0, width),
    }.get(exif_orientation, IDENTITY)


def of_resize(from_wh: tuple[int, int], to_wh: tuple[int, int]) -> Affine:
    """Return the way from a picture to its resized self; ValueError for a side below 1."""
    if min(*from_wh, *to_wh) < 1:
        raise ValueError(f"a picture of {from_wh} pixels cannot become one of {to_wh}")
    return (to_wh[0] / from_wh[0], 0.0, 0.0, 0.0, to_wh[1] / from_wh[1], 0.0)


def of_pad(left: float, top: float) -> Affine:
    """Return the way into a larger picture that has `left` columns and `top` rows before this one."""
    return (1.0, 0.0, float(left), 0.0, 1.0, float(top))


def of_flip(width: float) -> Affine:
    """Return the way into the mirror, left to right, of a picture of `width` pixels."""
    return (-1.0, 0.0, float(width), 0.0, 1.0, 0.0)


def of_stored(source_wh: tuple[int, int], exif_orientation: int, stored_wh: tuple[int, int]) -> Affine:
    """Return the way from a file's raw pixels to what is stored of it: turned upright, then shrunk.

    These are an ImageRef's `source_width` and `source_height`, `exif_orientation`, `width` and `height`; the view
    `affines` says the same in SQL. ValueError for a side below 1.
    """
    resize = of_resize(upright_size(source_wh, exif_orientation), stored_wh)
    return compose_affine(resize, of_orientation(source_wh, exif_orientation))


def apply_points(points_px: npt.ArrayLike, affine: Affine) -> Floats:
    """Return points, shape (N, 2) of x and y in pixels, moved by an affine; ValueError for another shape."""
    points = (
        np.asarray(points_px, dtype=np.float64).reshape(-1, 2) if np.size(points_px) == 0 else np.asarray(points_px)
    )
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points have shape (N, 2), not {points.shape}")
    a, b, c, d, e, f = affine
    x, y = points[:, 0], points[:, 1]
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1).astype(np.float64)
