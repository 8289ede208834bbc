"""Mixes of jobs and of others' files, through the gate: what may not be drawn is not, and the books say why."""

import hashlib
import json
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
from curate.codecs import plain
from curate.driver import Driver, Where
from curate.errors import ConfigError, OutsideError, ShardError
from curate.export_job import Export
from curate.exporting import export_last
from curate.io import below, images
from curate.mixes import measuring
from curate.plugins import Project


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    return workshop.captioned()


BOX = "<ref>it</ref><box>[[1, 2, 30, 40]]</box>"


def record(number: int, words: str = "a thing") -> dict[str, Any]:
    turns = [{"from": "human", "value": f"<image>\nwhat is {number}"}, {"from": "gpt", "value": words}]
    return {"id": number, "image": f"coco/train2017/{number:012d}.jpg", "conversations": turns}


def theirs(shop: Workshop, records: list[Any], name: str = "theirs.json") -> str:
    path = shop.folder / name
    path.write_text(json.dumps(records))
    return str(path)


def mix(shop: Workshop, parts: str, rest: str = "", limit: int = 2048) -> None:
    tokens = f"tokens: {{tokenizer: {shop.folder}/tokenizer.json, max: {limit}}}\n"
    shop.write("jobs/mixed.yaml", f"mix:\n{parts}{tokens}{rest}")


def drawn(shop: Workshop) -> list[dict[str, Any]]:
    result = shop.run("mixed").jobs[-1]
    rows: list[dict[str, Any]] = (
        pq.ParquetFile(f"{shop.root}/mixes/mixed/{result.digest}/packs.parquet").read().to_pylist()
    )
    return rows


def reasons(rows: list[dict[str, Any]]) -> dict[str, dict[str | None, int]]:
    return {
        part: dict(Counter(row["reason"] for row in rows if row["component"] == part))
        for part in sorted({row["component"] for row in rows})
    }


def test_a_file_of_others_is_a_component(shop: Workshop) -> None:
    path = theirs(shop, [*(record(n) for n in range(9)), {"id": 9}, record(10, "<image>")])
    mix(shop, f"  mine: {{from: mine}}\n  theirs: {{from: {path}, epochs: 2}}\n", limit=1000)
    rows = drawn(shop)
    assert reasons(rows)["theirs"] == {None: 18, "bad_record": 1, "image_count": 1}
    places = {(row["record_offset"], row["record_bytes"]) for row in rows if row["component"] == "theirs"}
    assert len(places) == 11
    assert all(row["record_offset"] is None for row in rows if row["component"] == "mine")
    before = shop.run("mixed").jobs[-1].digest
    theirs(shop, [record(n) for n in range(9)])
    assert shop.run("mixed").jobs[-1].digest != before


def test_a_mix_of_files_alone(shop: Workshop) -> None:
    path = theirs(shop, [record(n) for n in range(20)])
    mix(shop, f"  theirs: {{from: {path}, samples: 50}}\n", "layout: {ranks: 2, apart: 3}\n")
    assert reasons(drawn(shop)) == {"theirs": {None: 50}}


def test_what_a_benchmark_shows_is_not_drawn(shop: Workshop) -> None:
    path = theirs(shop, [record(n) for n in range(10)])
    (shop.folder / "bench.csv").write_text("image_id\n3\n4\n77\n")
    gate = f"gate: {{against: [{shop.folder}/bench.csv], numbers: coco, near: null, mirror: null}}\n"
    mix(shop, f"  theirs: {{from: {path}}}\n", gate)
    rows = drawn(shop)
    assert reasons(rows) == {"theirs": {None: 8, "contaminated": 2}}
    facts = shop.run("mixed").jobs[-1].facts["gate"]
    assert {(row["against"], row["by"], row["samples"]) for row in facts["report"]} == {
        ("bench", "picture_id", 2),
        ("bench", "any", 2),
    }
    (shop.folder / "bench.csv").write_text("image_id\n3\n")
    assert reasons(drawn(shop)) == {"theirs": {None: 9, "contaminated": 1}}


