"""What an export writes, row by row in its order: what a job made, or what a mix drew. Memory does not grow with it.

Samples lie in the order of their shards, and a mix draws them in another: they are sorted on disk, in a temporary
folder, which takes as much room as they do.
"""

import math
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate import mixture, schema
from curate.errors import ConfigError
from curate.io.external_sort import RUN_BYTES, ExternalSort
from curate.layout import Layout, mix_folder
from curate.mixes.plan_rows import COLUMNS, PlanRows
from curate.results import JobResult
from curate.sample import Sample
from curate.sample_columns import values
from curate.stages.candidates import Curated
from curate.views import runs_table

Ints = npt.NDArray[np.int64]
Row = dict[str, Any]
Leaf = tuple[str, str]
"""A job, and the recipe of what it derived, "" for what it kept."""

READ = (
    *("sample_id", "dataset", "shard", "row", "source_key", "transforms", "affine", "images"),
    *("text", "conversations", "regions", "relations", "source_meta"),
)
"""Columns of a sample that exporters read."""

AT_ONCE = 800
"""Tables of a plan whose samples are sorted at a time: some 8 M draws, which take 16 bytes of memory each."""

_NONE: tuple[float, Any] = (math.inf, None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Samples of one leaf that are drawn: the keys of their ids, rising, and the row of the plan of each, (N,)."""

    keys: mixture.Keys
    row: Ints

    def of(self, table: pa.Table) -> Iterator[tuple[pa.Table, Ints]]:
        """Yield those rows of a table of samples that are drawn, as often as they are, and the plan's row of each.

        No more at a time than RUN_BYTES hold, or one.
        """
        keys = mixture.keys_of(table["sample_id"].to_pylist())
        first, end = (np.searchsorted(self.keys, keys, side) for side in ("left", "right"))
        times = end - first
        before = np.cumsum(times) - times
        place = np.arange(times.sum()) + np.repeat(first - before, times)
        index = np.repeat(np.arange(times.size), times)
        step = max(RUN_BYTES * table.num_rows // max(table.nbytes, 1), 1)
        for begin in range(0, index.size, step):
            yield table.take(pa.array(index[begin : begin + step])), self.row[place[begin : begin + step]]


def of_job(root: str, result: JobResult) -> Iterator[Row]:
    """Yield what a job kept and derived, in order of shards, rows and recipes: `sample`, `component`, `augmented`."""
    made = Curated(Layout(root, result.dataset), result.decisions, result.augmented, "")
    for shard in made.shards():
        kept, children = made.table(shard), made.children(shard).select([*READ, "recipe"])
        kept = kept.select(list(READ)).append_column("recipe", pa.array([""] * kept.num_rows, pa.string()))
        table = pa.concat_tables([kept, children])
        table = table.sort_by([("row", "ascending"), ("recipe", "ascending"), ("sample_id", "ascending")])
        for recipe, sample in zip(table["recipe"].to_pylist(), schema.from_table(table), strict=True):
            yield {"sample": sample, "component": result.job, "augmented": result.augmented if recipe else None}


def of_mix(root: str, result: JobResult) -> Iterator[Row]:
    """Yield what a mix drew in order of steps, ranks, packs and slots: `plan_rows.COLUMNS`, `augmented`, and the
    `sample`, None for a record of a file of others.

    Raises:
        ConfigError: at their end, when they are not as many as were packed.
    """
    count = 0
    made = {run["job"]: run for run in runs_table(root).to_pylist() if run["latest"]}
    with tempfile.TemporaryDirectory(prefix="curate-") as folder:
        plan = PlanRows(f"{mix_folder(root, result.job)}/{result.digest}", result.facts, Path(folder))
        ahead, behind = plan.tables(), plan.tables()
        while True:
            rows, wanted = _wanted(islice(ahead, AT_ONCE))
            if not rows:
                break
            with ExternalSort(Path(folder), rows, rows) as samples:
                for (job, recipe), draws in wanted.items():
                    for table in _made(root, made[job], recipe) if job in made else ():
                        for some, places in draws.of(table):
                            samples.add(some, places)
                for row in _joined(islice(behind, AT_ONCE), _numbered(samples)):
                    row["augmented"] = made[row["job"]]["augmented"] if row["recipe"] else None
                    yield row
                    count += 1
    if count != result.facts.get("rows", result.facts["samples"]):
        raise ConfigError(f"{result.job} was packed from other samples", hint=f"curate run {result.job}")


def _made(root: str, run: Mapping[str, Any], recipe: str) -> Iterator[pa.Table]:
    """Yield what the run of a job kept, or derived by a recipe, shard by shard."""
    source = Curated(Layout(root, run["dataset"]), run["decisions"], run["augmented"], recipe)
    for shard in source.shards():
        yield source.table(shard).select(list(READ))


def _wanted(plan: Iterable[pa.Table]) -> tuple[int, dict[Leaf, Wanted]]:
    """Return how many rows a part of a plan has, and the samples that it draws from each leaf."""
    rows = 0
    keys: dict[Leaf, list[mixture.Keys]] = defaultdict(list)
    places: dict[Leaf, list[Ints]] = defaultdict(list)
    for table in plan:
        row = rows + np.arange(table.num_rows)
        rows += table.num_rows
        of_sample = pc.is_null(table["record_bytes"])
        leaves = table.select(["job", "recipe"]).group_by(["job", "recipe"]).aggregate([])
        for job, recipe in zip(*(column.to_pylist() for column in leaves.columns), strict=True):
            here = pc.and_(pc.and_(pc.equal(table["job"], job), pc.equal(table["recipe"], recipe)), of_sample)
            keys[job, recipe].append(mixture.keys_of(table["member"].filter(here).to_pylist()))
            places[job, recipe].append(row[here.to_numpy()])
    return rows, {leaf: _in_order(np.concatenate(keys[leaf]), np.concatenate(places[leaf])) for leaf in keys}


def _in_order(keys: mixture.Keys, row: Ints) -> Wanted:
    order = np.argsort(keys, kind="stable")
    return Wanted(keys[order], row[order])


def _numbered(samples: ExternalSort) -> Iterator[tuple[int, Sample]]:
    """Yield the samples in order of the rows of the plan that draw them, with these."""
    for table, row in samples.in_order():
        yield from zip(row.tolist(), schema.from_table(table), strict=True)


def _joined(plan: Iterable[pa.Table], samples: Iterator[tuple[int, Sample]]) -> Iterator[Row]:
    """Yield the rows of a part of a plan, each with its sample; one whose sample is not there any more is left out."""
    number = -1
    place, sample = next(samples, _NONE)
    for table in plan:
        columns = [values(table[name].combine_chunks()) for name in COLUMNS]
        for told in zip(*columns, strict=True):
            number += 1
            row = dict(zip(COLUMNS, told, strict=True))
            row["sample"] = None
            while place <= number:
                if place == number and sample.sample_id == row["member"]:  # keys of two ids may be one
                    row["sample"] = row["sample"] or sample
                place, sample = next(samples, _NONE)
            if row["sample"] is not None or row["record_bytes"] is not None:
                yield row
