"""What a dataset will yield, told from a few random rows before the job: fetched as ingest does, and thrown away."""

import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate import checks, planning
from curate.catalog import load_catalog
from curate.io.fetch import FetchOptions
from curate.io.images import Limits
from curate.job import CurateJob
from curate.layout import Layout
from curate.plugins import Project
from curate.shards import ShardInput, ShardTask
from curate.stages import arrivals
from curate.stages.spool import Spool

SHARDS = 20
"""Rows are drawn from so many shards: each is read up to the last row that is drawn from it."""
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of the rows drawn: counts by cause, and the expected yield with its 95 % interval (Wilson 1927).

    `picture_bytes` is the mean size of a stored picture, `rows` what the catalog states of the whole.
    """

    dataset: str
    drawn: int
    ok: int
    causes: dict[str, int]
    low: float
    high: float
    picture_bytes: float
    seconds: float
    rows: int | None
    min_success: float

    @property
    def share(self) -> float:
        """The share of good rows among those drawn."""
        return self.ok / max(self.drawn, 1)

    @property
    def refused(self) -> bool:
        """Whether shards of this yield would be refused: even the best that the draw allows is too little."""
        return self.high < self.min_success


def probe_all(name: str, project: Project, rows: int) -> list[Probe]:
    """Probe every dataset that a job reads, or that the jobs of a mix read; errors as `probe` raises."""
    by_dataset = {each.from_: each for _, each in checks.in_order(name, project) if isinstance(each, CurateJob)}
    return [probe(each, project, rows) for each in by_dataset.values()]


def probe(job: CurateJob, project: Project, rows: int, seed: int = 0) -> Probe:
    """Fetch `rows` random rows of a job's dataset; nothing is kept.

    Of a shard whose length only reading tells (a tar) the first rows are taken.
    Raises ConfigError as a run does, OutsideError where a network or a store is down.
    """
    catalog = load_catalog(job.from_, project)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="curate-") as folder:
        plan = planning.draft(Layout(folder, job.from_), catalog, project, job.ingest, None)
        with Spool(Path(folder) / "spool", Limits(**job.ingest.model_dump())) as spool:
            drawn = [
                (task, arrivals.read((catalog.source, project), task, spool, wanted))
                for task, wanted in _drawn(job.from_, plan.shards, rows, random.Random(seed))
            ]
            everything = [each for _, some in drawn for each in some]
            arrivals.fetch(FetchOptions(**catalog.fetch.options()), everything, spool)
            sizes: list[int] = []
            samples = [sample for task, some in drawn for sample in arrivals.lay_out(task, some, spool, _count(sizes))]
    causes = Counter(sample.error or "unknown" for sample in samples if sample.status != "ok")
    ok = len(samples) - causes.total()
    low, high = wilson(ok, len(samples))
    mean = sum(sizes) / max(len(sizes), 1)
    seconds = time.monotonic() - begun
    told = dict(causes.most_common())
    return Probe(job.from_, len(samples), ok, told, low, high, mean, seconds, catalog.rows, catalog.min_success)


def wilson(ok: int, drawn: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, (0, 1) where nothing was drawn (Wilson 1927, eq. of the score interval)."""
    if drawn == 0:
        return 0.0, 1.0
    share, squared = ok / drawn, _Z * _Z
    middle = (share + squared / (2 * drawn)) / (1 + squared / drawn)
    half = _Z * math.sqrt(share * (1 - share) / drawn + squared / (4 * drawn * drawn)) / (1 + squared / drawn)
    return max(0.0, middle - half), min(1.0, middle + half)


def _drawn(
    dataset: str, shards: Sequence[ShardInput], rows: int, dice: random.Random
) -> Iterator[tuple[ShardTask, set[int]]]:
    """Yield shards with the rows to take of each; together `rows` where there are as many."""
    chosen = sorted(dice.sample(range(len(shards)), min(len(shards), SHARDS)))
    for place, shard in enumerate(chosen):
        share = rows // len(chosen) + (place < rows % len(chosen))
        part = shards[shard]
        length = share if part.rows is None else part.rows
        wanted = set(dice.sample(range(length), min(length, share)))
        if wanted:
            yield ShardTask(dataset, shard, max(wanted) + 1, part), wanted


def _count(sizes: list[int]) -> Callable[[Iterator[tuple[str, bytes]]], arrivals.Places]:
    """Return what takes pictures as a tar would, and keeps their sizes alone."""

    def nowhere(members: Iterator[tuple[str, bytes]]) -> arrivals.Places:
        places = [(name, 0, len(data)) for name, data in members]
        sizes.extend(size for _, _, size in places)
        return places

    return nowhere
