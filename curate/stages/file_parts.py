"""A large file of records in parts that are read each by itself, and parts that were cut inside a record."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

from curate.io import json_cuts, json_stream, storage
from curate.io.json_stream import Found


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a file's records: those that begin at byte `begin` or later, and before `end`."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """The byte at which the first record of a part begins, and the one at which its last record ends."""

    begin: int
    end: int


def parts(uri: str, every: int) -> list[Part]:
    """Return the parts of about `every` bytes in which a file can be read, in order."""
    edges = [*json_cuts.cuts(uri, every, "conversations"), storage.size(uri) + 1]
    return [Part(begin, end) for begin, end in pairwise(edges)]


def records(uri: str, part: Part) -> Iterator[tuple[Found, int]]:
    """Yield the records of a part, each with the bytes from its first to the next one's first, or to the file's end."""
    size = storage.size(uri)
    if part.begin < min(max(size, 1), part.end):
        yield from _placed(json_stream.records(uri, part.begin), part.end, size)


def stretch(places: pa.Table) -> Stretch | None:
    """Return the stretch of a part from `record_offset` and `record_bytes` of its records, in order; None for none."""
    if not places.num_rows:
        return None
    last = places.slice(places.num_rows - 1)
    end = last["record_offset"][0].as_py() + last["record_bytes"][0].as_py()
    return Stretch(places["record_offset"][0].as_py(), end)


def recut(uri: str, cut: Sequence[Part], stretches: Sequence[Stretch | None]) -> dict[int, Part]:
    """Return by number the parts that were cut inside a record, as they must be cut; (N,) parts and their stretches.

    Such a part does not begin where the records before it end. It is read here from there on, for where its own
    records end: so all are found in one pass, and each is read once.
    """
    found: dict[int, Part] = {}
    edge: int | None = None
    for number, (part, here) in enumerate(zip(cut, stretches, strict=True)):
        if here is not None and edge is not None and here.begin != edge:
            found[number] = Part(edge, part.end)
            here = _stretch_of(uri, found[number])
        edge = edge if here is None else here.end
    return found


def _stretch_of(uri: str, part: Part) -> Stretch | None:
    begin, end = None, 0
    for found, size in records(uri, part):
        begin, end = found.offset if begin is None else begin, found.offset + size
    return None if begin is None else Stretch(begin, end)


def _placed(found: Iterable[Found], end: int, size: int) -> Iterator[tuple[Found, int]]:
    """Yield each record before `end`, and its bytes, of those of a file of `size` bytes."""
    last: Found | None = None
    for each in found:
        if last is not None:
            yield last, each.offset - last.offset
        last = each
        if each.offset >= end and each.error is None:  # an error may be the last that there is to tell
            return
    if last is not None:
        yield last, size - last.offset
