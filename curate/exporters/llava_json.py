"""LLaVA's training file: one JSON array of {id, image, conversations}, pictures in a folder beside it.

Format: haotian-liu/LLaVA, docs/Finetune_Custom_Data.md. `image` is absent for samples without a picture.
"""

import json
from pathlib import Path

from curate.sample import Record

SUFFIX = ".json"


class Exporter:
    """Writes records one by one; memory does not grow with their number."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._files = [name]
        self._out = (folder / name).open("w", encoding="utf-8")
        self._out.write("[")
        self._between = "\n"

    def write(self, record: Record) -> None:
        """Write one record, and its picture where it brings one."""
        row: dict[str, object] = {"id": record.sample_id}
        if record.image is not None:
            row["image"] = record.image
        row["conversations"] = [{"from": turn.role, "value": turn.value} for turn in record.turns]
        self._out.write(self._between + json.dumps(row, ensure_ascii=False))
        self._between = ",\n"
        if record.image is not None and record.picture is not None:
            path = self._folder / record.image
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(record.picture)
                self._files.append(record.image)

    def close(self) -> tuple[str, ...]:
        """End the array, and return the files written, relative to the folder."""
        self._out.write("\n]\n")
        self._out.close()
        return tuple(self._files)
