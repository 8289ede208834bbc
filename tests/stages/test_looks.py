"""Pictures of others' files are known by their bytes and their hash where they can be read, and else are not."""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from curate.errors import OutsideError
from curate.io import below, images, tables
from curate.plugins import Project
from curate.stages.eval_lists import EVALS, EvalList
from curate.stages.facts import FACTS, picture_numbers, pictures_of, with_looks
from curate.stages.gate import Rules, contaminated, known
from curate.stages.looks import LOOKS, build, looked, tasks
from curate.stages.twins import duplicates


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return images.encode_jpeg(np.repeat(np.repeat(pixels, 8, 0), 8, 1))


def test_each_picture_is_told_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.io.below.MAX_BYTES", 100_000)
    (tmp_path / "in/a").mkdir(parents=True)
    (tmp_path / "in/a/1.jpg").write_bytes(picture(1))
    (tmp_path / "in/half.jpg").write_bytes(picture(2)[:-300])
    (tmp_path / "in/words.jpg").write_bytes(b"no picture")
    (tmp_path / "in/large.jpg").write_bytes(picture(3) + bytes(100_000))
    (tmp_path / "out.jpg").write_bytes(picture(4))
    names = ["a/1.jpg", "half.jpg", "gone.jpg", "words.jpg", "large.jpg", "../out.jpg", "/out.jpg", "a", "x" * 300, ""]
    found = list(looked(str(tmp_path / "in"), names))
    sha = [hashlib.sha256((tmp_path / "in" / name).read_bytes()).hexdigest() for name in names[:2]]
    pixels = images.decode(picture(1))
    assert found[0][0] == sha[0]
    told = int(found[0][1] or "", 16) ^ int(images.perceptual_hash(pixels), 16)
    assert told.bit_count() <= 2
    assert found[1] == (sha[1], None)
    assert found[2] == (None, None) and found[4:] == [(None, None)] * 6
    assert found[3] == (hashlib.sha256(b"no picture").hexdigest(), None)


def test_a_store_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(uri: str) -> None:
        raise OutsideError("the network is down") from ConnectionError("refused")

    monkeypatch.setattr(below.storage, "open_read", down)
    with pytest.raises(OutsideError):
        list(looked("s3://bucket", ["1.jpg"]))


def facts(shown: Sequence[str | None]) -> pa.Table:
    empty: list[object] = [[] for _ in shown]
    lists = {name: empty for name in ("ids", "urls", "shas", "origins", "hashes")}
    texts = {"chain": [""] * len(shown), "words": ["w"] * len(shown), "has_words": [True] * len(shown)}
    columns = {"place": list(range(len(shown))), **lists, **texts, "shown": list(shown)}
    return pa.table({name: columns[name] for name in FACTS.names}, schema=FACTS)


def looks(pictures: dict[str, tuple[str | None, str | None]]) -> pa.Table:
    told = [(name, *look) for name, look in pictures.items()]
    return pa.table(list(zip(*told, strict=True)) if told else [[], [], []], schema=LOOKS)


def test_a_picture_is_looked_at_once_and_told_of_each_record() -> None:
    shown = ['["a"]', '["b"]', '["a"]', None, "[]", '["a", "gone"]', '["odd", "b"]', '["gone"]', "no list", '{"a": 1}']
    table = facts([*shown, '["half \\ud800"]'])
    names = pictures_of(table).to_pylist()
    assert names == ["a", "b", "gone", "odd", "half \0"]
    seen = {"a": ("sha a", "a"), "b": ("sha b", "b"), "odd": ("sha odd", None)}
    found = with_looks(table, looks({name: seen.get(name, (None, None)) for name in reversed(names)}))
    assert found.schema == FACTS
    a, b = ["sha a"], ["sha b"]
    assert found["shas"].to_pylist() == [a, b, a, [], [], [], ["sha odd", "sha b"], [], [], [], []]
    assert found["origins"].to_pylist() == [
        *(a, b, a, [], [], ["sha a", None], ["sha odd", "sha b"], [None], [], [], [None])
    ]
    assert found["hashes"].to_pylist() == [["a"], ["b"], ["a"], [], [], ["a"], ["b"], [], [], [], []]


def test_no_facts_are_looked_at() -> None:
    assert pictures_of(facts([])).to_pylist() == []
    assert with_looks(facts([]), looks({})).num_rows == 0


@pytest.mark.parametrize("count", [1, 4, 5, 8])
def test_pictures_are_looked_at_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("curate.stages.looks.AT_ONCE", 4)
    names = [f"{number}.jpg" for number in range(count)]
    for number, name in enumerate(names[1:]):
        (tmp_path / name).write_bytes(picture(number))
    parts = tasks("theirs", pa.array(names))
    assert [task.shard for task in parts] == list(range(-(-count // 4)))
    assert all(len(pickle.dumps(task)) < 900 for task in parts)
    reports = [build(str(tmp_path), str(tmp_path / "out"))(task, None) for task in parts]
    assert sum(report.counts["looked"] for report in reports) == count - 1
    written = pa.concat_tables([tables.read_table(f"{tmp_path}/out/{task.shard:05d}.parquet") for task in parts])
    assert written["name"].to_pylist() == names
    assert list(zip(*(written[name].to_pylist() for name in ("sha256", "phash")), strict=True)) == list(
        looked(str(tmp_path), names)
    )


def test_of_several_pictures_those_are_known_that_are_there() -> None:
    shas = {name: sha * 64 for name, sha in (("a", "1"), ("b", "2"))}
    near, far = "0f0f3c3c5a5a9696", "f0f0c3c3a5a56969"

    seen = looks({"gone": (None, None), "a": (shas["a"], near), "b": (shas["b"], far)})
    table = with_looks(facts(['["gone", "a"]', '["gone", "b"]', '["gone"]', '["a", "b"]', '["gone", "a"]']), seen)
    table = table.set_column(0, "place", pa.array(range(5)))
    rows = {"picture_id": [None], "url": [None], "sha256": [shas["a"]], "phash": [near]}
    against = EvalList("bench", pa.table(rows, schema=EVALS), 1, 0)
    hits = contaminated(table, [against], Project(""), Rules(mirror=None)).to_pylist()
    assert {(hit["place"], hit["by"]) for hit in hits} == {(n, way) for n in (0, 3, 4) for way in ("sha256", "phash")}
    assert known(table) == {"picture_id": 0, "url": 0, "sha256": 4, "phash": 4}
    # The same names of pictures that are in part not there are the same pictures all the same.
    dropped, first = duplicates(table, np.zeros(5, np.bool_), Project(""))
    assert (dropped.tolist(), first.tolist()) == ([4], [0])
    numbers = picture_numbers(table, {}, Project(""))
    assert len(set(numbers[numbers >= 0].tolist())) == len(numbers[numbers >= 0])
