"""How many files a folder holds, in a file system or a store."""

import os
from pathlib import Path

from curate.io import storage

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".JPG", ".JPEG", ".PNG", ".GIF")


def count_pictures(uri: str) -> int | None:
    """Return the number of pictures in a folder and those below it, told by their names; None where it is not there.

    Links to folders are followed, to each folder once.

    Raises:
        OutsideError: the store failed.
    """
    path = storage.local_path(uri)
    if path is None:
        return sum(name.endswith(SUFFIXES) for name in storage.glob(f"{uri.rstrip('/')}/**")) or None
    if not path.is_dir():
        return None
    found, seen = 0, set[tuple[int, int]]()
    for place, below, names in os.walk(path, followlinks=True):
        told = Path(place).stat()
        if (told.st_dev, told.st_ino) in seen:
            below.clear()
            continue
        seen.add((told.st_dev, told.st_ino))
        found += sum(name.endswith(SUFFIXES) for name in names)
    return found
