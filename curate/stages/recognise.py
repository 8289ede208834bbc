"""Recognise: what tells the candidates of a mix from others, of one shard or one part of a file at a time."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from curate import schema
from curate.errors import ShardError
from curate.io import caches, tables
from curate.io.warehouse import Warehouse
from curate.plugins import Project
from curate.shards import ShardReport, ShardTask, shard_name
from curate.stages import file_parts, foreign
from curate.stages.candidates import Curated
from curate.stages.facts import FACTS, facts_of


@dataclass(frozen=True, slots=True)
class Recognising:
    """Where the facts of one component go, and where its candidates lie."""

    folder: str
    source: foreign.File | Curated
    project: Project


def build(config: Recognising) -> Callable[[ShardTask, Any], ShardReport]:
    """Return the function that writes FACTS of a shard or a part of a file; its work is the file of their lengths."""
    return partial(_recognise, config)


def _recognise(config: Recognising, task: ShardTask, payload: Any) -> ShardReport:
    started = time.monotonic()
    with closing(Warehouse(threads=1)) as root:
        found = [FACTS.empty_table()]
        for candidates in _candidates(config.source, task, root):
            found.append(facts_of(candidates, config.project, root))
    table = pa.concat_tables(found)
    if table.num_rows != task.rows:
        raise ShardError(f"{table.num_rows} candidates, {task.rows} were measured: run the mix again")
    caches.write(f"{config.folder}/{shard_name(task.shard)}.parquet", table, {})
    seconds = time.monotonic() - started
    return ShardReport(task.dataset, task.shard, True, table.num_rows, {"recognised": table.num_rows}, seconds)


def _candidates(source: foreign.File | Curated, task: ShardTask, root: Warehouse) -> Iterator[pa.Table]:
    """Yield the candidates in the order of their lengths; `root` gets the samples that derived ones are of."""
    if isinstance(source, Curated):
        root.add("all_samples", [source.layout.samples(task.shard)], schema.SAMPLES)
        yield from source.samples(task.shard)
    elif part := file_parts.stretch(tables.read_table(task.work, ("record_offset", "record_bytes"))):
        yield from foreign.samples(source, file_parts.Part(part.begin, part.end))
