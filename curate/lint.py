"""A file of records made elsewhere, read whole: every fault by its place, and what is safe mended.

    curate lint FILE [--dialect NAME] [--images ROOT] [--fix OUT] [--limit N]

Memory does not grow with the file but for 32 bytes a record, by which repeated ids are found.
"""

import time
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from curate import plugins
from curate.errors import ConfigError, OutsideError, SampleError, nearest
from curate.grounding import dialects
from curate.grounding.lint_fix import mend
from curate.grounding.lint_rules import CODES, Fault, Rules, Size, dialogues, picture_names
from curate.io import json_stream, storage
from curate.io.json_out import ArrayWriter
from curate.io.json_stream import Found
from curate.io.sizes import Sizes
from curate.plugins import Project
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

    `fixed` counts what was mended, by code; `left_out` the records that could not be written.
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
    seconds: float = 0.0


def lint(
    file: str,
    project: Project,
    dialect: str | None = None,
    images: str | None = None,
    fix: str | None = None,
    limit: int = 200,
) -> Linted:
    """Return the faults of a JSON file of records; write what is safe mended to `fix`, all other records as they are.

    `dialect` is the form of the boxes, told from the file where it is None. `limit` is how many faults are kept;
    all are counted. Pictures under `images` are looked for, and their sizes read from their headers.

    Raises:
        ConfigError: no such file or form, or `fix` is the file itself.
        OutsideError: a store failed.
    """
    begun = time.monotonic()
    if not storage.exists(file):
        raise ConfigError("no such file", file=file)
    if fix is not None and _same(fix, file):
        raise ConfigError("--fix would write over the file that is read", file=fix, hint="name another file")
    name = dialect or dialects.detect(list(_sample(file)))
    work = _Work(Linted(file, name, fix=fix), _rules(name, project, dialect is not None), limit)
    work.sizes = Sizes(images) if images is not None else None
    with ExitStack() as files:
        if fix is not None:
            work.out = files.enter_context(ArrayWriter(fix))
        for found in json_stream.records(file):
            work.take(found)
    work.repeats()
    work.done.seconds = time.monotonic() - begun
    return work.done


def as_text(found: Linted) -> str:
    """Return the faults, a line each, and a table of them by code."""
    lines = [
        f"{found.file}:record {line.record} {f'id {line.id} ' if line.id is not None else ''}at {line.path}"
        f"{'' if line.char is None else f':char {line.char}'}  {line.code}  {line.what}"
        for line in found.lines
    ]
    if found.faults > len(found.lines):
        lines.append(f"… and {found.faults - len(found.lines):,} more (--limit)")
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
    if found.fix:
        lines.append(f"wrote {found.records - found.left_out:,} records to {found.fix}, left out {found.left_out:,}")
    return "\n".join(lines)


