"""Lists of the pictures that a benchmark tests on, from files of any form or from an ingested dataset."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import ConfigError, ShardError
from curate.grounding.picture_ids import Space, numbered
from curate.io import coco_files, json_stream, storage, tables
from curate.io.warehouse import Warehouse
from curate.plugins import Project
from curate.stages.facts import facts_of, gate_sql

EVALS = pa.schema([(name, pa.string()) for name in ("picture_id", "url", "sha256", "phash")])
"""One row per thing that is known of a picture of a benchmark; what a row does not say is null."""

NAMES = ("picture_id", "image_id", "file_name", "image", "image_path", "img_path", "filename")
"""Columns that may hold a picture's name or number."""
URLS = ("url", "image_url", "coco_url", "flickr_url")
COLUMNS = (*NAMES, *URLS, "sha256", "phash")

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_PHASH = re.compile(r"[0-9a-fA-F]{16}")
_FLOAT = re.compile(r"^([0-9]{1,12})\.0+$")
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class EvalList:
    """The pictures of one benchmark: `table` has schema EVALS; `rows` were read, `unusable` of them say nothing."""

    name: str
    table: pa.Table
    rows: int
    unusable: int


def eval_list_of_dataset(warehouse: Warehouse, dataset: str, project: Project, name: str = "") -> EvalList:
    """Return what is known of the pictures of an ingested dataset, failed rows included.

    `warehouse` has the relation `all_samples`.

    Raises:
        ConfigError: the dataset has no rows, or none that tells a picture.
    """
    samples = warehouse.table(gate_sql("dataset", project), {"dataset": dataset})
    facts = facts_of(samples, project, warehouse)
    parts = (("ids", "picture_id"), ("urls", "url"), ("origins", "sha256"), ("hashes", "phash"))
    found = [(column, pc.list_flatten(facts[source].combine_chunks())) for source, column in parts]
    rows = [
        pa.table({each: values if each == column else pa.nulls(len(values), pa.string()) for each in EVALS.names})
        for column, values in ((column, values.filter(pc.is_valid(values)).unique()) for column, values in found)
    ]
    told = [pc.list_value_length(facts[source]).to_numpy(zero_copy_only=False) for source, _ in parts]
    unusable = int((sum(told) == 0).sum()) if facts.num_rows else 0
    hint = f"curate run a job that ingests {dataset} first"
    return _checked(EvalList(name or dataset, pa.concat_tables(rows), facts.num_rows, unusable), dataset, hint)


def eval_list_of_file(uri: str, name: str = "", ids: Space | None = None) -> EvalList:
    """Return what a file tells of a benchmark's pictures: Parquet, CSV, TSV, JSON, JSON Lines or COCO's instances.

    Columns of COLUMNS count, others do not matter; `image` may be a list. A bare number in `picture_id` or `image_id`
    means a picture of the collection `ids`, and nothing without it. A row is unusable that names no picture for sure.

    Raises:
        ConfigError: no such file, a damaged one, another form, or no row that tells a picture.
    """
    parts: list[pa.Table] = []
    batch: list[dict[str, str]] = []
    rows = unusable = 0
    try:
        for record in _records(uri):
            rows += 1
            told = _told(record, ids)
            unusable += not told
            batch += told
            if len(batch) >= _BATCH:
                parts.append(pa.Table.from_pylist(batch, schema=EVALS))
                batch = []
    except FileNotFoundError:
        raise ConfigError("no such file", file=uri) from None
    except ShardError as error:
        raise ConfigError(str(error), file=uri) from error
    parts.append(pa.Table.from_pylist(batch, schema=EVALS))
    hint = f"one of the columns {', '.join(COLUMNS)}; bare numbers need ids: coco, vg, flickr30k or sa"
    return _checked(EvalList(name or _stem(uri), pa.concat_tables(parts), rows, unusable), uri, hint)


def _checked(found: EvalList, place: str, hint: str) -> EvalList:
    if not found.table.num_rows:
        raise ConfigError(f"{found.rows} rows, none of which tells a picture", file=place, hint=hint)
    return found


def _stem(uri: str) -> str:
    return PurePosixPath(uri.replace("\\", "/")).name.partition(".")[0]


def _records(uri: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a file, by how its name ends."""
    suffix = PurePosixPath(uri).suffix.lower()
    if suffix == ".parquet":
        columns = [name for name in tables.column_names(uri) if name in COLUMNS]
        return tables.iter_rows(uri, 0, tables.parquet_rows(uri), columns)
    if suffix in (".csv", ".tsv"):
        return _lines(uri, "," if suffix == ".csv" else "\t")
    if suffix not in (".json", ".jsonl"):
        raise ConfigError(
            f"a list of pictures does not end in {suffix!r}", file=uri, hint=".parquet .csv .tsv .json .jsonl"
        )
    return iter(coco_files.read(uri).images.values()) if coco_files.is_instances(uri) else _objects(uri)


def _lines(uri: str, mark: str) -> Iterator[Mapping[str, Any]]:
    with storage.open_read(uri) as stream:
        reader = csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), delimiter=mark)
        try:
            yield from reader
        except (csv.Error, UnicodeDecodeError) as error:
            raise ConfigError(f"not a sound table: {error}", file=uri, where=f"line {reader.line_num}") from error


def _objects(uri: str) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a JSON file; of one object that has `images`, those."""
    for found in json_stream.records(uri):
        if found.error is not None:
            raise ConfigError(f"record {found.index}, at byte {found.offset}: {found.error}", file=uri)
        record = found.record if isinstance(found.record, dict) else {}
        images = record.get("images")
        inner = images if isinstance(images, list) and not any(name in record for name in COLUMNS) else [record]
        for each in inner:
            yield each if isinstance(each, dict) else {}


def _told(record: Mapping[str, Any], ids: Space | None) -> list[dict[str, str]]:
    """Return the rows of EVALS that a row of a file makes."""
    told: list[dict[str, str]] = []
    for column in NAMES:
        value = record.get(column)
        space = ids if column in ("picture_id", "image_id") else None
        for each in value if isinstance(value, list) else [value]:
            known = numbered(_whole(each), space)
            told += [{"picture_id": known}] if known else []
    for column in URLS:
        value = record.get(column)
        if isinstance(value, str) and value.strip():
            known = numbered(value)
            told += [{"url": _storable(value.strip()), **({"picture_id": known} if known else {})}]
    for column, form in (("sha256", _SHA256), ("phash", _PHASH)):
        value = record.get(column)
        if isinstance(value, str) and form.fullmatch(value.strip()):
            told.append({column: value.strip().lower()})
    return told


def _whole(value: object) -> Any:
    """Return a number of a picture without the `.0` that a table writes where another row of the column has none."""
    if isinstance(value, str):
        return _FLOAT.sub(r"\1", value.strip())
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _storable(text: str) -> str:
    """Return a text that UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
