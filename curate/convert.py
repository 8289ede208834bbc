"""Annotations from one written form to another: a file of records in, a file of records out, nothing lost silently.

    curate convert IN --from svit --to asv2 -o OUT [--images ROOT] [--instances FILE] [--rejects FILE]
                   [--strict] [--dry-run] [--force]

    --from, --to   codecs: what the boxes are written in, and will be (curate list codecs)
    -o             where to write: an array of records, or JSON Lines where the name ends with .jsonl
    --images       folder or s3:// prefix of the pictures: their sizes are read from their headers
    --instances    COCO instances file that annotation ids point into (GVC)
    --rejects      where records go that cannot be converted, as JSON Lines; else OUT.rejects.jsonl, where there are any
    --strict       a record of which the target form would lose anything is a reject
    --dry-run      write nothing; read everything and count
    --force        write over files that are there

GVC (--to gvc) is written as one record for each answer with boxes, its annotations inside; questions, and turns
without boxes, are left out and counted.

Exit code 0 where every record was converted, 1 where some were rejected; the rest is written all the same.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from types import ModuleType
from typing import Any

from curate import plugins
from curate.console import Console
from curate.errors import ConfigError, OutsideError, SampleError
from curate.io import coco_files, json_stream, storage
from curate.io.coco_files import InstancesWriter
from curate.io.json_out import ArrayWriter, line_of
from curate.io.json_stream import Found
from curate.io.same_file import same
from curate.io.sizes import Sizes
from curate.plugins import Project
from curate.sample import Grounded
from curate.shards import ShardReport
from curate.stages.layouts import Json, Refused, id_of, units
from curate.stages.losses import NOTES, REASONS
from curate.stages.recast import Recaster, holds_records

PART_BYTES = 16 << 20
"""Progress is told by so many bytes of the source."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to convert; see the module's head."""

    instances: str | None = None
    strict: bool = False
    dry_run: bool = False
    force: bool = False


@dataclass(slots=True)
class Converted:
    """What became of a file: records read, records written, and boxes in them; what was rejected or lost by reason.

    `unchanged` counts records written as they were read, `left` turns without boxes, for which a form of records
    has no place, `dialogues` those of nested records, and `notes` what is not lost but worth a look, by NOTES.
    """

    source: str
    target: str
    from_: str
    to: str
    read: int = 0
    written: int = 0
    unchanged: int = 0
    boxes: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    left: int = 0
    dialogues: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    dry_run: bool = False
    rejects: str | None = None
    seconds: float = 0.0


def convert(
    source: str,
    target: str,
    from_: str,
    to: str,
    images: str | None,
    rejects: str | None,
    project: Project,
    console: Console,
    options: Options = Options(),
) -> Converted:
    """Write the records of `source`, whose boxes are in the form `from_`, to `target` in the form `to`.

    Records are read one at a time, so that memory does not grow with their number; the same input gives the same
    bytes. A record of one line in which nothing is to be rewritten is copied as it stands. Both files get their names
    only when all is done. `images` is the folder of the pictures.

    Raises:
        ConfigError: no such codec or source, or a target that is there already.
        OutsideError: a store failed.
    """
    begun = time.monotonic()
    aside = rejects or f"{target}.rejects.jsonl"
    reader = plugins.load("codecs", from_, project, "--from")
    writer = plugins.load("codecs", to, project, "--to")
    _check(source, (target, aside), images, options)
    index = coco_files.read(options.instances) if options.instances is not None else None
    recaster = Recaster(reader, writer, Sizes(images) if images is not None else None, index)
    done = Converted(source, target, from_, to, dry_run=options.dry_run)
    with ExitStack() as files:
        work = _Work(done, recaster, options, files, aside)
        if not options.dry_run:
            work.out = _writer(target, writer)
            files.enter_context(work.out)
        if rejects is not None:
            work.open_rejects()
        progress = _Progress(f"{from_} → {to}", source, console)
        for found in _records(source):
            progress.at(found.offset, done)
            work.take(found)
        progress.end(done)
    if options.force and not options.dry_run and done.rejects is None:
        storage.remove(aside)  # of an earlier run, and no longer true
    done.lost, done.notes, done.seconds = +done.lost, +done.notes, time.monotonic() - begun
    return done


def as_text(found: Converted) -> str:
    """Return what a conversion came to, in lines."""
    verb = "would write" if found.dry_run else "wrote"
    nested = f"{found.dialogues:,} dialogues of " if found.dialogues else ""
    lines = [
        f"{verb} {found.written:,} of {nested}{found.read:,} records with {found.boxes:,} boxes to {found.target}, "
        f"{found.unchanged:,} of them unchanged, in {found.seconds:.1f} s"
    ]
    if found.left:
        lines.append(f"left out: {found.left:,} turns without boxes, for which {found.to} has no place")
    lines += [f"lost: {count:,} {REASONS[reason]}" for reason, count in sorted(found.lost.items())]
    lines += [f"note: {count:,} {NOTES[reason]}" for reason, count in sorted(found.notes.items())]
    lines += [f"rejected: {count:,} {code}" for code, count in found.rejected.most_common()]
    if found.rejected:
        lines.append(f"kept aside in {found.rejects}" if found.rejects else "kept nowhere: this was a dry run")
    if "no_size" in found.rejected:
        lines.append("next:  give --images, the folder of the pictures")
    return "\n".join(lines)


