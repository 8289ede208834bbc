import numpy as np
import pytest

from curate.demo.scenes import COLOURS, draw, empty_box, masks, overlaps, scene

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_words_boxes_and_masks_agree(seed: int) -> None:
    found = scene(seed)
    pixels = draw(found)
    assert pixels.shape == (found.height, found.width, 3) and pixels.dtype == np.uint8
    assert 2 <= len(found.objects) <= 4
    assert len({thing.phrase for thing in found.objects}) == len(found.objects)
    assert sorted(index for _, _, index in found.phrases) == list(range(len(found.objects)))
    for start, end, index in found.phrases:
        assert found.caption[start:end] == found.objects[index].phrase
    for thing, mask in zip(found.objects, masks(found), strict=True):
        ys, xs = np.nonzero(mask)
        assert thing.box_px == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert np.abs(pixels[mask].astype(int) - COLOURS[thing.colour]).max() <= 10
    for one in found.objects:
        assert sum(overlaps(one.box_px, other.box_px) for other in found.objects) == 1


def test_sides_are_said_as_they_are() -> None:
    said = 0
    for seed in range(200):
        found = scene(seed)
        for (_, end, one), (start, _, other) in zip(found.phrases, found.phrases[1:], strict=False):
            joint = found.caption[end:start]
            middle = [sum(found.objects[index].box_px[::2]) for index in (one, other)]
            height = [sum(found.objects[index].box_px[1::2]) for index in (one, other)]
            wanted = {
                "to the left of": middle[0] < middle[1],
                "to the right of": middle[0] > middle[1],
                "above": height[0] < height[1],
                "below": height[0] > height[1],
            }
            assert wanted.get(joint.strip(), True), found.caption
            said += joint.strip() in wanted
    assert said > 100


def test_same_seed_same_bytes() -> None:
    assert scene(5) == scene(5) and scene(5) != scene(6)
    assert np.array_equal(draw(scene(5)), draw(scene(5)))


def test_an_empty_box_shows_nothing_but_background() -> None:
    for seed in SEEDS:
        found = scene(seed)
        box = empty_box(found, 0, np.random.default_rng(seed))
        if box is not None:
            assert not any(mask[box[1] : box[3], box[0] : box[2]].any() for mask in masks(found))
            x0, y0, x1, y1 = found.objects[0].box_px
            assert (box[2] - box[0], box[3] - box[1]) == (x1 - x0, y1 - y0)
