"""Sizes told by headers are those that decoding finds, upright; what is no picture says so."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from curate.errors import OutsideError, SampleError
from curate.io import below, images, sizes
from curate.io.sizes import Sizes, size

PIXELS = np.random.default_rng(0).integers(0, 255, (30, 50, 3), np.uint8)


def exif(orientation: int, order: str = ">", entries: int = 1) -> bytes:
    """Return Exif data of `entries` tags, the last of which is the orientation."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    others = b"".join(struct.pack(f"{order}HHIHH", 0x0100 + n, 3, 1, 7, 0) for n in range(entries - 1))
    told = struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(f"{order}IH", 8, entries) + others + told + b"\0\0\0\0"


def segment(kind: int, body: bytes) -> bytes:
    return bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def decoded(data: bytes) -> tuple[int, int]:
    height, width = images.decode(data).shape[:2]
    return width, height


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes) -> None:
        raise AssertionError("a header was enough")

    monkeypatch.setattr(sizes.images, "decode", refuse)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_jpeg_stands_upright(orientation: int, order: str, no_decoding: None) -> None:
    jpeg = images.encode_jpeg(PIXELS)
    data = with_segments(jpeg, segment(0xE1, b"Exif\0\0" + exif(orientation, order, 3)))
    assert size(io.BytesIO(data)) == ((30, 50) if orientation >= 5 else (50, 30))


def test_a_header_longer_than_what_is_read_at_first(no_decoding: None) -> None:
    profile = [segment(0xE2, b"ICC_PROFILE\0" + bytes(60_000)) for _ in range(6)]
    late = segment(0xE1, b"Exif\0\0" + exif(6) + bytes(50_000))
    data = with_segments(images.encode_jpeg(PIXELS), *profile, late)
    assert size(io.BytesIO(data)) == (30, 50)


@pytest.mark.parametrize(
    "segments",
    [
        [],
        [segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>')],
        [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<tiff:Orientation>8</tiff:Orientation>")],
        [
            segment(0xE1, b"Exif\0\0" + exif(1)),
            segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'),
        ],
        [segment(0xE1, b"Exif\0\0" + exif(6)), segment(0xE1, b"Exif\0\0" + exif(1))],
        [segment(0xE1, b"Exif\0\0" + exif(9))],
        [segment(0xE1, b"Exif\0\0" + exif(0))],
        [segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff")],
        [segment(0xE1, b"Exif\0\0garbage")],
        [segment(0xE1, b"Exif\0\0")],
        [segment(0xFE, b"a comment"), b"\xff\xff", segment(0xE1, b"Exif\0\0" + exif(6))],
    ],
)
def test_an_odd_header_is_read_as_the_decoder_reads_it(segments: list[bytes]) -> None:
    data = with_segments(images.encode_jpeg(PIXELS), *segments)
    assert size(io.BytesIO(data)) == decoded(data)


def test_a_png_with_an_orientation_anywhere(no_decoding: None, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = images.encode_png(PIXELS)
    assert size(io.BytesIO(plain)) == (50, 30)
    monkeypatch.undo()
    told = exif(6)
    chunk = struct.pack(">I", len(told)) + b"eXIf" + told + struct.pack(">I", zlib.crc32(b"eXIf" + told))
    for place in (33, len(plain) - 12):
        data = plain[:place] + chunk + plain[place:]
        assert size(io.BytesIO(data)) == decoded(data) == (30, 50)


@pytest.mark.parametrize("data", [b"", b"no picture", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 "])
def test_what_is_no_picture_says_so(data: bytes) -> None:
    with pytest.raises(SampleError) as caught:
        size(io.BytesIO(data))
    with pytest.raises(SampleError) as wanted:
        images.decode(data)
    assert caught.value.code == wanted.value.code


def test_every_beginning_of_a_picture_ends_in_its_size_or_in_an_error() -> None:
    jpeg = with_segments(images.encode_jpeg(PIXELS), segment(0xE1, b"Exif\0\0" + exif(6)))
    for data, right in ((jpeg, (30, 50)), (images.encode_png(PIXELS), (50, 30))):
        for end in range(0, len(data), 7):
            try:
                assert size(io.BytesIO(data[:end])) == right
            except SampleError:
                continue


def test_real_pictures(shared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    seen = 0
    for path in sorted((shared / "odd_images").rglob("*")) + sorted((shared / "photos_exif").rglob("*")):
        if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp", ".gif") and path.stat().st_size < 1_000_000:
            data = path.read_bytes()
            try:
                right = decoded(data)
            except SampleError:
                continue
            assert size(io.BytesIO(data)) == right, path
            seen += 1
    capfd.readouterr()  # what the libraries below say of broken files
    assert seen > 100


def test_pictures_under_a_root(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b c.jpg").write_bytes(images.encode_jpeg(PIXELS))
    found = Sizes(str(tmp_path))
    assert found.of("a/b c.jpg") == (50, 30)
    (tmp_path / "a" / "b c.jpg").unlink()
    assert found.of("a/b c.jpg") == (50, 30), "read twice"
    for path, code in {
        "a/none.jpg": "no_picture",
        "a": "no_picture",
        "a/../../x.jpg": "bad_image",
        "/etc/passwd": "bad_image",
        "": "bad_image",
        "a\0.jpg": "bad_image",
        "s3://b/x.jpg": "bad_image",
        "\ud800.jpg": "bad_image",
        "x" * 5000: "bad_image",
        "é" * 100: "no_picture",
        "é" * 150: "bad_image",
    }.items():
        for _ in range(2):
            with pytest.raises(SampleError) as caught:
                found.of(path)
            assert caught.value.code == code, path


def test_memory_of_sizes_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "KEPT", 3)
    found = Sizes(str(tmp_path))
    for number in range(10):
        with pytest.raises(SampleError, match="no_picture"):
            found.of(f"{number}.jpg")
    assert len(found._known) == 3


def test_a_store_that_fails_is_no_missing_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(uri: str) -> None:
        raise OutsideError("the network is down") from ConnectionError("refused")

    monkeypatch.setattr(below.storage, "open_read", down)
    with pytest.raises(OutsideError):
        Sizes("s3://b").of("x.jpg")
