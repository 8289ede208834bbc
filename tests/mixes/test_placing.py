"""Mixes that are placed slice by slice: the same plan however they are sliced, every candidate accounted for."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Workshop

from curate import checks
from curate.doctor import Doctor
from curate.errors import ConfigError, ShardError
from curate.export_job import Export
from curate.exporting import export_last
from curate.packs import Packs
from curate.results import JobResult


def record(number: int, words: int = 5) -> dict[str, Any]:
    turns = [{"from": "human", "value": f"<image>\nwhat is {number}"}, {"from": "gpt", "value": "word " * words}]
    return {"id": number, "image": f"coco/train2017/{number:012d}.jpg", "conversations": turns}


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.captions(count=12, shard_rows=4)
    workshop.write("jobs/mine.yaml", "from: tiny\n")
    theirs = [*(record(number, number % 60 + 1) for number in range(400)), {"id": 9}]
    workshop.write("theirs.json", json.dumps(theirs))
    return workshop


def mix(shop: Workshop, rest: str = "layout: {ranks: 2, per_rank: 2}\n", theirs: str = "epochs: 1.5") -> None:
    parts = f"  mine: {{from: mine, epochs: 2}}\n  theirs: {{from: {shop.folder}/theirs.json, {theirs}}}\n"
    shop.write("jobs/mixed.yaml", f"mix:\n{parts}pack: {{length: 2048, by: [placement]}}\nseed: 3\n{rest}")


def run(shop: Workshop) -> tuple[JobResult, Path, pa.Table]:
    result = shop.run("mixed").jobs[-1]
    folder = Path(shop.root, "mixes/mixed", result.digest)
    table = pa.concat_tables([pq.ParquetFile(file).read() for file in sorted(folder.glob("packs/*.parquet"))])
    by = ("step", "rank", "pack", "slot", "component", "sample_id", "reason")
    plain = pa.table({name: table[name].cast(pa.string()) if name == "component" else table[name] for name in by})
    return result, folder, plain.sort_by([(name, "ascending") for name in by])


def test_a_plan_is_the_same_however_it_is_sliced(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    mix(shop)
    whole, folder, rows = run(shop)
    assert len(list(folder.glob("packs/*"))) == 2
    monkeypatch.setattr("curate.stages.place.SLICE_ROWS", 100)
    monkeypatch.setattr("curate.mixes.measuring.PART_BYTES", 10_000)
    shop.root = shop.root.parent / "another"
    again, folder, sliced = run(shop)
    assert len(list(folder.glob("packs/*"))) > 5
    assert sliced.equals(rows)
    assert again.digest == whole.digest
    assert again.facts == {**whole.facts, "files": again.facts["files"]}
    assert Doctor(str(shop.root), False, lambda text: None).examine().findings == ()


def test_every_candidate_has_a_place_or_a_reason(shop: Workshop) -> None:
    mix(shop)
    result, folder, table = run(shop)
    rows = table.to_pylist()
    placed = [row for row in rows if row["reason"] is None]
    assert Counter((row["component"], row["reason"]) for row in rows) == {
        ("mine", None): 24,
        ("theirs", None): 600,
        ("theirs", "bad_record"): 1,
    }
    times = Counter(row["sample_id"] for row in placed if row["component"] == "theirs")
    assert set(times.values()) == {1, 2}
    assert len({(row["pack"], row["slot"]) for row in placed}) == len(placed)
    facts = result.facts
    assert facts["packs"] == len({row["pack"] for row in placed}) >= facts["least_packs"]
    assert facts["samples"] == 624
    assert facts["components"]["theirs"]["left_out"] == 1
    plan = Packs(str(folder))
    seen: list[tuple[str, int]] = []
    for step in range(plan.steps):
        halves = [pack for rank in (0, 1) for pack in plan.packs(step, rank)]
        assert halves == plan.packs(step, 0, world=1)
        assert all(sum(row["n_text_tok"] + row["n_img_tok"] for row in pack) <= 2048 for pack in halves)
        assert all([row["slot"] for row in pack] == list(range(len(pack))) for pack in halves)
        seen += [(row["sample_id"], row["draw"]) for pack in halves for row in pack]
    assert len(seen) == len(set(seen)) == 624
    steps = pq.ParquetFile(folder / "steps.parquet").read().to_pylist()
    assert sum(row["rows"] for row in steps) == 624
    assert all(row["packs"] == 4 for row in steps[:-1])


def test_slices_of_another_run_are_not_taken_for_its_own(shop: Workshop) -> None:
    mix(shop)
    _, folder, _ = run(shop)
    (folder / "manifest.json").unlink()
    (folder / "packs/00001.parquet").rename(folder / "packs/00002.parquet")
    with pytest.raises(ShardError, match=r"remove .*/packs and run again"):
        run(shop)


def test_it_is_exported_in_its_order(shop: Workshop) -> None:
    mix(shop)
    run(shop)
    folder, manifest = export_last("mixed", Export(as_="llava_json", codec="plain"), shop.project, str(shop.root))
    assert manifest["records"] == 624
    assert len(json.loads(Path(folder, "mixed.json").read_text())) == 624


def test_what_needs_all_candidates_in_one_place_is_refused(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    mix(shop, "gate: {}\nlayout: {apart: 3}\n", "per_picture: 1, merge: 4")
    said = {error.where for error in checks.check("mixed", shop.project)}
    assert said == {"gate", "layout.apart", "mix.theirs.per_picture", "mix.theirs.merge"}
    text = Path(shop.folder, "jobs/mixed.yaml").read_text()
    shop.write("jobs/mixed.yaml", text.replace(", by: [placement]", ""))
    assert checks.check("mixed", shop.project) == []
    monkeypatch.setattr("curate.mixes.placing.ROWS", 100)
    with pytest.raises(ConfigError, match="gate needs all candidates"):
        shop.run("mixed")
    shop.write("jobs/mixed.yaml", text.replace("[placement]", "[placement, subset_sum]"))
    assert "pack.by" in {error.where for error in checks.check("mixed", shop.project)}


def test_too_little_for_what_it_must_give(shop: Workshop) -> None:
    mix(shop, theirs="weight: 1, max_epochs: 2")
    text = Path(shop.folder, "jobs/mixed.yaml").read_text()
    shop.write("jobs/mixed.yaml", f"{text}budget: {{samples: 5000}}\n")
    with pytest.raises(ShardError, match="mixed:"):
        shop.run("mixed")
