"""Packing: several packers on the same samples, the best of them, and the bound that none can beat beside it.

No packer is always best: with pictures of a fixed number of tokens best fit decreasing leaves gaps that nothing
small is there to fill, a subset-sum closes them where a pack holds many samples, column generation where it holds few.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.kernels import column_generation
from curate.kernels.best_fit import best_fit_decreasing
from curate.kernels.packplan import Plan, scattered
from curate.kernels.subset_sum import LOOK_AHEAD, subset_sum

Ints = npt.NDArray[np.int64]

PACKERS = ("best_fit_decreasing", "subset_sum", "column_generation")
_IN_ORDER = "subset_sum"
"""It keeps the order of arrival, so that of equals it is taken."""
_CLASSES = 400
"""Classes of several resources that column generation looks at; beyond them tokens are counted in larger units."""
_LINE = 1 << 10
"""Lengths that it tells apart where tokens are all that is counted."""
_FINE = 2048
"""A pack of so many tokens holds so few samples that every token is told apart."""
_SIZES = 512
"""So few different sizes are told apart, too: the bound of a mix of some thousand samples is exact then."""
_COUNTED = 1 << 24
_PRICED = 1 << 20
"""Fillings of a pack, in units of each resource, that column generation prices in minutes, not hours."""
_NEAR = 0.999
_FEW = 4
"""A pack of fewer samples leaves little to choose: a quarter of the look-ahead is enough; as for several resources."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one pack holds: `tokens`, and where they are given `tiles` of a vision encoder and `samples`.

    Each sample's tokens are rounded up to multiples of `align`, as context parallelism wants them.
    """

    tokens: int
    tiles: int | None = None
    samples: int | None = None
    align: int = 1


@dataclass(frozen=True, slots=True)
class Packing:
    """Where each sample lies: `pack` and `slot`, each (N,), by the packer `by` of those `tried` (name to packs).

    `bound` is a number of packs that nothing can beat.
    """

    pack: Ints
    slot: Ints
    by: str
    tried: dict[str, int]
    bound: int

    @property
    def packs(self) -> int:
        """The number of packs."""
        return self.tried[self.by]


def pack(
    lengths: Ints,
    limits: Limits,
    tiles: Ints | None = None,
    seed: int = 0,
    packers: Sequence[str] | None = None,
) -> Packing:
    """Put samples of `lengths` (N,) tokens and `tiles` (N,) into as few packs as the best of `packers` can.

    Samples stand in the order in which they are to be packed; it decides, with the seed, who lies with whom. Column
    generation is left out where HiGHS is not installed, or it would price too many packs, unless it is asked for.

    Raises:
        ValueError: a sample does not fit a pack alone (`too_long` says which), or a packer that is not known.
        ImportError: column generation was asked for by name, and HiGHS is not installed.
    """
    asked = PACKERS if packers is None else tuple(packers)
    if unknown := set(asked) - set(PACKERS):
        raise ValueError(f"no such packer: {', '.join(sorted(unknown))}")
    sizes, capacity = resources(lengths, limits, tiles)
    can_solve = column_generation.is_there() and bool(len(sizes)) and _is_solvable(sizes, capacity)
    if packers is None and not can_solve:
        asked = tuple(name for name in asked if name != "column_generation")
    if (sizes > capacity).any():
        raise ValueError("a sample does not fit a pack")
    if not len(sizes):
        return Packing(np.zeros(0, np.int64), np.zeros(0, np.int64), asked[0], dict.fromkeys(asked, 0), 0)
    best: tuple[int, str, Ints, Ints] | None = None
    tried, bound = {}, least_packs(sizes, capacity)
    for name in asked:
        places, programme_bound = _BY[name](sizes, capacity, seed)
        bound = max(bound, programme_bound)
        tried[name] = int(places[0].max()) + 1
        if best is None or (tried[name], name != _IN_ORDER) < (best[0], best[1] != _IN_ORDER):
            best = tried[name], name, *places
    assert best is not None
    if can_solve and bound < _NEAR * best[0]:
        bound = max(bound, programme_least(sizes, capacity))
    return Packing(best[2], best[3], best[1], tried, bound)


def too_long(lengths: Ints, limits: Limits, tiles: Ints | None = None) -> npt.NDArray[np.bool_]:
    """Return for each sample, (N,), whether no pack can hold it."""
    sizes, capacity = resources(lengths, limits, tiles)
    return np.asarray((sizes > capacity).any(axis=1))


def resources(lengths: Ints, limits: Limits, tiles: Ints | None) -> tuple[Ints, Ints]:
    """Return what each sample takes, (N, R), and what a pack holds, (R,); tokens first, in units of `align`.

    A limit of samples that can never be reached is no resource.
    """
    columns = [np.maximum(-(-np.asarray(lengths, np.int64) // limits.align), 1)]
    holds = [limits.tokens // limits.align]
    if limits.tiles is not None:
        columns.append(np.zeros(len(columns[0]), np.int64) if tiles is None else np.asarray(tiles, np.int64))
        holds.append(limits.tiles)
    least = int(columns[0].min()) if len(columns[0]) else 1
    if limits.samples is not None and limits.samples < holds[0] // least:
        columns.append(np.ones(len(columns[0]), np.int64))
        holds.append(limits.samples)
    return np.stack(columns, axis=1), np.array(holds, np.int64)


def least_packs(sizes: Ints, capacity: Ints) -> int:
    """Return the packs that the sum of any one resource needs."""
    return int((-(-sizes.sum(axis=0) // np.maximum(capacity, 1))).max())


def programme_least(sizes: Ints, capacity: Ints) -> int:
    """Return the packs that the linear programme needs.

    Where tokens are counted in larger units they are rounded down, so that the bound holds for the exact ones too.
    """
    unit = unit_of(sizes, capacity)
    classes, counts, _ = _classes(sizes // unit)
    some = classes[:, 0] > 0  # what is rounded down to nothing takes no room
    return _whole(column_generation.solve(classes[some], counts[some], capacity // unit).bound)


@dataclass(frozen=True, slots=True)
class Advice:
    """What a pack length would give: the share of it that tokens can fill at most, and packs needed for that.

    `left_out` samples are too long for it.
    """

    tokens: int
    ceiling: float
    packs: int
    left_out: int


def advise(lengths: Ints, lengths_of_packs: Sequence[int]) -> list[Advice]:
    """Return the ceiling of each pack length; without HiGHS it is the total's alone, which may be out of reach."""
    out = []
    for tokens in lengths_of_packs:
        sizes, capacity = resources(lengths, Limits(tokens), None)
        fitting = sizes[sizes[:, 0] <= tokens]
        packs = least_packs(fitting, capacity) if len(fitting) else 0
        if packs and column_generation.is_there():
            packs = max(packs, programme_least(fitting, capacity))
        ceiling = float(fitting.sum() / (packs * tokens)) if packs else 0.0
        out.append(Advice(tokens, ceiling, packs, len(sizes) - len(fitting)))
    return out


