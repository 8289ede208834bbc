"""The rows of a frozen plan, all of them in order, samples that are merged in one draw each by itself."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.errors import ShardError
from curate.io import storage, tables
from curate.io.external_sort import ExternalSort
from curate.io.records import MANIFEST, read_json

Ints = npt.NDArray[np.int64]

COLUMNS = ("component", "job", "recipe", "drawn", "length", "pack", "slot", "member", "record_offset", "record_bytes")
"""Of a row: what it is drawn from, the id of its draw and the tokens of that, its place, and the id of its sample, or
where its record lies.
"""

_MEMBERS = (
    ("member", "sample_id", "members"),
    ("record_offset", "record_offset", "member_offsets"),
    ("record_bytes", "record_bytes", "member_bytes"),
)
"""What a row is told of its sample, where that stands of a draw by itself, and where of those that are merged."""

_READ = ("component", "job", "recipe", "sample_id", "n_text_tok", "n_img_tok", "pack", "slot")


def slices(folder: str) -> list[str]:
    """Return the names of a plan's slices below `packs/`, none where its rows are the one file `packs.parquet`.

    Other files are not the plan's, whoever put them there.

    Raises:
        ShardError: one that the manifest names is gone.
    """
    names = sorted(_named(folder))
    for name in names:
        if not storage.exists(f"{folder}/{name}.parquet"):
            raise ShardError(f"{folder}/{name}.parquet is gone: {_again(folder)} makes it again")
    return [f"{name.removeprefix('packs/')}.parquet" for name in names if name.startswith("packs/")]


def sound_files(folder: str) -> list[str]:
    """Return the files of a plan's rows, once each of them is what was packed.

    Raises:
        ShardError: one is gone, broken, or another.
    """
    found = [f"packs/{name}" for name in slices(folder)] or ["packs.parquet"]
    named = _named(folder)
    for name in found:
        uri, digest = f"{folder}/{name}", named.get(name.removesuffix(".parquet"), "")
        try:
            is_sound = digest is None or tables.columns_digest(uri) == digest
        except TypeError:  # a column that no plan has
            is_sound = False
        if not is_sound:
            raise ShardError(f"{uri} is not what was packed: curate doctor sets it aside, then {_again(folder)}")
    return [f"{folder}/{name}" for name in found]


def _named(folder: str) -> dict[str, str | None]:
    """Return name → digest of the files of a plan's rows; without a manifest there is one, and none of it."""
    said = f"{folder}/manifest.json"
    return dict(read_json(said, MANIFEST)["shards"]) if storage.exists(said) else {"packs": None}


def _again(folder: str) -> str:
    return f"curate run {''.join(folder.split('/')[-2:-1]) or 'NAME'}"


class PlanRows:
    """The plan in one folder `mixes/MIX/DIGEST` whose manifest tells `facts`; where it is of several slices these are
    sorted in the folder `local`, which must stay. Raises as `sound_files`.
    """

    def __init__(self, folder: str, facts: Mapping[str, Any], local: Path) -> None:
        self._facts, self._local = facts, local
        self._files = sound_files(folder)
        self._is_sliced = self._files != [f"{folder}/packs.parquet"]
        self._sorted: ExternalSort | None = None

    def tables(self) -> Iterator[pa.Table]:
        """Yield the draws in order of steps, ranks, packs and slots as COLUMNS, some thousand rows at a time."""
        if not self._is_sliced:
            for table in _drawn(*self._files):
                yield _each_member(table)
            return
        if self._sorted is None:
            self._sorted = self._sort()
        for table, _ in self._sorted.in_order():
            yield _each_member(table)

    def _sort(self) -> ExternalSort:
        """Return the rows of all slices; their packs are numbered in order of steps and ranks."""
        slots = self._facts["pack_tokens"] + 1
        found = ExternalSort(self._local, self._facts["packs"] * slots, self._facts["samples"])
        for uri in self._files:
            for table in _drawn(uri):
                pack, slot = (np.asarray(table[name].to_numpy(), np.int64) for name in ("pack", "slot"))
                found.add(table, pack * slots + slot)
        return found


def _drawn(uri: str) -> Iterator[pa.Table]:
    """Yield the rows of a file that are drawn, words as plain texts."""
    names = dict.fromkeys([*_READ, *(name for _, *both in _MEMBERS for name in both)])
    present = set(tables.column_names(uri))
    for table in tables.iter_tables(uri, [name for name in names if name in present]):
        for name in names:
            if name not in present:  # of an older plan
                table = table.append_column(name, pa.nulls(table.num_rows, schema.MIXED.field(name).type))
        kinds = [field.with_type(pa.string()) if field.type == schema.WORD else field for field in table.schema]
        yield table.filter(pc.is_valid(table["pack"])).cast(pa.schema(kinds))


def _each_member(table: pa.Table) -> pa.Table:
    """Return rows of MIXED as COLUMNS: one for each sample of a draw."""
    table = table.combine_chunks()
    merged = pc.is_valid(table["members"]).to_numpy()
    counts = np.asarray(pc.coalesce(pc.list_value_length(table["members"]), 1).to_numpy(), np.int64)
    row = np.repeat(np.arange(table.num_rows), counts)
    found = table.select(["component", "job", "recipe", "pack", "slot"]).take(pa.array(row))
    found = found.append_column("drawn", table["sample_id"].take(pa.array(row)))
    found = found.append_column("length", pc.add(table["n_text_tok"], table["n_img_tok"]).take(pa.array(row)))
    for name, alone, lists in _MEMBERS:
        found = found.append_column(name, _of_each(table[alone], table[lists], row, merged))
    return found.select(list(COLUMNS))


def _of_each(alone: pa.ChunkedArray, lists: pa.ChunkedArray, row: Ints, merged: npt.NDArray[np.bool_]) -> pa.Array:
    """Return the values of draws by themselves, and of the merged ones each value of the list; null where that is."""
    listed = pc.is_valid(lists).to_numpy()[row]
    index = row.copy()
    index[listed] = len(alone) + np.arange(np.count_nonzero(listed))
    values = pa.concat_arrays([*alone.chunks, *pc.list_flatten(lists).chunks])
    return values.take(pa.array(index, mask=merged[row] & ~listed))
