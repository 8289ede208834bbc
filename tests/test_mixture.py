"""Draws are exact, even, seeded, and depend neither on the order of the ids nor on the number of workers."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.mixture import draws, quota

IDS = st.lists(st.text(max_size=6), unique=True, min_size=1, max_size=25)


@given(IDS, st.integers(0, 90), st.integers())
def test_exact_and_even(ids: list[str], count: int, seed: int) -> None:
    found = draws(ids, count, seed)
    assert len(found) == count
    times = Counter(draw.index for draw in found)
    assert {times[index] for index in range(len(ids))} <= {count // len(ids), -(-count // len(ids))}
    assert len({(draw.index, draw.time) for draw in found}) == count


@given(IDS, st.integers(0, 90), st.integers())
def test_no_sample_comes_again_before_every_other_has_come_as_often(ids: list[str], count: int, seed: int) -> None:
    seen: Counter[int] = Counter()
    for draw in draws(ids, count, seed):
        assert draw.time == seen[draw.index]
        assert all(seen[index] >= draw.time for index in range(len(ids)))
        seen[draw.index] += 1


@given(IDS, st.integers(0, 60), st.integers(), st.randoms(use_true_random=False))
def test_the_order_of_the_ids_does_not_matter(ids: list[str], count: int, seed: int, random: object) -> None:
    shuffled = list(ids)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = [(ids[draw.index], draw.time) for draw in draws(ids, count, seed)]
    two = [(shuffled[draw.index], draw.time) for draw in draws(shuffled, count, seed)]
    assert one == two


@given(IDS, st.integers(0, 60), st.integers(0, 60), st.integers())
def test_more_draws_begin_as_fewer_do(ids: list[str], fewer: int, more: int, seed: int) -> None:
    fewer, more = sorted((fewer, more))
    assert draws(ids, more, seed)[:fewer] == draws(ids, fewer, seed)


def test_seeds_and_passes_differ() -> None:
    ids = [f"{n:03d}" for n in range(50)]
    orders = {tuple(draw.index for draw in draws(ids, 50, seed)) for seed in range(20)}
    assert len(orders) == 20
    twice = draws(ids, 100, 0)
    assert [draw.index for draw in twice[:50]] != [draw.index for draw in twice[50:]]


def test_a_part_of_a_pass_is_a_fair_choice() -> None:
    ids = [f"{n:02d}" for n in range(10)]
    times = Counter(draw.index for seed in range(2000) for draw in draws(ids, 3, seed))
    assert all(500 < times[index] < 700 for index in range(10))


def test_nothing_to_draw_from() -> None:
    assert draws([], 5, 0) == []


@pytest.mark.parametrize(
    ("size", "epochs", "samples", "wanted"),
    [
        (10, None, None, 10),
        (10, 1.0, None, 10),
        (10, 1.5, None, 15),
        (3, 0.5, None, 2),
        (10, None, 400, 400),
    ],
)
def test_quota(size: int, epochs: float | None, samples: int | None, wanted: int) -> None:
    assert quota(size, epochs, samples) == wanted


def test_quota_refuses() -> None:
    with pytest.raises(ValueError, match="not both"):
        quota(1, 1.0, 1)
    with pytest.raises(ValueError, match="no samples"):
        quota(0, 1.0, None)
    with pytest.raises(ValueError, match="0 draws from 7"):
        quota(7, 0.01, None)
    with pytest.raises(ValueError, match="1000000000 draws from 5"):
        quota(5, None, 1_000_000_000)
