"""What a picture is when it is stored: its limits, its form, and the size it is given."""

from dataclasses import dataclass
from typing import Literal

MAX_PIXELS = 64_000_000
"""As RGB they take 256 MB."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted and how large it is stored: sides in pixels, JPEG quality where bytes are not kept.

    `max_side` None keeps every size, `short_side` shrinks until the shorter side is so long; neither enlarges.
    `decode` is of JPEGs that shrink: "exact" averages areas of all pixels, or of a picture decoded coarser that
    is still four times as large as wanted; "fast" of one that is not smaller than wanted.
    """

    max_pixels: int = MAX_PIXELS
    max_side: int | None = 2048
    short_side: int | None = None
    min_side: int = 1
    quality: int = 95
    decode: Literal["exact", "fast"] = "exact"

    def size(self, source_wh: tuple[int, int]) -> tuple[int, int]:
        """Return the width and height at which a picture is stored: its shape is kept, a side is at least 1."""
        scale = 1.0
        if self.max_side is not None:
            scale = min(scale, self.max_side / max(source_wh))
        if self.short_side is not None:
            scale = min(scale, self.short_side / min(source_wh))
        wide, high = (max(1, round(length * scale)) for length in source_wh)
        return wide, high


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture ready to be stored, upright.

    `width` and `height` are of the stored upright pixels, `source_width` and `source_height` of the file's
    header before `exif_orientation` (1 to 8) was applied. `phash` is 16 hex digits.
    """

    data: bytes
    extension: str
    format: str
    width: int
    height: int
    source_width: int
    source_height: int
    exif_orientation: int
    phash: str
