"""A job becomes an ordered list of phases: the jobs it draws from, its own, then its export and its record."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate import checks, planning, plugins
from curate.catalog import load_catalog
from curate.curation import Curation
from curate.driver import Driver, Where
from curate.errors import ConfigError, ShardError, nearest
from curate.io import storage
from curate.io.records import read_json, write_json
from curate.io.warehouse import read_sql
from curate.job import CurateJob, Export, Job, MixJob, component_job
from curate.layout import Layout, job_folder, mix_folder, runs_folder, sound_root
from curate.mixing import Mixing
from curate.plugins import Project, sql_report
from curate.results import JobResult, Listener, RunResult
from curate.schema import digest_of
from curate.stages.commit import committed
from curate.stages.export import Exported, Writing, export
from curate.stages.refetch import curable
from curate.views import open_root, runs_table


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
    path, job = checks.loaded(name, asked.project)
    started = time.monotonic()
    driver = Driver(asked.where, listener)
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{path.stem}"
    jobs: list[JobResult] = []
    try:
        for each_name, each in _in_order(path, job, asked.project):
            jobs.append(_one(each_name, each, asked, driver, tuple(jobs)))
            _record_job(asked.root, run_id, jobs[-1])
            jobs[-1] = _exported(jobs[-1], each.export, asked)
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
    for each_name, job in _in_order(*checks.loaded(name, asked.project), asked.project):
        if isinstance(job, CurateJob):
            layout = Layout(asked.root, job.from_)
            catalog = load_catalog(job.from_, asked.project)
            shards = planning.draft(layout, catalog, asked.project, job.ingest, asked.limit).shards
            done = storage.list_names(layout.samples(), ".parquet")
            rows = None if any(part.rows is None for part in shards) else sum(part.rows or 0 for part in shards)
            row = {"job": each_name, "dataset": job.from_, "shards": len(shards), "done": len(done), "rows": rows}
            books = [committed(f"{layout.samples()}/{name}") for name in done]
            told.append({**row, "again": sum(curable(each, asked.retry).total() for each in books)})
    return tuple(told)


def _in_order(path: Path, job: Job, project: Project) -> Iterator[tuple[str, Job]]:
    """Yield the jobs that a mix draws from, each once, and then the job itself."""
    if isinstance(job, MixJob):
        for name in dict.fromkeys(component_job(component.from_) for component in job.mix.values()):
            yield checks.loaded(name, project)[0].stem, checks.loaded(name, project)[1]
    yield path.stem, job


def _one(name: str, job: Job, asked: Run, driver: Driver, before: tuple[JobResult, ...]) -> JobResult:
    if isinstance(job, CurateJob):
        retry = asked.retry and job.from_ not in {each.dataset for each in before}  # once for each dataset
        return Curation(name, job, asked.project, Layout(asked.root, job.from_), driver).run(asked.limit, retry)
    return Mixing(name, job, asked.project, asked.root, before).run(driver.listener)


def _exported(result: JobResult, wanted: Export | None, asked: Run) -> JobResult:
    if wanted is None or not result.complete:
        return result
    folder, exported = write_export(result, wanted, asked)
    facts = {"folder": folder, "records": exported["records"], "left_out": exported["left_out"]}
    return replace(result, facts={**result.facts, "export": facts})


def write_export(result: JobResult, wanted: Export, asked: Run) -> tuple[str, dict[str, Any]]:
    """Export what a job made, unless the very same export stands; return its folder and its manifest.

    Raises:
        ConfigError: the root has moved on since the mix was packed.
    """
    identity = digest_of([result.digest, wanted.model_dump()])[:8]
    folder = f"{asked.root.rstrip('/')}/exports/{result.job}/{wanted.as_}-{identity}"
    if not storage.exists(f"{folder}/manifest.json"):
        _write(result, wanted, asked, folder)
    return folder, read_json(f"{folder}/manifest.json")


def export_last(name: str, wanted: Export, asked: Run, partial: bool = False) -> tuple[str, dict[str, Any]]:
    """Export what the last run of a job made under the root; return the export's folder and manifest.

    Raises:
        ConfigError: the job never ran there, or a plug-in is unknown.
        ShardError: shards of the job are missing, and `partial` does not allow for that.
    """
    rows = {row["job"]: row for row in runs_table(asked.root).to_pylist() if row["latest"]}
    stem = Path(name).stem
    if stem not in rows:
        raise ConfigError(f'"{stem}" has no run under {asked.root}', hint=nearest(stem, rows))
    row = rows[stem]
    if not row["complete"] and not partial:
        raise ShardError(f'shards of "{stem}" are missing: curate run {stem} again, or export with --partial')
    folder = {"mix": mix_folder, "curate": job_folder}[row["kind"]](asked.root, stem)
    facts = read_json(f"{folder}/{row['digest']}/manifest.json").get("facts", {})
    named = ("job", "kind", "dataset", "digest", "decisions", "augmented", "complete")
    return write_export(JobResult(**{key: row[key] for key in named}, facts=facts), wanted, asked)


def _write(result: JobResult, wanted: Export, asked: Run, folder: str) -> None:
    exporter = plugins.load("exporters", wanted.as_, asked.project)
    codec = plugins.load("codecs", wanted.codec, asked.project)
    file = wanted.file or f"{result.job}{exporter.SUFFIX}"
    query = {"mix": "mixed_rows", "curate": "curated_rows"}[result.kind]
    key = {"mix": {"digest": result.digest}, "curate": {"job": result.job}}[result.kind]
    warehouse = open_root(asked.root, asked.project)
    table = warehouse.table(read_sql(sql_report(query, asked.project)), key)
    warehouse.close()
    if result.kind == "mix" and table.num_rows != result.facts["samples"]:
        raise ConfigError(f"{result.job} was packed from other samples", hint=f"curate run {result.job}")
    rows = (row for batch in table.to_batches(max_chunksize=500) for row in batch.to_pylist())
    writing = Writing(exporter, codec, file, wanted.pictures, wanted.layout, wanted.phrases)
    written: Exported = export(asked.root, rows, writing, folder)
    manifest = {
        "schema": "curate.export/1",
        "of": result.digest,
        **asdict(written),
        **wanted.model_dump(by_alias=True),
    }
    write_json(f"{folder}/manifest.json", manifest)


def _record_job(root: str, run_id: str, result: JobResult) -> None:
    """Write which files a job's run stands for; the views find the last run of each job by it."""
    named = ("job", "kind", "dataset", "digest", "decisions", "augmented", "complete")
    row = {"run": run_id, **{name: getattr(result, name) for name in named}}
    write_json(f"{runs_folder(root)}/{run_id}/job-{result.job}.json", row)
