"""The index of Megatron-Energon over WebDataset tars: where each sample and each of its members lies.

Tables and indices are those of NVIDIA/Megatron-Energon src/megatron/energon/flavors/webdataset/indexing.py (7.4).
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

_TABLES = """
create table samples (tar_file_id integer not null, sample_key text not null unique, sample_index integer not null,
                      byte_offset integer, byte_size integer);
create table sample_parts (tar_file_id integer, sample_index integer, part_name text,
                           content_byte_offset integer, content_byte_size integer);
"""
_INDICES = """
create index idx_samples_by_tar_and_idx on samples(tar_file_id, sample_index);
create index idx_sample_parts_seq on sample_parts(tar_file_id, sample_index, content_byte_offset);
create index idx_sample_parts_full
    on sample_parts(tar_file_id, sample_index, part_name, content_byte_offset, content_byte_size);
"""
_AT_ONCE = 4096


class SampleIndex:
    """Writes the index into a new file; holds some thousand rows."""

    def __init__(self, path: Path) -> None:
        # The file is of no use until it is whole: nothing needs to be undone or to survive a crash.
        self._base = sqlite3.connect(path, isolation_level=None)
        self._base.executescript("pragma journal_mode = off; pragma synchronous = off;" + _TABLES + "begin;")
        self._samples: list[tuple[int, str, int, int, int]] = []
        self._parts: list[tuple[int, int, str, int, int]] = []

    def add(
        self, tar: int, key: str, place: int, offset: int, size: int, parts: Iterable[tuple[str, int, int]]
    ) -> None:
        """Take a sample: tar by number, key, place in the tar, first byte and bytes with headers; parts with theirs."""
        self._samples.append((tar, key, place, offset, size))
        self._parts += [(tar, place, name, start, length) for name, start, length in parts]
        if len(self._samples) == _AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Write what is held, and the indices."""
        self._flush()
        self._base.executescript(_INDICES)  # ends the transaction first
        self._base.close()

    def _flush(self) -> None:
        self._base.executemany("insert into samples values (?, ?, ?, ?, ?)", self._samples)
        self._base.executemany("insert into sample_parts values (?, ?, ?, ?, ?)", self._parts)
        self._samples, self._parts = [], []
