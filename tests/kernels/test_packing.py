"""Packs lose nothing, cut nothing, overflow never, and come out the same each time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.kernels.packing import best_fit_decreasing, least_packs

CASES = st.integers(1, 60).flatmap(
    lambda capacity: st.tuples(st.just(capacity), st.lists(st.integers(1, capacity), max_size=60))
)


def ints(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


@given(CASES)
def test_every_sample_has_one_place_and_no_pack_overflows(case: tuple[int, list[int]]) -> None:
    capacity, lengths = case
    pack, slot = best_fit_decreasing(ints(lengths), capacity)
    assert pack.shape == slot.shape == (len(lengths),)
    packs = int(pack.max()) + 1 if lengths else 0
    assert len(set(zip(pack.tolist(), slot.tolist(), strict=True))) == len(lengths)
    loads = [0] * packs
    for number in range(packs):
        members = np.flatnonzero(pack == number)
        assert sorted(slot[members].tolist()) == list(range(members.size))
        loads[number] = int(ints(lengths)[members].sum())
    assert all(0 < load <= capacity for load in loads)
    assert sum(loads) == sum(lengths)
    assert least_packs(ints(lengths), capacity) <= packs
    # No two packs fit into one: what any fit guarantees, and hence at most twice the least number.
    assert all(a + b > capacity for at, a in enumerate(loads) for b in loads[at + 1 :])


@given(CASES)
def test_equal_input_gives_equal_packs(case: tuple[int, list[int]]) -> None:
    capacity, lengths = case
    one, two = (best_fit_decreasing(ints(lengths), capacity) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@given(CASES)
def test_it_is_best_fit_decreasing(case: tuple[int, list[int]]) -> None:
    """Against the textbook: the loads in order of opening are those of the plain quadratic algorithm."""
    capacity, lengths = case
    loads: list[int] = []
    for length in sorted(lengths, reverse=True):
        fits = [load for load in loads if load + length <= capacity]
        if fits:
            loads.remove(max(fits))
            loads.append(max(fits) + length)
        else:
            loads.append(length)
    pack, _ = best_fit_decreasing(ints(lengths), capacity)
    assert sorted(loads) == sorted(np.bincount(pack, weights=ints(lengths)).astype(int).tolist() if lengths else [])


def test_a_known_example() -> None:
    # 8 opens, 4 opens, 4 beside it; 2 fits both and closes the later one, the ones close the first.
    pack, slot = best_fit_decreasing(ints([4, 8, 1, 4, 2, 1]), 10)
    assert pack.tolist() == [1, 0, 0, 1, 1, 0]
    assert slot.tolist() == [0, 0, 1, 1, 2, 2]


def test_the_fullest_pack_that_fits_is_taken() -> None:
    # 7 and 6 open packs with room 3 and 4; a 3 goes into the first, though both would hold it.
    assert best_fit_decreasing(ints([6, 7, 3]), 10)[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("bad", [0, -1, 11, 2**62])
def test_a_length_out_of_range_is_refused(bad: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.10"):
        best_fit_decreasing(ints([5, bad, 5]), 10)


@pytest.mark.parametrize(("lengths", "packs"), [([], 0), ([1], 1), ([10], 1), ([10, 1], 2), ([5, 5], 1), ([6, 6], 2)])
def test_least_packs(lengths: list[int], packs: int) -> None:
    assert least_packs(ints(lengths), 10) == packs


def test_a_hundred_thousand_samples_pack_well() -> None:
    lengths = np.random.default_rng(0).integers(600, 1500, 100_000)
    pack, _ = best_fit_decreasing(lengths, 4096)
    assert lengths.sum() / ((pack.max() + 1) * 4096) > 0.95
