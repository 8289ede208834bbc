"""The door to Ray: shards as one-row blocks of a Ray Data stream; names move, pictures stay where they are.

A shard that raises is a row that says so. A shard that kills its worker is bounded by a ledger: Ray retries
system failures for ever, so an actor counts the attempts, and past the limit the shard is given up by name.
Planned minus reported is computed at the end, whatever Ray says.
"""

import functools
import logging
import os
import pickle
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # or each worker starts through `uv run`
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("RAY_task_oom_retries", "5")

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext

from curate.errors import ConfigError, OutsideError
from curate.runner.guarded import failure
from curate.shards import Phase, ShardReport, ShardTask

ATTEMPTS = 3
"""How often a shard may take its worker down before it is given up."""

STORE_BYTES = 512 * 2**20
"""The embedded object store: names and reports, and prepared payloads only where there are GPUs."""

KNOCK_S = 5.0
"""How long a cluster may take to answer at all."""

NO_PROGRESS_S = 3600
"""A stream in which no shard ends for this long is broken."""


class Ledger:
    """Counts the attempts at each half of each shard, beyond the life of any worker."""

    def __init__(self) -> None:
        self._starts: dict[tuple[str, str, int], int] = {}

    def start(self, half: str, dataset: str, shard: int) -> int:
        """Count one more attempt, and return how many there have been."""
        key = (half, dataset, shard)
        self._starts[key] = self._starts.get(key, 0) + 1
        return self._starts[key]


