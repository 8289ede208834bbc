"""Perceptual hash: 64 bits that stay nearly the same when a picture is resized or compressed again."""

from functools import cache

import numpy as np
import numpy.typing as npt

SIDE = 32
"""Side in pixels of the grey picture that is hashed."""


def phash(grey: npt.NDArray[np.uint8] | npt.NDArray[np.floating]) -> str:
    """Return 16 hex digits for a grey picture of shape (32, 32), values 0 to 255.

    DCT-II, the 8 × 8 lowest frequencies, one bit each: above their median or not (Zauner, "Implementation
    and benchmarking of perceptual image hash functions", 2010). Raises ValueError for another shape.
    """
    if grey.shape != (SIDE, SIDE):
        raise ValueError(f"expected a picture of {SIDE} x {SIDE}, got {grey.shape}")
    basis = _dct_basis()
    # Rounded, so that a flat picture gives zeros and not the sign of the last floating-point bit.
    low = np.round(basis @ grey.astype(np.float64) @ basis.T, 6)
    bits = (low > np.median(low)).ravel()
    return np.packbits(bits).tobytes().hex()


def hamming(a: str, b: str) -> int:
    """Return in how many of 64 bits two hashes of 16 hex digits differ; ValueError for anything else."""
    if len(a) != 16 or len(b) != 16:
        raise ValueError("a perceptual hash has 16 hex digits")
    return (int(a, 16) ^ int(b, 16)).bit_count()


@cache
def _dct_basis() -> npt.NDArray[np.float64]:
    """Rows 0 to 7 of the DCT-II matrix of size 32, unscaled."""
    frequency, place = np.arange(8)[:, None], np.arange(SIDE)[None, :]
    basis: npt.NDArray[np.float64] = np.cos(np.pi * (2 * place + 1) * frequency / (2 * SIDE))
    return basis
