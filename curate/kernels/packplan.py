"""A packing plan by length class: so many packs of one pattern, and the arithmetic that gives each sample its place.

Samples of one class are alike: a plan is as large for a thousand million of them as for a thousand. `place` needs
of a sample its class and its rank within the class alone, so that shards are placed apart from each other, in any
order, by any number of workers, without a sort and without an exchange.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_BLOCK = 1 << 16
"""Samples placed at a time: what is worked out of them stays in the processor's cache."""
_BUCKETS = 1 << 16
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
        if klass.size and (rank.min() < 0 or (rank >= self.room()[klass]).any()):
            raise ValueError("the plan has no place for a rank")
        places, pack, slot = _Places(self), np.empty(klass.size, np.int64), np.empty(klass.size, np.int64)
        for begin in range(0, klass.size, _BLOCK):
            here = slice(begin, begin + _BLOCK)
            pack[here], slot[here] = places.of(klass[here], rank[here])
        return pack, slot

    def place_shard(self, klass: Ints, before: Ints, counts: Ints, seed: int) -> tuple[Ints, Ints]:
        """Return (pack, slot), each (N,), of a shard's samples of `klass`; those of equal class change places by seed.

        `before` (C,) is how many of each class the shards before it hold, `counts` (C,) how many there are in all. It
        is `place` of `scattered` ranks, block after block.

        Raises:
            ValueError: a class with more samples than `counts` says, or than the plan has places for.
        """
        reached = before + np.bincount(klass, minlength=self.classes)
        if (reached > counts).any() or (counts > self.room()).any():
            raise ValueError("the plan has no place for a rank")
        places, scatter, so_far = _Places(self), Scatter(counts, seed), before.copy()
        pack, slot = np.empty(klass.size, np.int64), np.empty(klass.size, np.int64)
        for begin in range(0, klass.size, _BLOCK):
            here = slice(begin, begin + _BLOCK)
            part = klass[here]
            rank = scatter.of(part, so_far[part] + ranks(part, self.classes))
            pack[here], slot[here] = places.of(part, rank)
            so_far += np.bincount(part, minlength=self.classes)
        return pack, slot


class _Places:
    """Tables that find the place of a rank: entries stand in a row, and a bucket of places tells the entry it is in."""

    def __init__(self, plan: Plan) -> None:
        many = plan.copies * plan.packs[plan.pattern]
        self.ends = np.cumsum(many)
        self.before = np.concatenate([[0], self.ends])[np.searchsorted(plan.klass, np.arange(plan.classes + 1))]
        total = int(self.ends[-1]) if self.ends.size else 0
        self.shift = max(total.bit_length() - _BUCKETS.bit_length() + 1, 0)
        edges = np.arange((total >> self.shift) + 2) << self.shift
        first = np.searchsorted(self.ends, edges, side="right")
        self.entry = first[:-1].astype(np.int32)
        self.entry[first[:-1] != first[1:]] = -1  # an entry ends in it
        self.begins = self.ends - many
        self.pack = (np.cumsum(plan.packs) - plan.packs)[plan.pattern]
        self.copies, self.slot = plan.copies, plan.slot

    def of(self, klass: Ints, rank: Ints) -> tuple[Ints, Ints]:
        at = self.before[klass] + rank
        entry = self.entry[at >> self.shift]
        unsure = np.flatnonzero(entry < 0)
        entry[unsure] = np.searchsorted(self.ends, at[unsure], side="right")
        within, copies = at - self.begins[entry], self.copies[entry]
        turn = (within / copies).astype(np.int64)  # exact below 2 ** 53, and faster than whole numbers divide
        return self.pack[entry] + turn, self.slot[entry] + within - turn * copies


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


def scattered(rank: Ints, size: int, seed: int) -> Ints:
    """Return another rank for each, (N,): a seeded permutation of 0 .. size - 1, for each size its own.

    Samples that follow each other are torn apart, or the patterns would sort them by where they come from. Odd
    factors and shifts permute the numbers below the next power of two, walked until inside `size` (Black and
    Rogaway, "Ciphers with arbitrary finite domains", 2002). Numbers alone decide: every worker gets the same.
    """
    return Scatter(np.array([size]), seed).of(np.zeros(rank.size, np.int8), rank)


class Scatter:
    """The permutations of `scattered` for the sizes of some classes, (C,)."""

    def __init__(self, sizes: Ints, seed: int) -> None:
        self.limit = sizes.astype(np.uint64)
        bits = np.ceil(np.log2(np.maximum(sizes, 2))).astype(np.uint64)
        self.mask = (np.uint64(1) << bits) - np.uint64(1)
        self.half = (bits + np.uint64(1)) >> np.uint64(1)
        offset = self.limit * np.uint64(0xC2B2AE3D27D4EB4F) + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
        self.offset = offset ^ (offset >> np.uint64(31))

    def of(self, klass: npt.NDArray[Any], rank: Ints) -> Ints:
        """Return the other rank of each, (N,), of those of `klass` that are number `rank` of it."""
        out = np.empty(rank.size, np.int64)
        for begin in range(0, rank.size, _BLOCK):
            here = slice(begin, begin + _BLOCK)
            out[here] = self._block(klass[here], rank[here])
        return out

    def _block(self, klass: npt.NDArray[Any], rank: Ints) -> npt.NDArray[np.uint64]:
        value = rank.astype(np.uint64)
        limit, mask, half, offset = self.limit[klass], self.mask[klass], self.half[klass], self.offset[klass]
        out, todo = value, np.arange(rank.size)
        while todo.size:
            for factor in _FACTORS:
                value = value * factor
                value += offset
                value &= mask
                value ^= value >> half
            out[todo] = value
            outside = np.flatnonzero(value >= limit)
            todo, value = todo[outside], value[outside]
            limit, mask, half, offset = limit[outside], mask[outside], half[outside], offset[outside]
        return out
