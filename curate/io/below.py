"""A picture of a folder by a name that others wrote: it leads nowhere but below that folder."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from curate.errors import OutsideError, SampleError
from curate.io import storage

_STRANGE = re.compile(r"[\x00\\\ud800-\udfff]")
_LONGEST_PATH, _LONGEST_NAME = 2000, 255  # in bytes


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
    try:
        with storage.open_read(storage.join(root, path)) as file:
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SampleError("no_picture", f"no file {path!r} under the folder of pictures") from error
    except OutsideError as error:
        if isinstance(error.__cause__, IsADirectoryError):
            raise SampleError("no_picture", f"{path!r} is a folder") from error
        raise
