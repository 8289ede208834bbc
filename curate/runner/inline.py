"""A for loop over the shards: for debugging, and the oracle of the tests."""

from collections.abc import Iterator

from curate.runner.guarded import failure
from curate.shards import Phase, ShardReport


class Inline:
    """Runs every shard in this process, in order."""

    def run(self, phase: Phase) -> Iterator[ShardReport]:
        """Yield one report per shard; an exception becomes a failed report."""
        work = None
        for task in phase.tasks:
            try:
                work = work or phase.build()
                yield work(task, phase.prepare(task) if phase.prepare else None)
            except Exception as error:
                yield failure(task, error)

    def close(self) -> None:
        """Nothing is held."""


def open_runner(address: str | None = None, cpus: int | None = None) -> Inline:
    """Return the runner; it has no address and one CPU."""
    return Inline()
