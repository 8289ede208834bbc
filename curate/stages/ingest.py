"""Ingest one shard: read its rows, fetch their pictures, make them upright, commit the tar and then the table."""

import math
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from curate import schema
from curate.errors import ShardError
from curate.io import images, storage, tars
from curate.io.fetch import FetchOptions
from curate.layout import Layout
from curate.plugins import Project
from curate.sample import Sample
from curate.shards import Needs, ShardReport, ShardTask
from curate.stages import arrivals
from curate.stages.commit import begin, tally
from curate.stages.spool import Spool

NEEDS = Needs(cpus=0.5)
"""Half a CPU: a shard spends its end waiting for its slowest hosts, and another one can decode meanwhile."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """What ingesting any shard of one dataset takes; `task.work` is the shard's ShardInput."""

    layout: Layout
    source: str
    project: Project
    pictures: images.Limits
    fetch: FetchOptions
    min_success: float


def build(config: Ingest) -> Callable[[ShardTask, Any], ShardReport]:
    """Return the function that ingests one shard of a dataset."""
    return partial(_ingest, config)


def _ingest(config: Ingest, task: ShardTask, payload: Any) -> ShardReport:
    commit = begin(task, config.layout.samples(task.shard))
    with tempfile.TemporaryDirectory(prefix="curate-") as folder:
        with Spool(Path(folder) / "spool", config.pictures) as spool:
            rows = arrivals.read((config.source, config.project), task, spool)
            arrivals.fetch(config.fetch, rows, spool)
            samples = arrivals.lay_out(task, rows, spool, partial(tars.write_tar, Path(folder) / "images.tar"))
        failed = _judge(samples, config.min_success)
        storage.put_file(Path(folder) / "images.tar", config.layout.images(task.shard))
    return commit.write(schema.to_table(samples), len(samples), tally("ok", len(samples), "failed", failed))


def _judge(samples: list[Sample], min_success: float) -> Counter[str]:
    """Count the failures by cause.

    A share is judged by its error: two standard deviations below `min_success`, so that a shard of a few rows is
    not refused for one dead link.

    Raises:
        ShardError: too few rows succeeded; nothing was committed, so the next run tries the shard again.
    """
    failed = Counter(sample.error or "unknown" for sample in samples if sample.status != "ok")
    ok = len(samples) - failed.total()
    deviation = math.sqrt(len(samples) * min_success * (1 - min_success))
    if ok < min_success * len(samples) - 2 * deviation:
        causes = ", ".join(f"{code} {count}" for code, count in failed.most_common(3))
        hint = "; fetch.allow_hosts in the catalog lets them through" if failed["not_public"] else ""
        raise ShardError(f"{ok} of {len(samples)} rows ok, min_success is {min_success:g}: {causes}{hint}")
    return failed
