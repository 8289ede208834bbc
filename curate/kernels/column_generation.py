"""Packing by column generation on classes of alike samples: the linear programme over patterns, and its bound.

Gilmore and Gomory, "A linear programming approach to the cutting-stock problem" (1961): patterns enter as a knapsack
prices them, until none can improve. The bound is Farley's (1990): at every step, the programme's value over the
price of the best pattern is a number of packs that nothing can beat. Needs HiGHS (`pip install curate[lp]`).
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.kernels.best_fit import best_fit_decreasing
from curate.kernels.packplan import Plan, plan_of, scattered
from curate.kernels.subset_sum import subset_sum

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Pattern = tuple[tuple[int, int], ...]

_COLUMNS_AT_ONCE = 256
_SAMPLES, _MANY = 8000, 128
"""Samples that are packed for patterns to begin with, and classes that are worth it: a fifth of the time, measured."""
_GAP = 1e-6
_NEAR = 2e-5
"""The programme's value is so near its bound when it is left, as near as rounding to whole packs comes."""
_SMOOTH = 0.5
"""How far prices are drawn towards those of the best bound (Wentges, 1997): half as many rounds, measured."""


@dataclass(frozen=True, slots=True)
class Solved:
    """A plan for every sample, and the least number of packs that any plan needs, not rounded up."""

    plan: Plan
    bound: float


def is_there() -> bool:
    """Tell whether HiGHS is installed."""
    try:
        import highspy  # noqa: F401
    except ImportError:
        return False
    return True


def solve(sizes: Ints, counts: Ints, capacity: Ints, rounds: int = 400) -> Solved:
    """Plan packs of `capacity` (R,) for `counts` (C,) samples of `sizes` (C, R); stop after `rounds` of pricing.

    The programme's patterns are rounded down to whole packs, what is left is packed best fit decreasing.

    Raises:
        ImportError: HiGHS is not installed.
        ValueError: a size does not fit an empty pack.
    """
    start = best_fit_decreasing(sizes, counts, capacity)
    if not len(counts):
        return Solved(start, 0.0)
    programme = _Programme(counts)
    known = {*_patterns(start), *_nearly_full(sizes, counts, capacity)}
    programme.add(sorted(known))
    pricing = _Pricing(sizes, capacity)
    scarce = int(np.argmax((counts @ sizes) / np.maximum(capacity, 1)))
    centre = sizes[:, scarce] / max(int(capacity[scarce]), 1)  # no pattern is worth more than a pack
    bound = float(counts @ centre)
    for _ in range(rounds):
        value, prices = programme.solve()
        new: list[Pattern] = []
        for weight in (_SMOOTH, 0.0):
            asked = weight * centre + (1 - weight) * prices
            best, found = pricing.patterns(asked)
            if float(counts @ asked) > bound * best:
                bound, centre = float(counts @ asked) / best, asked / best
            new = sorted(each for each in set(found) - known if _worth(each, prices) > 1 + _GAP)
            if new:
                break
        if not new or value - bound < _NEAR * value:
            break
        programme.add(new)
        known.update(new)
    plan = _whole(programme, sizes, counts, capacity)
    return Solved(plan if plan.total < start.total else start, bound)


def _nearly_full(sizes: Ints, counts: Ints, capacity: Ints) -> set[Pattern]:
    """Return the patterns that a part of the samples gives when packed in order, which no price need find."""
    if len(capacity) > 1 or len(counts) < _MANY:
        return set()
    some = np.minimum(counts, np.ceil(counts * (_SAMPLES / counts.sum())).astype(np.int64))
    klass = np.repeat(np.arange(len(counts)), some)
    klass = klass[np.argsort(scattered(np.arange(klass.size), klass.size, 0))]
    pack, _ = subset_sum(sizes[klass], capacity)
    order = np.lexsort((klass, pack))
    found = np.split(klass[order], np.flatnonzero(np.diff(pack[order])) + 1)
    return {tuple(Counter(one.tolist()).items()) for one in found}


def _patterns(plan: Plan) -> list[Pattern]:
    found: list[list[tuple[int, int]]] = [[] for _ in plan.packs]
    for pattern, klass, copies in zip(plan.pattern.tolist(), plan.klass.tolist(), plan.copies.tolist(), strict=True):
        found[pattern].append((klass, copies))
    return [tuple(sorted(each)) for each in found]


def _worth(pattern: Pattern, prices: Floats) -> float:
    return float(sum(prices[klass] * copies for klass, copies in pattern))


