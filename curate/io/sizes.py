"""Width and height of stored pictures, upright, told by their headers: nothing is decoded where a header will do.

JPEG, PNG and WebP are read here; a file that is anything else, or whose header leaves a doubt, is decoded by
`images`, which is the measure: both always agree on what a sound file's size is.
"""

import re
import struct
from collections import OrderedDict
from typing import BinaryIO

from curate.errors import SampleError
from curate.io import below, images

HEAD_BYTES = 1 << 14
"""How much of a file is read at first: most headers end there."""
KEPT = 1 << 16
"""How many pictures' sizes a Sizes remembers."""

Size = tuple[int, int]
"""Width and height in pixels."""

_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # T.81, table B.1: all kinds of frame
_TURNED = 5  # Exif 2.32, table 4: from here on width and height change places
_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_PNG_HEAD, _PNG_PLAIN = b"\x89PNG\r\n\x1a\n", frozenset({b"IDAT", b"PLTE", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"sBIT"})


class Sizes:
    """The sizes of pictures under a folder or a prefix of a store; so many as KEPT are remembered."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._known: OrderedDict[str, Size | SampleError] = OrderedDict()

    def of(self, path: str) -> Size:
        """Return the upright width and height in pixels of a picture, by its path under the root.

        Raises SampleError: `bad_image` for a path that leaves the root, `no_picture` where there is none, and
        whatever `images.decode` says of a file that is no sound picture. OutsideError: the store failed.
        """
        known = self._known.get(path)
        if known is None:
            try:
                with below.opened(self._root, path) as file:
                    known = size(file)
            except SampleError as error:
                known = error
            self._known[path] = known
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        if isinstance(known, SampleError):
            raise SampleError(known.code, known.detail)
        return known


def size(file: BinaryIO) -> Size:
    """Return the upright width and height in pixels of a picture, from a seekable file that stands at its start.

    Raises SampleError as `images.decode` does.
    """
    head = file.read(HEAD_BYTES)
    found: Size | None = None
    try:
        if head.startswith(b"\xff\xd8\xff"):
            found = _jpeg(head, file)
        elif head.startswith(_PNG_HEAD):
            found = _png(head, file)
        elif head.startswith(b"RIFF"):
            found = _webp(head)
    except (struct.error, IndexError):
        found = None
    if found is not None and min(found) > 0:
        return found
    file.seek(0)
    height, width = images.decode(below.bounded(file)).shape[:2]
    return width, height


def _jpeg(head: bytes, file: BinaryIO) -> Size | None:
    """Walk the segments up to the first frame (T.81, annex B); None where an orientation is not simply told."""
    at, orientation, xmp = 2, 0, 0
    while True:
        if at + 4 > len(head):
            head, at = _further(file, head, at)
            if at + 4 > len(head):
                return None
        if head[at] != 0xFF:
            return None
        kind = head[at + 1]
        if kind == 0xFF:  # a fill byte
            at += 1
            continue
        if kind in (0x00, 0x01, 0xD8, 0xD9, 0xDA) or 0xD0 <= kind <= 0xD7:
            return None
        length = int.from_bytes(head[at + 2 : at + 4])
        body, end = at + 4, at + 2 + length
        if kind in _FRAMES or kind == 0xE1:
            if end > len(head):
                head, moved = _further(file, head, at)
                body, end, at = body - at + moved, end - at + moved, moved
                if end > len(head):
                    return None
            if kind in _FRAMES:
                height, width = struct.unpack_from(">HH", head, body + 1)
                return (height, width) if (orientation or xmp) >= _TURNED else (width, height)
            segment = head[body:end]
            if segment.startswith(b"Exif\0\0"):
                if orientation:
                    return None  # two of them: Pillow joins them
                orientation = _exif(segment[6:])
                if orientation < 0:
                    return None
            elif segment.startswith(_XMP) and (told := _XMP_ORIENTATION.search(segment)):
                xmp = int(told[1])
        at = end


def _further(file: BinaryIO, head: bytes, at: int) -> tuple[bytes, int]:
    """Return what of the file begins at place `at` of `head`, which ends where the file stands, and 0 for it."""
    file.seek(at - len(head), 1)
    return file.read(1 << 17), 0


def _exif(tiff: bytes) -> int:
    """Return the orientation that Exif data state, 0 for none, -1 where they are broken (Exif 2.32, 4.6.2)."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return -1
    first = int(struct.unpack_from(f"{order}I", tiff, 4)[0])
    entries = int(struct.unpack_from(f"{order}H", tiff, first)[0])
    for entry in range(entries):
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", tiff, first + 2 + 12 * entry)
        if tag == 0x0112:
            return int(value) if kind == 3 and count == 1 and 1 <= value <= 8 else -1
    return 0


def _png(head: bytes, file: BinaryIO) -> Size | None:
    """Read IHDR, and look that no chunk before or after the pixels could state an orientation (PNG, 11.2)."""
    if head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack_from(">II", head, 16)
    at = 33
    while True:
        if at + 8 > len(head):
            head, at = _further(file, head, at)
            if len(head) < 8:
                return None
        length, kind = int.from_bytes(head[at : at + 4]), head[at + 4 : at + 8]
        if kind == b"IEND":
            return width, height
        if kind not in _PNG_PLAIN:
            return None
        at += 12 + length


def _webp(head: bytes) -> Size | None:
    """Read the first chunk (RFC 9649); an extended file that has Exif or XMP data is left to the decoder."""
    kind = head[12:16]
    if kind == b"VP8X" and not head[20] & 0x0C:
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L" and head[20] == 0x2F:
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and head[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None
