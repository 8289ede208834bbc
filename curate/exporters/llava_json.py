"""LLaVA's training file: one JSON array of {id, image, conversations}, pictures in a folder beside it.

Format: haotian-liu/LLaVA, docs/Finetune_Custom_Data.md. `image` is absent for samples without a picture, a whole
path for one that stays in a folder of its own. For a child without pixels of its own `image` is its parent's picture
and `transform` says how to make the child's: move it by `affine` (a, b, c, d, e, f: x' = a x + b y + c,
y' = d x + e y + f in pixels) onto a canvas of `size` and `fill`.
A sample of several pictures has no place in it (llava/train/train.py joins `image` to the folder): `several_pictures`.
A `</s>` in a text ends the turn for vicuna_v1, and the sample is masked without a word: `reserved_tag`.
"""

import json
import math
from pathlib import Path

from curate.errors import SampleError
from curate.grounding import json_record, trainable
from curate.io import beside
from curate.sample import Placed, Record

SUFFIX = ".json"
VIRTUAL = True
CODECS = ("asv2", "asv2_unpadded", "llava", "plain")
"""Written forms that models of this trainer have been trained on, the usual one first."""

_RESERVED = ("</s>",)
_quoted = json_record.quoted


class Exporter:
    """Writes records one by one; memory does not grow with their number."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._out = (folder / name).open("w", encoding="utf-8", newline="\n")
        self._out.write("[")
        self._between = "\n"

    def write(self, record: Record) -> None:
        """Write one record, and its picture where it brings one.

        Raises:
            SampleError: as `trainable.check_record` raises it; `several_pictures`; `bad_affine`, no move at all.
        """
        if record.others:
            raise SampleError("several_pictures", f"{len(record.attached())} pictures in one sample")
        trainable.check_record(record, _RESERVED, virtual=True)
        # Written out by hand, for speed: half of the time of the library's encoder goes into making the rows.
        name = beside.paths(record)[0] if record.elsewhere and record.image else record.image
        image = "" if name is None else f', "image": {_quoted(name)}'
        moved = "" if record.transform is None else f', "transform": {_transform(record.transform)}'
        said = ", ".join([f'{{"from": "{turn.role}", "value": {_quoted(turn.value)}}}' for turn in record.turns])
        row = f'{{"id": "{record.sample_id}"{image}{moved}, "conversations": [{said}]}}'
        if record.picture:
            beside.put_pictures(self._folder, record)
        self._out.write(self._between + row)
        self._between = ",\n"

    def close(self) -> tuple[str, ...]:
        """End the array; return the trainer's files, relative to the folder."""
        self._out.write("\n]\n")
        self._out.close()
        return (self._name,)


def _transform(placed: Placed) -> str:
    if not all(map(math.isfinite, placed.affine)):
        raise SampleError("bad_affine", str(placed.affine))
    told = {
        "affine": list(placed.affine),
        "size": list(placed.size_wh),
        "fill": list(placed.fill),
        "steps": list(placed.steps),
    }
    return json.dumps(told, ensure_ascii=False)
