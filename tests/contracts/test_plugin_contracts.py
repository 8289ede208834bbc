"""What every plug-in owes, over the folders: a new file is under test the moment it exists."""

import dataclasses
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curate import checks, listing, plugins, schema
from curate.catalog import load_catalog
from curate.errors import SampleError
from curate.io import tables, warehouse
from curate.kernels import boxes
from curate.plugins import Project
from curate.sample import Grounded, ImageRef, Record, Region, Sample, Turn, sample_id
from curate.shards import Needs, ShardInput

PROJECT = Project(str(plugins.shipped()))
HEIGHT, WIDTH = 90, 140
TEXT = "a red circle to the left of a blue square 🎈 in the rain"


def names(kind: str) -> list[str]:
    return plugins.names(kind, PROJECT)


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def sample(number: int = 0, **changes: Any) -> Sample:
    image = ImageRef("m.jpg", 0, 1, "00", "00", "jpeg", WIDTH, HEIGHT, WIDTH, HEIGHT, 1)
    regions = (
        Region("a red circle", ((0.1, 0.2, 0.4, 0.8),), None, 0, 12, 0.9, ("noun_chunk",)),
        Region("a blue square", ((0.5, 0.25, 0.9, 0.75), (0.0, 0.0, 1.0, 0.125)), None, 28, 41),
    )
    base = Sample(sample_id("t", str(number)), "t", 0, number, str(number), images=(image,), text=TEXT, regions=regions)
    return dataclasses.replace(base, **changes)


def samples_table() -> pa.Table:
    bare = sample(1, regions=(), text="no boxes here")
    return schema.to_table([sample(0), bare, sample(2, text=None, regions=())])


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_each_plugin_says_what_it_is(kind: str) -> None:
    described = dict(listing.described(kind, PROJECT))
    assert described.keys() == set(names(kind))
    assert all(len(what) > 10 for what in described.values()), described


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_versions_are_whole_numbers(kind: str) -> None:
    for name in names(kind):
        version = getattr(plugins.load(kind, name, PROJECT), "VERSION", None)
        assert version is None or (isinstance(version, int) and version >= 1), name
        if kind in ("scorers", "augmenters"):
            assert version is not None, f"{kind}/{name} has no VERSION: its results are stored by it"


@pytest.mark.parametrize("name", names("sources"))
def test_source(name: str, tmp_path: Path) -> None:
    source = plugins.load("sources", name, PROJECT)
    assert list(inspect.signature(source.plan).parameters) == ["uris", "shard_rows"]
    assert list(inspect.signature(source.rows).parameters) == ["part"]
    assert list(source.plan([], 10)) == []
    with pytest.raises(Exception, match=r"absent|no such|cannot") as caught:
        list(source.rows(ShardInput(str(tmp_path / "absent.tar"), 0, 1)))
    assert type(caught.value).__name__ in ("ShardError", "ConfigError")


@pytest.mark.parametrize("name", names("scorers"))
def test_scorer(name: str) -> None:
    scorer = plugins.load("scorers", name, PROJECT)
    assert isinstance(scorer.NEEDS, Needs)
    assert dataclasses.is_dataclass(scorer.Options)
    assert all(len(meaning) > 5 for meaning in scorer.COLUMNS.values())
    wanted = {field.name for field in dataclasses.fields(scorer.Options)}
    options = scorer.Options(**({"model": "tiny"} if "model" in wanted else {}))
    built = scorer.Scorer(options)
    for table in (samples_table(), samples_table().slice(0, 0)):
        payload = pickle.loads(pickle.dumps(scorer.prepare(table, picture, options)))
        measured = built.score(payload)
        assert measured.keys() == scorer.COLUMNS.keys()
        assert {len(values) for values in measured.values()} == {table.num_rows}


@pytest.mark.parametrize("name", names("scorers"))
def test_a_picture_that_no_longer_opens_does_not_end_a_scorer(name: str) -> None:
    scorer = plugins.load("scorers", name, PROJECT)
    wanted = {field.name for field in dataclasses.fields(scorer.Options)}
    options = scorer.Options(**({"model": "tiny"} if "model" in wanted else {}))

    def lost(row: int) -> np.ndarray:
        raise SampleError("corrupt", "planted")

    measured = scorer.Scorer(options).score(scorer.prepare(samples_table(), lost, options))
    assert {len(values) for values in measured.values()} == {3}


@pytest.mark.parametrize("name", names("augmenters"))
def test_augmenter_moves_boxes_as_its_affine_says(name: str) -> None:
    augmenter = plugins.load("augmenters", name, PROJECT)
    parent, pixels = sample(), picture()
    before = pixels.copy()
    made = augmenter.augment(parent, pixels, np.random.default_rng(0))
    assert np.array_equal(pixels, before), "the parent's pixels were written to"
    height, width = made.pixels.shape[:2]
    for old, new in zip(parent.regions, made.sample.regions, strict=True):
        moved = boxes.apply_affine(np.array(old.boxes) * [WIDTH, HEIGHT, WIDTH, HEIGHT], made.affine)
        assert np.allclose(moved, np.array(new.boxes) * [width, height, width, height], atol=0.5)
        assert made.sample.text is not None
        assert made.sample.text[new.start : new.end] == new.phrase
    one = augmenter.augment(parent, pixels, np.random.default_rng(5))
    two = augmenter.augment(parent, pixels, np.random.default_rng(5))
    assert np.array_equal(one.pixels, two.pixels)
    assert one.sample == two.sample


