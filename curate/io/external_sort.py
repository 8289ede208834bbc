"""Rows put in the order of their keys by way of a folder, so that memory does not grow with their number."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
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


class ExternalSort:
    """Sorts about `rows` rows of tables of one schema by keys, mostly from 0 to `bound` - 1; equal ones in any order.

    Runs of rows that fit in memory are sorted and written as one file each, a batch for each of many ranges of keys;
    what all runs hold of a range is then read and sorted together. How many ranges there are follows from how large the
    rows of the first run are. A context manager: at its end the files are gone.
    """

    def __init__(self, folder: Path, bound: int, rows: int) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._bound, self._rows = bound, rows
        self._edges: Ints | None = None
        self._held: list[tuple[pa.Table, Ints]] = []
        self._bytes, self._runs = 0, 0

    def __enter__(self) -> "ExternalSort":
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self._folder)

    def add(self, table: pa.Table, keys: Ints) -> None:
        """Take rows, with their keys (N,)."""
        if not table.num_rows:
            return
        self._held.append((table, keys))
        self._bytes += table.nbytes
        if self._bytes >= RUN_BYTES:
            self._write()

    def in_order(self) -> Iterator[tuple[pa.Table, Ints]]:
        """Yield all rows by rising keys, with these, a range of keys at a time. Nothing can be added any more."""
        if self._held:
            self._write()
        with ExitStack() as opened:
            files = [opened.enter_context(pa.OSFile(str(self._file(run)), "rb")) for run in range(self._runs)]
            runs = [pa.ipc.open_file(file) for file in files]
            for block in range(runs[0].num_record_batches if runs else 0):
                parts = [pa.Table.from_batches([run.get_batch(block)]) for run in runs]
                yield from _in_order([part for part in parts if part.num_rows])

    def _write(self) -> None:
        held = [table.append_column(_KEY, pa.array(keys)) for table, keys in self._held]
        if self._edges is None:
            mean = self._bytes / sum(table.num_rows for table in held)
            blocks = max(int(self._rows * mean / BLOCK_BYTES), 1)
            self._edges = np.arange(blocks + 1) * max(-(-self._bound // blocks), 1)
            self._edges[[0, -1]] = np.iinfo(np.int64).min, np.iinfo(np.int64).max
        self._held, self._bytes = [], 0
        for table, keys in _in_order(held):
            places = np.searchsorted(keys, self._edges).tolist()
            (whole,) = table.append_column(_KEY, pa.array(keys)).to_batches()
            with pa.OSFile(str(self._file(self._runs)), "wb") as file, pa.ipc.new_file(file, whole.schema) as out:
                for begin, end in pairwise(places):
                    out.write_batch(whole.slice(begin, end - begin))
            self._runs += 1

    def _file(self, run: int) -> Path:
        return self._folder / f"{run}.arrow"


_KEY = "\x00key"


def _in_order(parts: list[pa.Table]) -> Iterator[tuple[pa.Table, Ints]]:
    """Yield the rows of tables by rising keys, without that column, and these; at once unless they are too large."""
    size = sum(part.nbytes for part in parts)
    if not parts:
        return
    keys = [np.asarray(part[_KEY].to_numpy(), np.int64) for part in parts]
    low, high = min(int(each.min()) for each in keys), max(int(each.max()) for each in keys)
    if size > _MOST_BYTES and low < high:
        middle = (low + high) // 2
        for below in (True, False):
            chosen = [(each <= middle) == below for each in keys]
            yield from _in_order(
                [part.filter(pa.array(some)) for part, some in zip(parts, chosen, strict=True) if some.any()]
            )
        return
    table = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    order = np.argsort(np.concatenate(keys), kind="stable")
    yield table.drop_columns([_KEY]).take(pa.array(order)).combine_chunks(), np.concatenate(keys)[order]
