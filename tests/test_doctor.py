"""Damage of every kind under a root is found, and the next run repairs it to the same content."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Quiet, Workshop

from curate import digests, telling
from curate.doctor import Doctor, Examination
from curate.driver import Where
from curate.errors import ConfigError
from curate.pipeline import Run, run
from curate.results import RunResult

JOB = "from: tiny\nscore: [box_stats]\nkeep: {unique_pictures: }\naugment: [[square_pad]]\n"
BOOKS = {"ingest": 12, "score box_stats": 12, "filter": 12, "augment": 12}
TAR, SAMPLES = "tiny/images/00001.tar", "tiny/samples/00001.parquet"


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.captions(count=12, shard_rows=4)
    workshop.write("jobs/j.yaml", JOB)
    workshop.run("j")
    return workshop


def examine(shop: Workshop, mend: bool = True) -> Examination:
    return Doctor(str(shop.root), mend, lambda text: None).examine()


def repair(shop: Workshop) -> tuple[RunResult, Quiet]:
    quiet = Quiet()
    return run("j", Run(str(shop.root), shop.project, Where("inline")), quiet), quiet


def content(shop: Workshop) -> dict[str, str]:
    """Return what samples and scores say, the places of pictures in their tars apart."""
    said = {}
    for path in sorted([*shop.root.glob("tiny/samples/*.parquet"), *shop.root.glob("tiny/scores/*/*.parquet")]):
        rows = pq.read_table(path).to_pylist()
        for row in rows:
            for volatile in ("attempts", "fetched_at"):
                row.pop(volatile, None)
            for image in row.get("images", ()):
                image.pop("offset")
        said[str(path)] = json.dumps(rows)
    return said


def edit(path: Path, change: Callable[[bytearray], Any]) -> None:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def flip(at: int) -> Callable[[bytearray], None]:
    def change(data: bytearray) -> None:
        data[at] ^= 0xFF

    return change


def flip_data(path: Path) -> None:
    """Change a byte in the first column's last page."""
    column = pq.read_metadata(path).row_group(0).column(0)
    edit(path, flip(4 + column.total_compressed_size - 2))


