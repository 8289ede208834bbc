"""Megatron-Energon: WebDataset tars with all that `energon prepare` adds, so that nothing needs to be prepared.

Format: NVIDIA/Megatron-Energon docs/source/basic/data_prep.md, src/megatron/energon/flavors/webdataset/{prepare,
indexing,itar}.py (7.4). Beside each tar lies NAME.tar.idx, the offset of each sample and of the end as uint64;
`.nv-meta` holds dataset.yaml (a CrudeWebdataset: a cooker reads `json` and the pictures), split.yaml (all of it
`train`), .info.json (samples of each tar), index.sqlite (the place of each sample and member) and index.uuid.

A sample's members are `jpg` (or `0.jpg`, `1.jpg`, … for several) and `json`. Its key is its number: keys must differ.
"""

import hashlib
import json
import struct
import uuid
from pathlib import Path
from typing import BinaryIO

import yaml

from curate.grounding import trainable
from curate.io import beside, tars
from curate.io.sample_index import SampleIndex
from curate.sample import Record

SUFFIX = ".tar"
INSIDE = True
"""Pictures are in the files."""
SIZED = True
"""Rows say how large pictures are."""

CODECS = ("qwen2_vl", "internvl", "llava", "plain")
"""Written forms of models that are trained from such files."""

PER_TAR = 10_000
TAR_BYTES = 1 << 30
"""What a tar holds at most: fewer than 10,000 tars are advised."""
META = ".nv-meta"


class Exporter:
    """Writes records one by one; memory does not grow with their number."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._stem = folder, Path(name).stem
        self._counts: dict[str, int] = {}
        self._tar: BinaryIO | None = None
        self._starts: list[int] = []
        self._written = 0
        self._hash = hashlib.blake2b(digest_size=16)
        (folder / META).mkdir()
        self._index = SampleIndex(folder / META / "index.sqlite")

    def write(self, record: Record) -> None:
        """Write one record; SampleError as `trainable.check_record` raises it."""
        trainable.check_record(record)
        if self._tar is None:
            self._tar = (self._folder / f"{self._stem}-{len(self._counts):05d}.tar").open("wb")
        members = beside.members(record, beside.whole_row(record))
        key, start = f"{self._written:09d}", self._tar.tell()
        places = [tars.append_member(self._tar, f"{key}.{part}", data) for part, data in members]
        parts = [(part, offset, size) for (part, _), (_, offset, size) in zip(members, places, strict=True)]
        self._index.add(len(self._counts), key, len(self._starts), start, self._tar.tell() - start, parts)
        self._hash.update(f"{key} {start} {record.sample_id}\n".encode("utf-8", "backslashreplace"))
        self._starts.append(start)
        self._written += 1
        if len(self._starts) == PER_TAR or self._tar.tell() >= TAR_BYTES:
            self._finish(self._tar)

    def close(self) -> tuple[str, ...]:
        """Finish the tar and what stands beside; return the trainer's files, relative to the folder."""
        if self._tar is not None:
            self._finish(self._tar)
        self._index.close()
        meta = {
            "dataset.yaml": _yaml({"__module__": "megatron.energon", "__class__": "CrudeWebdataset"}),
            "split.yaml": _yaml({"split_parts": {"train": list(self._counts), "val": [], "test": []}, "exclude": []}),
            ".info.json": json.dumps({"shard_counts": self._counts}, indent=2),
            "index.uuid": str(uuid.UUID(bytes=self._hash.digest(), version=4)),
        }
        for name, text in meta.items():
            (self._folder / META / name).write_text(text, encoding="utf-8")
        beside_tars = (name for tar in self._counts for name in (tar, f"{tar}.idx"))
        return (*beside_tars, *(f"{META}/{name}" for name in (*meta, "index.sqlite")))

    def _finish(self, tar: BinaryIO) -> None:
        end, name = tar.tell(), f"{self._stem}-{len(self._counts):05d}.tar"
        tar.write(tars.END)
        tar.close()
        (self._folder / f"{name}.idx").write_bytes(struct.pack(f"<{len(self._starts) + 1}Q", *self._starts, end))
        self._counts[name] = len(self._starts)
        self._tar, self._starts = None, []


def _yaml(value: object) -> str:
    return str(yaml.safe_dump(value, sort_keys=False))
