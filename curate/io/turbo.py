"""The only door to libturbojpeg, where the system has it: JPEGs mirrored without loss, and their planes.

TurboJPEG's C API 2.x: https://libjpeg-turbo.org/Documentation. Every function returns None where the library is
absent, where it says no, and where it merely warns; the caller then goes the way of Pillow, which says what is
wrong with a file. Orientation tags are not read and no marker is copied: what is stored is upright already.
"""

import ctypes
import ctypes.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from curate.io import headers
from curate.io.picture import MAX_PIXELS
from curate.io.plan import ROOM
from curate.kernels.canvas import Plane

STEPS = {0: (1, 1), 1: (2, 1), 2: (2, 2), 3: (1, 1), 4: (1, 2), 5: (4, 1)}
"""TJSAMP_… → pixels across and down for one chroma sample; 3 is grey."""
GREY = 3
_MAX_SIDE = 65_500  # libjpeg's JPEG_MAX_DIMENSION
_YCC, _GREY = 1, 2  # TJCS_…
_HFLIP = 1  # TJXOP_HFLIP
_PERFECT, _COPYNONE = 1, 64  # TJXOPT_…
_ACCURATE, _STOP = 4096, 8192  # TJFLAG_ACCURATEDCT, TJFLAG_STOPONWARNING
_MAKERS = ("tjInitTransform", "tjInitDecompress", "tjInitCompress")
_OTHERS = ("tjDestroy", "tjFree", "tjTransform", "tjDecompressHeader3")
_PLANES = ("tjDecompressToYUVPlanes", "tjCompressFromYUVPlanes")
_HANDLE = ctypes.c_void_p
_FILES = ("libturbojpeg.so.0", "libturbojpeg.dylib", "turbojpeg.dll")


class _Region(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("x", "y", "w", "h")]


_Filter = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, _Region, _Region, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


