"""Draws of a mix as candidates of another: where each lies at last, and which samples it shows."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.errors import OutsideError
from curate.io import tables
from curate.kernels.packplan import ranks
from curate.stages import foreign, merge
from curate.stages.candidates import Curated
from curate.stages.merge import Groups

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DRAWS = pa.schema([*merge.CANDIDATES, *(schema.MIXED.field(name) for name in ("component", "job", "recipe", "draw"))])
"""One row per draw of a plan: what `merge.CANDIDATES` says, `picture` null, and what the draw is in that plan."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A job and one of its recipes, or a file, that draws are from: how MIXED calls it, its digest, where it lies.

    `lengths` are the files of the lengths of its samples, in order.
    """

    job: str
    recipe: str
    digest: str
    source: foreign.File | Curated
    lengths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """The samples of draws: `row`, (M,), of the sample, and `owner`, (M,), the number of the draw, which rises."""

    owner: Ints
    row: Ints

    def first(self) -> Ints:
        """Return the row of each draw's first sample."""
        return self.row[np.flatnonzero(np.diff(self.owner, prepend=-1))]


@dataclass(frozen=True)
class Drawn:
    """Draws of a mix, (N,): rows of `merge.CANDIDATES` and `mix.NESTED`, and what they show.

    `shown` counts the samples of all `leaves` through, one leaf's after another's.
    """

    table: pa.Table
    leaves: tuple[Leaf, ...]
    shown: Shown

    @cached_property
    def samples(self) -> Ints:
        """The rows of the samples that are drawn, (S,), each once, however often it is drawn."""
        return np.unique(self.shown.row)

    def gone(self, gone: Flags) -> Flags:
        """Return which samples, (S,), are in no draw but those that are `gone`, (N,)."""
        out = np.ones(self.samples.size, np.bool_)
        out[self._places[~gone[self.shown.owner]]] = False
        return out

    def verdicts(self, reasons: pa.Array) -> pa.Array:
        """Return why draws, (N,), may not be drawn, where `reasons`, (S,), tell it of samples.

        A conversation stays as it is merged: it is left out when one of its samples is contaminated, or when all of
        them are in the mix already.
        """
        owner, count = self.shown.owner, self.table.num_rows
        told = np.array(reasons.to_pylist(), object)[self._places]
        is_kept = np.array([reason is None for reason in told], np.bool_)
        out = np.full(count, None, object)
        out[owner[::-1]] = told[::-1]
        out[owner[is_kept]] = None
        out[owner[told == "contaminated"]] = "contaminated"
        return pa.array(out, pa.string())

    @cached_property
    def _places(self) -> Ints:
        return np.searchsorted(self.samples, self.shown.row)


def draws(files: Sequence[str]) -> pa.Table:
    """Return the draws of a plan, whose rows are in these files, as DRAWS, without what it leaves out.

    Raises:
        ShardError: a file is broken.
    """
    found = [DRAWS.empty_table()]
    for uri in files:
        rows = tables.read_table(uri, [name for name in DRAWS.names if name != "picture"])
        rows = rows.filter(pc.is_null(rows["reason"]))
        rows = rows.append_column("picture", pa.nulls(rows.num_rows, pa.string()))
        found.append(rows.select(DRAWS.names).cast(DRAWS))
    return pa.concat_tables(found).unify_dictionaries().combine_chunks()


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A file by its name in the mix that has it (`outer/inner` of one below that), or a job and one of its recipes."""

    name: str
    recipe: str
    is_file: bool


def origins(plan: pa.Table, files: Container[str]) -> list[tuple[Origin, Ints]]:
    """Return where draws are from, in order, and which rows of DRAWS; `files` are the names of the mix's files."""
    columns = [
        plan[name].cast(pa.string()).combine_chunks().dictionary_encode() for name in ("component", "job", "recipe")
    ]
    codes = np.zeros(plan.num_rows, np.int64)
    for column in columns:
        codes = codes * max(len(column.dictionary), 1) + np.asarray(column.indices, np.int64)
    _, first, which = np.unique(codes, return_index=True, return_inverse=True)
    told = zip(*(column.take(pa.array(first)).to_pylist() for column in columns), strict=True)
    found = [_origin(component, job, recipe, files) for component, job, recipe in told]
    names = sorted(set(found))
    number = np.array([names.index(each) for each in found], np.int64)[which]
    return [(each, np.flatnonzero(number == place)) for place, each in enumerate(names)]


