"""Place one slice of a mix's candidates in packs and steps, by arithmetic: no other slice is looked at."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate.io import tables
from curate.kernels import placement
from curate.kernels.packing import Limits
from curate.kernels.packplan import ranks
from curate.layout import placed_file
from curate.shards import ShardReport, ShardTask
from curate.stages import merge, mix
from curate.stages.lengths import MEASURED

Ints = npt.NDArray[np.int64]

SLICE_ROWS = 1_000_000
"""Candidates that are placed at a time: some 700 MB of a worker's memory."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some files of lengths of one component, and its number; `before` (C,) counts its candidates in earlier slices."""

    part: mix.Part
    component: int
    files: tuple[str, ...]
    before: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Placing:
    """The central plan of one mix, and where its rows go."""

    folder: str
    mix: str
    digest: str
    limits: Limits
    shelves: placement.Shelves


@dataclass(frozen=True, slots=True)
class Census:
    """What is known of a slice's candidates that fit: the sizes that there are, how many of each, and all tokens."""

    sizes: Ints
    counts: Ints
    tokens: int


def slices(part: mix.Part, component: int, files: Sequence[str]) -> list[Slice]:
    """Return a component's files in order, so many together as hold SLICE_ROWS."""
    found: list[list[str]] = []
    rows = 0
    for file in files:
        here = tables.parquet_rows(file)
        if not found or rows + here > SLICE_ROWS:
            found.append([])
            rows = 0
        found[-1].append(file)
        rows += here
    return [Slice(part, component, tuple(names)) for names in found]


def census(what: Slice, limits: Limits) -> Census:
    """Return the census of a slice."""
    found = _candidates(what.files, limits, ("n_text_tok", "n_img_tok", "n_tiles", "reason"))
    usable = found.filter(pc.is_null(found["reason"]))
    sizes, counts = placement.counted(_sizes(usable, limits))
    return Census(sizes, counts, int(_tokens(usable).sum()))


def capacity(limits: Limits) -> Ints:
    """Return what a pack holds of each resource, (R,): tokens in units of `align`, tiles, samples."""
    full = [limits.tokens // limits.align, limits.tiles, limits.samples]
    return np.array([each for each in full if each is not None], np.int64)


def build(config: Placing) -> Callable[[ShardTask, Any], ShardReport]:
    """Return the function that places one slice, a shard's work."""
    return partial(_place, config)


def _place(config: Placing, task: ShardTask, payload: Any) -> ShardReport:
    started = time.monotonic()
    what: Slice = task.work
    shelves = config.shelves
    rows = merge.replaced(_candidates(what.files, config.limits))
    fits = pc.is_null(rows["reason"])
    usable, rest = rows.filter(fits), rows.filter(pc.invert(fits))
    klass = shelves.klass(_sizes(usable, config.limits))
    rank = np.array(what.before, np.int64)[klass] + ranks(klass, len(shelves.keys))
    sample, turn, pack, slot = shelves.place(what.component, klass, rank)
    step, lane, pack = shelves.stand(pack)
    order = np.lexsort((slot, pack))  # packs are numbered by step and rank
    drawn = mix.labelled(usable.take(pa.array(sample[order])), what.part, turn[order])
    left = mix.labelled(rest, what.part, np.zeros(rest.num_rows, np.int64))
    places = {"step": step[order], "rank": lane[order], "pack": pack[order], "slot": slot[order]}
    table = pa.concat_tables([mix.with_places(drawn, places), mix.with_places(left, {})])
    table = mix.as_mixed(table, config.mix, config.digest)
    tables.write_table(placed_file(config.folder, task.shard), table, {"curate.mix": config.digest})
    return ShardReport(
        task.dataset, task.shard, True, table.num_rows, {"drawn": len(sample)}, time.monotonic() - started
    )


def _candidates(files: Iterable[str], limits: Limits, columns: Sequence[str] = MEASURED) -> pa.Table:
    found = pa.concat_tables([tables.read_table(file, columns) for file in files])
    return mix.without_room(found, limits)


def _sizes(candidates: pa.Table, limits: Limits) -> Ints:
    """Return what each candidate takes of a pack's resources, (N, R)."""
    columns = [np.maximum(-(-_tokens(candidates) // limits.align), 1)]
    if limits.tiles is not None:
        columns.append(np.asarray(candidates["n_tiles"].to_numpy(), np.int64))
    if limits.samples is not None:
        columns.append(np.ones(candidates.num_rows, np.int64))
    return np.stack(columns, axis=1)


def _tokens(candidates: pa.Table) -> Ints:
    return np.asarray(pc.add(candidates["n_text_tok"], candidates["n_img_tok"]).to_numpy(), np.int64)
