"""The commit of a shard: one Parquet file whose appearance says that it is done, with its books inside."""

import json
import time
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from curate import digests, schema
from curate.errors import ShardError
from curate.io import tables
from curate.shards import ShardReport, ShardTask


@dataclass(frozen=True, slots=True)
class Committed:
    """What a committed shard says of itself: the rows that went in, its counts, the digest of its content.

    `of` is the digest of the samples that it was made from, empty for samples themselves.
    """

    rows: int
    counts: dict[str, int]
    content: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """One shard on its way to its commit; `started_s` is on the monotonic clock."""

    task: ShardTask
    uri: str
    started_s: float

    def write(self, table: pa.Table, rows: int, counts: dict[str, int], of: str = "") -> ShardReport:
        """Write the table with its books in the metadata, and return the report."""
        metadata = {
            "curate.schema": str(schema.VERSION),
            "curate.rows": str(rows),
            "curate.counts": json.dumps(counts),
            "curate.content": digests.content_digest(table),
            "curate.of": of,
        }
        tables.write_table(self.uri, table, metadata)
        seconds = time.monotonic() - self.started_s
        return ShardReport(self.task.dataset, self.task.shard, True, rows, counts, seconds)


def begin(task: ShardTask, uri: str) -> Commit:
    """Start the clock of one shard."""
    return Commit(task, uri, time.monotonic())


def committed(uri: str) -> Committed:
    """Read the books of a committed shard from its footer alone.

    Raises:
        ShardError: the file is damaged or was not written by curate.
    """
    try:
        found = tables.read_metadata(uri)
    except ShardError as error:
        raise ShardError(f"{error}; curate doctor sets it aside, then run again") from error
    try:
        counts = {str(key): int(count) for key, count in json.loads(found["curate.counts"]).items()}
        return Committed(int(found["curate.rows"]), counts, found["curate.content"], found["curate.of"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ShardError(f"{uri} was not written by curate, or is damaged: {error!r} in its footer") from error


def tally(first: str, size: int, kind: str, causes: Counter[str]) -> dict[str, int]:
    """Return the counts of a shard: `first` is what remains of `size` after the causes, `kind:cause` the rest."""
    return {first: size - causes.total(), **{f"{kind}:{cause}": n for cause, n in sorted(causes.items())}}
