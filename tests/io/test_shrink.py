"""Area averages: as a box filter over every pixel has it, also from a JPEG that was decoded coarser."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.io import shrink as shrinking
from curate.io.images import Limits, decode, encode_jpeg, encode_png, store
from curate.io.plan import scale
from curate.io.shrink import shrink

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def boxed(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def shrunk(pixels: np.ndarray, size: tuple[int, int], source_wh: tuple[int, int], by: int = 1) -> np.ndarray:
    four = np.concatenate([pixels, np.zeros_like(pixels[..., :1])], axis=2)
    return shrink(lambda top, end: four[top:end], source_wh, size, by)[..., :3]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(((a.astype(float) - b) ** 2).mean())
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def photo(wide: int = 1064, high: int = 800, seed: int = 3) -> np.ndarray:
    """A picture whose detail falls with frequency as a photograph's does, with edges."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(high)[:, None], np.fft.fftfreq(wide)[None, :])
    frequency[0, 0] = 1
    layers = []
    for _ in range(3):
        noise = np.fft.fft2(rng.standard_normal((high, wide))) / frequency**1.3
        layer = np.real(np.fft.ifft2(noise))
        layers.append(layer / layer.std())
    grey = layers[0]
    colour = np.stack([grey + 0.3 * layers[1], grey, grey + 0.3 * layers[2]], axis=2)
    return np.clip(128 + 50 * colour, 0, 255).astype(np.uint8)


@given(st.integers(1, 90), st.integers(1, 90), st.data())
@settings(max_examples=60, deadline=None)
def test_it_is_a_box_filter(wide, high, data):
    size = data.draw(st.integers(1, wide)), data.draw(st.integers(1, high))
    # Where an edge runs through the centre of a pixel, Pillow's rounding decides whose it is.
    for source, target in zip((wide, high), size, strict=True):
        assume(all((2 * n * source + target) % (2 * target) for n in range(1, target)))
    pixels = np.random.default_rng(wide * 91 + high).integers(0, 256, (high, wide, 3), dtype=np.uint8)
    # Pillow rounds twice, once after each direction.
    assert np.abs(shrunk(pixels, size, (wide, high)).astype(int) - boxed(pixels, size)).max() <= 1


@pytest.mark.parametrize("source", [(3000, 700), (700, 3000), (2561, 513)])
def test_a_great_reduction_does_not_run_over(source):
    white = np.full((source[1], source[0], 3), 255, np.uint8)
    assert shrunk(white, (10, 10), source).min() >= 254
    noise = np.random.default_rng(1).integers(0, 256, white.shape, dtype=np.uint8)
    assert np.abs(shrunk(noise, (11, 9), source).astype(int) - boxed(noise, (11, 9))).max() <= 1


@pytest.mark.parametrize("by", [2, 4, 8])
@pytest.mark.parametrize("source", [(640, 480), (641, 487), (1023, 769)])
def test_a_coarser_picture_is_averaged_over_the_same_areas(by, source):
    small = np.random.default_rng(by).integers(0, 256, (-(-source[1] // by), -(-source[0] // by), 3), dtype=np.uint8)
    spread = small.repeat(by, axis=0).repeat(by, axis=1)[: source[1], : source[0]]
    size = source[0] // 9, source[1] // 9
    assert np.abs(shrunk(small, size, source, by).astype(int) - boxed(spread, size)).max() <= 1


@pytest.mark.parametrize("band", [1, 5000, 1 << 22])
def test_bands_leave_no_seams(band, monkeypatch):
    pixels = photo(331, 257)
    whole = shrunk(pixels, (100, 77), (331, 257))
    monkeypatch.setattr(shrinking, "_BAND", band)
    assert np.array_equal(shrunk(pixels, (100, 77), (331, 257)), whole)


def test_the_coarsest_scale_is_not_smaller_than_wanted():
    assert [scale((1064, 800), (least, least)) for least in (100, 101, 200, 256, 401, 800, 900)] == [
        8,
        4,
        4,
        2,
        1,
        1,
        1,
    ]
    assert scale((3, 4000), (1, 100)) == 2


def photographs() -> list[bytes]:
    files = (
        sorted((SHARED / "photos_sa1b").rglob("sa_*.jpg"))[:4] + sorted((SHARED / "photos_coco").rglob("*.jpg"))[:12]
    )
    return [encode_jpeg(photo(), 92), encode_jpeg(photo(900, 1300, 4), 90), *(file.read_bytes() for file in files)]


def quality(data: bytes, limits: Limits) -> float:
    """PSNR of what is stored against all pixels averaged and encoded likewise."""
    stored = decode(store(data, limits).data)
    return psnr(stored, decode(encode_jpeg(boxed(decode(data), stored.shape[1::-1]), limits.quality)))


@pytest.mark.parametrize(
    ("how", "median", "worst", "part"), [("exact", 40, 37, 4), ("exact", 40, 37, 10), ("fast", 37, 30, 4)]
)
def test_photographs_shrink_well(how, median, worst, part):
    found = []
    for data in photographs():
        short = min(Image.open(io.BytesIO(data)).size) // part + 3
        found.append(quality(data, Limits(short_side=short, decode=how)))
    assert np.median(found) >= median, found
    assert min(found) >= worst, found


def test_both_bounds_hold_and_nothing_is_enlarged():
    data = encode_png(photo(400, 300))
    for limits, size in [
        (Limits(short_side=100), (133, 100)),
        (Limits(short_side=100, max_side=100), (100, 75)),
        (Limits(short_side=50, max_side=100), (67, 50)),
        (Limits(short_side=290), (387, 290)),
        (Limits(short_side=300), (400, 300)),
        (Limits(short_side=4000, max_side=None), (400, 300)),
    ]:
        stored = store(data, limits)
        assert (stored.width, stored.height) == size
        assert (stored.data == data) is (size == (400, 300))
    sliver = store(encode_png(np.zeros((2, 3000, 3), np.uint8)), Limits(short_side=1))
    assert (sliver.width, sliver.height) == (1500, 1)


@pytest.mark.parametrize("how", ["exact", "fast"])
@pytest.mark.parametrize("side", [60, 200, 290])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_shrinks_is_turned_too(how, side, orientation):
    pixels = photo(400, 300, 8)
    pixels[:150, :200] = (250, 20, 20)
    stored = store(encode_jpeg(pixels, 95, orientation), Limits(short_side=side, decode=how))
    upright = decode(encode_jpeg(pixels, 95, orientation))
    size = (stored.width, stored.height)
    assert size == Limits(short_side=side).size(upright.shape[1::-1])
    assert psnr(decode(stored.data), boxed(upright, size)) > (28 if side < 200 else 22)
