"""Rows sorted on disk: the same rows by rising keys, however they come, in the memory of one run."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.io import external_sort
from curate.io.external_sort import ExternalSort


def table(values: list[int]) -> pa.Table:
    rows = [{"n": value, "word": f"w{value % 3}", "boxes": [{"x": float(value)}] * (value % 4)} for value in values]
    kinds = [("n", pa.int64()), ("word", pa.string()), ("boxes", pa.list_(pa.struct([("x", pa.float64())])))]
    return pa.Table.from_pylist(rows, schema=pa.schema(kinds))


@given(
    st.lists(st.lists(st.integers(0, 1999), max_size=40), max_size=8),
    st.sampled_from([1, 30, 500, 1 << 20]),
    st.sampled_from([1, 2000, 1 << 20]),
    st.sampled_from([1, 300, 1 << 20]),
)
def test_rows_come_by_rising_keys(parts: list[list[int]], block: int, run: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(external_sort, "RUN_BYTES", run)
        patch.setattr(external_sort, "BLOCK_BYTES", block)
        patch.setattr(external_sort, "_MOST_BYTES", most)
        with ExternalSort(Path(folder), 1000, sum(map(len, parts))) as rows:
            for part in parts:
                rows.add(table(part), np.array(part, np.int64))
            found, again = list(rows.in_order()), list(rows.in_order())
    keys = [key for _, keys in found for key in keys.tolist()]
    assert keys == sorted(key for part in parts for key in part)
    assert [row["n"] for each, _ in found for row in each.to_pylist()] == keys
    assert all(row["boxes"] == [{"x": row["n"]}] * (row["n"] % 4) for each, _ in found for row in each.to_pylist())
    assert all(row["word"] == f"w{row['n'] % 3}" for each, _ in found for row in each.to_pylist())
    assert [keys.tolist() for _, keys in again] == [keys.tolist() for _, keys in found]


def test_it_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_sort, "RUN_BYTES", 1)
    monkeypatch.setattr(external_sort, "BLOCK_BYTES", 1)
    with ExternalSort(tmp_path, 10, 3) as rows:
        for key in (7, 3, -5):
            rows.add(table([key]), np.array([key]))
        assert not list(tmp_path.iterdir())
        assert [keys.tolist() for _, keys in rows.in_order()] == [[-5], [3], [7]]
