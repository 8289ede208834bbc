import math
import pickle

import numpy as np
import pyarrow as pa
import pytest
from conftest import growth
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


COUNTS = {name for name in COLUMNS if name.endswith(("_count", "_boxes", "_pairs"))}
HALF, QUARTER = (0.0, 0.0, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0)


def test_known_values():
    found = one(region(HALF, score=0.9), region(QUARTER, phrase="dog", span=(4, 7), score=0.7))
    assert found == {
        "region_count": 2,
        "box_count": 2,
        "inverted_boxes": 0,
        "whole_picture_boxes": 0,
        "max_phrase_boxes": 1,
        "min_box_area": 0.25,
        "max_box_area": 0.5,
        "min_box_side_px": 25,
        "max_out_of_frame": 0,
        "max_duplicate_iou": 0,
        "max_cross_phrase_iou": 0,
        "cross_phrase_pairs": 0,
        "min_box_score": 0.7,
        "max_box_aspect": 2,
    }


def test_without_boxes_counts_are_zero_and_the_rest_undefined():
    columns = measure(table([], None, [region(score=0.5)]))
    assert columns["box_count"].tolist() == [0, 0, 0]
    assert columns["region_count"].tolist() == [0, 0, 1]
    for name in COLUMNS.keys() - COUNTS:
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


def plain(some, size, options):
    """The same columns by loops over Python numbers: the oracle."""
    regions = some or []
    flat = [(box, r) for r in regions for box in r["boxes"]]
    corners = [tuple(box[name] for name in ("x0", "y0", "x1", "y1")) for box, _ in flat]
    good = [i for i, c in enumerate(corners) if all(map(math.isfinite, c)) and c[0] < c[2] and c[1] < c[3]]

    def span(r):
        bare = r["start"] is None or r["end"] is None
        return (r["turn"], r["phrase"]) if bare else (r["turn"], r["start"], r["end"])

    def nested(one, two):
        if one["turn"] != two["turn"] or None in (one["start"], one["end"], two["start"], two["end"]):
            return False
        return one["start"] < two["end"] and two["start"] < one["end"]

    def overlap(a, b):
        wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = max(wide, 0.0) * max(high, 0.0)
        union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
        return shared / union if union > 0 else 0.0

    pairs = [(i, j, overlap(corners[i], corners[j])) for i in good for j in good if i < j]
    twins = [iou for i, j, iou in pairs if span(flat[i][1]) == span(flat[j][1])]
    others = [iou for i, j, iou in pairs if span(flat[i][1]) != span(flat[j][1]) and not nested(flat[i][1], flat[j][1])]
    cut = {i: tuple(min(max(value, 0.0), 1.0) for value in corners[i]) for i in good}
    area = [(cut[i][2] - cut[i][0]) * (cut[i][3] - cut[i][1]) for i in good]
    sides = [side for i in good for side in ((cut[i][2] - cut[i][0]) * size[0], (cut[i][3] - cut[i][1]) * size[1])]
    whole = [(corners[i][2] - corners[i][0]) * (corners[i][3] - corners[i][1]) for i in good]
    px = [((corners[i][2] - corners[i][0]) * size[0], (corners[i][3] - corners[i][1]) * size[1]) for i in good]
    scores = [r["score"] for r in regions if r["boxes"] and r["score"] is not None]
    return {
        "region_count": len(regions),
        "box_count": len(flat),
        "inverted_boxes": len(flat) - len(good),
        "whole_picture_boxes": sum(share >= options.whole_share for share in area),
        "max_phrase_boxes": max((len(r["boxes"]) for r in regions), default=0),
        "min_box_area": min(area, default=NAN),
        "max_box_area": max(area, default=NAN),
        "min_box_side_px": min(sides, default=NAN),
        "max_out_of_frame": max((1 - a / b for a, b in zip(area, whole, strict=True)), default=NAN),
        "max_duplicate_iou": max(twins, default=0.0) if good else NAN,
        "max_cross_phrase_iou": max(others, default=0.0) if good else NAN,
        "cross_phrase_pairs": sum(iou >= options.duplicate_iou for iou in others),
        "min_box_score": min(scores, default=NAN),
        "max_box_aspect": max((max(sides) / min(sides) for sides in px), default=NAN),
    }


