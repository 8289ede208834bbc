"""MDS shards follow the document byte by byte, and the library's own dataset reads them where it is installed."""

import io
import json
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from exported import HEIGHT, WIDTH, bare, jpeg, pair, record, write
from PIL import Image

from curate import plugins
from curate.errors import SampleError
from curate.plugins import Project

RECORDS = [record(0), bare(), pair(1), record(2, picture=None), record(0)]
MODULE = plugins.load("exporters", "mds", Project(str(plugins.shipped())))


def samples(folder: Path) -> list[dict[str, Any]]:
    """Read shards: mosaicml/streaming docs/source/preparing_datasets/dataset_format.md."""
    index = json.loads((folder / "index.json").read_bytes())
    assert index["version"] == 2
    found = []
    for number, shard in enumerate(index["shards"]):
        assert (shard["format"], shard["raw_data"]["basename"]) == ("mds", f"shard.{number:05d}.mds")
        data = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"]
        count, *offsets = struct.unpack_from(f"<{shard['samples'] + 2}I", data)
        assert (count, offsets[-1]) == (shard["samples"], len(data))
        config = json.loads(data[4 * (count + 2) : offsets[0]])
        assert config == {key: shard[key] for key in config}
        assert config["column_names"] == sorted(config["column_names"])
        for start, end in pairwise(offsets):
            found.append(decoded(data[start:end], config))
    return found


def decoded(data: bytes, config: dict[str, Any]) -> dict[str, Any]:
    names = config["column_names"]
    sizes = struct.unpack_from(f"<{len(names)}I", data)
    at, row = 4 * len(names), {}
    for name, encoding, size in zip(names, config["column_encodings"], sizes, strict=True):
        row[name] = {"str": bytes.decode, "json": json.loads, "list[jpeg]": pictures}[encoding](data[at : at + size])
        at += size
    assert at == len(data)
    return row


def pictures(data: bytes) -> list[bytes]:
    _, count = struct.unpack_from("<2I", data)
    sizes = struct.unpack_from(f"<{count}I", data, 8)
    at, found = 8 + 4 * count, []
    for size in sizes:
        found.append(data[at : at + size])
        at += size
    assert at == len(data)
    return found


def test_the_document_is_followed(tmp_path: Path) -> None:
    assert write("mds", tmp_path, RECORDS) == ("index.json", "shard.00000.mds")
    found = samples(tmp_path)
    assert [row["id"] for row in found] == ["id0", "bare0", "pair1", "id2", "id0"]
    assert [len(row["images"]) for row in found] == [1, 0, 2, 0, 1]
    assert found[0]["images"] == [jpeg(0)]
    assert Image.open(io.BytesIO(found[2]["images"][1])).size == (32, 16)
    assert found[3]["pictures"] == [{"path": "images/t/2.jpg", "width": WIDTH, "height": HEIGHT}]
    assert found[0]["conversations"] == [{"from": turn.role, "value": turn.value} for turn in RECORDS[0].turns]


def test_a_full_shard_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "SIZE_LIMIT", 6000)
    large = record(3, picture=jpeg(3) + bytes(8000))
    records = [record(number) for number in range(10)]
    files = write("mds", tmp_path, [*records, large, *records])
    found = samples(tmp_path)
    assert [row["id"] for row in found] == [*(one.sample_id for one in records), "id3", *(o.sample_id for o in records)]
    sizes = [(tmp_path / name).stat().st_size for name in files[1:]]
    assert len(sizes) > 3
    assert sum(size > 6000 for size in sizes) == 1, "what is larger than a shard has one of its own"


def test_what_no_shard_can_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "MOST_BYTES", 100)
    with pytest.raises(SampleError, match="too_large"):
        write("mds", tmp_path, [record(0)])


def test_the_library_itself_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streaming = pytest.importorskip("streaming")
    monkeypatch.setattr(MODULE, "SIZE_LIMIT", 3000)
    files = write("mds", tmp_path, RECORDS)
    assert len(files) > 2
    found = streaming.StreamingDataset(local=str(tmp_path), batch_size=1, shuffle=False)
    rows = [found[number] for number in range(len(found))]
    assert [row["id"] for row in rows] == [one.sample_id for one in RECORDS]
    assert [[picture.size for picture in row["images"]] for row in rows] == [
        *([(64, 48)], [], [(64, 48), (32, 16)], [], [(64, 48)])
    ]
    assert rows[0]["conversations"][1]["value"] == RECORDS[0].turns[1].value
