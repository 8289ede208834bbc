"""Export: write samples in the form that one trainer reads, and commit the files with their manifest last."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from curate.errors import SampleError
from curate.grounding import dialogue
from curate.io import storage
from curate.io.records import sound
from curate.layout import Layout
from curate.sample import Record, Sample
from curate.schema import from_row


@dataclass(frozen=True, slots=True)
class Writing:
    """How an export is written: the plug-ins, the file's name, and whether pictures go along."""

    exporter: ModuleType
    codec: ModuleType
    file: str
    pictures: bool


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it: files in the export's folder, records written, and what was left out by reason."""

    folder: str
    files: tuple[str, ...]
    records: int
    left_out: dict[str, int]


def export(root: str, rows: Iterable[dict[str, Any]], writing: Writing, folder: str) -> Exported:
    """Write `rows` (samples with `component`, and `augmented` where they were derived) and put them in `folder`."""
    left_out: Counter[str] = Counter()
    written = 0
    with tempfile.TemporaryDirectory(prefix="curate-") as local:
        exporter = writing.exporter.Exporter(Path(local), writing.file)
        for record in _records(root, rows, writing, left_out):
            exporter.write(record)
            written += 1
        files: tuple[str, ...] = exporter.close()
        for name in files:
            storage.put_file(Path(local) / name, f"{folder}/{name}")
    return Exported(folder, files, written, dict(sorted(left_out.items())))


def _records(root: str, rows: Iterable[dict[str, Any]], writing: Writing, left_out: Counter[str]) -> Iterator[Record]:
    for row in rows:
        sample = from_row(row)
        try:
            turns = dialogue.turns_of(sample, writing.codec.encode)
        except SampleError as error:  # a text that holds the codec's own tags
            left_out[error.code] += 1
            continue
        if not turns:
            left_out["no_text"] += 1
            continue
        image = sample.images[0] if sample.images else None
        yield Record(
            sample_id=sample.sample_id,
            component=row["component"],
            turns=turns,
            image=f"images/{sample.dataset}/{image.member}" if image else None,
            picture=_picture(root, sample, row["augmented"]) if image and writing.pictures else None,
            width=image.width if image else 0,
            height=image.height if image else 0,
        )


def _picture(root: str, sample: Sample, augmented: str | None) -> bytes:
    layout = Layout(root, sample.dataset)
    tar = layout.augmented_images(augmented, sample.shard) if augmented else layout.images(sample.shard)
    image = sample.images[0]
    return sound(storage.read_bytes(tar, image.offset, image.size), image.sha256, f"{tar} at {image.offset}")
