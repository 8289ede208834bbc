"""Damage, changed inputs and hostile names under a root: named with the next step, never passed over."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import Workshop

from curate import catalog
from curate.driver import Where
from curate.errors import ConfigError, OutsideError
from curate.export_job import Export
from curate.exporting import export_last
from curate.io import images
from curate.layout import sound_root
from curate.pipeline import Run
from curate.views import open_root

JOB = "from: tiny\nscore: [box_stats]\nkeep: {unique_pictures: }\n"


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.captions(count=8, shard_rows=4)
    workshop.write("jobs/j.yaml", JOB)
    return workshop


def export(shop: Workshop) -> Any:
    asked = Run(str(shop.root), shop.project, Where("inline"))
    return export_last("j", Export(as_="llava_json", codec="plain"), asked.project, asked.root)


def test_a_tar_that_changed_is_not_exported(shop: Workshop) -> None:
    shop.run("j")
    tar = shop.root / "tiny/images/00000.tar"
    data = bytearray(tar.read_bytes())
    data[600:900] = bytes(300)
    tar.write_bytes(data)
    with pytest.raises(OutsideError, match=r"00000.tar at 512 does not hold the picture that was stored"):
        export(shop)


def test_a_shard_that_is_made_again_is_scored_again(shop: Workshop) -> None:
    first = shop.run("j")
    before = (shop.root / "tiny/manifest.json").read_text()
    scores = shop.root / "tiny/scores/box_stats-v2/00000.parquet"
    kept = (shop.root / "tiny/scores/box_stats-v2/00001.parquet").stat().st_mtime_ns
    of = pq.read_metadata(scores).metadata[b"curate.of"]
    pixels = images.decode((shop.web / "0.jpg").read_bytes())
    (shop.web / "0.jpg").write_bytes(images.encode_jpeg(255 - pixels))
    (shop.root / "tiny/samples/00000.parquet").unlink()
    again = shop.run("j")
    assert pq.read_metadata(scores).metadata[b"curate.of"] != of
    assert (shop.root / "tiny/scores/box_stats-v2/00001.parquet").stat().st_mtime_ns == kept
    assert again.jobs[0].digest != first.jobs[0].digest
    assert (shop.root / "tiny/manifest.json").read_text() != before


def test_an_input_that_changed_at_the_same_size_is_refused(shop: Workshop) -> None:
    shop.run("j")
    table = shop.folder / "tiny.tsv"
    table.write_text(table.read_text().replace("red dog", "big dog"))
    with pytest.raises(ConfigError, match="begun with another plan: files was"):
        shop.run("j")


def test_a_repeated_key_costs_its_row_alone(shop: Workshop) -> None:
    source = (Path(catalog.__file__).parent / "sources/cc12m.py").read_text()
    shop.write("plugins/sources/twice.py", source.replace('f"{stem}:{row}"', 'f"{stem}:{row // 2}"'))
    path = shop.folder / "catalogs/tiny.yaml"
    path.write_text(path.read_text().replace("source: cc12m", "source: twice"))
    result = shop.run("j")
    assert result.jobs[0].books[0].lost == {"duplicate_key": 4}
    assert result.ok()


@pytest.mark.parametrize("file", ["samples/00000", "scores/box_stats-v2/00000", "decisions/*/00000"])
def test_a_damaged_table_is_named_with_the_next_step(shop: Workshop, file: str) -> None:
    shop.run("j")
    [path] = (shop.root / "tiny").glob(f"{file}.parquet")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(OutsideError, match="curate doctor sets it aside, then run again"):
        house = open_root(str(shop.root), shop.project)
        house.answer("select count(*) from outcomes")


@pytest.mark.parametrize("file", ["jobs/j/*/manifest.json", "runs/*/job-j.json"])
@pytest.mark.parametrize("text", ["{", "[]", '{"run": 3}'])
def test_a_damaged_record_is_named_with_the_next_step(shop: Workshop, file: str, text: str) -> None:
    shop.run("j")
    [path] = shop.root.glob(file)
    path.write_text(text)
    with pytest.raises(OutsideError, match="curate doctor sets it aside"):
        export(shop)


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "a b", "x" * 101])
def test_names_that_would_leave_their_folder_are_no_names(shop: Workshop, name: str) -> None:
    shop.write(f"catalogs/{name}.yaml", (shop.folder / "catalogs/tiny.yaml").read_text())
    shop.write("jobs/j.yaml", f'from: "{name}"\n')
    with pytest.raises(ConfigError, match="unknown dataset"):
        shop.run("j")
    assert not shop.root.exists()


@pytest.mark.parametrize("root", ["", "s3://", "a*b", "x?y", "/a/[1]"])
def test_roots_that_are_none(root: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a root"):
        sound_root(root)


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    import os

    from curate.io import storage

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutsideError, match="is no file"):
        storage.write_bytes(str(tmp_path / "pipe"), b"x")
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    storage.write_bytes(str(tmp_path / "link"), b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_dead_cluster_answers_soon() -> None:
    from curate.runner.ray import open_runner

    with pytest.raises(OutsideError, match=r"Ray at 127.0.0.1:1: .*refused"):
        open_runner("127.0.0.1:1")
