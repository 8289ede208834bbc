"""Draws are exact, even, seeded, and depend neither on the order of the ids nor on the number of workers."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.mixture import draws, keys_of, pass_size

IDS = st.lists(st.text(max_size=6), unique=True, min_size=1, max_size=25)


def drawn(ids: list[str], count: int, seed: int) -> list[tuple[int, int]]:
    index, time = draws(keys_of(ids), count, seed)
    return list(zip(index.tolist(), time.tolist(), strict=True))


@given(IDS, st.integers(0, 90), st.integers())
def test_exact_and_even(ids: list[str], count: int, seed: int) -> None:
    found = drawn(ids, count, seed)
    assert len(found) == count
    times = Counter(index for index, _ in found)
    assert {times[index] for index in range(len(ids))} <= {count // len(ids), -(-count // len(ids))}
    assert len(set(found)) == count


@given(IDS, st.integers(0, 90), st.integers())
def test_no_sample_comes_again_before_every_other_has_come_as_often(ids: list[str], count: int, seed: int) -> None:
    seen: Counter[int] = Counter()
    for index, time in drawn(ids, count, seed):
        assert time == seen[index]
        assert all(seen[other] >= time for other in range(len(ids)))
        seen[index] += 1


@given(IDS, st.integers(0, 60), st.integers(), st.randoms(use_true_random=False))
def test_the_order_of_the_ids_does_not_matter(ids: list[str], count: int, seed: int, random: object) -> None:
    shuffled = list(ids)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = [(ids[index], time) for index, time in drawn(ids, count, seed)]
    two = [(shuffled[index], time) for index, time in drawn(shuffled, count, seed)]
    assert one == two


@given(IDS, st.integers(0, 60), st.integers(0, 60), st.integers())
def test_more_draws_begin_as_fewer_do(ids: list[str], fewer: int, more: int, seed: int) -> None:
    fewer, more = sorted((fewer, more))
    assert drawn(ids, more, seed)[:fewer] == drawn(ids, fewer, seed)


def test_seeds_and_passes_differ() -> None:
    ids = [f"{n:03d}" for n in range(50)]
    assert len({tuple(drawn(ids, 50, seed)) for seed in range(20)}) == 20
    twice = [index for index, _ in drawn(ids, 100, 0)]
    assert twice[:50] != twice[50:]


def test_a_part_of_a_pass_is_a_fair_choice() -> None:
    ids = [f"{n:02d}" for n in range(10)]
    times = Counter(index for seed in range(2000) for index, _ in drawn(ids, 3, seed))
    assert all(500 < times[index] < 700 for index in range(10))


def test_nothing_to_draw_from() -> None:
    assert drawn([], 5, 0) == []


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(1, 3), st.integers(1, 4), st.integers())
def test_a_pass_takes_so_many_of_each_picture_and_others_the_next_time(
    owners: list[int], most: int, passes: int, seed: int
) -> None:
    picture = np.array(owners, np.int64)
    size = pass_size(picture, most)
    assert size == sum(min(count, most) for count in Counter(owners).values())
    index, time = draws(keys_of([str(n) for n in range(len(owners))]), size * passes, seed, picture, most)
    for turn in range(passes):
        part = index[turn * size : (turn + 1) * size]
        assert len(set(part.tolist())) == size
        taken = Counter(picture[part].tolist())
        assert all(taken[each] == min(count, most) for each, count in Counter(owners).items())
    for each in set(owners):  # the samples of one picture take turns
        times = Counter(index[picture[index] == each].tolist())
        shares = [times[place] for place in np.flatnonzero(picture == each).tolist()]
        assert max(shares) - min(shares) <= 1
    assert sorted(time.tolist()) == sorted(n for count in Counter(index.tolist()).values() for n in range(count))


@pytest.mark.parametrize("size", [1000, 100_000])
def test_a_cap_that_binds_nobody_changes_nothing(size: int) -> None:
    keys, picture = keys_of([str(n) for n in range(size)]), np.arange(size)
    free, capped = draws(keys, size + size // 2, 3), draws(keys, size + size // 2, 3, picture, 1)
    assert np.array_equal(free[0][:size], capped[0][:size])
    assert Counter(capped[0].tolist()).most_common(1)[0][1] == 2
