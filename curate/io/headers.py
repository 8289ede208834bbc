"""What the bytes of a picture's file tell before anything is decoded."""

import re

JPEG = b"\xff\xd8\xff"
SIGNATURES = (JPEG, b"\x89PNG\r\n\x1a\n", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
MAX_SCANS = 100
"""Usual progressive JPEGs have about 10 scans; each costs the time of a whole picture."""

_PLAIN = (b"\xc0", b"\xc1")  # frames that are not progressive: T.81, table B.1
_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")


def scans(data: bytes) -> int:
    """Return how many scans a JPEG has, counted to just above MAX_SCANS; what follows its end does not count.

    Where the first scan of a plain JPEG holds all colours, decoders read no other, and it is not looked for.
    """
    at, found, colours = 2, 0, -1
    while found <= MAX_SCANS and (marker := _MARKER.search(data, at)) and marker[1] != b"\xd9":
        body = marker.end()
        if marker[1] in _PLAIN:
            colours = data[body + 7] if colours < 0 and len(data) > body + 7 else -1
        elif marker[1] == b"\xda":
            found += 1
            if found == 1 and colours > 0 and data[body + 2 : body + 3] == bytes([colours]):
                return 1
        at = body + int.from_bytes(data[body : body + 2])
    return found


def is_cut_webp(data: bytes) -> bool:
    """Tell whether a RIFF file is shorter than its header says; libwebp only says that it could not decode."""
    return data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 > len(data)


def beginning(data: bytes) -> str:
    """Return how a file begins, for a message."""
    return f"begins with {data[:32]!r}"
