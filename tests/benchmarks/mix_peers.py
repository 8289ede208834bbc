"""What others pack by, written from their descriptions, to run beside ours: the number of packs of each."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def best_fit_blocks(lengths: Ints, capacity: int, block: int = 1000) -> int:
    """TRL's packing: best fit decreasing in blocks of so many rows, as `dataset.map(batched=True)` hands them over."""
    packs = 0
    for begin in range(0, len(lengths), block):
        waiting = [0] * (capacity + 1)  # open packs by room left
        roomy = 0
        for length in sorted(lengths[begin : begin + block].tolist(), reverse=True):
            fitting = roomy >> length
            room = length + (fitting & -fitting).bit_length() - 1 if fitting else capacity
            if fitting:
                waiting[room] -= 1
                if not waiting[room]:
                    roomy ^= 1 << room
            else:
                packs += 1
            waiting[room - length] += 1
            roomy |= 1 << (room - length)
    return packs


def first_fit_shuffled(lengths: Ints, capacity: int, seed: int = 0) -> int:
    """NeMo's default: first fit in random order; a tree of the largest rooms finds the first pack that holds it."""
    size = 1 << int(np.ceil(np.log2(max(len(lengths), 2))))
    tree = [capacity] * (2 * size)
    used = 0
    for length in np.random.default_rng(seed).permutation(lengths).tolist():
        node = 1
        while node < size:
            node *= 2
            if tree[node] < length:
                node += 1
        used = max(used, node - size + 1)
        tree[node] -= length
        node //= 2
        while node:
            room = max(tree[2 * node], tree[2 * node + 1])
            if tree[node] == room:
                break
            tree[node] = room
            node //= 2
    return used


def greedy_buffer(lengths: Ints, capacity: int, buffers: int = 20) -> int:
    """InternVL's online packing without its overflow: the first buffer with room, fullest first, else a new one."""
    rooms: list[int] = []  # ascending: fullest first
    packs = 0
    for length in lengths.tolist():
        place = next((at for at, room in enumerate(rooms) if room >= length), None)
        if place is None:
            if len(rooms) == buffers:
                rooms.pop(0)
                packs += 1
            rooms.append(capacity - length)
        else:
            rooms[place] -= length
        rooms.sort()
    return packs + len(rooms)
