from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.augmenters import hflip
from curate.errors import SampleError
from curate.kernels import boxes
from curate.sample import ImageRef, Region, Relation, Sample, Turn

SAMPLE = Sample(
    "id",
    "d",
    0,
    0,
    "k",
    text="a dog on the left",
    conversations=(Turn("human", "who is on the right?"), Turn("gpt", "the left man")),
    regions=(
        Region("left man", ((0.0, 0.25, 0.5, 1.0),), turn=1, start=4, end=12),
        Region("a dog", ((0.125, 0.0, 0.25, 0.5), (0.5, 0.5, 1.0, 1.0)), start=0, end=5),
    ),
    relations=(Relation("on the right", (0,), (1,), turn=0, start=7, end=19),),
)


def pixels(width=6, height=4):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def augment(sample, picture):
    return hflip.augment(sample, picture, np.random.default_rng(0))


def test_pixels_boxes_and_words_change_together():
    picture = pixels()
    made = augment(SAMPLE, picture)
    assert (made.pixels == picture[:, ::-1]).all()
    assert made.pixels.flags.c_contiguous
    assert made.affine == (-1, 0, 6, 0, 1, 0)
    assert made.sample.text == "a dog on the right"
    assert [turn.value for turn in made.sample.conversations] == ["who is on the left?", "the right man"]
    man, dog = made.sample.regions
    assert man == Region("right man", ((0.5, 0.25, 1.0, 1.0),), turn=1, start=4, end=13)
    assert dog.boxes == ((0.75, 0.0, 0.875, 0.5), (0.0, 0.5, 0.5, 1.0))
    assert made.sample.relations == (Relation("on the left", (0,), (1,), turn=0, start=7, end=18),)


def test_the_affine_says_what_happened_to_the_boxes():
    made = augment(SAMPLE, pixels())
    moved = boxes.apply_affine(boxes.denormalise(SAMPLE.regions[1].boxes, (6, 4)), made.affine)
    np.testing.assert_allclose(boxes.normalise(moved, (6, 4)), made.sample.regions[1].boxes)


def test_twice_is_the_identity():
    once = augment(SAMPLE, pixels())
    twice = augment(once.sample, once.pixels)
    assert twice.sample == SAMPLE
    assert (twice.pixels == pixels()).all()


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=4))
def test_any_box_comes_back(some):
    sample = replace(SAMPLE, regions=(Region("x", tuple(some)),), relations=())
    once = augment(sample, pixels())
    back = augment(once.sample, once.pixels).sample.regions[0].boxes
    np.testing.assert_allclose(boxes.as_boxes(back), boxes.as_boxes(some), rtol=0, atol=2**-53)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"text": "a stop sign"}, "flip_text"),
        ({"conversations": (Turn("gpt", "a clock"), Turn("gpt", "x"))}, "flip_directional"),
        ({"regions": (Region("x", (), turn=2),)}, "bad_span"),
        ({"images": (ImageRef("", 0, 0, "", "", "", 1, 1, 1, 1, 1),) * 2}, "several_pictures"),
    ],
)
def test_a_refusal_is_a_sample_error(change, code):
    with pytest.raises(SampleError) as caught:
        augment(replace(SAMPLE, **{"regions": (), "relations": (), **change}), pixels())
    assert caught.value.code == code


def test_a_sample_without_text_keeps_none():
    assert augment(Sample("id", "d", 0, 0, "k"), pixels()).sample.text is None
