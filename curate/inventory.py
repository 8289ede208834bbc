"""What a mix of files needs of a disk: its files and its folders of pictures, which are there, missing or short."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from curate.catalog import expand
from curate.errors import ConfigError
from curate.io import folders, storage
from curate.mix_job import MixJob

State = Literal["present", "missing", "short"]


@dataclass(frozen=True, slots=True)
class Item:
    """A file of records, in bytes, or a folder, in pictures: how many there are, and how many there should be."""

    kind: Literal["file", "folder"]
    name: str
    path: str
    state: State
    found: int = 0
    wanted: int | None = None


def inventory(name: str, job: MixJob) -> list[Item]:
    """Return every file and folder that a mix names, in order; nothing is read but names and sizes.

    Raises:
        ConfigError: a variable in a path is not set and has no default.
    """
    return [*_files(name, job), *_folders(name, job)]


def missing(items: list[Item]) -> list[ConfigError]:
    """Return a mistake for each file without which the mix cannot run."""
    return [
        ConfigError(
            f"no file at {item.path}", where=f"mix.{item.name}.from", hint="fetch it, or take the component out"
        )
        for item in items
        if item.kind == "file" and item.state == "missing"
    ]


def _files(name: str, job: MixJob) -> Iterator[Item]:
    for part, component in job.mix.items():
        if component.is_file():
            path = expand(component.from_, f"jobs/{name}.yaml", f"mix.{part}.from")
            there = storage.exists(path)
            size = storage.size(path) if there else 0
            yield Item("file", part, path, "present" if size else "short" if there else "missing", size)


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
