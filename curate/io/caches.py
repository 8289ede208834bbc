"""Tables that can be made again: each has its own name in the footer, so that a copy under another name is told."""

import pyarrow as pa

from curate.errors import ShardError
from curate.io import tables

_PLACE = "curate.place"


def write(uri: str, table: pa.Table, metadata: dict[str, str]) -> None:
    """Write a table as `tables.write_table` does, with its name."""
    tables.write_table(uri, table, {**metadata, _PLACE: _place(uri)})


def stands(uri: str) -> bool:
    """Tell whether a file, which is there, was written by `write`, and under this name."""
    try:
        return tables.read_metadata(uri).get(_PLACE) == _place(uri)
    except ShardError:
        return False


def _place(uri: str) -> str:
    return "/".join(uri.split("/")[-3:])
