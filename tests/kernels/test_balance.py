"""Order and balance: shares in every stretch, ranks that work equally long, LLaVA's own sampler to the index."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.kernels.balance import even_both, even_ranks, even_steps, gathered, imbalance, stratified
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
    for found in (even_ranks(cost, ranks), even_both(cost, cost[:, ::-1], ranks)):
        assert all(np.bincount(row, minlength=ranks).tolist() == [12 // ranks] * ranks for row in found)
        assert (imbalance(cost, found, ranks) >= 1 - 1e-9).all()


def test_ranks_work_equally_long() -> None:
    cost = np.exp(np.random.default_rng(0).normal(0, 0.6, (40, 512)))
    assert imbalance(cost, even_ranks(cost, 32), 32).max() < 1.005
    assert imbalance(cost, np.broadcast_to(np.arange(512) % 32, cost.shape), 32).mean() > 1.2


def test_a_giant_gets_cheap_company() -> None:
    rng = np.random.default_rng(3)
    cost = np.maximum(0.75, np.exp(rng.normal(0, 0.3, (40, 512))))
    cost[:, :10] = rng.uniform(0.1, 0.4, (40, 10))
    cost[:, -1] = 0.6 * cost.sum(axis=1) / 32
    assert imbalance(cost, even_ranks(cost, 32), 32).max() < 1.01


def test_cost_and_tokens_are_even_together() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.choice([4096.0, 4090.0, 3900.0], (40, 128), p=[0.6, 0.3, 0.1])
    cost = tokens * (1 + 0.02 * rng.random((40, 128)))
    both, alone = even_both(cost, tokens, 32), even_ranks(cost, 32)
    assert imbalance(cost, both, 32).mean() <= 1.02
    assert imbalance(tokens, both, 32).mean() < imbalance(tokens, alone, 32).mean()


def test_packs_of_unequal_fill_are_exchanged_between_steps_and_full_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    load = rng.choice([4096.0, 3000.0], 8 * 4 * 40 + 5, p=[0.7, 0.3])
    place = even_steps(load, 8, 4)
    assert sorted(place.tolist()) == list(range(len(load)))
    assert np.array_equal(place[-5:], np.arange(len(load))[-5:]), "the last step is not whole"
    moved = np.empty_like(load)
    moved[place] = load
    before, after = (each[:-5].reshape(-1, 8) for each in (load, moved))
    assert imbalance(before, even_ranks(before, 4), 4).mean() > 1.02
    assert imbalance(after, even_ranks(after, 4), 4).mean() < 1.0015
    assert np.abs(place // 8 - np.arange(len(load)) // 8).max() < 32
    full = np.full(400, 4096.0)
    assert np.array_equal(even_steps(full, 8, 4), np.arange(400))


@given(st.lists(st.floats(1, 100), max_size=70), st.integers(1, 3), st.integers(1, 3))
def test_exchanged_packs_are_a_permutation(load: list[float], ranks: int, each: int) -> None:
    place = even_steps(np.array(load), ranks * each, ranks)
    assert sorted(place.tolist()) == list(range(len(load)))


@given(
    st.lists(st.tuples(st.floats(0.1, 1) | st.floats(20, 90), st.integers(0, 2)), max_size=200),
    st.integers(1, 3),
    st.integers(1, 4),
)
def test_costly_samples_change_places_with_their_own_source_alone(
    drawn: list[tuple[float, int]], ranks: int, each: int
) -> None:
    cost, source = np.array([cost for cost, _ in drawn]), np.array([source for _, source in drawn], np.int64)
    order = gathered(cost, source, ranks * each, ranks)
    assert sorted(order.tolist()) == list(range(len(drawn)))
    assert np.array_equal(source[order], source)
    whole = len(drawn) // (ranks * each) * ranks * each
    assert np.array_equal(order[whole:], np.arange(len(drawn))[whole:])


def test_giants_keep_few_steps_waiting() -> None:
    rng = np.random.default_rng(0)
    cost, source = rng.uniform(0.5, 1.5, 512 * 200), rng.integers(0, 3, 512 * 200)
    cost[rng.choice(cost.size, 40, replace=False)] = rng.uniform(20, 40, 40)
    together = cost[gathered(cost, source, 512, 32)]
    late = [
        (imbalance(each, even_ranks(each, 32), 32) > 1.02).sum()
        for each in (cost.reshape(-1, 512), together.reshape(-1, 512))
    ]
    assert late[0] > 20
    assert late[1] <= 3


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="do not divide"):
        even_ranks(np.ones((1, 10)), 4)


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
