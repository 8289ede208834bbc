"""The door to DuckDB: relations in place, answers as values, and every refusal a ConfigError."""

from pathlib import Path

import pyarrow as pa
import pytest

from curate.errors import ConfigError
from curate.io import tables
from curate.io.warehouse import Warehouse, parameters, read_sql

TABLE = pa.table({"a": [1, 2, 3], "b": ["x", None, "z'; drop table t; --"]})


@pytest.fixture
def warehouse() -> Warehouse:
    made = Warehouse(threads=1)
    made.add("t", TABLE, TABLE.schema)
    return made


def test_answers_are_python_values(warehouse: Warehouse) -> None:
    answer = warehouse.answer("select a, b from t where a >= $low order by a", {"low": 2})
    assert answer.columns == ("a", "b")
    assert answer.rows == ((2, None), (3, "z'; drop table t; --"))


def test_tables_are_arrow(warehouse: Warehouse) -> None:
    found = warehouse.table("select b, a from t where b = $b", {"b": "z'; drop table t; --"})
    assert found.to_pylist() == [{"b": "z'; drop table t; --", "a": 3}]


def test_a_relation_over_files_grows_columns_by_name(tmp_path: Path, warehouse: Warehouse) -> None:
    tables.write_table(str(tmp_path / "1.parquet"), TABLE, {})
    tables.write_table(str(tmp_path / "2.parquet"), TABLE.append_column("c", pa.array([1.5, 2.5, 3.5])), {})
    warehouse.add("f", [str(tmp_path / "1.parquet"), str(tmp_path / "2.parquet")], TABLE.schema)
    assert warehouse.answer("select count(*), count(c), sum(a) from f").rows == ((6, 3, 12),)


def test_names_of_files_are_taken_literally(tmp_path: Path, warehouse: Warehouse) -> None:
    odd = tmp_path / "it's; [a] b"
    odd.mkdir()
    tables.write_table(str(odd / "1.parquet"), TABLE, {})
    warehouse.add("f", [str(odd / "1.parquet")], TABLE.schema)
    assert warehouse.answer("select count(*) from f").rows == ((3,),)


def test_without_files_a_relation_is_empty_and_has_its_schema(warehouse: Warehouse) -> None:
    warehouse.add("e", [], TABLE.schema)
    assert warehouse.table("from e").schema.names == ["a", "b"]
    assert warehouse.answer("select count(*) from e").rows == ((0,),)


def test_views_stand_on_relations_and_on_views(warehouse: Warehouse) -> None:
    warehouse.view("v", "select a * 2 as d from t")
    warehouse.view("w", "select sum(d) as s from v")
    assert warehouse.answer("from w").rows == ((12,),)


@pytest.mark.parametrize(
    "sql", ["selec", "select * from nothing", "select x from t", "select $p", "select 1 +", "from t where a = $b"]
)
def test_what_duckdb_refuses_is_a_config_error_of_one_line(warehouse: Warehouse, sql: str) -> None:
    for attempt in (warehouse.answer, warehouse.table):
        with pytest.raises(ConfigError) as error:
            attempt(sql)
        assert error.value.what
        assert "\n" not in error.value.what
    with pytest.raises(ConfigError, match="view bad: "):
        warehouse.view("bad", sql)


def test_what_fails_on_its_way_is_a_config_error(warehouse: Warehouse) -> None:
    for attempt in (warehouse.answer, warehouse.table):
        with pytest.raises(ConfigError, match=r"(?i)convert"):
            attempt("select cast(b as int) from t")


def test_an_excess_parameter_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigError):
        warehouse.answer("select 1", {"p": 1})


def test_rows_where_compares_values_not_text(warehouse: Warehouse) -> None:
    assert warehouse.rows_where("t", "b", "z'; drop table t; --") == [{"a": 3, "b": "z'; drop table t; --"}]
    assert warehouse.rows_where("t", "b", "' or true --") == []


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select 1", set()),
        ("select $a, $b, $a", {"a", "b"}),
        ("select $A -- $no\n/* $no */, '$no'", {"A"}),
        ("with x as (select $deep as y) select * from x where y > $low;", {"deep", "low"}),
        ("from samples where a > $low", {"low"}),
    ],
)
def test_parameters_are_listed_without_running(sql: str, names: set[str]) -> None:
    assert parameters(sql) == names


@pytest.mark.parametrize(
    "sql", ["", ";", "select 1; select 2", "create table x (a int)", "attach 'x'", "set threads = 1"]
)
def test_more_or_less_than_one_select_is_refused(sql: str) -> None:
    with pytest.raises(ConfigError, match="exactly one SELECT"):
        parameters(sql)


def test_what_does_not_parse_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"(?i)parser error"):
        parameters("select from from")


def test_sql_files_are_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "x.sql").write_text("-- é\nselect 1", encoding="utf-8")
    assert read_sql(tmp_path / "x.sql") == "-- é\nselect 1"


def test_sql_that_is_not_text_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "x.sql").write_bytes(b"select '\xff'")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_sql(tmp_path / "x.sql")


def test_closing(warehouse: Warehouse) -> None:
    warehouse.close()
    with pytest.raises(ConfigError):
        warehouse.answer("select 1")
