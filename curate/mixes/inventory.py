"""What a mix of files needs of a disk: its files and its folders of pictures, which are there, missing or short."""

import posixpath
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from curate.catalog import expand
from curate.errors import ConfigError, OutsideError
from curate.io import folders, storage
from curate.mix_job import LISTS, MixJob

State = Literal["present", "missing", "short"]

_SMALL = 1 << 10
"""A file of so many bytes is read, to see whether it holds anything."""

_EMPTY = b" \t\r\n[]{},\xef\xbb\xbf"
"""What a file may consist of that holds nothing."""

_LEAST_RECORD = 16
"""A file with fewer bytes than these besides holds no record."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file of records, in bytes, or a folder, in pictures: how many there are, and how many there should be.

    `where` is the place in the job that names it.
    """

    kind: Literal["file", "folder"]
    name: str
    path: str
    state: State
    found: int = 0
    wanted: int | None = None
    where: str = ""


def inventory(mixes: Sequence[tuple[str, MixJob]]) -> list[Item]:
    """Return every file and folder that mixes name, in order, each once; nothing is read but names and sizes.

    Raises:
        ConfigError: a variable in a path is not set and has no default.
    """
    found = dict[Hashable, Item]()
    for name, job in mixes:
        found |= {item: item for item in files(name, job)}
        for called, path, wanted, where in _folders(name, job):
            place = storage.absolute(path)
            key = place if "://" in place else posixpath.normpath(place)
            if key not in found:
                found[key] = _folder(called, path, wanted, where)
    return list(found.values())


def files(name: str, job: MixJob) -> list[Item]:
    """Return every file that a mix names, in order, those of records first.

    Raises:
        ConfigError: a variable in a path is not set and has no default.
    """
    return [*_files(name, job), *_lists(name, job)]


def missing(items: list[Item]) -> list[ConfigError]:
    """Return a mistake for each file without which the mix cannot run."""
    return [
        ConfigError(f"no file at {item.path}", where=item.where, hint="fetch it, or take what names it out")
        for item in items
        if item.kind == "file" and item.state == "missing"
    ]


def _files(name: str, job: MixJob) -> Iterator[Item]:
    for part, component in job.mix.items():
        if component.is_file():
            yield _file(name, part, component.from_, f"mix.{part}.from", _LEAST_RECORD)


def _lists(name: str, job: MixJob) -> Iterator[Item]:
    for place, said in enumerate(job.gate.against if job.gate else ()):
        if said.endswith(LISTS):
            yield _file(name, said, said, f"gate.against[{place}]", 1)


def _file(name: str, called: str, said: str, where: str, least: int) -> Item:
    path = expand(said, f"jobs/{name}.yaml", where)
    local = storage.local_path(path)
    if not storage.exists(path) or (local is not None and not local.is_file()):  # a pipe would be waited for
        return Item("file", called, path, "missing", where=where)
    size = storage.size(path)
    return Item("file", called, path, "short" if _held(path, size) < least else "present", size, where=where)


def _held(path: str, size: int) -> int:
    """Return how many bytes of a file are more than brackets; its size where that is large, or it cannot be read."""
    try:
        return size if size > _SMALL else len(storage.read_bytes(path).translate(None, _EMPTY))
    except (OSError, OutsideError):
        return size


def _folders(name: str, job: MixJob) -> Iterator[tuple[str, str, int | None, str]]:
    """Yield the name, the path, how many pictures are wanted, and the place of each folder; some come again."""
    file = f"jobs/{name}.yaml"
    if job.pictures is not None:
        root = expand(job.pictures.root, file, "pictures.root")
        for folder, wanted in job.pictures.folders.items():
            yield folder, storage.join(root, folder), wanted, "pictures.folders"
        if not job.pictures.folders:
            yield "pictures", root, None, "pictures.root"
    for part, component in job.mix.items():
        if component.is_file() and component.images:
            yield part, expand(component.images, file, f"mix.{part}.images"), None, f"mix.{part}.images"


def _folder(called: str, path: str, wanted: int | None, where: str) -> Item:
    found = folders.count_pictures(path)
    short = not found or (wanted is not None and found < wanted)
    state: State = "missing" if found is None else "short" if short else "present"
    return Item("folder", called, path, state, found or 0, wanted, where)
