"""Rows put in the order of their keys by way of a file, so that memory does not grow with their number."""

import tempfile
from array import array
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]

RUN_BYTES = 16 << 20
"""Held until they are sorted and written."""

BLOCK_BYTES = 8 << 20
"""Sorted at a time when they are read again, about."""

_MOST_BYTES = 1 << 30
"""More at a time would not fit Arrow's 32-bit offsets."""

_KEY = "\x00key"


class ExternalSort:
    """Sorts about `rows` rows of tables of one schema by keys, mostly from 0 to `bound` - 1; equal ones in any order.

    Runs of rows that fit in memory are sorted and written, a piece for each of many ranges of keys; what all runs hold
    of a range is then read and sorted together. How many ranges there are follows from how large the rows of the first
    run are. The schema has no dictionaries. A context manager: at its end the file in `folder` is gone.
    """

    def __init__(self, folder: Path, bound: int, rows: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - a context manager itself; without a name none stays behind
        self._bound, self._rows = bound, rows
        self._edges: Ints | None = None
        self._pieces: list[array[int]] = []
        self._held: list[pa.Table] = []
        self._bytes = 0

    def __enter__(self) -> "ExternalSort":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, table: pa.Table, keys: Ints) -> None:
        """Take rows, with their keys (N,)."""
        if not table.num_rows:
            return
        self._held.append(table.append_column(_KEY, pa.array(keys)))
        self._bytes += table.nbytes
        if self._bytes >= RUN_BYTES:
            self._write()

    def in_order(self) -> Iterator[tuple[pa.Table, Ints]]:
        """Yield all rows by rising keys, with these, a range of keys at a time. Nothing can be added any more."""
        if self._held:
            self._write()
        for pieces in self._pieces:
            places = zip(pieces[::2], pieces[1::2], strict=True)
            yield from _in_order([self._read(offset, size) for offset, size in places])

    def _write(self) -> None:
        if self._edges is None:
            mean = self._bytes / sum(table.num_rows for table in self._held)
            blocks = max(int(self._rows * mean / BLOCK_BYTES), 1)
            self._edges = np.arange(blocks + 1) * max(-(-self._bound // blocks), 1)
            self._edges[[0, -1]] = np.iinfo(np.int64).min, np.iinfo(np.int64).max
            self._pieces = [array("q") for _ in range(blocks)]
            self._schema = self._held[0].schema
        held, self._held, self._bytes = self._held, [], 0
        self._file.seek(0, 2)
        for table, keys in _in_order(held):
            (whole,) = table.append_column(_KEY, pa.array(keys)).to_batches()
            ends = np.searchsorted(keys, self._edges).tolist()
            for pieces, (begin, end) in zip(self._pieces, pairwise(ends), strict=True):
                if end > begin:
                    message = whole.slice(begin, end - begin).serialize()
                    pieces.extend((self._file.tell(), message.size))
                    self._file.write(message)

    def _read(self, offset: int, size: int) -> pa.Table:
        self._file.seek(offset)
        message = pa.py_buffer(self._file.read(size))
        return pa.Table.from_batches([pa.ipc.read_record_batch(message, self._schema)])


def _in_order(parts: list[pa.Table]) -> Iterator[tuple[pa.Table, Ints]]:
    """Yield the rows of tables by rising keys, without that column, and these; at once unless they are too large."""
    if not parts:
        return
    keys = [np.asarray(part[_KEY].to_numpy(), np.int64) for part in parts]
    low, high = min(int(each.min()) for each in keys), max(int(each.max()) for each in keys)
    if low < high and sum(part.nbytes for part in parts) > _MOST_BYTES:
        middle = (low + high) // 2
        for below in (True, False):
            chosen = [(each <= middle) == below for each in keys]
            yield from _in_order([part.filter(some) for part, some in zip(parts, chosen, strict=True) if some.any()])
        return
    table, joined = pa.concat_tables(parts).combine_chunks(), np.concatenate(keys)
    order = np.argsort(joined, kind="stable")
    yield table.drop_columns([_KEY]).take(pa.array(order)).combine_chunks(), joined[order]
