"""A picture laid on a canvas: where it comes to lie, whether it is mirrored, and what fills the rest.

Pixels are uint8 of shape (height, width, 3), RGB. Planes are uint8 of shape (height, width) each, one for grey or
Y, Cb and Cr as JFIF 1.02 has them, chroma with fewer samples: one for `across` x `down` pixels, the last ones of a
row or column perhaps for less.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from curate.kernels.boxes import Affine

Plane = npt.NDArray[np.uint8]
RGB = tuple[int, int, int]
_Indices = tuple[npt.NDArray[np.intp], ...]


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture of `picture_wh` pixels on a canvas of `size_wh`, its left top corner at `at` once it is mirrored."""

    picture_wh: tuple[int, int]
    size_wh: tuple[int, int]
    at: tuple[int, int] = (0, 0)
    mirrored: bool = False
    fill: RGB = (0, 0, 0)

    @property
    def affine(self) -> Affine:
        """Pixels of the picture to pixels of the canvas; a pixel's left edge is x, its right edge x + 1."""
        x, y = map(float, self.at)
        return (-1.0, 0.0, x + self.picture_wh[0], 0.0, 1.0, y) if self.mirrored else (1.0, 0.0, x, 0.0, 1.0, y)

    @property
    def padded(self) -> bool:
        """Whether the canvas is larger than the picture."""
        return self.size_wh != self.picture_wh

    @property
    def untouched(self) -> bool:
        """Whether the canvas shows the picture as it was."""
        return not self.padded and not self.mirrored

    def pad(self, size_wh: tuple[int, int], at: tuple[int, int], fill: RGB) -> "Canvas":
        """Return this canvas laid at `at` on a larger one; two pads of different fill are ValueError."""
        if self.padded and fill != self.fill and size_wh != self.size_wh:
            raise ValueError("a canvas has one fill")
        return replace(self, size_wh=size_wh, at=(self.at[0] + at[0], self.at[1] + at[1]), fill=fill)

    def flip(self) -> "Canvas":
        """Return this canvas mirrored left to right."""
        left = self.size_wh[0] - self.picture_wh[0] - self.at[0]
        return replace(self, at=(left, self.at[1]), mirrored=not self.mirrored)


def bare(picture_wh: tuple[int, int]) -> Canvas:
    """Return the canvas that shows a picture as it is."""
    return Canvas(picture_wh, picture_wh)


def lay_pixels(pixels: npt.NDArray[np.uint8], canvas: Canvas) -> npt.NDArray[np.uint8]:
    """Return the canvas as pixels; an untouched picture comes back itself."""
    if canvas.untouched:
        return pixels
    whole = np.ascontiguousarray(pixels)
    # A pixel as one item of three bytes: reversed rows are copied whole pixels at a time.
    picture = whole.view("V3")[:, ::-1, 0] if canvas.mirrored else whole.view("V3")[:, :, 0]
    if not canvas.padded:
        return np.ascontiguousarray(picture).view(np.uint8).reshape(whole.shape)
    (wide, high), (x, y) = canvas.size_wh, canvas.at
    out = np.empty((high, wide, 3), np.uint8)
    out[:] = canvas.fill
    out.view("V3")[y : y + whole.shape[0], x : x + whole.shape[1], 0] = picture
    return out


def lay_planes(planes: tuple[Plane, ...], step: tuple[int, int], canvas: Canvas) -> tuple[Plane, ...]:
    """Return the canvas as planes, one chroma sample for `step` (across, down) pixels as before.

    A grey picture that is padded stays one plane: give it chroma first where the fill has a colour. Chroma samples
    that would lie astride two old ones become their mean, which is what decoding, moving and encoding make of them.
    """
    fills = ycc(canvas.fill)
    luma = _block(planes[0], canvas, (1, 1), fills[0])
    return (luma, *(_chroma(plane, canvas, step, fill) for plane, fill in zip(planes[1:], fills[1:], strict=False)))


