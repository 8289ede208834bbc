"""Small JSON records of ours: plans, manifests, runs; and whether bytes are still those that were stored."""

import hashlib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from curate.errors import OutsideError
from curate.io import storage

_NONE: Mapping[str, type] = MappingProxyType({})

MANIFEST: Mapping[str, type] = MappingProxyType({"shards": dict, "facts": dict, "books": dict})
"""What the manifest of a mix has at least."""

EXPORTED: Mapping[str, type] = MappingProxyType({"files": list, "records": int, "left_out": dict})
"""What the manifest of an export has at least."""


def read_json(uri: str, fields: Mapping[str, type] = _NONE) -> dict[str, Any]:
    """Return a record that has these `fields`, of these types.

    Raises:
        OutsideError: it is damaged (the message says what to do about it).
        FileNotFoundError: there is none.
    """
    try:
        found = json.loads(storage.read_bytes(uri))
    except (ValueError, RecursionError) as error:
        raise OutsideError(f"{uri} is damaged ({error}): curate doctor sets it aside, then run again") from error
    if not isinstance(found, dict):
        raise OutsideError(f"{uri} is damaged (not an object): curate doctor sets it aside, then run again")
    for name, kind in fields.items():
        if not isinstance(found.get(name), kind):
            raise OutsideError(f"{uri} is damaged (no {name}): curate doctor sets it aside, then run again")
    return found


def write_json(uri: str, record: object) -> None:
    """Write a record, all of it or nothing."""
    storage.write_bytes(uri, (json.dumps(record, indent=1) + "\n").encode())


def sound(data: bytes, sha256: str, place: str) -> bytes:
    """Return `data`, a picture read at `place`.

    Raises:
        OutsideError: these are not the bytes that were stored there.
    """
    if hashlib.sha256(data).hexdigest() != sha256:
        raise OutsideError(f"{place} does not hold the picture that was stored: curate doctor marks it, then run again")
    return data
