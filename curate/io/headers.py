"""What the bytes of a picture's file tell before anything is decoded."""

import re

JPEG = b"\xff\xd8\xff"
SIGNATURES = (JPEG, b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
MAX_SCANS = 100
"""Usual progressive JPEGs have about 10 scans; each costs the time of a whole picture."""

_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")


def scans(data: bytes) -> int:
    """Return how many scans a JPEG has, counted to just above MAX_SCANS; what follows its end does not count."""
    at, found = 2, 0
    while found <= MAX_SCANS and (marker := _MARKER.search(data, at)) and marker[1] != b"\xd9":
        found += marker[1] == b"\xda"
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2])
    return found


def is_cut_webp(data: bytes) -> bool:
    """Tell whether a RIFF file is shorter than its header says; libwebp only says that it could not decode."""
    return data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 > len(data)


def beginning(data: bytes) -> str:
    """Return how a file begins, for a message."""
    return f"begins with {data[:32]!r}"
