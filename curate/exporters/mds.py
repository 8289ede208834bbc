"""MDS, the shards of mosaicml-streaming: shard.00000.mds, … and index.json.

Format: mosaicml/streaming docs/source/preparing_datasets/dataset_format.md, streaming/base/format/mds/writer.py. A
shard is the number of samples, the offset of each and of the end (all uint32, little-endian), the configuration as
JSON, and the samples; a sample is the size of each column, uint32, and the columns in order of their names.

Columns: `component`, `id` (str), `conversations` (json), `images` (list[jpeg]: PIL pictures of any format; none where
pictures are not written), `pictures` (json: path, width and height of each). The trainer is given the export's folder.
"""

import json
import struct
from pathlib import Path

from curate.errors import SampleError
from curate.grounding import trainable
from curate.io import beside
from curate.sample import Record

SUFFIX = ".mds"
INSIDE = True
"""Pictures are in the files."""
SIZED = True
"""Rows say how large pictures are."""

CODECS = ("qwen2_vl", "internvl", "llava", "plain")
"""Written forms of models that are trained from such files."""

SIZE_LIMIT = 1 << 26
"""Bytes of a shard, the library's own; a sample that is larger has a shard of its own."""

MOST_BYTES = 1 << 31
"""Pictures of one sample: places in a shard are 32 bits."""

COLUMNS = {"component": "str", "conversations": "json", "id": "str", "images": "list[jpeg]", "pictures": "json"}
"""Column → encoding, in order of the names as the library wants it."""

_CONFIG = {
    "version": 2,
    "format": "mds",
    "compression": None,
    "hashes": [],
    "size_limit": SIZE_LIMIT,
    "column_names": list(COLUMNS),
    "column_encodings": list(COLUMNS.values()),
    "column_sizes": [None] * len(COLUMNS),
}


class Exporter:
    """Writes records a shard at a time; holds one of them."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._config = json.dumps(_CONFIG, sort_keys=True).encode()
        self._shards: list[dict[str, object]] = []
        self._held: list[bytes] = []
        self._size = self._empty = 4 + 4 + len(self._config)

    def write(self, record: Record) -> None:
        """Take one record; SampleError as `trainable.check_record` raises it, `too_large` for more than a shard."""
        trainable.check_record(record)
        if sum(len(each.picture or b"") for each in record.attached()) > MOST_BYTES:
            raise SampleError("too_large", f"more than {MOST_BYTES} bytes of pictures")
        sample = _sample(record)
        if self._held and self._size + len(sample) + 4 > SIZE_LIMIT:
            self._flush()
        self._held.append(sample)
        self._size += len(sample) + 4

    def close(self) -> tuple[str, ...]:
        """Write what is held and the index; return the trainer's files, relative to the folder."""
        if self._held:
            self._flush()
        index = json.dumps({"version": 2, "shards": self._shards}, sort_keys=True)
        (self._folder / "index.json").write_text(index, encoding="utf-8")
        names = (f"shard.{number:05d}.mds" for number in range(len(self._shards)))
        return ("index.json", *names)

    def _flush(self) -> None:
        name = f"shard.{len(self._shards):05d}.mds"
        count = len(self._held)
        offsets = [4 + 4 * (count + 1) + len(self._config)]
        for sample in self._held:
            offsets.append(offsets[-1] + len(sample))
        with (self._folder / name).open("wb") as out:
            out.write(struct.pack(f"<{count + 2}I", count, *offsets))
            out.write(self._config)
            out.writelines(self._held)
        raw = {"basename": name, "bytes": offsets[-1], "hashes": {}}
        self._shards.append({**_CONFIG, "samples": count, "raw_data": raw, "zip_data": None})
        self._held, self._size = [], self._empty


def _sample(record: Record) -> bytes:
    attached = record.attached()
    data = [each.picture for each in attached if each.picture is not None]
    # A list is a word kept for later, the number of its elements, their sizes, and the elements.
    images = struct.pack(f"<{2 + len(data)}I", 0, len(data), *map(len, data)) + b"".join(data)
    columns = [
        record.component.encode(),
        json.dumps(beside.conversations(record.turns)).encode(),
        record.sample_id.encode(),
        images,
        json.dumps(beside.told(record)).encode(),
    ]
    return struct.pack(f"<{len(columns)}I", *map(len, columns)) + b"".join(columns)
