"""Packs and steps for more samples than one machine holds: counts by class are all that is known of the whole.

Each shard is placed by itself, in any order: what its samples are, and how many of each class lie before them, says
where they go. Within a class samples are dealt out by a seeded permutation; packs are dealt to steps so that each
step has one of every stretch of packs in order of cost.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from curate.kernels import column_generation
from curate.kernels.best_fit import best_fit_decreasing
from curate.kernels.packplan import Plan, Scatter, scattered

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NAME = "placement"
"""What stands in place of a packer's name."""
_FEW = 1 << 24
"""Kinds of sizes that are counted in an array with a place for each."""


@dataclass(frozen=True, slots=True)
class Shelves:
    """The central plan: `keys` (C,) number the classes, in `unit` (R,) of what a pack holds, `capacity` (R,).

    Of component s class k has `have[s, k]` candidates; each is drawn `passes[s]` times, and `extra[s, k]` of them once
    more. Patterns of `plan` stand in order of cost, costliest first. A step is `ranks` x `per_rank` packs.
    """

    unit: Ints
    keys: Ints
    capacity: Ints
    have: Ints
    passes: Ints
    extra: Ints
    plan: Plan
    bound: int
    ranks: int
    per_rank: int
    seed: int

    def klass(self, sizes: Ints) -> Ints:
        """Return the class of samples of `sizes` (N, R), (N,)."""
        return np.searchsorted(self.keys, _keys(-(-sizes // self.unit), self.capacity))

    def place(self, component: int, klass: Ints, rank: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Return the draws of samples of a component that are number `rank` (N,) of its candidates of `klass` (N,).

        (sample, time, pack, slot), each (draws,): which of the N, which time it is drawn from 0 on, and where to.
        """
        have, passes = self.have[component], int(self.passes[component])
        base = (self._draws()[:component].sum(axis=0))[klass]
        once_more = Scatter(have, self.seed).of(klass, rank)
        chosen = np.flatnonzero(once_more < self.extra[component][klass])
        every = np.arange(len(klass))
        sample = np.concatenate([np.tile(every, passes), chosen])
        time = np.concatenate([np.repeat(np.arange(passes), len(klass)), np.full(chosen.size, passes)])
        number = [base + turn * have[klass] + rank for turn in range(passes)]
        number.append(base[chosen] + passes * have[klass[chosen]] + once_more[chosen])
        drawn, all_of_class = klass[sample], self._draws().sum(axis=0)
        mixed = Scatter(all_of_class, self.seed + 1).of(drawn, np.concatenate(number))
        return sample, time, *self.plan.place(drawn, mixed)

    def stand(self, pack: Ints) -> tuple[Ints, Ints, Ints]:
        """Return (step, rank, pack), each (N,), of packs as `place` numbers them; packs are numbered anew by step.

        The packs of a step stand on ranks in turns that go there and back, costliest first. Those that make no whole
        step are the last one.
        """
        batch = self.ranks * self.per_rank
        steps = self.plan.total // batch
        whole = pack < steps * batch
        turn = np.where(whole, pack // max(steps, 1), pack - steps * batch)
        shift = scattered(turn, batch, self.seed + 2) * (steps // batch + 1)
        lot = scattered(pack % max(steps, 1), max(steps, 1), self.seed + 3)
        step = np.where(whole, (lot + shift) % max(steps, 1), steps)
        lane = np.where((turn // self.ranks) % 2 == 0, turn % self.ranks, self.ranks - 1 - turn % self.ranks)
        return step, lane, step * batch + lane * self.per_rank + turn // self.ranks

    def draws(self) -> Ints:
        """Return the draws of each component, (S,)."""
        return np.asarray(self._draws().sum(axis=1))

    def _draws(self) -> Ints:
        return self.passes[:, None] * self.have + self.extra


@dataclass(frozen=True, slots=True)
class Histogram:
    """Samples by what they take: `sizes` (K, R), ascending, and for each component how many there are, (S, K)."""

    sizes: Ints
    counts: Ints


def counted(sizes: Ints) -> tuple[Ints, Ints]:
    """Return the sizes that there are among (N, R), (K, R), and how many of each, (K,)."""
    if not len(sizes):
        return sizes, np.zeros(0, np.int64)
    most = sizes.max(axis=0)
    keys = _keys(sizes, most)
    if float(np.prod(most + 1.0)) <= _FEW:
        counts = np.bincount(keys)
        found = np.flatnonzero(counts)
        return _sizes(found, most), counts[found]
    found, counts = np.unique(keys, return_counts=True)
    return _sizes(found, most), counts.astype(np.int64)


def histogram(parts: list[tuple[int, Ints, Ints]], components: int, resources: int) -> Histogram:
    """Return the histogram of all from that of each part: (component, sizes, counts) as `counted` gives them."""
    every = np.concatenate([np.zeros((0, resources), np.int64), *(sizes for _, sizes, _ in parts)])
    sizes, where = np.unique(every, axis=0, return_inverse=True)
    owner = np.concatenate([np.zeros(0, np.int64), *(np.full(len(sizes), number) for number, sizes, _ in parts)])
    counts = np.zeros((components, len(sizes)), np.int64)
    amount = np.concatenate([np.zeros(0, np.int64), *(counts for _, _, counts in parts)])
    np.add.at(counts, (owner, where.reshape(-1)), amount)
    return Histogram(sizes, counts)


def shelved(
    found: Histogram, wanted: Ints, capacity: Ints, unit: Ints, cost: Floats, steps: tuple[int, int], seed: int
) -> Shelves:
    """Plan packs of `capacity` (R,) for `wanted` (S,) draws; sizes are rounded up to multiples of `unit` (R,).

    `cost` (K,) is what one sample of each size costs; `steps` are the ranks and the packs of each. Of a component's
    draws that make no whole pass each class gives its share, by largest remainders.

    Raises:
        ValueError: draws are wanted of a component without candidates, or a size does not fit.
    """
    total = found.counts.sum(axis=1)
    if ((total == 0) & (wanted > 0)).any():
        raise ValueError("draws of nothing")
    room = capacity // unit
    rounded = -(-found.sizes // unit)
    if (rounded > room).any():
        unit, room, rounded = np.ones_like(unit), capacity, found.sizes
    keys, first, where = np.unique(_keys(rounded, room), return_index=True, return_inverse=True)
    have = np.zeros((len(total), len(keys)), np.int64)
    np.add.at(have.T, where, found.counts.T)
    passes = wanted // np.maximum(total, 1)
    extra = np.stack([_shares(row, int(rest)) for row, rest in zip(have, wanted - passes * total, strict=True)])
    draws = (passes[:, None] * have + extra).sum(axis=0)
    amount = found.counts.sum(axis=0).astype(np.float64)
    price = np.asarray(np.bincount(where, weights=cost * amount, minlength=len(keys)), np.float64)
    price = price / np.maximum(np.bincount(where, weights=amount, minlength=len(keys)), 1.0)
    plan = _costliest_first(_planned(rounded[first], draws, room), price)
    least = np.full((len(keys), len(unit)), np.iinfo(np.int64).max)
    np.minimum.at(least, where, found.sizes // unit)
    return Shelves(
        unit=unit,
        keys=keys,
        capacity=room,
        have=have,
        passes=passes,
        extra=extra,
        plan=plan,
        bound=_least_packs(least, draws, room),
        ranks=steps[0],
        per_rank=steps[1],
        seed=seed,
    )


def _keys(sizes: Ints, room: Ints) -> Ints:
    """Return one number for each row of sizes, (N,), that orders them."""
    key = np.zeros(len(sizes), np.int64)
    for column, full in zip(sizes.T, room.tolist(), strict=True):
        key = key * (full + 1) + column
    return key


def _sizes(keys: Ints, room: Ints) -> Ints:
    """Return the rows of sizes, (N, R), that `_keys` gives these numbers."""
    columns = []
    for full in room[::-1].tolist():
        columns.append(keys % (full + 1))
        keys = keys // (full + 1)
    return np.stack(columns[::-1], axis=1)


def _shares(have: Ints, wanted: int) -> Ints:
    """Return `wanted` divided among classes in proportion to `have` (C,), by largest remainders."""
    exact = have * (wanted / max(int(have.sum()), 1))
    share = np.minimum(exact.astype(np.int64), have)
    rest = np.argsort(-np.where(share < have, exact - share, -1.0), kind="stable")[: wanted - int(share.sum())]
    share[rest] += 1
    return share


def _planned(sizes: Ints, draws: Ints, room: Ints) -> Plan:
    some = np.flatnonzero(draws)
    if column_generation.is_there():
        plan = column_generation.solve(sizes[some], draws[some], room).plan
    else:
        plan = best_fit_decreasing(sizes[some], draws[some], room)
    return replace(plan, klass=some[plan.klass], classes=len(draws))


def _least_packs(sizes: Ints, draws: Ints, room: Ints) -> int:
    """Return packs that nothing can beat, of `sizes` (C, R) that no sample of a class is below."""
    some = (draws > 0) & (sizes[:, 0] > 0)
    least = float(((sizes * draws[:, None]).sum(axis=0) / np.maximum(room, 1)).max(initial=0.0))
    if column_generation.is_there() and some.any():
        least = max(least, column_generation.solve(sizes[some], draws[some], room).bound)
    return int(np.ceil(least - 1e-6 * max(least, 1.0)))


def _costliest_first(plan: Plan, price: Floats) -> Plan:
    """Return the plan with its patterns in order of what their samples cost; `price` (C,) is of one of each class."""
    cost = np.bincount(plan.pattern, weights=plan.copies * price[plan.klass], minlength=len(plan.packs))
    order = np.argsort(-cost, kind="stable")
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    pattern = place[plan.pattern]
    by = np.lexsort((pattern, plan.klass))
    return Plan(
        packs=plan.packs[order],
        pattern=pattern[by],
        klass=plan.klass[by],
        copies=plan.copies[by],
        slot=plan.slot[by],
        classes=plan.classes,
    )