@pytest.mark.parametrize("name", names("codecs"))
def test_codec_round_trip(name: str) -> None:
    codec = plugins.load("codecs", name, PROJECT)
    assert frozenset({"text", "spans", "phrases", "relations", "score", "tags"}) >= codec.HOLDS
    assert codec.FRAME in ("original", "square_pad", "none")
    first = sample()
    grounded = Grounded(TEXT, first.regions)
    back = codec.decode(codec.encode(grounded, WIDTH, HEIGHT), WIDTH, HEIGHT)
    if "text" in codec.HOLDS:
        assert back.text == TEXT
    told = [region for place, region in enumerate(grounded.regions) if place not in codec.uncoded(grounded)]
    if "spans" in codec.HOLDS:
        assert [(region.start, region.end) for region in back.regions] == [(r.start, r.end) for r in told]
    if codec.HOLDS & {"spans", "phrases"}:
        assert [region.phrase for region in back.regions] == [region.phrase for region in told]
    if "score" in codec.HOLDS:
        assert [region.score for region in back.regions] == [region.score for region in told]
    assert len(back.regions) == len(told)
    for old, new in zip(told, back.regions, strict=True):
        # TOLERANCE is of the frame that the codec writes in; the longer side is its unit.
        scale = max(WIDTH, HEIGHT) / np.array([WIDTH, HEIGHT, WIDTH, HEIGHT]) if codec.FRAME == "square_pad" else 1.0
        assert np.all(np.abs(np.array(old.boxes) - np.array(new.boxes)) <= codec.TOLERANCE * scale + 1e-9)


@pytest.mark.parametrize("name", names("codecs"))
@pytest.mark.parametrize("box", [(0.0, float("nan"), 1.0, 1.0), (0.0, 0.0, float("inf"), 1.0)])
def test_codec_refuses_a_box_that_is_no_number(name: str, box: tuple[float, ...]) -> None:
    codec = plugins.load("codecs", name, PROJECT)
    if codec.FRAME != "none":
        with pytest.raises(SampleError, match="bad_box"):
            codec.encode(Grounded("a dog", (Region("a dog", (box,), start=0, end=5),)), WIDTH, HEIGHT)


@pytest.mark.parametrize("name", names("exporters"))
@pytest.mark.parametrize("count", [0, 1, 3])
def test_exporter(name: str, count: int, tmp_path: Path) -> None:
    module = plugins.load("exporters", name, PROJECT)
    exporter = module.Exporter(tmp_path, f"out{module.SUFFIX}")
    turns = (Turn("human", "<image>\nwhat 🎈 is this?"), Turn("gpt", "a </script> circle"))
    for number in range(count):
        exporter.write(Record(f"id{number}", "part", turns, f"t/{number}.jpg", b"jpeg", WIDTH, HEIGHT))
    exporter.write(Record("bare", "part", (Turn("human", "hi"), Turn("gpt", "ho")), None, None, 0, 0))
    files = exporter.close()
    assert files
    assert all((tmp_path / file).is_file() for file in files)
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("name", names("filters"))
def test_filter_gives_each_sample_one_verdict(name: str) -> None:
    sql = warehouse.read_sql(plugins.find("filters", name, PROJECT))
    assert sql.startswith("--"), "the first line says what the filter is"
    given = dict.fromkeys(warehouse.parameters(sql), 0.5)
    for table in (samples_table(), samples_table().slice(0, 0)):
        house = warehouse.Warehouse(threads=1)
        house.add("samples", table, schema.SAMPLES)
        house.add("corpus", table, schema.SAMPLES)
        for scorer in names("scorers"):
            columns = {
                column: pa.array([], pa.float64()) for column in plugins.load("scorers", scorer, PROJECT).COLUMNS
            }
            house.add(scorer, pa.table({"sample_id": pa.array([], pa.string()), **columns}), pa.schema([]))
        found = house.table(sql, given)
        assert found.column_names[:2] == ["sample_id", "reason"]
        assert sorted(found["sample_id"].to_pylist()) == sorted(table["sample_id"].to_pylist())


@pytest.mark.parametrize("name", names("datasets"))
def test_catalog(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = load_catalog(name, PROJECT)
    plugins.load("sources", catalog.source, PROJECT)
    assert catalog.licence
    assert name.startswith("demo_") or (catalog.citation and catalog.rows)


@pytest.mark.parametrize("name", names("jobs"))
def test_job_has_no_mistakes(name: str) -> None:
    assert checks.check(name, PROJECT) == []


def test_every_view_opens_on_an_empty_root(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "plan.json").write_text("{}")
    from curate.views import open_root

    house = open_root(str(tmp_path), PROJECT)
    for view in plugins.files(PROJECT, "sql/views", ".sql"):
        assert house.answer(f"select count(*) from {view}").rows == ((0,),)


def test_samples_table_is_readable_by_its_schema_version(tmp_path: Path) -> None:
    uri = str(tmp_path / "x.parquet")
    tables.write_table(uri, samples_table(), {"curate.schema": str(schema.VERSION)})
    assert tables.read_metadata(uri)["curate.schema"] == "1"
    assert [each.sample_id for each in schema.from_table(tables.read_table(uri))] == [
        each.sample_id for each in schema.from_table(samples_table())
    ]
    assert json.loads(json.dumps(tables.read_table(uri).to_pylist(), default=str))
