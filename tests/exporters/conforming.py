"""What trainers ask of rows in LLaVA's form, by their documents and their code; AssertionError where they would fail.

LLaVA and LLaVA-NeXT (llava/train/train.py), InternVL (internvl_chat_finetune.py), Qwen-VL (qwenvl/data/
data_processor.py).
"""

import json
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

Row = dict[str, Any]


def read_lines(path: Path) -> list[Row]:
    """Read JSON Lines as trainers do: a line of the file is a row."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def llava(rows: Any, image_folder: Path) -> list[Row]:
    """Check the rows of LLaVA: a list, roles in turn, texts not empty, a picture's mark, its file in the folder."""
    assert isinstance(rows, list)
    for row in rows:
        _turns(row)
        names = [row["image"]] if "image" in row else []
        assert all(isinstance(name, str) for name in names)
        _marked(row, names)
        _opens(names, image_folder)
    return rows


def llava_next(path: Path, image_folder: Path) -> list[Row]:
    """Check the list of LLaVA-NeXT and the rows that it draws, from within the list's folder."""
    assert path.suffix == ".yaml"
    rows = []
    for part in yaml.safe_load(path.read_text(encoding="utf-8"))["datasets"]:
        assert part["sampling_strategy"] == "all"
        name = part["json_path"]
        assert name.endswith(".jsonl")
        rows += read_lines(path.parent / name)
    for row in rows:
        _turns(row)
        image = row.get("image", [])
        names = image if isinstance(image, list) else [image]
        _marked(row, names)
        _opens(names, image_folder)
    return rows


def internvl(path: Path) -> dict[str, list[Row]]:
    """Check the meta file of InternVL and the rows of each of its datasets, from within the file's folder."""
    found = {}
    for name, part in json.loads(path.read_text(encoding="utf-8")).items():
        assert part["annotation"].endswith("jsonl")
        assert type(part["repeat_time"]) is int and part["repeat_time"] >= 1
        assert type(part["data_augment"]) is bool
        found[name] = read_lines(path.parent / part["annotation"])
        assert part["length"] == len(found[name])
        root = path.parent / part["root"]
        for row in found[name]:
            _turns(row)
            image = row.get("image", [])
            names = image if isinstance(image, list) else [image]
            sizes = list(zip(row.get("width_list", []), row.get("height_list", []), strict=True))
            if isinstance(image, str):
                sizes = [(row["width"], row["height"])]
            assert not isinstance(image, list) or len(image) != 1
            _marked(row, names)
            assert _opens(names, root) == sizes
            assert isinstance(row.get("length", 0), int)
    return found


def qwen_vl(rows: list[Row], data_path: Path) -> list[list[Row]]:
    """Check the rows of Qwen-VL, and return its messages: marks take pictures in turn, none is left over."""
    messages = []
    for row in rows:
        image = row.get("image") or []
        names = [image] if isinstance(image, str) else image
        _turns(row)
        _marked(row, names)
        pool = list(names)
        made = []
        for turn in row["conversations"]:
            human = turn["from"] == "human"
            content: list[Row] = []
            for place, text in enumerate(turn["value"].split("<image>") if human else [turn["value"]]):
                content += [{"type": "image", "image": pool.pop(0)}] if place else []
                content += [{"type": "text", "text": text}] if text.strip() else []
            made.append({"role": "user" if human else "assistant", "content": content})
        assert not pool
        _opens(names, data_path)
        assert isinstance(row.get("num_tokens", 0), int)
        messages.append(made)
    return messages


def _turns(row: Row) -> None:
    said = row["conversations"]
    assert said
    assert [turn["from"] for turn in said] == ["human", "gpt"] * (len(said) // 2)
    assert all(turn.keys() == {"from", "value"} and turn["value"].strip() for turn in said)


def _marked(row: Row, names: list[str]) -> None:
    assert "image" not in row or names
    assert not row.keys() & {"images", "video", "videos"}
    assert sum(turn["value"].count("<image>") for turn in row["conversations"]) == len(names)
    assert not any("<image>" in turn["value"] for turn in row["conversations"] if turn["from"] == "gpt")


def _opens(names: list[str], folder: Path) -> list[tuple[int, int]]:
    sizes = []
    for name in names:
        assert not Path(name).is_absolute()
        with Image.open(folder / name) as picture:
            picture.load()
            sizes.append(picture.size)
    return sizes
