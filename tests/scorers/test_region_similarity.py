import numpy as np
import pytest

from curate import schema
from curate.demo.scenes import PixelBox, Scene, draw, empty_box, scene
from curate.demo.train_clip import HELD_OUT_SEEDS, auc
from curate.errors import SampleError
from curate.sample import Box, Pixels, Region, Sample
from curate.scorers import region_similarity
from curate.scorers.region_similarity import MAX_BOXES, Options, Scorer, crop, prepare

FIRST = HELD_OUT_SEEDS + 600_000
TINY = Options(model="tiny")


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(TINY)


def normalised(of: Scene, box: PixelBox) -> Box:
    return box[0] / of.width, box[1] / of.height, box[2] / of.width, box[3] / of.height


def sample(row: int, *regions: Region) -> Sample:
    return Sample(f"{row:032x}", "toy", 0, row, str(row), regions=regions)


def regions_of(found: Scene, first: PixelBox | None = None) -> list[Region]:
    boxes = [thing.box_px for thing in found.objects]
    boxes[0] = first or boxes[0]
    return [Region(thing.phrase, (normalised(found, box),)) for thing, box in zip(found.objects, boxes, strict=True)]


def test_one_box_that_is_off_shows_in_the_minimum(scorer: Scorer) -> None:
    found = [scene(FIRST + index) for index in range(120)]
    off = [empty_box(one, 0, np.random.default_rng(one.seed)) for one in found]
    kept = [(one, box) for one, box in zip(found, off, strict=True) if box is not None]
    drawn = [draw(one) for one, _ in kept]
    scores = [
        scorer.score(prepare(schema.to_table(rows), drawn.__getitem__, TINY))
        for rows in (
            [sample(row, *regions_of(one)) for row, (one, _) in enumerate(kept)],
            [sample(row, *regions_of(one, box)) for row, (one, box) in enumerate(kept)],
        )
    ]
    assert auc(scores[0]["min_region_similarity"], scores[1]["min_region_similarity"]) >= 0.99
    assert (scores[0]["min_region_similarity"] <= scores[0]["mean_region_similarity"] + 1e-9).all()


def test_rows_without_a_box_that_shows_something_are_nan(scorer: Scorer) -> None:
    def open_picture(row: int) -> Pixels:
        if row == 1:
            raise SampleError("truncated")
        return draw(scene(FIRST))

    good = regions_of(scene(FIRST))[0]
    table = schema.to_table(
        [
            sample(0),
            sample(1, good),
            sample(2, Region("a dot", ((0.5, 0.5, 0.5001, 0.5001), (1.2, 0.1, 1.4, 0.3)))),
            sample(3, Region("", good.boxes)),
            sample(4, good, Region("a dot", ((0.5, 0.5, 0.5001, 0.5001),))),
        ]
    )
    measured = scorer.score(prepare(table, open_picture, TINY))
    assert set(measured) == set(region_similarity.COLUMNS)
    for values in measured.values():
        assert np.isnan(values).tolist() == [True, True, True, True, False]
    assert measured["min_region_similarity"][4] == measured["mean_region_similarity"][4]


def test_the_number_of_boxes_is_bounded() -> None:
    found = scene(FIRST)
    box = normalised(found, found.objects[0].box_px)
    table = schema.to_table([sample(0, Region("many", (box,) * 50), Region("more", (box,)))])
    payload = prepare(table, lambda row: draw(found), TINY)
    assert payload["pixels"].shape == (MAX_BOXES, 64, 64, 3)
    assert payload["texts"] == ["many"] * MAX_BOXES


def test_crops_have_a_margin_and_stay_inside() -> None:
    pixels = np.arange(100 * 200 * 3, dtype=np.uint32).reshape(100, 200, 3).astype(np.uint8)
    inner = crop(pixels, (0.25, 0.2, 0.75, 0.6))
    assert inner is not None and np.array_equal(inner, pixels[16:64, 40:160])
    corner = crop(pixels, (-0.5, 0.5, 0.5, 2.0))
    assert corner is not None and np.array_equal(corner, pixels[45:, :110])
    for nothing in [(0.5, 0.5, 0.5, 0.9), (0.9, 0.1, 0.2, 0.5), (float("nan"), 0, 1, 1), (1.1, 0, 1.5, 1)]:
        assert crop(pixels, nothing) is None
