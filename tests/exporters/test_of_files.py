"""Records of others' files in an export: their boxes apart from the text, where their pictures are, how large those."""

import json
from pathlib import Path
from typing import Any

import conforming
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Workshop
from PIL import Image

from curate import plugins
from curate.errors import ConfigError, ShardError
from curate.export_job import Export
from curate.exporting import export_last
from curate.sample import Grounded, Region

WIDTH, HEIGHT = 64, 48
CAPTION = "a red dog sits by a blue car"
DOG, CAR = (0.125, 0.25, 0.5, 0.75), (0.5, 0.0, 0.875, 0.5)
SAID = Grounded(CAPTION, (Region("a red dog", (DOG,), start=0, end=9), Region("a blue car", (CAR,), start=18, end=28)))


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.folder.mkdir()
    workshop.tokenizer()
    return workshop


def record(answer: str = "a thing", image: str = "0.jpg", **more: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>\nwhat is it"}, {"from": "gpt", "value": answer}]
    return {"image": image, "conversations": turns, **more}


def boxed(codec: str, shop: Workshop, **more: Any) -> dict[str, Any]:
    return record(plugins.load("codecs", codec, shop.project).encode(SAID, WIDTH, HEIGHT), **more)


def file(shop: Workshop, records: list[Any], name: str = "theirs") -> str:
    path = shop.folder / f"{name}.json"
    path.write_text(json.dumps(records))
    return str(path)


def mix(shop: Workshop, parts: str, rest: str = "") -> None:
    shop.write(
        "jobs/mixed.yaml",
        f"mix:\n{parts}tokens: {{tokenizer: {shop.folder}/tokenizer.json, template: internvl2_5, max: 4096}}\n{rest}",
    )
    shop.run("mixed")


def exported(shop: Workshop, as_: str, job: str = "mixed", **more: Any) -> tuple[Path, dict[str, Any]]:
    folder, manifest = export_last(job, Export(as_=as_, **more), shop.project, str(shop.root))
    return Path(folder), manifest


def rows(shop: Workshop, as_: str = "ms_swift", job: str = "mixed") -> list[dict[str, Any]]:
    folder, _ = exported(shop, as_, job)
    return [row for path in sorted(folder.glob("*.jsonl")) for row in conforming.read_lines(path)]


def ingested(shop: Workshop) -> dict[str, Any]:
    """Return ms-swift's row of the same picture and words that a job made."""
    [url] = shop.pictures(1)
    found = [[region.start, region.end, *region.boxes[0], 0.9] for region in SAID.regions]
    told = {"key": "0", "id": 1, "url": url, "caption": CAPTION, "width": WIDTH, "height": HEIGHT}
    told |= {"clip_similarity_vitb32": 0.3, "clip_similarity_vitl14": 0.3, "noun_chunks": found, "ref_exps": found[:0]}
    pq.write_table(pa.Table.from_pylist([told]), shop.folder / "coyo_0_snappy.parquet")
    fetch = "fetch: {timeout_s: 5, allow_hosts: [127.0.0.1]}\n"
    shop.write(
        "catalogs/some.yaml", f"source: grit\nuri: {shop.folder}/*.parquet\nlicence: CC0\nshard_rows: 4\n{fetch}"
    )
    shop.write("jobs/mine.yaml", "from: some\n")
    shop.run("mine")
    [row] = rows(shop, job="mine")
    return row


@pytest.mark.parametrize(
    ("codec", "where", "tolerance"),
    [("asv2", "images", 2 / 999), ("qwen_vl", "", 1 / 999), ("shikra", "stated", 1e-3), ("grit", "stated", 1e-6)],
)
def test_boxes_of_a_file_are_those_of_a_job(shop: Workshop, codec: str, where: str, tolerance: float) -> None:
    job = ingested(shop)
    stated = {"width": WIDTH, "height": HEIGHT} if where == "stated" else {}
    told = boxed(codec, shop, **stated)
    if codec == "grit":
        told = {"image": "0.jpg", **json.loads(told["conversations"][1]["value"]), **stated}
    images = f", images: {shop.web}" if where == "images" else ""
    mix(shop, f"  theirs: {{from: {file(shop, [told])}, codec: {codec}{images}}}\n", "export: {as: ms_swift}\n")
    [row] = rows(shop)
    content = job["messages"][1]["content"]
    bare = "a red dog<bbox> sits by a blue car<bbox>"
    assert content == "<ref-object><bbox> sits by <ref-object><bbox>"
    assert row["messages"][1]["content"] == (bare if codec == "shikra" else content)
    assert row["objects"]["ref"] == ([] if codec == "shikra" else ["a red dog", "a blue car"])
    assert row["objects"]["bbox_type"] == "norm1"
    assert row["objects"]["bbox"] == [pytest.approx(box, abs=tolerance) for box in job["objects"]["bbox"]]
    assert row["messages"][0]["content"].startswith("<image>\n")


@pytest.mark.parametrize("around", ["<image>\n%s", "%s\n<image>"])
def test_boxes_of_questions_stand_where_they_stood(shop: Workshop, around: str) -> None:
    told = record("yes")
    told["conversations"][0]["value"] = around % "is <ref>a dog</ref><box>(125,250),(500,750)</box> here"
    mix(shop, f"  theirs: {{from: {file(shop, [told])}, codec: qwen_vl}}\n", "export: {as: ms_swift}\n")
    [row] = rows(shop)
    assert row["messages"][0]["content"] == around % "is <ref-object><bbox> here"
    assert row["objects"]["ref"] == ["a dog"]


def test_an_answer_that_is_a_box_alone_stays(shop: Workshop) -> None:
    told = record("[0.1, 0.2, 0.5, 0.6]", width=WIDTH, height=HEIGHT)
    mix(shop, f"  theirs: {{from: {file(shop, [told])}, codec: llava}}\n", "export: {as: ms_swift}\n")
    [row] = rows(shop)
    assert row["messages"][1]["content"] == "<bbox>" and len(row["objects"]["bbox"]) == 1


@pytest.mark.parametrize("name", ["llava_next", "ms_swift", "qwen_vl"])
def test_what_looks_like_a_box_is_none_without_a_picture(shop: Workshop, name: str) -> None:
    words = ["the matrix [[1, 2], [3, 4]]", "write <box>[[100, 200, 300, 400]]</box>", "between [0.1, 0.2, 0.3, 0.4]"]
    turns = [[{"from": "human", "value": "what"}, {"from": "gpt", "value": text}] for text in words]
    mix(shop, f"  theirs: {{from: {file(shop, [{'conversations': each} for each in turns])}, codec: asv2}}\n")
    _, told = exported(shop, name)
    assert (told["records"], told["left_out"]) == (3, {})


def test_boxes_outlive_the_merging_of_dialogues(shop: Workshop) -> None:
    path = file(shop, [boxed("qwen_vl", shop), record("nothing", note="of boxes")])
    mix(shop, f"  theirs: {{from: {path}, codec: qwen_vl, merge: 2}}\n", "export: {as: ms_swift}\n")
    [row] = rows(shop)
    assert len(row["messages"]) == 4 and len(row["objects"]["bbox"]) == 2


@pytest.mark.parametrize(
    ("codec", "reasons"), [("asv2", {"bad_rec": 1, "no_size": 1}), ("qwen_vl", {"bad_qwen_vl": 1})]
)
def test_what_cannot_be_decoded_leaves_with_its_reason(shop: Workshop, codec: str, reasons: dict[str, int]) -> None:
    whole = boxed(codec, shop, width=WIDTH, height=HEIGHT)
    broken = record("<ref>a dog</ref><box>[[1, 2, 3]]</box>", width=WIDTH, height=HEIGHT)
    several = {**whole, "image": ["0.jpg", "1.jpg"]}
    several["conversations"] = [{"from": "human", "value": "<image><image> what"}, whole["conversations"][1]]
    path = file(shop, [whole, broken, boxed(codec, shop), several, record("<bbox> is a word")])
    mix(shop, f"  theirs: {{from: {path}, codec: {codec}}}\n", f"export: {{as: llava_json, codec: {codec}}}\n")
    _, told = exported(shop, "ms_swift", codec="asv2")
    assert told["left_out"] == {**reasons, "reserved_tag": 1, "several_pictures": 1}
    assert told["records"] == 5 - sum(told["left_out"].values())


def test_the_hint_names_no_codec_where_none_helps(shop: Workshop) -> None:
    mix(shop, f"  theirs: {{from: {file(shop, [boxed('asv2', shop)])}, codec: asv2}}\n")
    with pytest.raises(ConfigError, match="no_size 1") as error:
        exported(shop, "ms_swift")
    assert "images" in error.value.hint and "--codec" not in error.value.hint


def in_folders(shop: Workshop) -> None:
    """Mix a job and two files whose pictures have the same names and lie in folders of their own."""
    shop.captions(count=3)
    shop.write("jobs/mine.yaml", "from: tiny\n")
    parts = "  mine: {from: mine}\n"
    for name, size_wh in (("one", (40, 30)), ("two", (20, 50))):
        (shop.folder / name).mkdir()
        Image.new("RGB", size_wh).save(shop.folder / name / "0.jpg")
        parts += f"  {name}: {{from: {file(shop, [record()], name)}, images: {shop.folder}/{name}/}}\n"
    mix(shop, parts)


def test_internvl_finds_each_component_in_its_folder(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    in_folders(shop)
    folder, manifest = exported(shop, "internvl", codec="asv2")
    meta = json.loads((folder / "mixed.json").read_bytes())
    assert {name: part["root"] for name, part in meta.items()} == {
        "mine": "./",
        "one": f"{shop.folder}/one/",
        "two": f"{shop.folder}/two/",
    }
    found = conforming.internvl(folder / "mixed.json")
    assert {name: (found[name][0]["image"], found[name][0]["width"]) for name in ("one", "two")} == {
        "one": ("0.jpg", 40),
        "two": ("0.jpg", 20),
    }
    assert manifest["pictures_in"]["one"] == f"{shop.folder}/one/"


@pytest.mark.parametrize("name", ["llava_json", "llava_next", "qwen_vl", "ms_swift", "llama_factory"])
def test_a_trainer_of_one_folder_finds_pictures_of_several(shop: Workshop, name: str) -> None:
    in_folders(shop)
    folder, _ = exported(shop, name, codec="asv2")
    named = []
    for path in folder.iterdir():
        if path.suffix == ".parquet":
            named += [row["images"][0] for row in pq.ParquetFile(path).read().to_pylist()]
        elif path.suffix == ".jsonl":
            named += [row.get("image") or row["images"][0] for row in conforming.read_lines(path)]
        elif path.name == "mixed.json":
            named += [row["image"] for row in json.loads(path.read_bytes())]
    assert len(named) == 5
    sizes = sorted(Image.open(folder / each).size for each in named if (folder / each).is_file())
    assert sizes == [(20, 50), (40, 30), *[(64, 48)] * 3]


@pytest.mark.parametrize("name", ["hf_parquet", "webdataset", "energon", "mds"])
def test_pictures_of_files_go_where_pictures_are_inside(shop: Workshop, name: str) -> None:
    in_folders(shop)
    path = file(shop, [record(), record(image="1.jpg"), record(image="../one/0.jpg")], "one")
    parts = f"  one: {{from: {path}, images: {shop.folder}/one/}}\n"
    mix(shop, f"{parts}  two: {{from: {shop.folder}/two.json, images: {shop.folder}/two/}}\n")
    folder, manifest = exported(shop, name, codec="asv2")
    assert (manifest["records"], manifest["left_out"]) == (2, {"bad_image": 1, "no_picture": 1})
    if name == "hf_parquet":
        (table,) = (pq.ParquetFile(each).read() for each in folder.glob("*.parquet"))
        written = b"".join(row["images"][0]["bytes"] for row in table.to_pylist())
    else:
        written = b"".join(each.read_bytes() for each in folder.rglob("*") if each.suffix in (".tar", ".mds"))
    assert all((shop.folder / each / "0.jpg").read_bytes() in written for each in ("one", "two"))


def test_pictures_that_moved_are_another_export(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("old", "new"):
        (shop.folder / folder).mkdir()
        Image.new("RGB", (8, 8)).save(shop.folder / folder / "0.jpg")
    monkeypatch.setenv("WHERE", f"{shop.folder}/old")
    mix(shop, f'  theirs: {{from: {file(shop, [record()])}, images: "${{WHERE}}"}}\n', "export: {as: internvl}\n")
    monkeypatch.setenv("WHERE", f"{shop.folder}/new")
    folder = Path(shop.run("mixed").jobs[-1].facts["export"]["folder"])
    meta = json.loads(next(folder.glob("mixed*.json")).read_text())
    assert meta["theirs"]["root"] == f"{shop.folder}/new/"


def test_names_stay_relative_where_one_folder_has_all_pictures(shop: Workshop) -> None:
    path, alone = file(shop, [record()]), f"images: {shop.folder}/old}}\n"
    mix(shop, f"  theirs: {{from: {path}, {alone}  twice: {{from: {path}, {alone}", "export: {as: llava_next}\n")
    assert [row["image"] for row in rows(shop, "llava_next")] == ["0.jpg", "0.jpg"]


@pytest.mark.parametrize("name", ["internvl", "webdataset", "mds", "energon"])
def test_a_size_that_nothing_tells_is_not_made_up(shop: Workshop, name: str) -> None:
    pair = {**record(image="x"), "image": ["0.jpg", "1.jpg"]}
    pair["conversations"] = [{"from": "human", "value": "<image><image> what"}, pair["conversations"][1]]
    words = {"conversations": [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "hi"}]}
    path = file(shop, [record(width=30, height=20), record(), pair, words])
    mix(shop, f"  theirs: {{from: {path}}}\n")
    folder, manifest = exported(shop, name, codec="asv2")
    assert (manifest["records"], manifest["left_out"]) == (4, {})
    written = b"".join(each.read_bytes() for each in folder.rglob("*") if each.suffix in (".jsonl", ".tar", ".mds"))
    assert b'"width": 30, "height": 20' in written
    assert b'"width": 1' not in written and b"width_list" not in written
    assert written.count(b'"width"') - written.count(b'"width": 0') == (1 if name in ("internvl", "mds") else 2)


def test_an_export_whose_file_is_gone_is_written_again(shop: Workshop) -> None:
    mix(shop, f"  theirs: {{from: {file(shop, [record()])}}}\n")
    folder, _ = exported(shop, "llava_json", codec="asv2")
    (folder / "mixed.json").unlink()
    again, _ = exported(shop, "llava_json", codec="asv2")
    assert again == folder and len(json.loads((folder / "mixed.json").read_bytes())) == 1


def test_a_file_that_breaks_off_fails_the_mix(shop: Workshop) -> None:
    path = Path(file(shop, [record(), record()]))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ShardError, match="breaks off at byte"):
        mix(shop, f"  theirs: {{from: {path}}}\n")


def test_a_gate_takes_a_picture_that_does_not_decode(shop: Workshop) -> None:
    (shop.folder / "pics").mkdir()
    Image.new("RGB", (64, 64), (9, 200, 30)).save(shop.folder / "pics/0.jpg")
    (shop.folder / "pics/1.jpg").write_bytes((shop.folder / "pics/0.jpg").read_bytes()[:200])
    path = file(shop, [record(), record(image="1.jpg")])
    mix(shop, f"  theirs: {{from: {path}, images: {shop.folder}/pics}}\n", "gate: {}\n")
    assert exported(shop, "llava_json", codec="asv2")[1]["records"] == 2
