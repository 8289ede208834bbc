"""A tar that grows: what is kept stays at its offset, so that a table which points into the old one still holds."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from curate.errors import ShardError
from curate.io.tars import BLOCK, END, append_member, header

Place = tuple[str, int, int]
"""Name of a member, offset and size of its data, in bytes."""


def member_start(place: Place) -> int:
    """Return where the header of a member begins."""
    name, offset, size = place
    return offset - len(header(name, size))


def extend_tar(
    path: Path, old: BinaryIO | None, kept: Sequence[Place], members: Iterable[tuple[str, bytes]]
) -> list[Place]:
    """Write a tar with the kept members of `old` where they were and `members` after them; return the new places.

    `kept` is in order of offset. Where something between them is not kept, a member `gap-<offset>` of zeros
    takes its room. Raises ShardError where `old` does not hold a kept member whole.
    """
    with path.open("wb") as file:
        for place in kept:
            _fill(file, member_start(place))
            _copy(file, old, place)
        places = [append_member(file, name, data) for name, data in members]
        file.write(END)
    return places


def _fill(file: BinaryIO, until: int) -> None:
    at = file.tell()
    if until > at:
        append_member(file, f"gap-{at:012d}", bytes(until - at - BLOCK))


def _copy(file: BinaryIO, old: BinaryIO | None, place: Place) -> None:
    name, offset, size = place
    data = b""
    if old is not None:
        old.seek(offset)
        data = old.read(size)
    if len(data) != size or file.tell() != member_start(place):
        raise ShardError(f"tar: {name} is not whole at {offset}; curate doctor finds what else is damaged")
    append_member(file, name, data)
