"""The door to Parquet files: whole tables, ranges of rows, and the words in the footer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.digests import digest_of_columns
from curate.errors import CurateError, ShardError
from curate.io import storage

ROW_GROUP_ROWS = 10_000
"""Small enough to skip by statistics, large enough to compress."""
MAX_TEXT_BYTES = 1 << 20
MAX_ENTRIES = 10_000
"""Of a list in one row; its lists together may hold ten times as many."""
_BATCH_ROWS = 64
_BATCH_BYTES = 64 << 20
_MAX_GROUP_VALUES = 1 << 27
"""Of one column: a single row may hold all of them, and Arrow has no smaller portion than a row."""
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TooLong:
    """Stands where a text or a list was too long to be held; `size` in bytes or in entries."""

    size: int


def read_table(uri: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a whole Parquet file, or the named columns in the order named.

    Raises FileNotFoundError, OutsideError, and ShardError for a broken file or an absent column.
    """
    with _parquet(uri) as file:
        _known(uri, file, columns or ())
        table = file.read(columns=None if columns is None else list(columns), use_threads=False)
        table.validate(full=True)
        return table if columns is None else table.select(list(columns))


def read_through(uri: str) -> tuple[str, ...]:
    """Read all of a Parquet file, some rows at a time, so that damage shows; return the names of its columns.

    Raises as `read_table` does.
    """
    with _parquet(uri) as file:
        for batch in file.iter_batches(ROW_GROUP_ROWS, use_threads=False):
            batch.validate(full=True)
        return tuple(file.schema_arrow.names)


def columns_digest(uri: str) -> str:
    """Return `digests.columns_digest` of the rows of a file, in memory that does not grow with their number.

    Raises as `read_table`, and TypeError for a column of structs or floats.
    """
    with _parquet(uri) as file:

        def parts(name: str) -> Iterator[pa.Array]:
            for batch in file.iter_batches(ROW_GROUP_ROWS, columns=[name], use_threads=False):
                batch.validate(full=True)
                yield batch[0]

        return digest_of_columns(file.schema_arrow.names, parts)


def write_table(uri: str, table: pa.Table, metadata: dict[str, str]) -> None:
    """Write a table as one Parquet file, atomically: zstd, dictionaries, page checksums.

    The same table gives the same bytes. `metadata` joins what the schema already carries, in the footer.
    """
    words = {**(table.schema.metadata or {}), **{k.encode(): v.encode() for k, v in metadata.items()}}
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(dict(sorted(words.items()))),
        sink,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        use_dictionary=True,
        write_page_checksum=True,
    )
    storage.write_bytes(uri, memoryview(sink.getvalue()))


def read_metadata(uri: str) -> dict[str, str]:
    """Return the key-value words of the footer; Arrow's own serialised schema is left out."""
    with _parquet(uri) as file:
        words = file.metadata.metadata or {}
    return {
        key.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for key, value in words.items()
        if key != b"ARROW:schema"
    }


def parquet_rows(uri: str) -> int:
    """Return the number of rows that the footer states."""
    with _parquet(uri) as file:
        return int(file.metadata.num_rows)


def column_names(uri: str) -> tuple[str, ...]:
    """Return the names of the top-level columns, in order."""
    with _parquet(uri) as file:
        return tuple(file.schema_arrow.names)


def column_kinds(uri: str) -> dict[str, str]:
    """Return what each top-level column holds: `text`, `number`, `null`, `list of ...`, or Arrow's word for it."""
    with _parquet(uri) as file:
        return {field.name: _kind(field.type) for field in file.schema_arrow}


