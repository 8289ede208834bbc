"""One picture comes back only after some steps, wherever that is possible, and the order hardly changes."""

import numpy as np
import pytest
from conftest import growth
from hypothesis import given
from hypothesis import strategies as st

from curate.kernels.apart import apart


def near_ones(shown, gap):
    """Count draws that come too soon behind the last of their picture."""
    last, count = {}, 0
    for place, number in enumerate(shown):
        if number >= 0:
            count += place - last.get(number, -gap) < gap
            last[number] = place
    return count


def is_possible(shown, gap):
    """The picture with the most draws left first: no order does better."""
    counts = {number: shown.count(number) for number in set(shown) if number >= 0}
    spare, free = sum(number < 0 for number in shown), dict.fromkeys(counts, 0)
    for place in range(len(shown)):
        ready = [number for number in counts if counts[number] and free[number] <= place]
        if not ready and not spare:
            return False
        if ready:
            number = max(ready, key=counts.__getitem__)
            counts[number], free[number] = counts[number] - 1, place + gap
        else:
            spare -= 1
    return True


pictures = st.lists(st.integers(-1, 8), max_size=30)


@given(pictures, st.integers(0, 4), st.integers(1, 3))
def test_nothing_is_lost_and_none_is_near_where_none_needs_be(shown, steps, batch):
    order = np.random.default_rng(len(shown)).permutation(len(shown))
    picture = np.empty(len(shown), np.int64)
    picture[order] = shown
    moved, left = apart(order, picture, steps, batch)
    assert sorted(moved.tolist()) == list(range(len(shown)))
    assert left == near_ones(picture[moved].tolist(), steps * batch)
    assert left <= near_ones(shown, steps * batch)
    if is_possible(shown, steps * batch):
        assert left == 0


def test_an_order_that_is_good_stays():
    picture = np.tile(np.arange(100), 5)
    moved, left = apart(np.arange(500), picture, 10, 10)
    assert (left, moved.tolist()) == (0, list(range(500)))


def test_draws_without_a_picture_are_free():
    moved, left = apart(np.arange(9), np.full(9, -1), 3, 3)
    assert (left, moved.tolist()) == (0, list(range(9)))


def test_one_repeat_moves_alone():
    picture = np.arange(1000)
    picture[501] = 500
    moved, left = apart(np.arange(1000), picture, 4, 8)
    assert left == 0 and np.diff(np.flatnonzero(picture[moved] == 500)) == 32
    assert moved[moved != 501].tolist() == [place for place in range(1000) if place != 501]


def test_a_repeat_at_the_end_is_called_earlier():
    picture = np.arange(1000)
    picture[999] = 998
    moved, left = apart(np.arange(1000), picture, 4, 8)
    assert left == 0
    assert np.abs(np.argsort(moved) - np.arange(1000)).sum() <= 2 * 32


@pytest.mark.parametrize(
    ("shown", "gap"), [([0, 1, 3, 2, 3, -1], 5), ([1, 2, 2, 1], 2), ([0, 0, 1, 1, 2, 2], 3), ([5, -1, -1, 5, -1], 4)]
)
def test_an_order_with_hardly_room_is_found(shown, gap):
    assert is_possible(shown, gap)
    assert apart(np.arange(len(shown)), np.array(shown), gap, 1)[1] == 0


def test_what_cannot_be_apart_does_not_gather_at_the_end():
    picture = np.arange(2000)
    picture[::2] = 5000
    moved, left = apart(np.arange(2000), picture, 2, 16)
    assert left == 999 and moved.tolist() == list(range(2000))
    picture[1001] = picture[1003]
    moved, left = apart(np.arange(2000), picture, 2, 16)
    assert left == 999
    assert np.abs(np.argsort(moved) - np.arange(2000)).max() < 64


def test_a_picture_that_comes_too_often_is_counted_and_hinders_no_other():
    picture = np.arange(1000)
    picture[:200] = -7
    picture[100:200] = 5000
    picture[600:800] = np.repeat(np.arange(6000, 6100), 2)
    order = np.random.default_rng(0).permutation(1000)
    moved, left = apart(order, picture, 2, 16)
    others = np.where(picture[moved] == 5000, -1, picture[moved])
    assert near_ones(others.tolist(), 32) == 0
    assert left == near_ones(picture[moved].tolist(), 32) > 60
    assert moved.tolist() == apart(order, picture, 2, 16)[0].tolist()


def test_no_steps_change_nothing():
    order = np.array([2, 0, 1])
    assert apart(order, np.zeros(3, np.int64), 0, 8)[0].tolist() == [2, 0, 1]
    assert apart(np.zeros(0, np.int64), np.zeros(0, np.int64), 2, 2)[1] == 0


@pytest.mark.parametrize(("steps", "batch"), [(-1, 4), (1, 0), (1, -3)])
def test_steps_and_batch_must_mean_something(steps, batch):
    with pytest.raises(ValueError, match="steps"):
        apart(np.arange(3), np.zeros(3, np.int64), steps, batch)


def test_the_work_grows_with_the_draws():
    def work(size):
        picture = np.random.default_rng(0).integers(0, size // 4, size)
        assert apart(np.arange(size), picture, 4, 32)[1] == 0

    assert growth(work, 20_000) < 20
