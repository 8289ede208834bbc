import math
import pickle
import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate import schema
from curate.scorers import box_stats
from curate.scorers.box_stats import COLUMNS, Options, Scorer, prepare

NAN = float("nan")


def region(*boxes, phrase="cat", span=(0, 3), turn=None, score=None):
    names = ("x0", "y0", "x1", "y1")
    return {
        "phrase": phrase,
        "turn": turn,
        "start": span[0],
        "end": span[1],
        "boxes": [dict(zip(names, box, strict=True)) for box in boxes],
        "score": score,
        "tags": [],
    }


def table(*rows, size=(100, 50)):
    picture = [{"width": size[0], "height": size[1]}]
    return pa.table(
        {
            "images": pa.array([picture] * len(rows), schema.SAMPLES.field("images").type),
            "regions": pa.array(list(rows), schema.SAMPLES.field("regions").type),
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


def one(*regions, **options):
    return {name: column[0].item() for name, column in measure(table(list(regions), **options)).items()}


HALF, QUARTER = (0.0, 0.0, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0)


def test_known_values():
    found = one(region(HALF, score=0.9), region(QUARTER, phrase="dog", span=(4, 7), score=0.7))
    assert found == {
        "region_count": 2,
        "box_count": 2,
        "inverted_boxes": 0,
        "min_box_area": 0.25,
        "max_box_area": 0.5,
        "min_box_side_px": 25,
        "max_out_of_frame": 0,
        "max_duplicate_iou": 0,
        "min_box_score": 0.7,
        "max_box_aspect": 2,
    }


def test_without_boxes_counts_are_zero_and_the_rest_undefined():
    columns = measure(table([], None, [region(score=0.5)]))
    assert columns["box_count"].tolist() == [0, 0, 0]
    assert columns["region_count"].tolist() == [0, 0, 1]
    for name in COLUMNS.keys() - {"box_count", "region_count", "inverted_boxes"}:
        assert np.isnan(columns[name]).all(), name


def test_no_rows_at_all():
    assert all(column.shape == (0,) for column in measure(table()).values())


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        ([region(HALF, HALF)], 1),
        ([region(HALF), region(HALF)], 1),
        ([region(HALF), region(HALF, phrase="a cat", span=(0, 5))], 0),  # nested phrases share a box in GRiT
        ([region(HALF), region(HALF, span=(8, 11))], 0),
        ([region(HALF), region(HALF, turn=1)], 0),
        ([region(HALF, span=(None, None)), region(HALF, span=(None, None))], 1),
        ([region(HALF, (0.0, 0.0, 1.0, 1.0))], 0.5),
        ([region(HALF), region(QUARTER, phrase="x"), region(HALF)], 1),
    ],
)
def test_duplicates_are_counted_within_one_phrase(regions, expected):
    assert one(*regions)["max_duplicate_iou"] == expected


def test_the_same_phrase_in_two_samples_is_no_duplicate():
    columns = measure(table([region(HALF)], [region(HALF)]))
    assert columns["max_duplicate_iou"].tolist() == [0, 0]


def test_malformed_boxes_are_counted_and_left_out():
    found = one(region((0.5, 0, 0.5, 1), (0, 1, 1, 0), (NAN, 0, 1, 1), (0, 0, math.inf, 1), HALF))
    assert (found["box_count"], found["inverted_boxes"], found["max_box_area"]) == (5, 4, 0.5)
    only = one(region((1, 1, 0, 0), score=0.5))
    assert (only["box_count"], only["inverted_boxes"], only["min_box_score"]) == (1, 1, 0.5)
    assert math.isnan(only["min_box_area"])


def test_boxes_beyond_the_frame():
    found = one(region((-1, 0, 1, 1), (0, 0, 0.1, 1)))
    assert (found["max_out_of_frame"], found["max_box_area"]) == (0.5, 1)
    gone = one(region((2, 2, 3, 3)))
    assert (gone["max_out_of_frame"], gone["min_box_area"], gone["min_box_side_px"]) == (1, 0, 0)


def test_the_first_picture_gives_the_size_and_no_picture_gives_none():
    samples = table([region(HALF)], [region(HALF)])
    images = pa.array(
        [[{"width": 10, "height": 10}, {"width": 99, "height": 99}], []], schema.SAMPLES.field("images").type
    )
    columns = measure(samples.set_column(0, "images", images))
    np.testing.assert_array_equal(columns["min_box_side_px"], [5, NAN])
    np.testing.assert_array_equal(columns["max_box_aspect"], [2, NAN])
    assert columns["min_box_area"].tolist() == [0.5, 0.5]


coordinate = st.floats(-0.5, 1.5) | st.just(NAN)
rows = st.lists(
    st.none()
    | st.lists(
        st.builds(
            lambda boxes, phrase, score: region(*boxes, phrase=phrase, score=score),
            st.lists(st.tuples(*[coordinate] * 4), max_size=3),
            st.sampled_from(["cat", "dog"]),
            st.none() | st.floats(0, 1),
        ),
        max_size=3,
    ),
    max_size=5,
)


@given(rows, st.integers(0, 5))
@settings(max_examples=60)
def test_rows_do_not_touch_each_other(some, cut):
    """Whole, sliced, chunked or one at a time: the same numbers."""
    whole = table(*some)
    together = measure(whole)
    for name, column in measure(whole.slice(cut)).items():
        np.testing.assert_array_equal(column, together[name][cut:])
    for name, column in measure(pa.concat_tables([whole.slice(0, cut), whole.slice(cut)])).items():
        np.testing.assert_array_equal(column, together[name])
    for i in range(len(some)):
        for name, column in measure(table(some[i])).items():
            np.testing.assert_array_equal(column[0], together[name][i])


def test_a_shard_takes_a_moment():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((20_000, 2, 2)), axis=1).reshape(-1, 4).tolist()
    samples = table(*([region(*corners[i : i + 5]), region(*corners[i + 5 : i + 10])] for i in range(0, 20_000, 10)))
    begun = time.process_time()
    measure(samples)
    assert time.process_time() - begun < 10


def test_the_contract():
    assert box_stats.VERSION == 1
    assert not box_stats.PICTURES
    assert box_stats.NEEDS.gpus == 0