def test_an_ingested_dataset_is_a_benchmark(shop: Workshop) -> None:
    shop.run("mine")
    mix(shop, "  mine: {from: mine}\n", "gate: {against: [tiny]}\n")
    with pytest.raises(ShardError, match="mine has no samples"):
        shop.run("mixed")
    mix(shop, "  mine: {from: mine}\n", "gate: {against: [tinny]}\n")
    with pytest.raises(ConfigError, match="tinny"):
        shop.run("mixed")


def test_what_two_components_have_in_common_comes_once(shop: Workshop) -> None:
    one = theirs(shop, [record(n) for n in range(10)], "one.json")
    two = theirs(shop, [*(record(n) for n in range(5, 15)), record(20), record(20)], "two.json")
    parts = f"  one: {{from: {one}}}\n  two: {{from: {two}}}\n"
    mix(shop, parts, "gate: {}\n")
    assert reasons(drawn(shop)) == {"one": {None: 10}, "two": {None: 6, "duplicate": 6}}
    mix(shop, parts, "gate: {duplicates: false, near_duplicates: false, same_picture: drop}\n")
    assert reasons(drawn(shop)) == {"one": {None: 10}, "two": {None: 6, "same_picture": 6}}
    mix(shop, parts)
    assert reasons(drawn(shop)) == {"one": {None: 10}, "two": {None: 12}}


def test_the_same_words_over_other_pictures_are_no_duplicate(shop: Workshop) -> None:
    def asked(image: str) -> dict[str, Any]:
        return {**record(0), "image": image}

    one = theirs(shop, [asked("coco/train2017/000000000001.jpg"), asked("x/1.png"), asked("x/2.png")], "one.json")
    two = theirs(shop, [asked("COCO_train2014_000000000001.jpg"), asked("x/1.png"), asked("x/3.png")], "two.json")
    mix(shop, f"  one: {{from: {one}}}\n  two: {{from: {two}}}\n", "gate: {}\n")
    assert reasons(drawn(shop)) == {"one": {None: 3}, "two": {None: 1, "duplicate": 2}}


def test_a_file_that_is_not_there_is_told_before_anything_runs(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIRS", str(shop.folder))
    (shop.folder / "pictures/a").mkdir(parents=True)
    (shop.folder / "pictures/a/1.jpg").write_bytes(b"x")
    folders = f"pictures: {{root: {shop.folder}/pictures, folders: {{a: 1, b: , c: 5}}}}\n"
    (shop.folder / "pictures/c").mkdir()
    mix(shop, '  gone: {from: "${THEIRS}/gone.json"}\n', folders)
    project = Project(str(shop.folder))
    told = [(item.kind, item.name, item.state, item.found) for item in checks.items("mixed", project)]
    assert told == [
        ("file", "gone", "missing", 0),
        ("folder", "a", "present", 1),
        ("folder", "b", "missing", 0),
        ("folder", "c", "short", 0),
    ]
    with pytest.raises(ConfigError, match="no file at"):
        shop.run("mixed")
    assert not Path(shop.root, "mixes").exists()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("  a: {from: mine, weight: 1}\n", "mix.a.weight"),
        ("  a: {from: mine, max_epochs: 2}\n", "mix.a.max_epochs"),
        ("  a: {from: mine, codec: llava}\n", "mix.a.codec"),
        ("  a: {from: x.json, derived: hflip}\n", "mix.a.derived"),
        ("  a: {from: x.json, codec: lava}\n", "mix.a.codec"),
        ("  a: {from: mine, weight: 0}\nbudget: {tokens: 9}\n", "budget"),
        ("  a: {from: mine}\nbudget: {tokens: 9, samples: 9}\n", "budget"),
        ("  a: {from: mine}\nbudget: {tokens: 9, families: {b: 0.5}}\n", "budget.families.b"),
        ("  a: {from: mine, samples: 2}\nbudget: {tokens: 9}\n", "budget"),
        ("  a: {from: mine}\npack: {by: [best]}\n", "pack.by"),
        ("  a: {from: mine}\npack: {by: []}\n", "pack.by"),
        ("  a: {from: mine}\npack: {by: [best_fit_decreasing]}\nlayout: {apart: 2}\n", "pack.by"),
        ("  a: {from: mine}\nlayout: {curves: {b: [[0, 1], [1, 0]]}}\n", "layout.curves.b"),
        ("  a: {from: mine}\nlayout: {curves: {a: [[0, 1], [0.5, 0]]}}\n", "layout.curves.a"),
        ("  a: {from: mine}\ngate: {near: 9}\n", "gate.near"),
        ("  a: {from: mine}\ngate: {by: [name]}\n", "gate.by"),
    ],
)
def test_mistakes_are_named_by_their_place(shop: Workshop, text: str, where: str) -> None:
    shop.write("jobs/mixed.yaml", f"mix:\n{text}")
    found = checks.check("mixed", Project(str(shop.folder)))
    assert where in [each.where.rsplit("[", 1)[0] for each in found]


