"""What tells a candidate of a mix from others: its pictures' numbers, names and hashes, and its words."""

import json
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate import plugins, schema
from curate.errors import ConfigError, nearest
from curate.grounding.picture_ids import is_mirrored, picture_id
from curate.io.warehouse import Warehouse, read_sql
from curate.kernels.linked import linked
from curate.plugins import Project

FACTS = pa.schema(
    [
        ("place", pa.int64()),
        ("ids", pa.list_(pa.string())),
        ("urls", pa.list_(pa.string())),
        ("shas", pa.list_(pa.string())),
        ("origins", pa.list_(pa.string())),
        ("hashes", pa.list_(pa.string())),
        ("chain", pa.string()),
        ("words", pa.string()),
        ("shown", pa.string()),
        ("has_words", pa.bool_()),
    ]
)
"""One row per candidate, in order: `place` its row, `ids` its pictures' numbers in known collections, `shas` and
`hashes` of its pictures (`hashes` and `origins` of what they were derived from too), `chain` what was done to them
(`hflip`, also for one that lies in a folder of mirrored pictures), `words` a digest of text,
turns and boxes, `shown` the names of pictures that are not stored here. Of those `origins` has one entry for each
that was looked for, null where it was not to be had, and `shas` all or none."""

JOINS = pa.schema([("id", pa.string()), ("same", pa.string())])

Places = npt.NDArray[np.int64]

_HALF = re.compile("[\ud800-\udfff]")

_PARENTS = pa.schema([("place", pa.int64()), ("images", pa.list_(schema.IMAGE))])


def gate_sql(name: str, project: Project) -> str:
    """Return the SQL of sql/gate/NAME.sql.

    Raises:
        ConfigError: there is none.
    """
    found = plugins.files(project, "sql/gate", ".sql")
    if name not in found:
        raise ConfigError(f'unknown gate query "{name}"', hint=nearest(name, found))
    return read_sql(found[name])


def facts_of(candidates: pa.Table, project: Project, root: Warehouse | None = None) -> pa.Table:
    """Return the FACTS of samples with the columns of SAMPLES (more do not matter), one row each, in their order.

    With `root`, a warehouse that has `all_samples`, derived samples are known by their parents' pictures too.

    Raises:
        ConfigError: a query of the user's own is wrong.
    """
    numbered = candidates.append_column("place", pa.array(np.arange(candidates.num_rows)))
    warehouse = Warehouse()
    warehouse.add("candidates", numbered, numbered.schema)
    warehouse.add("parents", _parents(numbered, project, root), _PARENTS)
    table = warehouse.table(gate_sql("facts", project))
    warehouse.close()
    ids, mirrors = _named(table["names"])
    chain = pc.if_else(pc.and_(pc.equal(table["chain"], ""), mirrors), "hflip", table["chain"])
    columns = {**{name: table[name] for name in table.column_names}, "ids": ids, "chain": chain}
    return pa.table([columns[name] for name in FACTS.names], schema=FACTS)


def _parents(candidates: pa.Table, project: Project, root: Warehouse | None) -> pa.Table:
    derived = candidates.select(["place", "dataset", "parent_id"])
    derived = derived.filter(pc.is_valid(derived["parent_id"]))
    if root is None or not derived.num_rows:
        return _PARENTS.empty_table()
    root.add("derived", derived, derived.schema)
    return root.table(gate_sql("parents", project))