class _Work:
    """Takes records one by one."""

    def __init__(self, done: Linted, rules: Rules, limit: int) -> None:
        self.done, self._rules, self._limit = done, rules, limit
        self.sizes: Sizes | None = None
        self.out: ArrayWriter | None = None
        self._seen = {name: array("q") for name in ("id", "picture", "words", "record")}

    def take(self, found: Found) -> None:
        """Look at one record, and write it where the file is mended."""
        self.done.records += 1
        record = found.record
        if found.error is not None:
            self._tell(found.index, None, [Fault("bad_json", f"byte {found.offset}", None, found.error)])
            self.done.left_out += 1
            return
        size, missing = self._look(record) if self.sizes is not None else (None, [])
        faults = [*self._rules.faults(record, size), *missing]
        if isinstance(record, dict):
            self._remember(found.index, record)
        if faults:
            self._tell(found.index, record, faults)
        if self.out is not None:
            self._write(found)

    def repeats(self) -> None:
        """Tell the ids that were given again: LLaVA's own files give one picture's id to several dialogues."""
        seen = {name: np.frombuffer(values, np.int64) for name, values in self._seen.items() if len(values)}
        if not seen:
            return
        order = np.argsort(seen["id"], kind="stable")
        ids = seen["id"][order]
        starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        first = order[np.repeat(starts, np.diff(np.append(starts, len(ids))))]
        again = first != order
        picture = seen["picture"][order] == seen["picture"][first]
        words = seen["words"][order] == seen["words"][first]
        wrong = again & (words | ~picture | (seen["picture"][order] == 0))
        places = np.flatnonzero(wrong)
        for place in places[np.argsort(order[places])]:
            whole = bool(picture[place] and words[place])
            code = "record_repeated" if whole else "id_repeated"
            what = f"as record {seen['record'][first[place]]}" + ("" if whole else ", which is another")
            self._tell(int(seen["record"][order[place]]), None, [Fault(code, "$.id", None, what)])

    def _remember(self, index: int, record: dict[str, Any]) -> None:
        name = record.get("id")
        if not isinstance(name, str | int) or isinstance(name, bool):
            return
        pictures, seen = picture_names(record), self._seen
        try:
            words = hash(tuple([turn.get("value") for _, turns in dialogues(record) for turn in turns]))
        except (TypeError, AttributeError):  # not turns
            words = hash(repr(record.get("conversations")))
        seen["id"].append(hash((type(name), name)))
        seen["picture"].append(hash(str(pictures)) | 1 if pictures else 0)
        seen["words"].append(words)
        seen["record"].append(index)

    def _look(self, record: Any) -> tuple[Size | None, list[Fault]]:
        """Return the size of a record's only picture, and the faults of its pictures under the root."""
        faults: list[Fault] = []
        names = picture_names(record) if isinstance(record, dict) else []
        size = None
        for name in names:
            if isinstance(name, str) and name.strip():
                try:
                    size = self._size(name)
                except SampleError as error:
                    faults.append(Fault(error.code, "$.image", None, error.detail))
        return (size if len(names) == 1 else None), faults

    def _size(self, name: str) -> Size:
        assert self.sizes is not None
        return self.sizes.of(name)

    def _write(self, found: Found) -> None:
        assert self.out is not None
        mended: list[str] = []
        record = found.record
        if isinstance(record, dict):
            record, mended = mend(record)
        try:
            self.out.write(record, "" if mended else found.text)
        except SampleError:
            self.done.left_out += 1
        else:
            self.done.fixed.update(mended)

    def _tell(self, index: int, record: Any, faults: list[Fault]) -> None:
        done = self.done
        done.faults += len(faults)
        done.faulty += 1
        for code, count in Counter(fault.code for fault in faults).items():
            entry = done.codes.setdefault(code, {"faults": 0, "records": 0})
            entry["faults"] += count
            entry["records"] += 1
        if len(done.lines) < self._limit:
            name = record.get("id") if isinstance(record, dict) else None
            shown = None if name is None else str(name)[:ID_SEEN] if isinstance(name, str | int) else "?"
            for fault in faults[: self._limit - len(done.lines)]:
                done.lines.append(Line(index, shown, fault.path, fault.char, fault.code, fault.what))


def _rules(name: str | None, project: Project, asked: bool) -> Rules:
    """Return the rules for a form; one that has none of its own is read by its codec."""
    if name is None or name in dialects.DIALECTS:
        return Rules(name)
    codecs = plugins.names("codecs", project)
    if name not in codecs:
        if not asked:
            return Rules(None)
        hint = nearest(name, {*codecs, *dialects.DIALECTS})
        raise ConfigError(f'unknown form of boxes "{name}"', where="--dialect", hint=hint)
    return Rules(name, plugins.load("codecs", name, project, "--dialect").decode)


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
    paths = [storage.local_path(uri) for uri in (one, other)]
    if paths[0] is not None and paths[1] is not None:
        return paths[0].resolve() == paths[1].resolve()
    return one == other
