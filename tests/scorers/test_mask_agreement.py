import json
import math
import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import schema
from curate.kernels import boxes, rle
from curate.scorers.mask_agreement import COLUMNS, Options, Scorer, prepare

NAN = float("nan")
HEIGHT, WIDTH = 20, 40


def drawn(x0, y0, x1, y1, size=(HEIGHT, WIDTH)):
    mask = np.zeros(size, np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def told(mask, **more):
    size = [int(side) for side in mask.shape]
    return {"size": size, "counts": rle.encode(mask), "predicted_iou": 0.9, "stability_score": 0.97, **more}


def boxed(*px, size_wh=(WIDTH, HEIGHT)):
    corners = boxes.normalise([px], size_wh)[0].tolist()
    return {"phrase": "", "boxes": [dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True))], "tags": ["mask"]}


def table(*rows, orientation=1):
    """rows: (regions, source_meta)."""
    picture = [{"width": WIDTH, "height": HEIGHT, "exif_orientation": orientation}]
    return pa.table(
        {
            "regions": pa.array([regions for regions, _ in rows], schema.SAMPLES.field("regions").type),
            "source_meta": pa.array([meta for _, meta in rows], pa.string()),
            "images": pa.array([picture] * len(rows), schema.SAMPLES.field("images").type),
        }
    )


def no_picture(row):
    raise AssertionError("no pixels are needed")


def measure(samples):
    payload = pickle.loads(pickle.dumps(prepare(samples, no_picture, Options())))
    columns = Scorer(Options()).score(payload)
    assert columns.keys() == COLUMNS.keys()
    assert all(column.shape == (samples.num_rows,) for column in columns.values())
    return columns


def one(regions, masks, **options):
    meta = masks if isinstance(masks, str) else json.dumps({"image_id": 1, "annotations": masks})
    return {name: column[0].item() for name, column in measure(table((regions, meta), **options)).items()}


def test_known_values():
    found = one(
        [boxed(10, 5, 30, 15), boxed(0, 0, 10, 10)],
        [told(drawn(10, 5, 30, 15)), told(drawn(0, 0, 10, 5), stability_score=0.96, predicted_iou=0.89)],
    )
    assert found == {
        "mask_count": 2,
        "bad_masks": 0,
        "min_mask_iou": 0.5,
        "min_mask_fill": 0.5,
        "min_predicted_iou": 0.89,
        "min_stability": 0.96,
    }


def test_a_picture_stored_smaller_agrees_still():
    """Boxes are shares of the picture, masks keep the size they were drawn at."""
    large = drawn(100, 50, 300, 150, (200, 400))
    found = one([boxed(10, 5, 30, 15)], [told(large)])
    assert (found["min_mask_iou"], found["min_mask_fill"]) == (pytest.approx(1), pytest.approx(1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_was_turned_agrees_still(orientation):
    raw = boxes.normalise([[2, 1, 30, 9]], (WIDTH, HEIGHT))
    corners = boxes.orient(raw, orientation)[0].tolist()
    region = {"phrase": "", "boxes": [dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True))]}
    assert one([region], [told(drawn(2, 1, 30, 9))], orientation=orientation)["min_mask_iou"] == pytest.approx(1)


def test_without_masks_nothing_is_measured():
    for meta in ("{}", '{"annotations": []}', "[]", "null", "", '{"annotations": 3}', "{", "[" * 100_000):
        found = one([boxed(0, 0, 5, 5)], meta)
        assert (found["mask_count"], found["bad_masks"]) == (0, 0)
        assert math.isnan(found["min_mask_iou"])
    assert measure(table()).keys() == COLUMNS.keys()
    assert measure(table((None, None)))["mask_count"].tolist() == [0]


GOOD = told(drawn(0, 0, 5, 5))


@pytest.mark.parametrize(
    "mask",
    [
        None,
        3,
        {},
        {**GOOD, "counts": "!!"},
        {**GOOD, "counts": None},
        {**GOOD, "counts": [1, 2]},
        {**GOOD, "counts": ""},
        {**GOOD, "size": [HEIGHT]},
        {**GOOD, "size": [HEIGHT, WIDTH + 1]},
        {**GOOD, "size": [True, HEIGHT * WIDTH]},
        {**GOOD, "size": [-HEIGHT, -WIDTH]},
        {**GOOD, "size": ["20", 40]},
        {**GOOD, "size": [10**30, 1]},
        told(np.zeros((HEIGHT, WIDTH), np.bool_)),
    ],
)
def test_a_mask_that_cannot_be_read_is_counted(mask):
    found = one([boxed(0, 0, 5, 5), boxed(0, 0, 5, 5)], [mask, GOOD])
    assert (found["mask_count"], found["bad_masks"], found["min_mask_iou"]) == (1, 1, 1)


@pytest.mark.parametrize(
    "regions",
    [
        [],
        [{"phrase": "", "boxes": []}],
        [{"phrase": "", "boxes": [None]}],
        [boxed(5, 5, 5, 9)],
        [boxed(NAN, 0, 5, 5)],
        [{**boxed(0, 0, 5, 5), "boxes": boxed(0, 0, 5, 5)["boxes"] * 2}],
    ],
)
def test_a_mask_without_a_box_of_its_own_is_counted(regions):
    assert one(regions, [GOOD])["bad_masks"] == 1
    assert one([*regions, boxed(0, 0, 5, 5)], [GOOD, GOOD])["bad_masks"] >= 1


def test_numbers_that_are_none_are_not_the_least():
    found = one(
        [boxed(0, 0, 5, 5)] * 3,
        [{**GOOD, "stability_score": value, "predicted_iou": value} for value in ("0.1", True, 0.96)],
    )
    assert (found["min_stability"], found["min_predicted_iou"]) == (0.96, 0.96)
    huge = json.dumps({"annotations": [{**GOOD, "stability_score": 10**400}]})
    assert math.isnan(one([boxed(0, 0, 5, 5)], huge)["min_stability"])
    digits = '{"annotations": [' + "9" * 5000 + "]}"
    assert one([boxed(0, 0, 5, 5)], digits)["mask_count"] == 0


@given(st.lists(st.booleans(), min_size=24, max_size=24), st.lists(st.integers(0, 6), min_size=4, max_size=4))
def test_the_measures_agree_with_the_pixels(pixels, corners):
    mask = np.array(pixels).reshape(4, 6)
    x0, x1 = sorted(corners[:2])
    y0, y1 = sorted(min(value, 4) for value in corners[2:])
    found = one([boxed(x0, y0, x1, y1, size_wh=(6, 4))], [told(mask)])
    if not mask.any() or x0 == x1 or y0 == y1:
        assert found["bad_masks"] == 1
        return
    ys, xs = np.nonzero(mask)
    tight = np.zeros((4, 6), np.bool_)
    tight[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] = True
    box = drawn(x0, y0, x1, y1, (4, 6))
    assert found["min_mask_iou"] == pytest.approx((box & tight).sum() / (box | tight).sum())
    assert found["min_mask_fill"] == pytest.approx(mask.sum() / box.sum())


def test_rows_stand_apart():
    good = ([boxed(0, 0, 5, 5)], json.dumps({"annotations": [GOOD]}))
    bad = ([boxed(0, 0, 10, 5)], json.dumps({"annotations": [GOOD]}))
    found = measure(table(good, ([], "{}"), bad))
    np.testing.assert_array_equal(found["min_mask_iou"], [1, NAN, 0.5])
    np.testing.assert_array_equal(measure(table(good, bad).slice(1))["min_mask_iou"], [0.5])