class _Programme:
    """min sum x, patterns * x >= counts, x >= 0, kept by HiGHS between the rounds."""

    def __init__(self, counts: Ints) -> None:
        import highspy

        self.patterns: list[Pattern] = []
        self._highs: Any = highspy.Highs()  # type: ignore[no-untyped-call]
        self._highs.silent()
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("random_seed", 0)
        self._highs.setOptionValue("presolve", "off")
        none = np.array([], np.int32)
        counted = counts.astype(np.float64)
        self._highs.addRows(
            len(counts), counted, np.full(len(counts), highspy.kHighsInf), 0, none, none, np.array([], np.float64)
        )
        self._infinite = highspy.kHighsInf

    def add(self, patterns: list[Pattern]) -> None:
        """Let patterns in."""
        number = len(patterns)
        starts = np.cumsum([0, *map(len, patterns)])[:-1].astype(np.int32)
        rows = np.array([klass for pattern in patterns for klass, _ in pattern], np.int32)
        values = np.array([copies for pattern in patterns for _, copies in pattern], np.float64)
        cost, low, high = np.ones(number), np.zeros(number), np.full(number, self._infinite)
        self._highs.addCols(number, cost, low, high, len(rows), starts, rows, values)
        self.patterns += patterns

    def solve(self) -> tuple[float, Floats]:
        """Return the least sum, and what one more sample of each class would cost, (C,)."""
        self._highs.run()
        return self._highs.getObjectiveValue(), np.maximum(np.array(self._highs.getSolution().row_dual), 0.0)

    def packs(self) -> Floats:
        """Return how many packs of each pattern there are, not whole."""
        return np.array(self._highs.getSolution().col_value)


class _Pricing:
    """The knapsack: of all patterns that fit a pack, those of most worth."""

    def __init__(self, sizes: Ints, capacity: Ints) -> None:
        self.sizes, self.capacity = sizes, capacity
        self._shape = tuple((capacity + 1).tolist())

    def patterns(self, prices: Floats) -> tuple[float, list[Pattern]]:
        """Return the worth of the best pattern, and patterns worth more than a pack, the best among them."""
        worth = np.zeros(self._shape)
        last = np.full(self._shape, -1, np.int32)
        used = np.flatnonzero(prices > 1e-9)
        by_density = used[np.argsort(-prices[used] / self.sizes[used, 0], kind="stable")]
        for klass in by_density.tolist():
            self._fill(worth, last, klass, prices[klass])
        best = float(worth[-1] if worth.ndim == 1 else worth.flat[-1])
        room = self.capacity - self.sizes[used]
        total = prices[used] + worth[tuple(room.T)]
        order = np.argsort(-total, kind="stable")[:_COLUMNS_AT_ONCE]
        found = {self._back(last, used[i], room[i]) for i in order.tolist() if total[i] > 1 + _GAP}
        return max(best, float(total.max()) if total.size else 0.0), sorted(found)

    def _fill(self, worth: Floats, last: npt.NDArray[np.int32], klass: int, price: float) -> None:
        size = self.sizes[klass]
        here = tuple(slice(int(part), None) for part in size)
        there = tuple(slice(None, int(full - part)) for full, part in zip(self._shape, size, strict=True))
        while True:
            with_it = worth[there] + price
            better = with_it > worth[here] + 1e-12
            if not better.any():
                return
            worth[here] = np.where(better, with_it, worth[here])
            last[here][better] = klass

    def _back(self, last: npt.NDArray[np.int32], klass: int, room: Ints) -> Pattern:
        copies = {int(klass): 1}
        at = tuple(room.tolist())
        while (here := int(last[at])) >= 0:
            copies[here] = copies.get(here, 0) + 1
            at = tuple((np.array(at) - self.sizes[here]).tolist())
        return tuple(sorted(copies.items()))


def _whole(programme: _Programme, sizes: Ints, counts: Ints, capacity: Ints) -> Plan:
    """Round the programme's packs down, and pack what is left over."""
    left, chosen, packs = counts.copy(), [], []
    amounts = programme.packs()
    for number in np.argsort(-amounts, kind="stable").tolist():
        if amounts[number] < 1 - _GAP:
            break
        pattern = programme.patterns[number]
        most = min(int(left[klass]) // copies for klass, copies in pattern)
        if times := min(int(amounts[number] + _GAP), most):
            chosen.append(pattern)
            packs.append(times)
            for klass, copies in pattern:
                left[klass] -= copies * times
    rest = best_fit_decreasing(sizes[left > 0], left[left > 0], capacity)
    classes = np.flatnonzero(left > 0)
    others = [tuple((int(classes[klass]), copies) for klass, copies in pattern) for pattern in _patterns(rest)]
    return plan_of([*chosen, *others], [*packs, *rest.packs.tolist()], len(counts))
