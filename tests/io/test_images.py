"""Pictures: upright exactly once, kept where they will do, and a stable error for everything broken."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from curate.errors import SampleError
from curate.io import images
from curate.io.images import (
    Limits,
    decode,
    encode_jpeg,
    encode_png,
    resize,
    store,
    thumbnail_jpeg,
)
from curate.kernels.phash import hamming

CODES = {"empty", "not_image", "too_many_pixels", "too_small", "truncated", "corrupt"}
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
# Where the four corners of the upright picture (red, green, blue, white, clockwise from the upper left) stand
# in the file, so that the orientation tag brings them back. Exif 2.32, section 4.6.5.
TURNS = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def corners(height: int = 48, width: int = 64) -> np.ndarray:
    """An upright picture with a colour in each corner, shape (height, width, 3)."""
    picture = np.full((height, width, 3), 128, np.uint8)
    picture[: height // 3, : width // 3] = (255, 0, 0)
    picture[: height // 3, -width // 3 :] = (0, 255, 0)
    picture[-height // 3 :, -width // 3 :] = (0, 0, 255)
    picture[-height // 3 :, : width // 3] = (255, 255, 255)
    return picture


def saved(picture: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def close(a: np.ndarray, b: np.ndarray, most: float = 12.0) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(int) - b.astype(int)).mean()) < most


def with_orientation(pixels: np.ndarray, form: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(np.ascontiguousarray(pixels)), form, exif=exif)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(48, 64), (64, 48), (33, 70)])
def test_orientation_is_applied_exactly_once(form, orientation, size):
    upright = corners(*size)
    raw = TURNS[orientation](upright)
    data = with_orientation(raw, form, orientation)
    stored = store(data, Limits())
    assert stored.exif_orientation == orientation
    assert (stored.source_width, stored.source_height) == (raw.shape[1], raw.shape[0])
    assert (stored.width, stored.height) == (upright.shape[1], upright.shape[0])
    assert close(decode(data), upright)
    assert close(decode(stored.data), upright)
    again = store(stored.data, Limits())
    assert (again.exif_orientation, again.data) == (1, stored.data)
    assert "exif" not in Image.open(io.BytesIO(stored.data)).info or orientation == 1
    assert close(decode(thumbnail_jpeg(data, 64)), resize(upright, thumb_wh(upright, 64)))


def thumb_wh(picture: np.ndarray, side: int) -> tuple[int, int]:
    scale = min(1, side / max(picture.shape[:2]))
    return round(picture.shape[1] * scale), round(picture.shape[0] * scale)


def test_our_own_jpeg_carries_the_tag_it_was_given():
    for orientation in range(1, 9):
        data = encode_jpeg(TURNS[orientation](corners()).copy(), exif_orientation=orientation)
        assert store(data, Limits()).exif_orientation == orientation
        assert close(decode(data), corners())
    assert "exif" not in Image.open(io.BytesIO(encode_jpeg(corners()))).info


@pytest.mark.parametrize("orientation", [0, 9, 255, 65535])
def test_a_senseless_orientation_is_none(orientation):
    data = with_orientation(corners(), "JPEG", orientation)
    stored = store(data, Limits())
    assert (stored.exif_orientation, stored.data) == (1, data)


@pytest.mark.parametrize(("form", "extension"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_pictures_are_kept_byte_for_byte(form, extension, mode):
    if (form, mode) == ("WEBP", "L"):
        pytest.skip("WebP has no grey")
    data = saved(Image.fromarray(corners()).convert(mode), form)
    stored = store(data, Limits())
    assert (stored.data, stored.extension, stored.format) == (data, extension, form.lower())
    assert (stored.width, stored.height) == (stored.source_width, stored.source_height) == (64, 48)


def odd_pictures() -> dict[str, bytes]:
    rgb = Image.fromarray(corners())
    clear = rgb.convert("RGBA")
    clear.putalpha(0)
    frames = [rgb, Image.new("RGB", rgb.size, "black")]
    more = {"save_all": True, "append_images": frames[1:], "duration": 50}
    return {
        "cmyk.jpg": saved(rgb.convert("CMYK"), "JPEG", quality=95),
        "palette.png": saved(rgb.quantize(16), "PNG"),
        "one-bit.png": saved(rgb.convert("1"), "PNG"),
        "alpha.png": saved(rgb.convert("RGBA"), "PNG"),
        "clear.png": saved(clear, "PNG"),
        "clear.webp": saved(clear, "WEBP", lossless=True),
        "grey-alpha.png": saved(rgb.convert("LA"), "PNG"),
        "colour-key.png": saved(rgb, "PNG", transparency=(255, 0, 0)),
        "deep-grey.png": saved(Image.fromarray(corners()[..., 0].astype(np.uint16) * 257), "PNG"),
        "float.tif": saved(Image.fromarray(corners()[..., 0].astype(np.float32) / 255), "TIFF"),
        "gif.gif": saved(rgb, "GIF"),
        "animated.gif": saved(rgb, "GIF", **more),
        "animated.webp": saved(rgb, "WEBP", **more),
        "animated.png": saved(rgb, "PNG", **more),
        "bmp.bmp": saved(rgb, "BMP"),
        "lzw.tif": saved(rgb, "TIFF", compression="tiff_lzw"),
    }


def wanted(name: str) -> np.ndarray:
    rgb = corners()
    if name.startswith("clear"):
        return np.full_like(rgb, 255)
    if name == "colour-key.png":
        return np.where((rgb == (255, 0, 0)).all(-1, keepdims=True), 255, rgb).astype(np.uint8)
    if name in ("deep-grey.png", "float.tif"):
        return np.repeat(rgb[..., :1], 3, axis=2)
    if name == "one-bit.png":
        return np.array(Image.fromarray(rgb).convert("1").convert("RGB"))
    if name == "grey-alpha.png":
        return np.array(Image.fromarray(rgb).convert("L").convert("RGB"))
    return rgb


@pytest.mark.parametrize("name", odd_pictures())
def test_everything_else_becomes_a_plain_jpeg(name):
    data = odd_pictures()[name]
    stored = store(data, Limits())
    assert stored.data != data and (stored.extension, stored.format) == ("jpg", "jpeg")
    assert close(decode(data), wanted(name))
    assert close(decode(stored.data), wanted(name), 16)
    reopened = Image.open(io.BytesIO(stored.data))
    assert reopened.mode == "RGB" and not {"exif", "icc_profile", "comment"} & set(reopened.info)
    assert store(stored.data, Limits()).data == stored.data


def test_sixteen_bit_colour_is_not_kept():
    rows = b"".join(b"\0" + (np.arange(24, dtype=">u2") * 2000).tobytes() for _ in range(8))
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert store(data, Limits()).format == "jpeg"


def test_large_pictures_shrink_to_max_side_and_keep_their_shape():
    data = encode_jpeg(corners(300, 400))
    stored = store(data, Limits(max_side=100))
    assert (stored.width, stored.height) == (100, 75)
    assert (stored.source_width, stored.source_height) == (400, 300)
    assert close(decode(stored.data), resize(corners(300, 400), (100, 75)))
    assert store(data, Limits(max_side=None)).data == data
    assert store(data, Limits(max_side=400)).data == data
    sliver = store(encode_png(np.zeros((2, 3000, 3), np.uint8)), Limits(max_side=100))
    assert (sliver.width, sliver.height) == (100, 1)


def test_limits_are_checked_on_the_header():
    def png_header(width: int, height: int) -> bytes:
        good = bytearray(encode_png(corners()))
        good[16:24] = struct.pack(">II", width, height)
        import zlib

        good[29:33] = struct.pack(">I", zlib.crc32(bytes(good[12:29])))
        return bytes(good)

    for wide, high in [(20_000, 20_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (8_001, 8_000)]:
        for call in (decode, lambda data: store(data, Limits()), lambda data: thumbnail_jpeg(data, 64)):
            with pytest.raises(SampleError) as caught:
                call(png_header(wide, high))
            assert caught.value.code == "too_many_pixels"
    small = encode_png(corners(20, 64))
    with pytest.raises(SampleError, match="too_small"):
        store(small, Limits(min_side=21))
    assert store(small, Limits(min_side=20)).height == 20
    with pytest.raises(SampleError, match="too_many_pixels"):
        decode(small, max_pixels=20 * 64 - 1)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_cut_is_an_error(form):
    rng = np.random.default_rng(5)
    noise = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    data = saved(noise, form)
    named = []
    for length in sorted({1, 2, 4, 10, *range(20, int(len(data) * 0.95), max(1, len(data) // 40))}):
        with pytest.raises(SampleError) as caught:
            store(data[:length], Limits())
        assert caught.value.code in CODES
        named.append(caught.value.code)
    assert named[len(named) // 2 :].count("truncated") >= 0.6 * (len(named) // 2), named


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty"), (b"<html>", "not_image"), (b"\0" * 100, "not_image"), (b"%PDF-1.7", "not_image")],
)
def test_what_is_no_picture(data, code):
    for call in (decode, lambda body: store(body, Limits()), lambda body: thumbnail_jpeg(body, 9)):
        with pytest.raises(SampleError) as caught:
            call(data)
        assert caught.value.code == code


def test_formats_outside_the_list_are_no_pictures():
    rgb = Image.fromarray(corners())
    for form in ("PPM", "ICO", "TGA", "PCX", "PDF"):
        with pytest.raises(SampleError, match="not_image"):
            store(saved(rgb, form), Limits())


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]), st.data())
@settings(max_examples=80, deadline=None)
def test_damaged_bytes_never_crash(form, data):
    good = bytearray(saved(Image.fromarray(corners(16, 24)), form))
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    outcome(bytes(good))


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RecursionError(), SyntaxError("x"), struct.error("x"), OverflowError(), AssertionError()],
)
def test_whatever_pillow_raises_becomes_a_sample_error(monkeypatch, error):
    def fail(self: object) -> None:
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    for call in (decode, lambda body: store(body, Limits()), lambda body: thumbnail_jpeg(body, 9)):
        with pytest.raises(SampleError, match="corrupt"):
            call(encode_png(corners()))


def outcome(data: bytes) -> str:
    """Store the bytes; return "ok" or the error code, after checking that a stored picture holds together."""
    try:
        stored = store(data, Limits(max_pixels=20_000_000, max_side=1024))
    except SampleError as error:
        assert error.code in CODES
        return error.code
    assert 1 <= stored.exif_orientation <= 8 and len(stored.phash) == 16
    assert max(stored.width, stored.height) <= 1024
    again = store(stored.data, Limits(max_side=1024))
    assert (again.data, again.width, again.height) == (stored.data, stored.width, stored.height)
    return "ok"


@pytest.mark.parametrize("folder", ["broken_images", "odd_images", "photos_exif"])
def test_collected_files_end_as_a_picture_or_a_named_error(folder):
    files = sorted(path for path in (SHARED / folder).rglob("*") if path.is_file())
    if not files:
        pytest.skip("the collected pictures are not here")
    step = max(1, len(files) // 130)
    outcomes = {path: outcome(path.read_bytes()) for path in files[::step] if path.stat().st_size < 4_000_000}
    good = sum(code == "ok" for code in outcomes.values())
    assert good > (0.3 if folder == "broken_images" else 0.6) * len(outcomes), outcomes


@pytest.mark.parametrize(
    "name", ["deep-grey.png", "float.tif", "alpha.png", "colour-key.png", "cmyk.jpg", "palette.png"]
)
@pytest.mark.parametrize("tile", [1, 50, 64, 1000])
def test_tiles_leave_no_seams(name, tile, monkeypatch):
    whole = decode(odd_pictures()[name])
    monkeypatch.setattr(images, "TILE", tile)
    assert np.array_equal(decode(odd_pictures()[name]), whole)


def progressive(scans: int) -> bytes:
    """A JPEG whose last scan is repeated until it has so many."""
    data = saved(Image.fromarray(corners()), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    more = scans - data.count(b"\xff\xda")
    return data[:-2] + data[last:-2] * more + data[-2:]


def test_scans_without_end_are_not_decoded():
    assert outcome(progressive(50)) in ("ok", "corrupt")
    with pytest.raises(SampleError, match="more than 100 scans"):
        decode(progressive(101))
    for call in (lambda data: store(data, Limits()), lambda data: thumbnail_jpeg(data, 9)):
        with pytest.raises(SampleError, match="scans"):
            call(progressive(5000))


def test_what_looks_like_a_scan_and_is_none():
    good = saved(Image.fromarray(corners()), "JPEG", progressive=True, comment=b"\xff\xda" * 500)
    assert np.array_equal(decode(good + b"\xff\xda" * 500), decode(good))


def test_pillow_is_never_told_to_be_lenient():
    decode(encode_png(corners()))
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_pixels_survive():
    noise = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(decode(encode_png(noise)), noise)
    assert decode(encode_png(noise)).flags.writeable
    assert resize(noise, (7, 9)).shape == (9, 7, 3)
    flat = np.full((40, 60, 3), 77, np.uint8)
    assert (resize(flat, (13, 11)) == 77).all()


def test_the_hash_follows_the_picture_and_not_the_file():
    photo = np.kron(np.random.default_rng(2).integers(0, 256, (12, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    one = store(encode_png(photo), Limits()).phash
    assert hamming(one, store(encode_jpeg(photo, 60), Limits()).phash) <= 4
    assert hamming(one, store(encode_png(photo), Limits(max_side=100)).phash) <= 6
    turned = encode_jpeg(TURNS[6](photo).copy(), exif_orientation=6)
    assert hamming(one, store(turned, Limits()).phash) <= 4
    assert hamming(one, store(encode_png(photo[:, ::-1].copy()), Limits()).phash) > 10
