"""How an exception in a shard's work becomes a report, the same for every runner."""

import traceback

from curate.errors import AlarmError, CurateError
from curate.shards import ShardReport, ShardTask


def failure(task: ShardTask, error: Exception) -> ShardReport:
    """Return the report of a shard that raised; an error that is not ours keeps its last line of code."""
    if isinstance(error, CurateError):
        said = f"{type(error).__name__}: {error}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        place = f" at {frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
        said = f"{type(error).__name__}: {error}{place}"
    return ShardReport(
        task.dataset,
        task.shard,
        False,
        task.rows or 0,
        error=" ".join(said.split())[:1000],
        alarm=isinstance(error, AlarmError),
    )
