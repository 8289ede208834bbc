"""WebDataset and Megatron-Energon: the libraries' own readers find every sample, picture and word."""

import json
import shutil
import sqlite3
import struct
import tarfile
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from exported import HEIGHT, SAID, WIDTH, bare, jpeg, pair, record, write

from curate import plugins
from curate.codecs import internvl
from curate.plugins import Project

PROJECT = Project(str(plugins.shipped()))
RECORDS = [record(0), bare(), pair(1), record(0), record(2, picture=None)]


def small(monkeypatch: pytest.MonkeyPatch, name: str, per_tar: int) -> None:
    monkeypatch.setattr(plugins.load("exporters", name, PROJECT), "PER_TAR", per_tar)


def test_webdataset_is_read_by_the_library(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    files = write("webdataset", tmp_path, RECORDS)
    assert files == ("mix-00000.tar",)
    found = list(webdataset.WebDataset(str(tmp_path / files[0]), shardshuffle=False).decode("rgb8"))
    assert [one["__key__"] for one in found] == ["id0", "bare0", "pair1", "id0~2", "id2"]
    assert [sorted(key for key in one if not key.startswith("__")) for one in found] == [
        *(["jpg", "json"], ["json"], ["0.jpg", "1.png", "json"], ["jpg", "json"], ["json"])
    ]
    assert found[0]["jpg"].shape == (HEIGHT, WIDTH, 3)
    told = found[2]["json"]
    assert (told["component"], told["width"], told["height"]) == ("part", WIDTH, HEIGHT)
    assert told["images"] == [
        {"path": "images/t/1-a.jpg", "width": WIDTH, "height": HEIGHT},
        {"path": "images/t/1-b.png", "width": 32, "height": 16},
    ]
    assert internvl.decode(found[0]["json"]["conversations"][1]["value"], WIDTH, HEIGHT).text == SAID[1].text


@pytest.mark.parametrize("name", ["webdataset", "energon"])
@pytest.mark.parametrize(
    ("image", "member"),
    [
        ("a/x.JPG", "jpg"),
        ("a/x", "bin"),
        ("a/x.json", "bin"),
        ("a/x.tar.gz", "gz"),
        ("a/x.ünï", "bin"),
        ("a/.x", "bin"),
    ],
)
def test_a_picture_of_any_name_is_a_member(name: str, image: str, member: str, tmp_path: Path) -> None:
    write(name, tmp_path, [record(0, image=image)])
    with tarfile.open(tmp_path / "mix-00000.tar") as tar:
        assert [one.name.split(".", 1)[1] for one in tar] == [member, "json"]


@pytest.mark.parametrize("name", ["webdataset", "energon"])
def test_a_full_tar_is_followed_by_another(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, name, 2)
    write(name, tmp_path, [record(number % 3, picture=None) for number in range(6)])
    held = []
    for path in sorted(tmp_path.glob("*.tar")):
        with tarfile.open(path) as tar:
            held.append(len(tar.getnames()))
    assert held == [2, 2, 2]


def energon(folder: Path) -> dict[str, dict[str, bytes]]:
    """Return key → members of each sample, found by the index alone, and check what stands beside the tars.

    NVIDIA/Megatron-Energon docs/source/basic/data_prep.md; src/megatron/energon/flavors/webdataset.
    """
    meta = folder / ".nv-meta"
    counts = json.loads((meta / ".info.json").read_bytes())["shard_counts"]
    split = yaml.safe_load((meta / "split.yaml").read_text())
    assert split["split_parts"]["train"] == list(counts)
    assert yaml.safe_load((meta / "dataset.yaml").read_text())["__class__"] == "CrudeWebdataset"
    assert uuid.UUID((meta / "index.uuid").read_text())
    base = sqlite3.connect(meta / "index.sqlite")
    found: dict[str, dict[str, bytes]] = {}
    for number, (name, count) in enumerate(counts.items()):
        data = (folder / name).read_bytes()
        index = (folder / f"{name}.idx").read_bytes()
        offsets = struct.unpack(f"<{len(index) // 8}Q", index)
        rows = base.execute(
            "select sample_key, sample_index, byte_offset, byte_size from samples where tar_file_id = ? "
            "order by sample_index",
            (number,),
        ).fetchall()
        assert len(rows) == count == len(offsets) - 1
        for key, place, offset, size in rows:
            assert (offset, offset + size) == offsets[place : place + 2]
            parts = base.execute(
                "select part_name, content_byte_offset, content_byte_size from sample_parts "
                "where tar_file_id = ? and sample_index = ? order by content_byte_offset",
                (number, place),
            ).fetchall()
            found[key] = {part: data[start : start + length] for part, start, length in parts}
        with tarfile.open(folder / name) as tar:
            members = [f"{key}.{part}" for key, *_ in rows for part in found[key]]
            assert tar.getnames() == members
    indices = {name for (name,) in base.execute("select name from sqlite_master where type = 'index'")}
    assert indices >= {"idx_samples_by_tar_and_idx", "idx_sample_parts_seq", "idx_sample_parts_full"}
    base.close()
    return found


def test_energons_index_finds_every_sample_and_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small(monkeypatch, "energon", 2)
    files = write("energon", tmp_path, RECORDS)
    assert {".nv-meta/index.sqlite", "mix-00002.tar", "mix-00002.tar.idx"} <= set(files)
    found = energon(tmp_path)
    assert list(found) == [f"{number:09d}" for number in range(5)]
    one, words, two, again, bare_picture = found.values()
    assert (one["jpg"], list(words), list(two)) == (jpeg(0), ["json"], ["0.jpg", "1.png", "json"])
    assert list(bare_picture) == ["json"]
    assert one == again
    assert json.loads(two["json"])["images"][1] == {"path": "images/t/1-b.png", "width": 32, "height": 16}


def test_energon_itself_finds_nothing_to_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What its own `prepare` writes of the same tars is what stands there."""
    pytest.importorskip("megatron.energon")
    from megatron.energon.epathlib import EPath
    from megatron.energon.flavors.webdataset.prepare import WebdatasetPreparator

    small(monkeypatch, "energon", 2)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    write("energon", ours, RECORDS)
    theirs.mkdir()
    tars = sorted(path.name for path in ours.glob("*.tar"))
    for name in tars:
        shutil.copy(ours / name, theirs / name)
    WebdatasetPreparator.prepare_dataset(
        EPath(theirs), tars, split_parts_ratio=[("train", 1.0)], workers=1, shuffle_seed=None
    )
    for name in tars:
        assert (ours / f"{name}.idx").read_bytes() == (theirs / f"{name}.idx").read_bytes()
    info = (json.loads((folder / ".nv-meta/.info.json").read_bytes())["shard_counts"] for folder in (ours, theirs))
    assert next(info) == next(info)
    tables = [contents(folder / ".nv-meta/index.sqlite") for folder in (ours, theirs)]
    assert tables[0] == tables[1]
    energon(ours)


def contents(path: Path) -> dict[str, Any]:
    base = sqlite3.connect(path)
    found = {name: sorted(base.execute(f"select * from {name}")) for name in ("samples", "sample_parts")}
    found["indices"] = sorted(base.execute("select name, tbl_name from sqlite_master where type = 'index'"))
    base.close()
    return found


def test_energon_itself_trains_on_it(tmp_path: Path) -> None:
    energon_library = pytest.importorskip("megatron.energon")
    write("energon", tmp_path, RECORDS[:4])

    class Cooked(energon_library.DefaultTaskEncoder):
        decoder = energon_library.SampleDecoder(image_decode="pilrgb")
        cookers = (energon_library.Cooker(energon_library.stateless(lambda sample: sample)),)

        def batch(self, samples: Any) -> Any:
            return samples

    config = energon_library.WorkerConfig(rank=0, world_size=1, num_workers=0)
    dataset = energon_library.get_train_dataset(
        str(tmp_path), worker_config=config, batch_size=1, shuffle_buffer_size=None, max_samples_per_sequence=None,
        task_encoder=Cooked(), repeat=False,
    )  # fmt: skip
    found = {}
    for [sample] in energon_library.get_loader(dataset):
        found[sample["__key__"].rsplit("/", 1)[-1]] = sample
    assert len(found) == 4
    one = next(sample for key, sample in found.items() if key.endswith("000000000"))
    assert one["jpg"].size == (WIDTH, HEIGHT)
    assert one["json"]["conversations"][0]["from"] == "human"
