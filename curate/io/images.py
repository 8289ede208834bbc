"""Pictures as bytes and as pixels, the only door to Pillow: whatever a file holds ends in SampleError."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, UnidentifiedImageError

from curate.errors import SampleError
from curate.io import deep, headers, plan
from curate.io.picture import MAX_PIXELS
from curate.io.picture import Limits as Limits
from curate.io.picture import Stored as Stored
from curate.io.plan import JPEGS, ROOM, TILE
from curate.io.shrink import RGBX, shrink
from curate.kernels.phash import SIDE, phash
from curate.sample import Pixels

# Broken files are this platform's daily bread: what Pillow says of them is said by our error codes.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
Image.MAX_IMAGE_PIXELS = None  # our own cap stands before every decoding

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_KEPT = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp"}
_JPEG_SIDE = 65_500  # libjpeg's JPEG_MAX_DIMENSION
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


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Return the upright picture as RGB uint8 of shape (height, width, 3).

    Raises SampleError: `empty`, `not_image`, `too_many_pixels`, `truncated`, `corrupt`.
    """
    with _hostile(data):
        opened = _open(data, max_pixels)
        with ROOM.take(plan.header(opened, data).cost(0)):
            picture, _ = _upright(opened)
            return _pixels(_rgb(picture))


def store(data: bytes, limits: Limits) -> Stored:
    """Return what ingest writes: the bytes as they came where they will do, else an upright JPEG.

    Kept unchanged: JPEG, PNG and WebP of 8 bits, grey or RGB, upright, still, of a size that is allowed. Of a kept
    JPEG only the coarsest brightness is made, for which every byte is read. Raises SampleError as `decode` does,
    and `too_small`.
    """
    with _hostile(data):
        opened = _open(data, limits.max_pixels)
        if min(opened.size) < limits.min_side:
            raise SampleError("too_small", f"{opened.width} x {opened.height} pixels")
        form, source_wh, size = opened.format or "", _header_wh(opened), limits.size(opened.size)
        keep = form in _KEPT and size == opened.size and _is_plain(opened, data)
        header = plan.header(opened, data, form in JPEGS and _orientation(opened) == 1)
        untouched = keep and header.upright
        by = plan.scale(opened.size, (2 * SIDE, 2 * SIDE)) if untouched else header.coarser(size, limits)
        with ROOM.take(header.cost(by, size)):
            if untouched:
                grey, orientation = _brightness(opened, by), 1
            else:
                rgb, orientation = _averaged(opened, size, by) if by else _smoothed(opened, limits)
                grey, size, keep = rgb.convert("L"), rgb.size, keep and orientation == 1
            kept = data if keep else _jpeg(rgb, limits.quality)
        return Stored(
            data=kept,
            extension=_KEPT[form] if keep else "jpg",
            format=form.lower() if keep and form != "MPO" else "jpeg",
            width=size[0],
            height=size[1],
            source_width=source_wh[0],
            source_height=source_wh[1],
            exif_orientation=orientation,
            phash=_fingerprint(grey),
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
    return _fingerprint(Image.fromarray(pixels).convert("L"))


def thumbnail_jpeg(data: bytes, side: int, quality: int = 72) -> bytes:
    """Return an upright JPEG whose longer side is at most `side` pixels; SampleError as `decode` raises."""
    with _hostile(data):
        opened = _open(data, MAX_PIXELS)
        with ROOM.take(plan.header(opened, data).cost(plan.scale(opened.size, (2 * side, 2 * side)))):
            opened.draft("RGB", (2 * side, 2 * side))  # libjpeg decodes at 1/2, 1/4 or 1/8 for little work
            return _jpeg(_smoothed(opened, Limits(max_side=side))[0], quality)


@contextmanager
def _hostile(data: bytes) -> Iterator[None]:
    """Whatever Pillow raises on a hostile file, from struct.error to MemoryError, becomes a SampleError."""
    try:
        yield
    except SampleError:
        raise
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


def _smoothed(opened: Image.Image, limits: Limits) -> tuple[Image.Image, int]:
    """Return the upright picture, shrunk by less than two, and the orientation that the file stated."""
    picture, stated = _upright(opened)
    rgb = _rgb(picture)
    size_wh = limits.size(rgb.size)
    return rgb if size_wh == rgb.size else rgb.resize(size_wh, Image.Resampling.HAMMING, reducing_gap=3.0), stated


def _averaged(opened: Image.Image, size: tuple[int, int], by: int) -> tuple[Image.Image, int]:
    """Return the upright picture, made small by averages of areas, and the orientation that the file stated."""
    source_wh, turns = opened.size, opened.format != "TIFF"  # Pillow turns a TIFF by itself while it loads
    stated = 1 if turns else _orientation(opened)
    opened.draft(None, (opened.width // by, opened.height // by))
    opened.load()
    stated = _orientation(opened) if turns else stated
    if by == 1 and opened.mode in ("RGB", "L") and "transparency" not in opened.info:
        picture = opened.resize(size, Image.Resampling.BOX).convert("RGB")
    else:
        small = shrink(_bands(opened), source_wh, size, by)
        picture = Image.frombuffer("RGBX", size, small, "raw", "RGBX", 0, 1).convert("RGB")
    opened.close()
    return (picture.transpose(_UPRIGHT[stated]) if turns and stated > 1 else picture), stated


def _bands(picture: Image.Image) -> Callable[[int, int], RGBX]:
    """Return what gives some rows of a picture, made plain."""
    convert = _plainly(picture)

    def band(top: int, end: int) -> RGBX:
        return np.asarray(convert(picture.crop((0, top, picture.width, end))).convert("RGBX"))

    return band


def _brightness(opened: Image.Image, by: int) -> Image.Image:
    """Return a JPEG in grey, decoded coarser; all of its bytes are read, so that damage shows."""
    opened.draft("L", (opened.width // by, opened.height // by))
    opened.load()
    return opened.convert("L")


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
    pixels = _pixels(picture, _plainly(picture))
    picture.close()
    return Image.fromarray(pixels)


def _plainly(picture: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return what makes a tile of this picture 8-bit RGB."""
    if picture.mode.startswith(("I", "F")):
        return _scaled_down(picture)
    clear = "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa")
    return _over_white if clear else _plain_rgb


def _tiles(picture: Image.Image) -> Iterator[tuple[int, int, Image.Image]]:
    """Yield (left, top, tile) of at most TILE pixels each."""
    wide = min(picture.width, TILE)
    high = max(1, TILE // wide)
    for top in range(0, picture.height, high):
        for left in range(0, picture.width, wide):
            right, bottom = min(left + wide, picture.width), min(top + high, picture.height)
            yield left, top, picture.crop((left, top, right, bottom))


def _plain_rgb(tile: Image.Image) -> Image.Image:
    return tile if tile.mode == "RGB" else tile.convert("RGB")


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
    white = deep.white(picture.mode, (np.asarray(tile) for _, _, tile in _tiles(picture)))
    return lambda tile: Image.fromarray(deep.grey(np.asarray(tile), white)).convert("RGB")


def _scaled(picture: Image.Image, size_wh: tuple[int, int]) -> Image.Image:
    return picture.resize(size_wh, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _jpeg(rgb: Image.Image, quality: int) -> bytes:
    if max(rgb.size) > _JPEG_SIDE:
        raise SampleError("too_many_pixels", f"a JPEG has no side above {_JPEG_SIDE} pixels")
    out = io.BytesIO()
    rgb.info = {}  # nothing that the encoder could pick up
    rgb.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _fingerprint(grey: Image.Image) -> str:
    return phash(np.asarray(_scaled(grey, (SIDE, SIDE))))
