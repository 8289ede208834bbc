"""GRiT: entries grouped into regions, ranges cut at files, a bad entry named in the books."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.errors import ConfigError, ShardError
from curate.io import storage
from curate.shards import ShardInput
from curate.sources import grit

ROOT = Path(__file__).parents[2]
HOSTILE = ROOT.parent / "shared" / "data" / "parquet"
CAPTION = "a wire hanger with a paper cover that reads we heart our customers"
HANGER = [0.0196, 0.3105, 0.9622, 0.9603]

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("clip_similarity_vitb32", pa.float64()),
        ("clip_similarity_vitl14", pa.float64()),
        ("id", pa.int64()),
        ("url", pa.string()),
        ("caption", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("noun_chunks", pa.list_(pa.list_(pa.float64()))),
        ("ref_exps", pa.list_(pa.list_(pa.float64()))),
    ]
)


def row(**changes):
    """One row of the data card's own example, with changes."""
    whole = {
        "key": "000373938",
        "clip_similarity_vitb32": 0.35,
        "clip_similarity_vitl14": 0.27,
        "id": 1795296605919,
        "url": "https://www.thestrapsaver.com/wp-content/uploads/customerservice-1.jpg",
        "caption": CAPTION,
        "width": 1024,
        "height": 693,
        "noun_chunks": [[19, 32, *HANGER, 0.79298526], [0, 13, *HANGER, 0.67520964]],
        "ref_exps": [[19, 66, *HANGER, 0.79298526], [0, 66, *HANGER, 0.67520964]],
    }
    return {**whole, **changes}


def written(tmp_path, rows, name="coyo_0_snappy.parquet", schema=SCHEMA, group=1000):
    uri = str(tmp_path / name)
    pq.write_table(pa.Table.from_pylist(rows, schema), uri, compression="snappy", row_group_size=group)
    return uri


def read(uri, shard_rows=100):
    return [r for part in grit.plan([uri], shard_rows) for r in grit.rows(part)]


def one(tmp_path, **changes):
    [found] = read(written(tmp_path, [row(**changes)]))
    return found


def test_the_example_of_the_data_card(tmp_path):
    found = one(tmp_path)
    assert (found.key, found.text, found.declared_wh) == ("1795296605919", CAPTION, (1024, 693))
    assert found.url.startswith("https://www.thestrapsaver.com/")
    assert [(r.phrase, r.start, r.end, r.tags) for r in found.regions] == [
        ("a paper cover", 19, 32, ("noun_chunk",)),
        ("a wire hanger", 0, 13, ("noun_chunk",)),
        ("a paper cover that reads we heart our customers", 19, 66, ("ref_exp",)),
        (CAPTION, 0, 66, ("ref_exp",)),
    ]
    assert found.regions[0].boxes == (tuple(HANGER),)
    assert found.regions[0].score == 0.79298526
    assert json.loads(found.meta) == {
        "key": "000373938",
        "clip_similarity_vitb32": 0.35,
        "clip_similarity_vitl14": 0.27,
    }


def test_boxes_of_one_span_are_one_region_in_order(tmp_path):
    a, b = [0.1, 0.1, 0.2, 0.2], [0.3, 0.3, 0.4, 0.4]
    chunks = [[0, 6, *a, 0.9], [19, 32, *b, 0.8], [0, 6, *b, 0.7]]
    regions = one(tmp_path, noun_chunks=chunks, ref_exps=[]).regions
    assert [(r.start, r.boxes, r.score) for r in regions] == [
        (0, (tuple(a), tuple(b)), 0.7),
        (19, (tuple(b),), 0.8),
    ]


def test_a_box_listed_twice_is_kept_twice(tmp_path):
    chunks = [[0, 6, *HANGER, 0.9], [0, 6, *HANGER, 0.9]]
    [region] = one(tmp_path, noun_chunks=chunks, ref_exps=None).regions
    assert region.boxes == (tuple(HANGER), tuple(HANGER))


def test_an_expression_that_adds_nothing_is_left_out(tmp_path):
    chunks = [[0, 13, *HANGER, 0.9]]
    assert len(one(tmp_path, noun_chunks=chunks, ref_exps=chunks).regions) == 1
    twice = [*chunks, *chunks]
    assert [r.tags for r in one(tmp_path, noun_chunks=chunks, ref_exps=twice).regions] == [
        ("noun_chunk",),
        ("ref_exp",),
    ]


def test_boxes_are_kept_as_given(tmp_path):
    [region] = one(tmp_path, noun_chunks=[[0, 6, -0.1, 0.9, 1.5, 0.2, 0.9]], ref_exps=[]).regions
    assert region.boxes == ((-0.1, 0.9, 1.5, 0.2),)


