"""Order and balance: shares in every stretch, ranks that work equally long, LLaVA's own sampler to the index."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.kernels.balance import even_ranks, imbalance, snake_ranks, stratified
from curate.kernels.modality_groups import modality_groups, modality_length

BATCH = 64


def hashed(count: int) -> np.ndarray:
    return np.random.default_rng(9).permutation(count).astype(np.uint64) << np.uint64(20)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=5), st.integers(0, 4))
def test_every_batch_holds_its_share_of_each_source_within_two(counts: list[int], seed: int) -> None:
    source = np.repeat(np.arange(len(counts)), counts)
    order = stratified(source, hashed(len(source)), seed)
    assert sorted(order.tolist()) == list(range(len(source)))
    for begin in range(0, len(source) - BATCH + 1, BATCH):
        found = np.bincount(source[order[begin : begin + BATCH]], minlength=len(counts))
        assert np.abs(found - BATCH * np.array(counts) / len(source)).max() <= 2


def test_the_order_is_of_the_samples_and_not_of_their_places() -> None:
    source, key = np.repeat([0, 1, 2], [50, 30, 7]), hashed(87)
    shuffle = np.random.default_rng(1).permutation(87)
    straight, mixed = stratified(source, key, 5), stratified(source[shuffle], key[shuffle], 5)
    assert np.array_equal(key[straight], key[shuffle][mixed])
    assert not np.array_equal(straight, stratified(source, key, 6))


def test_a_curve_brings_a_source_early_or_late() -> None:
    source = np.repeat([0, 1], [1000, 1000])
    order = stratified(source, hashed(2000), 0, [None, [(0, 1), (1, 0)]])
    early = [int((source[order[begin : begin + 200]] == 1).sum()) for begin in range(0, 2000, 200)]
    assert early[0] > 120
    assert early[-1] < 40
    assert sorted(early, reverse=True) == early
    half = stratified(source, hashed(2000), 0, [None, [(0, 0), (0.5, 0), (0.5001, 1), (1, 1)]])
    assert (source[half[:490]] == 1).sum() == 0


@pytest.mark.parametrize(
    "curve", [[(0, 1)], [(0, 1), (0.5, 1)], [(0, 0), (1, 0)], [(0, -1), (1, 1)], [(0, 1), (0, 2), (1, 1)], []]
)
def test_a_curve_that_is_none_is_refused(curve: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="curve"):
        stratified(np.zeros(4, np.int64), hashed(4), 0, [curve])


costs = st.integers(1, 4).flatmap(
    lambda ranks: st.tuples(
        st.just(ranks), st.lists(st.lists(st.floats(1, 100), min_size=12, max_size=12), min_size=1, max_size=4)
    )
)


@given(costs)
def test_each_rank_gets_as_many(drawn: tuple[int, list[list[float]]]) -> None:
    ranks, rows = drawn
    cost = np.array(rows)
    for deal in (even_ranks, snake_ranks):
        found = deal(cost, ranks)
        assert all(np.bincount(row, minlength=ranks).tolist() == [12 // ranks] * ranks for row in found)
        assert (imbalance(cost, found, ranks) >= 1 - 1e-9).all()


def test_ranks_work_equally_long() -> None:
    cost = np.exp(np.random.default_rng(0).normal(0, 0.6, (40, 512)))
    assert imbalance(cost, even_ranks(cost, 32), 32).max() < 1.005
    assert imbalance(cost, np.broadcast_to(np.arange(512) % 32, cost.shape), 32).mean() > 1.2
    packs = np.random.default_rng(0).normal(4090, 5, (40, 128))
    assert imbalance(packs, snake_ranks(packs, 32), 32).max() < 1.002


def test_a_batch_that_does_not_divide_is_refused() -> None:
    for deal in (even_ranks, snake_ranks):
        with pytest.raises(ValueError, match="do not divide"):
            deal(np.ones((1, 10)), 4)


def straight(count: int) -> list[int]:
    return list(range(count))


def turned(count: int) -> list[int]:
    return list(range(count))[::-1]


def test_llava_words_are_counted_by_white_space() -> None:
    assert modality_length(["<image>\nWhat is  this?", "a dog"], True) == 6
    assert modality_length(["one two"], False) == -2


def test_llava_gives_the_next_longest_to_the_shortest_part() -> None:
    # worked out by hand: sorted 9 8 5 4 3 1; 9 | 8 | 5 joins 8 | 4 joins 9 | 3: sums 13 and 13, the first | 1
    assert modality_groups([5, 9, 3, 8, 1, 4], 3, 2, straight, straight) == [1, 5, 2, 3, 0, 4]


def test_llava_strides_a_batch_that_does_not_divide() -> None:
    assert modality_groups([1, 2, 3, 4, 5], 2, 2, straight, straight) == [3, 0, 2, 1, 4]


def test_llava_puts_the_last_batch_of_each_modality_together_at_the_end() -> None:
    # pictures 0 2 4 6 8, texts 1 3 5 7; batches of 2: the last of each goes to the end, though that of texts is full
    lengths = [5, -1, 6, -2, 7, -3, 8, -4, 9]
    order = modality_groups(lengths, 1, 2, straight, turned)
    assert order[-3:] == [5, 7, 8]
    assert order[:6] == [3, 1, 6, 4, 2, 0]


def test_llava_with_texts_alone_sorts_them_shortest_first() -> None:
    # negative lengths stay negative: -1 is the largest, and each part's sum falls
    assert modality_groups([-1, -2, -3, -4], 2, 2, straight, straight) == [0, 1, 2, 3]


def test_llava_refuses_a_sample_without_words() -> None:
    with pytest.raises(ValueError, match="no length"):
        modality_groups([3, 0], 1, 1, straight, straight)
