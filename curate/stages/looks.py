"""What the pictures of others' files are known by once they are read: their bytes, and their perceptual hash."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from curate.errors import SampleError
from curate.io import below, images
from curate.io.picture import Limits

_MOST_THREADS = 16
_WHOLE = Limits(max_side=None)


@dataclass(frozen=True, slots=True)
class Look:
    """The sha256 of a picture's file, and its perceptual hash as of stored pictures, None where it does not decode."""

    sha256: str
    phash: str | None


def looked(root: str, names: Sequence[str]) -> Iterator[Look | None]:
    """Yield a Look for each picture by its path under a folder, in order; None for one that cannot be read there.

    As many are read at a time as there are cores.

    Raises:
        OutsideError: the store failed.
    """
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS), "looks") as pool:
        yield from pool.map(lambda name: _look(root, name), names)


def _look(root: str, name: str) -> Look | None:
    try:
        data = below.read(root, name)
    except SampleError:
        return None
    sha = hashlib.sha256(data).hexdigest()
    try:
        return Look(sha, images.store(data, _WHOLE).phash)
    except SampleError:
        return Look(sha, None)
