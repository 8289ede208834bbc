"""Placement shard by shard: every draw has one place, no pack is over-full, and nobody's order matters."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.kernels.packplan import ranks
from curate.kernels.placement import Histogram, Shelves, counted, histogram, shelved

Ints = npt.NDArray[np.int64]


def shards(rng: np.random.Generator, many: int, longest: int) -> list[list[Ints]]:
    """Return sizes in tokens and tiles of some components in some shards."""
    return [
        [
            np.stack([rng.integers(1, longest + 1, rows), rng.integers(0, 4, rows)], axis=1)
            for rows in rng.integers(0, many, rng.integers(1, 4)).tolist()
        ]
        for _ in range(rng.integers(1, 4))
    ]


def summed(parts: list[list[Ints]]) -> Histogram:
    return histogram([(s, *counted(sizes)) for s, shard in enumerate(parts) for sizes in shard], len(parts), 2)


def all_places(shelves: Shelves, parts: list[list[Ints]], order: list[tuple[int, int]]) -> dict[tuple[int, ...], Ints]:
    """Return (component, shard, sample, time) → (pack, slot, step, rank, number), shards placed in some order."""
    found: dict[tuple[int, ...], Ints] = {}
    classes = len(shelves.keys)
    for component, shard in order:
        klass = shelves.klass(parts[component][shard])
        earlier = [shelves.klass(sizes) for sizes in parts[component][:shard]]
        before = sum((np.bincount(each, minlength=classes) for each in earlier), np.zeros(classes, np.int64))
        sample, time, pack, slot = shelves.place(component, klass, before[klass] + ranks(klass, classes))
        step, rank, number = shelves.stand(pack)
        rows = np.stack([pack, slot, step, rank, number], axis=1)
        found |= {
            (component, shard, *key): row
            for key, row in zip(zip(sample.tolist(), time.tolist(), strict=True), rows, strict=True)
        }
    return found


@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.floats(0, 3.5))
def test_every_draw_has_one_place_whoever_places_it(
    seed: int, ranks_: int, per_rank: int, unit: int, epochs: float
) -> None:
    rng = np.random.default_rng(seed)
    capacity = np.array([64, 6])
    parts = shards(rng, 40, 60)
    found = summed(parts)
    have = found.counts.sum(axis=1)
    wanted = np.floor(have * epochs).astype(np.int64)
    cost = found.sizes[:, 0].astype(float)
    shelves = shelved(found, wanted, capacity, np.array([unit, 1]), cost, (ranks_, per_rank), seed)
    order = [(component, shard) for component, part in enumerate(parts) for shard in range(len(part))]
    placed = all_places(shelves, parts, order)
    shuffled = all_places(shelves, parts, [order[i] for i in rng.permutation(len(order)).tolist()])
    assert {key: row.tolist() for key, row in placed.items()} == {key: row.tolist() for key, row in shuffled.items()}

    assert np.array_equal(shelves.draws(), wanted)
    times = np.zeros(len(parts), np.int64)
    for component, *_ in placed:
        times[component] += 1
    assert np.array_equal(times, wanted)
    for component, part in enumerate(parts):  # no sample is drawn twice before all were once
        drawn = [
            sum((component, s, n, t) in placed for t in range(5)) for s, z in enumerate(part) for n in range(len(z))
        ]
        assert not drawn or max(drawn) - min(drawn) <= 1

    rows = np.stack(list(placed.values())) if placed else np.zeros((0, 5), np.int64)
    assert len(np.unique(rows[:, :2], axis=0)) == len(rows)
    taken = np.zeros((shelves.plan.total, 2), np.int64)
    for (component, shard, sample, _), row in placed.items():
        taken[row[0]] += parts[component][shard][sample]
    assert (taken <= capacity).all() and (taken[:, 0] > 0).all()
    assert shelves.bound <= shelves.plan.total

    packs, first = np.unique(rows[:, 0], return_index=True)
    assert len(packs) == shelves.plan.total
    assert len(np.unique(rows[first][:, 4])) == len(packs)
    batch = ranks_ * per_rank
    assert np.array_equal(rows[:, 4] // batch, rows[:, 2])
    held = np.bincount(rows[first][:, 2], minlength=1)
    assert (held[: len(packs) // batch] == batch).all() and held.sum() == len(packs)
    by_rank = np.unique(rows[first][:, 2:4], axis=0, return_counts=True)[1]
    assert by_rank.max(initial=0) <= per_rank


def test_steps_are_even_and_full() -> None:
    rng = np.random.default_rng(0)
    tokens = 611 + np.exp(rng.normal(5.0, 0.7, 60_000)).astype(np.int64)
    sizes = np.minimum(tokens, 4096)[:, None]
    found = histogram([(0, *counted(sizes))], 1, 1)
    cost = found.sizes[:, 0] * 6.0 * 5120 + found.sizes[:, 0].astype(float) ** 2
    shelves = shelved(found, np.array([60_000]), np.array([4096]), np.array([4]), cost, (8, 4), 7)
    klass = shelves.klass(sizes)
    sample, _, pack, _ = shelves.place(0, klass, ranks(klass, len(shelves.keys)))
    step, rank, _ = shelves.stand(pack)
    filled = sizes.sum() / (shelves.plan.total * 4096)
    assert filled > 0.99
    assert shelves.plan.total <= 1.01 * shelves.bound
    whole = step < shelves.plan.total // 32
    work = (6.0 * 5120 * sizes[sample, 0] + sizes[sample, 0].astype(float) ** 2)[whole]
    loads = np.bincount(step[whole] * 8 + rank[whole], weights=work).reshape(-1, 8)
    assert (loads.max(axis=1) / loads.mean(axis=1)).mean() < 1.01
    # who stands beside whom in the file does not stand beside him in a pack
    order = np.argsort(sample)
    assert np.mean(np.abs(np.diff(step[order])) < 5) < 0.05


@given(st.integers(0, 1000), st.sampled_from([3, 1 << 26]))
def test_sizes_are_counted(seed: int, most: int) -> None:
    sizes = np.random.default_rng(seed).integers(0, most, (seed % 50, 2))
    found, counts = counted(sizes)
    expected, times = np.unique(sizes, axis=0, return_counts=True)
    assert np.array_equal(found, expected)
    assert np.array_equal(counts, times)


def test_draws_of_nothing_are_refused() -> None:
    found = Histogram(np.array([[5]]), np.array([[3], [0]]))
    with pytest.raises(ValueError, match="nothing"):
        shelved(found, np.array([1, 1]), np.array([10]), np.array([1]), np.ones(1), (1, 1), 0)