def _origin(component: str, job: str, recipe: str, files: Container[str]) -> Origin:
    """Return where draws with these words are from; no job has a slash in its name, as files of mixes below have."""
    if component in files:
        return Origin(component, "", True)
    return Origin(job, recipe, "/" in job)


def shown(drawn: pa.Table, samples: pa.Table, name: str) -> Shown:
    """Return which rows of the samples of a leaf, called `name`, draws from it show.

    Raises:
        OutsideError: one of them is not there.
    """
    merged = pc.is_valid(drawn["members"]).to_numpy()
    sizes = np.asarray(pc.coalesce(pc.list_value_length(drawn["members"]), 1), np.int64)
    owner = np.repeat(np.arange(drawn.num_rows), sizes)
    alone, members = drawn["sample_id"].filter(pa.array(~merged)), pc.list_flatten(drawn["members"])
    ids = pa.chunked_array([*alone.chunks, *members.chunks], pa.string())
    rows = pc.index_in(ids, value_set=samples["sample_id"].combine_chunks())
    if rows.null_count:
        raise OutsideError(f"{rows.null_count:,} samples of {name} are not there any more: run the mix again")
    row = np.empty(owner.size, np.int64)
    row[np.argsort(merged[owner], kind="stable")] = rows.to_numpy()
    return Shown(owner, row)


def conversations(drawn: pa.Table, samples: pa.Table, shows: Shown) -> tuple[pa.Table, Groups, Ints]:
    """Return the conversations among draws, each once, as rows of `merge.CANDIDATES` with the lengths of their plan.

    And the samples that they are of, and which of the draws, (N,), is which of them, -1 for none.
    """
    which = np.full(drawn.num_rows, -1, np.int64)
    rows = np.flatnonzero(pc.is_valid(drawn["members"]))
    codes = np.asarray(drawn["sample_id"].take(pa.array(rows)).combine_chunks().dictionary_encode().indices, np.int64)
    which[rows] = codes
    once = rows[np.unique(codes, return_index=True)[1]]
    mine = np.isin(shows.owner, once)
    number = which[shows.owner[mine]]
    order = np.argsort(number, kind="stable")
    groups = Groups(shows.row[mine][order], number[order])
    table = drawn.select(merge.CANDIDATES.names).take(pa.array(once)).cast(merge.CANDIDATES)
    pictures = samples["picture"].take(pa.array(shows.first()[once]))
    return table.set_column(table.column_names.index("picture"), "picture", pictures), groups, which


def numbered(drawn: pa.Table, leaf: Ints) -> tuple[Ints, Ints]:
    """Return which of the draws of one sample each of DRAWS is, from 0 on, and how many those are, (N,) each.

    Draws of a sample are put in order of their `leaf`, (N,), component and draw: that of the rows does not matter.
    """
    ids = np.asarray(drawn["sample_id"].combine_chunks().dictionary_encode().indices, np.int64)
    names = drawn["component"].cast(pa.string()).combine_chunks().dictionary_encode()
    component = np.argsort(np.argsort(np.array(names.dictionary.to_pylist())))[np.asarray(names.indices, np.int64)]
    order = np.lexsort((np.asarray(drawn["draw"], np.int64), component, leaf))
    again = np.empty(ids.size, np.int64)
    again[order] = ranks(ids[order], int(ids.max(initial=-1)) + 1)
    return again, np.bincount(ids)[ids] if ids.size else ids
