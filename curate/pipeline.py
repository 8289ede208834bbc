"""A job becomes an ordered list of phases: the jobs it draws from, its own, then its export and its record."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate import checks, planning
from curate.catalog import load_catalog
from curate.curation import Curation
from curate.driver import Driver, Where
from curate.errors import ConfigError
from curate.export_job import Export
from curate.exporting import write_export
from curate.io import storage
from curate.io.records import write_json
from curate.job import CurateJob, Job
from curate.layout import Layout, runs_folder, sound_root
from curate.mix_job import LISTS
from curate.mixes.mixing import Mixing
from curate.plugins import Project
from curate.results import JobResult, Listener, RunResult
from curate.stages.commit import committed
from curate.stages.refetch import curable


@dataclass(frozen=True, slots=True)
class Run:
    """What one run is asked to do: where its files go, how far, and by which means."""

    root: str
    project: Project
    where: Where
    limit: int | None = None
    retry: bool = False


def run(name: str, asked: Run, listener: Listener) -> RunResult:
    """Run a job, doing only what is not done yet; the record of the run is written last.

    Raises:
        ConfigError: a mistake in the job, or another plan under the root. Nothing ran.
        OutsideError: a store or Ray failed; what is committed is safe.
    """
    sound_root(asked.root)
    jobs_in_order = checks.in_order(name, asked.project)
    _check_lists(jobs_in_order, asked.root)
    started = time.monotonic()
    driver = Driver(asked.where, listener)
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{jobs_in_order[-1][0].stem}"
    jobs: list[JobResult] = []
    try:
        for path, each in jobs_in_order:
            jobs.append(_one(path.stem, each, asked, driver, tuple(jobs)))
            _record_job(asked.root, run_id, jobs[-1])
            jobs[-1] = _exported(jobs[-1], each.export, asked, listener)
    finally:
        driver.close()
    seconds = time.monotonic() - started
    result = RunResult(run_id, asked.root, tuple(jobs), tuple(driver.failed), driver.done, driver.resumed, seconds)
    record = {"schema": "curate.run/1", **asdict(result)}
    write_json(f"{runs_folder(asked.root)}/{run_id}/run.json", record)
    return result


def rehearse(name: str, asked: Run) -> tuple[dict[str, Any], ...]:
    """Say what `run` would ingest, dataset by dataset: shards, how many are done, and rows where known.

    Raises:
        ConfigError: as `run` does. Nothing is written.
    """
    told = []
    for path, job in checks.in_order(name, asked.project):
        if isinstance(job, CurateJob):
            layout = Layout(asked.root, job.from_)
            catalog = load_catalog(job.from_, asked.project)
            shards = planning.draft(layout, catalog, asked.project, job.ingest, asked.limit).shards
            done = storage.list_names(layout.samples(), ".parquet")
            rows = None if any(part.rows is None for part in shards) else sum(part.rows or 0 for part in shards)
            row = {"job": path.stem, "dataset": job.from_, "shards": len(shards), "done": len(done), "rows": rows}
            books = [committed(f"{layout.samples()}/{name}") for name in done]
            told.append({**row, "again": sum(curable(each, asked.retry).total() for each in books)})
    return tuple(told)


def _check_lists(jobs: Sequence[tuple[Path, Job]], root: str) -> None:
    """Raise ConfigError for a gate's benchmark that is not ingested by the time the gate asks for it."""
    ingested = set[str]()
    for path, job in jobs:
        if isinstance(job, CurateJob):
            ingested.add(job.from_)
            continue
        for place, said in enumerate(job.gate.against if job.gate else ()):
            if not said.endswith(LISTS) and said not in ingested and not storage.exists(Layout(root, said).plan):
                raise ConfigError(
                    f'"{said}" was never ingested under {root}',
                    file=str(path),
                    where=f"gate.against[{place}]",
                    hint=f"curate run a job that ingests {said} first",
                )


def _one(name: str, job: Job, asked: Run, driver: Driver, before: tuple[JobResult, ...]) -> JobResult:
    if isinstance(job, CurateJob):
        retry = asked.retry and job.from_ not in {each.dataset for each in before}  # once for each dataset
        return Curation(name, job, asked.project, Layout(asked.root, job.from_), driver).run(asked.limit, retry)
    return Mixing(name, job, asked.project, asked.root, before, driver).run()


def _exported(result: JobResult, wanted: Export | None, asked: Run, listener: Listener) -> JobResult:
    if wanted is None or not result.complete:
        return result
    folder, exported = write_export(result, wanted, asked.project, asked.root, listener)
    named = ("records", "left_out", "pictures_in")
    facts = {"folder": folder, **{name: exported.get(name, {}) for name in named}}
    return replace(result, facts={**result.facts, "export": facts})


def _record_job(root: str, run_id: str, result: JobResult) -> None:
    """Write which files a job's run stands for; the views find the last run of each job by it."""
    named = ("job", "kind", "dataset", "digest", "decisions", "augmented", "complete")
    row = {"run": run_id, **{name: getattr(result, name) for name in named}}
    write_json(f"{runs_folder(root)}/{run_id}/job-{result.job}.json", row)
