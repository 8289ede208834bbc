"""Records of JSON files of any size, one at a time: an array, JSON Lines, or a single value.

Memory is that of the largest record, whatever the file holds. What cannot be read is told as a Found with
`error`, never raised; only what the store does wrong is (FileNotFoundError, OutsideError). The form is told by
the content: `[` begins an array, whose elements are the records; a first line that is a value begins JSON Lines
(RFC 8259 values, one in a line); anything else is read as values laid out over several lines.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

from curate.io import storage
from curate.io.json_window import BLOCK_BYTES, MAX_RECORD_BYTES, UNREAD, Window, parse

_SPACE = b" \t\r\n"
_BOMS = {b"\xff\xfe": "UTF-16 or UTF-32", b"\xfe\xff": "UTF-16", b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd", b"PK": "zip"}
_NEXT_LINE = re.compile(r"\n(?=[^\s}\],])")


@dataclass(frozen=True, slots=True)
class Found:
    """One record: its place among all, its first byte in the file; `error` says why `record` is None.

    `text` is the record as it stands in the file, nothing where it could not be read.
    """

    index: int
    offset: int
    record: Any
    error: str | None = None
    text: str = ""


def records(uri: str, begin: int = 0) -> Iterator[Found]:
    """Yield the records of a JSON file in order, damaged ones with their error, from the one at byte `begin` on.

    A `begin` other than 0 is one of `json_cuts.cuts`, or the place behind a record. Damage of JSON Lines costs its
    line alone; damage inside an array ends the reading, since nothing tells where the next record begins. Refused,
    though the next record is found: a record above MAX_RECORD_BYTES, one nested too deep, NaN and Infinity (JSON has
    none), a key given twice, a number of thousands of digits, bytes that are not UTF-8. A number such as 1e999 is
    JSON and becomes inf. An empty file has no records.
    """
    with storage.open_read(uri) as file:
        head = file.read(BLOCK_BYTES)
        kind = next((kind for mark, kind in _BOMS.items() if head.startswith(mark)), None)
        if kind or b"\0" in head[:4]:
            yield Found(0, 0, None, f"the file is not UTF-8 text: it looks like {kind or 'UTF-16 or UTF-32'}")
            return
        form, start = form_of(head)
        file.seek(begin or start)
        if form == "array":
            yield from _elements(Window(file, begin)) if begin else _array(Window(file, start))
        elif form == "lines":
            yield from _lines(file, begin or start, 0)
        else:
            yield from _values(file, Window(file, begin or start))


def form_of(head: bytes) -> tuple[Literal["array", "lines", "values"], int]:
    """Return how records stand in a file of UTF-8 text that begins so, and at which byte it begins."""
    begin = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    if head[begin:].lstrip(_SPACE).startswith(b"["):
        return "array", begin
    return ("lines" if _is_lines(head[begin:]) else "values"), begin


def _is_lines(head: bytes) -> bool:
    """Tell whether the first line is a whole value, or broken before its end; else it goes on below."""
    line, newline, _ = head.lstrip(_SPACE).partition(b"\n")
    if not newline:
        return True
    text = line.decode("utf-8", "replace").rstrip()
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos < len(text)
    except (ValueError, RecursionError):
        pass
    return True


def _array(window: Window) -> Iterator[Found]:
    window.peek()
    window.take(1)
    if window.peek() == "]":
        yield from _behind(window, 0)
    else:
        yield from _elements(window)


def _elements(window: Window) -> Iterator[Found]:
    """Yield the elements of an array from here on, and what is wrong behind it."""
    index = 0
    ended = False
    while not ended:
        offset = window.offset
        record, error, sound = window.value()
        yield Found(index, offset, record, error, "" if error else window.last())
        if not sound:
            return
        index += 1
        mark = window.peek()
        if mark not in (",", "]"):
            offset = window.offset
            what = f"{mark!r} stands where ',' or ']' must" if mark else "the file ends before the array does"
            yield Found(index, offset, None, f"{what}, at byte {offset}; {UNREAD}")
            return
        ended = mark == "]"
        if not ended:
            window.take(1)
            window.peek()
    yield from _behind(window, index)


def _behind(window: Window, index: int) -> Iterator[Found]:
    """Step over the array's end, and yield text that follows it as an error."""
    window.take(1)
    if window.peek():
        yield Found(index, window.offset, None, f"text after the array's end, at byte {window.offset}")


def _lines(file: BinaryIO, offset: int, index: int) -> Iterator[Found]:
    """Yield what each line holds from `offset` on, where `file` stands."""
    while line := file.readline(MAX_RECORD_BYTES + 1):
        begin = offset
        offset += len(line)
        if len(line) > MAX_RECORD_BYTES:
            while not line.endswith(b"\n") and (line := file.readline(BLOCK_BYTES)):
                offset += len(line)
            yield Found(index, begin, None, f"a record above {MAX_RECORD_BYTES >> 20} MiB")
        elif stripped := line.strip(_SPACE):
            begin += line.index(stripped[:1])
            yield Found(index, begin, *_line(stripped))
        else:
            continue
        index += 1


def _line(line: bytes) -> tuple[Any, str | None, str]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 at byte {error.start} of the record", ""
    try:
        record, end, refused = parse(text, 0)
    except json.JSONDecodeError as error:
        return None, f"not JSON: {error.msg} at character {error.pos} of the record", ""
    except RecursionError:
        return None, "nested too deep", ""
    if end < len(text):
        return None, f"not JSON: more text after the record's end at character {end} of the record", ""
    return (None, refused, "") if refused else (record, None, text)


def _values(file: BinaryIO, window: Window) -> Iterator[Found]:
    """Yield values that go over lines; after a broken one go on, line by line, where one begins at the margin."""
    index = 0
    while window.peek():
        offset = window.offset
        record, error, sound = window.value()
        yield Found(index, offset, record, error, "" if error else window.last())
        index += 1
        if not sound:
            while (found := _NEXT_LINE.search(window.text, window.at)) is None:
                if not window.drop():
                    return
            window.take(found.end() - window.at)
            file.seek(window.offset)
            yield from _lines(file, window.offset, index)
            return
