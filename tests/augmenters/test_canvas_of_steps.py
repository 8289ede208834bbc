"""Augmenters that only lay a picture on a canvas say the same with pixels and without."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.augmenters import hflip, square_pad
from curate.kernels.boxes import compose_affine
from curate.kernels.canvas import bare, lay_pixels
from curate.sample import Region, Sample

STEPS = (hflip, square_pad)


@given(st.integers(1, 40), st.integers(1, 40), st.lists(st.sampled_from(STEPS), min_size=1, max_size=4))
def test_a_chain_of_steps_is_one_canvas(width, height, chain):
    sample = Sample("id", "d", 0, 0, "k", text="on the left", regions=(Region("x", ((0.1, 0.2, 0.4, 0.8),)),))
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    canvas, words, here, affine = bare((width, height)), sample, pixels, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    for step in chain:
        made = step.augment(words, here, np.random.default_rng(0))
        again, notes = step.relabel(words, canvas.size_wh)
        canvas = step.redraw(canvas)
        assert (again, notes) == (made.sample, made.notes)
        words, here, affine = made.sample, made.pixels, compose_affine(made.affine, affine)
    assert (lay_pixels(pixels, canvas) == here).all()
    assert canvas.affine == affine


@pytest.mark.parametrize("step", STEPS)
def test_words_that_changed_are_noted(step):
    sample = Sample("id", "d", 0, 0, "k", text="left of the dog on the right")
    _, notes = step.relabel(sample, (4, 3))
    assert notes == ({"swapped": 2} if step is hflip else {})
