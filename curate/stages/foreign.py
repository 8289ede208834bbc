"""Files of others as components of a mix: LLaVA-style records, measured where they lie and read again one by one.

Nothing is copied: a candidate is a place in the file, and its pictures stay in their folder. Records in another
written form than the mix's are recast on the way (see `recast`).
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import ModuleType
from typing import Any, BinaryIO

import pyarrow as pa

from curate import schema
from curate.codecs import plain
from curate.errors import OutsideError, SampleError
from curate.grounding import conversation, templates
from curate.io import below, storage
from curate.io.json_stream import Found
from curate.io.json_window import UNREAD
from curate.io.sizes import Size, Sizes
from curate.kernels import token_count
from curate.sample import Attached, Grounded, Record, Sample, Turn, sample_id
from curate.stages import file_parts, layouts, measure
from curate.stages.file_parts import Part
from curate.stages.recast import Recaster

BATCH_ROWS = 2048
BREAKS_OFF = "breaks_off"
"""Reason of damage behind which nothing of a file can be read."""
_ANY = (1, 1)  # of a picture whose size is not asked for
_NONE = Attached("", None, 0, 0)
_CHUNK = 1 << 22
_decoded = json.JSONDecoder().raw_decode
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class File:
    """A file of records: its name in the mix, where it lies, its written form, its pictures' folder ("" for none)."""

    name: str
    uri: str
    codec: str
    images: str = ""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A record in the mix's own form: turns, and pictures with the sizes that are known of them."""

    turns: tuple[Turn, ...]
    pictures: tuple[Attached, ...]


class Reading:
    """One file on its way from the written form of `reader` to that of `writer`.

    Where it is `sized`, records tell how large their pictures are, as far as they or the folder of those do; where it
    is `rooted`, they tell that folder; where it is `bundled`, they bring their pictures out of it. Where it is
    `grounded`, phrases and boxes stand apart from the texts, which are in no written form then.
    """

    def __init__(
        self,
        file: File,
        reader: ModuleType,
        writer: ModuleType,
        sized: bool = False,
        grounded: bool = False,
        rooted: bool = False,
        bundled: bool = False,
    ) -> None:
        self.file = file
        self._is_sized, self._is_grounded = sized, grounded
        self._is_bundled = bundled and bool(file.images)
        self._elsewhere = storage.absolute(file.images) if file.images and rooted and not bundled else ""
        writer = plain if grounded else writer
        self._open: BinaryIO | None = None
        self._sizes = Sizes(file.images) if file.images else None
        self._recaster = None if reader is writer else Recaster(reader, writer, self._sizes)

    def dialogue(self, record: object, sized: bool) -> Dialogue:
        """Return a record as a dialogue, with the sizes of its pictures where they count.

        Raises:
            SampleError: `bad_record` where it is none, `no_picture` and others where a wanted size is not to be had,
                and what the codecs refuse.
        """
        told, _ = self._only(record)
        pictures = [Attached(name, None, *(self._needed(told, name) if sized else _ANY)) for name in _names(told)]
        return Dialogue(_turns(told), tuple(pictures))

    def record(self, row: Mapping[str, Any]) -> Record:
        """Return what an exporter writes of a row of a mix: `drawn`, `component`, `length`, `pack`, and its place.

        Raises:
            SampleError: as `dialogue` does.
            OutsideError: there is no record any more: the file has changed.
        """
        told, said = self._only(self.at(row["record_offset"], row["record_bytes"]))
        turns = _turns(told)
        pictures = [self._attached(told, name, row["component"]) for name in _names(told)]
        first = pictures[0] if pictures else _NONE
        return Record(
            sample_id=row["drawn"],
            component=row["component"],
            turns=turns,
            image=first.image or None,
            picture=first.picture,
            width=first.width,
            height=first.height,
            elsewhere=self._elsewhere,
            others=tuple(pictures[1:]),
            said=tuple(said.get(n, Grounded(turn.value)) for n, turn in enumerate(turns)) if self._is_grounded else (),
            length=row["length"],
            pack=row["pack"],
        )

    def _attached(self, record: layouts.Json, name: str, component: str) -> Attached:
        """Return one of a record's pictures; what goes along is named below its component's folder."""
        size = (self._size(record, name) if self._is_sized or self._is_bundled else None) or (0, 0)
        if not self._is_bundled:
            return Attached(name, None, *size)
        return Attached(f"{component}/{name}", below.read(self.file.images, name), *size)

    def at(self, offset: int, size: int) -> Any:
        """Return the record in `size` bytes from `offset` on, with what stands between it and the next.

        Raises:
            OutsideError: there is no record any more: the file has changed.
        """
        if self._open is None:
            self._open = storage.open_here(self.file.uri)
        text = os.pread(self._open.fileno(), size, offset).decode("utf-8", "replace").lstrip()
        try:
            return _decoded(text)[0]  # what JSON does not have was refused when it was measured
        except (ValueError, RecursionError) as error:
            raise OutsideError(f"{self.file.uri} has no record at byte {offset} any more: {error}") from None

    def _only(self, record: object) -> tuple[layouts.Json, dict[int, Grounded]]:
        """Return a record in the form of the writer, which must be one of it, and what its turns say without one."""
        made: list[tuple[layouts.Json, dict[int, Grounded]]] = [(unit, {}) for unit in layouts.units(record)]
        if self._recaster is not None and not (len(made) == 1 and _is_of_no_picture(made[0][0])):
            recast = [self._recaster.recast(unit) for unit, _ in made]
            made = [(each, one.said) for one in recast for each in one.records]
        if len(made) != 1:
            raise SampleError("bad_record", f"{len(made)} records in one: curate convert the file first")
        return made[0]

    def _needed(self, record: layouts.Json, name: str) -> Size:
        found = self._size(record, name)
        if found is None:
            raise SampleError("no_size", f"nothing tells the size of {name}: name its folder (images)")
        return found

    def _size(self, record: layouts.Json, name: str) -> Size | None:
        """Return the size of one of a record's pictures, None where nothing tells it."""
        stated = layouts.stated(record) if isinstance(record.get("image"), str) else None
        if stated is None and self._sizes is not None:
            return self._sizes.of(name)
        return stated


