"""Perceptual hashes that lie near each other, found without comparing all with all.

A hash of 64 bits is cut into m bands. Two hashes of distance k = m r + a or less differ by r bits or less in one of
the first a + 1 bands, or by r - 1 or less in one of the others (Norouzi, Punjani, Fleet, "Fast exact search in
Hamming space with multi-index hashing", 2014): only hashes that share such a band are compared, so that the answer
is exact. Memory is that of the hashes, the tables of one band and one block of comparisons, whatever the hashes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb

import numpy as np
import numpy.typing as npt

MAX_DISTANCE = 16
"""Of 64 bits; unrelated photographs begin at about that distance."""

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_ODD_COLUMNS = np.uint64(0x5555_5555_5555_5555)
_BLOCK = 1 << 20  # comparisons at a time
_FEW = 1 << 22  # comparisons that are simply made
_WIDEST = 22  # bits of a band


def numbers(hashes: Sequence[str]) -> Hashes:
    """Return hashes of 16 hex digits as uint64 of shape (n,); ValueError for anything else."""
    if any(len(text) != 16 or not text.isascii() or not text.isalnum() for text in hashes):
        raise ValueError("a perceptual hash has 16 hex digits")
    return np.frombuffer(bytes.fromhex("".join(hashes)), ">u8").astype(np.uint64)


def telling(hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Tell which hashes say something of their picture: a flat one, or one of few lines, has hardly a bit set."""
    return np.bitwise_count(hashes) >= 16


def mirrored(hashes: Hashes) -> Hashes:
    """Return about the hashes of the same pictures mirrored left to right.

    Mirroring changes the sign of the frequencies that are odd across. A bit says whether a frequency is above the
    median of all, which is near zero but not zero: hence about. On 302 photographs the true hash of the mirrored
    picture lay 3.5 bits away on average, at most 8 for 298 of them; unrelated ones began at 14.
    """
    return hashes ^ _ODD_COLUMNS


def within(hashes: Hashes, distance: int) -> Iterator[tuple[Places, Places]]:
    """Yield the pairs of places (left < right) whose hashes differ in `distance` bits or less, each pair once.

    They come in blocks, in no order. The hashes must be distinct: equal ones are one place with many owners, and a
    million of them have no end of pairs. Raises ValueError where they are not, or `distance` is out of range.
    """
    ordered = np.sort(hashes)
    if len(ordered) > 1 and bool((ordered[1:] == ordered[:-1]).any()):
        raise ValueError("equal hashes: group them first")
    for left, right in _found(hashes, hashes, distance, same=True):
        yield np.minimum(left, right), np.maximum(left, right)


def between(left: Hashes, right: Hashes, distance: int) -> Iterator[tuple[Places, Places]]:
    """Yield the pairs (place in `left`, place in `right`) that differ in `distance` bits or less, each once.

    They come in blocks, in no order. Raises ValueError where `distance` is out of range.
    """
    if len(left) <= len(right):
        yield from _found(right, left, distance, same=False)
    else:
        for there, here in _found(left, right, distance, same=False):
            yield here, there


def reached(hashes: Hashes, others: Hashes, distance: int) -> npt.NDArray[np.bool_]:
    """Return for each hash, shape (n,), whether any of `others` differs from it in `distance` bits or less.

    Equal hashes are looked up once. Raises ValueError where `distance` is out of range.
    """
    values, owner = np.unique(hashes, return_inverse=True)
    hit = np.zeros(len(values), np.bool_)
    for place, _ in between(values, np.unique(others), distance):
        hit[place] = True
    answer: npt.NDArray[np.bool_] = hit[owner]
    return answer


@dataclass(frozen=True, slots=True)
class _Band:
    """Some neighbouring bits of a hash, and in how many of them two hashes may differ there."""

    shift: int
    width: int
    radius: int

    def of(self, hashes: Hashes) -> Places:
        return ((hashes >> np.uint64(self.shift)) & np.uint64((1 << self.width) - 1)).astype(np.int64)

    def changes(self) -> Iterator[int]:
        """Yield every pattern of at most `radius` bits."""
        for count in range(self.radius + 1):
            for bits in combinations(range(self.width), count):
                yield sum(1 << bit for bit in bits)

    def cost(self, index: int, queries: int) -> float:
        """Return about the work of looking `queries` hashes up among `index`."""
        looks = sum(comb(self.width, count) for count in range(self.radius + 1))
        return looks * queries * (2.0 + index / (1 << self.width)) + (1 << self.width)


