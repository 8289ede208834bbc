"""What a mix of files needs of a disk: its files and its folders of pictures, which are there, missing or short."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from curate.catalog import expand
from curate.errors import ConfigError
from curate.io import folders, storage
from curate.mix_job import LISTS, MixJob

State = Literal["present", "missing", "short"]


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


def inventory(name: str, job: MixJob) -> list[Item]:
    """Return every file and folder that a mix names, in order; nothing is read but names and sizes.

    Raises:
        ConfigError: a variable in a path is not set and has no default.
    """
    return [*_files(name, job), *_lists(name, job), *_folders(name, job)]


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
            yield _file(name, part, component.from_, f"mix.{part}.from")


def _lists(name: str, job: MixJob) -> Iterator[Item]:
    for place, said in enumerate(job.gate.against if job.gate else ()):
        if said.endswith(LISTS):
            yield _file(name, said, said, f"gate.against[{place}]")


def _file(name: str, called: str, said: str, where: str) -> Item:
    path = expand(said, f"jobs/{name}.yaml", where)
    there = storage.exists(path)
    size = storage.size(path) if there else 0
    return Item("file", called, path, "present" if size else "short" if there else "missing", size, where=where)


def _folders(name: str, job: MixJob) -> Iterator[Item]:
    if job.pictures is None:
        return
    root = expand(job.pictures.root, f"jobs/{name}.yaml", "pictures.root")
    for folder, wanted in job.pictures.folders.items():
        path = storage.join(root, folder)
        found = folders.count_pictures(path)
        short = not found or (wanted is not None and found < wanted)
        yield Item(
            "folder", folder, path, "missing" if found is None else "short" if short else "present", found or 0, wanted
        )
