"""Mixes whose inputs moved on: what changed is seen, what is another's is not trusted, and order says nothing."""

import hashlib
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import Workshop
from PIL import Image

from curate import checks
from curate.errors import ConfigError, OutsideError
from curate.export_job import Export
from curate.exporting import export_last
from curate.plugins import Project


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.folder.mkdir(exist_ok=True)
    workshop.tokenizer()
    return workshop


def record(number: int, image: str = "") -> dict[str, Any]:
    mark = "<image>\n" if image else ""
    turns = [{"from": "human", "value": f"{mark}what is {number}"}, {"from": "gpt", "value": "a thing"}]
    return {"id": number, **({"image": image} if image else {}), "conversations": turns}


def file(shop: Workshop, name: str, records: list[Any]) -> str:
    path = shop.folder / f"{name}.json"
    path.write_text(json.dumps(records))
    return str(path)


def pictures(shop: Workshop, name: str, count: int, size: tuple[int, int] = (64, 48)) -> Path:
    folder = shop.folder / name
    folder.mkdir(exist_ok=True)
    for number in range(count):
        pixels = np.random.default_rng([len(name), number, *size]).integers(0, 255, (*size[::-1], 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def mixed(shop: Workshop, parts: str, rest: str = "") -> Any:
    tokens = f"tokens: {{tokenizer: {shop.folder}/tokenizer.json, max: 2048}}\n"
    shop.write("jobs/mixed.yaml", f"mix:\n{parts}{tokens if 'tokens:' not in rest else ''}{rest}")
    return shop.run("mixed").jobs[-1]


def rows(shop: Workshop, job: Any) -> list[dict[str, Any]]:
    files = sorted((shop.root / "mixes/mixed" / job.digest).rglob("packs*.parquet")) or sorted(
        (shop.root / "mixes/mixed" / job.digest / "packs").glob("*.parquet")
    )
    return [row for each in files for row in pq.ParquetFile(each).read().to_pylist()]


@pytest.mark.parametrize(
    "rest", ["budget: {samples: 10}\n", "pack: {length: 4096, by: [placement]}\nlayout: {ranks: 2}\n"]
)
def test_the_order_of_components_says_nothing(shop: Workshop, rest: str) -> None:
    weight = "weight: 1" if "budget" in rest else "epochs: 1.5"
    parts = [
        f"  {name}: {{from: {file(shop, name, [record(n + 100 * place) for n in range(10 + place)])}, {weight}}}\n"
        for place, name in enumerate("abc")
    ]
    plans = []
    for order in (parts, parts[::-1]):
        job = mixed(shop, "".join(order), rest)
        plans.append((job.digest, rows(shop, job)))
        shutil.rmtree(shop.root / "mixes")
    assert plans[0] == plans[1]


def test_another_folder_of_pictures_is_judged_anew(shop: Workshop) -> None:
    one, other = pictures(shop, "one", 3), pictures(shop, "other", 3)
    bench = shop.folder / "bench.csv"
    bench.write_text(f"sha256\n{hashlib.sha256((other / '1.png').read_bytes()).hexdigest()}\n")
    parts = f"  a: {{from: {file(shop, 'a', [record(n, f'{n}.png') for n in range(3)])}}}\n"
    for folder, wanted in ((one, {None: 3}), (other, {None: 2, "contaminated": 1}), (one, {None: 3})):
        job = mixed(shop, parts, f"pictures: {{root: {folder}}}\ngate: {{against: [{bench}]}}\n")
        assert Counter(row["reason"] for row in rows(shop, job)) == wanted


def test_an_export_takes_the_pictures_of_the_folder_that_is_named_now(shop: Workshop) -> None:
    one, other = pictures(shop, "one", 2), pictures(shop, "other", 2, (640, 480))
    parts = f"  a: {{from: {file(shop, 'a', [record(n, f'{n}.png') for n in range(2)])}}}\n"
    for folder in (one, other, one):
        mixed(shop, parts, f"pictures: {{root: {folder}}}\n")
        _, told = export_last("mixed", Export(as_="llava_json"), shop.project, str(shop.root))
        assert told["pictures_in"] == {"a": str(folder)}


def test_late_pictures_come_into_an_export_that_holds_them(shop: Workshop) -> None:
    folder = pictures(shop, "there", 2)
    parts = f"  a: {{from: {file(shop, 'a', [record(n, f'{n}.png') for n in range(4)])}, images: {folder}}}\n"
    for count in (2, 4):
        pictures(shop, "there", count)
        export = mixed(shop, parts, "export: {as: webdataset}\n").facts["export"]
        assert (export["records"], export["pictures_in"]) == (count, {})


def test_joins_count_by_what_they_say(shop: Workshop) -> None:
    parts = f"  a: {{from: {file(shop, 'a', [record(n, f'VG_100K/{n}.jpg') for n in (1, 2, 3)])}}}\n"
    bench, joins = shop.folder / "bench.csv", shop.folder / "joins.json"
    bench.write_text("image_id\n77.0\nnothing\n")
    for vg, wanted in ((9, {None: 3}), (1, {None: 2, "contaminated": 1})):
        joins.write_text(json.dumps([{"image_id": vg, "coco_id": 77, "flickr_id": None}]))
        job = mixed(shop, parts, f"gate: {{against: [{bench}], numbers: coco, joins: {joins}}}\n")
        assert Counter(row["reason"] for row in rows(shop, job)) == wanted


@pytest.mark.parametrize("cache", ["lengths/{}/*/00000.parquet", "gates/facts/{}/*/00000.parquet"])
def test_a_cache_of_another_component_is_made_again(shop: Workshop, cache: str) -> None:
    many = [record(n) for n in range(20)]
    paths = {name: file(shop, name, [{**each, "name": name} for each in many]) for name in "ab"}
    paths["b"] = file(shop, "b", [record(n + 50) for n in range(20)])
    parts = "".join(f"  {name}: {{from: {path}}}\n" for name, path in paths.items())
    first = rows(shop, mixed(shop, parts, "gate: {}\n"))
    [a], [b] = (list(shop.root.glob(cache.format(name))) for name in "ab")
    shutil.copyfile(a, b)
    shutil.rmtree(shop.root / "mixes")
    assert rows(shop, mixed(shop, parts, "gate: {}\n")) == first


def test_an_export_that_was_cut_is_written_again(shop: Workshop) -> None:
    mixed(shop, f"  a: {{from: {file(shop, 'a', [record(n) for n in range(9)])}}}\n")
    folder, _ = export_last("mixed", Export(as_="llava_json"), shop.project, str(shop.root))
    made = Path(folder, "mixed.json").read_bytes()
    Path(folder, "mixed.json").write_bytes(made[:100])
    export_last("mixed", Export(as_="llava_json"), shop.project, str(shop.root))
    assert Path(folder, "mixed.json").read_bytes() == made


@pytest.mark.parametrize("text", ["{}", '{"shards": {}}', '{"shards": 1, "facts": {}, "books": {}}'])
def test_a_manifest_that_is_not_whole_is_damage(shop: Workshop, text: str) -> None:
    parts = f"  a: {{from: {file(shop, 'a', [record(n) for n in range(9)])}}}\n"
    job = mixed(shop, parts)
    (shop.root / "mixes/mixed" / job.digest / "manifest.json").write_text(text)
    for again in (lambda: mixed(shop, parts), lambda: export_last("mixed", EXPORT, shop.project, str(shop.root))):
        with pytest.raises(OutsideError, match=r"is damaged .*curate doctor sets it aside"):
            again()


EXPORT = Export(as_="llava_json")


def test_a_pipe_is_no_file(shop: Workshop) -> None:
    os.mkfifo(shop.folder / "pipe.json")
    with pytest.raises(ConfigError, match="no file at"):
        mixed(shop, f"  a: {{from: {shop.folder}/pipe.json}}\n")
    parts = f"  a: {{from: {file(shop, 'a', [record(1)])}}}\n"
    with pytest.raises(ConfigError, match="no file at"):
        mixed(shop, parts, f"gate: {{against: [{shop.folder}/pipe.json]}}\n")


def test_a_benchmark_that_is_not_ingested_is_told_before_anything_runs(shop: Workshop) -> None:
    shop.captions()
    shop.write("jobs/mine.yaml", "from: tiny\n")
    shop.captions("bench", count=3)
    with pytest.raises(ConfigError, match='"bench" was never ingested'):
        mixed(shop, "  mine: {from: mine}\n", "gate: {against: [bench]}\n")
    assert not (shop.root / "tiny").exists()


@pytest.mark.parametrize(
    "rest",
    [
        "layout: {ranks: 1048576, per_rank: 64}\n",
        f"budget: {{tokens: {10**400}}}\n",
        "layout: {curves: {a: [[0, 0], [1, 1.0e+308]]}}\n",
        "layout: {curves: {a: [[0, 0], [2, 1]]}}\n",
    ],
)
def test_absurd_numbers_are_mistakes(shop: Workshop, rest: str) -> None:
    path = file(shop, "a", [record(1)])
    shop.write("jobs/mixed.yaml", f"mix:\n  a: {{from: {path}}}\n{rest}")
    assert checks.check("mixed", Project(str(shop.folder)))