def _bands(distance: int, index: int, queries: int) -> list[_Band]:
    """Return the cheapest bands that miss no pair."""
    best: list[_Band] = []
    for count in range(-(-64 // _WIDEST), max(4, distance + 2)):
        edges = [64 * place // count for place in range(count + 1)]
        radius, rest = divmod(distance, count)
        bands = [_Band(a, b - a, radius - (at > rest)) for at, (a, b) in enumerate(pairwise(edges))]
        bands = [band for band in bands if band.radius >= 0]
        if not best or sum(b.cost(index, queries) for b in bands) < sum(b.cost(index, queries) for b in best):
            best = bands
    return best


def _found(index: Hashes, queries: Hashes, distance: int, same: bool) -> Iterator[tuple[Places, Places]]:
    """Yield (place among the queries, place in the index) of near hashes; of `same` hashes each pair once."""
    if not 0 <= distance <= MAX_DISTANCE:
        raise ValueError(f"a distance of {distance} bits is not between 0 and {MAX_DISTANCE}")
    blocks: Iterator[tuple[int, Places, Places]]
    if len(index) * len(queries) <= _FEW:
        bands, candidates = [], _all(len(index), len(queries))
        blocks = ((0, query, place) for query, place in candidates)
    else:
        bands = _bands(distance, len(index), len(queries))
        blocks = _sharing(index, queries, bands, same)
    for number, query, place in blocks:
        apart = index[place] ^ queries[query]
        near = np.bitwise_count(apart) <= distance
        if same and not bands:
            near &= query < place
        query, place, apart = query[near], place[near], apart[near]
        fresh = np.ones(len(query), np.bool_)
        for band in bands[:number]:  # what an earlier band shares was told then
            fresh &= np.bitwise_count(band.of(apart)) > band.radius
        if fresh.any():
            yield query[fresh], place[fresh]


def _all(index: int, queries: int) -> Iterator[tuple[Places, Places]]:
    rows = max(1, _BLOCK // max(1, index))
    for start in range(0, queries, rows):
        query = np.arange(start, min(start + rows, queries))
        yield np.repeat(query, index), np.tile(np.arange(index), len(query))


def _sharing(index: Hashes, queries: Hashes, bands: list[_Band], same: bool) -> Iterator[tuple[int, Places, Places]]:
    """Yield (number of the band, queries, places) of what nearly agrees in a band."""
    for number, band in enumerate(bands):
        keys = band.of(index)
        order = np.argsort(keys, kind="stable")
        starts = np.concatenate(([0], np.cumsum(np.bincount(keys, minlength=1 << band.width))))
        asked = keys if same else band.of(queries)
        for change in band.changes():
            for begin in range(0, len(queries), _BLOCK):
                query = np.arange(begin, min(begin + _BLOCK, len(queries)))
                wanted = asked[query] ^ change
                if same and change:  # of two that differ so, the lower asks for the higher
                    lower = asked[query] < wanted
                    query, wanted = query[lower], wanted[lower]
                first, end = starts[wanted], starts[wanted + 1]
                for who, where in _unrolled(query, first, end - first):
                    place = order[where]
                    if same and not change:
                        once = who < place
                        who, place = who[once], place[once]
                    yield number, who, place


def _unrolled(query: Places, first: Places, length: Places) -> Iterator[tuple[Places, Places]]:
    """Yield each query beside every place first .. first + length, a block at a time, however long one is."""
    some = length > 0
    query, first, length = query[some], first[some], length[some]
    ends = np.cumsum(length)
    total = int(ends[-1]) if len(ends) else 0
    for low in range(0, total, _BLOCK):
        high = min(low + _BLOCK, total)
        part = slice(int(np.searchsorted(ends, low, "right")), int(np.searchsorted(ends, high, "left")) + 1)
        before = ends[part] - length[part]
        begin, stop = np.maximum(before, low), np.minimum(ends[part], high)
        sizes = stop - begin
        shift = first[part] - before
        yield np.repeat(query[part], sizes), np.repeat(shift, sizes) + np.arange(low, high)