def cut(data: bytearray) -> None:
    del data[len(data) // 2 :]


def glob(shop: Workshop, pattern: str) -> Path:
    [path] = shop.root.glob(pattern)
    return path


def test_a_sound_root_is_sound(shop: Workshop) -> None:
    before = {path: path.read_bytes() for path in shop.root.rglob("*") if path.is_file()}
    found = examine(shop)
    assert found.findings == ()
    assert (found.pictures, found.tables) == (24, 12)
    assert {path: path.read_bytes() for path in shop.root.rglob("*") if path.is_file()} == before


DAMAGE: dict[str, Callable[[Workshop], Any]] = {
    "tar missing": lambda shop: (shop.root / TAR).unlink(),
    "tar cut": lambda shop: edit(shop.root / TAR, cut),
    "tar empty": lambda shop: (shop.root / TAR).write_bytes(b""),
    "picture altered": lambda shop: edit(shop.root / TAR, flip(700)),
    "header altered": lambda shop: edit(shop.root / TAR, flip(5)),
    "end mark cut": lambda shop: edit(shop.root / TAR, lambda data: data.__delitem__(slice(-600, None))),
    "tar of another shard": lambda shop: (shop.root / TAR).write_bytes(
        (shop.root / "tiny/images/00000.tar").read_bytes()
    ),
    "samples missing": lambda shop: (shop.root / SAMPLES).unlink(),
    "samples cut": lambda shop: edit(shop.root / SAMPLES, cut),
    "samples altered": lambda shop: flip_data(shop.root / SAMPLES),
    "samples empty": lambda shop: (shop.root / SAMPLES).write_bytes(b""),
    "scores altered": lambda shop: flip_data(glob(shop, "tiny/scores/*/00001.parquet")),
    "scores cut": lambda shop: edit(glob(shop, "tiny/scores/*/00001.parquet"), cut),
    "decisions cut": lambda shop: edit(glob(shop, "tiny/decisions/*/00001.parquet"), cut),
    "children cut": lambda shop: edit(glob(shop, "tiny/augmented/*/00001.parquet"), cut),
    "derived picture altered": lambda shop: edit(glob(shop, "tiny/augmented/*/00001.tar"), flip(700)),
    "derived tar missing": lambda shop: glob(shop, "tiny/augmented/*/00001.tar").unlink(),
    "manifest cut": lambda shop: edit(shop.root / "tiny/manifest.json", cut),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_the_next_run_repairs_it(shop: Workshop, damage: str) -> None:
    before = content(shop)
    DAMAGE[damage](shop)
    looked = examine(shop, mend=False)
    assert len(looked.findings) == 1, looked.findings
    assert looked.findings == examine(shop).findings
    result, _ = repair(shop)
    assert result.ok()
    assert {books.stage: books.rows_out for books in result.jobs[0].books} == BOOKS
    assert examine(shop).findings == ()
    assert content(shop) == before


def test_only_damaged_pictures_are_fetched_again(shop: Workshop) -> None:
    edit(shop.root / TAR, flip(700))
    assert [finding.what for finding in examine(shop).findings] == ["1 of 4 pictures are damaged"]
    for number in (5, 6, 7):
        (shop.web / f"{number}.jpg").unlink()  # gone from the web since, and safe in the tar
    result, quiet = repair(shop)
    assert quiet.notes == ["tiny: 1 rows in 1 shard(s) are fetched again: damaged 1"]
    assert result.jobs[0].books[0].rows_out == 12


def test_a_picture_that_is_gone_is_a_row_with_a_reason(shop: Workshop) -> None:
    edit(shop.root / TAR, flip(700))
    (shop.web / "4.jpg").unlink()
    examine(shop)
    result, _ = repair(shop)
    assert result.jobs[0].books[0].lost == {"http_404": 1}
    assert examine(shop).findings == ()


def test_what_was_damaged_is_kept_beside(shop: Workshop) -> None:
    edit(shop.root / SAMPLES, cut)
    damaged = (shop.root / SAMPLES).read_bytes()
    examine(shop)
    assert (shop.root / f"{SAMPLES}.damaged").read_bytes() == damaged


def test_a_damaged_plan_is_named(shop: Workshop) -> None:
    edit(shop.root / "tiny/plan.json", cut)
    [finding] = examine(shop).findings
    assert finding.uri.endswith("plan.json")
    assert "copy" in finding.then


def test_nothing_curated_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing curated"):
        Doctor(str(tmp_path), True, print).examine()


def stray(shop: Workshop) -> None:
    (shop.root / "tiny/samples/copy of 00000.parquet").write_bytes((shop.root / SAMPLES).read_bytes())


def footer(shop: Workshop, key: bytes, value: bytes) -> None:
    table = pq.read_table(shop.root / SAMPLES)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, key: value}), shop.root / SAMPLES)


def places(shop: Workshop, **changed: Any) -> None:
    """Let the first picture of a shard lie elsewhere, with the digest that fits."""
    before = pq.read_table(shop.root / SAMPLES)
    rows = before.to_pylist()
    rows[0]["images"][0].update(changed)
    table = pa.Table.from_pylist(rows, schema=before.schema)
    words = {**before.schema.metadata, b"curate.content": digests.content_digest(table).encode()}
    pq.write_table(table.replace_schema_metadata(words), shop.root / SAMPLES)


HOSTILE: dict[str, Callable[[Workshop], Any]] = {
    "counts are no JSON": lambda shop: footer(shop, b"curate.counts", b"{"),
    "counts are a list": lambda shop: footer(shop, b"curate.counts", b"[]"),
    "rows are no number": lambda shop: footer(shop, b"curate.rows", b"x"),
    "offset negative": lambda shop: places(shop, offset=-5),
    "offset huge": lambda shop: places(shop, offset=1 << 62),
    "size huge": lambda shop: places(shop, size=1 << 50),
    "member climbs": lambda shop: places(shop, member="../../x.jpg"),
    "manifest is deep": lambda shop: (shop.root / "tiny/manifest.json").write_text("[" * 100_000),
}


@pytest.mark.parametrize("damage", HOSTILE)
def test_hostile_damage_is_a_finding_and_no_crash(shop: Workshop, damage: str) -> None:
    HOSTILE[damage](shop)
    assert len(examine(shop, mend=False).findings) == 1
    assert len(examine(shop).findings) == 1


def test_a_stray_file_is_passed_over(shop: Workshop) -> None:
    stray(shop)
    assert examine(shop).findings == ()


