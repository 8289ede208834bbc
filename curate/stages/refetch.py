"""A second pass over a committed shard: rows that failed for a passing cause are tried again, the rest stays."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from curate import schema
from curate.errors import ShardError
from curate.io import storage, tables
from curate.io.fetch import may_pass
from curate.io.tar_growth import Place, extend_tar
from curate.sample import Sample
from curate.shards import ShardReport, ShardTask
from curate.stages import arrivals
from curate.stages.commit import Committed, begin, committed, tally
from curate.stages.ingest import Ingest
from curate.stages.spool import Spool

DAMAGED = "damaged"
"""The cause of a row whose stored picture is not what was stored; any next run tries it again."""


@dataclass(frozen=True, slots=True)
class Refetch:
    """What a second pass takes: all that ingest takes, and the causes of failure that are tried again."""

    ingest: Ingest
    causes: frozenset[str]


def curable(books: Committed, passing: bool) -> Counter[str]:
    """Count the rows of a shard that a second pass would try again, by cause; without `passing` damaged ones alone."""
    failed = {key.removeprefix("failed:"): count for key, count in books.counts.items() if key.startswith("failed:")}
    return Counter({code: n for code, n in failed.items() if code == DAMAGED or (passing and may_pass(code))})


def said(dataset: str, causes: Counter[str], shards: int) -> str:
    """Return how many rows a second pass will try again, and why they failed."""
    if not causes:
        return f"{dataset}: no row failed for a passing cause, nothing is fetched again"
    told = ", ".join(f"{code} {count}" for code, count in causes.most_common())
    return f"{dataset}: {causes.total()} rows in {shards} shard(s) are fetched again: {told}"


def build(config: Refetch) -> Callable[[ShardTask, Any], ShardReport]:
    """Return the function that makes the second pass over one shard."""
    return partial(_refetch, config)


def _refetch(config: Refetch, task: ShardTask, payload: Any) -> ShardReport:
    layout, ingest = config.ingest.layout, config.ingest
    commit = begin(task, layout.samples(task.shard))
    content = committed(layout.samples(task.shard)).content
    before = list(schema.from_table(tables.read_table(layout.samples(task.shard))))
    wanted = {sample.row: sample for sample in before if sample.error in config.causes}
    with tempfile.TemporaryDirectory(prefix="curate-") as folder:
        tar = Path(folder) / "images.tar"
        with Spool(Path(folder) / "spool", ingest.pictures) as spool:
            rows = arrivals.read((ingest.source, ingest.project), task, spool, wanted)
            # No alarm: rows that failed on the way before may all do so again.
            arrivals.fetch(replace(ingest.fetch, alarm=False), rows, spool)
            fresh = arrivals.lay_out(task, rows, spool, partial(_grow, tar, layout.images(task.shard), before))
        _same_rows(wanted, fresh, task)
        if committed(layout.samples(task.shard)).content != content:
            raise ShardError("another run changed this shard meanwhile; nothing was written, run again")
        # What was kept lies where it lay: until the table is there, too, the old one holds against the new tar.
        storage.put_file(tar, layout.images(task.shard))
    again = {sample.row: replace(sample, attempts=_attempts(sample, wanted[sample.row])) for sample in fresh}
    after = [again.get(sample.row, sample) for sample in before]
    failed = Counter(sample.error or "unknown" for sample in after if sample.status != "ok")
    return commit.write(schema.to_table(after), len(after), tally("ok", len(after), "failed", failed))


def _grow(tar: Path, uri: str, before: Iterable[Sample], members: Iterator[tuple[str, bytes]]) -> list[Place]:
    kept = {image.offset: (image.member, image.offset, image.size) for sample in before for image in sample.images}
    places = [kept[offset] for offset in sorted(kept)]
    if not places:
        return extend_tar(tar, None, (), members)
    try:
        with storage.open_read(uri) as old:
            return extend_tar(tar, old, places, members)
    except FileNotFoundError as error:
        raise ShardError(f"{uri} is missing: curate doctor marks its rows, then run again") from error


def _attempts(now: Sample, before: Sample) -> int | None:
    return None if now.attempts is None else now.attempts + (before.attempts or 0)


def _same_rows(wanted: dict[int, Sample], fresh: list[Sample], task: ShardTask) -> None:
    """Check that the source still has the rows that it had.

    Raises:
        ShardError: it has not; nothing was written.
    """
    if {sample.row: sample.sample_id for sample in fresh} != {row: each.sample_id for row, each in wanted.items()}:
        raise ShardError(f"the rows of {task.dataset}-{task.shard:05d} are not those that were ingested")
