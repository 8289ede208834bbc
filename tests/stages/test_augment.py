import collections
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import Workshop
from PIL import Image

from curate import checks
from curate.doctor import Doctor
from curate.export_job import Export
from curate.exporting import export_last
from curate.io import images, turbo
from curate.job import read_job
from curate.kernels import affine, boxes
from curate.schema import from_row
from curate.stages.augment import recipe_name

JOB = "from: tiny\naugment: [square_pad, hflip, [square_pad, hflip]]\n"
PLAIN = """
from dataclasses import replace
from curate.sample import Derived

VERSION = 1


def augment(sample, pixels, rng):
    return Derived(sample, 255 - pixels, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), {"seed": int(rng.integers(1000))})
"""


@pytest.fixture
def small(workshop: Workshop) -> Workshop:
    workshop.captions(count=4, shard_rows=4)
    text = (workshop.folder / "tiny.tsv").read_text().replace("number", "of age")
    (workshop.folder / "tiny.tsv").write_text(text)
    return workshop


def children(workshop: Workshop, **only: str) -> list[dict]:
    rows = [
        row
        for path in sorted(workshop.root.glob("tiny/augmented/*/*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    return [row for row in rows if all(row[key] == value for key, value in only.items())]


def params(row: dict) -> list[dict]:
    return [json.loads(step["params"]) for step in row["transforms"]]


def data(workshop: Workshop, row: dict, folder: str) -> bytes:
    image = row["images"][0]
    with (workshop.root / "tiny" / folder / f"{row['shard']:05d}.tar").open("rb") as tar:
        tar.seek(image["offset"])
        return tar.read(image["size"])


def run(workshop: Workshop, text: str) -> None:
    workshop.write("jobs/mine.yaml", text)
    assert workshop.run("mine").ok()


@pytest.mark.parametrize("flip", ["auto", "reencode"])
def test_the_way_that_was_taken_is_told(small: Workshop, flip: str) -> None:
    run(small, JOB + f"children: {{flip: {flip}}}\n")
    quick = flip == "auto" and turbo.available()
    ways = {"hflip": "lossless", "square_pad": "planes", "square_pad+hflip": "planes"}
    rows = children(small)
    assert len(rows) == 12
    for row in rows:
        for step in params(row):
            assert step["way"] == (ways[row["recipe"]] if quick else "pixels")
            assert step["flip"] == flip and step["quality"] == 95
        assert params(row)[-1].get("swapped") == (1 if row["recipe"].endswith("hflip") else None)
        picture = images.decode(data(small, row, f"augmented/{row['digest']}"))
        assert picture.shape == (row["images"][0]["height"], row["images"][0]["width"], 3)


def test_pixels_boxes_and_words_go_together(small: Workshop) -> None:
    run(small, JOB)
    parents = {row["sample_id"]: row for row in pq.read_table(small.root / "tiny/samples/00000.parquet").to_pylist()}
    for row in children(small):
        old = images.decode(data(small, parents[row["parent_id"]], "images"))
        new = images.decode(data(small, row, f"augmented/{row['digest']}")).astype(int)
        points = np.random.default_rng(0).uniform([2, 2], [62, 46], (50, 2))
        there = affine.apply_points(points, tuple(row["affine"]))
        off = [
            np.abs(new[int(y), int(x)] - old[int(q), int(p)]).max()
            for (p, q), (x, y) in zip(points, there, strict=True)
        ]
        assert np.median(off) < 12
        assert ("on the right" in row["text"]) == row["recipe"].endswith("hflip")


def test_identity_rests_on_what_was_asked_for(small: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    run(small, JOB)
    here = {row["sample_id"]: row for row in children(small)}
    for path in small.root.glob("tiny/augmented/*/*"):
        path.unlink()
    monkeypatch.setattr(turbo, "_library", lambda: None)
    run(small, JOB)
    there = {row["sample_id"]: row for row in children(small)}
    assert here.keys() == there.keys()
    assert {row["digest"] for row in here.values()} == {row["digest"] for row in there.values()}
    assert {params(row)[0]["way"] for row in there.values()} == {"pixels"}
    for name, row in here.items():
        assert row["regions"] == there[name]["regions"] and row["text"] == there[name]["text"]


def test_reencode_is_alike_with_and_without_the_library(small: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    text = JOB + "children: {flip: reencode}\n"
    run(small, text)
    here = children(small)
    for path in small.root.glob("tiny/augmented/*/*"):
        path.unlink()
    monkeypatch.setattr(turbo, "_library", lambda: None)
    run(small, text)
    assert children(small) == here


def test_the_digest_covers_how_children_are_made(small: Workshop) -> None:
    for more in ("", "children: {flip: reencode}\n", "children: {pixels: virtual}\n"):
        run(small, JOB + more)
    assert len({row["digest"] for row in children(small)}) == 3


def test_a_parent_is_read_once_and_a_refused_child_not_at_all(small: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: collections.Counter[str] = collections.Counter()
    real = images.decode
    monkeypatch.setattr(images, "decode", lambda *a: calls.update(["decode"]) or real(*a))
    run(small, "from: tiny\naugment: [[square_pad, hflip], square_pad, hflip]\nchildren: {flip: reencode}\n")
    assert calls["decode"] == 4
    calls.clear()
    (small.folder / "tiny.tsv").write_text((small.folder / "tiny.tsv").read_text().replace("on the left", "on the map"))
    small.write("catalogs/other.yaml", (small.folder / "catalogs/tiny.yaml").read_text())
    small.write("jobs/mine.yaml", "from: other\naugment: [hflip]\nchildren: {flip: reencode}\n")
    assert small.run("mine").ok()
    assert calls["decode"] == 0


def test_virtual_children_point_at_their_parent(small: Workshop) -> None:
    run(small, JOB + "children: {pixels: virtual}\n")
    parents = {row["sample_id"]: row for row in pq.read_table(small.root / "tiny/samples/00000.parquet").to_pylist()}
    rows = children(small)
    assert len(rows) == 12
    for row in rows:
        parent = parents[row["parent_id"]]
        assert row["images"] == parent["images"]
        assert from_row(row).is_virtual() and not from_row(parent).is_virtual()
        size = [64, 48] if row["recipe"] == "hflip" else [64, 64]
        assert params(row)[0]["size"] == size
        assert row["affine"][0] == (-1 if row["recipe"].endswith("hflip") else 1)
    examined = Doctor(str(small.root), False, lambda text: None).examine()
    assert examined.findings == ()
    assert examined.pictures == 4


def test_virtual_and_written_children_say_the_same(small: Workshop) -> None:
    run(small, JOB)
    run(small, JOB + "children: {pixels: virtual}\n")
    found: dict[tuple[str, str], list[dict]] = collections.defaultdict(list)
    for row in children(small):
        found[row["parent_id"], row["recipe"]].append(row)
    assert len(found) == 12
    for one, two in found.values():
        for column in ("affine", "text", "conversations", "regions", "relations"):
            assert one[column] == two[column]


def test_a_picture_of_nothing_but_pixels_cannot_be_virtual(small: Workshop) -> None:
    small.write("plugins/augmenters/negative.py", PLAIN)
    path = small.write("jobs/mine.yaml", "from: tiny\naugment: [hflip, negative]\nchildren: {pixels: virtual}\n")
    [mistake] = checks.check(str(path), small.project)
    assert "augment[1]" in str(mistake) and "no affine describes" in str(mistake)


def test_augmenters_of_ones_own_work_as_before(small: Workshop) -> None:
    small.write("plugins/augmenters/negative.py", PLAIN)
    run(small, "from: tiny\naugment: [negative, [negative, hflip]]\n")
    for row in children(small):
        assert [step["way"] for step in params(row)] == ["pixels"] * len(params(row))
        assert "seed" in params(row)[0]
    flipped = children(small, recipe="negative+hflip")
    assert all(params(row)[1]["swapped"] == 1 for row in flipped)


def test_square_pictures_are_kept_as_they_were(workshop: Workshop) -> None:
    workshop.captions(count=2, shard_rows=2)
    for number in range(2):
        Image.new("RGB", (48, 48), (number, 9, 9)).save(workshop.web / f"{number}.jpg", "PNG")
    run(workshop, "from: tiny\naugment: [square_pad]\n")
    for row in children(workshop):
        assert params(row)[0]["way"] == "kept"
        assert row["images"][0]["member"] == f"{row['sample_id']}.png"
        assert data(workshop, row, f"augmented/{row['digest']}").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("children: {pixels: no}", "children.pixels"),
        ("children: {flip: best}", "children.flip"),
        ("children: {x: 1}", "x"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"from: tiny\n{text}\n")
    job, mistakes = read_job(path)
    assert job is None and where in str(mistakes[0])


def exported(workshop: Workshop, wanted: Export) -> tuple[Path, dict, list[dict]]:
    folder, manifest = export_last("mine", wanted, workshop.project, str(workshop.root))
    file = next(name for name in manifest["files"] if name.endswith(".json"))
    return Path(folder), manifest, json.loads((Path(folder) / file).read_text())


def test_an_export_states_how_virtual_pictures_are_made(small: Workshop) -> None:
    run(small, JOB + "children: {pixels: virtual}\n")
    folder, manifest, records = exported(small, Export(as_="llava_json"))
    assert len(records) == 16 and len({record["image"] for record in records}) == 4
    told = [record["transform"] for record in records if "transform" in record]
    assert len(told) == 12
    for transform in told:
        x0, y0, x1, y1 = boxes.apply_affine([[0, 0, 64, 48]], transform["affine"])[0]
        assert (x0, x1) == (0, 64)
        padded = "square_pad" in transform["steps"]
        assert (transform["size"], y0, y1) == (([64, 64], 8, 56) if padded else ([64, 48], 0, 48))
        assert transform["fill"] == [122, 116, 104] or not padded
    assert all((folder / record["image"]).is_file() for record in records)
    _, manifest = export_last("mine", Export(as_="webdataset"), small.project, str(small.root))
    assert manifest["left_out"] == {"virtual": 12}
    assert manifest["records"] == 4


def test_written_children_have_no_transform(small: Workshop) -> None:
    run(small, JOB)
    _, _, records = exported(small, Export(as_="llava_json"))
    assert len({record["image"] for record in records}) == 16
    assert all("transform" not in record and record["image"].startswith("images/tiny/") for record in records)


def test_the_layout_of_all_seeing(small: Workshop) -> None:
    run(small, "from: tiny\naugment: [hflip, square_pad]\n")
    folder, manifest, records = exported(small, Export(as_="llava_json", layout="asv2"))
    tops = collections.Counter(record["image"].split("/")[0] for record in records)
    assert tops == {"tiny": 4, "tiny_flip": 4, "tiny_square_pad": 4}
    for record in records:
        with Image.open(folder / "playground/data" / record["image"]) as picture:
            assert picture.format == "JPEG"
    assert len(list(folder.rglob("*.jpg"))) == manifest["picture_files"] == 12
    before = exported(small, Export(as_="llava_json"))[0]
    assert before != folder and not (before / "playground").exists()


def test_names_of_recipes() -> None:
    assert recipe_name(("square_pad", "hflip")) == "square_pad+hflip"