@dataclass(slots=True)
class _Work:
    """Takes records one by one, and writes what comes of each."""

    done: Converted
    recaster: Recaster
    options: Options
    files: ExitStack
    aside: str
    out: ArrayWriter | InstancesWriter | None = None
    kept: ArrayWriter | None = None

    def take(self, found: Found) -> None:
        """Convert one record, or keep it aside."""
        self.done.read += 1
        if found.error is not None:
            self._reject(found, None, Refused("bad_json", f"{found.error} (byte {found.offset} of the file)"))
            return
        try:
            for unit in units(found.record):
                self.done.dialogues += unit is not found.record
                try:
                    self._convert(unit, found)
                except Refused as error:
                    self._reject(found, unit, error)
        except Refused as error:
            self._reject(found, found.record, error)

    def open_rejects(self) -> None:
        """Begin the file of rejects; a dry run has none."""
        if self.kept is None and not self.options.dry_run:
            self.kept = self.files.enter_context(ArrayWriter(self.aside, lines=True))
            self.done.rejects = self.aside

    def _convert(self, unit: Json, found: Found) -> None:
        made = self.recaster.recast(unit)
        lost = made.lost
        if lost and self.options.strict:
            said = ", ".join(f"{reason} {count}" for reason, count in sorted(lost.items()))
            raise Refused("lossy", f"{self.done.to} does not hold: {said}")
        try:
            for record in made.records:
                text = found.text if record is found.record else ""
                if self.out is not None:
                    self.out.write(record, text)
                else:
                    line_of(record, found.index, text)
        except SampleError as error:
            raise Refused(error.code, error.detail) from error
        done = self.done
        done.written += len(made.records)
        done.unchanged += made.records == [unit]
        done.boxes += made.boxes
        done.left += made.left
        if lost:
            done.lost += lost
        if made.notes:
            done.notes += made.notes

    def _reject(self, found: Found, record: Any, error: Refused) -> None:
        self.done.rejected[error.code] += 1
        self.open_rejects()
        if self.kept is None:
            return
        row = {
            "index": found.index,
            "id": id_of(record) if isinstance(record, dict) else None,
            "code": error.code,
            "detail": error.detail,
            "path": error.path,
            "record": record,
        }
        try:
            self.kept.write(row)
        except SampleError:  # an infinite number, say: JSON can be read that cannot be written
            self.kept.write({**row, "record": None, "detail": f"{error.detail}; begins at byte {found.offset}"})


def _records(source: str) -> Iterator[Found]:
    """Yield the records of a file; of a COCO instances file one for each picture."""
    if not coco_files.is_instances(source):
        yield from json_stream.records(source)
        return
    for number, record in enumerate(coco_files.read(source).records()):
        yield Found(number, 0, record)


def _writer(target: str, codec: ModuleType) -> ArrayWriter | InstancesWriter:
    """Return what writes the records of a codec: one COCO file for all, else an array or a line for each."""
    lines = target.endswith((".jsonl", ".ndjson"))
    if (
        holds_records(codec)
        and not lines
        and set(coco_files.PARTS) <= json.loads(codec.encode(Grounded("a"), 8, 8)).keys()
    ):
        return InstancesWriter(target)
    return ArrayWriter(target)


class _Progress:
    """Tells the console how much of the source was read."""

    def __init__(self, title: str, source: str, console: Console) -> None:
        self._console, self._part, self._rows, self._began = console, 0, 0, time.monotonic()
        self._rejected: Counter[str] = Counter()
        try:
            self._parts = storage.size(source) // PART_BYTES + 1
        except OutsideError:  # a server that does not state a size
            self._parts = 1
        console.phase("convert", title, self._parts, 0, None)

    def at(self, offset: int, done: Converted) -> None:
        """Tell, where another part of the source was read."""
        while offset >= (self._part + 1) * PART_BYTES and self._part + 1 < self._parts:
            self._tell(done)

    def end(self, done: Converted) -> None:
        """Tell the last part."""
        while self._part < self._parts:
            self._tell(done)
        self._console.finish()

    def _tell(self, done: Converted) -> None:
        counts = {f"rejected:{code}": count for code, count in (done.rejected - self._rejected).items()}
        seconds = time.monotonic() - self._began
        self._console.shard(ShardReport("convert", self._part, True, done.read - self._rows, counts, seconds))
        self._part, self._rows, self._rejected = self._part + 1, done.read, done.rejected.copy()
        self._began = time.monotonic()


def _check(source: str, targets: tuple[str, str], images: str | None, options: Options) -> None:
    """Raise ConfigError where the source or the pictures are missing, or a target would be written over."""
    if not storage.exists(source):
        raise ConfigError("no such file", file=source)
    read = [source] if options.instances is None else [source, options.instances]
    for one, other in combinations([*read, *targets], 2):
        if other in targets and same(one, other):
            what = "source, instances, target and rejects must be different files"
            raise ConfigError(what, file=other, hint=f"it is the same file as {one}")
    if images is not None and (folder := storage.local_path(images)) is not None and not folder.is_dir():
        raise ConfigError("no such folder of pictures", file=images)
    for target in targets if not (options.force or options.dry_run) else ():
        if storage.exists(target):
            raise ConfigError("there is such a file already", file=target, hint="--force writes over it")