@pytest.mark.parametrize(("key", "value"), [("model", "llava"), ("template", "vicuna")])
def test_an_unknown_model_or_template(shop: Workshop, key: str, value: str) -> None:
    shop.write("jobs/mixed.yaml", f"mix: {{a: {{from: mine}}}}\ntokens: {{{key}: {value}}}\n")
    (found,) = checks.check("mixed", Project(str(shop.folder)))
    assert found.where == f"tokens.{key}" and found.hint


def exported(shop: Workshop) -> list[dict[str, Any]]:
    facts = shop.run("mixed").jobs[-1].facts["export"]
    found: list[dict[str, Any]] = json.loads(Path(facts["folder"], "out.json").read_text(encoding="utf-8"))
    assert facts["records"] == len(found)
    return found


def test_records_of_files_are_written_in_the_order_of_the_plan(shop: Workshop) -> None:
    path = theirs(shop, [record(n, f"thing {n}") for n in range(30)])
    mix(
        shop,
        f"  mine: {{from: mine}}\n  theirs: {{from: {path}, epochs: 2}}\n",
        "layout: {ranks: 2, per_rank: 2}\nexport: {as: llava_json, codec: asv2, file: out.json}\n",
    )
    found, plan = exported(shop), [row for row in drawn(shop) if row["reason"] is None]
    assert [row["id"] for row in found] == [row["sample_id"] for row in plan]
    others = [row for row in found if "coco" in row["image"]]
    assert len(others) == 60
    for row in others:
        number = int(Path(row["image"]).stem)
        assert row["conversations"] == record(number, f"thing {number}")["conversations"]


def test_boxes_of_files_are_written_in_the_export_s_form(shop: Workshop) -> None:
    boxed = {**record(1, "[0.25, 0.5, 0.75, 1.0]"), "width": 100, "height": 100}
    path = theirs(shop, [boxed, record(2, "nothing")])
    mix(
        shop,
        f"  theirs: {{from: {path}, codec: llava}}\n",
        "export: {as: llava_json, codec: internvl, file: out.json}\n",
    )
    (told,) = [row for row in exported(shop) if row["image"].endswith("1.jpg")]
    assert told["conversations"][1]["value"] == "<box>[[250, 500, 750, 1000]]</box>"


