"""Parquet files with pictures inside, as the datasets library, TRL and axolotl read them.

Columns: `images`, a list of the Image feature, struct{bytes, path} (huggingface/datasets
src/datasets/features/image.py), and `messages` in the chat form, whose content is a list of {type: image} and
{type: text, text} (huggingface/trl docs/source/dataset_formats.md), beside `id` and `component`. The features stand in
each file's footer, under `huggingface`, so that `load_dataset("parquet", data_files="NAME-*.parquet")` gives PIL
pictures. Without pictures in the export their bytes are null, and the paths are relative to the export's folder, or
whole for pictures that stay in a folder of their own.
"""

import json
from pathlib import Path

import pyarrow as pa

from curate.grounding import trainable
from curate.io import beside
from curate.sample import Record, Turn

SUFFIX = ".parquet"
INSIDE = True
"""Pictures are in the files."""
CODECS = ("qwen2_vl", "internvl", "paligemma", "llava", "plain")
"""Written forms of models that are trained from such files."""

FILE_BYTES = 500 << 20
"""What a file holds at most, before it is encoded, as the datasets library writes them."""

_TEXT = {"dtype": "string", "_type": "Value"}
FEATURES = {
    "id": _TEXT,
    "component": _TEXT,
    "images": {"feature": {"_type": "Image"}, "_type": "Sequence"},
    "messages": [{"role": _TEXT, "content": [{"type": _TEXT, "text": _TEXT}]}],
}
_PART = pa.struct([("type", pa.string()), ("text", pa.string())])
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("component", pa.string()),
        ("images", pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(_PART))]))),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})},
)
_DICTIONARIES = ("component", "messages.list.element.role", "messages.list.element.content.list.element.type")
_ROLES = {"human": "user", "gpt": "assistant"}


class Exporter:
    """Writes records a row group at a time into NAME-00000.parquet, NAME-00001.parquet, …."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._stem = folder, Path(name).stem
        self._files: list[str] = []
        self._rows = self._next()

    def write(self, record: Record) -> None:
        """Take one record; SampleError as `trainable.check_record` raises it."""
        trainable.check_record(record)
        pictures = record.attached()
        if self._rows.bytes >= FILE_BYTES:
            self._rows.close()
            self._rows = self._next()
        row = {
            "id": record.sample_id,
            "component": record.component,
            "images": [
                {"bytes": each.picture, "path": path} for each, path in zip(pictures, beside.paths(record), strict=True)
            ],
            "messages": [{"role": _ROLES[turn.role], "content": _content(turn)} for turn in record.turns],
        }
        size = sum(len(each.picture or b"") for each in pictures) + sum(len(turn.value) for turn in record.turns)
        self._rows.write(row, 100 + size)

    def close(self) -> tuple[str, ...]:
        """Finish the last file; return the trainer's files, relative to the folder."""
        self._rows.close()
        return tuple(self._files)

    def _next(self) -> beside.RowGroups:
        self._files.append(f"{self._stem}-{len(self._files):05d}.parquet")
        return beside.RowGroups(self._folder / self._files[-1], SCHEMA, _DICTIONARIES)


def _content(turn: Turn) -> list[dict[str, str | None]]:
    """Return the parts of a turn, in order; the line breaks that LLaVA puts beside a picture are no text."""
    image: dict[str, str | None] = {"type": "image", "text": None}
    parts = turn.value.split(trainable.IMAGE)
    content: list[dict[str, str | None]] = []
    for place, part in enumerate(parts):
        after, before = place > 0, place < len(parts) - 1
        text = part.lstrip("\n") if after else part
        text = text.rstrip("\n") if before else text
        content += [image] if after else []
        content += [{"type": "text", "text": text}] if text.strip() else []
    return content
