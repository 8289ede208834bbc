"""What a job made, or a mix drew, written for a trainer; once, however often it is asked for."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import count, islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from curate import plugins
from curate.digests import digest_of
from curate.errors import ConfigError, ShardError, nearest
from curate.export_job import Export
from curate.export_rows import Row, of_job, of_mix
from curate.io import storage
from curate.io.folders import count_pictures
from curate.io.records import EXPORTED, read_json, write_json
from curate.layout import job_folder, mix_folder
from curate.plugins import Project
from curate.results import JobResult, Listener, StageBooks
from curate.shards import ShardReport
from curate.stages import foreign
from curate.stages.export import Exported, Writing, codec_of, export
from curate.views import runs_table

HEARD_ROWS = 10_000
"""Rows of an export between two words of progress."""


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


def write_export(
    result: JobResult, wanted: Export, project: Project, root: str, listener: Listener | None = None
) -> tuple[str, dict[str, Any]]:
    """Export what a job made, unless the very same export stands; return its folder and its manifest.

    `listener` is told of every HEARD_ROWS rows.

    Raises:
        ConfigError: the root or a file has moved on since the mix was packed, or no record could be written.
    """
    files = result.facts.get("files", {})
    folders = {name: storage.absolute(told["images"]) for name, told in files.items() if told["images"]}
    seen = {images: count_pictures(images) for images in folders.values()} if _holds_pictures(wanted, project) else {}
    said = [each for each in (folders, seen) if each]
    identity = digest_of([result.digest, wanted.model_dump(), *said])[:8]
    folder = f"{root.rstrip('/')}/exports/{result.job}/{wanted.as_}-{identity}"
    if not _stands(folder):
        _write(result, wanted, project, root, folder, listener)
    return folder, read_json(f"{folder}/manifest.json")


def export_last(
    name: str,
    wanted: Export,
    project: Project,
    root: str,
    partial: bool = False,
    listener: Listener | None = None,
) -> tuple[str, dict[str, Any]]:
    """Export what the last run of a job made under the root, as `write_export`.

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
    facts = read_json(f"{folder}/{row['digest']}/manifest.json", {"facts": dict})["facts"]
    named = ("job", "kind", "dataset", "digest", "decisions", "augmented", "complete")
    books = tuple(StageBooks(**each) for each in facts.get("stages", ()))
    result = JobResult(**{key: row[key] for key in named}, books=books, facts=facts)
    return write_export(result, wanted, project, root, listener)


def _holds_pictures(wanted: Export, project: Project) -> bool:
    """Tell whether the pictures of others' files go into an export."""
    return wanted.pictures and getattr(plugins.load("exporters", wanted.as_, project), "INSIDE", False)


def _stands(folder: str) -> bool:
    """Tell whether an export is written and its trainer's files are still there, and whole."""
    if not storage.exists(f"{folder}/manifest.json"):
        return False
    sizes = read_json(f"{folder}/manifest.json", EXPORTED).get("bytes", {})
    return bool(sizes) and all(
        storage.exists(f"{folder}/{name}") and storage.size(f"{folder}/{name}") == size for name, size in sizes.items()
    )


def _write(
    result: JobResult, wanted: Export, project: Project, root: str, folder: str, listener: Listener | None
) -> None:
    exporter = plugins.load("exporters", wanted.as_, project)
    codec = plugins.load("codecs", codec_of(wanted, project), project)
    file = wanted.file or f"{result.job}{exporter.SUFFIX}"
    writing = Writing(exporter, codec, file, wanted.pictures, wanted.layout, wanted.phrases)
    files = _readings(result, writing, project)
    rows = {"mix": of_mix, "curate": of_job}[result.kind](root, result)
    if listener is not None:
        rows = _heard(rows, result, f"export {wanted.as_}", listener)
    written: Exported = export(root, rows, writing, folder, files)
    if written.left_out and not written.records:
        why = ", ".join(f"{reason} {count:,}" for reason, count in written.left_out.items())
        sized = "" if getattr(exporter, "GROUNDED", False) else f", or --codec {result.facts.get('written', 'asv2')}"
        hints = {"no_size": f"name the folder of its pictures (images){sized}", "no_picture": "--no-pictures"}
        hint = next((hints[reason] for reason in written.left_out if reason in hints), "")
        raise ConfigError(f"{wanted.as_} could write no record: {why}", hint=hint)
    inside = _holds_pictures(wanted, project)
    manifest = {
        "schema": "curate.export/1",
        "of": result.digest,
        **asdict(written),
        **wanted.model_dump(by_alias=True),
        "codec": codec_of(wanted, project),
        "counted_in": result.facts.get("written", ""),
        "pictures_in": {name: each.file.images for name, each in files.items() if each.file.images and not inside},
        "bytes": {name: storage.size(f"{folder}/{name}") for name in written.files},
    }
    write_json(f"{folder}/manifest.json", manifest)


def _readings(result: JobResult, writing: Writing, project: Project) -> dict[str, foreign.Reading]:
    """Return what reads each of a mix's files as the exporter wants it.

    Names of pictures stay relative where one folder has those of all components and a trainer is told of it.

    Raises:
        ConfigError: a file has changed since it was packed.
    """
    told = {name: foreign.File(**said) for name, said in result.facts.get("files", {}).items()}
    for name, digest in result.facts.get("sha256", {}).items():
        if foreign.digest(told[name].uri) != digest:
            raise ConfigError(f"the file of {name} has changed since it was packed", hint=f"curate run {result.job}")
    images = {storage.absolute(file.images) for file in told.values() if file.images}
    of_one = len(images) == 1 and set(result.facts["components"]) <= set(told)
    wants = {name: bool(getattr(writing.exporter, name, False)) for name in ("SIZED", "GROUNDED", "ROOTED", "INSIDE")}
    how = {
        "sized": wants["SIZED"],
        "grounded": wants["GROUNDED"],
        "rooted": wants["ROOTED"] or not of_one,
        "bundled": wants["INSIDE"] and writing.pictures,
    }
    return {
        name: foreign.Reading(file, plugins.load("codecs", file.codec, project), writing.codec, **how)
        for name, file in told.items()
    }


def _heard(rows: Iterator[Row], result: JobResult, what: str, listener: Listener) -> Iterator[Row]:
    """Yield the rows, and tell of them as they go by."""
    made = (each.rows_out for each in result.books if each.stage in ("filter", "augment"))
    total = result.facts.get("rows", result.facts["samples"]) if result.kind == "mix" else sum(made)
    listener.phase(what, result.job, max(-(-total // HEARD_ROWS), 1), 0, total)
    for part in count():
        began, seen = time.monotonic(), 0
        for row in islice(rows, HEARD_ROWS):
            seen += 1
            yield row
        if seen or not part:
            listener.shard(ShardReport(result.job, part, True, seen, seconds=time.monotonic() - began))
        if seen < HEARD_ROWS:
            return
