import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from curate.demo.faults import FAULTS, FULL_WORLD, assign
from curate.demo.scenes import draw, scene
from curate.demo.world import World, make_world
from curate.io import images
from curate.kernels import rle
from curate.shards import ShardInput
from curate.sources import grit

SCENES = 120


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"), 3, SCENES, "127.0.0.1", 8000)


@pytest.fixture(scope="module")
def truth(world: World) -> list[dict[str, Any]]:
    return list(pq.read_table(world.truth).to_pylist())


def test_a_full_world_has_every_fault_several_times() -> None:
    counts: Counter[str] = Counter()
    for dataset, rows in (("cc12m", 1100), ("grit", 800), ("sa1b", 240)):
        counts.update(assign(dataset, rows, FULL_WORLD, np.random.default_rng(0)))
    for fault in FAULTS:
        assert counts[fault.name] == sum(count for _, count in fault.planted) >= 5
        assert fault.kept == (not fault.errors and not fault.reasons)


def test_the_truth_names_every_row_once(world: World, truth: list[dict[str, Any]]) -> None:
    assert Counter(row["dataset"] for row in truth) == world.rows
    assert sum(world.rows.values()) == SCENES
    assert len({(row["dataset"], row["url"], row["source_key"]) for row in truth}) == SCENES
    lines = world.cc12m.read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == [row["url"] for row in truth if row["dataset"] == "cc12m"]
    assert {row["fault"] for row in truth} == {"", *(fault.name for fault in FAULTS)}


def test_same_seed_same_world(world: World, tmp_path: Path) -> None:
    again = make_world(tmp_path, 3, SCENES, "127.0.0.1", 8000)
    for path in sorted(file for file in world.root.rglob("*") if file.is_file()):
        if path.name != "links.tsv":
            assert path.read_bytes() == (again.root / path.relative_to(world.root)).read_bytes(), path


def test_grit_reads_as_grit(world: World, truth: list[dict[str, Any]]) -> None:
    files = sorted(world.grit.glob("coyo_*_snappy.parquet"))
    rows = [row for file in files for row in grit.rows(ShardInput(str(file)))]
    faults = [row["fault"] for row in truth if row["dataset"] == "grit"]
    assert len(rows) == len(faults) and not any(row.error for row in rows)
    for row, fault in zip(rows, faults, strict=True):
        boxes = [box for region in row.regions for box in region.boxes]
        assert row.text is not None
        for region in row.regions:
            assert row.text[region.start : region.end] == region.phrase and region.phrase.startswith("a")
        inside = all(0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1 for x0, y0, x1, y1 in boxes)
        assert inside == (fault != "outside_box")
        assert (len(set(boxes)) < len(boxes)) == (fault == "double_box")


def test_rotated_pictures_are_upright_once_decoded(world: World, truth: list[dict[str, Any]]) -> None:
    for row in truth:
        if row["fault"] == "rotated":
            data = (world.pictures / row["url"].rpartition("/")[2]).read_bytes()
            stored = images.store(data, images.Limits())
            assert stored.exif_orientation in (3, 6, 8)
    first = next(row for row in truth if row["dataset"] == "cc12m" and not row["fault"])
    pixels = images.decode((world.pictures / first["url"].rpartition("/")[2]).read_bytes())
    original = draw(scene(3_000_000 + int(first["url"][-10:-4])))
    assert pixels.shape == original.shape
    assert np.abs(pixels.astype(int) - original.astype(int)).mean() < 8


def test_copies_have_the_bytes_of_their_twins(world: World, truth: list[dict[str, Any]]) -> None:
    copies = [row for row in truth if row["fault"] == "copied_picture"]
    assert copies
    for row in copies:
        one, two = ((world.pictures / url.rpartition("/")[2]).read_bytes() for url in (row["url"], row["twin"]))
        assert one == two and row["url"] != row["twin"]


def test_sa1b_masks_fit_their_boxes(world: World, truth: list[dict[str, Any]]) -> None:
    faults = {row["source_key"]: row["fault"] for row in truth if row["dataset"] == "sa1b"}
    links = [line.split("\t") for line in world.sa1b.read_text().splitlines()]
    assert links[0] == ["file_name", "cdn_link"] and len(links) == 4
    seen = 0
    for name, link in links[1:]:
        with tarfile.open(link) as tar:
            for member in tar:
                key = f"{name.removesuffix('.tar')}/{member.name.partition('.')[0]}"
                if member.name.endswith(".json") and not faults[key]:
                    data = tar.extractfile(member)
                    assert data is not None
                    _check(json.loads(data.read()))
                    seen += 1
    assert seen == sum(not fault for fault in faults.values())


def _check(record: dict[str, Any]) -> None:
    for mask in record["annotations"]:
        counts, (height, width) = mask["segmentation"]["counts"], mask["segmentation"]["size"]
        assert (width, height) == (record["image"]["width"], record["image"]["height"])
        assert list(rle.bbox(counts, (height, width))) == mask["bbox"]
        assert rle.area(counts) == mask["area"]


def test_a_world_too_small_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        make_world(tmp_path, 0, 10, "127.0.0.1", 1)
