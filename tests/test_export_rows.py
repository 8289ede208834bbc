"""Rows of an export: those of the plan, in its order, each with its own sample, however little is held at a time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Workshop

from curate import export_rows, mixture, schema
from curate.errors import ConfigError, ShardError
from curate.export_rows import of_job, of_mix
from curate.io import external_sort, tables
from curate.results import JobResult

Rows = list[dict[str, Any]]


def record(number: int) -> dict[str, Any]:
    turns = [{"from": "human", "value": f"what is {number}"}, {"from": "gpt", "value": "word " * (number % 9 + 1)}]
    return {"id": number, "conversations": turns}


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    extra = "".join(
        f"{workshop.url}/{picture}.jpg?{n}\ta large blue cat {n} by a tree\n" for n in range(5) for picture in (0, 1)
    )
    workshop.captions(count=4, shard_rows=5, extra=extra)
    workshop.write("jobs/mine.yaml", "from: tiny\naugment: [hflip]\n")
    workshop.write("theirs.json", json.dumps([record(number) for number in range(40)]))
    return workshop


def mixed(shop: Workshop, pack: str = "{length: 2048}") -> JobResult:
    parts = (
        "  mine: {from: mine, epochs: 2.5}\n  flipped: {from: mine, derived: hflip, epochs: 1.5}\n"
        f"  again: {{from: mine, merge: 2}}\n  theirs: {{from: {shop.folder}/theirs.json, epochs: 1.5}}\n"
    )
    if "placement" in pack:
        parts = parts.replace(", merge: 2", "")
    shop.write("jobs/mixed.yaml", f"mix:\n{parts}pack: {pack}\nlayout: {{ranks: 2, per_rank: 2}}\n")
    return shop.run("mixed").jobs[-1]


def expected(shop: Workshop, result: JobResult) -> Rows:
    """Return (component, sample, place of a record) of each member of each draw, put together by hand."""
    folder = Path(shop.root, "mixes/mixed", result.digest)
    files = [folder / "packs.parquet", *sorted(folder.glob("packs/*.parquet"))]
    rows = [row for file in files if file.exists() for row in pq.ParquetFile(file).read().to_pylist()]
    rows = [row for row in rows if row["pack"] is not None]
    rows.sort(key=lambda row: (row["step"], row["rank"], row["pack"], row["slot"]))
    return [
        {
            "component": row["component"],
            "drawn": row["sample_id"],
            "member": member,
            "record_offset": row["record_offset"],
        }
        for row in rows
        for member in row["members"] or [row["sample_id"]]
    ]


def check(shop: Workshop, result: JobResult) -> None:
    rows, wanted = list(of_mix(str(shop.root), result)), expected(shop, result)
    assert [{name: row[name] for name in wanted[0]} for row in rows] == wanted
    assert all((row["sample"] is None) == (row["component"] == "theirs") for row in rows)
    of_ours = [row for row in rows if row["sample"]]
    assert all(row["sample"].sample_id == row["member"] for row in of_ours)
    assert all(bool(row["augmented"]) == bool(row["sample"].transforms) for row in of_ours)
    assert {row["component"] for row in of_ours if row["augmented"]} == {"flipped"}


def test_rows_come_in_the_order_of_the_plan(shop: Workshop) -> None:
    check(shop, mixed(shop))


@pytest.mark.parametrize("pack", ["{length: 2048}", "{length: 2048, by: [placement]}"])
def test_rows_are_the_same_however_little_is_held(shop: Workshop, pack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.stages.place.SLICE_ROWS", 13)
    result = mixed(shop, pack)
    monkeypatch.setattr(export_rows, "AT_ONCE", 2)
    monkeypatch.setattr(external_sort, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(external_sort, "RUN_BYTES", 4000)
    monkeypatch.setattr(tables, "ROW_GROUP_ROWS", 5)
    check(shop, result)


def test_ids_of_one_key_are_told_apart(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    result = mixed(shop)
    keys_of = mixture.keys_of
    monkeypatch.setattr(mixture, "keys_of", lambda ids: keys_of(ids) % 3)
    check(shop, result)


def test_samples_that_are_gone_are_an_error(shop: Workshop) -> None:
    result = mixed(shop)
    file = Path(shop.root, "tiny/samples/00001.parquet")
    table = pq.ParquetFile(file).read()
    pq.write_table(table.slice(1).replace_schema_metadata(table.schema.metadata), file)
    with pytest.raises(ConfigError, match="packed from other samples"):
        list(of_mix(str(shop.root), result))


def less(table: pa.Table) -> pa.Table:
    return table.slice(1)


def without_jobs(table: pa.Table) -> pa.Table:
    return table.drop_columns(["job"])


def without_places(table: pa.Table) -> pa.Table:
    place = table.column_names.index("pack")
    return table.set_column(place, table.schema.field(place), pa.nulls(table.num_rows, pa.int32()))


def with_floats(table: pa.Table) -> pa.Table:
    return table.append_column("weight", pa.array(np.ones(table.num_rows)))


@pytest.mark.parametrize("edit", [less, without_jobs, without_places, with_floats])
@pytest.mark.parametrize("by", ["subset_sum", "placement"])
def test_a_plan_that_was_edited_is_no_plan(shop: Workshop, by: str, edit: Callable[[pa.Table], pa.Table]) -> None:
    result = mixed(shop, f"{{length: 2048, by: [{by}]}}")
    rows = {"subset_sum": "packs.parquet", "placement": "packs/00000.parquet"}[by]
    file = Path(shop.root, "mixes/mixed", result.digest, rows)
    pq.write_table(edit(pq.ParquetFile(file).read()), file)
    with pytest.raises(ShardError, match=f"{file.name} is not what was packed: curate doctor .* then curate run"):
        list(of_mix(str(shop.root), result))


def test_a_job_gives_what_it_kept_and_derived_in_order(shop: Workshop) -> None:
    result = shop.run("mine").jobs[-1]
    rows = list(of_job(str(shop.root), result))
    told = [(row["sample"].shard, row["sample"].row, bool(row["augmented"])) for row in rows]
    assert told == sorted(told) and len(told) == 24
    assert {row["component"] for row in rows} == {"mine"}
    stored = pa.concat_tables([pq.ParquetFile(file).read() for file in Path(shop.root, "tiny/samples").glob("*")])
    read = {sample.sample_id: sample for sample in schema.from_table(stored.select(list(export_rows.READ)))}
    assert all(row["sample"] == read[row["sample"].sample_id] for row in rows if not row["augmented"])
