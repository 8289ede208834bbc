"""Exports in LLaVA's form pass what the trainers ask, keep every word and picture, and load in the datasets library."""

import json
import tempfile
from pathlib import Path

import conforming
import pytest
from exported import SAID, bare, jpeg, pair, record, write
from hypothesis import given
from hypothesis import strategies as st

from curate.codecs import asv2, internvl, qwen2_vl
from curate.grounding import trainable
from curate.sample import Placed, Turn

FOLDER = "playground/data"


def conversations(turns: tuple[Turn, ...]) -> list[dict[str, str]]:
    return [{"from": turn.role, "value": turn.value} for turn in turns]


def test_llava_json(tmp_path: Path) -> None:
    records = [record(0, "asv2"), bare(), record(1, "asv2"), record(0, "asv2")]
    assert write("llava_json", tmp_path, records, "as_mix.json") == ("as_mix.json",)
    text = (tmp_path / "as_mix.json").read_text(encoding="utf-8")
    rows = conforming.llava(json.loads(text), tmp_path)
    assert [row["id"] for row in rows] == ["id0", "bare0", "id1", "id0"]
    assert [row["conversations"] for row in rows] == [conversations(one.turns) for one in records]
    assert [row.keys() for row in rows[:2]] == [{"id", "image", "conversations"}, {"id", "conversations"}]
    assert "<ref>red bus</ref><box>[[" in rows[0]["conversations"][1]["value"]
    assert asv2.decode(rows[0]["conversations"][1]["value"], 64, 48).text == SAID[1].text
    assert len(text.splitlines()) > len(rows), "each record stands in a line of its own, U+2028 as it is"
    assert text.count("\n") == len(rows) + 2


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2, max_size=4))
def test_llava_json_keeps_every_character(texts: list[str]) -> None:
    turns = tuple(
        Turn("human" if n % 2 == 0 else "gpt", f".{text.replace('<', '')}")
        for n, text in enumerate(texts[: 2 * (len(texts) // 2)])
    )
    with tempfile.TemporaryDirectory() as folder:
        write("llava_json", Path(folder), [bare(turns=turns)])
        [row] = json.loads((Path(folder) / "mix.json").read_bytes())
    assert row == {"id": "bare0", "conversations": conversations(turns)}


def test_llava_json_says_how_a_virtual_childs_picture_is_made(tmp_path: Path) -> None:
    placed = Placed((-1.0, 0.0, 64.0, 0.0, 1.0, 8.0), (64, 64), (127, 0, 5), ("hflip", "square_pad"))
    write("llava_json", tmp_path, [record(0, transform=placed), record(1)])
    one, other = conforming.llava(json.loads((tmp_path / "mix.json").read_bytes()), tmp_path)
    assert one["transform"] == {
        "affine": [-1.0, 0.0, 64.0, 0.0, 1.0, 8.0],
        "size": [64, 64],
        "fill": [127, 0, 5],
        "steps": ["hflip", "square_pad"],
    }
    assert "transform" not in other


def test_llava_json_loads_in_the_datasets_library(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write("llava_json", tmp_path, [bare(), record(0), record(1)])
    path = str(tmp_path / "mix.json")
    rows = datasets.load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["image"] for row in rows] == [None, "images/t/0.jpg", "images/t/1.jpg"]
    assert rows[1]["conversations"] == conversations(record(0).turns)


@pytest.mark.parametrize("name", ["llava_json", "qwen_vl", "internvl", "llava_next"])
def test_pictures_lie_in_the_folder_that_readers_are_told(name: str, tmp_path: Path) -> None:
    files = write(name, tmp_path, [record(0, folder=FOLDER, image="coco/train2017/1.jpg")])
    assert (tmp_path / FOLDER / "coco/train2017/1.jpg").read_bytes() == jpeg(0)
    if name == "internvl":
        assert conforming.internvl(tmp_path / files[0])["part"][0]["image"] == "coco/train2017/1.jpg"
    elif name == "llava_next":
        conforming.llava_next(tmp_path / files[0], tmp_path / FOLDER)
    elif name == "qwen_vl":
        conforming.qwen_vl(conforming.read_lines(tmp_path / files[0]), tmp_path / FOLDER)
    else:
        conforming.llava(json.loads((tmp_path / files[0]).read_bytes()), tmp_path / FOLDER)


@pytest.mark.parametrize("file", ["mix.yaml", "mix.yml", "mix.json", "mix"])
def test_llava_next(tmp_path: Path, file: str) -> None:
    records = [record(0, "llava"), bare(), pair(1), bare(2)]
    files = write("llava_next", tmp_path, records, file)
    assert files == ("mix.yaml", "mix-part.jsonl", "mix-words.jsonl")
    rows = conforming.llava_next(tmp_path / "mix.yaml", tmp_path)
    assert [row["id"] for row in rows] == ["id0", "pair1", "bare0", "bare2"]
    assert rows[1]["image"] == ["images/t/1-a.jpg", "images/t/1-b.png"]
    assert rows[0]["conversations"] == conversations(records[0].turns)


def test_internvl(tmp_path: Path) -> None:
    records = [record(0, length=712), bare(length=33), pair(1), record(2)]
    files = write("internvl", tmp_path, records, "meta.json")
    assert files == ("meta.json", "meta-part.jsonl", "meta-words.jsonl")
    parts = conforming.internvl(tmp_path / "meta.json")
    assert {name: [row["id"] for row in rows] for name, rows in parts.items()} == {
        "part": ["id0", "pair1", "id2"],
        "words": ["bare0"],
    }
    one, two, three = parts["part"]
    assert (one["length"], parts["words"][0]["length"], "length" in three) == (712, 33, False)
    assert (two["width_list"], two["height_list"]) == ([64, 32], [48, 16])
    back = internvl.decode(one["conversations"][1]["value"], 64, 48)
    assert back.text == SAID[1].text
    for old, new in zip(SAID[1].regions, back.regions, strict=True):
        assert sum(new.boxes, ()) == pytest.approx(sum(old.boxes, ()), abs=1 / 1000)


@pytest.mark.parametrize(
    ("component", "name"),
    [("a/b", "a_b"), ("..", ".."), ("A b!", "A_b_"), ("交" * 90, "交" * 40), ("\n\0", "__"), ("", "")],
)
def test_a_component_may_be_called_anything(component: str, name: str, tmp_path: Path) -> None:
    files = write("internvl", tmp_path, [record(0, component=component)])
    assert files == ("mix.json", f"mix-{name}.jsonl")
    assert list(conforming.internvl(tmp_path / "mix.json")) == [component]


def test_components_that_would_share_a_file_do_not(tmp_path: Path) -> None:
    named = ["a/b", "a_b", "A_B", "a_b_1"]
    files = write("internvl", tmp_path, [record(n, component=one) for n, one in enumerate([*named, "a/b"])])
    assert len({name.lower() for name in files}) == 5
    parts = conforming.internvl(tmp_path / "mix.json")
    assert {name: len(rows) for name, rows in parts.items()} == {"a/b": 2, "a_b": 1, "A_B": 1, "a_b_1": 1}


@pytest.mark.parametrize("file", ["rows.jsonl", "rows.json", "rows.ndjson"])
def test_qwen_vl(tmp_path: Path, file: str) -> None:
    records = [record(0, "qwen2_vl", length=99), bare(), pair(1)]
    assert write("qwen_vl", tmp_path, records, file) == (file,)
    path = tmp_path / file
    # The trainer takes what does not end with jsonl for one array.
    rows = conforming.read_lines(path) if file.endswith("jsonl") else json.loads(path.read_bytes())
    messages = conforming.qwen_vl(rows, tmp_path)
    assert [row.get("num_tokens") for row in rows] == [99, None, None]
    images = [{"type": "image", "image": name} for name in ("images/t/1-a.jpg", "images/t/1-b.png")]
    assert messages[2][0]["content"] == [*images, {"type": "text", "text": "\nWhich is darker?"}]
    assert qwen2_vl.decode(messages[0][1]["content"][0]["text"], 64, 48).text == SAID[1].text


def test_qwen_vl_packed(tmp_path: Path) -> None:
    packs = [0, 0, 1, None, None, 3, 3, 0]
    records = [record(n, "qwen2_vl", pack=pack, length=50 + n) for n, pack in enumerate(packs)]
    assert write("qwen_vl_packed", tmp_path, records) == ("mix.json",)
    read = json.loads((tmp_path / "mix.json").read_bytes())
    assert [[row["id"] for row in pack] for pack in read] == [
        *(["id0", "id1"], ["id2"], ["id3"], ["id4"], ["id5", "id6"], ["id7"])
    ]
    assert all(row["num_tokens"] == 50 + int(row["id"][2:]) for pack in read for row in pack)
    for pack in read:
        conforming.qwen_vl(pack, tmp_path)


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("llava_json", ("</s>",)),
        ("internvl", ("<IMG_CONTEXT>", "<img>", "</img>")),
        ("qwen_vl", ("<video>", *trainable.CHATML)),
        ("qwen_vl_packed", ("<video>", *trainable.CHATML)),
        ("llama_factory", ("<video>", "<audio>")),
    ],
)
def test_what_a_trainer_takes_for_its_own_is_refused(name: str, tags: tuple[str, ...], tmp_path: Path) -> None:
    for number, tag in enumerate(tags):
        turns = (Turn("human", "<image>\nwhat?"), Turn("gpt", f"a {tag} dog"))
        with pytest.raises(Exception, match=r"reserved_tag: turn 1: .* at character 2"):
            write(name, tmp_path / str(number), [record(0, turns=turns)])