def test_spans_count_characters_not_bytes(tmp_path):
    [region] = one(tmp_path, caption="été 🏖 sea", noun_chunks=[[6, 9, *HANGER, 1]], ref_exps=[]).regions
    assert region.phrase == "sea"


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        [0, 6, *HANGER],
        [0, 6, *HANGER, 0.9, 1],
        [0, 6, math.nan, 0, 1, 1, 0.9],
        [0, 6, 0, 0, math.inf, 1, 0.9],
        [0, 6, 1e308, 0, 1, 1, 0.9],
        [0, 6, 0, 0, 1, -1e308, 0.9],
        [0, 6, 0, 1000.1, 1, 1, 0.9],
        [0, 6, *HANGER, math.nan],
        [0, 6, *HANGER, None],
        [0.5, 6, *HANGER, 0.9],
        [-1, 6, *HANGER, 0.9],
        [6, 6, *HANGER, 0.9],
        [0, 67, *HANGER, 0.9],
        [1e300, 2e300, *HANGER, 0.9],
    ],
)
@pytest.mark.parametrize("column", ["noun_chunks", "ref_exps"])
def test_a_bad_entry_fails_its_row_and_only_it(column, entry, tmp_path):
    good = [0, 6, *HANGER, 0.9]
    bad, fine = read(written(tmp_path, [row(**{column: [good, entry]}), row(id=2)]))
    assert (bad.key, bad.regions) == ("1795296605919", ())
    assert bad.error[0] == "bad_region"
    assert bad.error[1].startswith(f"{column[:-1]}[1]")
    assert (fine.key, fine.error) == ("2", None)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"id": None}, "coyo_0_snappy:0"),
        ({"url": None}, "1795296605919"),
        ({"url": ""}, "1795296605919"),
        ({"caption": None}, "1795296605919"),
    ],
)
def test_what_is_missing(changes, key, tmp_path):
    found = one(tmp_path, **changes)
    assert (found.key, found.error[0]) == (key, "bad_row")


def test_what_may_be_missing(tmp_path):
    found = one(tmp_path, width=None, noun_chunks=None, ref_exps=None, key=None, clip_similarity_vitl14=math.nan)
    assert (found.error, found.declared_wh, found.regions) == (None, None, ())
    assert json.loads(found.meta)["clip_similarity_vitl14"] is None


def test_columns_that_other_copies_lack(tmp_path):
    kept = [field for field in SCHEMA if field.name not in ("key", "ref_exps", "width", "clip_similarity_vitb32")]
    rows = [{name: value for name, value in row().items() if name in {f.name for f in kept}}]
    [found] = read(written(tmp_path, rows, schema=pa.schema(kept)))
    assert (found.error, len(found.regions)) == (None, 2)


def test_text_that_is_not_utf8_costs_one_row(tmp_path):
    table = pa.Table.from_pylist([row(id=1), row(id=2)], SCHEMA)
    raw = pa.array([b"\xff\xfe", CAPTION.encode()], pa.binary())
    bad = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    uri = str(tmp_path / "x.parquet")
    pq.write_table(table.set_column(5, "caption", bad), uri)
    first, second = read(uri)
    assert first.error == ("bad_text", "caption is not UTF-8")
    assert second.error is None


@pytest.mark.parametrize("shard_rows", [1, 7, 50, 1000])
def test_ranges_are_cut_at_files_and_rows_are_in_order(shard_rows, tmp_path):
    uris = [
        written(tmp_path, [row(id=f * 1000 + i) for i in range(50)], f"coyo_{f}.parquet", group=20) for f in range(2)
    ]
    parts = list(grit.plan(uris, shard_rows))
    assert all(1 <= part.rows <= shard_rows for part in parts)
    assert next(part.first_row for part in parts if part.uri == uris[1]) == 0
    assert [len(list(grit.rows(part))) for part in parts] == [part.rows for part in parts]
    keys = [r.key for part in parts for r in grit.rows(part)]
    assert keys == [str(f * 1000 + i) for f in range(2) for i in range(50)]


def test_a_file_in_a_store(tmp_path):
    uri = written(tmp_path, [row()])
    storage.put_file(Path(uri), "memory://grit/coyo_0.parquet")
    assert read("memory://grit/coyo_0.parquet") == read(uri)


def test_planning_is_lazy_and_says_what_is_wrong(tmp_path):
    uri = written(tmp_path, [row()] * 3)
    plan = grit.plan([uri, str(tmp_path / "absent.parquet")], 2)
    assert next(plan) == ShardInput(uri, 0, 2)
    with pytest.raises(ConfigError, match=r"absent\.parquet"):
        list(plan)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(ConfigError, match="not a GRiT file: no column caption"):
        list(grit.plan([str(tmp_path / "other.parquet")], 2))


def test_a_broken_file_is_a_shard_error(tmp_path):
    uri = written(tmp_path, [row(id=i) for i in range(3000)])
    [part, *_] = grit.plan([uri], 3000)
    data = bytearray(Path(uri).read_bytes())
    data[200:4000] = b"\xff" * 3800
    Path(uri).write_bytes(data)
    with pytest.raises(ShardError):
        list(grit.rows(part))
    Path(uri).write_bytes(data[:-1])
    with pytest.raises(ShardError):
        list(grit.plan([uri], 3000))
    Path(uri).unlink()
    with pytest.raises(ShardError, match="gone"):
        list(grit.rows(part))


