"""Conceptual 12M: one TSV of `url <tab> caption`, without a header, 12,423,374 rows.

Format: https://github.com/google-research-datasets/conceptual-12m
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit

import numpy as np

from curate.errors import ConfigError, ShardError
from curate.io import storage
from curate.sample import SourceRow
from curate.shards import ShardInput

MAX_LINE_BYTES = 1 << 20
"""A longer line is no caption; it is passed over without being held."""
_SCAN_BYTES = 4 << 20
_WHOLE_BYTES = 64 << 20
"""A shard up to this size is fetched with one request."""


def plan(uris: Sequence[str], shard_rows: int) -> Iterator[ShardInput]:
    """Yield the shards of each file in turn, `shard_rows` lines each, found by one scan in blocks.

    Raises ConfigError for a missing file, and for two files of one name, whose keys would collide.
    """
    stems = [_stem(uri) for uri in uris]
    for stem in stems:
        if stems.count(stem) > 1:
            raise ConfigError(f"two files are named {stem}", hint="keys begin with the file's name: rename one")
    for uri in uris:
        try:
            with storage.open_read(uri) as stream:
                yield from _cut(uri, stream, shard_rows)
        except FileNotFoundError:
            raise ConfigError("no such file", file=uri) from None


def rows(part: ShardInput) -> Iterator[SourceRow]:
    """Yield the rows of a shard; key `<file stem>:<row in the file>`, counted from 0.

    The first tab splits, so that later tabs belong to the caption. Codes of rows that cannot be used:
    `bad_row` (no tab, no URL, a line above MAX_LINE_BYTES), `bad_text` (not UTF-8).
    Raises ShardError when the file is gone or ends before the planned rows do.
    """
    stem = _stem(part.uri)
    row = part.first_row
    end = None if part.rows is None else part.first_row + part.rows
    with _open(part) as stream:
        while end is None or row < end:
            line = stream.readline(MAX_LINE_BYTES)
            if not line:
                break
            whole = line.endswith(b"\n") or len(line) < MAX_LINE_BYTES
            yield _row(f"{stem}:{row}", line, row == 0) if whole else _too_long(f"{stem}:{row}", stream)
            row += 1
    if end is not None and row < end:
        raise ShardError(f"{part.uri}: rows {part.first_row}..{end} were planned, the file ends at {row}")


def _cut(uri: str, stream: BinaryIO, shard_rows: int) -> Iterator[ShardInput]:
    """Yield a shard at every `shard_rows`-th line end; what follows the last line end is a row too."""
    first_row, start, row, position = 0, 0, 0, 0
    tail = False
    while block := stream.read(_SCAN_BYTES):
        ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 0x0A)
        # Line `row + i` ends at ends[i]; a shard is full at the line that makes shard_rows of them.
        for at in ends[first_row + shard_rows - row - 1 :: shard_rows].tolist():
            cut = position + at + 1
            yield ShardInput(uri, first_row, shard_rows, start, cut - start)
            first_row, start = first_row + shard_rows, cut
        row += len(ends)
        position += len(block)
        tail = not block.endswith(b"\n")
    if row + tail > first_row:
        yield ShardInput(uri, first_row, row + tail - first_row, start, position - start)


def _open(part: ShardInput) -> BinaryIO:
    try:
        if part.size is not None and part.size <= _WHOLE_BYTES:
            return io.BytesIO(storage.read_bytes(part.uri, part.offset, part.size))
        stream = storage.open_read(part.uri)
    except FileNotFoundError:
        raise ShardError(f"{part.uri}: the file is gone") from None
    stream.seek(part.offset)
    return stream


def _row(key: str, line: bytes, first: bool) -> SourceRow:
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    if first:
        line = line.removeprefix(b"\xef\xbb\xbf")
    try:
        url, tab, caption = line.decode().partition("\t")
    except UnicodeDecodeError as error:
        return SourceRow(key, error=("bad_text", f"not UTF-8 at byte {error.start} of the line"))
    if not tab:
        return SourceRow(key, error=("bad_row", "no tab between url and caption"))
    if not url.strip():
        return SourceRow(key, text=caption, error=("bad_row", "no url"))
    return SourceRow(key, url=url.strip(), text=caption)


def _too_long(key: str, stream: BinaryIO) -> SourceRow:
    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass
    return SourceRow(key, error=("bad_row", f"a line of more than {MAX_LINE_BYTES} bytes"))


def _stem(uri: str) -> str:
    return PurePosixPath(urlsplit(uri).path if "://" in uri else uri).stem
