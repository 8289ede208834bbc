"""Local files that appear whole or not at all: written under another name, synced, and renamed."""

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from curate.errors import OutsideError

TEMP_PREFIX = "._tmp"
"""Names that begin so are half-written files: never listed, safe to delete when nothing runs."""


def replace(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a file under a temporary name beside `path`, then give it the name for good.

    A link is followed; what stands there and is no file (a device, a pipe) is refused, not replaced.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise IsADirectoryError(f"{path} is no regular file") if path.is_dir() else OutsideError(f"{path} is no file")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{TEMP_PREFIX}-{secrets.token_hex(8)}"
    try:
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    # The name itself is durable only when the folder is.
    _sync(path.parent)


def write_new(path: Path, data: bytes | memoryview) -> None:
    """Write a file that must not be there yet."""
    with path.open("xb") as file:
        file.write(data)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or make a copy where the disk has no links."""
    try:
        target.hardlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
