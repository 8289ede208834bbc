"""A picture padded to a square in its middle, as LLaVA-1.5 and All-Seeing v2 show it to their encoder."""

from dataclasses import replace

import numpy as np

from curate.errors import SampleError
from curate.kernels import boxes
from curate.kernels.canvas import Canvas, bare, lay_pixels
from curate.sample import Derived, Notes, Pixels, Sample

VERSION: int = 2

FILL_RGB = (122, 116, 104)
"""CLIP's mean colour, int(255 * (0.48145466, 0.4578275, 0.40821073)): llava/train/train.py."""


def redraw(canvas: Canvas) -> Canvas:
    """Return the canvas centred on a square of its longer side; before it lie (longer - shorter) // 2 pixels."""
    dx, dy, side = boxes.square_offsets(canvas.size_wh)
    return canvas.pad((side, side), (dx, dy), FILL_RGB)


def relabel(sample: Sample, size_wh: tuple[int, int]) -> tuple[Sample, Notes]:
    """Return the sample with its boxes as shares of the square; of a square picture unchanged.

    `size_wh` is the picture's width and height in pixels before. Raises SampleError `several_pictures`: boxes belong
    to one picture only.
    """
    if len(sample.images) > 1:
        raise SampleError("several_pictures", f"{len(sample.images)} pictures, boxes of one")
    if size_wh[0] == size_wh[1]:
        return sample, {}
    moved = (boxes.square_pad(region.boxes, size_wh).tolist() for region in sample.regions)
    regions = tuple(
        replace(region, boxes=tuple((a, b, c, d) for a, b, c, d in new))
        for region, new in zip(sample.regions, moved, strict=True)
    )
    return replace(sample, regions=regions), {}


def augment(sample: Sample, pixels: Pixels, rng: np.random.Generator) -> Derived:
    """Return the picture on its square, boxes moved with it; `rng` is not used.

    `pixels` is (height, width, 3); a square picture comes back unchanged. Identity, transforms, affine and images of
    the sample are the caller's to set. Raises SampleError as `relabel` does.
    """
    canvas = redraw(bare((pixels.shape[1], pixels.shape[0])))
    words, notes = relabel(sample, canvas.picture_wh)
    return Derived(words, lay_pixels(pixels, canvas), canvas.affine, notes)
