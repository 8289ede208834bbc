"""Best fit decreasing on classes of alike samples: time depends on the classes, not on how many samples there are."""

import numpy as np
import numpy.typing as npt

from curate.kernels.packplan import Plan, plan_of

Ints = npt.NDArray[np.int64]


def best_fit_decreasing(sizes: Ints, counts: Ints, capacity: Ints) -> Plan:
    """Put `counts` (C,) samples of `sizes` (C, R) into packs of `capacity` (R,), as best fit decreasing does.

    R resources are kept at once (tokens, tiles, samples), the first of them decides the order, and a sample goes
    to the pack that has least room left, all resources weighed by their capacity. With one resource the packs are
    those of the rule applied sample by sample (Johnson 1973: at most 11/9 of the least number and a constant). Every
    step exhausts a class or a group of packs with equal room, so that time depends on the classes alone.

    Raises:
        ValueError: a size that is negative or does not fit an empty pack.
    """
    if sizes.size and ((sizes < 0).any() or (sizes > capacity).any() or (sizes[:, 0] < 1).any()):
        raise ValueError("a sample does not fit an empty pack")
    packs = _Packs(capacity)
    weight = (sizes / np.maximum(capacity, 1)).sum(axis=1)
    for klass in np.lexsort((np.arange(len(sizes)), -weight, -sizes[:, 0])).tolist():
        packs.add(klass, sizes[klass], int(counts[klass]))
    return packs.plan(len(sizes))


class _Packs:
    """Open packs in groups of equal room; a group is (room, how many packs, the node of its pattern)."""

    def __init__(self, capacity: Ints) -> None:
        self.capacity = capacity
        self.rooms = np.zeros((64, len(capacity)), np.int64)
        self.numbers = np.zeros(64, np.int64)
        self.nodes = np.zeros(64, np.int64)
        self.left = np.zeros(64)
        self.live = 0
        self.tree: list[tuple[int, int, int]] = []  # parent, class, copies: a pattern is the path to its root
        self.full: list[tuple[int, int]] = []  # node, number of packs

    def add(self, klass: int, size: Ints, count: int) -> None:
        while count > 0:
            group = self._fitting(size)
            room = self.capacity if group is None else self.rooms[group].copy()
            most = int(np.min(room[size > 0] // size[size > 0]))
            node = -1 if group is None else int(self.nodes[group])
            if count >= most:
                number = count // most if group is None else min(int(self.numbers[group]), count // most)
                copies = most
            else:
                number, copies = 1, count
            if group is not None:
                self.numbers[group] -= number
                if self.numbers[group] == 0:
                    self._close(group)
            self.tree.append((node, klass, copies))
            self._open(room - copies * size, number, len(self.tree) - 1)
            count -= number * copies

    def _fitting(self, size: Ints) -> int | None:
        fits = (self.rooms[: self.live] >= size).all(axis=1)
        if not fits.any():
            return None
        # The latest of equals: it was opened last, as a stack of equal packs would have it.
        left = np.where(fits, self.left[: self.live], np.inf)
        return int(self.live - 1 - np.argmin(left[::-1]))

    def _open(self, room: Ints, number: int, node: int) -> None:
        if room[0] == 0:
            self.full.append((node, number))
            return
        if self.live == len(self.numbers):
            self.rooms = np.concatenate([self.rooms, np.zeros_like(self.rooms)])
            self.numbers, self.nodes = np.tile(self.numbers, 2), np.tile(self.nodes, 2)
            self.left = np.tile(self.left, 2)
        at, self.live = self.live, self.live + 1
        self.rooms[at], self.numbers[at], self.nodes[at] = room, number, node
        self.left[at] = float((room / np.maximum(self.capacity, 1)).sum())

    def _close(self, group: int) -> None:
        last = self.live - 1
        for column in (self.rooms, self.numbers, self.nodes, self.left):
            column[group:last] = column[group + 1 : self.live]
        self.live = last

    def plan(self, classes: int) -> Plan:
        ended = [*self.full, *zip(self.nodes[: self.live].tolist(), self.numbers[: self.live].tolist(), strict=True)]
        return plan_of([self._pattern(node) for node, _ in ended], [number for _, number in ended], classes)

    def _pattern(self, node: int) -> list[tuple[int, int]]:
        pattern = []
        while node >= 0:
            node, klass, copies = self.tree[node]
            pattern.append((klass, copies))
        return pattern[::-1]
