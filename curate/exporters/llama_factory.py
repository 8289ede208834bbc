"""LLaMA-Factory's dataset_info.json and the Parquet file that it names, in the sharegpt form with OpenAI's roles.

Format: hiyouga/LLaMA-Factory data/README.md and src/llamafactory/data/{parser,converter}.py. The dataset is called as
the file, without its suffix; `dataset_dir` is the export's folder and `media_dir` the folder of its pictures; those
that stay in a folder of their own have their whole path. It has no form for boxes but the codec's.
"""

import json
from pathlib import Path

import pyarrow as pa

from curate.grounding import trainable
from curate.io import beside
from curate.sample import Record

SUFFIX = ".parquet"
CODECS = ("qwen2_vl", "internvl", "llava", "plain")
"""Written forms of models that it trains."""

INFO = "dataset_info.json"
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("component", pa.string()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("images", pa.list_(pa.string())),
    ]
)
_ROLES = {"human": "user", "gpt": "assistant"}


class Exporter:
    """Writes records a row group at a time; memory does not grow with their number."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, f"{Path(name).stem}.parquet"
        self._rows = beside.RowGroups(folder / self._name, SCHEMA, ["component", "messages.list.element.role"])

    def write(self, record: Record) -> None:
        """Take one record, and write its pictures; SampleError as `trainable.check_record` raises it."""
        trainable.check_record(record, trainable.MEDIA)
        images = beside.paths(record)
        messages = [{"role": _ROLES[turn.role], "content": turn.value} for turn in record.turns]
        row = {"id": record.sample_id, "component": record.component, "messages": messages, "images": images}
        beside.put_pictures(self._folder, record)
        self._rows.write(row, 100 + sum(len(turn.value) for turn in record.turns))

    def close(self) -> tuple[str, ...]:
        """Finish the file and say what it holds; return the trainer's files, relative to the folder."""
        self._rows.close()
        told = {
            "file_name": self._name,
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
        }
        # The trainer opens it in the machine's own encoding: ASCII is right in all of them.
        (self._folder / INFO).write_text(json.dumps({Path(self._name).stem: told}, indent=2) + "\n", encoding="ascii")
        return (self._name, INFO)
