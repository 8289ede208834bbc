"""Places at which a large file of JSON records can be cut, found without reading it whole."""

import json
import re
from collections.abc import Iterator

from curate.io import storage
from curate.io.json_stream import form_of
from curate.io.json_window import BLOCK_BYTES, parse

_NEXT = re.compile(rb"[}\]][ \t\r\n]*+,[ \t\r\n]*+(?=\{)")
_RECORD_BYTES = 1 << 18
"""A larger record is not looked for: the file is not cut there."""
_TRIES = 200


def cuts(uri: str, every: int, key: str) -> list[int]:
    """Return the bytes at which records seem to begin, ascending, about one for `every` bytes, 0 first.

    In JSON Lines a record begins behind a line's end, always. In an array one seems to begin where an object that
    has `key` does, behind another value and a comma; text inside a record can look so. Who reads from cut to cut
    sees: then the records before a cut do not end at it. Values laid out over lines are not cut.
    """
    size = storage.size(uri)
    form, _ = form_of(storage.read_bytes(uri, 0, BLOCK_BYTES))
    found = [0]
    for place in range(every, size, every) if form != "values" else ():
        data = storage.read_bytes(uri, place, 4 * BLOCK_BYTES)
        begin = next(_lines(data) if form == "lines" else _elements(data, key), None)
        if begin is not None and found[-1] < place + begin < size:
            found.append(place + begin)
    return found


def _lines(data: bytes) -> Iterator[int]:
    """Yield where a line begins."""
    if b"\n" in data:
        yield data.index(b"\n") + 1


def _elements(data: bytes, key: str) -> Iterator[int]:
    """Yield where an object that has the key begins."""
    for number, match in enumerate(_NEXT.finditer(data)):
        if number == _TRIES:
            return
        text = data[match.end() : match.end() + _RECORD_BYTES].decode("utf-8", "replace")
        try:
            value, _, _ = parse(text, 0)
        except (json.JSONDecodeError, RecursionError):
            continue
        if isinstance(value, dict) and key in value:
            yield match.end()