class _Transform(ctypes.Structure):
    _fields_ = [
        ("region", _Region),
        ("op", ctypes.c_int),
        ("options", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("filter", _Filter),
    ]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A JPEG's planes as they were coded: Y, or Y, Cb and Cr; `sampling` is TJSAMP_…, a key of STEPS."""

    planes: tuple[Plane, ...]
    sampling: int


@dataclass(frozen=True, slots=True)
class Flipped:
    """A mirrored JPEG, and its brightness 8 times smaller, uint8 of shape (height / 8, width / 8), rounded up."""

    data: bytes
    coarse: Plane


@dataclass(frozen=True, slots=True)
class _Header:
    width: int
    height: int
    sampling: int


def available() -> bool:
    """Tell whether the library is on this machine."""
    return _library() is not None


def hflip(data: bytes) -> Flipped | None:
    """Return a JPEG mirrored left to right in its own coefficients: twice is the identity on pixels.

    None where that has no exact answer: another format, CMYK, or a width that is no multiple of its blocks' (8
    pixels, 16 with 4:2:0). A progressive JPEG comes back sequential. Raises SampleError `too_many_pixels` where it
    takes more memory than there may be.
    """
    library = _library()
    if library is None or headers.scans(data) > headers.MAX_SCANS:
        return None
    with _handle(library, "tjInitTransform") as handle:
        header = _header(library, handle, data)
        if header is None:
            return None
        with ROOM.take(6 * (header.width + 64) * (header.height + 64)):
            return _flipped(library, handle, data, header)


def decode(data: bytes) -> Decoded | None:
    """Return the planes of a JPEG, at the size of the picture; None for what is neither grey nor YCbCr.

    Raises SampleError `too_many_pixels` as `hflip` does.
    """
    library = _library()
    if library is None or headers.scans(data) > headers.MAX_SCANS:
        return None
    with _handle(library, "tjInitDecompress") as handle:
        header = _header(library, handle, data)
        if header is None:
            return None
        with ROOM.take(9 * (header.width + 64) * (header.height + 64)):
            shapes = _shapes(header.width, header.height, header.sampling)
            planes = [np.empty(shape, np.uint8) for shape in shapes]
            pointers, strides = _pointers(planes)
            code = library.tjDecompressToYUVPlanes(
                handle, data, ctypes.c_ulong(len(data)), pointers, header.width, strides, header.height, _STOP
            )  # fmt: skip
        if code != 0:
            return None
        luma = planes[0][: header.height, : header.width]
        return Decoded((luma, *planes[1:]), header.sampling)


def encode(planes: tuple[Plane, ...], sampling: int, quality: int) -> bytes | None:
    """Return a JPEG of planes as `decode` gives them, rows of any distance; None where the library is absent.

    `quality` is 1 to 100, as libjpeg scales its tables. Nothing is converted or sampled anew.
    """
    library = _library()
    high, wide = planes[0].shape
    if library is None or max(high, wide) > _MAX_SIDE:
        return None
    shapes = _shapes(wide, high, sampling)
    whole = [_grown(plane, shape) for plane, shape in zip(planes, shapes, strict=True)]
    with _handle(library, "tjInitCompress") as handle, _output(library) as (out, size):
        pointers, strides = _pointers(whole)
        code = library.tjCompressFromYUVPlanes(
            handle, pointers, wide, strides, high, sampling, ctypes.byref(out), ctypes.byref(size), quality, _ACCURATE
        )
        return ctypes.string_at(out, size.value) if code == 0 else None


@lru_cache(maxsize=1)
def _library() -> Any:
    for name in (*_FILES, None):
        path = ctypes.util.find_library("turbojpeg") if name is None else name
        try:
            library = ctypes.CDLL(path) if path else None
        except OSError:
            continue
        if library is not None and all(hasattr(library, needed) for needed in (*_MAKERS, *_OTHERS, *_PLANES)):
            for maker in _MAKERS:
                getattr(library, maker).restype = ctypes.c_void_p
            library.tjDestroy.argtypes = library.tjFree.argtypes = [ctypes.c_void_p]
            return library
    return None


@contextmanager
def _handle(library: Any, maker: str) -> Iterator[ctypes.c_void_p]:
    handle = _HANDLE(getattr(library, maker)())
    if not handle.value:
        raise MemoryError(maker)
    try:
        yield handle
    finally:
        library.tjDestroy(handle)


@contextmanager
def _output(library: Any) -> Iterator[tuple[ctypes.c_void_p, ctypes.c_ulong]]:
    """Yield a buffer that the library makes and grows by itself."""
    out, size = ctypes.c_void_p(), ctypes.c_ulong()
    try:
        yield out, size
    finally:
        library.tjFree(out)


def _header(library: Any, handle: ctypes.c_void_p, data: bytes) -> _Header | None:
    """Return what a JPEG says of itself, None where it is not ours to handle."""
    if not data.startswith(headers.JPEG):
        return None
    found = [ctypes.c_int(-1) for _ in range(4)]
    places = [ctypes.byref(each) for each in found]
    if library.tjDecompressHeader3(handle, data, ctypes.c_ulong(len(data)), *places) != 0:
        return None
    wide, high, sampling, colours = (each.value for each in found)
    fits = 0 < wide <= _MAX_SIDE and 0 < high <= _MAX_SIDE and wide * high <= MAX_PIXELS
    known = sampling in STEPS and colours == (_GREY if sampling == GREY else _YCC)
    return _Header(wide, high, sampling) if fits and known else None


def _flipped(library: Any, handle: ctypes.c_void_p, data: bytes, header: _Header) -> Flipped | None:
    means = np.zeros((-(-header.height // 8), -(-header.width // 8)), np.int16)
    callback = _Filter(_taking(means))  # held until the library is done with it
    wanted = _Transform(_Region(0, 0, 0, 0), _HFLIP, _PERFECT | _COPYNONE, None, callback)
    with _output(library) as (out, size):
        code = library.tjTransform(
            handle, data, ctypes.c_ulong(len(data)), 1,
            ctypes.byref(out), ctypes.byref(size), ctypes.byref(wanted), _STOP,
        )  # fmt: skip
        made = ctypes.string_at(out, size.value) if code == 0 else b""
    step = _first_step(made)
    if not step:
        return None
    grey = np.clip(128.5 + means * np.float32(step / 8), 0, 255).astype(np.uint8)
    return Flipped(made, grey)


def _taking(means: Any) -> Callable[..., int]:
    """Return what the library calls with each row of blocks: the mean of each block of brightness is kept."""
    high, wide = means.shape

    def take(blocks: int, size: _Region, plane: _Region, component: int, index: int, transform: int) -> int:
        row = size.y // 8
        if component == 0 and blocks and 0 <= row < high:
            count = min(wide, size.w // 8)
            values = (ctypes.c_short * (64 * count)).from_address(blocks)
            means[row, :count] = np.frombuffer(values, np.int16)[::64]
        return 0

    return take


def _first_step(data: bytes) -> int:
    """Return by how much the mean of a block of brightness was divided: the first table of a JPEG that we wrote."""
    at = data.find(b"\xff\xdb", 2, 1000)  # T.81, B.2.4.1: length, precision and number, 64 values
    if at < 0 or len(data) < at + 7:
        return 0
    return int.from_bytes(data[at + 5 : at + 7]) if data[at + 4] >> 4 else data[at + 5]


def _shapes(wide: int, high: int, sampling: int) -> list[tuple[int, int]]:
    """Return (rows, columns) of each plane as the library wants it: brightness a whole number of chroma samples."""
    across, down = STEPS[sampling]
    columns, rows = -(-wide // across), -(-high // down)
    chroma = [] if sampling == GREY else [(rows, columns)] * 2
    return [(rows * down, columns * across), *chroma]


def _grown(plane: Plane, shape: tuple[int, int]) -> Plane:
    """Return a plane with its last row and column repeated up to a shape, rows of single bytes side by side."""
    more = [(0, wanted - had) for wanted, had in zip(shape, plane.shape, strict=True)]
    grown = np.pad(plane, more, mode="edge") if any(extra for _, extra in more) else plane
    return grown if grown.strides[1] == 1 and grown.strides[0] > 0 else np.ascontiguousarray(grown)


def _pointers(planes: list[Plane]) -> tuple[Any, Any]:
    """Return the addresses and the row distances of planes, as C arrays."""
    addresses = (ctypes.c_void_p * 3)(*[plane.ctypes.data for plane in planes])
    return addresses, (ctypes.c_int * 3)(*[plane.strides[0] for plane in planes])
