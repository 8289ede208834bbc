"""The perceptual hash is stable under what does not change a picture, and far apart for what does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels.phash import hamming, phash


def scene(seed: int) -> np.ndarray:
    """A smooth random picture of shape (32, 32), 0 to 255."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (8, 8))
    return np.kron(coarse, np.ones((4, 4)))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_noise_brightness_and_contrast_move_few_bits(seed):
    picture = scene(seed)
    noisy = picture * 0.8 + 20 + np.random.default_rng(seed).normal(0, 1, picture.shape)
    assert hamming(phash(picture), phash(noisy)) <= 6


@given(st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_different_pictures_differ(seed):
    assert hamming(phash(scene(seed)), phash(scene(seed + 10**7))) >= 10


def test_the_form():
    digest = phash(scene(1))
    assert len(digest) == 16 and int(digest, 16) >= 0
    assert phash(scene(1).astype(np.uint8)) == phash(np.floor(scene(1)))


@pytest.mark.parametrize("grey", [0, 1, 17, 127, 128, 200, 255])
def test_a_flat_picture_has_one_hash_and_no_noise(grey):
    digest = phash(np.full((32, 32), grey, np.uint8))
    assert digest == ("8000000000000000" if grey else "0000000000000000")


def test_it_is_the_published_transform():
    """Against the DCT-II written as its sum, and the median rule."""
    picture = scene(3)
    place = np.arange(32)
    low = np.array(
        [
            [
                float(
                    (
                        picture
                        * np.cos(np.pi * (2 * place[:, None] + 1) * u / 64)
                        * np.cos(np.pi * (2 * place[None, :] + 1) * v / 64)
                    ).sum()
                )
                for v in range(8)
            ]
            for u in range(8)
        ]
    )
    bits = "".join("1" if value > np.median(low) else "0" for value in low.ravel())
    assert phash(picture) == f"{int(bits, 2):016x}"


def test_hamming():
    assert hamming("0" * 16, "f" * 16) == 64
    assert hamming("0000000000000001", "0000000000000003") == 1
    for a, b in [("0", "0"), ("0" * 16, "g" * 16), ("0" * 17, "0" * 17)]:
        with pytest.raises(ValueError):
            hamming(a, b)


def test_another_shape_is_refused():
    with pytest.raises(ValueError):
        phash(np.zeros((32, 31), np.uint8))
