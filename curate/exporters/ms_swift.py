"""ms-swift's grounding rows: messages with `<ref-object>` and `<bbox>` where phrases and boxes stand.

Format: modelscope/ms-swift docs/source_en/Customization/Custom-dataset.md and swift/template/base.py. The trainer
writes phrases and boxes in its model's own form, so that one file serves Qwen-VL, InternVL and others: the codec of the
export says only in which form lengths are counted. Boxes are `norm1`, shares of the picture, which stay right when the
trainer resizes it. Paths are relative to the environment's ROOT_IMAGE_DIR: set it to the folder of the pictures; those
that stay in a folder of their own have their whole path.

A phrase becomes `<ref-object>` and a `<bbox>` for each of its boxes; boxes without words become `<bbox>` alone. Of
phrases that overlap the longest is written, unless the export says otherwise. Scores, tags and relations have no place
in the form.

The trainer's reader (huggingface/datasets, packaged_modules/json) learns the types of lists from the first ten
megabytes: where all are empty there, as of dialogues without pictures, it fails on the first that is not. Up to three
rows stand at the head of the file for that, the others in order.
"""

import json
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from curate.errors import SampleError
from curate.grounding import json_record, spans, trainable
from curate.io import beside
from curate.io.json_out import ArrayWriter
from curate.sample import Grounded, Record, Turn

SUFFIX = ".jsonl"
GROUNDED = True
"""Phrases and boxes stand apart from the text."""

CODECS = ("qwen2_vl", "internvl", "plain")
"""What its models write, for lengths: phrases and boxes in the rows come from the grounded text itself."""

_REF, _BOX = "<ref-object>", "<bbox>"
_RESERVED = (*trainable.MEDIA, "<cot-process>", "<start-image>")
_ROLES = {"human": "user", "gpt": "assistant"}
_DIGITS = 6
"""Decimals of a share: less than a pixel of any picture."""

SURE_BYTES = 4 << 20
"""What the reader surely sees at once."""


class Exporter:
    """Writes records one by one; memory does not grow with their number."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._open = ExitStack()
        self._rows = self._open.enter_context(ArrayWriter(str(folder / name), lines=True))
        self._bytes = 0
        self._untyped = {"images", "ref", "bbox"}
        self._head: list[dict[str, object]] = []

    def write(self, record: Record) -> None:
        """Write one record, and its pictures.

        Raises:
            SampleError: as `trainable.check_record` raises it, `bad_box` for a box that is none, `no_picture` for boxes
                without a picture, `image_count` for a phrase that holds `<image>`.
        """
        said = record.said or tuple(Grounded(turn.value) for turn in record.turns)
        refs: list[str] = []
        boxes: list[list[float]] = []
        woven = tuple(
            Turn(turn.role, _content(each, refs, boxes)) for turn, each in zip(record.turns, said, strict=True)
        )
        trainable.check_record(replace(record, turns=woven), _RESERVED)
        names = beside.paths(record)
        if boxes and not names:
            raise SampleError("no_picture", f"{len(boxes)} boxes of no picture")
        messages = [{"role": _ROLES[turn.role], "content": turn.value} for turn in woven]
        objects = {"ref": refs, "bbox": boxes, "bbox_type": "norm1", "image_id": [0] * len(boxes)}
        beside.put_pictures(self._folder, record)
        row: dict[str, object] = {"id": record.sample_id, "messages": messages, "images": names, "objects": objects}
        lists = (("images", names), ("ref", refs), ("bbox", boxes))
        typed = self._untyped & {name for name, values in lists if values} if self._untyped else set()
        self._untyped -= typed
        if typed and self._bytes > SURE_BYTES:
            self._head.append(row)
        else:
            self._rows.write(row)
            self._bytes += 4 * sum(len(turn.value) for turn in woven) + 500 * (1 + len(boxes) + len(names))

    def close(self) -> tuple[str, ...]:
        """Finish the file; return the trainer's files, relative to the folder."""
        self._open.close()
        if self._head:
            path = self._folder / self._name
            rest = path.rename(f"{path}.rest")
            with path.open("wb") as out, rest.open("rb") as rows:
                out.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in self._head)
                shutil.copyfileobj(rows, out, 1 << 20)
            rest.unlink()
        return (self._name,)


def _content(grounded: Grounded, refs: list[str], boxes: list[list[float]]) -> str:
    """Return the text with its place holders, and append what they stand for, in order.

    Raises:
        SampleError: `reserved_tag`, the text holds a place holder of its own.
    """
    for tag in (_REF, _BOX):
        if tag in grounded.text:
            raise SampleError("reserved_tag", f"{tag} at character {grounded.text.index(tag)}")
    parts = {}
    for (start, end), indices in spans.written(grounded).items():
        held = [_shares(box) for index in indices for box in grounded.regions[index].boxes]
        parts[start, end] = (_REF if start < end else "") + _BOX * len(held)
        refs += [grounded.text[start:end]] if start < end else []
        boxes += held
    return spans.weave(grounded.text, parts)


def _shares(box: tuple[float, float, float, float]) -> list[float]:
    return [round(float(share), _DIGITS) for share in json_record.cut(box)]
