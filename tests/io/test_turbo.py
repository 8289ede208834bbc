import io
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.errors import SampleError
from curate.io import turbo

here = pytest.mark.skipif(not turbo.available(), reason="no libturbojpeg on this machine")


def picture(width, height, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(width, height, mode="RGB", **options):
    out = io.BytesIO()
    picture(width, height).convert(mode).save(out, "JPEG", **{"quality": 85, **options})
    return out.getvalue()


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture
def absent(monkeypatch):
    monkeypatch.setattr(turbo, "_library", lambda: None)


@here
@given(st.integers(1, 6), st.integers(1, 70), st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]), st.booleans())
@settings(max_examples=60)
def test_twice_is_the_identity_on_pixels(blocks, height, subsampling, progressive):
    data = jpeg(16 * blocks, height, subsampling=subsampling, progressive=progressive)
    once = turbo.hflip(data)
    twice = turbo.hflip(once.data)
    assert (pixels(twice.data) == pixels(data)).all()
    assert turbo.hflip(twice.data).data == once.data


@here
@pytest.mark.parametrize(("options", "limit"), [({"subsampling": "4:4:4"}, 0), ({}, 4), ({"mode": "L"}, 0)])
def test_the_mirror_is_the_mirror(options, limit):
    data = jpeg(64, 37, **options)
    there = pixels(turbo.hflip(data).data).astype(int)
    # Chroma is made whole again with a rounding that knows left from right; without sampling nothing differs.
    assert np.abs(there - pixels(data)[:, ::-1]).max() <= limit


@here
@pytest.mark.parametrize(("subsampling", "exact"), [("4:4:4", 8), ("4:2:2", 16), ("4:2:0", 16)])
def test_only_whole_blocks_are_mirrored(subsampling, exact):
    for width in range(1, 40):
        made = turbo.hflip(jpeg(width, 20, subsampling=subsampling))
        assert (made is not None) == (width % exact == 0), width


@here
def test_the_coarse_picture_is_the_mean_of_each_block():
    data = jpeg(640, 480, quality=97)
    coarse = turbo.hflip(data).coarse
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L"))[:, ::-1].astype(float)
    means = grey.reshape(60, 8, 80, 8).mean(axis=(1, 3))
    assert coarse.shape == (60, 80)
    assert np.abs(coarse - means).max() < 3


@here
def test_tables_of_sixteen_bits_are_read():
    out = io.BytesIO()
    tables = [[300] + [20] * 63, [20] * 64]
    picture(256, 256).save(out, "JPEG", qtables=tables)
    data = out.getvalue()
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L"))[:, ::-1].astype(float)
    means = grey.reshape(32, 8, 32, 8).mean(axis=(1, 3))
    assert np.abs(turbo.hflip(data).coarse - means).mean() < 6


@here
def test_markers_are_not_copied():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = jpeg(32, 16, exif=exif.tobytes(), comment=b"private")
    made = turbo.hflip(data).data
    assert b"private" in data and b"private" not in made and b"Exif" not in made


@here
@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from(["4:4:4", "4:2:2", "4:2:0"]))
@settings(max_examples=60)
def test_planes_come_back(width, height, subsampling):
    data = jpeg(width, height, subsampling=subsampling, quality=95)
    decoded = turbo.decode(data)
    assert decoded.planes[0].shape == (height, width)
    again = turbo.decode(turbo.encode(decoded.planes, decoded.sampling, 100))
    for one, two in zip(decoded.planes, again.planes, strict=True):
        assert one.shape == two.shape
        assert np.abs(one.astype(int) - two).max() <= 3


@here
def test_rows_may_lie_apart_and_backwards():
    planes = turbo.decode(jpeg(48, 32)).planes
    wide = tuple(np.pad(plane, ((0, 0), (0, 5)))[:, :-5] for plane in planes)
    assert turbo.encode(wide, 2, 90) == turbo.encode(planes, 2, 90)
    backwards = tuple(plane[:, ::-1] for plane in planes)
    assert turbo.encode(backwards, 2, 90) == turbo.encode(tuple(map(np.ascontiguousarray, backwards)), 2, 90)


@here
@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_colours_that_are_not_ours(mode):
    data = jpeg(32, 16, mode)
    grey = mode == "L"
    assert (turbo.decode(data) is not None) == (turbo.hflip(data) is not None) == grey
    assert not grey or len(turbo.decode(data).planes) == 1


@here
def test_rgb_jpegs_are_left_to_pillow():
    data = jpeg(32, 16, keep_rgb=True)
    assert turbo.decode(data) is None and turbo.hflip(data) is None


@here
@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff" + b"\xff" * 9999]
)
def test_what_is_no_jpeg(data):
    assert turbo.hflip(data) is None and turbo.decode(data) is None


@here
def test_a_cut_picture_is_not_completed():
    data = jpeg(160, 160)
    for size in range(2, len(data) - 2, 97):
        assert turbo.hflip(data[:size]) is None and turbo.decode(data[:size]) is None


@here
def test_a_header_that_lies_costs_nothing():
    data = bytearray(jpeg(32, 16))
    frame = data.index(b"\xff\xc0")
    for high, wide in ((65535, 65535), (65500, 65500), (0, 32), (16, 0), (8001, 8000)):
        data[frame + 5 : frame + 9] = high.to_bytes(2) + wide.to_bytes(2)
        for act in (turbo.hflip, turbo.decode):
            assert act(bytes(data)) is None


@here
def test_many_scans_are_not_tried():
    data = jpeg(32, 16, progressive=True)
    scan = data.index(b"\xff\xda")
    end = data.index(b"\xff", scan + 2)
    assert turbo.hflip(data[:end] + data[scan:end] * 200 + data[end:]) is None


@here
@pytest.mark.parametrize("seed", range(8))
def test_damage_ends_in_none_or_a_sample_error(seed):
    dice = random.Random(seed)
    sound = [jpeg(96, 64), jpeg(96, 64, progressive=True), jpeg(90, 64, "L")]
    for _ in range(150):
        data = bytearray(dice.choice(sound))
        for _ in range(dice.randint(1, 5)):
            data[dice.randrange(min(len(data), dice.choice((700, 10**9))))] = dice.randrange(256)
        for act in (turbo.hflip, turbo.decode):
            try:
                act(bytes(data))
            except SampleError as error:
                assert error.code == "too_many_pixels"


def test_without_the_library_there_is_no_answer(absent):
    data = jpeg(32, 16)
    assert not turbo.available()
    assert turbo.hflip(data) is None and turbo.decode(data) is None
    assert turbo.encode((np.zeros((8, 8), np.uint8),), turbo.GREY, 90) is None


def test_a_library_that_lacks_a_function_is_none(monkeypatch):
    monkeypatch.setattr(turbo.ctypes, "CDLL", lambda path: object())
    turbo._library.cache_clear()
    try:
        assert not turbo.available()
    finally:
        monkeypatch.undo()
        turbo._library.cache_clear()
