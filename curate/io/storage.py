"""The door to files, wherever they lie: local disk, S3, HTTP, Hugging Face, memory; fsspec lives here only.

A URI is a plain local path or `protocol://...`. Every function raises FileNotFoundError for what is absent,
ConfigError for a protocol that cannot be used, and OutsideError for whatever else a store does wrong.
Credentials and endpoints come from each store's own environment (`AWS_*`, `HF_TOKEN`).
"""

import glob as local_glob
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec

from curate.errors import ConfigError, CurateError, OutsideError
from curate.io.replacing import TEMP_PREFIX as TEMP_PREFIX
from curate.io.replacing import link_or_copy, replace, write_new

READ_BLOCK_BYTES = 4 << 20
"""How much of a remote file one ranged request reads ahead."""

_PROTOCOL = re.compile(r"^([a-z][a-z0-9+.-]*)://")
_READ_ONLY = ("http", "https")
_S3_OPTIONS: dict[str, Any] = {
    # Another process may have committed a file a moment ago: a cached listing would hide it.
    "use_listings_cache": False,
    # S3-compatible servers answer a range with the checksum of the whole object, which botocore then refuses.
    "config_kwargs": {
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    },
}


@dataclass(frozen=True, slots=True)
class _Guarded:
    """A remote file as io.BufferedReader wants it, whose store's errors become OutsideError."""

    file: Any
    uri: str

    @property
    def closed(self) -> bool:
        return bool(self.file.closed)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return bool(self.file.seekable())

    def readinto(self, target: memoryview) -> int:
        with _outside(self.uri):
            data: bytes = self.file.read(len(target))
        target[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        with _outside(self.uri):
            return bytes(self.file.read())

    def seek(self, offset: int, whence: int = 0) -> int:
        with _outside(self.uri):
            return int(self.file.seek(offset, whence))

    def tell(self) -> int:
        return int(self.file.tell())

    def flush(self) -> None:
        """Nothing is written, but BufferedReader.close asks."""

    def close(self) -> None:
        self.file.close()


def open_read(uri: str) -> BinaryIO:
    """Open a file for reading in binary, seekable; a remote file is read in ranges as it is consumed."""
    path = local_path(uri)
    with _outside(uri):
        if path is not None:
            return path.open("rb")
        file = filesystem(uri).open(uri, "rb", block_size=READ_BLOCK_BYTES)
    return io.BufferedReader(cast(io.RawIOBase, _Guarded(file, uri)), buffer_size=1 << 18)


def open_here(uri: str) -> BinaryIO:
    """Open a file for `os.pread` at any place; a remote one is copied first, to a file of this machine without a name.

    Reads here and there would each bring READ_BLOCK_BYTES of it.
    """
    path = local_path(uri)
    if path is not None:
        with _outside(uri):
            return path.open("rb")
    copy = cast(BinaryIO, tempfile.TemporaryFile(prefix="curate-"))  # noqa: SIM115 - the caller's to close
    with open_read(uri) as file:
        shutil.copyfileobj(file, copy, READ_BLOCK_BYTES)
    copy.flush()
    return copy


def read_bytes(uri: str, offset: int = 0, size: int | None = None) -> bytes:
    """Return `size` bytes from `offset` (None: to the end); fewer where the file ends before."""
    path = local_path(uri)
    with _outside(uri):
        if path is not None:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(-1 if size is None else size)
        if size == 0:
            return b""
        end = None if size is None else offset + size
        data: bytes = filesystem(uri).cat_file(uri, start=offset or None, end=end)
    if size is not None and len(data) > size:
        raise OutsideError(f"{uri}: the server ignored the range {offset}+{size}")
    return data


def write_bytes(uri: str, data: bytes | memoryview) -> None:
    """Write a whole file at once: readers see the old file, or none, until the new one is complete."""
    path = local_path(uri)
    with _outside(uri, writing=True):
        if path is not None:
            replace(path, lambda temporary: write_new(temporary, data))
        else:
            _writable(uri).pipe_file(uri, bytes(data))


def put_file(local_file: Path, uri: str) -> None:
    """Copy a local file to `uri`, atomically as `write_bytes`; do not write to `local_file` afterwards.

    On one disk the copy is a hard link, so that a tar of gigabytes costs nothing.
    """
    path = local_path(uri)
    if not local_file.is_file():
        raise FileNotFoundError(str(local_file))
    with _outside(uri, writing=True):
        if path is not None:
            replace(path, lambda temporary: link_or_copy(local_file, temporary))
        else:
            _writable(uri).put_file(str(local_file), uri)


def exists(uri: str) -> bool:
    """Tell whether a file or folder is there; a store that cannot say raises OutsideError, not False."""
    path = local_path(uri)
    try:
        with _outside(uri):
            if path is not None:
                path.stat()
            else:
                # fsspec's own exists() answers False for a network error too.
                filesystem(uri).info(uri)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def size(uri: str) -> int:
    """Return the size of a file in bytes."""
    path = local_path(uri)
    with _outside(uri):
        found = path.stat().st_size if path is not None else filesystem(uri).size(uri)
    if found is None:
        raise OutsideError(f"{uri}: the server does not state a size")
    return int(found)


def list_names(folder_uri: str, suffix: str) -> list[str]:
    """Return the names, sorted, of the finished files directly in a folder that end with `suffix`.

    An absent folder has none. Half-written files and folders are not listed.
    """
    path = local_path(folder_uri)
    try:
        with _outside(folder_uri):
            if path is not None:
                with os.scandir(path) as entries:
                    names = [entry.name for entry in entries if entry.is_file()]
            else:
                found = filesystem(folder_uri).ls(folder_uri, detail=True)
                names = [e["name"].rsplit("/", 1)[-1] for e in found if e["type"] == "file"]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in names if name.endswith(suffix) and not name.startswith(TEMP_PREFIX))


