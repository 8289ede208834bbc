"""LLaVA-NeXT's data list: a YAML of {json_path, sampling_strategy}, one JSON Lines file for each component.

Format: LLaVA-VL/LLaVA-NeXT llava/train/train.py and scripts/train/*.yaml. Every strategy is `all`: a mix has drawn
already; write `first:10%`, `end:3000` or `random:999` for less. `json_path` is relative to the export's folder, where
the trainer must run, or put the folder before it; `image` is relative to `--image_folder`, or a whole path for
a picture that stays in a folder of its own; a list for several. The list of data ends with .yaml, whatever it is to be
called: by that the trainer knows it.
"""

from pathlib import Path

import yaml

from curate.grounding import trainable
from curate.io import beside
from curate.sample import Record

SUFFIX = ".yaml"
CODECS = ("llava", "asv2", "asv2_unpadded", "plain")
"""Written forms that models of this trainer have been trained on, the usual one first."""


class Exporter:
    """Writes records one by one; memory does not grow with their number."""

    def __init__(self, folder: Path, name: str) -> None:
        stem = Path(name).stem
        self._folder, self._name = folder, f"{stem}.yaml"
        self._rows = beside.ByComponent(folder, stem)

    def write(self, record: Record) -> None:
        """Write one record, and its pictures; SampleError as `trainable.check_record` raises it."""
        trainable.check_record(record)
        row: dict[str, object] = {"id": record.sample_id, **beside.image_field(beside.paths(record))}
        row["conversations"] = beside.conversations(record.turns)
        beside.put_pictures(self._folder, record)
        self._rows.write(record.component, row)

    def close(self) -> tuple[str, ...]:
        """Write the list; return the trainer's files, relative to the folder."""
        names = [name for name, _ in self._rows.close().values()]
        listed = {"datasets": [{"json_path": name, "sampling_strategy": "all"} for name in names]}
        text = yaml.safe_dump(listed, sort_keys=False, allow_unicode=True)
        (self._folder / self._name).write_text(text, encoding="utf-8")
        return (self._name, *names)
