"""Conceptual 12M: shards found by offset, rows read back exactly, bad rows named."""

import itertools
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import ConfigError, ShardError
from curate.io import storage
from curate.shards import ShardInput
from curate.sources import cc12m

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "annotations" / "cc12m"


def read(uri, shard_rows):
    return [list(cc12m.rows(part)) for part in cc12m.plan([uri], shard_rows)]


def written(tmp_path, data, name="cc12m.tsv"):
    (tmp_path / name).write_bytes(data)
    return str(tmp_path / name)


def test_rows_and_shards(tmp_path):
    uri = written(tmp_path, b"http://a/1\tone\nhttp://a/2\ttwo\ttabs\nhttp://a/3\t\xc3\xa9t\xc3\xa9\r\n")
    assert list(cc12m.plan([uri], 2)) == [ShardInput(uri, 0, 2, 0, 35), ShardInput(uri, 2, 1, 35, 18)]
    first, second = read(uri, 2)
    assert [(r.key, r.url, r.text) for r in first + second] == [
        ("cc12m:0", "http://a/1", "one"),
        ("cc12m:1", "http://a/2", "two\ttabs"),
        ("cc12m:2", "http://a/3", "été"),
    ]
    assert all(r.error is None and r.picture is None for r in first + second)


@pytest.mark.parametrize("tail", [b"", b"\n"])
def test_the_last_line_needs_no_line_end(tail, tmp_path):
    uri = written(tmp_path, b"http://a\tx\nhttp://b\ty" + tail)
    assert [len(shard) for shard in read(uri, 1)] == [1, 1]
    assert [part.rows for part in cc12m.plan([uri], 5)] == [2]


def test_an_empty_file_has_no_shards(tmp_path):
    assert list(cc12m.plan([written(tmp_path, b"")], 5)) == []


def test_bad_rows_are_rows(tmp_path):
    lines = [b"http://a no tab", b"http://a\t\xff\xfe", b"\tno url", b"  \tno url", b"", b"http://ok\tfine"]
    [rows] = read(written(tmp_path, b"\n".join(lines)), 10)
    assert [r.error[0] if r.error else None for r in rows] == [
        "bad_row",
        "bad_text",
        "bad_row",
        "bad_row",
        "bad_row",
        None,
    ]
    assert [r.key for r in rows] == [f"cc12m:{i}" for i in range(6)]


def test_a_byte_order_mark_is_no_part_of_the_url(tmp_path):
    [[row]] = read(written(tmp_path, b"\xef\xbb\xbfhttp://a\tx"), 1)
    assert row.url == "http://a"


def test_a_caption_may_be_empty(tmp_path):
    [[row]] = read(written(tmp_path, b"http://a\t\n"), 1)
    assert (row.text, row.error) == ("", None)


@pytest.mark.parametrize("extra", [-1, 0, 1, 500])
def test_a_line_without_end_costs_one_row(extra, tmp_path, monkeypatch):
    monkeypatch.setattr(cc12m, "MAX_LINE_BYTES", 100)
    long = b"http://a\t" + b"x" * (91 + extra)
    [rows] = read(written(tmp_path, long + b"\nhttp://b\ty\n" + long), 10)
    codes = [r.error and r.error[0] for r in rows]
    assert codes == (["bad_row", None, "bad_row"] if extra >= 0 else [None, None, None])


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=40),
    shard_rows=st.integers(1, 9),
    block=st.integers(1, 50),
    tail=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_offsets_do_not_depend_on_blocks(lengths, shard_rows, block, tail):
    lines = [b"http://x/%d\t" % i + b"y" * n for i, n in enumerate(lengths)]
    data = b"\n".join(lines) + (b"\n" if tail else b"")
    uri = "memory://offsets/lines.tsv"
    storage.write_bytes(uri, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cc12m, "_SCAN_BYTES", block)
        parts = list(cc12m.plan([uri], shard_rows))
    assert parts == list(cc12m.plan([uri], shard_rows))
    assert sum(part.size for part in parts) == len(data)
    wanted = [lines[i : i + shard_rows] for i in range(0, len(lines), shard_rows)]
    for part, want in zip(parts, wanted, strict=True):
        assert [r.text for r in cc12m.rows(part)] == [line.split(b"\t")[1].decode() for line in want]


def test_a_large_shard_is_streamed(tmp_path, monkeypatch):
    uri = written(tmp_path, b"".join(b"http://a/%d\tx\n" % i for i in range(20)))
    want = read(uri, 7)
    monkeypatch.setattr(cc12m, "_WHOLE_BYTES", 1)
    assert read(uri, 7) == want


def test_planning_is_lazy(tmp_path, monkeypatch):
    monkeypatch.setattr(cc12m, "_SCAN_BYTES", 10)
    uri = written(tmp_path, b"http://a\tx\n" * 1000)
    plan = cc12m.plan([uri, str(tmp_path / "absent.tsv")], 10)
    assert next(plan).rows == 10
    with pytest.raises(ConfigError, match=r"absent\.tsv"):
        list(plan)


def test_two_files_of_one_name_are_refused(tmp_path):
    (tmp_path / "b").mkdir()
    uris = [written(tmp_path, b"u\tc"), written(tmp_path / "b", b"u\tc")]
    with pytest.raises(ConfigError, match="two files are named cc12m"):
        list(cc12m.plan(uris, 1))


def test_a_file_that_shrank_or_went_is_a_shard_error(tmp_path):
    uri = written(tmp_path, b"http://a\tx\n" * 10)
    part = list(cc12m.plan([uri], 5))[1]
    written(tmp_path, b"http://a\tx\n" * 7)
    with pytest.raises(ShardError, match="planned"):
        list(cc12m.rows(part))
    Path(uri).unlink()
    with pytest.raises(ShardError, match="gone"):
        list(cc12m.rows(part))


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_real_rows(tmp_path):
    path = SHARED / "huggingface__datasets/datasets/conceptual_12m/dummy/0.0.0/dummy_data.zip"
    with zipfile.ZipFile(path) as archive:
        data = archive.read("dummy_data/cc12m.tsv")
    rows = list(itertools.chain(*read(written(tmp_path, data), 2)))
    assert len(rows) == 5
    assert all(r.error is None and r.url.startswith("https://") for r in rows)
    assert rows[1].text == "Two syringes and a small vial of vaccine."
