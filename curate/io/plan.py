"""How a picture is decoded, told from its header: how much coarser, and how much memory that takes."""

from dataclasses import dataclass
from typing import Any

from curate.io import headers
from curate.io.picture import Limits
from curate.io.room import Room
from curate.io.shrink import MOST

ROOM = Room(450_000_000)
"""Bytes that the pictures in hand may take; with the libraries a process stays below 600 MB."""
TILE = 1 << 20
"""Pixels converted at once: wide types cost memory for a tile, not for the picture."""
JPEGS = ("JPEG", "MPO")
SCALES = (8, 4, 2, 1)
"""How many times smaller a JPEG decodes at less cost: fewer frequencies of each block of 8 x 8 are turned back."""
_TILE_WIDTH, _TILE_HEIGHT = 322, 323  # TIFF 6.0, section 15
_COST = {"WEBP": 16, "TIFF": 12}
"""Bytes a pixel while it is decoded, measured; four elsewhere."""


def scale(source_wh: tuple[int, int], least_wh: tuple[int, int]) -> int:
    """Return the coarsest scale at which a picture is not smaller than `least_wh`."""
    return next((by for by in SCALES if source_wh[0] // by >= least_wh[0] and source_wh[1] // by >= least_wh[1]), 1)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its picture: pixels across and down, whether it lies as it stands.

    `layers` are the sampling factors, across and down, of a JPEG in several scans, else none; `tile` is how many
    pixels a TIFF unpacks at once.
    """

    form: str
    size: tuple[int, int]
    upright: bool = False
    layers: tuple[tuple[int, int], ...] = ()
    tile: int = 0

    def cost(self, by: int, size: tuple[int, int] | None = None) -> int:
        """Return how many bytes it takes until it is small, decoded `by` times coarser; 0: whole, turned, to `size`."""
        pixels, kept = self.size[0] * self.size[1], 0
        if self.layers:  # the coefficients of all blocks, 16 bits each
            factors = [across * down for across, down in self.layers]
            kept = 2 * pixels * sum(factors) // max(1, *factors)
        if size not in (None, self.size):  # first narrower, then lower
            kept += 4 * size[0] * (size[1] + self.size[1] // max(by, 1))
        whole = 7 if self.form in JPEGS and self.upright else 8
        each = max(_COST.get(self.form, 4), 0 if by else whole)
        return max(pixels, self.tile) * each // max(by, 1) ** 2 + kept

    def coarser(self, size: tuple[int, int], limits: Limits) -> int:
        """Return how many times coarser to decode before areas are averaged to `size`; 0 where they are not."""
        pairs = list(zip(self.size, size, strict=True))
        row = self.size[0] * (self.size[1] // size[1] + 2)
        if row > TILE or not all(2 * short <= long <= MOST * short for long, short in pairs):
            return 0
        if self.form not in JPEGS:
            return 1
        margin = 4 if limits.decode == "exact" else 1
        by, most = scale(self.size, (margin * size[0], margin * size[1])), scale(self.size, size)
        while by < most and self.cost(by, size) > ROOM.size:
            by *= 2
        return by


def header(opened: Any, data: bytes, upright: bool = False) -> Header:
    """Return the header of a picture that Pillow has opened and not decoded."""
    tags = getattr(opened, "tag_v2", {})
    scans = headers.scans(data) if opened.format in JPEGS else 1
    return Header(
        form=opened.format or "",
        size=opened.size,
        upright=upright,
        layers=tuple((layer[1], layer[2]) for layer in opened.layer) if scans > 1 else (),
        tile=int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_HEIGHT, 0)),
    )