def measured(
    reading: Reading, tokens: measure.TokenModel, count: measure.Count, part: Part | None = None
) -> Iterator[pa.Table]:
    """Yield the lengths of a file's records, some at a time, as `measure.counted`, with their places in the file.

    `record_offset` and `record_bytes` are what `Reading.at` reads by. A record that cannot be drawn has its reason.
    """
    uri, template = reading.file.uri, templates.template(tokens.template)
    sized = token_count.MODELS[tokens.model].sized
    placed = file_parts.records(uri, part or Part(0, storage.size(uri) + 1))
    while batch := list(islice(placed, BATCH_ROWS)):
        prompted = [_prompted(found, reading, template, sized) for found, _ in batch]
        table = measure.counted(prompted, tokens, count)
        table = table.append_column("record_offset", pa.array([found.offset for found, _ in batch], pa.int64()))
        yield table.append_column("record_bytes", pa.array([size for _, size in batch], pa.int64()))


def samples(file: File, part: Part) -> Iterator[pa.Table]:
    """Yield the records of a part as samples, some at a time, in order: words as written, pictures by name."""
    placed = file_parts.records(file.uri, part)
    while batch := list(islice(placed, BATCH_ROWS)):
        yield schema.to_table([_sample(file.name, found) for found, _ in batch])


def digest(uri: str) -> str:
    """Return the sha256 of a file's bytes."""
    found = hashlib.sha256()
    with storage.open_read(uri) as file:
        while block := file.read(_CHUNK):
            found.update(block)
    return found.hexdigest()


def _prompted(found: Found, reading: Reading, template: templates.Template, sized: bool) -> measure.Prompted:
    name = reading.file.name
    key = sample_id(name, str(found.offset))
    try:
        if found.error is not None:
            raise SampleError(BREAKS_OFF if found.error.endswith(UNREAD) else "bad_record", found.error)
        told = reading.dialogue(found.record, sized)
        sizes = tuple((each.width, each.height) for each in told.pictures)
        prompt = template.segments(told.turns, len(told.pictures))
    except SampleError as error:
        return measure.Prompted(name, key, (), error.code, (), None)
    picture = told.pictures[0].image if told.pictures else None
    pairs = conversation.pairs(told.turns) if len(sizes) == 1 else None
    shown = None if pairs is None else "x".join(map(str, sizes[0]))
    return measure.Prompted(name, key, prompt, None, sizes, picture, pairs, shown)


def _sample(name: str, found: Found) -> Sample:
    key = sample_id(name, str(found.offset))
    try:
        turns, names = _turns(found.record or {}), _names(found.record or {})
    except (SampleError, AttributeError):
        return Sample(key, name, 0, found.index, "")
    return Sample(key, name, 0, found.index, "", conversations=turns, source_meta=json.dumps({"image": names}))


def _is_of_no_picture(record: layouts.Json) -> bool:
    """Tell whether a record is a dialogue without a picture: what looks like a box in it is none."""
    is_dialogue = isinstance(record.get("conversations"), list)
    return is_dialogue and layouts.name_of(record) is None and record.keys().isdisjoint(("image", "image_id"))


def _turns(record: layouts.Json) -> tuple[Turn, ...]:
    said = record.get("conversations")
    if not isinstance(said, list) or not said:
        raise SampleError("bad_record", "no list of turns")
    turns = []
    for number, turn in enumerate(said):
        role, value = (turn.get("from"), turn.get("value")) if isinstance(turn, dict) else (None, None)
        if (role != "human" and role != "gpt") or not isinstance(value, str):
            raise SampleError("bad_record", f"turn {number} is not of human or gpt, or has no text")
        if not value.isascii() and not _is_text(value):
            raise SampleError("bad_record", f"turn {number} has half a surrogate pair, which is no text")
        turns.append(Turn(role, value))
    return tuple(turns)


def _is_text(value: str) -> bool:
    """Tell whether a text can be written: JSON's escapes may hold halves of surrogate pairs, which UTF-8 has not."""
    return value.isascii() or _HALF.search(value) is None


def _names(record: layouts.Json) -> tuple[str, ...]:
    named = record.get("image")
    if isinstance(named, str) and named and _is_text(named):
        return (named,)
    names = [] if named is None else named
    if not isinstance(names, list) or not all(isinstance(name, str) and name and _is_text(name) for name in names):
        raise SampleError("bad_record", "image is neither a path nor a list of them")
    return tuple(names)