def unit_of(sizes: Ints, capacity: Ints, line: int = _LINE) -> Ints:
    """Return the units, (R,), that column generation counts in.

    About `line` of one resource alone make a pack; of a small pack, or of few different sizes, each is told apart.
    """
    units = np.ones(len(capacity), np.int64)
    if len(capacity) == 1:
        if capacity[0] > _FINE and len(np.unique(sizes)) > _SIZES:
            units[0] = -(-int(capacity[0]) // line)
        return units
    while units[0] * 8 <= capacity[0] and len(np.unique(sizes // units, axis=0)) > _CLASSES:
        units[0] *= 2
    return units


def _is_solvable(sizes: Ints, capacity: Ints) -> bool:
    """Tell whether column generation, which prices every filling of a pack, has few enough of them."""
    return float(np.prod(capacity // unit_of(sizes, capacity) + 1.0)) <= _PRICED


def _whole(bound: float) -> int:
    return int(np.ceil(bound - 1e-6 * max(bound, 1.0)))


def _classes(sizes: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the sizes that there are, (C, R), in order, how many samples have each, (C,), and each one's class, (N,).

    Sizes are told apart by one number each: counted where numbers are few, else sorted.
    """
    widths = sizes.max(axis=0, initial=0) + 1
    strides = np.append(np.cumprod(widths[:0:-1])[::-1], 1)
    number = sizes @ strides
    if math.prod(widths.tolist()) < _COUNTED:
        counts = np.bincount(number)
        there = np.flatnonzero(counts)
        klass = (np.cumsum(counts > 0) - 1)[number]
        counts = counts[there]
    else:
        there, klass, counts = np.unique(number, return_inverse=True, return_counts=True)
    return there[:, None] // strides % widths, counts, klass


def _placed(plan: Plan, counts: Ints, klass: Ints, seed: int) -> tuple[Ints, Ints]:
    where, slot = plan.place_shard(klass, np.zeros(len(counts), np.int64), counts, seed)
    # Packs of one pattern lie together: they are dealt out.
    return scattered(where, plan.total, seed + 1), slot


def _best_fit(sizes: Ints, capacity: Ints, seed: int) -> tuple[tuple[Ints, Ints], int]:
    classes, counts, klass = _classes(sizes)
    return _placed(best_fit_decreasing(classes, counts, capacity), counts, klass, seed), 0


def _subset_sum(sizes: Ints, capacity: Ints, seed: int) -> tuple[tuple[Ints, Ints], int]:
    few = sizes[:, 0].mean() * _FEW > capacity[0] or len(capacity) > 1
    return subset_sum(sizes, capacity, LOOK_AHEAD // 4 if few else LOOK_AHEAD), 0


def _column_generation(sizes: Ints, capacity: Ints, seed: int) -> tuple[tuple[Ints, Ints], int]:
    unit = unit_of(sizes, capacity)
    fits = (-(-sizes // unit) <= capacity // unit).all(axis=1)
    if not fits.all():  # rounded up, a sample outgrows the pack: it is rounded no more
        unit = np.ones_like(unit)
    classes, counts, klass = _classes(-(-sizes // unit))
    solved = column_generation.solve(classes, counts, capacity // unit)
    exact = bool((unit == 1).all())
    return _placed(solved.plan, counts, klass, seed), _whole(solved.bound) if exact else 0


_BY: dict[str, Callable[[Ints, Ints, int], tuple[tuple[Ints, Ints], int]]] = {
    "best_fit_decreasing": _best_fit,
    "subset_sum": _subset_sum,
    "column_generation": _column_generation,
}
