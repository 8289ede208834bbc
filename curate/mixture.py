"""Exact, seeded draws: which samples of a component enter a mix, and how often."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

MAX_TIMES = 1000
"""Draws of one sample."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw: the index of the sample among its component's ids, and which time it is drawn (0 first)."""

    index: int
    time: int


def quota(size: int, epochs: float | None, samples: int | None) -> int:
    """Return how many draws a component of `size` samples gives: `samples`, or `epochs` times its size.

    Raises:
        ValueError: both are given, the component is empty, or the draws are none or above MAX_TIMES a sample.
    """
    if epochs is not None and samples is not None:
        raise ValueError("give epochs or samples, not both")
    if size == 0:
        raise ValueError("the component has no samples")
    count = samples if samples is not None else round(size * (1.0 if epochs is None else epochs))
    if not 1 <= count <= MAX_TIMES * size:
        raise ValueError(f"{count} draws from {size} samples")
    return count


def draws(ids: Sequence[str], count: int, seed: int) -> list[Draw]:
    """Draw `count` samples: whole passes over all of them, then a part of one more pass in an order of its own.

    The order within a pass depends on (seed, pass, id) alone, not on the order of `ids`, so that permuted
    inputs and any number of workers draw the same samples. No sample is drawn k + 1 times before every other
    was drawn k times.
    """
    out: list[Draw] = []
    time = 0
    while len(out) < count and ids:
        keyed = sorted(range(len(ids)), key=lambda index: _key(seed, time, ids[index]))
        out.extend(Draw(index, time) for index in keyed[: count - len(out)])
        time += 1
    return out


def _key(seed: int, time: int, sample_id: str) -> bytes:
    return hashlib.blake2b(f"{seed}\x00{time}\x00{sample_id}".encode(), digest_size=16).digest()
