"""The driver of a run: it opens the runner only when there is work, and knows everything that went through it."""

import importlib
import time
from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from curate.errors import ConfigError, OutsideError, ShardError, nearest
from curate.io import storage
from curate.results import Listener
from curate.shards import Phase, ShardReport, ShardTask, shard_name

RUNNERS = ("ray", "inline")


@dataclass(frozen=True, slots=True)
class Where:
    """Where and how phases run: the runner's name, the address of a cluster, the CPUs of an embedded one."""

    runner: str = "ray"
    address: str | None = None
    cpus: int | None = None


@dataclass(slots=True)
class Driver:
    """Runs phases one after another; knows what failed, what was done and what had been done before.

    Raises ConfigError when there is no such runner.
    """

    where: Where
    listener: Listener
    failed: list[ShardReport] = field(default_factory=list)
    done: int = 0
    resumed: int = 0
    started_s: float = field(default_factory=time.monotonic)
    _runner: Any = None

    def __post_init__(self) -> None:
        if self.where.runner not in RUNNERS:
            raise ConfigError(f'unknown runner "{self.where.runner}"', hint=nearest(self.where.runner, RUNNERS))

    def run(self, phase: Phase, tasks: Sequence[ShardTask], folder: str, stale: Container[int] = ()) -> set[int]:
        """Run `phase` over the tasks whose file is not in `folder` yet, or stale; return all shards that are, then."""
        wanted = {f"{shard_name(task.shard)}.parquet": task for task in tasks}
        names = storage.list_names(folder, ".parquet")
        before = [name for name in names if name in wanted and wanted[name].shard not in stale]
        finished = {wanted.pop(name).shard for name in before}
        pending = tuple(wanted.values())
        rows = None if any(task.rows is None for task in pending) else sum(task.rows or 0 for task in pending)
        dataset = tasks[0].dataset if tasks else ""
        self.resumed += len(finished)
        self.listener.phase(phase.name, dataset, len(tasks), len(finished), rows)
        if not pending:
            return finished
        for report in self._open().run(replace(phase, tasks=pending)):
            self.listener.shard(report)
            if report.alarm:
                raise OutsideError(f"{report.dataset}-{report.shard:05d} {phase.name}: {report.error}")
            if report.ok:
                self.done += 1
                finished.add(report.shard)
            else:
                self.failed.append(replace(report, error=f"{phase.name}: {report.error}"))
        return finished

    def run_all(self, phase: Phase, tasks: Sequence[ShardTask], folder: str, stale: Container[int] = ()) -> None:
        """Run `phase` as `run` does, where all of it is needed.

        Raises:
            ShardError: some failed; the message has the first one's cause.
        """
        done = self.run(phase, tasks, folder, stale)
        if missing := [task for task in tasks if task.shard not in done]:
            name = missing[0].dataset
            said = next((each.error for each in self.failed if each.dataset == name), None)
            raise ShardError(f"{name}: {len(missing)} of {len(tasks)} parts failed: {said}")

    def listed(self, folder: str) -> set[int]:
        """Return the shards whose file is in a folder."""
        names = storage.list_names(folder, ".parquet")
        return {int(name.removesuffix(".parquet")) for name in names if name.removesuffix(".parquet").isdigit()}

    def close(self) -> None:
        """Close the runner where one was opened."""
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _open(self) -> Any:
        if self._runner is None:
            module = importlib.import_module(f"curate.runner.{self.where.runner}")
            self._runner = module.open_runner(self.where.address, self.where.cpus)
        return self._runner
