"""Digests that name content: the same values give the same one, whatever file, compression or chunks they are in."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

UNSTABLE = ("attempts", "fetched_at", "error_detail")
"""Columns that honest re-runs may change, left out of `content_digest`."""

_CHUNK = 65_536


def digest_of(value: object) -> str:
    """Return a digest of any JSON-like value: the name of what it describes."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def content_digest(table: pa.Table) -> str:
    """Return a digest of the values of a table, row by row."""
    stable = table.drop_columns([name for name in UNSTABLE if name in table.column_names])
    digest = hashlib.blake2b(digest_size=16)
    for batch in stable.to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            digest.update(json.dumps(row, sort_keys=True, ensure_ascii=True, default=str).encode())
            digest.update(b"\n")
    return digest.hexdigest()


def columns_digest(table: pa.Table) -> str:
    """Return a digest of the values of a table of plain columns, as `content_digest` does, column by column: fast.

    Raises:
        TypeError: a column of structs or floats, or of lists of them.
    """
    return digest_of_columns(table.column_names, lambda name: table[name].chunks)


def digest_of_columns(names: Sequence[str], parts: Callable[[str], Iterable[pa.Array]]) -> str:
    """Return `columns_digest` of columns that come one after another, each in parts."""
    digest = hashlib.blake2b(digest_size=16)
    for name in names:
        digest.update(f"{name}\n".encode())
        for chunk in _chunks(parts(name)):
            digest.update(_values_of(chunk))
    return digest.hexdigest()


def _chunks(parts: Iterable[pa.Array]) -> Iterator[pa.Array]:
    """Yield the values of arrays, dictionaries resolved, _CHUNK at a time."""
    held: list[pa.Array] = []
    rows = 0
    for part in parts:
        values = part.dictionary_decode() if pa.types.is_dictionary(part.type) else part
        while rows + len(values) >= _CHUNK:
            yield pa.concat_arrays([*held, values[: _CHUNK - rows]])
            held, rows, values = [], 0, values[_CHUNK - rows :]
        held.append(values)
        rows += len(values)
    if rows:
        yield pa.concat_arrays(held)


def _values_of(column: pa.Array) -> bytes:
    """Return a column's values as bytes: which are null; integers of 8 bytes, texts and lists by lengths and parts."""
    valid: bytes = np.packbits(column.is_valid().to_numpy(zero_copy_only=False)).tobytes()
    if pa.types.is_list(column.type):
        return b"".join((valid, _values_of(pc.list_value_length(column)), _values_of(pc.list_flatten(column))))
    if pa.types.is_string(column.type):
        texts = column.fill_null("")
        lengths = pc.binary_length(texts).to_numpy().astype("<i8")
        letters = "".join(texts.to_pylist()).encode("utf-8", "surrogatepass")
        return b"".join((valid, lengths.tobytes(), letters))
    if not pa.types.is_integer(column.type):
        raise TypeError(f"a column of {column.type}")
    numbers: bytes = column.fill_null(0).to_numpy(zero_copy_only=False).astype("<i8").tobytes()
    return valid + numbers
