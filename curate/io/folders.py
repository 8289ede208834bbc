"""How many files a folder holds, in a file system or a store."""

import os

from curate.io import storage

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".JPG", ".JPEG", ".PNG", ".GIF")


def count_pictures(uri: str) -> int | None:
    """Return the number of pictures in a folder and those below it, told by their names; None where it is not there.

    Raises:
        OutsideError: the store failed.
    """
    path = storage.local_path(uri)
    if path is None:
        return sum(name.endswith(SUFFIXES) for name in storage.glob(f"{uri.rstrip('/')}/**")) or None
    if not path.is_dir():
        return None
    return sum(name.endswith(SUFFIXES) for _, _, names in os.walk(path) for name in names)
