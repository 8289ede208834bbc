"""A shard: a fixed, ordered slice of a dataset, the unit of work, of storage, of retry and of resume."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ShardInput:
    """Where the rows of one shard lie in the source's own files.

    `rows` is None where only reading tells (a tar). `offset` and `size` are bytes where the source can seek,
    `size` is None for "to the end of the file".
    """

    uri: str
    first_row: int = 0
    rows: int | None = None
    offset: int = 0
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Needs:
    """What one call of a phase takes of a machine: CPU cores and GPUs (a fraction is allowed)."""

    cpus: float = 1.0
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What became of one shard in one phase: its books when it is done, the reason when it failed.

    `alarm` says that what failed is outside, and that the other shards need not be tried.
    """

    dataset: str
    shard: int
    ok: bool
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard handed to one phase; `work` is whatever the phase's function wants to know."""

    dataset: str
    shard: int
    rows: int | None
    work: Any


@dataclass(frozen=True, slots=True)
class Phase:
    """One verb over its pending shards, as a runner sees it.

    `build()` is called once per worker and returns the function that takes (task, payload) to a report.
    `prepare(task)` may run elsewhere before it and makes the payload; None where there is nothing to prepare.
    Both must be picklable.
    """

    name: str
    tasks: tuple[ShardTask, ...]
    build: Callable[[], Callable[[ShardTask, Any], ShardReport]]
    prepare: Callable[[ShardTask], Any] | None = None
    needs: Needs = Needs()


def shard_name(shard: int) -> str:
    """Return the file stem of a shard: five digits or more, in order of the shard's number."""
    return f"{shard:05d}"
