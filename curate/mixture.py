"""Exact, seeded draws: which samples of a component enter a mix, and how often."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from curate.kernels.balance import mixed

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


def keys_of(ids: Sequence[str]) -> Keys:
    """Return 64 bits of each id's hash, (N,): what orders samples, wherever and in whatever order they are read."""
    digests = b"".join(hashlib.blake2b(each.encode("utf-8", "surrogatepass"), digest_size=8).digest() for each in ids)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def pass_size(picture: Ints, per_picture: int | None) -> int:
    """Return how many samples one pass draws, of samples of the `picture` (N,) that each is numbered by."""
    counts = np.bincount(picture) if picture.size else np.zeros(0, np.int64)
    return int(counts.sum() if per_picture is None else np.minimum(counts, per_picture).sum())


def draws(
    keys: Keys, count: int, seed: int, picture: Ints | None = None, per_picture: int | None = None
) -> tuple[Ints, Ints]:
    """Draw `count` samples: whole passes over all of them, then a part of one more pass in an order of its own.

    Returns (index, time), each (count,): the sample, and which time it is drawn, 0 first. The order within a pass
    depends on (seed, pass, key) alone, not on the order of `keys`, so that permuted inputs and any number of workers
    draw the same samples. No sample is drawn k + 1 times before every other was drawn k times; with `per_picture`
    a pass takes no more than so many samples of one picture, in each pass others.
    """
    index, time = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    left, turn = count if keys.size else 0, 0
    drawn = np.zeros(keys.size, np.int64)
    while left > 0:
        order = np.lexsort((keys, mixed(keys, seed * 1_000_003 + turn)))
        if per_picture is not None and picture is not None:
            # Who was drawn least comes first, so that a picture's samples take turns.
            order = order[np.argsort(drawn[order], kind="stable")]
            order = order[_rank_in_group(picture[order]) < per_picture]
        chosen = order[:left]
        index.append(chosen)
        time.append(drawn[chosen])
        drawn[chosen] += 1
        left -= chosen.size
        turn += 1
    return np.concatenate(index), np.concatenate(time)


def _rank_in_group(group: Ints) -> Ints:
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group)
    rank = np.empty(group.size, np.int64)
    rank[order] = np.arange(group.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank
