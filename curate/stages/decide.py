"""Decide about one shard: every filter of a job, in SQL, over the samples and the scores beside them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.errors import ShardError
from curate.io import tables
from curate.io.warehouse import Warehouse
from curate.layout import Layout
from curate.shards import ShardReport, ShardTask
from curate.stages.commit import begin, tally
from curate.stages.score import good_samples


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter as it will run: its name in the job, its SQL and its parameters."""

    name: str
    sql: str
    parameters: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Decide:
    """What deciding about any shard of one dataset takes.

    `scores` maps relation names to folders of scores; `corpus` lists the samples files of the whole dataset,
    for filters that compare a sample with all others.
    """

    layout: Layout
    digest: str
    filters: tuple[Filter, ...]
    scores: tuple[tuple[str, str], ...]
    corpus: tuple[str, ...]


def build(config: Decide) -> Callable[[ShardTask, Any], ShardReport]:
    """Return the function that decides about one shard."""
    return partial(_decide, config)


def _decide(config: Decide, task: ShardTask, payload: Any) -> ShardReport:
    commit = begin(task, config.layout.decisions(config.digest, task.shard))
    samples = good_samples(config.layout, task.shard)
    warehouse = Warehouse(threads=1)
    warehouse.add("samples", samples, schema.SAMPLES)
    warehouse.add("corpus", config.corpus, schema.SAMPLES)
    for name, folder in config.scores:
        warehouse.add(name, [config.layout.scores(folder, task.shard)], pa.schema([]))
    verdicts = [_verdicts(config, place, warehouse, samples["sample_id"]) for place in range(len(config.filters))]
    warehouse.close()
    table = pa.concat_tables([schema.VERDICTS.empty_table(), *verdicts])
    return commit.write(table, samples.num_rows, _books(samples.num_rows, verdicts))


def _verdicts(config: Decide, place: int, warehouse: Warehouse, ids: pa.ChunkedArray) -> pa.Table:
    """Run one filter, and lay its verdicts in the order of the samples.

    Raises:
        ShardError: the filter does not give every sample exactly one verdict.
    """
    chosen = config.filters[place]
    found = warehouse.table(chosen.sql, dict(chosen.parameters)).select(["sample_id", "reason"])
    reasons = dict(zip(found["sample_id"].to_pylist(), found["reason"].to_pylist(), strict=True))
    expected = ids.to_pylist()
    if found.num_rows != len(expected) or reasons.keys() != set(expected):
        raise ShardError(f"filter {chosen.name} gave {found.num_rows} verdicts for {len(expected)} samples")
    size = len(expected)
    return pa.table(
        {
            "dataset": pa.array([config.layout.dataset] * size, pa.string()),
            "digest": pa.array([config.digest] * size, pa.string()),
            "sample_id": pa.array(expected, pa.string()),
            "filter": pa.array([chosen.name] * size, pa.string()),
            "place": pa.array([place] * size, pa.int32()),
            "reason": pa.array([reasons[name] for name in expected], pa.string()),
        },
        schema=schema.VERDICTS,
    )


def _books(size: int, verdicts: list[pa.Table]) -> dict[str, int]:
    """Count kept samples, and dropped ones by the reason of the first filter that dropped them."""
    first: list[str | None] = [None] * size
    for table in verdicts:
        first = [old or new for old, new in zip(first, table["reason"].to_pylist(), strict=True)]
    return tally("kept", size, "dropped", Counter(reason for reason in first if reason is not None))


def kept_samples(layout: Layout, digest: str, shard: int) -> pa.Table:
    """Return the good samples of a shard that no filter of `digest` dropped, in order."""
    good = good_samples(layout, shard)
    dropped = dropped_ids(tables.read_table(layout.decisions(digest, shard)))
    return good.filter(pa.array([name not in dropped for name in good["sample_id"].to_pylist()], pa.bool_()))


def dropped_ids(verdicts: pa.Table) -> set[str]:
    """Return the ids of the samples that some filter of a shard's verdicts dropped."""
    return set(verdicts.filter(pc.is_valid(verdicts["reason"]))["sample_id"].to_pylist())
