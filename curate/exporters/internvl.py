"""InternVL's meta file, and one JSON Lines file of annotations for each component and folder of its pictures.

Format: OpenGVLab/InternVL internvl_chat/internvl/train/internvl_chat_finetune.py and
shell/data/internvl_1_2_finetune_custom.json. Rows have `width` and `height`, or `width_list` and `height_list` beside
a list-valued `image`; `length` in tokens, pictures included, where a mix counted them (read under group_by_length).
`root` and `annotation` are relative to the export's folder: run there, or put the folder before them; the `root` of
pictures that stay where they are is that folder. A file's `length` is its number of rows. The trainer never reads
`width` and `height`: they are absent where a picture's size is not known. It counts `<IMG_CONTEXT>` as parts of
pictures: no text may hold it.
"""

import json
from pathlib import Path

from curate.grounding import trainable
from curate.io import beside
from curate.sample import Attached, Record

SUFFIX = ".json"
SIZED = True
"""Rows say how large pictures are."""
ROOTED = True
"""The meta file says where each component's pictures lie."""

CODECS = ("internvl", "plain")
"""Written forms that models of this trainer have been trained on, the usual one first."""

_RESERVED = ("<IMG_CONTEXT>", "<img>", "</img>", "<video>")


class Exporter:
    """Writes records one by one; memory does not grow with their number."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._rows = beside.ByComponent(folder, Path(name).stem)
        self._parts: dict[tuple[str, str], str] = {}

    def write(self, record: Record) -> None:
        """Write one record, and its pictures; SampleError as `trainable.check_record` raises it."""
        trainable.check_record(record, _RESERVED)
        pictures = record.attached()
        row: dict[str, object] = {"id": record.sample_id, **beside.image_field([each.image for each in pictures])}
        if pictures and all(each.width for each in pictures):
            row |= _sizes(pictures)
        if record.length is not None:
            row["length"] = record.length
        row["conversations"] = beside.conversations(record.turns)
        beside.put_pictures(self._folder, record)
        self._rows.write(self._part(record.component, f"{record.elsewhere or record.folder or '.'}/"), row)

    def _part(self, component: str, root: str) -> str:
        """Return the name of the part of a component whose pictures lie in one folder: mostly there is but one."""
        if (component, root) not in self._parts:
            taken = set(self._parts.values())
            names = (component, *(f"{component}-{number}" for number in range(2, len(taken) + 3)))
            self._parts[component, root] = next(name for name in names if name not in taken)
        return self._parts[component, root]

    def close(self) -> tuple[str, ...]:
        """Write the meta file; return the trainer's files, relative to the folder."""
        written = self._rows.close()
        roots = {part: root for (_, root), part in self._parts.items()}
        meta = {
            part: {
                "root": roots[part],
                "annotation": name,
                "data_augment": False,
                "repeat_time": 1,
                "length": rows,
            }
            for part, (name, rows) in written.items()
        }
        (self._folder / self._name).write_text(json.dumps(meta, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        return (self._name, *(name for name, _ in written.values()))


def _sizes(pictures: tuple[Attached, ...]) -> dict[str, object]:
    if len(pictures) == 1:
        return {"width": pictures[0].width, "height": pictures[0].height}
    return {"width_list": [each.width for each in pictures], "height_list": [each.height for each in pictures]}
