"""Source keys that two shards have: one sample each, whatever asks for it later, and every row in the books."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Quiet, Workshop

from curate import catalog, schema
from curate.doctor import Doctor
from curate.driver import Where
from curate.errors import ShardError
from curate.layout import Layout
from curate.pipeline import Run, run
from curate.sample import Sample, sample_id
from curate.stages import repeats
from curate.views import open_root

MIX = """mix:
  everything: {from: j, epochs: 1}
tokens: {model: llava-1.5-336, tokenizer: clip, template: vicuna_v1, max: 4096}
pack: {length: 4096}
export: {as: llava_json, codec: plain}
"""


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    """A dataset of two shards of four rows each, whose keys are the same."""
    source = (Path(catalog.__file__).parent / "sources/cc12m.py").read_text()
    workshop.captions(count=8, shard_rows=4)
    workshop.write("plugins/sources/twice.py", source.replace('f"{stem}:{row}"', 'f"{stem}:{row % 4}"'))
    path = workshop.folder / "catalogs/tiny.yaml"
    path.write_text(path.read_text().replace("source: cc12m", "source: twice"))
    workshop.write("jobs/j.yaml", "from: tiny\nscore: [box_stats]\n")
    return workshop


def test_the_first_shard_keeps_a_key_and_the_books_tell_of_the_rest(shop: Workshop) -> None:
    quiet = Quiet()
    result = run("j", Run(str(shop.root), shop.project, Where("inline")), quiet)
    assert result.ok()
    assert result.jobs[0].books[0].lost == {"duplicate_key": 4}
    assert any("4 rows in 1 shard(s) have a key that an earlier shard has" in note for note in quiet.notes)
    house = open_root(str(shop.root), shop.project)
    told = house.table("select shard, row, status, error, kept from outcomes order by shard, row").to_pylist()
    assert [row["kept"] for row in told] == [True] * 4 + [False] * 4
    assert {row["error"] for row in told[4:]} == {"duplicate_key"}
    assert house.table("select count(*) as n, count(distinct sample_id) as ids from samples").to_pylist() == [
        {"n": 8, "ids": 8}
    ]
    assert house.table("select count(*) as n from curated").to_pylist() == [{"n": 4}]


def test_a_mix_draws_a_repeated_key_once(shop: Workshop) -> None:
    shop.write("jobs/m.yaml", MIX)
    shop.run("m")
    [file] = shop.root.rglob("m.json")
    ids = [record["id"] for record in json.loads(file.read_text())]
    assert len(ids) == len(set(ids)) == 4


def test_a_second_run_neither_looks_nor_writes_again(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shop.run("j")
    monkeypatch.setattr(repeats, "repeated", lambda *_: pytest.fail("looked again"))
    assert shop.run("j").jobs[0].digest == first.jobs[0].digest


def test_a_shard_that_came_later_is_looked_at(shop: Workshop) -> None:
    assert shop.run("j", limit=4).jobs[0].books[0].lost == {}
    assert shop.run("j").jobs[0].books[0].lost == {"duplicate_key": 4}


def written(root: Path, shards: dict[int, list[str]]) -> Layout:
    layout = Layout(str(root), "d")
    for shard, keys in shards.items():
        samples = [
            Sample(sample_id=sample_id("d", key), dataset="d", shard=shard, row=row, source_key=key)
            for row, key in enumerate(keys)
        ]
        path = Path(layout.samples(shard))
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(schema.to_table(samples), path)
    return layout


def test_every_repeat_is_found_whatever_the_shards(tmp_path: Path) -> None:
    dice = np.random.default_rng(1)
    shards = {n: [str(key) for key in dice.choice(400, 60, replace=False)] for n in range(12)}
    seen: set[str] = set()
    wanted: dict[int, tuple[int, ...]] = {}
    for shard, keys in shards.items():
        if again := tuple(row for row, key in enumerate(keys) if key in seen):
            wanted[shard] = again
        seen.update(keys)
    layout = written(tmp_path, shards)
    assert repeats.repeated(layout, dict.fromkeys(shards, 60)) == wanted


def test_ids_that_differ_in_any_bit_are_two(tmp_path: Path) -> None:
    ids = [f"{1 << bit:032x}" for bit in range(128)] + [f"{0:032x}"]
    layout = written(tmp_path, {0: ["a"], 1: ["b"]})
    for shard in (0, 1):
        table = pa.table({"sample_id": ids[shard::2], "shard": [shard] * len(ids[shard::2])})
        pq.write_table(table, layout.samples(shard))
    assert repeats.repeated(layout, {0: 65, 1: 64}) == {}


def test_ids_that_curate_never_wrote_are_damage(tmp_path: Path) -> None:
    layout = written(tmp_path, {0: ["a"]})
    pq.write_table(pa.table({"sample_id": ["no id"], "shard": [0]}), layout.samples(0))
    with pytest.raises(ShardError, match=r"is damaged: .*curate doctor sets it aside"):
        repeats.repeated(layout, {0: 1})


def test_no_shard_has_no_repeats(tmp_path: Path) -> None:
    assert repeats.repeated(Layout(str(tmp_path), "d"), {}) == {}


def test_a_table_of_another_shard_is_damage_and_not_repeats(shop: Workshop) -> None:
    shop.run("j", limit=4)
    samples = shop.root / "tiny/samples"
    (samples / "00001.parquet").write_bytes((samples / "00000.parquet").read_bytes())
    with pytest.raises(ShardError, match="its rows are not of shard 1; curate doctor sets it aside"):
        shop.run("j")
    found = Doctor(str(shop.root), True, lambda _: None).examine().findings
    assert [(Path(each.uri).name, each.what) for each in found] == [("00001.parquet", "copied from another shard")]
    assert shop.run("j").jobs[0].books[0].lost == {"duplicate_key": 4}