def glob(uri_pattern: str) -> list[str]:
    """Return the files that match, sorted, each with the protocol that the pattern has.

    A local name that exists as it stands is taken literally. HTTP has no listing: the URL itself is returned.
    """
    path, protocol = local_path(uri_pattern), _protocol(uri_pattern)
    if protocol in _READ_ONLY:
        return [uri_pattern]
    with _outside(uri_pattern):
        if path is not None:
            prefix = "file://" if protocol else ""
            # pathlib cannot expand an absolute pattern.
            expanded = local_glob.glob(str(path), recursive=True)  # noqa: PTH207
            paths = [name for name in ([str(path)] if path.exists() else expanded) if Path(name).is_file()]
        else:
            prefix = f"{protocol}://"
            found = filesystem(uri_pattern).glob(uri_pattern, detail=True)
            paths = [name.lstrip("/") for name, entry in found.items() if entry["type"] == "file"]
    return sorted(prefix + name for name in paths if not name.rsplit("/", 1)[-1].startswith(TEMP_PREFIX))


def remove(uri: str) -> None:
    """Delete one file; one that is already gone is no error."""
    path = local_path(uri)
    try:
        with _outside(uri):
            if path is not None:
                path.unlink()
            else:
                _writable(uri).rm_file(uri)
    except FileNotFoundError:
        return


def join(root: str, *parts: str) -> str:
    """Return `root/part/...`, with one slash between."""
    names = "/".join(part.strip("/") for part in parts)
    return root + names if not root or not names or root.endswith("/") else f"{root}/{names}"


def local_path(uri: str) -> Path | None:
    """Return the path of a file on this machine's disk, None for a file elsewhere."""
    protocol = _protocol(uri)
    return Path(uri.removeprefix("file://")) if protocol in (None, "file") else None


def absolute(uri: str) -> str:
    """Return where a folder lies wherever one stands, without a slash at its end; one of a store as it is."""
    path = local_path(uri)
    return uri.rstrip("/") if path is None else str(path.absolute())


def filesystem(uri: str) -> Any:
    """Return the fsspec filesystem that serves `uri` (for DuckDB's register_filesystem)."""
    protocol = _protocol(uri) or "file"
    options = _S3_OPTIONS if protocol == "s3" else {}
    try:
        return fsspec.filesystem(protocol, **options)
    except (ValueError, ImportError) as error:
        hint = "use a local path, s3://, hf://, https:// or memory://"
        raise ConfigError(f"cannot use {protocol}://: {error}", file=uri, hint=hint) from None


def _protocol(uri: str) -> str | None:
    found = _PROTOCOL.match(uri)
    return found[1] if found else None


def _writable(uri: str) -> Any:
    if _protocol(uri) in _READ_ONLY:
        raise ConfigError(f"cannot write to {uri}", hint="HTTP is for reading; write to a local path or s3://")
    return filesystem(uri)


@contextmanager
def _outside(uri: str, writing: bool = False) -> Iterator[None]:
    """Name the file in whatever a store raises; what is absent for reading stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError as error:
        if error.__cause__ is not None and getattr(error.__cause__, "status", None) not in (None, 404, 410):
            raise OutsideError(f"{uri}: {error.__cause__}") from error
        if isinstance(error.__cause__, OSError | TimeoutError) and not isinstance(error.__cause__, FileNotFoundError):
            raise OutsideError(f"{uri}: {error.__cause__!r}") from error  # fsspec calls a dead network a missing file
        if writing:
            raise OutsideError(f"{uri}: there is no such bucket or folder to write to") from error
        raise FileNotFoundError(uri) from error
    except (CurateError, NotADirectoryError, MemoryError):
        raise
    except Exception as error:
        # s3fs, aiohttp and huggingface_hub have no error in common but this.
        raise OutsideError(f"{uri}: {type(error).__name__}: {error}") from error
