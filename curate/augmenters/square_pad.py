"""A picture padded to a square in its middle, as LLaVA-1.5 and All-Seeing v2 show it to their encoder."""

from dataclasses import replace

import numpy as np

from curate.errors import SampleError
from curate.kernels import boxes
from curate.sample import Derived, Pixels, Sample

VERSION: int = 1

FILL_RGB = (122, 116, 104)
"""CLIP's mean colour, int(255 * (0.48145466, 0.4578275, 0.40821073)): llava/train/train.py."""


def augment(sample: Sample, pixels: Pixels, rng: np.random.Generator) -> Derived:
    """Return the picture centred on a square of its longer side, boxes moved with it; `rng` is not used.

    `pixels` is (height, width, 3); the pad before it is (longer - shorter) // 2 pixels. A square picture comes
    back unchanged. Identity, transforms, affine and images of the sample are the caller's to set.
    Raises SampleError `several_pictures`: boxes belong to one picture only.
    """
    if len(sample.images) > 1:
        raise SampleError("several_pictures", f"{len(sample.images)} pictures, boxes of one")
    height, width = pixels.shape[:2]
    dx, dy, side = boxes.square_offsets((width, height))
    if width == height:
        return Derived(sample, pixels, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    square = np.empty((side, side, 3), dtype=np.uint8)
    square[:] = FILL_RGB
    square[dy : dy + height, dx : dx + width] = pixels
    moved = (boxes.square_pad(region.boxes, (width, height)).tolist() for region in sample.regions)
    regions = tuple(
        replace(region, boxes=tuple((a, b, c, d) for a, b, c, d in new))
        for region, new in zip(sample.regions, moved, strict=True)
    )
    return Derived(replace(sample, regions=regions), square, (1.0, 0.0, float(dx), 0.0, 1.0, float(dy)))
