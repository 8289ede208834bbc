"""A file of records made elsewhere, read whole: every fault by its place, and what is safe mended.

    curate lint FILE [--dialect NAME] [--images ROOT] [--fix OUT [--force]] [--limit N]

Memory does not grow with the file but for 33 bytes a record, by which repeated ids are found.
"""

import posixpath
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from curate import plugins
from curate.errors import ConfigError, OutsideError, SampleError, nearest
from curate.grounding import dialects
from curate.grounding.lint_codec import ANY_SIGNS
from curate.grounding.lint_fix import mend
from curate.grounding.lint_ids import Ids
from curate.grounding.lint_rules import CODES, Fault, Rules, Size, picture_names
from curate.io import json_stream, storage
from curate.io.json_out import ArrayWriter
from curate.io.json_stream import Found
from curate.io.sizes import Sizes
from curate.plugins import Project
from curate.stages.layouts import stated
from curate.stages.recast import holds_records
from curate.telling import table

SAMPLE_BLOCKS = 16
"""Places of the file that are looked at to tell its form."""
SAMPLE_BYTES = 1 << 16
ID_SEEN = 60
"""Characters of an id that a line shows."""


@dataclass(frozen=True, slots=True)
class Line:
    """One fault as it is told: place of its record in the file, its id where it is known, code, path, character."""

    record: int
    id: str | None
    path: str
    char: int | None
    code: str
    what: str


@dataclass(slots=True)
class Linted:
    """What a file came to: faults and records with it by code; `lines` are the first of them, in the file's order.

    `fixed` counts what was mended, by code; `left_out` the records that could not be written; `strange` those that
    are objects without `conversations`, which have no lines where all are; `unframed` the boxes that may lie in the
    padding, since their picture's size is not known.
    """

    file: str
    dialect: str | None
    records: int = 0
    faulty: int = 0
    faults: int = 0
    codes: dict[str, dict[str, int]] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    fix: str | None = None
    fixed: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    strange: int = 0
    unframed: int = 0
    seconds: float = 0.0


def lint(
    file: str,
    project: Project,
    dialect: str | None = None,
    images: str | None = None,
    fix: str | None = None,
    limit: int = 200,
    force: bool = False,
) -> Linted:
    """Return the faults of a JSON file of records; write what is safe mended to `fix`, all other records as they are.

    `dialect` is the form of the boxes, told from the file where it is None. `limit` is how many faults are kept;
    all are counted. Pictures under `images` are looked for, and their sizes read from their headers; else those count
    that a record states. `force` writes over a file that is there.

    Raises:
        ConfigError: no such file or form, a form of whole records, or `fix` is the file itself or is there already.
        OutsideError: a store failed.
    """
    begun = time.monotonic()
    if not storage.exists(file):
        raise ConfigError("no such file", file=file)
    if fix is not None and _same(fix, file):
        raise ConfigError("--fix would write over the file that is read", file=fix, hint="name another file")
    if fix is not None and not force and storage.exists(fix):
        raise ConfigError("there is such a file already", file=fix, hint="--force writes over it")
    name = dialect or dialects.detect(list(_sample(file)))
    work = _Work(Linted(file, name, fix=fix), _rules(name, project, dialect is not None), limit)
    work.sizes = Sizes(images) if images is not None else None
    with ExitStack() as files:
        if fix is not None:
            work.out = files.enter_context(ArrayWriter(fix))
        for found in json_stream.records(file):
            work.take(found)
    work.end()
    work.done.seconds = time.monotonic() - begun
    return work.done


def as_text(found: Linted) -> str:
    """Return the faults, a line each, and a table of them by code."""
    lines = [
        f"{found.file}:record {line.record} {f'id {line.id} ' if line.id is not None else ''}at {line.path}"
        f"{'' if line.char is None else f':char {line.char}'}  {line.code}  {line.what}"
        for line in found.lines
    ]
    strange = found.strange if found.strange == found.records else 0
    if strange:
        lines.append(f"{strange:,} records are not in LLaVA's form (no conversations)")
    if found.faults - strange > len(found.lines):
        lines.append(f"… and {found.faults - strange - len(found.lines):,} more (--limit)")
    form = f"boxes as {found.dialect}" if found.dialect else "no boxes of a known form"
    if found.faults:
        rows = sorted(found.codes.items(), key=lambda item: (-item[1]["faults"], item[0]))
        told = [
            (code, count["faults"], count["records"], found.fixed[code], CODES.get(code, "as its codec says"))
            for code, count in rows
        ]
        lines += ["", table(("code", "faults", "records", "fixed", "meaning"), told)]
    lines.append(
        f"{found.records:,} records, {form}: {found.faults:,} faults in {found.faulty:,} records, {found.seconds:.1f} s"
    )
    if found.unframed:
        lines.append(f"frame of {found.unframed:,} boxes not checked: give --images")
    if found.fix:
        lines.append(f"wrote {found.records - found.left_out:,} records to {found.fix}, left out {found.left_out:,}")
    return "\n".join(lines)


