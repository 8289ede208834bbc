"""Samples of more than 8 bits, brought to 0..255."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt


def white(mode: str, tiles: Iterable[npt.NDArray[Any]]) -> float:
    """Return the value that is white in a picture of Pillow's mode I or F, given in tiles.

    I;16 says its range; a 32-bit file does not, so the smallest usual white that holds its values is taken.
    """
    brightest = max(float(_finite(tile).max(initial=0.0)) for tile in tiles)
    usual = (65535.0,) if mode.startswith("I;16") else (255.0, 65535.0) if mode == "I" else (1.0, 255.0, 65535.0)
    return next((top for top in usual if brightest <= top), brightest)


def grey(tile: npt.NDArray[Any], white: float) -> npt.NDArray[np.uint8]:
    """Return a tile in 8 bits."""
    return np.clip(np.round(_finite(tile) * (255.0 / white)), 0, 255).astype(np.uint8)


def _finite(tile: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.nan_to_num(tile.astype(np.float64))
