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
    states = _States(capacity, scarce)
    keys = (sizes @ states.strides).tolist()
    first = 0
    for begin in range(0, len(keys), BLOCK):
        end = min(begin + BLOCK, len(keys))
        first = _block(keys, begin, end, states, look_ahead, (pack, slot), first)
    return pack, slot


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
        self.valid, self.row, self.tokens = valid, widths[0], limits[0]
        self.full = (1 << (self.tokens + 1)) - 1
        self.rows = len(limits) > 1
        self._counts = (1, 1) if scarce == 0 else (int(self.strides[scarce]), widths[scarce])

    def fullest(self, reached: int) -> int:
        """Return the state with most of the scarcest resource, of those the one with most tokens."""
        if not self.rows:
            return reached.bit_length() - 1
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


def _block(
    keys: list[int], begin: int, end: int, states: _States, look_ahead: int, out: tuple[Ints, Ints], first: int
) -> int:
    """Pack the samples from `begin` to `end` into packs from number `first` on; return the next number."""
    pack, slot = out
    valid, tokens, single = states.valid, states.tokens, not states.rows
    waiting: list[int] = []
    arriving = begin
    number = first
    while waiting or arriving < end:
        more = min(look_ahead - len(waiting), end - arriving)
        if more > 0:
            waiting.extend(range(arriving, arriving + more))
            arriving += more
        reached = (1 << keys[waiting[0]]) & valid
        steps = [reached]
        for sample in waiting[1:]:
            reached |= (reached << keys[sample]) & valid
            steps.append(reached)
            if single and reached >> tokens:
                break  # the pack is full to the token
        state = states.fullest(reached)
        chosen = []
        for place in range(len(steps) - 1, 0, -1):
            if not steps[place - 1] >> state & 1:
                chosen.append(place)
                state -= keys[waiting[place]]
        chosen.append(0)
        for at, place in enumerate(reversed(chosen)):
            sample = waiting[place]
            pack[sample], slot[sample] = number, at
        for place in chosen:
            del waiting[place]
        number += 1
    return number
