"""Files that exporters of several trainers write alike: pictures in folders, JSON Lines by component, row groups."""

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import SampleError
from curate.io.json_out import ArrayWriter
from curate.sample import Attached, Record, Turn

GROUP_ROWS = 10_000
GROUP_BYTES = 16 << 20
"""What a row group holds at most, before it is encoded: a reader, like the writer, holds one of them."""

_UNSAFE = re.compile(r"[^\w.-]")
_KIND = re.compile(r"[a-z0-9]{1,8}+")
_MOST_BYTES = 120


def put_pictures(folder: Path, record: Record) -> None:
    """Write a record's pictures below `folder`, those that are not there yet.

    Raises:
        SampleError: `bad_path`, a picture has the name of a folder, or its folder the name of a picture. None is
            written then.
    """
    pictures = [(folder / record.folder / each.image, each.picture) for each in record.attached() if each.picture]
    for path, _ in pictures:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise SampleError("bad_path", f"{path.relative_to(folder)}: a folder has the name of a picture") from None
    for path, _ in pictures:
        if path.is_dir():
            raise SampleError("bad_path", f"{path.relative_to(folder)}: a picture has the name of a folder")
    for path, data in pictures:
        if not path.exists():
            path.write_bytes(data)


def paths(record: Record) -> list[str]:
    """Return what a trainer joins to its one folder of pictures, for each of a record's.

    Pictures that stay in another folder of this machine have their whole path, which joining leaves as it is.
    """
    names = [each.image for each in record.attached()]
    return [f"{record.elsewhere}/{name}" for name in names] if record.elsewhere.startswith("/") else names


def kind(picture: Attached) -> str:
    """Return the kind of a picture by its name, as a member of a tar is called: `jpg`; `bin` where it says none."""
    suffix = Path(picture.image).suffix[1:].lower()
    return suffix if _KIND.fullmatch(suffix) and suffix != "json" else "bin"


def members(record: Record, row: dict[str, object]) -> list[tuple[str, bytes]]:
    """Return what a tar holds of a record: a member for each picture that is there, `jpg` or `0.jpg`, …, and `json`."""
    attached = record.attached()
    found = []
    for place, each in enumerate(attached):
        if each.picture is not None:
            found.append((kind(each) if len(attached) == 1 else f"{place}.{kind(each)}", each.picture))
    return [*found, ("json", json.dumps(row, ensure_ascii=False).encode())]


def image_field(names: list[str]) -> dict[str, object]:
    """Return `image` as LLaVA's descendants read it: a path, a list of several, absent where there is none."""
    return {"image": names[0] if len(names) == 1 else names} if names else {}


def image_row(record: Record) -> dict[str, object]:
    """Return a row as Qwen-VL's finetuning reads it: `id`, `image`, `num_tokens` where known, `conversations`."""
    row: dict[str, object] = {"id": record.sample_id, **image_field(paths(record))}
    if record.length is not None:
        row["num_tokens"] = record.length
    row["conversations"] = conversations(record.turns)
    return row


def told(record: Record) -> list[dict[str, object]]:
    """Return path, width and height of each picture, the path alone where its size is not known."""
    return [
        {"path": path, **({"width": each.width, "height": each.height} if each.width else {})}
        for path, each in zip(paths(record), record.attached(), strict=True)
    ]


def whole_row(record: Record) -> dict[str, object]:
    """Return all that a file without a form of its own says of a record: its pictures, and what a mix knows of it."""
    row: dict[str, object] = {"id": record.sample_id, "component": record.component, "images": told(record)}
    if record.width or record.image is None:
        row |= {"width": record.width, "height": record.height}
    known = {"length": record.length, "pack": record.pack}
    row |= {name: value for name, value in known.items() if value is not None}
    return {**row, "conversations": conversations(record.turns)}


def conversations(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Return turns as LLaVA's descendants read them."""
    return [{"from": turn.role, "value": turn.value} for turn in turns]


class ByComponent:
    """One JSON Lines file for each component, STEM-COMPONENT.jsonl, so that a trainer can weigh them apart.

    Holds a file open for each component.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder, self._stem = folder, stem
        self._open = ExitStack()
        self._files: dict[str, tuple[str, ArrayWriter]] = {}

    def write(self, component: str, row: dict[str, object]) -> None:
        """Write one row; SampleError as ArrayWriter raises it."""
        if component not in self._files:
            name = self._name(component)
            self._files[component] = (name, self._open.enter_context(ArrayWriter(str(self._folder / name))))
        self._files[component][1].write(row)

    def close(self) -> dict[str, tuple[str, int]]:
        """Finish the files; return for each component, in order of appearance, its file and the number of rows."""
        self._open.close()
        return {component: (name, out.count) for component, (name, out) in self._files.items()}

    def _name(self, component: str) -> str:
        safe = _UNSAFE.sub("_", component).encode()[:_MOST_BYTES].decode(errors="ignore")
        taken = {name.lower() for name, _ in self._files.values()}
        tries = (f"{self._stem}-{safe}{f'_{n}' if n else ''}.jsonl" for n in range(len(taken) + 1))
        return next(name for name in tries if name.lower() not in taken)


class RowGroups:
    """Writes rows into one Parquet file, a group at a time; memory does not grow with their number."""

    def __init__(self, path: Path, schema: pa.Schema, dictionaries: Sequence[str] = ()) -> None:
        self._schema = schema
        self._out = pq.ParquetWriter(
            path, schema, compression="zstd", use_dictionary=list(dictionaries), write_page_checksum=True
        )
        self._rows: list[dict[str, Any]] = []
        self._size = 0
        self.bytes = 0

    def write(self, row: dict[str, Any], size: int) -> None:
        """Take a row of about `size` bytes."""
        self._rows.append(row)
        self._size += size
        if len(self._rows) == GROUP_ROWS or self._size >= GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what is held, and the footer."""
        if self._rows:
            self._flush()
        self._out.close()

    def _flush(self) -> None:
        self._out.write_table(pa.Table.from_pylist(self._rows, schema=self._schema), row_group_size=GROUP_ROWS)
        self.bytes += self._size
        self._rows, self._size = [], 0
