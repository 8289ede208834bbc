"""A root in a real S3 server: the same content as a local one, resumed, queried, explained and exported in place."""

import json
from typing import Any

from conftest import Quiet

from curate import journey
from curate.driver import Where
from curate.export_job import Export
from curate.exporting import export_last
from curate.io import storage
from curate.pipeline import Run, run
from curate.views import open_root

JOB = "from: tiny\nkeep: {unique_pictures: }\naugment: [square_pad, hflip]\n"


def test_root_on_s3(workshop: Any, listener: Any, s3_server: str) -> None:
    workshop.captions(count=9, shard_rows=4)
    workshop.write("jobs/far.yaml", JOB)
    root = f"{s3_server}/lab/curated"
    asked = Run(root, workshop.project, Where("inline"))
    result = run("far", asked, listener)
    assert result.ok()
    local = workshop.run("far")
    assert [job.digest for job in local.jobs] == [job.digest for job in result.jobs]
    name = f"jobs/far/{local.jobs[0].digest}/manifest.json"
    assert json.loads(storage.read_bytes(f"{root}/{name}")) == json.loads((workshop.root / name).read_text())

    again = run("far", asked, listener)
    assert (again.shards_done, again.shards_resumed) == (0, result.shards_done)

    house = open_root(root, workshop.project)
    assert house.answer("select status, count(*) from samples group by all").rows == (("ok", 9),)
    assert house.answer("select recipe, count(*) from curated group by all order by 1").rows == (
        ("", 9),
        ("square_pad", 9),
    )
    [[sample]] = house.answer("select min(sample_id) from samples").rows
    told = journey.explain(root, workshop.project, sample[:8])
    assert told.sample["sample_id"] == sample
    assert {(row["recipe"], row["status"]) for row in told.children} == {("square_pad", "ok"), ("hflip", "refused")}

    folder, manifest = export_last("far", Export(as_="llava_json"), asked.project, asked.root)
    assert manifest["records"] == 18
    assert len(json.loads(storage.read_bytes(f"{folder}/far.json"))) == 18


def test_a_mix_of_a_file_in_a_store_is_that_of_the_file(workshop: Any, s3_server: str) -> None:
    workshop.captioned()
    turns = [{"from": "human", "value": "<image>\nwhat is it"}, {"from": "gpt", "value": "a thing"}]
    records = [{"id": number, "image": f"a/{number % 30}.jpg", "conversations": turns} for number in range(50)]
    data = json.dumps(records).encode()
    (workshop.folder / "theirs.json").write_bytes(data)
    storage.write_bytes(f"{s3_server}/far/theirs.json", data)

    def exported(place: str, root: str) -> Any:
        workshop.write(
            "jobs/mixed.yaml",
            f"mix:\n  mine: {{from: mine, merge: 4}}\n  theirs: {{from: {place}, merge: 4, epochs: 1.5}}\n"
            f"tokens: {{tokenizer: {workshop.folder}/tokenizer.json, max: 2048}}\npack: {{length: 4096}}\n"
            "gate: {near_duplicates: false}\nexport: {as: llava_json}\n",
        )
        asked = Run(root, workshop.project, Where("inline"))
        result = run("mixed", asked, Quiet())
        folder, manifest = export_last("mixed", Export(as_="llava_json"), asked.project, asked.root)
        assert result.ok() and manifest["records"] > 30
        return json.loads(storage.read_bytes(f"{folder}/mixed.json"))

    here = exported(f"{workshop.folder}/theirs.json", str(workshop.root))
    there = exported(f"{s3_server}/far/theirs.json", f"{s3_server}/lab/mixed")
    assert sorted(map(json.dumps, here)) == sorted(map(json.dumps, there))
