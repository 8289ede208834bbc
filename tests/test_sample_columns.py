"""Columns become the same Python values as rows do, however Arrow lays them out."""

from dataclasses import fields, replace
from typing import Any

import pyarrow as pa
import pytest
from test_schema import FULL

from curate import sample_columns, schema
from curate.sample import Region, Sample

BARE = Sample("bare", "d", 0, 0, "k")
BOX = (0.0, 0.1, 0.2, 0.3)
MANY = tuple(
    replace(
        FULL, sample_id=str(count), regions=(Region("p", (BOX,) * count, start=count, tags=("t",) * count),) * count
    )
    for count in range(5)
)


def whole() -> pa.Table:
    return schema.to_table([BARE, *MANY, BARE])


def test_a_slice_has_its_own_rows() -> None:
    found = list(sample_columns.samples(whole().slice(2, 3)))
    assert found == list(MANY[1:4])


def test_chunks_and_batches_come_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_columns, "BATCH_ROWS", 2)
    table = pa.concat_tables([whole(), whole().slice(1, 2)])
    assert list(sample_columns.samples(table)) == [BARE, *MANY, BARE, *MANY[:2]]


def test_null_lists_are_empty_whatever_lies_below_them() -> None:
    table = whole()
    for name in ("regions", "conversations", "images", "transforms", "relations"):
        column = table[name].combine_chunks()
        hidden = pa.ListArray.from_arrays(column.offsets, column.values, mask=pa.array([row == 3 for row in range(7)]))
        assert hidden.null_count == 1
        assert len(hidden.values) == len(column.values)
        table = table.set_column(table.column_names.index(name), name, hidden)
    found = list(sample_columns.samples(table))
    assert found[3] == replace(MANY[2], regions=(), conversations=(), images=(), transforms=(), relations=())
    assert found[4] == MANY[3]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 2**62 + 1], pa.int64()),
        ([0, 255], pa.uint8()),
        ([0.1, None, float("inf")], pa.float64()),
        (["a", None, "", "🐕\0"], pa.string()),
        (["a", None, ""], pa.large_string()),
        ([None, None], pa.int32()),
        ([], pa.string()),
        ([True, None, False], pa.bool_()),
        ([[1.0, 2.0], None], pa.list_(pa.float64(), 2)),
        ([b"x", None], pa.binary()),
    ],
)
def test_values_are_as_arrow_tells_them(values: list[Any], kind: pa.DataType) -> None:
    array = pa.array([None, *values, None], kind)[1:-1]
    assert sample_columns.values(array) == array.to_pylist() == values
    assert [type(each) for each in sample_columns.values(array)] == [type(each) for each in values]


def test_words_in_common_are_looked_up() -> None:
    array = pa.array(["a", None, "b", "a"]).dictionary_encode()
    assert sample_columns.values(array) == ["a", None, "b", "a"]


def test_columns_that_are_not_there_have_their_defaults() -> None:
    required = ["sample_id", "dataset", "shard", "row", "source_key"]
    [found] = sample_columns.samples(schema.to_table([FULL]).select(required).append_column("x", pa.array([1])))
    given = {name: getattr(FULL, name) for name in required}
    assert found == Sample(**given)
    with pytest.raises(TypeError, match="no column dataset, row"):
        next(sample_columns.samples(schema.to_table([FULL]).select(["sample_id", "shard", "source_key"])))
    assert {each.name for each in fields(Sample)} >= set(required)
