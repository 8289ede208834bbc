"""A picture of a folder by a name that others wrote: it leads nowhere but below that folder."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from curate.errors import SampleError
from curate.io import storage

_STRANGE = re.compile(r"[\x00\\\ud800-\udfff]")
_LONGEST_PATH, _LONGEST_NAME = 2000, 255  # in bytes


MAX_BYTES = 64 << 20
"""Of a picture's file: what is larger is not read."""


def read(root: str, path: str) -> bytes:
    """Return the bytes of a picture by its path under a folder.

    Raises as `opened` and `bounded` do.
    """
    with opened(root, path) as file:
        return bounded(file)


def bounded(file: BinaryIO) -> bytes:
    """Return what remains of a picture's file; SampleError `too_large` for more than MAX_BYTES."""
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SampleError("too_large", f"a picture of more than {MAX_BYTES} bytes")
    return data


@contextmanager
def opened(root: str, path: str) -> Iterator[BinaryIO]:
    """Open a file by its path under a folder, or a prefix of a store, for reading.

    Raises SampleError: `bad_image` for a path that leaves the root, `no_picture` where there is no file.
    OutsideError: the store failed.
    """
    parts = path.split("/")
    fits = all(part not in ("", "..") for part in parts) and ":" not in parts[0] and not _STRANGE.search(path)
    if not fits or len(path.encode()) > _LONGEST_PATH or max(len(part.encode()) for part in parts) > _LONGEST_NAME:
        raise SampleError("bad_image", f"{path[:200]!r} is no path under the folder of pictures")
    uri = storage.join(root, path)
    local = storage.local_path(uri)
    try:
        if local is not None and not local.is_file():  # a pipe would be waited for, a loop of links has no end
            raise SampleError("no_picture", f"no file {path!r} under the folder of pictures")
        with storage.open_read(uri) as file:
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SampleError("no_picture", f"no file {path!r} under the folder of pictures") from error
