"""Tar archives: written so that the same members give the same bytes, read as a stream and never extracted.

Headers are ustar, with a pax record where a name is too long or not ASCII
(https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html).
"""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from curate.errors import ShardError

MAX_MEMBERS = 10_000_000
"""A thousand times what a tar of SA-1B holds."""
BLOCK = 512
END = bytes(2 * BLOCK)
"""The mark at the end of an archive."""
_MAX_NAME_BYTES = 1 << 16
_SKIP_BYTES = 1 << 20
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_WITHOUT_DATA = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)
"""No data follows these, whatever their size field says."""
_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> list[tuple[str, int, int]]:
    """Write members in order; return for each its name, the offset of its data and its size, in bytes.

    Times, owners and modes are constant. Raises ValueError for a name that `tar_members` would refuse.
    """
    index = []
    with path.open("wb") as file:
        for name, data in members:
            index.append(append_member(file, name, data))
        file.write(END)
    return index


def append_member(file: BinaryIO, name: str, data: bytes) -> tuple[str, int, int]:
    """Write one member; return its name, the offset of its data and its size; ValueError as `write_tar` raises."""
    if safe_name(name) != name:
        raise ValueError(f"not a safe member name: {name!r}")
    file.write(header(name, len(data)))
    place = (name, file.tell(), len(data))
    file.write(data)
    file.write(bytes(-len(data) % BLOCK))
    return place


def header(name: str, size: int) -> bytes:
    """Return the blocks that stand before the data of a member."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8")


def tar_members(
    stream: BinaryIO, suffixes: tuple[str, ...], max_member_bytes: int
) -> Iterator[tuple[str, bytes | None]]:
    """Yield (name, data) of the regular files whose name ends with one of `suffixes`, in archive order.

    The data of a member above `max_member_bytes` is None. Folders, links, devices, sparse files and unsafe
    names are passed over.
    Raises ShardError, after what was sound, for an archive that is cut off, corrupt or without its end mark,
    naming the last member that was read.
    """
    last = "the start"
    for _ in range(MAX_MEMBERS):
        info = _next_header(stream, last)
        if info is None:
            return
        name = safe_name(info.name)
        wanted = info.type in _REGULAR and name is not None and name.endswith(suffixes)
        if wanted and name is not None and info.size <= max_member_bytes:
            data = _data(stream, info)
            last = repr(info.name)
            yield name, data
        else:
            _skip(stream, info)
            last = repr(info.name)
            if wanted and name is not None:
                yield name, None
    raise ShardError(f"tar: more than {MAX_MEMBERS} members")


def safe_name(name: str) -> str | None:
    """Return the name without a leading `./`, or None for one that could leave the folder it is put in."""
    path = PurePosixPath(name)
    # What Windows would take for a separator counts as one here.
    parts = name.replace("\\", "/").split("/")
    unsafe = parts[0] == "" or ".." in parts or not path.parts or "\0" in name
    return None if unsafe else str(path)


def _next_header(stream: BinaryIO, last: str) -> tarfile.TarInfo | None:
    """Return the next member with its long name and size applied, None at the end mark.

    The standard library's reader takes a corrupt header for the end of the archive, hence this loop.
    """
    words: dict[str, str] = {}
    for _ in range(8):
        block = _exactly(stream, BLOCK, f"after {last}: no end mark")
        if not any(block):
            return None
        info = _header(block, last)
        if info.type not in _LONG_NAMES:
            # The map of an old GNU sparse file may go on in blocks of its own: a byte of each says so.
            more = info.type == tarfile.GNUTYPE_SPARSE and bool(block[482])
            while more:
                more = bool(_exactly(stream, BLOCK, f"inside {info.name!r}")[504])
            return _apply(info, words, last)
        if info.size > _MAX_NAME_BYTES:
            raise ShardError(f"tar: corrupt after {last}: a name of {info.size} bytes")
        words |= _extension(info.type, _data(stream, info))
    raise ShardError(f"tar: corrupt after {last}: headers without a member")


def _header(block: bytes, last: str) -> tarfile.TarInfo:
    try:
        # A name that is not UTF-8 must still fit a table of text, and stay different from its neighbours.
        info = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
    except (tarfile.HeaderError, ValueError, OverflowError) as error:
        raise ShardError(f"tar: corrupt after {last}: {error}") from error
    if info.size < 0:
        raise ShardError(f"tar: corrupt after {last}: a negative size")
    return info


def _extension(kind: bytes, data: bytes) -> dict[str, str]:
    if kind == tarfile.GNUTYPE_LONGLINK:
        return {}
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")}
    words = {}
    while data:
        # One record is "LENGTH KEY=VALUE\n", LENGTH in bytes and counting itself.
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not len(length) < int(length[:9]) <= len(data):
            break
        key, _, value = data[len(length) + 1 : int(length)].partition(b"=")
        words[key.decode("utf-8", "replace")] = value.removesuffix(b"\n").decode("utf-8", "backslashreplace")
        data = data[int(length) :]
    return words


def _apply(info: tarfile.TarInfo, words: dict[str, str], last: str) -> tarfile.TarInfo:
    info.name = words.get("path", info.name)
    if "size" in words:
        if not words["size"].isdecimal() or len(words["size"]) > 18:
            raise ShardError(f"tar: corrupt after {last}: size {words['size'][:40]!r}")
        info.size = int(words["size"])
    if any(key.startswith("GNU.sparse.") for key in words):
        info.type = tarfile.GNUTYPE_SPARSE
    if info.type in _WITHOUT_DATA:
        info.size = 0
    return info


def _data(stream: BinaryIO, info: tarfile.TarInfo) -> bytes:
    padded = info.size + -info.size % BLOCK
    return _exactly(stream, padded, f"inside {info.name!r}")[: info.size]


def _skip(stream: BinaryIO, info: tarfile.TarInfo) -> None:
    left = info.size + -info.size % BLOCK
    while left:
        left -= len(_exactly(stream, min(left, _SKIP_BYTES), f"inside {info.name!r}"))


def _exactly(stream: BinaryIO, size: int, where: str) -> bytes:
    try:
        data = stream.read(size)
    except OSError as error:
        raise ShardError(f"tar: unreadable {where}: {error}") from error
    if len(data) != size:
        raise ShardError(f"tar: cut off {where}")
    return data
