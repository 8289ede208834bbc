"""WebDataset: tars of picture and JSON members that share a key, readable by the webdataset library.

Format: webdataset/webdataset README.md. The members of a sample stand side by side; its key is its id, and a sample
that is drawn again within a tar has a key of its own, ID~2. Of several pictures the members are `0.jpg`, `1.jpg`, ….
"""

from collections import Counter
from pathlib import Path
from typing import BinaryIO

from curate.grounding import trainable
from curate.io import beside, tars
from curate.sample import Record

SUFFIX = ".tar"
INSIDE = True
"""Pictures are in the files."""
SIZED = True
"""Rows say how large pictures are."""

CODECS = ("asv2", "qwen2_vl", "internvl", "llava", "plain")
"""Written forms of models that are trained from such files."""

PER_TAR = 1000
"""Samples in a tar."""


class Exporter:
    """Writes records one by one into NAME-00000.tar, NAME-00001.tar, …; memory does not grow with their number."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._stem = folder, Path(name).stem
        self._files: list[str] = []
        self._seen: Counter[str] = Counter()
        self._held = 0
        self._tar = self._next()

    def write(self, record: Record) -> None:
        """Write one record; SampleError as `trainable.check_record` raises it."""
        trainable.check_record(record)
        if self._held == PER_TAR:
            self._finish()
            self._tar = self._next()
        self._held += 1
        self._seen[record.sample_id] += 1
        times = self._seen[record.sample_id]
        key = record.sample_id if times == 1 else f"{record.sample_id}~{times}"
        for member, data in beside.members(record, beside.whole_row(record)):
            tars.append_member(self._tar, f"{key}.{member}", data)

    def close(self) -> tuple[str, ...]:
        """Finish the last tar; return the trainer's files, relative to the folder."""
        self._finish()
        return tuple(self._files)

    def _next(self) -> BinaryIO:
        self._files.append(f"{self._stem}-{len(self._files):05d}.tar")
        return (self._folder / self._files[-1]).open("wb")

    def _finish(self) -> None:
        self._tar.write(tars.END)
        self._tar.close()
        self._seen.clear()
        self._held = 0
