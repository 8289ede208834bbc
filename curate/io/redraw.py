"""A stored picture drawn anew on canvases: read at most once for all of them, written once for each.

Four ways, the first that will do: `kept` (the canvas shows the picture as it was: its very bytes), `lossless` (a
JPEG mirrored in its own coefficients), `planes` (a JPEG's planes moved as they were coded, no colour converted),
`pixels` (decoded to RGB and encoded by Pillow). The second and third want libturbojpeg; `reencode` forgoes them,
so that every machine writes the same bytes.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from curate.errors import SampleError
from curate.io import images, turbo
from curate.kernels.canvas import Canvas, Plane, lay_pixels, lay_planes
from curate.kernels.phash import SIDE
from curate.sample import ImageRef, Pixels

Flip = Literal["auto", "reencode"]
Way = Literal["kept", "lossless", "planes", "pixels"]
SUFFIXES = {"jpeg": "jpg", "png": "png", "webp": "webp"}
"""Form of a stored picture → how its file's name ends."""

_GREY_AND_CHROMA = 2  # TJSAMP_420


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture ready to be stored: its bytes, size in pixels, form, the way it was made, and what a hash is made of.

    `seen` is its perceptual hash, or its pixels or brightness, perhaps 8 times smaller.
    """

    data: bytes
    size_wh: tuple[int, int]
    format: str
    way: Way
    seen: str | Pixels | Plane = field(compare=False)

    def phash(self) -> str:
        """Return the perceptual hash, 16 hex digits; of a large picture some rows and columns will do."""
        if isinstance(self.seen, str):
            return self.seen
        step = max(1, min(self.seen.shape[:2]) // (8 * SIDE))
        return images.perceptual_hash(np.ascontiguousarray(self.seen[::step, ::step]))


class Drawing:
    """One stored picture, `data` as `image` describes it; what was decoded of it is kept for the next canvas."""

    def __init__(self, data: bytes, image: ImageRef, flip: Flip, quality: int) -> None:
        self._data, self._image, self._quality = data, image, quality
        self._turbo = flip == "auto" and image.format == "jpeg"
        self._pixels: Pixels | None = None
        self._decoded: turbo.Decoded | None = None

    def pixels(self) -> Pixels:
        """Return the picture as RGB, shape (height, width, 3); SampleError as `images.decode` raises."""
        if self._pixels is None:
            self._pixels = images.decode(self._data)
        return self._pixels

    def on(self, canvas: Canvas) -> Drawn:
        """Return the picture on a canvas.

        Raises SampleError: what `images.decode` raises, and `corrupt` for a picture of another size than stated.
        """
        if canvas.untouched and self._image.format in SUFFIXES:
            return Drawn(self._data, canvas.size_wh, self._image.format, "kept", self._image.phash)
        if self._turbo:
            drawn = self._mirrored(canvas) or self._moved(canvas)
            if drawn is not None:
                return drawn
            self._turbo = False
        pixels = self.pixels()
        if pixels.shape[1::-1] != canvas.picture_wh:
            raise SampleError("corrupt", f"{pixels.shape[1::-1]} pixels, stored as {canvas.picture_wh}")
        return self.encoded(lay_pixels(pixels, canvas))

    def encoded(self, pixels: Pixels) -> Drawn:
        """Return RGB pixels of shape (height, width, 3) as a JPEG."""
        size = pixels.shape[1], pixels.shape[0]
        data = images.encode_jpeg(pixels, self._quality)
        return Drawn(data, size, "jpeg", "pixels", pixels)

    def _mirrored(self, canvas: Canvas) -> Drawn | None:
        if canvas.padded:
            return None
        flipped = turbo.hflip(self._data)
        if flipped is None:
            return None
        grey: Plane | None = flipped.coarse
        if min(flipped.coarse.shape) < SIDE:  # so small that the hash wants every pixel
            decoded = turbo.decode(flipped.data)
            grey = decoded.planes[0] if decoded else None
        if grey is None:
            return None
        return Drawn(flipped.data, canvas.size_wh, "jpeg", "lossless", grey)

    def _moved(self, canvas: Canvas) -> Drawn | None:
        if self._decoded is None:
            self._decoded = turbo.decode(self._data)
        decoded = self._decoded
        if decoded is None or decoded.planes[0].shape[::-1] != canvas.picture_wh:
            return None
        planes, sampling = decoded.planes, decoded.sampling
        if sampling == turbo.GREY and canvas.padded:
            planes, sampling = (planes[0], *_colourless(planes[0])), _GREY_AND_CHROMA
        laid = lay_planes(planes, turbo.STEPS[sampling], canvas)
        data = turbo.encode(laid, sampling, self._quality)
        if data is None:
            return None
        return Drawn(data, canvas.size_wh, "jpeg", "planes", laid[0])


def _colourless(luma: Plane) -> tuple[Plane, Plane]:
    across, down = turbo.STEPS[_GREY_AND_CHROMA]
    shape = -(-luma.shape[0] // down), -(-luma.shape[1] // across)
    return np.full(shape, 128, np.uint8), np.full(shape, 128, np.uint8)
