"""Packing in the order of arrival: from the next samples, those that together fill a pack best.

A pack takes the sample that has waited longest, and of the few dozen after it the set whose tokens come nearest to
what is left, found exactly: the reachable sums of a subset-sum are the bits of one number, a sample shifts them
(Bellman 1957). Order is kept nearly: a sample waits for a bounded number of packs, so that a stratified stream
stays stratified.
"""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

BLOCK = 65_536
"""Samples packed apart from the others: blocks may go to any worker. It is part of a plan's identity."""
LOOK_AHEAD = 64
_FEW = 8


def subset_sum(sizes: Ints, capacity: Ints, look_ahead: int = LOOK_AHEAD) -> tuple[Ints, Ints]:
    """Give each sample, (N, R) resources of which tokens are the first, a pack of `capacity` (R,) and a slot in it.

    Returns (pack, slot), each (N,); packs are numbered in the order of their oldest sample. Nothing is cut or left
    out. Of sets with equal tokens the one found among the earliest samples is taken.

    Raises:
        ValueError: a size that is negative or does not fit an empty pack.
    """
    if sizes.size and ((sizes < 0).any() or (sizes > capacity).any() or (sizes[:, 0] < 1).any()):
        raise ValueError("a sample does not fit an empty pack")
    pack, slot = np.empty(len(sizes), np.int64), np.empty(len(sizes), np.int64)
    scarce = int(np.argmax(sizes.sum(axis=0) / np.maximum(capacity, 1))) if len(sizes) else 0
    few = len(capacity) == 1 and sizes.sum() * _FEW > capacity[0] * len(sizes)
    states = _Tokens(int(capacity[0])) if few else _States(capacity, scarce)
    first = 0
    for begin in range(0, len(sizes), BLOCK):
        here = slice(begin, begin + BLOCK)
        packs, pack[here], slot[here] = _block((sizes[here] @ states.strides).tolist(), states, look_ahead)
        pack[here] += first
        first += packs
    return pack, slot


class _Tokens:
    """What may be left of a pack, as bits of one number: a sample shifts them down, and what does not fit falls off.

    The quicker of the two where tokens alone are counted and few samples fill a pack: nothing needs to be cut off.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.strides = np.ones(1, np.int64)

    def fullest(self, keys: list[int]) -> list[int]:
        """Return the places in `keys` of the first of them and of those that fill its pack best, last place first."""
        room = self.capacity - keys[0]
        reached = 1 << room
        steps, tried = [reached], [0]
        for place, key in enumerate(keys):
            if key <= room and place:
                reached |= reached >> key
                steps.append(reached)
                tried.append(place)
                if reached & 1:
                    break  # the pack is full to the token
        left = (reached & -reached).bit_length() - 1
        chosen = []
        for at in range(len(steps) - 1, 0, -1):
            if not steps[at - 1] >> left & 1:
                chosen.append(tried[at])
                left += keys[tried[at]]
                if left == room:
                    break
        return [*chosen, 0]


class _States:
    """What a pack may hold, as bits of one number: tokens count by one, another resource by a row of tokens.

    A row is twice as wide as the tokens of a pack, so that a sum that is too large falls into the half that `valid`
    cuts off and never into the next row.
    """

    def __init__(self, capacity: Ints, scarce: int) -> None:
        limits = [int(limit) for limit in capacity]
        widths = [2 * limit + 1 for limit in limits]
        self.strides = np.cumprod([1, *widths[:-1]]).astype(np.int64)
        valid = (1 << (limits[0] + 1)) - 1
        for limit, stride in zip(limits[1:], self.strides[1:].tolist(), strict=True):
            row = valid
            for step in range(1, limit + 1):
                valid |= row << (step * stride)
        self.valid, self.row, self.all = valid, widths[0], 1 << (valid.bit_length() - 1)
        self.full = (1 << (limits[0] + 1)) - 1
        self._counts = (1, 1) if scarce == 0 else (int(self.strides[scarce]), widths[scarce])

    def fullest(self, keys: list[int]) -> list[int]:
        """Return the places in `keys` of the first of them and of those that fill its pack best, last place first."""
        reached = 1 << keys[0]
        steps = [reached]
        for key in keys[1:]:
            reached |= (reached << key) & self.valid
            steps.append(reached)
            if reached >= self.all:
                break  # the pack is full, of everything
        state = self._best(reached)
        chosen = []
        for place in range(len(steps) - 1, 0, -1):
            if not steps[place - 1] >> state & 1:
                chosen.append(place)
                state -= keys[place]
                if state == keys[0]:
                    break
        return [*chosen, 0]

    def _best(self, reached: int) -> int:
        """Return the state with most of the scarcest resource, of those the one with most tokens."""
        best, at, shift = (-1, -1), 0, 0
        stride, width = self._counts
        while reached:
            if row := reached & self.full:
                tokens = row.bit_length() - 1
                held = (shift // stride % width if width > 1 else 0, tokens)
                if held > best:
                    best, at = held, shift + tokens
            reached >>= self.row
            shift += self.row
        return at


def _block(keys: list[int], states: _Tokens | _States, look_ahead: int) -> tuple[int, list[int], list[int]]:
    """Pack samples of `keys`, the state that each alone gives; return the number of packs, each one's pack and slot."""
    pack, slot = [0] * len(keys), [0] * len(keys)
    waiting, ahead = list(range(min(look_ahead, len(keys)))), keys[:look_ahead]
    arriving, number = len(waiting), 0
    while waiting:
        chosen = states.fullest(ahead)
        for at, place in enumerate(reversed(chosen)):
            pack[waiting[place]], slot[waiting[place]] = number, at
        for place in chosen:
            del waiting[place], ahead[place]
        number += 1
        more = min(len(chosen), len(keys) - arriving)
        waiting.extend(range(arriving, arriving + more))
        ahead += keys[arriving : arriving + more]
        arriving += more
    return number, pack, slot
