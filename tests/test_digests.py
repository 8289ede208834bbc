"""A digest follows values alone: not chunks, not files, not the order of keys."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import digests
from curate.io import tables


def test_the_digest_of_columns_sees_into_lists() -> None:
    def digest(*rows: list[str | None] | None) -> str:
        return digests.columns_digest(pa.table({"ids": pa.array(rows, pa.list_(pa.string()))}))

    lists = (
        [["a", "b"], ["c"]],
        [["a"], ["b", "c"]],
        [["a", "b", "c"], []],
        [["a", "b", "c"], None],
        [["a", "b", "d"], []],
    )
    assert len({digest(*rows) for rows in (*lists, [["a", "b", None], []])}) == 6
    whole = pa.table({"ids": pa.array([["x"], ["a", "b"], None, ["c"]], pa.list_(pa.string()))})
    assert digests.columns_digest(whole.slice(1)) == digest(["a", "b"], None, ["c"])
    with pytest.raises(TypeError):
        digests.columns_digest(pa.table({"boxes": pa.array([[0.5]], pa.list_(pa.float64()))}))


def test_a_digest_of_values_does_not_depend_on_the_order_of_keys() -> None:
    assert digests.digest_of({"a": 1, "b": [2, None]}) == digests.digest_of({"b": (2, None), "a": 1})
    assert digests.digest_of({"a": 1}) != digests.digest_of({"a": "1"})
    assert digests.digest_of(1) != digests.digest_of(1.0)


ROWS = 150_000
PLAIN = pa.table(
    {
        "id": [f"é{row}" if row % 7 else None for row in range(ROWS)],
        "word": pa.array([f"w{row // 10_000}" for row in range(ROWS)]).dictionary_encode(),
        "number": pa.array([row if row % 3 else None for row in range(ROWS)], pa.int32()),
        "members": [["a", str(row)] if row % 5 else None for row in range(ROWS)],
    }
)


@pytest.mark.parametrize("group", [7_001, 10_000, ROWS])
def test_the_digest_of_a_file_is_that_of_its_table_whatever_its_row_groups(tmp_path: Path, group: int) -> None:
    pq.write_table(PLAIN, tmp_path / "plain.parquet", row_group_size=group)
    assert tables.columns_digest(str(tmp_path / "plain.parquet")) == digests.columns_digest(PLAIN)


def test_the_digest_of_columns_does_not_depend_on_chunks_and_changes_with_any_value() -> None:
    whole = digests.columns_digest(PLAIN)
    chunked = pa.concat_tables([PLAIN.slice(0, 65_535), PLAIN.slice(65_535, 3), PLAIN.slice(65_538)])
    assert digests.columns_digest(chunked) == whole
    assert digests.columns_digest(PLAIN.slice(0, ROWS - 1)) != whole
    for name in PLAIN.column_names:
        place = PLAIN.column_names.index(name)
        values = PLAIN[name].cast(pa.string()) if name == "word" else PLAIN[name]
        other = pa.concat_arrays([*values.slice(0, 70_000).chunks, *values.slice(0, ROWS - 70_000).chunks])
        assert digests.columns_digest(PLAIN.set_column(place, name, other)) != whole


def test_the_digest_of_a_file_of_structs_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"boxes": [{"x": 1}]}), tmp_path / "structs.parquet")
    with pytest.raises(TypeError):
        tables.columns_digest(str(tmp_path / "structs.parquet"))