def test_what_was_kept_beside_is_not_written_over(shop: Workshop) -> None:
    (shop.root / f"{SAMPLES}.damaged").write_text("an earlier one")
    edit(shop.root / SAMPLES, cut)
    examine(shop)
    assert (shop.root / f"{SAMPLES}.damaged").read_text() == "an earlier one"
    assert (shop.root / f"{SAMPLES}.damaged-1").exists()


@pytest.fixture
def mixed(workshop: Workshop) -> Workshop:
    """A root that holds nothing but mixes of a file: one with a gate that merges, and one that is placed."""
    turn = {"from": "human", "value": "<image>\nwhat"}
    rows = [{"image": f"a/{n // 3}.jpg", "conversations": [turn, {"from": "gpt", "value": str(n)}]} for n in range(60)]
    workshop.write("theirs.json", json.dumps(rows))
    workshop.tokenizer()
    tokens = f"tokens: {{tokenizer: {workshop.folder}/tokenizer.json}}\n"
    parts = f"{tokens}mix:\n  theirs: {{from: {workshop.folder}/theirs.json, "
    workshop.write("jobs/j.yaml", parts + "merge: 2}\ngate: {}\n")
    workshop.write("jobs/placed.yaml", parts + "epochs: 2}\npack: {by: [placement]}\n")
    workshop.run("j")
    workshop.run("placed")
    return workshop


def plans(shop: Workshop) -> dict[str, dict[str, list[Any]]]:
    files = [*shop.root.glob("mixes/*/*/*.parquet"), *shop.root.glob("mixes/*/*/packs/*.parquet")]
    return {str(path): pq.ParquetFile(path).read().to_pydict() for path in files}


def other_columns(path: Path) -> None:
    pq.write_table(pa.table({"sample_id": ["a"]}), path)


CACHES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "lengths cut": ("lengths/theirs/*/00000.parquet", lambda path: edit(path, cut)),
    "lengths altered": ("lengths/theirs/*/00000.parquet", flip_data),
    "lengths of another form": ("lengths/theirs/*/00000.parquet", other_columns),
    "facts cut": ("gates/facts/theirs/*/*.parquet", lambda path: edit(path, cut)),
    "facts altered": ("gates/facts/theirs/*/*.parquet", flip_data),
    "merged cut": ("lengths/theirs/*.merged", lambda path: edit(path, cut)),
    "merged altered": ("lengths/theirs/*.merged", flip_data),
    "steps cut": ("mixes/j/*/steps.parquet", lambda path: edit(path, cut)),
    "slice altered": ("mixes/placed/*/packs/00000.parquet", flip_data),
}


@pytest.mark.parametrize("damage", CACHES)
def test_damage_of_what_a_mix_keeps_is_set_aside_and_made_again(mixed: Workshop, damage: str) -> None:
    before = plans(mixed)
    assert examine(mixed, mend=False).findings == ()
    pattern, harm = CACHES[damage]
    path = glob(mixed, pattern)
    harm(path)
    harmed = path.read_bytes()
    assert [Path(finding.uri) for finding in examine(mixed, mend=False).findings] == [path]
    assert path.read_bytes() == harmed
    assert [Path(finding.uri) for finding in examine(mixed).findings] == [path]
    assert (path.with_name(f"{path.name}.damaged").read_bytes(), path.exists()) == (harmed, False)
    for manifest in mixed.root.glob("mixes/*/*/manifest.json"):
        manifest.unlink()
    assert mixed.run("j").ok() and mixed.run("placed").ok()
    assert plans(mixed) == before
    assert examine(mixed).findings == ()


def test_a_slice_of_another_run_is_set_aside(mixed: Workshop) -> None:
    before = plans(mixed)
    [own] = mixed.root.glob("mixes/placed/*/packs/00000.parquet")
    another = own.with_name("00007.parquet")
    another.write_bytes(own.read_bytes())
    [finding] = examine(mixed).findings
    assert (Path(finding.uri), finding.what) == (another, "a slice of another run, its manifest does not name it")
    assert "makes it again" not in finding.then
    assert "curate run" not in telling.examined(Examination("", 1, 0, (finding,)), only_looked=False)
    assert another.with_name("00007.parquet.damaged").exists()
    assert plans(mixed) == before
    assert examine(mixed).findings == ()


def test_a_damaged_manifest_of_a_mix_is_a_finding(mixed: Workshop) -> None:
    edit(glob(mixed, "mixes/j/*/manifest.json"), cut)
    for mend in (False, True):
        [finding] = examine(mixed, mend).findings
        assert finding.uri.endswith("manifest.json")
    assert mixed.run("j").ok()
    assert examine(mixed).findings == ()


