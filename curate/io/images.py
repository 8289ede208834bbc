"""Pictures as bytes and as pixels, the only door to Pillow: whatever a file holds ends in SampleError."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from curate.errors import SampleError
from curate.io import headers
from curate.kernels.phash import SIDE, phash
from curate.sample import Pixels

# Broken files are this platform's daily bread: what Pillow says of them is said by our error codes.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_KEPT = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}
_JPEG_SIDE = 65_500  # libjpeg's JPEG_MAX_DIMENSION
_TILE = 1 << 20
"""Pixels converted at once: wide types cost memory for a tile, not for the picture."""
_ORIENTATION = 0x0112  # Exif 2.32, table 4
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted and how large it is stored: sides in pixels, JPEG quality where bytes are not kept.

    `max_side` None keeps every size. Pillow itself refuses above 179 million pixels.
    """

    max_pixels: int = 100_000_000
    max_side: int | None = 2048
    min_side: int = 1
    quality: int = 95


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture ready to be stored, upright.

    `width` and `height` are of the stored upright pixels, `source_width` and `source_height` of the file's
    header before `exif_orientation` (1 to 8) was applied. `phash` is 16 hex digits.
    """

    data: bytes
    extension: str
    format: str
    width: int
    height: int
    source_width: int
    source_height: int
    exif_orientation: int
    phash: str


def decode(data: bytes, max_pixels: int = 100_000_000) -> Pixels:
    """Return the upright picture as RGB uint8 of shape (height, width, 3).

    Raises SampleError: `empty`, `not_image`, `too_many_pixels`, `truncated`, `corrupt`.
    """
    with _hostile(data):
        picture, _ = _upright(_open(data, max_pixels))
        return _pixels(_rgb(picture))


def store(data: bytes, limits: Limits) -> Stored:
    """Return what ingest writes: the bytes as they came where they will do, else an upright JPEG.

    Kept unchanged: JPEG, PNG and WebP of 8 bits, grey or RGB, upright, still, not above `max_side`.
    Raises SampleError as `decode` does, and `too_small`.
    """
    with _hostile(data):
        opened = _open(data, limits.max_pixels)
        if min(opened.size) < limits.min_side:
            raise SampleError("too_small", f"{opened.width} x {opened.height} pixels")
        form, source_wh = opened.format or "", _header_wh(opened)
        fits = limits.max_side is None or max(opened.size) <= limits.max_side
        keep = form in _KEPT and fits and _is_plain(opened, data)
        picture, orientation = _upright(opened)
        rgb = _rgb(picture)
        if keep and orientation == 1:
            kept, extension, name = data, _KEPT[form], "jpeg" if form == "MPO" else form.lower()
        else:
            rgb = _within(rgb, limits.max_side)
            kept, extension, name = _jpeg(rgb, limits.quality), "jpg", "jpeg"
        return Stored(
            data=kept,
            extension=extension,
            format=name,
            width=rgb.width,
            height=rgb.height,
            source_width=source_wh[0],
            source_height=source_wh[1],
            exif_orientation=orientation,
            phash=_fingerprint(rgb),
        )


def encode_jpeg(pixels: Pixels, quality: int = 95, exif_orientation: int | None = None) -> bytes:
    """Return a JPEG of RGB uint8 pixels (height, width, 3), 4:2:0; the orientation is only a tag."""
    tag = b""
    if exif_orientation is not None:
        exif = Image.Exif()
        exif[_ORIENTATION] = exif_orientation
        tag = exif.tobytes()
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, exif=tag)
    return out.getvalue()


def encode_png(pixels: Pixels) -> bytes:
    """Return a PNG of RGB uint8 pixels (height, width, 3)."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def resize(pixels: Pixels, size_wh: tuple[int, int]) -> Pixels:
    """Return the picture at (width, height) in pixels, bicubic, antialiased; shape (height, width, 3)."""
    return np.array(_scaled(Image.fromarray(pixels), size_wh))


def perceptual_hash(pixels: Pixels) -> str:
    """Return the perceptual hash of upright RGB pixels, 16 hex digits, as `store` computes it."""
    return _fingerprint(Image.fromarray(pixels))


def thumbnail_jpeg(data: bytes, side: int, quality: int = 72) -> bytes:
    """Return an upright JPEG whose longer side is at most `side` pixels; SampleError as `decode` raises."""
    with _hostile(data):
        opened = _open(data, Limits().max_pixels)
        opened.draft("RGB", (2 * side, 2 * side))  # libjpeg decodes at 1/2, 1/4 or 1/8 for little work
        picture, _ = _upright(opened)
        return _jpeg(_within(_rgb(picture), side), quality)


@contextmanager
def _hostile(data: bytes) -> Iterator[None]:
    """Whatever Pillow raises on a hostile file, from struct.error to MemoryError, becomes a SampleError."""
    try:
        yield
    except SampleError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise SampleError("too_many_pixels", str(error)) from error
    except UnidentifiedImageError as error:
        known = data.startswith(headers.SIGNATURES)
        raise SampleError("corrupt" if known else "not_image", headers.beginning(data)) from error
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        cut = isinstance(error, EOFError) or "truncated" in message.lower() or headers.is_cut_webp(data)
        raise SampleError("truncated" if cut else "corrupt", message[:300]) from error


