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


class ExternalSort:
    """Sorts rows of tables of one schema by keys from 0 to `bound` - 1; what is equal keeps no order.

    The keys are cut into `blocks` ranges of one width. Runs of rows that fit in memory are sorted and written as one
    file each, a batch for each range; what all runs hold of a range is then read and sorted together. A context
    manager: at its end the files are gone.
    """

    def __init__(self, folder: Path, bound: int, blocks: int) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._width = max(-(-bound // max(blocks, 1)), 1)
        self._blocks = -(-bound // self._width)
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
            for block in range(self._blocks if runs else 0):
                parts = [pa.Table.from_batches([run.get_batch(block)]) for run in runs]
                yield _sorted([part for part in parts if part.num_rows] or parts[:1])

    def _write(self) -> None:
        table = pa.concat_tables([table for table, _ in self._held])
        keys = np.concatenate([keys for _, keys in self._held])
        self._held, self._bytes = [], 0
        table, keys = _sorted([table.append_column(_KEY, pa.array(keys))])
        table = table.append_column(_KEY, pa.array(keys))
        edges = np.searchsorted(keys, np.arange(self._blocks + 1) * self._width).tolist()
        (whole,) = table.to_batches()
        with pa.OSFile(str(self._file(self._runs)), "wb") as file, pa.ipc.new_file(file, table.schema) as out:
            for begin, end in pairwise(edges):
                out.write_batch(whole.slice(begin, end - begin))
        self._runs += 1

    def _file(self, run: int) -> Path:
        return self._folder / f"{run}.arrow"


_KEY = "\x00key"


def _sorted(parts: list[pa.Table]) -> tuple[pa.Table, Ints]:
    """Return the rows of tables by rising keys, without that column, and these."""
    table = pa.concat_tables(parts).unify_dictionaries().combine_chunks()
    keys = np.asarray(table[_KEY].to_numpy(), np.int64)
    order = np.argsort(keys, kind="stable")
    return table.drop_columns([_KEY]).take(pa.array(order)).combine_chunks(), keys[order]
