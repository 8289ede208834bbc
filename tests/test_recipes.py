"""Recipes of LLaVA-NeXT and InternVL are read as they are, and what is none says why."""

import json
from pathlib import Path

import pytest

from curate.job import load_job
from curate.recipes import components


def written(tmp_path: Path, name: str, text: str) -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_llava_next(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "onevision.yaml",
        "datasets:\n"
        "  - {json_path: /data/refcoco.jsonl, sampling_strategy: all}\n"
        "  - {json_path: /data/vg.json, sampling_strategy: 'first:10%'}\n"
        "  - {json_path: /other/vg.json, sampling_strategy: 'end:3000'}\n"
        "  - json_path: /data/a b(c).json\n"
        "  - {json_path: /data/few.json, sampling_strategy: 'random:200%'}\n",
    )
    assert components(path) == {
        "refcoco": {"from": "/data/refcoco.jsonl"},
        "vg": {"from": "/data/vg.json", "epochs": 0.1},
        "vg_2": {"from": "/other/vg.json", "samples": 3000, "max_epochs": 1},
        "a_b_c": {"from": "/data/a b(c).json"},
        "few": {"from": "/data/few.json", "epochs": 1.0},
    }
    job = written(tmp_path, "mine.yaml", f"mix: {path}\nseed: 3\n")
    assert [part.samples for part in load_job(Path(job)).mix.values()] == [None, None, 3000, None, None]  # type: ignore[union-attr]


def test_internvl(tmp_path: Path) -> None:
    entry = {"root": "data/coco/", "annotation": "data/r.jsonl", "data_augment": False, "repeat_time": 2, "length": 9}
    path = written(tmp_path, "meta.json", json.dumps({"refcoco": entry, "part": {**entry, "repeat_time": 0.25}}))
    found = components(path)
    assert found["refcoco"] == {"from": "data/r.jsonl", "images": "data/coco/", "epochs": 2.0, "codec": "internvl"}
    assert found["part"]["epochs"] == 0.25


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("r.yaml", "datasets: []", "a list of"),
        ("r.yaml", "- 1", "a list of"),
        ("r.yaml", "datasets: [{path: x}]", r"datasets\[0\] names no json_path"),
        ("r.yaml", "datasets: [{json_path: x.json, sampling_strategy: 'first:ten'}]", "sampling_strategy"),
        ("r.yaml", "datasets: [{json_path: x.json, sampling_strategy: 'first:0%'}]", "sampling_strategy"),
        ("r.yaml", "a: [", "r.yaml"),
        ("r.json", "[]", "an object"),
        ("r.json", '{"a": {"root": "x"}}', "names no annotation"),
        ("r.json", '{"a": {"annotation": "x.jsonl", "repeat_time": NaN}}', "repeat_time"),
        ("r.json", "[" * 100_000, "r.json"),
        ("r.json", '{"coco": {"annotation": "x.jsonl"}, "coco": {"annotation": "y.jsonl"}}', "'coco' is given twice"),
        ("r.json", '{"coco": {"annotation": "x.jsonl", "annotation": "y.jsonl"}}', "'annotation' is given twice"),
        ("r.yaml", "datasets: [{json_path: x.json}]\ndatasets: [{json_path: y.json}]", "'datasets' is given twice"),
        ("r.yaml", "datasets: [{json_path: x.json, json_path: y.json}]", "'json_path' is given twice"),
    ],
)
def test_what_is_no_recipe(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        components(written(tmp_path, name, text))


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no recipe at"):
        components("nowhere.yaml")


def test_what_would_grow_without_end_is_refused(tmp_path: Path) -> None:
    bomb, often = tmp_path / "bomb.yaml", tmp_path / "often.json"
    bomb.write_text("a: &a {k: 1}\nb: {<<: [*a, *a]}\ndatasets: [{json_path: a.json}]\n")
    often.write_text('{"a": {"annotation": "a.json", "repeat_time": 1' + "0" * 400 + "}}")
    for path, what in ((bomb, "alias"), (often, "repeat_time")):
        with pytest.raises(ValueError, match=what):
            components(str(path))
