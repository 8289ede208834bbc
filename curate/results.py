"""What a run tells its caller: progress while it goes on, and the books at its end."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from curate.shards import ShardReport


class Listener(Protocol):
    """Who is told of the progress of a run; the console is one, a test another."""

    def phase(self, name: str, dataset: str, shards: int, done: int, rows: int | None) -> None:
        """A phase begins over `shards` shards, `done` of them committed earlier; `rows` are still to do."""

    def shard(self, report: ShardReport) -> None:
        """A shard ended."""

    def note(self, text: str) -> None:
        """Something to know before it begins."""


@dataclass(frozen=True, slots=True)
class StageBooks:
    """One row of the funnel: what went into a stage, what came out, what was lost and why."""

    dataset: str
    stage: str
    rows_in: int
    rows_out: int
    lost: dict[str, int]

    def balanced(self) -> bool:
        """Whether in = out + lost; an augmentation, which makes rows, always is (its children are counted apart)."""
        return self.rows_in == self.rows_out + sum(self.lost.values())


@dataclass(frozen=True, slots=True)
class JobResult:
    """What one job of a run came to; `digest` names its output, `complete` says that no shard is missing."""

    job: str
    kind: str
    dataset: str
    digest: str
    decisions: str
    augmented: str
    complete: bool
    books: tuple[StageBooks, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a whole run came to: its jobs in order, the shards that failed, and whether anything was done."""

    run: str
    root: str
    jobs: tuple[JobResult, ...]
    failed: tuple[ShardReport, ...]
    shards_done: int
    shards_resumed: int
    seconds: float

    def ok(self) -> bool:
        """Whether every shard is committed and every book balances."""
        books = all(books.balanced() for job in self.jobs for books in job.books)
        return books and not self.failed and all(job.complete for job in self.jobs)
