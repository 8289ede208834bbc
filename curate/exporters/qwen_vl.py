"""Rows as Qwen-VL's finetuning reads them: JSON Lines for a name that ends with .jsonl, else one array.

Format: QwenLM/Qwen3-VL qwen-vl-finetune/README.md and qwenvl/data/data_processor.py. The file and the folder of its
pictures are registered in qwenvl/data/__init__.py as `annotation_path` and `data_path`; pictures that stay in a folder
of their own have their whole path. `<image>` stands in questions alone, once for each picture. `num_tokens` is there
where a mix counted them.
"""

from contextlib import ExitStack
from pathlib import Path

from curate.grounding import trainable
from curate.io import beside
from curate.io.json_out import ArrayWriter
from curate.sample import Record

SUFFIX = ".jsonl"
CODECS = ("qwen2_vl", "qwen_vl", "plain")
"""Written forms that models of this trainer have been trained on, the usual one first."""

_RESERVED = ("<video>", *trainable.CHATML)


class Exporter:
    """Writes records one by one; memory does not grow with their number."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._open = ExitStack()
        self._rows = self._open.enter_context(ArrayWriter(str(folder / name), name.endswith(".jsonl")))

    def write(self, record: Record) -> None:
        """Write one record, and its pictures; SampleError as `trainable.check_record` raises it."""
        trainable.check_record(record, _RESERVED)
        row = beside.image_row(record)
        beside.put_pictures(self._folder, record)
        self._rows.write(row)

    def close(self) -> tuple[str, ...]:
        """Finish the file; return the trainer's files, relative to the folder."""
        self._open.close()
        return (self._name,)