def iter_rows(uri: str, first_row: int, rows: int, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield `rows` rows from `first_row` on as dicts of the named columns, absent ones as None.

    Row groups before the range are not touched. A string that is not UTF-8 comes as bytes, so that one bad
    row does not cost its shard; a text above MAX_TEXT_BYTES and a list above MAX_ENTRIES come as TooLong.
    Raises ShardError when the file is broken, shorter than asked, or needs too much memory.
    """
    done = 0
    # Over a network one large request per column beats thousands of small ones; on a disk memory counts.
    with _parquet(uri, pre_buffer=storage.local_path(uri) is None, texts=columns) as file:
        present = [name for name in columns if name in file.schema_arrow.names]
        groups, skip = _groups(file.metadata, first_row, rows)
        size = _batch_rows(uri, file.metadata, groups, set(present))
        for batch in file.iter_batches(size, row_groups=groups, columns=present, use_threads=False):
            part = batch.slice(min(skip, batch.num_rows), rows - done)
            skip -= batch.num_rows - part.num_rows if skip else 0
            values = {name: _values(part.column(name)) for name in present}
            for row in range(part.num_rows):
                yield {name: values[name][row] if name in values else None for name in columns}
            done += part.num_rows
            if done == rows:
                return
    if done != rows:
        raise ShardError(f"{uri}: rows {first_row}+{rows} were planned, the file ends after {done} of them")


def iter_tables(uri: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the rows of a file in order, ROW_GROUP_ROWS at a time, with the named columns. Raises as `read_table`."""
    with _parquet(uri) as file:
        _known(uri, file, columns)
        for batch in file.iter_batches(ROW_GROUP_ROWS, columns=list(columns), use_threads=False):
            batch.validate(full=True)
            yield pa.Table.from_batches([batch]).select(list(columns))


def rows_where(uri: str, column: str, value: int, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows whose `column` of integers is `value`, as dicts of `columns`.

    Of a file in order of that column hardly more is read than those. Raises as `read_table` does.
    """
    with _parquet(uri) as file:
        _known(uri, file, (column, *columns))
        every = range(file.metadata.num_row_groups)
        groups = [number for number in every if _may_hold(file.metadata.row_group(number), column, value)]
        table = file.read_row_groups(groups, columns=[*columns, column], use_threads=False)
        return list(table.filter(pc.equal(table[column], value)).select(list(columns)).to_pylist())


def _may_hold(group: Any, column: str, value: int) -> bool:
    """Tell whether a row group's statistics allow for the value."""
    (chunk,) = (each for each in map(group.column, range(group.num_columns)) if each.path_in_schema == column)
    told = chunk.statistics
    return told is None or not told.has_min_max or told.min <= value <= told.max


@contextmanager
def _parquet(uri: str, pre_buffer: bool = False, texts: Sequence[str] = ()) -> Iterator[Any]:
    """Open a Parquet file; whatever Arrow says against it becomes ShardError.

    Columns of text among `texts` keep the file's dictionaries: a value that repeats is held once.
    """
    try:
        with storage.open_read(uri) as stream:
            file = pq.ParquetFile(
                stream, pre_buffer=pre_buffer, buffer_size=_BUFFER_BYTES, page_checksum_verification=True
            )
            repeated = [field.name for field in file.schema_arrow if field.name in texts and _is_text(field.type)]
            if repeated:
                file = pq.ParquetFile(
                    stream,
                    metadata=file.metadata,
                    read_dictionary=repeated,
                    pre_buffer=pre_buffer,
                    buffer_size=_BUFFER_BYTES,
                    page_checksum_verification=True,
                )
            yield file
    except (CurateError, FileNotFoundError):
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise ShardError(f"{uri}: not a sound Parquet file: {error}") from error


def _known(uri: str, file: Any, columns: Sequence[str]) -> None:
    missing = sorted(set(columns) - set(file.schema_arrow.names))
    if missing:
        raise ShardError(f"{uri}: no column {', '.join(missing)}")


def _groups(metadata: Any, first_row: int, rows: int) -> tuple[list[int], int]:
    """Return the row groups that hold the range, and how many rows of the first of them come before it."""
    groups: list[int] = []
    skip = start = 0
    for index in range(metadata.num_row_groups):
        end = start + metadata.row_group(index).num_rows
        if start < first_row + rows and end > first_row:
            if not groups:
                skip = first_row - start
            groups.append(index)
        start = end
    return groups, skip


def _batch_rows(uri: str, metadata: Any, groups: Sequence[int], columns: set[str]) -> int:
    """Return how many rows of these groups together stay near _BATCH_BYTES, by what the footer says."""
    heaviest = 1.0
    for index in groups:
        group = metadata.row_group(index)
        chunks = [group.column(at) for at in range(group.num_columns)]
        wanted = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns]
        if any(chunk.num_values > _MAX_GROUP_VALUES for chunk in wanted):
            raise ShardError(f"{uri}: a row group with more than {_MAX_GROUP_VALUES} values in a column")
        # A value in a list takes 8 bytes and its two levels 4, however few bytes encode them in the file.
        held = sum(max(chunk.total_uncompressed_size, 12 * chunk.num_values) for chunk in wanted)
        heaviest = max(heaviest, held / max(1, group.num_rows))
    return max(1, min(_BATCH_ROWS, int(_BATCH_BYTES / heaviest)))


def _kind(kind: Any) -> str:
    if _is_text(kind):
        return "text"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"list of {_kind(kind.value_type)}"
    return "number" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else str(kind)


def _is_text(kind: Any) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def _values(column: pa.Array) -> list[Any]:
    if _is_text(column.type):
        return _texts(column)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _lists(column)
    return list(column.to_pylist())


def _texts(column: pa.Array) -> list[Any]:
    rows: list[int | None] = list(range(len(column)))
    if pa.types.is_dictionary(column.type):
        rows, column = column.indices.to_pylist(), column.dictionary
    wide = pa.types.is_large_string(column.type)
    raw = column.cast(pa.large_binary() if wide else pa.binary())
    sizes = pc.fill_null(pc.binary_length(raw), 0).to_numpy(zero_copy_only=False)
    return [None if row is None else _text(raw, row, int(sizes[row])) for row in rows]


def _text(raw: pa.Array, row: int, size: int) -> str | bytes | TooLong | None:
    if size > MAX_TEXT_BYTES:
        return TooLong(size)
    value = raw[row].as_py()
    try:
        return None if value is None else str(value, "utf-8")
    except UnicodeDecodeError:
        return bytes(value)


def _lists(column: pa.Array) -> list[Any]:
    ends = column.offsets.to_numpy()
    sizes = np.diff(ends)
    leaves, inner = sizes, column.values
    if pa.types.is_fixed_size_list(inner.type):
        leaves = sizes * inner.type.list_size
    elif len(inner) and _kind(inner.type).startswith("list"):
        leaves = np.diff(inner.offsets.to_numpy()[ends])
    over = (sizes > MAX_ENTRIES) | (leaves > 10 * MAX_ENTRIES)
    if not over.any():
        return list(column.to_pylist())
    return [TooLong(int(sizes[row])) if over[row] else column[row].as_py() for row in range(len(column))]