def repeated(tmp_path, rows, **columns):
    """A file of `rows` rows in which each of these values stands once, in a dictionary, whatever its length."""
    one = pa.Table.from_pylist([row(noun_chunks=[], ref_exps=[], **columns)], SCHEMA)
    arrays = [
        pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), column.combine_chunks())
        if pa.types.is_string(column.type)
        else column.take([0] * rows)
        for column in one.columns
    ]
    uri = str(tmp_path / "repeated.parquet")
    table = pa.table(arrays, names=SCHEMA.names)
    pq.write_table(table, uri, compression="zstd", store_schema=False, data_page_size=1 << 30)
    return uri


def test_a_caption_of_megabytes_costs_its_row_and_no_memory(tmp_path):
    uri = repeated(tmp_path, 2000, caption="x" * (4 << 20))
    assert Path(uri).stat().st_size < 20_000
    code = """
import resource, sys
from curate.shards import ShardInput
from curate.sources import grit
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
errors = {row.error for row in grit.rows(ShardInput(sys.argv[1], 0, 2000))}
assert errors == {("bad_row", "caption of 4194304 bytes")}, errors
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    done = subprocess.run([sys.executable, "-c", code, uri], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 300


def test_the_longest_caption_that_passes(tmp_path):
    short, long = read(written(tmp_path, [row(caption="x" * (1 << 20)), row(caption="x" * ((1 << 20) + 1))]))
    assert (short.error, long.error) == (None, ("bad_row", "caption of 1048577 bytes"))


@pytest.mark.parametrize("column", ["noun_chunks", "ref_exps"])
@pytest.mark.parametrize("entries", [[[0, 6, *HANGER, 0.9]] * 10_001, [[0.0] * 100_001], [[]] * 10_001])
def test_entries_without_end(column, entries, tmp_path):
    bad, fine = read(written(tmp_path, [row(**{column: entries}), row(**{column: [[0, 6, *HANGER, 0.9]] * 10_000})]))
    assert (bad.error[0], fine.error) == ("bad_region", None)


@pytest.mark.parametrize(
    ("column", "kind", "value", "word"),
    [
        ("url", pa.int64(), 7, "number"),
        ("url", pa.list_(pa.string()), ["http://a"], "list of text"),
        ("caption", pa.int64(), 7, "number"),
        ("caption", pa.struct([("a", pa.int64())]), {"a": 1}, "struct"),
        ("noun_chunks", pa.string(), "none", "text"),
        ("ref_exps", pa.list_(pa.list_(pa.string())), [["a"]], "list of list of text"),
        ("id", pa.list_(pa.int64()), [1], "list of number"),
        ("width", pa.list_(pa.int64()), [1], "list of number"),
    ],
)
def test_a_column_of_another_type_is_a_shard_error(column, kind, value, word, tmp_path):
    schema = pa.schema([pa.field(f.name, kind) if f.name == column else f for f in SCHEMA])
    with pytest.raises(ShardError, match=f"column {column} holds {word}"):
        read(written(tmp_path, [row(**{column: value})], schema=schema))


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.null()])
def test_texts_of_other_widths_are_texts(kind, tmp_path):
    schema = pa.schema([pa.field(f.name, kind) if f.name in ("caption", "key") else f for f in SCHEMA])
    caption = None if kind == pa.null() else CAPTION
    [found] = read(written(tmp_path, [row(caption=caption, key=caption)], schema=schema))
    assert (found.text, found.error) == ((CAPTION, None) if caption else (None, ("bad_row", "no caption")))


def test_boxes_in_lists_of_a_fixed_size(tmp_path):
    schema = pa.schema([pa.field("noun_chunks", pa.list_(pa.list_(pa.float64(), 7))), *[f for f in SCHEMA][:8]])
    found = read(written(tmp_path, [row(), row(noun_chunks=[]), row(noun_chunks=None)], schema=schema))
    assert [(r.error, len(r.regions)) for r in found] == [(None, 2), (None, 0), (None, 0)]


@pytest.mark.skipif(not HOSTILE.exists(), reason="no shared data")
def test_hostile_files_never_crash():
    code = """
import sys
from pathlib import Path
from curate.errors import ConfigError, ShardError
from curate.shards import ShardInput
from curate.sources import grit
for path in sorted(Path(sys.argv[1]).rglob("*.parquet")):
    try:
        list(grit.plan([str(path)], 10))
        raise AssertionError(path)
    except (ConfigError, ShardError):
        pass
    try:
        assert all(row.error for row in grit.rows(ShardInput(str(path), 0, 1)))
    except ShardError:
        pass
"""
    done = subprocess.run([sys.executable, "-c", code, str(HOSTILE)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
