"""Rows whose key an earlier shard of their dataset has: found over all shards, then marked as failed in their own.

Ids are made of keys, and everything behind ingest tells samples apart by their ids. Within a shard ingest sees to it.
"""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.errors import ShardError
from curate.io import tables
from curate.io.external_sort import ExternalSort
from curate.layout import Layout
from curate.sample import Sample, sample_id
from curate.shards import ShardReport, ShardTask
from curate.stages.commit import begin, tally

_BOUND = 1 << 62


def repeated(layout: Layout, rows: Mapping[int, int]) -> dict[int, tuple[int, ...]]:
    """Return shard → the rows of it whose id an earlier shard has, of committed shards, each with how many `rows`.

    Memory does not grow with their number: ids are sorted on disk.

    Raises:
        ShardError: a shard's table is damaged.
    """
    found: dict[int, list[int]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory(prefix="curate-") as folder,
        ExternalSort(Path(folder), _BOUND, sum(rows.values())) as ids,
    ):
        for shard in sorted(rows):
            high, low = _halves(layout.samples(shard), shard)
            place = {
                "high": high,
                "low": low,
                "shard": np.full(low.size, shard, np.uint64),
                "row": np.arange(low.size, dtype=np.uint64),
            }
            ids.add(pa.table(place), (high >> 2).astype(np.int64))
        for table, keys in ids.in_order():
            alike = np.append(keys[1:] == keys[:-1], False)
            alike[1:] |= alike[:-1]
            some = np.stack([np.asarray(table[name])[alike] for name in ("row", "shard", "low", "high")])
            row, shard, low, high = some[:, np.lexsort(some)]
            again = np.flatnonzero((high[1:] == high[:-1]) & (low[1:] == low[:-1])) + 1
            for each, number in zip(shard[again].tolist(), row[again].tolist(), strict=True):
                found[each].append(number)
    return {shard: tuple(sorted(numbers)) for shard, numbers in sorted(found.items())}


def build(layout: Layout) -> Callable[[ShardTask, Any], ShardReport]:
    """Return the function that marks rows of one shard; which ones is its work."""
    return partial(_mark, layout)


def _mark(layout: Layout, task: ShardTask, payload: Any) -> ShardReport:
    uri = layout.samples(task.shard)
    commit = begin(task, uri)
    rows: Container[int] = set(task.work)
    samples = schema.from_table(tables.read_table(uri))
    after = [_marked(sample) if number in rows else sample for number, sample in enumerate(samples)]
    failed = Counter(sample.error or "unknown" for sample in after if sample.status != "ok")
    return commit.write(schema.to_table(after), len(after), tally("ok", len(after), "failed", failed))


def _marked(sample: Sample) -> Sample:
    """Return a sample without its picture, under a key of its own."""
    key = f"{sample.source_key}#{sample.shard}/{sample.row}"
    return replace(
        sample,
        sample_id=sample_id(sample.dataset, key),
        source_key=key,
        status="failed",
        error="duplicate_key",
        error_detail=f"an earlier shard has the key {sample.source_key}"[:500],
        images=(),
    )


def _halves(uri: str, shard: int) -> npt.NDArray[np.uint64]:
    """Return both halves of the ids of a shard, (2, N).

    Raises:
        ShardError: the table is damaged, or of another shard.
    """
    try:
        table = tables.read_table(uri, ("sample_id", "shard"))
        if pc.any(pc.not_equal(table["shard"], shard)).as_py():
            raise ShardError(f"its rows are not of shard {shard}")
        ids = table["sample_id"].to_pylist()
        return np.frombuffer(bytes.fromhex("".join(ids)), ">u8").reshape(len(ids), 2).T.astype(np.uint64)
    except (ShardError, TypeError, ValueError) as error:
        raise ShardError(f"{uri} is damaged: {error}; curate doctor sets it aside, then run again") from error