grid = st.integers(-2, 10).map(lambda value: value / 8) | st.just(NAN)
spans = st.sampled_from([(0, 3), (3, 4), (0, 9), (4, 9), (2, 6), (5, 5), (0, 0), (None, None), (None, 3)])
grid_rows = st.lists(
    st.lists(
        st.builds(
            lambda boxes, phrase, span, turn, score: region(*boxes, phrase=phrase, span=span, turn=turn, score=score),
            st.lists(st.tuples(*[grid] * 4), max_size=4),
            st.sampled_from(["cat", "dog"]),
            spans,
            st.sampled_from([None, 0, 1]),
            st.none() | st.floats(0, 1),
        ).map(lambda r: r if r["start"] is None or r["end"] is None else {**r, "phrase": "words"}),
        max_size=4,
    ),
    max_size=4,
)


@given(grid_rows)
@settings(max_examples=60)
def test_every_column_agrees_with_the_plain_form(some):
    options = Options(whole_share=0.5, duplicate_iou=0.5)
    columns = Scorer(options).score(prepare(table(*some), no_picture, options))
    for place, row in enumerate(some):
        for name, value in plain(row, (100, 50), options).items():
            np.testing.assert_allclose(columns[name][place], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_phrases_that_share_a_box():
    """A chunk and the expression around it share theirs by design; two phrases apart do not."""
    nested = one(region(HALF, span=(0, 3)), region(HALF, span=(0, 20)))
    assert (nested["max_cross_phrase_iou"], nested["cross_phrase_pairs"]) == (0, 0)
    apart = one(region(HALF, span=(0, 3)), region(HALF, QUARTER, span=(4, 20)))
    assert (apart["max_cross_phrase_iou"], apart["cross_phrase_pairs"]) == (1, 1)
    for first, second in (((0, 3), (3, 6)), ((3, 6), (0, 3)), ((0, 0), (None, None)), ((None, 3), (0, 0))):
        assert one(region(HALF, span=first), region(HALF, span=second))["cross_phrase_pairs"] == 1
    turns = one(region(HALF, span=(0, 3), turn=0), region(HALF, span=(0, 20), turn=1))
    assert turns["cross_phrase_pairs"] == 1
    words = one(region(HALF, span=(None, None)), region(HALF, span=(None, None), phrase="dog"))
    assert (words["cross_phrase_pairs"], words["max_duplicate_iou"]) == (1, 0)


def test_boxes_of_the_whole_picture():
    found = one(region((0, 0, 1, 0.96), (-1, -1, 2, 2), HALF))
    assert (found["whole_picture_boxes"], found["max_phrase_boxes"]) == (2, 3)


def test_boxes_beyond_every_number_do_not_hide():
    huge = (-1.7e308, -1.7e308, 1.7e308, 1.7e308)
    found = one(region(huge, huge, HALF, HALF))
    assert (found["max_out_of_frame"], found["max_duplicate_iou"], found["inverted_boxes"]) == (1, 1, 0)


def test_time_grows_with_the_boxes():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((16_000, 2, 2)), axis=1).reshape(-1, 4).tolist()
    samples = table(*([region(*corners[i : i + 2]), region(*corners[i + 2 : i + 4])] for i in range(0, 16_000, 4)))
    assert growth(lambda rows: [measure(samples.slice(0, rows)) for _ in range(3)], 500) < 16


def test_the_contract():
    assert box_stats.VERSION == 2
    assert not box_stats.PICTURES
    assert box_stats.NEEDS.gpus == 0
