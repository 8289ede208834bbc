"""Near hashes: exactly those that comparing all with all finds, each pair once, within a bound of memory."""

import numpy as np
import pytest
from conftest import growth
from hypothesis import given
from hypothesis import strategies as st

from curate.kernels import near
from curate.kernels.phash import hamming, phash


def brute(left, right, distance):
    return np.bitwise_count(left[:, None] ^ right[None, :]) <= distance


def pairs(blocks):
    found = [(int(a), int(b)) for one, other in blocks for a, b in zip(one, other, strict=True)]
    assert len(found) == len(set(found)), "a pair is told once"
    return set(found)


def clustered(count, seed):
    """Hashes of which many lie near each other: some centres, each with up to 10 bits changed."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**64, max(1, count // 8), np.uint64)
    hashes = centres[rng.integers(0, len(centres), count)]
    for _ in range(10):
        hashes = hashes ^ np.where(rng.random(count) < 0.5, np.uint64(1) << rng.integers(0, 64, count, np.uint64), 0)
    return np.unique(hashes.astype(np.uint64))


@pytest.fixture
def banded(monkeypatch):
    """Bands and small blocks even for few hashes."""
    monkeypatch.setattr(near, "_FEW", 0)
    monkeypatch.setattr(near, "_BLOCK", 64)


@pytest.mark.parametrize("distance", [0, 1, 2, 3, 4, 5, 6, 7, 8, 12])
@pytest.mark.usefixtures("banded")
def test_bands_find_what_comparing_all_finds(distance):
    hashes = clustered(400, distance)
    hashes = np.random.default_rng(0).permutation(hashes)
    truth = brute(hashes, hashes, distance)
    assert pairs(near.within(hashes, distance)) == {(a, b) for a, b in zip(*np.nonzero(truth), strict=True) if a < b}
    left, right = hashes[:90], np.append(hashes[60:], hashes[:5])
    expected = set(zip(*(axis.tolist() for axis in np.nonzero(brute(left, right, distance))), strict=True))
    assert pairs(near.between(left, right, distance)) == expected
    assert pairs(near.between(right, left, distance)) == {(b, a) for a, b in expected}
    assert near.reached(left, right, distance).tolist() == brute(left, right, distance).any(1).tolist()
    if distance > 1:
        assert 5 < len(expected) < len(left) * len(right) / 2, "a test that cannot fail"


@pytest.mark.parametrize("distance", range(17))
@pytest.mark.parametrize("size", [1, 10**3, 10**6])
def test_the_bands_cover_the_hash_and_the_distance(distance, size):
    bands = near._bands(distance, size, size)
    # Whoever escapes every band differs in radius + 1 bits of each, and in none at least where a band was left out.
    assert sum(band.radius + 1 for band in bands) > distance
    assert all(band.width <= 22 for band in bands)
    assert len({bit for band in bands for bit in range(band.shift, band.shift + band.width)}) == sum(
        band.width for band in bands
    )


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=30), st.integers(0, 16))
def test_few_are_compared_all_with_all(values, distance):
    hashes = np.array(values, np.uint64)
    truth = brute(hashes, hashes, distance)
    assert pairs(near.within(hashes, distance)) == {(a, b) for a, b in zip(*np.nonzero(truth), strict=True) if a < b}


def test_a_million_equal_hashes_are_one():
    hashes = np.full(1_000_000, 0x1234_5678_9ABC_DEF0, np.uint64)
    assert near.reached(hashes, hashes, 8).all()
    with pytest.raises(ValueError, match="equal"):
        next(near.within(hashes, 4))


def test_one_crowded_band_is_compared_in_blocks(monkeypatch):
    """Hashes that differ in one band alone: every other band holds all of them."""
    monkeypatch.setattr(near, "_FEW", 0)
    monkeypatch.setattr(near, "_BLOCK", 1000)
    hashes = np.arange(0, 300, dtype=np.uint64)
    largest, found = 0, set()
    for one, other in near.within(hashes, 2):
        largest = max(largest, len(one))
        found |= set(zip(one.tolist(), other.tolist(), strict=True))
    truth = brute(hashes, hashes, 2)
    assert found == {(a, b) for a, b in zip(*np.nonzero(truth), strict=True) if a < b}
    assert largest <= 1000


def test_the_work_grows_far_less_than_all_with_all():
    def work(size):
        hashes = np.random.default_rng(1).integers(0, 2**64, size, np.uint64)
        assert sum(len(one) for one, _ in near.within(np.unique(hashes), 4)) == 0

    assert growth(work, 20_000) < 30  # all with all: 64


@pytest.mark.parametrize("distance", [-1, 17, 64])
def test_a_distance_that_means_nothing_is_refused(distance):
    with pytest.raises(ValueError, match="bits"):
        near.reached(np.zeros(1, np.uint64), np.zeros(1, np.uint64), distance)


def test_nothing_is_near_nothing():
    none = np.zeros(0, np.uint64)
    assert pairs(near.within(none, 4)) == set() == pairs(near.between(none, np.ones(3, np.uint64), 4))
    assert near.reached(np.ones(3, np.uint64), none, 4).tolist() == [False] * 3
    assert near.reached(none, np.ones(3, np.uint64), 4).tolist() == []


def test_hashes_are_read():
    assert near.numbers(["00000000000000ff", "8000000000000000"]).tolist() == [255, 2**63]
    assert near.numbers([]).tolist() == []
    for bad in ["ff", "g" * 16, "0" * 17, "٣" * 16, "0x" + "1" * 14, " " * 16, "+" + "1" * 15]:
        with pytest.raises(ValueError, match=r"hex"):
            near.numbers([bad])


def test_a_flat_picture_tells_nothing():
    flat, scene = phash(np.full((32, 32), 200, np.uint8)), phash(np.random.default_rng(0).uniform(0, 255, (32, 32)))
    assert near.telling(near.numbers([flat, scene])).tolist() == [False, True]


@given(st.integers(0, 2**32 - 1))
def test_mirroring_changes_the_odd_columns(seed):
    picture = np.kron(np.random.default_rng(seed).uniform(0, 255, (8, 8)), np.ones((4, 4)))
    values = near.numbers([phash(picture)])
    assert near.mirrored(near.mirrored(values)).tolist() == values.tolist()
    guessed = f"{int(near.mirrored(values)[0]):016x}"
    assert hamming(guessed, phash(picture[:, ::-1])) <= 14 < hamming(phash(picture), phash(picture[:, ::-1]))