def test_a_plan_is_the_same_whoever_measures_and_in_how_many_parts(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = theirs(shop, [record(n, "word " * (n % 17 + 1)) for n in range(300)])
    mix(shop, f"  mine: {{from: mine}}\n  theirs: {{from: {path}, epochs: 1.5}}\n", "gate: {}\n")
    whole = shop.run("mixed").jobs[-1]
    plan = pq.ParquetFile(f"{shop.root}/mixes/mixed/{whole.digest}/packs.parquet").read()
    monkeypatch.setattr("curate.mixes.measuring.PART_BYTES", 15_000)
    shop.root = shop.root.parent / "another"
    again = shop.run("mixed", where=Where("ray", cpus=2)).jobs[-1]
    assert again.digest == whole.digest
    assert plan.equals(pq.ParquetFile(f"{shop.root}/mixes/mixed/{again.digest}/packs.parquet").read())
    parts = {len(list(folder.glob("*.parquet"))) for folder in Path(shop.root, "lengths").glob("theirs/*/")}
    assert max(parts) > 3


def test_a_shard_that_cannot_be_measured_stops_the_mix(shop: Workshop) -> None:
    text = Path(plain.__file__).read_text()
    broken = text.replace("    return grounded.text\n", '    raise RuntimeError("a fault of its own")\n')
    assert broken != text
    shop.write("plugins/codecs/broken.py", broken)
    mix(shop, "  mine: {from: mine}\n", "export: {as: llava_json, codec: broken}\n")
    with pytest.raises(ShardError, match=r"mine: 3 of 3 parts failed: measure: .*a fault of its own"):
        shop.run("mixed")
    assert not Path(shop.root, "mixes").exists()


def test_an_export_that_could_write_nothing_says_why(shop: Workshop) -> None:
    said = {**record(1), "conversations": [{"from": "human", "value": "<image>\nwhere"}, {"from": "gpt", "value": BOX}]}
    path = theirs(shop, [said])
    mix(shop, f"  theirs: {{from: {path}}}\n", "export: {as: llava_json, codec: asv2}\n")
    shop.run("mixed")
    with pytest.raises(ConfigError, match=r"no record: no_size 1[\s\S]*images.*--codec asv2"):
        export_last("mixed", Export(as_="qwen_vl"), shop.project, str(shop.root))


def test_two_mixes_of_one_recipe_are_exported_apart(shop: Workshop) -> None:
    path = theirs(shop, [record(n) for n in range(8)])
    mix(shop, f"  theirs: {{from: {path}}}\n")
    shop.write("jobs/other.yaml", Path(shop.folder, "jobs/mixed.yaml").read_text())
    assert shop.run("mixed").jobs[-1].digest == shop.run("other").jobs[-1].digest
    wanted = Export(as_="llava_json", codec="asv2")
    assert export_last("mixed", wanted, shop.project, str(shop.root))[1]["records"] == 8


def test_a_file_that_changed_since_it_was_packed_is_not_exported(shop: Workshop) -> None:
    path = theirs(shop, [record(n, f"thing {n}") for n in range(8)])
    mix(shop, f"  theirs: {{from: {path}}}\n")
    shop.run("mixed")
    Path(path).write_text(Path(path).read_text().replace("thing 3", "thong 3"))
    with pytest.raises(ConfigError, match=r"the file of theirs has changed[\s\S]*curate run mixed"):
        export_last("mixed", Export(as_="llava_json", codec="asv2"), shop.project, str(shop.root))


@pytest.mark.parametrize("name", ["../../out", "..", "a/b", "a\\b", "", "a*b", "<b>", "x" * 300, "nul\0", ".hid"])
def test_names_of_components_stay_below_the_root(shop: Workshop, name: str) -> None:
    path = theirs(shop, [record(0)])
    mix(shop, f"  {json.dumps(name)}: {{from: {path}}}\n")
    assert any("cannot name a component" in error.what for error in checks.check("mixed", shop.project))


def test_where_the_pictures_of_a_file_are_is_told(shop: Workshop) -> None:
    (shop.folder / "pics").mkdir()
    Image.new("RGB", (40, 30)).save(shop.folder / "pics/1.png")
    path = theirs(shop, [{**record(1), "image": "1.png"}])
    mix(shop, f"  theirs: {{from: {path}, codec: asv2, images: {shop.folder}/pics}}\n")
    shop.run("mixed")
    folder, told = export_last("mixed", Export(as_="internvl"), shop.project, str(shop.root))
    assert told["pictures_in"] == {"theirs": f"{shop.folder}/pics"}
    [row] = [json.loads(line) for file in Path(folder).glob("*.jsonl") for line in file.read_text().splitlines()]
    assert (row["width"], row["height"]) == (40, 30)


def test_offsets_are_multiples_of_what_samples_are_aligned_to(shop: Workshop) -> None:
    path = theirs(shop, [record(n, "word " * (n % 17 + 1)) for n in range(60)])
    mix(shop, f"  theirs: {{from: {path}}}\n", "pack: {length: 4096, align: 64}\n")
    rows = drawn(shop)
    assert {row["offset"] % 64 for row in rows} == {0}
    assert any(row["offset"] > 0 for row in rows)


def test_curves_are_read_and_bring_a_component_late(shop: Workshop) -> None:
    path = theirs(shop, [record(n) for n in range(60)])
    parts = f"  mine: {{from: mine, epochs: 5}}\n  theirs: {{from: {path}}}\n"
    mix(shop, parts, "layout: {curves: {theirs: [[0, 0], [0.5, 0.5], [1, 1]]}}\n")
    assert checks.check("mixed", shop.project) == []
    steps: dict[str, list[int]] = {"mine": [], "theirs": []}
    for row in drawn(shop):
        steps[row["component"]].append(row["step"])
    assert sum(steps["theirs"]) / 60 > sum(steps["mine"]) / 60 + 1


def test_a_list_of_a_benchmark_that_is_not_there_is_told_before_anything_runs(shop: Workshop) -> None:
    path = theirs(shop, [record(1)])
    mix(shop, f"  theirs: {{from: {path}}}\n", "gate: {against: [gone.csv]}\n")
    assert [(item.name, item.state) for item in checks.items("mixed", shop.project)][1:] == [("gone.csv", "missing")]
    with pytest.raises(ConfigError, match=r"no file at gone.csv[\s\S]*gate.against\[0\]"):
        shop.run("mixed")
    assert not Path(shop.root, "lengths").exists()


def test_damaged_lengths_are_measured_again_and_lost_packs_are_made_again(shop: Workshop) -> None:
    path = theirs(shop, [record(n) for n in range(9)])
    mix(shop, f"  theirs: {{from: {path}}}\n")
    before = drawn(shop)
    [packs] = Path(shop.root, "mixes/mixed").glob("*/packs.parquet")
    [sidecar] = Path(shop.root, "lengths/theirs").glob("*/*.parquet")
    packs.unlink()
    sidecar.write_bytes(sidecar.read_bytes()[:-40])
    assert drawn(shop) == before


def test_a_file_may_be_called_as_a_job_is(shop: Workshop) -> None:
    path = theirs(shop, [record(n) for n in range(9)])
    mix(shop, f"  mine: {{from: {path}}}\n  curated: {{from: mine}}\n")
    result = shop.run("mixed").jobs[-1]
    manifest = json.loads(Path(shop.root, "mixes/mixed", result.digest, "manifest.json").read_text())
    assert set(manifest["parents"]) == {"mine", "file mine"}


def test_with_a_gate_the_order_of_components_is_another_plan(shop: Workshop) -> None:
    both = [record(n) for n in range(9)]
    one, two = theirs(shop, [*both, record(20)], "one.json"), theirs(shop, [*both, record(30)], "two.json")
    parts = [f"  one: {{from: {one}}}\n", f"  two: {{from: {two}}}\n"]
    kept = []
    for order in (parts, parts[::-1]):
        mix(shop, "".join(order), "gate: {}\n")
        kept.append({name: told[None] for name, told in reasons(drawn(shop)).items()})
    assert kept == [{"one": 10, "two": 1}, {"one": 1, "two": 10}]


def test_files_that_moved_are_exported_from_where_they_are(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop.folder / "new").mkdir()
    path = Path(theirs(shop, [record(n) for n in range(9)]))
    monkeypatch.setenv("WHERE", str(shop.folder))
    mix(shop, '  theirs: {from: "${WHERE}/theirs.json"}\n')
    shop.run("mixed")
    path.rename(shop.folder / "new/theirs.json")
    monkeypatch.setenv("WHERE", str(shop.folder / "new"))
    text = Path(shop.folder, "jobs/mixed.yaml").read_text()
    shop.write("jobs/mixed.yaml", f"{text}export: {{as: llava_json}}\n")
    assert shop.run("mixed").jobs[-1].facts["export"]["records"] == 9


@pytest.mark.parametrize(
    ("parts", "rest", "where"),
    [
        ("weight: 1e308", "budget: {samples: 5}\n", "budget"),
        ("epochs: 1", "layout: {ranks: 10000000000}\n", "layout.ranks"),
        ("epochs: 1", "pack: {align: 1000000000000}\n", "pack.align"),
        ("epochs: 1", "pack: {tiles: 1000000000000}\n", "pack.tiles"),
    ],
)
def test_numbers_beyond_reason_are_mistakes(shop: Workshop, parts: str, rest: str, where: str) -> None:
    path = theirs(shop, [record(0)])
    mix(shop, f"  one: {{from: {path}, {parts}}}\n  two: {{from: {path}, {parts}}}\n", rest)
    assert where in {error.where for error in checks.check("mixed", shop.project)}


def test_a_recipe_s_count_above_a_file_is_the_file_once(shop: Workshop) -> None:
    path = theirs(shop, [record(n) for n in range(9)])
    entries = [{"json_path": path, "sampling_strategy": each} for each in ("first:20", "end:4", "random:200%")]
    shop.write("them.yaml", json.dumps({"datasets": entries}))
    tokens = f"tokens: {{tokenizer: {shop.folder}/tokenizer.json}}\n"
    shop.write("jobs/mixed.yaml", f"mix: {shop.folder}/them.yaml\n{tokens}")
    assert checks.check("mixed", shop.project) == []
    assert reasons(drawn(shop)) == {"theirs": {None: 9}, "theirs_2": {None: 4}, "theirs_3": {None: 9}}
    told = shop.run("mixed").jobs[-1].facts["components"]
    assert [told[name]["wanted"] for name in sorted(told)] == [20, 4, 9]


def test_a_budget_below_one_sample_is_said(shop: Workshop) -> None:
    path = theirs(shop, [record(0)])
    mix(shop, f"  theirs: {{from: {path}, weight: 1}}\n", "budget: {tokens: 1}\n")
    with pytest.raises(ShardError, match="nothing is drawn"):
        shop.run("mixed")


@pytest.mark.parametrize("missing", ["some", "folder"])
def test_pictures_that_come_later_are_drawn_by_the_next_run(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr("curate.mixes.measuring.PART_BYTES", 1_000)
    path = theirs(shop, [{**record(n), "image": f"{n // 10}/{n}.jpg"} for n in range(40)])
    folder = shop.folder / "pictures"
    tokens = f"tokens: {{model: qwen2.5-vl, tokenizer: {shop.folder}/tokenizer.json}}\n"
    shop.write("jobs/mixed.yaml", f"mix:\n  theirs: {{from: {path}, images: {folder}}}\n{tokens}")

    def bring(numbers: range) -> None:
        for number in numbers:
            (folder / f"{number // 10}").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 48)).save(folder / f"{number // 10}/{number}.jpg")

    bring(range(1) if missing == "folder" else range(35))
    first = reasons(drawn(shop))["theirs"]
    assert first == ({None: 1, "no_picture": 39} if missing == "folder" else {None: 35, "no_picture": 5})
    before = {file: file.stat().st_mtime_ns for file in Path(shop.root, "lengths").glob("*/*/*.parquet")}
    assert len(before) > 4
    assert reasons(drawn(shop))["theirs"] == first
    bring(range(40))
    assert reasons(drawn(shop)) == {"theirs": {None: 40}}
    again = {file for file, time in before.items() if file.stat().st_mtime_ns != time}
    assert again, "nothing was measured again"
    assert missing == "folder" or len(again) < 4, "parts that lacked no picture were measured again"
    assert set(Path(shop.root, "lengths").glob("*/*/*.parquet")) == set(before)


