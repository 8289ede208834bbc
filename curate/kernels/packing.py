"""Packing: put samples of given token lengths into as few packs of one capacity as it can."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def best_fit_decreasing(lengths: Ints, capacity: int) -> tuple[Ints, Ints]:
    """Give each sample a pack and a slot in it, longest first, each into the fullest pack that still holds it.

    Args:
        lengths: (N,) tokens, each between 1 and `capacity`.
        capacity: tokens that a pack holds.

    Returns:
        (pack, slot), each (N,). Packs are numbered in order of their opening. Ties are broken by position, so
        the result depends on the order of `lengths` alone. No sample is cut; none is left out.

    Raises:
        ValueError: a length below 1 or above `capacity`.

    Johnson, "Near-optimal bin packing algorithms" (1973): at most 11/9 of the optimum plus a constant.
    """
    if lengths.size and (lengths.min() < 1 or lengths.max() > capacity):
        raise ValueError(f"lengths must lie in 1..{capacity}")
    pack = np.empty(lengths.size, np.int64)
    slot = np.empty(lengths.size, np.int64)
    open_packs: list[list[int]] = [[] for _ in range(capacity + 1)]  # by room left
    filled: list[int] = []
    roomy = 0  # bit r is set when some pack has exactly r tokens of room
    for sample in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[sample])
        fitting = roomy >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            chosen = open_packs[room].pop()
            if not open_packs[room]:
                roomy ^= 1 << room
        else:
            room, chosen = capacity, len(filled)
            filled.append(0)
        pack[sample], slot[sample] = chosen, filled[chosen]
        filled[chosen] += 1
        left = room - length
        open_packs[left].append(chosen)
        roomy |= 1 << left
    return pack, slot


def least_packs(lengths: Ints, capacity: int) -> int:
    """Return a number of packs that nothing can beat: the total length over the capacity, rounded up."""
    return int(-(-int(lengths.sum()) // capacity))
