"""Export: write samples in the form that one trainer reads, and commit the files with their manifest last."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

from curate import plugins
from curate.errors import SampleError
from curate.export_job import Export
from curate.grounding import conversation, dialogue
from curate.grounding.resolve import Policy
from curate.io import storage
from curate.io.records import sound
from curate.kernels.affine import IDENTITY
from curate.layout import Layout
from curate.plugins import Project
from curate.sample import Attached, Grounded, ImageRef, Placed, Record, Sample, Turn
from curate.stages import foreign, naming

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Writing:
    """How an export is written: the plug-ins, the file's name, whether pictures go along, and how they are named.

    Of phrases that overlap `policy` says which are written; without one the codec chooses.

    An exporter that cannot say how a virtual child is made of its parent's picture (it lacks `VIRTUAL = True`) gets
    none: they are left out as `virtual`.
    """

    exporter: ModuleType
    codec: ModuleType
    file: str
    pictures: bool
    layout: naming.Layout | None = None
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of it: the trainer's files in the export's folder, how many pictures lie beside them in files of their
    own, records written, and what was left out by reason.
    """

    folder: str
    files: tuple[str, ...]
    picture_files: int
    records: int
    left_out: dict[str, int]


def codec_of(wanted: Export, project: Project) -> str:
    """Return the codec of an export: the one named, else the first that the exporter's trainer is used to.

    Raises:
        ConfigError: there is no such exporter.
    """
    return wanted.codec or str(getattr(plugins.load("exporters", wanted.as_, project), "CODECS", ("asv2",))[0])


def export(
    root: str,
    rows: Iterable[dict[str, Any]],
    writing: Writing,
    folder: str,
    sources: Mapping[str, foreign.Reading] | None = None,
) -> Exported:
    """Write `rows` (a `sample`, its `component`, `augmented` where it was derived) and put them in `folder`.

    A row with `record_bytes` is a record of the file in `sources` of its component, or else of its `job`; its
    pictures stay where they are.

    `length` in tokens and the number of the `pack` are columns of a mix's rows. Memory does not grow with the rows.
    """
    left_out: Counter[str] = Counter()
    written = 0
    with tempfile.TemporaryDirectory(prefix="curate-") as local:
        exporter = writing.exporter.Exporter(Path(local), writing.file)
        for record in conversations(_records(root, rows, writing, left_out, sources or {})):
            try:
                exporter.write(record)
                written += 1
            except SampleError as error:  # what its trainer would fail on, or leave out without a word
                left_out[error.code] += 1
        files: tuple[str, ...] = exporter.close()
        own, pictures = set(files), 0
        for name in _files_below(local):
            if name not in own:
                storage.put_file(Path(local) / name, f"{folder}/{name}")
                pictures += 1
        for name in files:  # what they name is there by then
            storage.put_file(Path(local) / name, f"{folder}/{name}")
    return Exported(folder, files, pictures, written, dict(sorted(left_out.items())))


def conversations(told: Iterable[tuple[Row, Record]]) -> Iterator[Record]:
    """Yield records, those of a draw whose samples are merged as one; a row names its sample as `member` then.

    A member that cannot be written is missing in its conversation, the others stay.
    """
    for draw, group in groupby(told, key=lambda each: _merged_draw(each[0])):
        records = (record for _, record in group)
        if draw is None:
            yield from records
        else:
            yield conversation.merged(list(records), draw[-1])


def _merged_draw(row: Row) -> tuple[int, int, str] | None:
    """Return which draw a row is a member of, by pack, slot and id; None for a sample by itself."""
    if row.get("member", row.get("drawn")) == row.get("drawn"):
        return None
    return row["pack"], row["slot"], row["drawn"]


def _files_below(folder: str, name: str = "") -> Iterator[str]:
    """Yield the files below a folder, relative to it, one by one: there may be millions."""
    with os.scandir(f"{folder}/{name}") as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(folder, f"{name}{entry.name}/")
            else:
                yield f"{name}{entry.name}"


def _records(
    root: str,
    rows: Iterable[dict[str, Any]],
    writing: Writing,
    left_out: Counter[str],
    sources: Mapping[str, foreign.Reading],
) -> Iterator[tuple[Row, Record]]:
    """Yield what each row says, with its row; what cannot be written is counted."""
    names = naming.Names(writing.layout)
    for row in rows:
        if row.get("record_bytes") is not None:
            try:
                yield row, (sources.get(row["component"]) or sources[row["job"]]).record(row)
            except SampleError as error:
                left_out[error.code] += 1
            continue
        sample: Sample = row["sample"]
        virtual = sample.is_virtual()
        if virtual and not getattr(writing.exporter, "VIRTUAL", False):
            left_out["virtual"] += 1
            continue
        try:
            turns, said = _told(sample, writing)
        except SampleError as error:  # a text that holds the codec's own tags
            left_out[error.code] += 1
            continue
        if not turns:
            left_out["no_text"] += 1
            continue
        attached = _attached(root, sample, row["augmented"], writing, names)
        image = attached[0] if attached else None
        placed = _placed(sample) if virtual else None
        width, height = placed.size_wh if placed else (image.width, image.height) if image else (0, 0)
        record = Record(
            sample_id=sample.sample_id,
            component=row["component"],
            turns=turns,
            image=image.image if image else None,
            picture=image.picture if image else None,
            width=width,
            height=height,
            transform=placed,
            folder=names.folder,
            others=tuple(attached[1:]),
            said=said,
            length=row.get("length"),
            pack=row.get("pack"),
        )
        yield row, record


def _told(sample: Sample, writing: Writing) -> tuple[tuple[Turn, ...], tuple[Grounded, ...]]:
    """Return the turns of a sample in the codec's form, and where the exporter reads it what each says without."""
    if not getattr(writing.exporter, "GROUNDED", False):
        return dialogue.turns_of(sample, writing.codec.encode, writing.policy), ()
    said: list[Grounded] = []
    written: list[str] = []

    def write(grounded: Grounded, width: int, height: int) -> str:
        text: str = writing.codec.encode(grounded, width, height)
        said.append(grounded)
        written.append(text)
        return text

    turns = dialogue.turns_of(sample, write, writing.policy)
    if len(said) < len(turns):  # the question that a caption answers is nobody's words
        said.insert(0, Grounded(turns[0].value))
    elif turns and turns[0].value != written[0]:  # a picture's mark was put before it
        said[0] = conversation.replaced(said[0], 0, 0, turns[0].value.removesuffix(written[0]))
    return turns, tuple(said)


def _attached(
    root: str, sample: Sample, augmented: str | None, writing: Writing, names: naming.Names
) -> list[Attached]:
    """Return the pictures of a sample, each named as if it were the only one."""
    found = []
    for image in sample.images:
        name = names.of(sample if len(sample.images) == 1 else replace(sample, images=(image,)))
        data = _picture(root, sample, image, augmented) if writing.pictures else None
        found.append(Attached(name, data, image.width, image.height))
    return found


def _picture(root: str, sample: Sample, image: ImageRef, augmented: str | None) -> bytes:
    tar = Layout(root, sample.dataset).holder(sample, augmented)
    return sound(storage.read_bytes(tar, image.offset, image.size), image.sha256, f"{tar} at {image.offset}")


def _placed(sample: Sample) -> Placed:
    """Return how a virtual child's picture is made: its transforms hold the canvas, the same in each."""
    told = json.loads(sample.transforms[-1].params)
    (width, height), (red, green, blue) = told["size"], told["fill"]
    names = tuple(step.name for step in sample.transforms)
    return Placed(sample.affine or IDENTITY, (width, height), (red, green, blue), names)
