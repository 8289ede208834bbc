import math

import numpy as np
import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels import box_facts, boxes

coordinate = st.floats(-0.5, 1.5) | st.sampled_from(
    [0.0, 1.0, math.nan, math.inf, -math.inf, 1.7e308, -1.7e308, 5e-324]
)
some = st.lists(st.tuples(*[coordinate] * 4), max_size=12).map(lambda found: np.array(found, float).reshape(-1, 4).T)


@given(some, st.integers(1, 4000), st.integers(1, 4000))
@settings(max_examples=80)
def test_facts_agree_with_the_plain_form(columns, width, height):
    facts = box_facts.box_facts_of_columns(columns, width, height)
    for place, (x0, y0, x1, y1) in enumerate(columns.T.tolist()):
        sound = all(map(math.isfinite, (x0, y0, x1, y1))) and x0 < x1 and y0 < y1
        assert facts.sound[place] == sound
        if not sound:
            assert np.isnan(
                [values[place] for values in (facts.area, facts.short_px, facts.aspect, facts.outside)]
            ).all()
            continue
        wide, high = (max(min(b, 1.0) - max(a, 0.0), 0.0) for a, b in ((x0, x1), (y0, y1)))
        assert facts.area[place] == pytest.approx(wide * high, abs=1e-15)
        assert facts.short_px[place] == pytest.approx(min(wide * width, high * height), rel=1e-9, abs=1e-12)
        inside = wide / (x1 - x0) * (high / (y1 - y0))
        assert facts.outside[place] == pytest.approx(1 - inside, abs=1e-12)
        px = ((x1 - x0) * width, (y1 - y0) * height)
        if all(0 < side < math.inf for side in px):
            assert facts.aspect[place] == max(px) / min(px)


@given(some)
def test_facts_agree_with_the_rows(columns):
    facts, rows = box_facts.box_facts_of_columns(columns, 640, 480), columns.T
    np.testing.assert_array_equal(facts.sound, boxes.is_well_formed(rows))
    with np.errstate(invalid="ignore", over="ignore"):
        usual = facts.sound & (np.abs(np.nan_to_num(rows)) < 2).all(axis=1) & (boxes.area(rows) > 1e-300)
        np.testing.assert_allclose(facts.area[usual], boxes.area(boxes.clip(rows))[usual], atol=1e-15)
        np.testing.assert_allclose(facts.outside[usual], boxes.out_of_frame(rows)[usual], atol=1e-9)


def test_known_values():
    facts = box_facts.box_facts(np.array([[0.0, -1], [0, 0], [0.5, 1], [1, 1]]), 100, 50)
    assert facts.area.tolist() == [0.5, 1]
    assert facts.short_px.tolist() == [50, 50]
    assert facts.aspect.tolist() == [1, 4]
    assert facts.outside.tolist() == [0, 0.5]


def test_chunks_and_shapes_do_not_matter():
    rng = np.random.default_rng(0)
    columns = rng.random((4, 1000)) * 1.2 - 0.1
    width, height = rng.integers(1, 99, (2, 1000)).astype(float)
    whole = box_facts.box_facts(columns, width, height)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(box_facts, "AT_ONCE", 7)
        pieces = box_facts.box_facts_of_columns(columns, width, height)
    folded = box_facts.box_facts(columns.reshape(4, 10, 100), width.reshape(10, 100), height.reshape(10, 100))
    for name in ("sound", "area", "short_px", "aspect", "outside"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))
        np.testing.assert_array_equal(getattr(folded, name).ravel(), getattr(whole, name))


def test_a_picture_without_a_size_has_areas_still():
    facts = box_facts.box_facts(np.array([[0.0], [0], [0.5], [1]]), math.nan, math.nan)
    assert (facts.area.tolist(), facts.sound.tolist()) == ([0.5], [True])
    assert np.isnan([facts.aspect[0], facts.short_px[0]]).all()
    assert box_facts.box_facts(np.array([[0.0], [0], [0.5], [1]]), 0, 10).aspect.tolist() == [math.inf]


def test_no_boxes_at_all():
    assert box_facts.box_facts_of_columns(np.zeros((4, 0)), 1, 1).area.shape == (0,)


def test_time_grows_with_the_boxes():
    columns = np.random.default_rng(0).random((4, 800_000))
    assert growth(lambda size: box_facts.box_facts_of_columns(columns[:, :size], 640, 480), 100_000) < 16
