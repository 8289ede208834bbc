"""Score one shard: what one version of one scorer measures of its good samples, stored beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate import plugins
from curate.digests import digest_of
from curate.errors import ShardError
from curate.io import tables
from curate.layout import Layout
from curate.plugins import Project
from curate.shards import ShardReport, ShardTask
from curate.stages.commit import begin, committed
from curate.stages.pictures import Pictures


@dataclass(frozen=True, slots=True)
class Score:
    """What scoring any shard of one dataset with one scorer takes."""

    layout: Layout
    scorer: str
    options: tuple[tuple[str, Any], ...]
    project: Project

    def folder(self) -> str:
        """Return the name of the scores: scorer and version, and a digest of the options where there are any."""
        version = plugins.load("scorers", self.scorer, self.project).VERSION
        suffix = f"-{digest_of(self.options)[:8]}" if self.options else ""
        return f"{self.scorer}-v{version}{suffix}"


def good_samples(layout: Layout, shard: int) -> pa.Table:
    """Return the samples of a shard that did not fail, in row order."""
    table = tables.read_table(layout.samples(shard))
    return table.filter(pc.equal(table["status"], "ok"))


def prepare(config: Score, task: ShardTask) -> Any:
    """Decode what the scorer wants to see of a shard: one bounded payload."""
    scorer = plugins.load("scorers", config.scorer, config.project)
    table = good_samples(config.layout, task.shard)
    with Pictures(config.layout.images(task.shard), table) as pictures:
        return scorer.prepare(table, pictures, scorer.Options(**dict(config.options)))


def build(config: Score) -> Callable[[ShardTask, Any], ShardReport]:
    """Build the scorer once, and return the function that scores a prepared shard with it."""
    scorer = plugins.load("scorers", config.scorer, config.project)
    built = scorer.Scorer(scorer.Options(**dict(config.options)))
    return partial(_score, config, config.folder(), tuple(scorer.COLUMNS), built)


def _score(
    config: Score, folder: str, columns: tuple[str, ...], scorer: Any, task: ShardTask, payload: Any
) -> ShardReport:
    commit = begin(task, config.layout.scores(folder, task.shard))
    samples = config.layout.samples(task.shard)
    ids = tables.read_table(samples, ["sample_id", "status"])
    ids = ids.filter(pc.equal(ids["status"], "ok"))
    measured = scorer.score(payload)
    wrong = set(measured) ^ set(columns) or {name for name in columns if len(measured[name]) != ids.num_rows}
    if wrong:
        raise ShardError(f"scorer {config.scorer} and its COLUMNS disagree about {', '.join(sorted(wrong))}")
    named = pa.array([folder] * ids.num_rows, pa.string())
    values = {name: pa.array(measured[name]) for name in columns}
    scored = pa.table({"sample_id": ids["sample_id"], "scores": named, **values})
    return commit.write(scored, ids.num_rows, {"scored": ids.num_rows}, committed(samples).content)
