"""Look at the pictures of others' files, some of them at a time: their bytes, and their perceptual hash."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pyarrow as pa

from curate.errors import SampleError
from curate.io import below, caches, images
from curate.io.picture import Limits
from curate.shards import ShardReport, ShardTask, shard_name

LOOKS = pa.schema([("name", pa.string()), ("sha256", pa.string()), ("phash", pa.string())])
"""A picture by its path under a folder: the sha256 of its file, null where that cannot be read, and its perceptual hash
as of stored pictures, null where it does not decode."""

AT_ONCE = 2048
"""Pictures that are one shard's work: some ten seconds of a core."""

_THREADS = 4  # a store is waited for
_WHOLE = Limits(max_side=None)


def tasks(name: str, pictures: pa.StringArray) -> list[ShardTask]:
    """Return the tasks that look at pictures of the file `name`, by their paths."""
    firsts = range(0, len(pictures), AT_ONCE)
    parts = (
        pa.concat_arrays([pictures[first : first + AT_ONCE]]) for first in firsts
    )  # copies: a slice brings all along
    return [ShardTask(name, number, len(part), part) for number, part in enumerate(parts)]


def build(root: str, folder: str) -> Callable[[ShardTask, Any], ShardReport]:
    """Return the function that looks at some pictures under `root`, and writes LOOKS of them into `folder`."""
    return partial(_look, root, folder)


def looked(root: str, names: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    """Yield (sha256, perceptual hash) of each picture by its path under a folder, in order, as in LOOKS.

    Raises:
        OutsideError: the store failed.
    """
    with ThreadPoolExecutor(_THREADS, "looks") as pool:
        yield from pool.map(partial(_known, root), names)


def _look(root: str, folder: str, task: ShardTask, payload: Any) -> ShardReport:
    started = time.monotonic()
    names = task.work.to_pylist()
    shas, hashes = zip(*looked(root, names), strict=True)
    table = pa.table([names, shas, hashes], schema=LOOKS)
    caches.write(f"{folder}/{shard_name(task.shard)}.parquet", table, {})
    counts = {"looked": len(names) - shas.count(None)}
    return ShardReport(task.dataset, task.shard, True, len(names), counts, time.monotonic() - started)


def _known(root: str, name: str) -> tuple[str | None, str | None]:
    try:
        data = below.read(root, name)
    except SampleError:
        return None, None
    sha = hashlib.sha256(data).hexdigest()
    try:
        return sha, images.store(data, _WHOLE).phash
    except SampleError:
        return sha, None
