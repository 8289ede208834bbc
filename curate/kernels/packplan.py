"""A packing plan by length class: so many packs of one pattern, and the arithmetic that gives each sample its place.

Samples of one class are alike: a plan is as large for a thousand million of them as for a thousand. `place` needs
of a sample its class and its rank within the class alone, so that shards are placed apart from each other, in any
order, by any number of workers, without a sort and without an exchange.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_FACTORS = tuple(np.uint64(odd) for odd in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


@dataclass(frozen=True, slots=True)
class Plan:
    """Patterns and how many packs there are of each.

    `packs` (K,) counts the packs of each pattern. The entries, (E,) each and sorted by class and pattern, say how
    many samples (`copies`) of `klass` a pack of `pattern` holds, from which `slot` on. `classes` is their number.
    """

    packs: Ints
    pattern: Ints
    klass: Ints
    copies: Ints
    slot: Ints
    classes: int

    @property
    def total(self) -> int:
        """The number of packs."""
        return int(self.packs.sum())

    def room(self) -> Ints:
        """Return how many samples of each class the plan has places for, (C,)."""
        places = np.zeros(self.classes, np.int64)
        np.add.at(places, self.klass, self.copies * self.packs[self.pattern])
        return places

    def place(self, klass: Ints, rank: Ints) -> tuple[Ints, Ints]:
        """Return (pack, slot), each (N,), of samples of `klass` that are number `rank` of their class, from 0 on.

        Raises:
            ValueError: a rank that the plan has no place for.
        """
        first_pack = np.cumsum(self.packs) - self.packs
        ends = np.cumsum(self.copies * self.packs[self.pattern])  # places, entry after entry, all classes in a row
        begins = np.searchsorted(self.klass, np.arange(self.classes + 1))
        before = np.concatenate([[0], ends])[begins]
        at = before[klass] + rank
        if klass.size and (rank.min() < 0 or (at >= before[klass + 1]).any()):
            raise ValueError("the plan has no place for a rank")
        entry = np.searchsorted(ends, at, side="right")
        within = at - (ends[entry] - self.copies[entry] * self.packs[self.pattern[entry]])
        copies = self.copies[entry]
        pack = first_pack[self.pattern[entry]] + within // copies
        return pack, self.slot[entry] + within % copies


def plan_of(patterns: Sequence[Sequence[tuple[int, int]]], packs: Sequence[int], classes: int) -> Plan:
    """Return the plan of patterns, each a sequence of (class, copies), and of how many packs there are of each.

    Patterns without packs are left out, equal entries of one pattern are joined; the order of patterns stays.
    """
    kept = [(pattern, count) for pattern, count in zip(patterns, packs, strict=True) if count > 0 and pattern]
    rows: list[tuple[int, int, int, int]] = []
    for number, (pattern, _) in enumerate(kept):
        copies: dict[int, int] = {}
        for klass, times in pattern:
            copies[klass] = copies.get(klass, 0) + times
        slot = 0
        for klass, times in copies.items():
            rows.append((klass, number, times, slot))
            slot += times
    table = np.array(sorted(rows), np.int64).reshape(-1, 4)
    return Plan(
        packs=np.array([count for _, count in kept], np.int64),
        klass=table[:, 0],
        pattern=table[:, 1],
        copies=table[:, 2],
        slot=table[:, 3],
        classes=classes,
    )


def ranks(klass: Ints, classes: int) -> Ints:
    """Return the rank of each sample within its class, (N,), in order of appearance."""
    narrow = klass.astype(np.uint16) if classes <= 1 << 16 else klass  # sorted by counting, not by comparing
    order = np.argsort(narrow, kind="stable")
    counts = np.bincount(klass, minlength=classes)
    first = np.cumsum(counts) - counts
    rank = np.empty(klass.size, np.int64)
    rank[order] = np.arange(klass.size) - np.repeat(first, counts)
    return rank


def scattered(rank: Ints, size: Ints, seed: int) -> Ints:
    """Return another rank for each, (N,): a seeded permutation of 0 .. size - 1, for each size its own.

    Samples that follow each other are torn apart, or the patterns would sort them by where they come from. Odd
    factors and shifts permute the numbers below the next power of two, walked until inside `size` (Black and
    Rogaway, "Ciphers with arbitrary finite domains", 2002). Numbers alone decide: every worker gets the same.
    """
    out = rank.astype(np.uint64)
    limit = size.astype(np.uint64)
    bits = np.ceil(np.log2(np.maximum(size, 2))).astype(np.uint64)
    mask = (np.uint64(1) << bits) - np.uint64(1)
    half = (bits + np.uint64(1)) >> np.uint64(1)
    offset = limit * np.uint64(0xC2B2AE3D27D4EB4F) + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    offset ^= offset >> np.uint64(31)
    todo = np.arange(out.size)
    value = out
    while todo.size:
        for factor in _FACTORS:
            value = (value * factor + offset) & mask
            value ^= value >> half
        out[todo] = value
        outside = value >= limit
        todo, value = todo[outside], value[outside]
        limit, mask, half, offset = limit[outside], mask[outside], half[outside], offset[outside]
    return out.astype(np.int64)
