"""The door to DuckDB: our tables as relations, SQL from files, answers as Arrow. No SQL is written here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from curate.errors import ConfigError, CurateError, OutsideError
from curate.io import storage

BATCH_ROWS = 4096
_DAMAGED = "curate doctor sets it aside, then run again"


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns and rows of a query, as Python values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


class Warehouse:
    """One DuckDB in memory whose relations are our files, read in place."""

    def __init__(self, threads: int | None = None) -> None:
        self._connection = duckdb.connect(":memory:", config={} if threads is None else {"threads": threads})
        self._remote: set[str] = set()

    def add(self, name: str, relation: pa.Table | Sequence[str], schema: pa.Schema) -> None:
        """Make `name` a relation over Parquet files or a table; without files it is empty and has `schema`."""
        if isinstance(relation, pa.Table):
            self._connection.register(name, relation)
        elif not relation:
            self._connection.register(name, schema.empty_table())
        else:
            try:
                self._reach(relation[0])
                self._connection.read_parquet(list(relation), union_by_name=True).create_view(name)
            except duckdb.Error as error:
                raise OutsideError(f"{name}: {_first_line(error)}: {_DAMAGED}") from error

    def view(self, name: str, sql: str) -> None:
        """Make `name` a view: one SELECT without parameters.

        Raises:
            ConfigError: DuckDB refuses it.
        """
        try:
            self._connection.sql(sql).create_view(name)
        except duckdb.Error as error:
            raise ConfigError(f"view {name}: {_first_line(error)}") from error

    def table(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one statement and return an Arrow table.

        Raises:
            ConfigError: DuckDB refuses it.
        """
        try:
            return self._connection.sql(sql, params=dict(parameters or {})).to_arrow_table()
        except (duckdb.Error, RuntimeError, OverflowError) as error:
            raise _named(error) from error

    def batches(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Iterator[pa.Table]:
        """Run one statement and yield its answer some thousand rows at a time.

        Raises:
            ConfigError: DuckDB refuses it.
        """
        try:
            for batch in self._connection.sql(sql, params=dict(parameters or {})).to_arrow_reader(BATCH_ROWS):
                yield pa.Table.from_batches([batch])
        except (duckdb.Error, RuntimeError, OverflowError) as error:
            raise _named(error) from error

    def answer(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Run one statement and return its rows as Python values.

        Raises:
            ConfigError: DuckDB refuses it.
        """
        try:
            cursor = self._connection.execute(sql, dict(parameters or {}))
            return Answer(tuple(item[0] for item in cursor.description or ()), tuple(cursor.fetchall()))
        except (duckdb.Error, RuntimeError, OverflowError, UnicodeError, AttributeError) as error:
            raise _named(error) from error

    def rows_where(self, relation: str, column: str, value: str) -> list[dict[str, Any]]:
        """Return the rows of a relation whose column equals a value, as dictionaries."""
        wanted = duckdb.ColumnExpression(column) == duckdb.ConstantExpression(value)
        found = self._connection.table(relation).filter(wanted)
        return list(found.to_arrow_table().to_pylist())

    def close(self) -> None:
        """Let go of DuckDB's memory."""
        self._connection.close()

    def _reach(self, uri: str) -> None:
        protocol = uri.split("://", 1)[0] if "://" in uri else ""
        if protocol and protocol != "file" and protocol not in self._remote:
            self._connection.register_filesystem(storage.filesystem(uri))
            self._remote.add(protocol)


def parameters(sql: str) -> set[str]:
    """Return the names of a statement's parameters without running it.

    Raises:
        ConfigError: not exactly one statement of SQL.
    """
    connection = duckdb.connect(":memory:")
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise ConfigError(_first_line(error)) from error
    finally:
        connection.close()
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigError("a filter, a view and a report are exactly one SELECT each")
    return set(statements[0].named_parameters)


def read_sql(path: Path) -> str:
    """Return the text of an SQL file.

    Raises:
        ConfigError: it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8: {error}", file=str(path)) from error


def _named(error: Exception) -> CurateError:
    """A damaged file of ours is an outside failure; anything else is a mistake in the SQL."""
    said = _first_line(error)
    if isinstance(error, duckdb.IOException) or ".parquet" in said:
        return OutsideError(f"{said}: {_DAMAGED}")
    return ConfigError(said)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else repr(error)