class _Work:
    """Takes records one by one."""

    def __init__(self, done: Linted, rules: Rules, limit: int) -> None:
        self.done, self._rules, self._limit = done, rules, limit
        self.sizes: Sizes | None = None
        self.out: ArrayWriter | None = None
        self._ids = Ids()
        self._strange: list[Line] = []

    def take(self, found: Found) -> None:
        """Look at one record, and write it where the file is mended."""
        self.done.records += 1
        record = found.record
        if found.error is not None:
            self._tell(found.index, None, [Fault("bad_json", f"byte {found.offset}", None, found.error)])
            self.done.left_out += 1
            return
        size, missing = self._look(record)
        faults = [*self._rules.faults(record, size), *missing]
        strange = False
        if isinstance(record, dict):
            strange = "conversations" not in record
            self.done.strange += strange
            self._ids.add(found.index, record, bool(faults))
        if faults:
            self._tell(found.index, record, faults, strange)
        if self.out is not None:
            self._write(found)

    def end(self) -> None:
        """Tell what is known once all was read."""
        done = self.done
        if done.strange < done.records:
            done.lines = sorted([*done.lines, *self._strange], key=lambda line: line.record)[: self._limit]
        done.unframed = self._rules.unframed
        for index, fault, again in self._ids.repeats():
            done.faulty -= again
            self._tell(index, None, [fault])

    def _look(self, record: Any) -> tuple[Size | None, list[Fault]]:
        """Return the size of a record's only picture, and the faults of its pictures under the root."""
        if not isinstance(record, dict):
            return None, []
        faults: list[Fault] = []
        names = picture_names(record)
        if self.sizes is None:
            return (stated(record) if len(names) < 2 else None), faults
        size = None
        for name in names:
            if isinstance(name, str) and name.strip():
                try:
                    size = self.sizes.of(name)
                except SampleError as error:
                    faults.append(Fault(error.code, "$.image", None, error.detail))
        return (size if len(names) == 1 else None), faults

    def _write(self, found: Found) -> None:
        assert self.out is not None
        mended: list[str] = []
        record = found.record
        if isinstance(record, dict):
            record, mended = mend(record)
        try:
            self.out.write(record, "" if mended else found.text)
        except SampleError:  # 1e999, say: it can be read, and copied, but not written anew
            mended = []
            if found.text:
                self.out.write(None, found.text.replace("\r", " ").replace("\n", " "))
            else:
                self.done.left_out += 1
        self.done.fixed.update(mended)

    def _tell(self, index: int, record: Any, faults: list[Fault], strange: bool = False) -> None:
        done = self.done
        done.faults += len(faults)
        done.faulty += 1
        for code, count in Counter(fault.code for fault in faults).items():
            entry = done.codes.setdefault(code, {"faults": 0, "records": 0})
            entry["faults"] += count
            entry["records"] += 1
        lines = self._strange if strange else done.lines
        if len(lines) < self._limit:
            name = record.get("id") if isinstance(record, dict) else None
            shown = None if name is None else str(name)[:ID_SEEN] if isinstance(name, str | int) else "?"
            for fault in faults[: self._limit - len(lines)]:
                lines.append(Line(index, shown, fault.path, fault.char, fault.code, fault.what))


def _rules(name: str | None, project: Project, asked: bool) -> Rules:
    """Return the rules for a form and its codec; a form that has no rules of its own is read by its codec alone."""
    codecs = plugins.names("codecs", project)
    if name is None or name not in codecs:
        if name is None or name in dialects.DIALECTS or not asked:
            return Rules(name if name in dialects.DIALECTS else None)
        hint = nearest(name, {*codecs, *dialects.DIALECTS})
        raise ConfigError(f'unknown form of boxes "{name}"', where="--dialect", hint=hint)
    codec = plugins.load("codecs", name, project, "--dialect")
    if name not in dialects.DIALECTS and callable(codec.encode) and holds_records(codec):
        hint = f"curate convert FILE --from {name} --to asv2 -o OUT --dry-run reads every record"
        raise ConfigError(f"this form is not linted: {name} is of whole records", where="--dialect", hint=hint)
    return Rules(name, codec.decode, getattr(codec, "SIGNS", ANY_SIGNS))


def _sample(file: str) -> Iterator[str]:
    """Yield pieces of the file's text from all over it."""
    try:
        size = storage.size(file)
    except OutsideError:  # a server that does not state one
        size = SAMPLE_BYTES
    step = max(SAMPLE_BYTES, size // SAMPLE_BLOCKS)
    for offset in range(0, max(size, 1), step):
        yield storage.read_bytes(file, offset, SAMPLE_BYTES).decode("utf-8", "ignore")


def _same(one: str, other: str) -> bool:
    """Tell whether two names are of one file, by links and whatever spelling."""
    here, there = storage.local_path(one), storage.local_path(other)
    if here is not None and there is not None:
        return here.resolve() == there.resolve() or (here.exists() and there.exists() and here.samefile(there))
    keys = [uri.partition("://") for uri in (one, other)]
    return keys[0][0].lower() == keys[1][0].lower() and posixpath.normpath(keys[0][2]) == posixpath.normpath(keys[1][2])
