"""The door to Parquet files: whole tables, ranges of rows, and the words in the footer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import CurateError, ShardError
from curate.io import storage

ROW_GROUP_ROWS = 10_000
"""Small enough to skip by statistics, large enough to compress."""
_BATCH_ROWS = 512
_BUFFER_BYTES = 1 << 20


def read_table(uri: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a whole Parquet file, or the named columns in the order named.

    Raises FileNotFoundError, OutsideError, and ShardError for a broken file or an absent column.
    """
    with _parquet(uri) as file:
        _known(uri, file, columns or ())
        table = file.read(columns=None if columns is None else list(columns), use_threads=False)
        table.validate(full=True)
        return table if columns is None else table.select(list(columns))


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


def iter_rows(uri: str, first_row: int, rows: int, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield `rows` rows from `first_row` on as dicts of the named columns, absent ones as None.

    Row groups before the range are not touched. A string that is not UTF-8 comes as bytes, so that one bad
    row does not cost its shard. Raises ShardError when the file is broken or shorter than asked.
    """
    done = 0
    # Over a network one large request per column beats thousands of small ones; on a disk memory counts.
    with _parquet(uri, pre_buffer=storage.local_path(uri) is None) as file:
        present = [name for name in columns if name in file.schema_arrow.names]
        groups, skip = _groups(file.metadata, first_row, rows)
        batches = file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=present, use_threads=False)
        for batch in batches:
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


@contextmanager
def _parquet(uri: str, pre_buffer: bool = False) -> Iterator[Any]:
    """Open a Parquet file; whatever Arrow says against it becomes ShardError."""
    try:
        with storage.open_read(uri) as stream:
            yield pq.ParquetFile(
                stream, pre_buffer=pre_buffer, buffer_size=_BUFFER_BYTES, page_checksum_verification=True
            )
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


def _values(column: pa.Array) -> list[Any]:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return list(column.to_pylist())
    wide = pa.types.is_large_string(column.type)
    return [_text(value) for value in column.cast(pa.large_binary() if wide else pa.binary()).to_pylist()]


def _text(value: bytes | None) -> str | bytes | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value