def test_pictures_do_not_count_where_no_length_depends_on_them(shop: Workshop) -> None:
    path = theirs(shop, [record(n) for n in range(4)])
    (shop.folder / "pictures").mkdir()
    mix(shop, f"  theirs: {{from: {path}, images: {shop.folder}/pictures}}\n")
    before = shop.run("mixed").jobs[-1].digest
    (shop.folder / "pictures/1.jpg").write_bytes(b"x")
    assert shop.run("mixed").jobs[-1].digest == before


def photo(seed: int) -> Any:
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(np.repeat(np.repeat(pixels, 16, 0), 16, 1))


def test_pictures_of_files_are_known_by_bytes_and_hash(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shop.folder / "pictures"
    folder.mkdir()
    for number in range(8):
        photo(number).save(folder / f"p{number}.jpg", quality=95)
    photo(0).save(folder / "worse.jpg", quality=60)
    listed = hashlib.sha256((folder / "p1.jpg").read_bytes()).hexdigest()
    by_hash = images.perceptual_hash(np.asarray(photo(0)))
    (shop.folder / "bench.csv").write_text(f"sha256,phash\n{listed},\n,{by_hash}\n")

    names = ["worse.jpg", "p1.jpg", "p2.jpg", "late.jpg", "p5.jpg", "gone.jpg", "p2.jpg"]
    records = [{**record(number), "image": name} for number, name in enumerate(names)]
    looks: list[str] = []
    store = images.store
    monkeypatch.setattr(images, "store", lambda data, limits: (looks.append("one"), store(data, limits))[1])
    gate = f"gate: {{against: [{shop.folder}/bench.csv]%s}}\n"
    part = f"  theirs: {{from: {theirs(shop, records)}, images: {folder}}}\n"

    def left(rest: str = "") -> dict[str | None, int]:
        mix(shop, part, gate % rest)
        return reasons(drawn(shop))["theirs"]

    assert left() == {None: 5, "contaminated": 2}
    assert len(looks) == 4, "a picture was read twice, or not at all"
    known = shop.run("mixed").jobs[-1].facts["gate"]["known"]["theirs"]
    assert known == {"picture_id": 0, "url": 0, "sha256": 5, "phash": 5}
    assert left(", mirror: 7") == {None: 5, "contaminated": 2}
    assert len(looks) == 4, "what was known was looked for again"
    (folder / "late.jpg").write_bytes((folder / "p1.jpg").read_bytes())
    assert left() == {None: 4, "contaminated": 3}
    assert left(", by: [picture_id, url]") == {None: 7}


def test_a_store_that_fails_under_the_gate_fails_the_mix_and_what_was_looked_at_stays(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shop.folder / "pictures"
    folder.mkdir()
    for number in range(6):
        photo(number).save(folder / f"p{number}.jpg")
    path = theirs(shop, [{**record(number), "image": f"p{number}.jpg"} for number in range(6)])
    mix(shop, f"  theirs: {{from: {path}, images: {folder}}}\n", "gate: {}\n")
    monkeypatch.setattr("curate.stages.looks.AT_ONCE", 2)
    read, seen, broken = below.read, list[str](), ["p2.jpg"]

    def down(root: str, name: str) -> bytes:
        seen.append(name)
        if name in broken:
            raise OutsideError("the store is down")
        return read(root, name)

    monkeypatch.setattr(below, "read", down)
    with pytest.raises(ShardError, match=r"theirs: 1 of 3 parts failed: look: .*the store is down"):
        shop.run("mixed")
    assert {"p0.jpg", "p1.jpg", "p2.jpg", "p4.jpg", "p5.jpg"} <= set(seen)
    seen.clear()
    broken.clear()
    assert reasons(drawn(shop)) == {"theirs": {None: 6}}
    assert sorted(seen) == ["p2.jpg", "p3.jpg"]


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_a_gate_judges_a_file_the_same_however_small_its_parts(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    records = [record(number % 17, f"thing {number % 3}") for number in range(60)]
    path = shop.folder / f"theirs.{suffix}"
    lines = "\n".join(json.dumps(each) for each in records)
    path.write_text(lines if suffix == "jsonl" else json.dumps([*records[:30], {"conversations": 1}, *records[30:]]))

    def verdicts() -> list[tuple[int, str | None]]:
        mix(shop, f"  mine: {{from: mine}}\n  theirs: {{from: {path}}}\n", "gate: {}\n")
        return [(row["record_offset"], row["reason"]) for row in drawn(shop) if row["component"] == "theirs"]

    whole = verdicts()
    assert Counter(reason for _, reason in whole)["duplicate"] > 0
    monkeypatch.setattr(measuring, "PART_BYTES", 700)
    shutil.rmtree(shop.root)
    assert verdicts() == whole
    assert len(list(shop.root.glob("gates/facts/theirs/*/*.parquet"))) > 5


def test_copies_of_pictures_under_other_names_are_duplicates(shop: Workshop) -> None:
    for name in ("one/a.jpg", "two/b.jpg", "two/c.jpg"):
        (shop.folder / name).parent.mkdir(exist_ok=True)
        photo(5).save(shop.folder / name)
    photo(1).save(shop.folder / "one/x.jpg")
    photo(2).save(shop.folder / "two/x.jpg")

    def asked(image: str) -> dict[str, Any]:
        return {**record(0), "image": image}

    coco = "coco/train2017/000000000007.jpg"
    one = theirs(shop, [asked("a.jpg"), asked("x.jpg"), asked(coco)], "one.json")
    two = theirs(shop, [asked("b.jpg"), asked("c.jpg"), asked("x.jpg"), asked("gone.jpg")], "two.json")
    parts = f"  one: {{from: {one}, images: {shop.folder}/one}}\n  two: {{from: {two}, images: {shop.folder}/two}}\n"
    mix(shop, parts, "gate: {near: null}\n")
    # x.jpg is another picture in the other folder.
    assert reasons(drawn(shop)) == {"one": {None: 3}, "two": {None: 2, "duplicate": 2}}


def test_however_many_parts_were_cut_in_a_record_two_phases_measure_them(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoy = {"conversations": record(0)["conversations"], "more": [{"a": 1}, {"conversations": []}]}
    path = theirs(shop, [{**record(number), "trap": [{}, *[decoy] * 12]} for number in range(60)])
    mix(shop, f"  theirs: {{from: {path}}}\n")
    whole = {row["record_offset"] for row in drawn(shop)}
    phases, reads = [], []
    run, records = Driver.run, measuring._records
    monkeypatch.setattr(
        Driver, "run", lambda self, phase, *rest: (phases.append(phase.name), run(self, phase, *rest))[1]
    )
    monkeypatch.setattr(measuring, "_records", lambda file: (reads.append(file), records(file))[1])
    monkeypatch.setattr("curate.mixes.measuring.PART_BYTES", 1500)
    shop.root = shop.root.parent / "another"
    assert {row["record_offset"] for row in drawn(shop)} == whole
    assert len(whole) == 60
    assert phases == ["measure", "measure"]
    assert len(reads) == len(set(reads)) == len(list(Path(shop.root, "lengths").glob("*/*/*.parquet"))) > 20