@functools.lru_cache(maxsize=2)
def _built(packed: bytes) -> tuple[Phase, Callable[[ShardTask, Any], ShardReport]]:
    """Unpack a phase and build its work: once per worker process."""
    # Libraries in Rust, such as tokenizers, would take every core: Ray tells the others of this worker's share.
    os.environ.setdefault("RAYON_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    phase: Phase = pickle.loads(packed)
    return phase, phase.build()


def _once(ledger: Any, half: str, task: ShardTask) -> None:
    """Count this attempt, or raise when the shard has killed its workers too often."""
    starts = ray.get(ledger.start.remote(half, task.dataset, task.shard))
    if starts > ATTEMPTS:
        raise RuntimeError(f"its worker died {ATTEMPTS} times")


def run_shard(batch: pa.Table, packed: bytes, ledger: Any) -> pa.Table:
    """Do a whole shard in one task: prepare it where there is something to prepare, then its work."""
    task: ShardTask = pickle.loads(batch["task"][0].as_py())
    try:
        _once(ledger, "run", task)
        phase, work = _built(packed)
        report = work(task, phase.prepare(task) if phase.prepare else None)
    except Exception as error:
        report = failure(task, error)
    return _row("report", report)


def prepare_shard(batch: pa.Table, packed: bytes, ledger: Any) -> pa.Table:
    """Do the first half of a shard on a CPU; a failure travels on in place of the payload."""
    task: ShardTask = pickle.loads(batch["task"][0].as_py())
    made: Any
    try:
        _once(ledger, "prepare", task)
        phase: Phase = pickle.loads(packed)
        made = phase.prepare(task) if phase.prepare else None
    except Exception as error:
        made = failure(task, error)
    return _row("prepared", (task, made))


class Worker:
    """Does the second half of shards, on a GPU; what it needs is built once."""

    def __init__(self, packed: bytes, ledger: Any) -> None:
        self._packed, self._ledger = packed, ledger

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Return the report of one prepared shard."""
        task, made = pickle.loads(batch["prepared"][0].as_py())
        if isinstance(made, ShardReport):
            return _row("report", made)
        try:
            _once(self._ledger, "work", task)
            report = _built(self._packed)[1](task, made)
        except Exception as error:
            report = failure(task, error)
        return _row("report", report)


def _row(name: str, value: Any) -> pa.Table:
    return pa.table({name: pa.array([pickle.dumps(value)], pa.large_binary())})


class RayRunner:
    """Runs the shards of a phase on a Ray cluster, or on one embedded in this process."""

    def __init__(self, temporary: str | None) -> None:
        self._temporary = temporary

    def run(self, phase: Phase) -> Iterator[ShardReport]:
        """Yield one report per shard, as they end.

        Raises:
            ConfigError: the cluster can never give what the phase needs.
            OutsideError: Ray itself failed; committed shards are safe and the next run goes on.
        """
        if not phase.tasks:
            return
        missing = {(task.dataset, task.shard): task for task in phase.tasks}
        try:
            for batch in _stream(phase).iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for packed in batch["report"].to_pylist():
                    report: ShardReport = pickle.loads(packed)
                    missing.pop((report.dataset, report.shard), None)
                    yield report
        except ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()
            raise OutsideError(
                f"Ray stopped with {len(missing)} shards to do: {said[-1] if said else error!r}"
            ) from error
        for task in missing.values():
            yield failure(task, OutsideError("Ray lost the shard without saying why"))

    def close(self) -> None:
        """Leave the cluster; an embedded one ends here."""
        if self._temporary is not None:
            ray.shutdown()
            shutil.rmtree(self._temporary, ignore_errors=True)


def _stream(phase: Phase) -> Any:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus = phase.needs.gpus if phase.prepare and resources.get("GPU", 0) > 0 else 0.0
    if phase.needs.cpus > resources.get("CPU", 0):
        raise ConfigError(
            f"phase {phase.name} needs {phase.needs.cpus:g} CPUs, the cluster has {resources.get('CPU', 0):g}"
        )
    rows = [{"task": pickle.dumps(task)} for task in phase.tasks]
    given = {
        "packed": pickle.dumps(phase),
        "ledger": ray.remote(num_cpus=0, max_restarts=-1)(Ledger).remote(),
    }
    data: Any = ray.data.from_items(rows, override_num_blocks=len(rows))
    common = {"batch_size": 1, "batch_format": "pyarrow", "num_cpus": phase.needs.cpus}
    if not gpus:
        return data.map_batches(run_shard, fn_kwargs=given, **common)
    prepared = data.map_batches(prepare_shard, fn_kwargs=given, **common)
    pool = ActorPoolStrategy(min_size=1, max_size=max(1, int(resources["GPU"] / gpus)))
    # Another CPU request keeps Ray from fusing the halves into the GPU actor.
    common |= {"num_gpus": gpus, "num_cpus": phase.needs.cpus / 2}
    return prepared.map_batches(Worker, fn_constructor_kwargs=given, compute=pool, **common)


def open_runner(address: str | None = None, cpus: int | None = None) -> RayRunner:
    """Connect to the cluster at `address` (or RAY_ADDRESS), or start one inside this process.

    Raises:
        OutsideError: there is no such cluster, or Ray does not start.
    """
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    temporary = None
    try:
        if ray.is_initialized():
            pass
        elif address or os.environ.get("RAY_ADDRESS"):
            _knock(address or os.environ["RAY_ADDRESS"])
            ray.init(address=address or "auto", log_to_driver=False)
        else:
            temporary = tempfile.mkdtemp(prefix="cur", dir="/tmp")  # socket paths allow 107 characters
            _embed(temporary, cpus)
    except (ConnectionError, RuntimeError, ValueError, OverflowError, OSError) as error:
        raise OutsideError(f"Ray at {address or os.environ.get('RAY_ADDRESS') or 'this machine'}: {error}") from error
    _settle(DataContext.get_current())
    return RayRunner(temporary)


def _knock(address: str) -> None:
    """Try a HOST:PORT first: Ray itself waits for minutes where nobody answers.

    Raises:
        OSError: nobody does.
    """
    found = re.fullmatch(r"(?:ray://)?(\[.+\]|[^:/]+):(\d+)", address)
    if found:
        socket.create_connection((found[1].strip("[]"), int(found[2])), timeout=KNOCK_S).close()


def _embed(temporary: str, cpus: int | None) -> None:
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=STORE_BYTES,
        _temp_dir=temporary,
        _system_config={"idle_worker_killing_time_threshold_ms": 600_000},
    )


def _settle(context: Any) -> None:
    context.target_max_block_size = None
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_errored_blocks = -1  # the rows that come back are compared with the plan
    context.execution_no_progress_timeout_s = NO_PROGRESS_S