def _named(names: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return for each row the ids of its names, each once, and whether one lies among mirrored pictures."""
    column = names.combine_chunks()
    owner = pc.list_parent_indices(column).to_numpy(zero_copy_only=False)
    coded = pc.list_flatten(column).dictionary_encode()
    known = coded.dictionary.to_pylist()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    mirrors = np.zeros(len(column), np.bool_)
    mirrors[owner[np.array([is_mirrored(name) for name in known], np.bool_)[codes]]] = True
    ids = pa.array([picture_id(name) for name in known], pa.string()).dictionary_encode()
    numbers = ids.indices.fill_null(-1).to_numpy(zero_copy_only=False)[codes]
    pairs = np.stack([owner, numbers], 1)[numbers >= 0]
    _, first = np.unique(pairs, axis=0, return_index=True)
    pairs = pairs[np.sort(first)]
    ends = np.searchsorted(pairs[:, 0], np.arange(len(column) + 1))
    values = ids.dictionary.take(pa.array(pairs[:, 1]))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values), pa.array(mirrors)


def pictures_of(facts: pa.Table) -> pa.StringArray:
    """Return the names of the pictures that records of others' files show, each once, in order."""
    return pc.list_flatten(_shown(facts)[0]).unique()


def with_looks(facts: pa.Table, looks: pa.Table) -> pa.Table:
    """Return FACTS of records of others' files with what LOOKS tell of `pictures_of` them."""
    names, which = _shown(facts)
    count = len(names)
    owner = np.asarray(pc.list_parent_indices(names), np.int64)
    place = pc.index_in(pc.list_flatten(names), value_set=looks["name"].combine_chunks())
    shas, hashes = (looks[name].combine_chunks().take(place) for name in ("sha256", "phash"))
    gone = np.bincount(owner[np.asarray(pc.is_null(shas))], minlength=count) > 0
    every = np.ones(owner.size, np.bool_)
    for name, values, told in (
        ("shas", shas, ~gone[owner]),
        ("origins", shas, every),
        ("hashes", hashes, np.asarray(pc.is_valid(hashes))),
    ):
        ends = np.append(0, np.cumsum(np.bincount(owner[told], minlength=count)))
        lists = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), values.filter(pa.array(told)))
        column = pc.coalesce(lists.take(which), facts[name])
        facts = facts.set_column(FACTS.names.index(name), FACTS.field(name), column)
    return facts


def _shown(facts: pa.Table) -> tuple[pa.ListArray, pa.Array]:
    """Return lists of names of pictures, and which of them each row shows, null for none."""
    coded = facts["shown"].combine_chunks().dictionary_encode()
    lists = [_names_of(text) for text in coded.dictionary.to_pylist()]
    return pa.array(lists, pa.list_(pa.string())), coded.indices


def _names_of(shown: str) -> list[str]:
    """Return the names of pictures that `shown` tells, a list in JSON; no file has a name with a half of a pair."""
    try:
        names = json.loads(shown)
    except ValueError:  # one name, of samples that are no record of a file
        return []
    return [_HALF.sub("\0", name) for name in names if isinstance(name, str)] if isinstance(names, list) else []


def picture_numbers(facts: pa.Table, joins: Mapping[str, str], project: Project, copies: bool = False) -> Places:
    """Return a number for the picture of each row of FACTS, shape (n,), the same for the same picture; -1 for none.

    Rows are numbered by their order, whatever `place` says. Pictures are the same that have the same bytes, the same
    number in a known collection, or either in common with a third; `joins` says which numbers mean one picture. A
    sample of several pictures is the same as another with all of them in order. What was moved otherwise (mirrored,
    padded) is another picture, with `copies` the same.

    Raises:
        ConfigError: a query of the user's own is wrong.
    """
    count = facts.num_rows
    warehouse = Warehouse()
    warehouse.add("facts", facts.set_column(0, "place", pa.array(np.arange(count))), FACTS)
    warehouse.add("joins", joins_table(joins), JOINS)
    table = warehouse.table(gate_sql("pictures", project), {"copies": copies}).combine_chunks()
    warehouse.close()
    keys = pc.fill_null(pc.dictionary_encode(table["key"]).combine_chunks().indices, 0).to_numpy(zero_copy_only=False)
    things = table["place"].to_numpy()
    has = np.zeros(count, np.bool_)
    has[things] = True
    return np.where(has, linked(count, things, keys.astype(np.int64)), -1)


def joins_table(joins: Mapping[str, str]) -> pa.Table:
    """Return the relation `joins`: which number of a picture means the same as which."""
    return pa.table({"id": pa.array(joins, pa.string()), "same": pa.array(joins.values(), pa.string())}, schema=JOINS)
