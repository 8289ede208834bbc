"""Packs as Qwen-VL's finetuning reads them under --data_packing: a list of lists of rows.

Format: QwenLM/Qwen3-VL qwen-vl-finetune/tools/pack_data.py and qwenvl/data/data_processor.py. A pack is a run of
records of one `pack`, as a mix laid them out; a record that no mix packed is a pack of its own. Rows are as qwen_vl's.
"""

from contextlib import ExitStack
from pathlib import Path

from curate.grounding import trainable
from curate.io import beside
from curate.io.json_out import ArrayWriter
from curate.sample import Record

SUFFIX = ".json"
CODECS = ("qwen2_vl", "qwen_vl", "plain")
"""Written forms that models of this trainer have been trained on, the usual one first."""

_RESERVED = ("<video>", *trainable.CHATML)


class Exporter:
    """Writes packs one by one; holds one of them."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._open = ExitStack()
        self._packs = self._open.enter_context(ArrayWriter(str(folder / name), name.endswith(".jsonl")))
        self._held: list[dict[str, object]] = []
        self._pack: int | None = None

    def write(self, record: Record) -> None:
        """Take one record, and write its pictures; SampleError as `trainable.check_record` raises it."""
        trainable.check_record(record, _RESERVED)
        beside.put_pictures(self._folder, record)
        if self._held and (record.pack is None or record.pack != self._pack):
            self._flush()
        self._pack = record.pack
        self._held.append(beside.image_row(record))

    def close(self) -> tuple[str, ...]:
        """Write the last pack; return the trainer's files, relative to the folder."""
        if self._held:
            self._flush()
        self._open.close()
        return (self._name,)

    def _flush(self) -> None:
        self._packs.write(self._held)
        self._held = []