GONE = ("mixes/j/*/packs.parquet", "mixes/j/*/steps.parquet", "mixes/placed/*/packs/00000.parquet")


@pytest.mark.parametrize("pattern", GONE)
@pytest.mark.parametrize("alone", [False, True], ids=["", "no lengths"])
def test_a_file_of_a_plan_that_is_gone_is_a_finding(mixed: Workshop, pattern: str, alone: bool) -> None:
    before = plans(mixed)
    path = glob(mixed, pattern)
    path.unlink()
    if alone:
        shutil.rmtree(mixed.root / "lengths")
    for mend in (False, True):
        [finding] = examine(mixed, mend).findings
        assert (Path(finding.uri), finding.what, finding.then) == (path, "gone", "the next run makes it again")
    said = telling.examined(examine(mixed), only_looked=False)
    assert said.endswith("curate run the job again to repair")
    assert mixed.run("j").ok() and mixed.run("placed").ok()
    assert plans(mixed) == before
    assert examine(mixed).findings == ()


def test_steps_of_another_mix_are_set_aside(mixed: Workshop) -> None:
    before = plans(mixed)
    own, other = (glob(mixed, f"mixes/{name}/*/steps.parquet") for name in ("j", "placed"))
    own.write_bytes(other.read_bytes())
    assert len(examine(mixed, mend=False).findings) == 1 and own.exists()
    [finding] = examine(mixed).findings
    assert (Path(finding.uri), "set aside" in finding.then, own.exists()) == (own, True, False)
    assert "mix 'placed', digest" in finding.what
    assert mixed.run("j").ok()
    assert plans(mixed) == before
    assert examine(mixed).findings == ()


def test_steps_of_another_digest_are_set_aside(mixed: Workshop) -> None:
    own = glob(mixed, "mixes/j/*/steps.parquet")
    table = pq.ParquetFile(own).read()
    place = table.column_names.index("digest")
    pq.write_table(table.set_column(place, "digest", pa.array(["0" * 16] * table.num_rows)), own)
    assert [Path(finding.uri) for finding in examine(mixed).findings] == [own]


@pytest.fixture
def recipes(workshop: Workshop) -> Workshop:
    """A root of a mix that measures a job, its children, and a file; the job's lengths are two files for each."""
    workshop.captions(count=8, shard_rows=4)
    workshop.write("jobs/mine.yaml", "from: tiny\naugment: [square_pad]\n")
    turns = [{"from": "human", "value": "what"}, {"from": "gpt", "value": "that"}]
    workshop.write("theirs.json", json.dumps([{"conversations": turns}]))
    workshop.tokenizer()
    parts = "\n  a: {from: mine}\n  b: {from: mine, derived: square_pad}\n"
    parts += f"  theirs: {{from: {workshop.folder}/theirs.json}}"
    workshop.write("jobs/j.yaml", f"mix: {parts}\ntokens: {{tokenizer: {workshop.folder}/tokenizer.json}}\n")
    workshop.run("j")
    return workshop


@pytest.mark.parametrize("kind", ["theirs", "recipe"])
def test_lengths_of_another_component_are_set_aside(recipes: Workshop, kind: str) -> None:
    before = plans(recipes)
    assert examine(recipes).findings == ()
    by_recipe = {
        pq.ParquetFile(path).read()["recipe"][0].as_py(): path
        for path in recipes.root.glob("lengths/mine/*/00001.parquet")
    }
    own = by_recipe[""]
    other = by_recipe["square_pad"] if kind == "recipe" else glob(recipes, "lengths/theirs/*/00000.parquet")
    own.write_bytes(other.read_bytes())
    # Of two files of one job, which is the stranger cannot be told: both are measured again.
    wrong = {own, own.with_name("00000.parquet")} if kind == "recipe" else {own}
    for mend in (False, True):
        found = examine(recipes, mend).findings
        assert {Path(finding.uri) for finding in found} == wrong
        assert all(("job 'theirs'" if kind == "theirs" else "recipe '") in finding.what for finding in found)
    assert not any(path.exists() for path in wrong)
    glob(recipes, "mixes/j/*/manifest.json").unlink()
    assert recipes.run("j").ok()
    assert plans(recipes) == before
    assert examine(recipes).findings == ()
