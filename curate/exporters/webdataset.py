"""WebDataset: tars of picture and JSON members that share a key, readable by the webdataset library."""

import json
from collections.abc import Iterator
from pathlib import Path

from curate.io import tars
from curate.sample import Record

SUFFIX = ".tar"
PER_TAR = 1000
"""Samples in a tar."""


class Exporter:
    """Writes records into NAME-00000.tar, NAME-00001.tar, …; holds one tar's records at a time."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._stem = folder, Path(name).stem
        self._held: list[tuple[str, Record]] = []
        self._seen: dict[str, int] = {}
        self._files: list[str] = []

    def write(self, record: Record) -> None:
        """Take one record; a sample that is drawn again gets a key of its own."""
        times = self._seen[record.sample_id] = self._seen.get(record.sample_id, 0) + 1
        self._held.append((record.sample_id if times == 1 else f"{record.sample_id}_{times}", record))
        if len(self._held) == PER_TAR:
            self._flush()

    def close(self) -> tuple[str, ...]:
        """Write what is held, and return the files written, relative to the folder."""
        if self._held or not self._files:
            self._flush()
        return tuple(self._files)

    def _flush(self) -> None:
        name = f"{self._stem}-{len(self._files):05d}.tar"
        tars.write_tar(self._folder / name, self._members())
        self._files.append(name)
        self._held = []

    def _members(self) -> Iterator[tuple[str, bytes]]:
        for key, record in self._held:
            if record.picture is not None and record.image is not None:
                yield f"{key}{Path(record.image).suffix}", record.picture
            row = {
                "id": record.sample_id,
                "component": record.component,
                "width": record.width,
                "height": record.height,
                "conversations": [{"from": turn.role, "value": turn.value} for turn in record.turns],
            }
            yield f"{key}.json", json.dumps(row, ensure_ascii=False).encode()
