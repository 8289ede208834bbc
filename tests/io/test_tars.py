"""Tars: deterministic when written, bounded and unforgiving when read."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import OutsideError, ShardError
from curate.io import tars

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
MEMBERS = [("a.jpg", b"picture"), ("sub/b.json", b"{}"), ("empty.jpg", b""), ("block.jpg", bytes(512))]
LONG = "folder/" * 30 + "été-" + "x" * 120 + ".jpg"


def read(data, suffixes=("",), limit=1 << 20):
    return list(tars.tar_members(io.BytesIO(data), suffixes, limit))


def packed(entries):
    """A tar of (TarInfo, data), as the standard library writes it."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in entries:
            if isinstance(info, str):
                info = tarfile.TarInfo(info)
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def test_what_is_written_is_read_back_at_its_offsets(tmp_path):
    members = [*MEMBERS, (LONG, b"long"), ("ünïcödé.jpg", b"u")]
    path = tmp_path / "x.tar"
    index = tars.write_tar(path, iter(members))
    data = path.read_bytes()
    assert [name for name, _, _ in index] == [name for name, _ in members]
    assert [data[offset : offset + size] for _, offset, size in index] == [d for _, d in members]
    assert read(data) == members
    with tarfile.open(path) as archive:
        assert archive.getnames() == [name for name, _ in members]
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname) for m in archive} == {(0, 0, 0, "", "")}


def test_the_same_members_give_the_same_bytes(tmp_path):
    for name in "ab":
        tars.write_tar(tmp_path / name, MEMBERS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_empty_tar(tmp_path):
    assert tars.write_tar(tmp_path / "x", []) == []
    assert read((tmp_path / "x").read_bytes()) == []


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up", "a/../../b", "", ".", "\\a", "a\\..\\b", "a\0b", "./a", "a//b"]
)
def test_unsafe_names_are_not_written(name, tmp_path):
    with pytest.raises(ValueError, match="safe"):
        tars.write_tar(tmp_path / "x", [(name, b"")])


def test_only_safe_regular_files_are_yielded():
    link, device, folder = tarfile.TarInfo("link.jpg"), tarfile.TarInfo("null.jpg"), tarfile.TarInfo("d.jpg")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    device.type, folder.type = tarfile.CHRTYPE, tarfile.DIRTYPE
    hard = tarfile.TarInfo("hard.jpg")
    hard.type, hard.linkname = tarfile.LNKTYPE, "a.jpg"
    names = ["/abs.jpg", "../up.jpg", "x/../../up.jpg", "./a.jpg", "b.JPG", "note.txt"]
    data = packed([(e, b"") for e in (link, device, folder, hard)] + [(name, b"1") for name in names])
    assert read(data, (".jpg", ".json")) == [("a.jpg", b"1")]


def test_large_members_are_named_but_not_read():
    data = packed([("big.jpg", bytes(5000)), ("small.jpg", b"1")])
    assert [(name, body is None) for name, body in read(data, limit=4999)] == [("big.jpg", True), ("small.jpg", False)]
    assert [name for name, _ in read(data, limit=5000)] == ["big.jpg", "small.jpg"]


def test_too_many_members(monkeypatch):
    monkeypatch.setattr(tars, "MAX_MEMBERS", 3)
    with pytest.raises(ShardError, match="more than 3"):
        read(packed([(f"{i}.jpg", b"") for i in range(4)]))


def test_a_name_that_is_not_text_is_text_all_the_same():
    header = bytearray(packed([("cafe.jpg", b"1")]))
    header[3] = 0xE9
    header[148:156] = b"%06o\0 " % sum(header[:148] + b" " * 8 + header[156:512])
    [(name, _)] = read(bytes(header))
    assert name == "caf\\xe9.jpg"


def test_every_cut_yields_what_was_sound_and_says_where():
    data = packed([("a.jpg", b"1" * 600), ("b.jpg", b"2")])
    end = data.index(bytes(1024), 2000)
    for cut in range(0, 2048 + 512, 64):
        got = []
        with pytest.raises(ShardError) as caught:
            for member in tars.tar_members(io.BytesIO(data[:cut]), (".jpg",), 1 << 20):
                got.append(member)
        assert len(got) == (cut >= 1536) + (cut >= 2560)
        if cut >= 1536:
            assert "a.jpg" in str(caught.value) or "b.jpg" in str(caught.value)
    assert end
    assert len(read(data[: 2560 + 512])) == 2


def test_a_corrupt_header_is_not_the_end_of_the_archive():
    data = bytearray(packed([("a.jpg", b"1"), ("b.jpg", b"2"), ("c.jpg", b"3")]))
    data[1024] ^= 0xFF
    got = []
    with pytest.raises(ShardError, match=r"corrupt after 'a\.jpg'"):
        for member in tars.tar_members(io.BytesIO(bytes(data)), (".jpg",), 100):
            got.append(member)
    assert got == [("a.jpg", b"1")]


def test_a_stream_that_breaks_is_named_by_its_kind():
    class Broken(io.BytesIO):
        def __init__(self, error):
            super().__init__()
            self.error = error

        def read(self, size=-1):
            raise self.error

    with pytest.raises(ShardError, match="reset"):
        list(tars.tar_members(Broken(OSError("connection reset")), ("",), 10))
    with pytest.raises(OutsideError):
        list(tars.tar_members(Broken(OutsideError("store")), ("",), 10))


@given(st.binary(max_size=3000))
@settings(max_examples=60, deadline=None)
def test_noise_is_a_shard_error(noise):
    try:
        read(noise)
    except ShardError:
        return
    assert not any(noise[:512])


@given(st.lists(st.tuples(st.integers(0, 2559), st.integers(0, 255)), max_size=6))
@settings(max_examples=80, deadline=None)
def test_a_damaged_archive_ends_in_members_or_a_shard_error(damage):
    data = bytearray(packed([("a.jpg", b"1" * 600), (LONG, b"2"), ("c.jpg", b"3")]))
    for position, value in damage:
        data[position] = value
    try:
        for name, _ in read(bytes(data)):
            assert tars.safe_name(name) == name
    except ShardError:
        pass


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_hostile_archives_end_in_members_or_a_shard_error():
    paths = sorted((SHARED / "hostile_tar").rglob("*.tar"))
    assert len(paths) > 10
    found = {}
    for path in paths:
        names = []
        try:
            with path.open("rb") as stream:
                names.extend(name for name, _ in tars.tar_members(stream, ("",), 1 << 20))
            found[path.name] = names
        except ShardError:
            found[path.name] = None
    assert found["reading_files.tar"] == ["a", "b"]
    assert found["simple_missing_last_header.tar"] is not None
    assert found["empty_filename.tar"] is None
    assert found["link.tar"] is not None and "lnk" not in found["link.tar"]


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_real_archives_read_as_the_standard_library_reads_them():
    for path in sorted((SHARED / "webdataset").rglob("*.tar")):
        try:
            with tarfile.open(path, "r:") as archive:
                want = [(tars.safe_name(m.name), archive.extractfile(m).read()) for m in archive if m.isreg()]
        except tarfile.ReadError:
            continue
        assert read(path.read_bytes(), limit=1 << 30) == want
