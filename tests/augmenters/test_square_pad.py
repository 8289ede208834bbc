from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.augmenters import square_pad
from curate.errors import SampleError
from curate.kernels import boxes
from curate.sample import ImageRef, Region, Sample

SAMPLE = Sample("id", "d", 0, 0, "k", regions=(Region("cat", ((0.0, 0.0, 1.0, 1.0), (0.5, 0.5, 1.0, 1.0))),))


def augment(sample, picture):
    return square_pad.augment(sample, picture, np.random.default_rng(0))


@pytest.mark.parametrize(("width", "height", "dx", "dy"), [(7, 4, 0, 1), (4, 7, 1, 0), (501, 300, 0, 100)])
def test_the_picture_is_centred_with_a_floored_offset(width, height, dx, dy):
    picture = np.full((height, width, 3), 9, np.uint8)
    made = augment(SAMPLE, picture)
    side = max(width, height)
    assert made.pixels.shape == (side, side, 3)
    inside = np.zeros((side, side), bool)
    inside[dy : dy + height, dx : dx + width] = True
    assert (made.pixels[inside] == 9).all()
    assert (made.pixels[~inside] == (122, 116, 104)).all()
    assert made.affine == (1, 0, dx, 0, 1, dy)
    whole = made.sample.regions[0].boxes[0]
    assert whole == (dx / side, dy / side, (dx + width) / side, (dy + height) / side)


def test_a_square_picture_is_unchanged():
    picture = np.zeros((5, 5, 3), np.uint8)
    made = augment(SAMPLE, picture)
    assert made.pixels is picture
    assert made.sample is SAMPLE
    assert made.affine == (1, 0, 0, 0, 1, 0)


@given(st.integers(1, 40), st.integers(1, 40))
def test_the_affine_says_what_happened_to_the_boxes(width, height):
    made = augment(SAMPLE, np.zeros((height, width, 3), np.uint8))
    moved = boxes.apply_affine(boxes.denormalise(SAMPLE.regions[0].boxes, (width, height)), made.affine)
    side = max(width, height)
    np.testing.assert_allclose(boxes.normalise(moved, (side, side)), made.sample.regions[0].boxes)


def test_several_pictures_are_refused():
    images = (ImageRef("", 0, 0, "", "", "", 1, 1, 1, 1, 1),) * 2
    with pytest.raises(SampleError, match="several_pictures"):
        augment(replace(SAMPLE, images=images), np.zeros((2, 3, 3), np.uint8))
