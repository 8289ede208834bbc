"""What a job made, or a mix drew, written for a trainer; once, however often it is asked for."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from itertools import repeat
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from curate import plugins, sample_columns, schema
from curate.errors import ConfigError, ShardError, nearest
from curate.export_job import Export
from curate.io import storage
from curate.io.records import read_json, write_json
from curate.io.warehouse import read_sql
from curate.layout import job_folder, mix_folder
from curate.plugins import Project, sql_report
from curate.results import JobResult
from curate.schema import digest_of
from curate.stages import foreign
from curate.stages.export import Exported, Writing, codec_of, export
from curate.views import open_root, runs_table

PLACED = (
    "component",
    "from_job",
    "augmented",
    "drawn",
    "length",
    "pack",
    "slot",
    "member",
    "record_offset",
    "record_bytes",
)
"""What a row says besides its sample, where its query tells it: where it is drawn from, and its place in the mix."""


def wanted(said: dict[str, Any]) -> Export:
    """Return what a command line says of an export.

    Raises:
        ConfigError: an option that no export has.
    """
    try:
        return Export.model_validate(said)
    except ValidationError as error:
        found = error.errors()[0]
        raise ConfigError(f"{found['msg']} (got {found['input']!r})", where=f"--{found['loc'][0]}") from error


def write_export(result: JobResult, wanted: Export, project: Project, root: str) -> tuple[str, dict[str, Any]]:
    """Export what a job made, unless the very same export stands; return its folder and its manifest.

    Raises:
        ConfigError: the root or a file has moved on since the mix was packed, or no record could be written.
    """
    identity = digest_of([result.digest, wanted.model_dump()])[:8]
    folder = f"{root.rstrip('/')}/exports/{result.job}/{wanted.as_}-{identity}"
    if not storage.exists(f"{folder}/manifest.json"):
        _write(result, wanted, project, root, folder)
    return folder, read_json(f"{folder}/manifest.json")


def export_last(
    name: str, wanted: Export, project: Project, root: str, partial: bool = False
) -> tuple[str, dict[str, Any]]:
    """Export what the last run of a job made under the root; return the export's folder and manifest.

    Raises:
        ConfigError: the job never ran there, or a plug-in is unknown.
        ShardError: shards of the job are missing, and `partial` does not allow for that.
    """
    rows = {row["job"]: row for row in runs_table(root).to_pylist() if row["latest"]}
    stem = Path(name).stem
    if stem not in rows:
        raise ConfigError(f'"{stem}" has no run under {root}', hint=nearest(stem, rows))
    row = rows[stem]
    if not row["complete"] and not partial:
        raise ShardError(f'shards of "{stem}" are missing: curate run {stem} again, or export with --partial')
    folder = {"mix": mix_folder, "curate": job_folder}[row["kind"]](root, stem)
    facts = read_json(f"{folder}/{row['digest']}/manifest.json").get("facts", {})
    named = ("job", "kind", "dataset", "digest", "decisions", "augmented", "complete")
    return write_export(JobResult(**{key: row[key] for key in named}, facts=facts), wanted, project, root)


def _write(result: JobResult, wanted: Export, project: Project, root: str, folder: str) -> None:
    exporter = plugins.load("exporters", wanted.as_, project)
    codec = plugins.load("codecs", codec_of(wanted, project), project)
    file = wanted.file or f"{result.job}{exporter.SUFFIX}"
    query = {"mix": "mixed_rows", "curate": "curated_rows"}[result.kind]
    key = {"mix": {"mix": result.job, "digest": result.digest}, "curate": {"job": result.job}}[result.kind]
    writing = Writing(exporter, codec, file, wanted.pictures, wanted.layout, wanted.phrases)
    for name, digest in result.facts.get("sha256", {}).items():
        if foreign.digest(result.facts["files"][name]["uri"]) != digest:
            raise ConfigError(f"the file of {name} has changed since it was packed", hint=f"curate run {result.job}")
    sized = bool(getattr(exporter, "SIZED", False))
    files = {
        name: foreign.Reading(foreign.File(**told), plugins.load("codecs", told["codec"], project), codec, sized)
        for name, told in result.facts.get("files", {}).items()
    }
    for name, reading in files.items() if getattr(exporter, "GROUNDED", False) else ():
        if plugins.load("codecs", reading.file.codec, project).FRAME != "none":
            what = f"{wanted.as_} writes boxes apart from the text, and the records of {name} have them in it"
            raise ConfigError(what, hint="another exporter; or ingest them, or codec: plain where they hold none")
    with closing(open_root(root, project)) as warehouse:
        rows = _rows(warehouse.batches(read_sql(sql_report(query, project)), key), result)
        written: Exported = export(root, rows, writing, folder, files)
    if written.left_out and not written.records:
        why = ", ".join(f"{reason} {count:,}" for reason, count in written.left_out.items())
        hint = f"name the folder of its pictures (images), or --codec {result.facts.get('written', 'asv2')}"
        raise ConfigError(f"{wanted.as_} could write no record: {why}", hint=hint if "no_size" in why else "")
    manifest = {
        "schema": "curate.export/1",
        "of": result.digest,
        **asdict(written),
        **wanted.model_dump(by_alias=True),
        "codec": codec_of(wanted, project),
        "pictures_in": {name: reading.file.images for name, reading in files.items() if reading.file.images},
    }
    write_json(f"{folder}/manifest.json", manifest)


def _rows(batches: Iterator[pa.Table], result: JobResult) -> Iterator[dict[str, Any]]:
    """Yield what each row says and its `sample`, None for a record of a file of others.

    Raises:
        ConfigError: at their end, when they are not as many as were packed.
    """
    count = 0
    for batch in batches:
        count += batch.num_rows
        names = [name for name in PLACED if name in batch.column_names]
        columns = [sample_columns.values(batch[name].combine_chunks()) for name in names]
        of_samples = "record_bytes" not in names or batch["record_bytes"].null_count
        samples = schema.from_table(batch) if of_samples else repeat(None)
        for sample, *told in zip(samples, *columns, strict=False):
            yield {"sample": sample, **dict(zip(names, told, strict=True))}
    if result.kind == "mix" and count != result.facts.get("rows", result.facts["samples"]):
        raise ConfigError(f"{result.job} was packed from other samples", hint=f"curate run {result.job}")