def _open(data: bytes, max_pixels: int) -> Image.Image:
    """Read the header only."""
    if not data:
        raise SampleError("empty", "no bytes")
    if data.startswith(headers.JPEG) and headers.scans(data) > headers.MAX_SCANS:
        raise SampleError("corrupt", f"more than {headers.MAX_SCANS} scans")
    opened = Image.open(io.BytesIO(data), formats=_FORMATS)
    if opened.width * opened.height > max_pixels:
        raise SampleError("too_many_pixels", f"{opened.width} x {opened.height} pixels")
    return opened


def _orientation(picture: Image.Image) -> int:
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # broken metadata is no reason to lose the picture
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def _upright(opened: Image.Image) -> tuple[Image.Image, int]:
    """Decode the first frame and turn it; return it with the orientation that the file stated."""
    if opened.format == "TIFF":  # Pillow turns a TIFF by itself while it loads, and drops the tag
        stated = _orientation(opened)
        opened.load()
        return opened, stated
    opened.load()  # first: asking a PNG for its EXIF loads it too, and would hide the error
    stated = _orientation(opened)
    if stated == 1:
        return opened, stated
    turned = opened.transpose(_UPRIGHT[stated])
    opened.close()
    return turned, stated


def _header_wh(opened: Image.Image) -> tuple[int, int]:
    # Pillow states a TIFF's size as it will be after turning.
    if opened.format == "TIFF" and _orientation(opened) >= 5:
        return opened.height, opened.width
    return opened.width, opened.height


def _is_plain(opened: Image.Image, data: bytes) -> bool:
    """Tell whether every decoder gives the same 8-bit RGB pixels for this file."""
    deep = opened.format == "PNG" and data[24] == 16  # IHDR bit depth: Pillow calls 16-bit RGB plain RGB
    # A JPEG of several pictures (MPO: stereo pairs, gain maps) reads as its first one everywhere.
    still = opened.format == "MPO" or not getattr(opened, "is_animated", False)
    return opened.mode in ("RGB", "L") and "transparency" not in opened.info and not deep and still


def _rgb(picture: Image.Image) -> Image.Image:
    """Return 8-bit RGB: transparency over white, deep samples scaled to 0..255; what it was made of is let go."""
    clear = "transparency" in picture.info
    if picture.mode == "RGB" and not clear:
        return picture
    if picture.mode in ("1", "L", "P") and not clear:
        return picture.convert("RGB")
    if picture.mode.startswith(("I", "F")):
        convert = _scaled_down(picture)
    else:
        convert = _over_white if clear or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") else _plain_rgb
    pixels = _pixels(picture, convert)
    picture.close()
    return Image.fromarray(pixels)


def _tiles(picture: Image.Image) -> Iterator[tuple[int, int, Image.Image]]:
    """Yield (left, top, tile) of at most _TILE pixels each."""
    wide = min(picture.width, _TILE)
    high = max(1, _TILE // wide)
    for top in range(0, picture.height, high):
        for left in range(0, picture.width, wide):
            right, bottom = min(left + wide, picture.width), min(top + high, picture.height)
            yield left, top, picture.crop((left, top, right, bottom))


def _plain_rgb(tile: Image.Image) -> Image.Image:
    return tile.convert("RGB")


def _over_white(tile: Image.Image) -> Image.Image:
    layer = tile.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _pixels(picture: Image.Image, convert: Callable[[Image.Image], Image.Image] = _plain_rgb) -> Pixels:
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for left, top, tile in _tiles(picture):
        pixels[top : top + tile.height, left : left + tile.width] = np.asarray(convert(tile))
    return pixels


def _scaled_down(picture: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return what scales a tile of this picture to 8 bits."""
    brightest = max(float(_finite(tile).max(initial=0.0)) for _, _, tile in _tiles(picture))
    # I;16 says its range; a 32-bit file does not, so the smallest usual white that holds its values is taken.
    usual = (65535.0,) if picture.mode.startswith("I;16") else (1.0, 255.0, 65535.0)
    tops = usual if picture.mode != "I" else usual[1:]
    white = next((top for top in tops if brightest <= top), brightest)

    def scaled(tile: Image.Image) -> Image.Image:
        grey = np.clip(np.round(_finite(tile) * (255.0 / white)), 0, 255).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")

    return scaled


def _finite(tile: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.nan_to_num(np.asarray(tile).astype(np.float64))


def _within(picture: Image.Image, side: int | None) -> Image.Image:
    longest = max(picture.size)
    if side is None or longest <= side:
        return picture
    width, height = (max(1, round(length * side / longest)) for length in picture.size)
    return _scaled(picture, (width, height))


def _scaled(picture: Image.Image, size_wh: tuple[int, int]) -> Image.Image:
    return picture.resize(size_wh, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _jpeg(rgb: Image.Image, quality: int) -> bytes:
    if max(rgb.size) > _JPEG_SIDE:
        raise SampleError("too_many_pixels", f"a JPEG has no side above {_JPEG_SIDE} pixels")
    out = io.BytesIO()
    # A fresh copy of the pixels carries no metadata that the encoder could pick up.
    bare = Image.new("RGB", rgb.size)
    bare.paste(rgb)
    bare.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _fingerprint(rgb: Image.Image) -> str:
    grey = _scaled(rgb, (SIDE, SIDE)).convert("L")
    return phash(np.asarray(grey))
