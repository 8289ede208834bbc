"""Samples out of the columns of an Arrow table: column by column, which is many times faster than row by row."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import MISSING, fields
from itertools import pairwise, repeat
from typing import Any

import pyarrow as pa

from curate.sample import ImageRef, Region, Relation, Sample, Transform, Turn

Make = Callable[[pa.Array], list[Any]]

BATCH_ROWS = 1000


def samples(table: pa.Table) -> Iterator[Sample]:
    """Yield the samples of a table in order, a batch at a time; of columns that are not there the defaults.

    Unknown columns are ignored. TypeError where a column without a default is missing.
    """
    names = set(table.column_names)
    absent = [each.name for each in fields(Sample) if each.name not in names and each.default is MISSING]
    if absent:
        raise TypeError(f"no column {', '.join(absent)}")
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        columns = [
            _MAKES.get(each.name, values)(batch.column(each.name)) if each.name in names else repeat(each.default)
            for each in fields(Sample)
        ]
        yield from _created(Sample, batch.num_rows, columns)


def values(array: pa.Array) -> list[Any]:
    """Return plain values, numbers or texts, as Python has them; None for null."""
    if array.null_count == len(array):
        return [None] * len(array)
    kind = array.type
    if pa.types.is_dictionary(kind):
        words = values(array.dictionary)
        return [None if index is None else words[index] for index in values(array.indices)]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return list(array.to_numpy(zero_copy_only=False).tolist())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        if not array.null_count:
            return list(array.to_numpy(zero_copy_only=False).tolist())
        filled, valid = array.fill_null(0), array.is_valid().to_numpy(zero_copy_only=False)
        return [value if there else None for value, there in zip(values(filled), valid.tolist(), strict=True)]
    return list(array.to_pylist())


def _tuples(make: Make) -> Make:
    """Return what makes a column of lists into tuples of what `make` makes of their elements; () for null."""

    def of_lists(array: pa.Array) -> list[tuple[Any, ...]]:
        ends: list[int] = array.offsets.to_numpy().tolist()
        if ends[0] == ends[-1]:
            return [()] * len(array)
        made = make(array.values.slice(ends[0], ends[-1] - ends[0]))
        first = ends[0]
        found = [tuple(made[start - first : end - first]) for start, end in pairwise(ends)]
        if array.null_count:
            valid = array.is_valid().to_numpy(zero_copy_only=False).tolist()
            found = [each if there else () for each, there in zip(found, valid, strict=True)]
        return found

    return of_lists


def _objects(kind: type[Any], **makes: Make) -> Make:
    """Return what makes a column of lists of structs into tuples of objects; `makes` are of fields that nest."""
    names = tuple(each.name for each in fields(kind))

    def of_structs(array: pa.Array) -> list[Any]:
        children = dict(zip((each.name for each in array.type), array.flatten(), strict=True))
        return _created(kind, len(array), [makes.get(name, values)(children[name]) for name in names])

    return _tuples(of_structs)


def _created(kind: type[Any], count: int, columns: Sequence[Iterable[Any]]) -> list[Any]:
    """Return `count` objects of a slotted dataclass from the columns of its fields: half the time of calling it."""
    made: list[Any] = list(map(object.__new__, repeat(kind, count)))
    for each, column in zip(fields(kind), columns, strict=True):
        deque(map(getattr(kind, each.name).__set__, made, column), 0)
    return made


def _boxes(array: pa.Array) -> list[tuple[float, ...]]:
    children = dict(zip((each.name for each in array.type), array.flatten(), strict=True))
    return list(zip(*(values(children[name]) for name in ("x0", "y0", "x1", "y1")), strict=True))


def _affines(array: pa.Array) -> list[tuple[float, ...] | None]:
    return [None if each is None else tuple(each) for each in values(array)]


_numbers = _tuples(values)
_MAKES: dict[str, Make] = {
    "transforms": _objects(Transform),
    "affine": _affines,
    "images": _objects(ImageRef),
    "conversations": _objects(Turn),
    "regions": _objects(Region, boxes=_tuples(_boxes), tags=_tuples(values)),
    "relations": _objects(Relation, subjects=_numbers, objects=_numbers),
}