def ycc(rgb: RGB) -> tuple[int, int, int]:
    """Return Y, Cb, Cr of a colour, rounded: JFIF 1.02, "Conversion to and from RGB"."""
    red, green, blue = rgb
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return round(luma), min(255, round((blue - luma) / 1.772 + 128)), min(255, round((red - luma) / 1.402 + 128))


def mirrored(plane: Plane) -> Plane:
    """Return a plane mirrored left to right; its rows may lie further apart than they are long.

    Eight samples are turned round at once as one number, several times quicker than one by one.
    """
    high, wide = plane.shape
    full = -(-wide // 8) * 8
    rows = np.ascontiguousarray(plane)
    if full != wide:
        rows = np.empty((high, full), np.uint8)
        rows[:, :wide] = plane
    turned = rows.view(np.uint64)[:, ::-1].byteswap()
    return turned.view(np.uint8)[:, full - wide :]


def _block(plane: Plane, canvas: Canvas, step: tuple[int, int], fill: int) -> Plane:
    """Lay a plane whose samples stay whole."""
    picture = mirrored(plane) if canvas.mirrored else plane
    if not canvas.padded:
        return picture
    high, wide = (-(-side // each) for side, each in zip(canvas.size_wh[::-1], step[::-1], strict=True))
    x, y = canvas.at[0] // step[0], canvas.at[1] // step[1]
    out = np.full((high, wide), fill, np.uint8)
    out[y : y + plane.shape[0], x : x + plane.shape[1]] = picture
    return out


def _chroma(plane: Plane, canvas: Canvas, step: tuple[int, int], fill: int) -> Plane:
    across, down = _distinct(_sources(canvas, 0, step[0])), _distinct(_sources(canvas, 1, step[1]))
    if len(across) == len(down) == 1:
        return _block(plane, canvas, step, fill)
    shown = [_columns(rows, each, fill) for rows in (_rows(plane, each, fill) for each in down) for each in across]
    if len(shown) == 2:  # their mean, rounded up, in eight bits
        one, other = shown
        return np.asarray((one | other) - ((one ^ other) >> 1))
    total = np.full(shown[0].shape, len(shown) // 2, np.uint16)
    for each in shown:
        total += each
    return np.asarray(total // len(shown)).astype(np.uint8)


def _distinct(sources: _Indices) -> _Indices:
    """Return one for all where every pixel under a sample shows the same."""
    return sources[:1] if all((each == sources[0]).all() for each in sources[1:]) else sources


def _rows(plane: Plane, sources: npt.NDArray[np.intp], fill: int) -> Plane:
    """Return the rows of a plane that `sources` names; beyond its last is the fill."""
    out = np.full((len(sources), plane.shape[1]), fill, np.uint8)
    inside = sources < plane.shape[0]
    out[inside] = plane[sources[inside]]
    return out


def _columns(plane: Plane, sources: npt.NDArray[np.intp], fill: int) -> Plane:
    """Return the columns of a plane that `sources` names: in one stretch where they lie so, which is far quicker."""
    high, wide = plane.shape
    out = np.full((high, len(sources)), fill, np.uint8)
    inside = np.flatnonzero(sources < wide)
    if not inside.size:
        return out
    first, last = int(inside[0]), int(inside[-1])
    run = sources[first : last + 1]
    ways = np.diff(run)
    if (ways == 1).all():
        part = plane[:, run[0] : run[-1] + 1]
    elif (ways == -1).all():
        part = mirrored(plane[:, run[-1] : run[0] + 1])
    else:
        part = plane.take(run, axis=1)
    out[:, first : last + 1] = part
    return out


def _sources(canvas: Canvas, axis: int, step: int) -> _Indices:
    """Return, for each of the `step` pixels under a new sample, the old sample that it shows; the last is the fill."""
    length, size, at = canvas.picture_wh[axis], canvas.size_wh[axis], canvas.at[axis]
    pixel = np.minimum(np.arange(-(-size // step) * step), size - 1) - at
    inside = (pixel >= 0) & (pixel < length)
    if axis == 0 and canvas.mirrored:
        pixel = length - 1 - pixel
    old = np.where(inside, pixel // step, -(-length // step))
    return tuple(old[first::step] for first in range(step))
