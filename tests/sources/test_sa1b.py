"""SA-1B: pictures meet their masks, halves are named, links may be renewed."""

import contextlib
import io
import json
import random
import tarfile
from pathlib import Path

import pytest

from curate.errors import ConfigError, ShardError
from curate.io import storage, tars
from curate.shards import ShardInput
from curate.sources import sa1b

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
REAL = SHARED / "annotations/sa1b_format/openvinotoolkit__datumaro/tests/assets/segment_anything_dataset"


def mask(**changes):
    whole = {
        "id": 7,
        "segmentation": {"size": [50, 100], "counts": "abc"},
        "bbox": [10.0, 5.0, 20.0, 25.0],
        "area": 321,
        "predicted_iou": 0.95,
        "stability_score": 0.97,
        "crop_box": [0, 0, 100, 50],
        "point_coords": [[12.0, 6.0]],
    }
    return {**whole, **changes}


def note(stem, masks=None, **image):
    head = {"image_id": 1, "width": 100, "height": 50, "file_name": f"{stem}.jpg", **image}
    return json.dumps({"image": head, "annotations": [mask()] if masks is None else masks}).encode()


def packed(tmp_path, members, name="sa_000020.tar"):
    tars.write_tar(tmp_path / name, members)
    return str(tmp_path / name)


def read(uri):
    [part] = sa1b.plan([uri], 10)
    return list(sa1b.rows(part))


def pairs(count):
    return [m for i in range(count) for m in ((f"sa_{i}.jpg", b"J%d" % i), (f"sa_{i}.json", note(f"sa_{i}")))]


def test_a_pair(tmp_path):
    uri = packed(tmp_path, pairs(1))
    assert list(sa1b.plan([uri], 10)) == [ShardInput(uri)]
    [row] = read(uri)
    assert (row.key, row.picture, row.declared_wh, row.error) == ("sa_000020/sa_0", b"J0", (100, 50), None)
    [region] = row.regions
    assert region.boxes == ((0.1, 0.1, 0.3, 0.6),)
    assert (region.phrase, region.start, region.score, region.tags) == ("", None, 0.95, ("mask",))
    assert json.loads(row.meta) == {
        "image_id": 1,
        "annotations": [
            {
                "id": 7,
                "area": 321,
                "predicted_iou": 0.95,
                "stability_score": 0.97,
                "size": [50, 100],
                "counts": "abc",
            }
        ],
    }


def test_pairs_meet_wherever_they_stand(tmp_path):
    members = pairs(20)
    random.Random(3).shuffle(members)
    rows = read(packed(tmp_path, members))
    assert sorted(r.key for r in rows) == sorted(f"sa_000020/sa_{i}" for i in range(20))
    assert all(r.error is None and r.picture == b"J" + r.key.split("_")[-1].encode() for r in rows)


def test_halves_are_rows_too(tmp_path):
    members = [("sa_1.jpg", b"1"), ("sa_2.json", note("sa_2")), *pairs(1), ("readme.txt", b"")]
    rows = read(packed(tmp_path, members))
    assert [(r.key, r.error and r.error[0]) for r in rows] == [
        ("sa_000020/sa_0", None),
        ("sa_000020/sa_1", "no_annotation"),
        ("sa_000020/sa_2", "no_picture"),
    ]


def test_a_folder_of_the_tars_name_is_no_part_of_the_key(tmp_path):
    members = [("sa_000020/sa_1.jpg", b"1"), ("sa_000020/sa_1.json", note("sa_1"))]
    [row] = read(packed(tmp_path, members))
    assert row.key == "sa_000020/sa_1"


def test_a_second_file_of_one_name_makes_no_second_row(tmp_path):
    members = [
        *pairs(2),
        *pairs(1),
        ("sa_9.jpg", b"first"),
        ("sa_9.jpg", b"second"),
        ("sa_9.json", note("9")),
    ]
    rows = read(packed(tmp_path, members))
    assert [r.key[-4:] for r in rows] == ["sa_0", "sa_1", "sa_9"]
    assert rows[2].picture == b"first"


def test_what_waits_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(sa1b, "MAX_WAITING_BYTES", 250)
    members = [(f"sa_{i}.jpg", bytes(100)) for i in range(4)]
    members += [(f"sa_{i}.json", b"{}" if i else note("sa_0")) for i in (0, 3)]
    rows = read(packed(tmp_path, members))
    assert [(r.key[-4:], r.error and r.error[0]) for r in rows] == [
        ("sa_0", "no_annotation"),
        ("sa_1", "no_annotation"),
        ("sa_3", "bad_json"),
        ("sa_2", "no_annotation"),
    ]
    assert "not within 250 bytes" in rows[0].error[1]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"{}",
        b"[" * 100_000,
        b'{"image": {}, "annotations": []}',
        note("x", width=0),
        note("x", width="wide"),
        note("x", width=10**400),
        note("x", masks={"a": 1}),
        note("x", masks=[1]),
        note("x", masks=[mask(bbox=[1, 2, 3])]),
        note("x", masks=[mask(bbox=[1, 2, float("nan"), 3])]),
        note("x", masks=[mask(bbox=None)]),
        note("x", masks=[mask(area=float("inf"))]),
        note("x", masks=[mask(segmentation=[1])]),
        note("x", masks=[mask(predicted_iou="high")]),
    ],
)
def test_a_broken_json_fails_its_row_and_only_it(text, tmp_path):
    bad, fine = read(packed(tmp_path, [("sa_7.jpg", b"7"), ("sa_7.json", text), *pairs(1)]))
    assert (bad.key, bad.error[0], bad.regions) == ("sa_000020/sa_7", "bad_json", ())
    assert fine.error is None


def test_a_picture_without_masks_and_masks_without_scores(tmp_path):
    [row] = read(packed(tmp_path, [("a.jpg", b"1"), ("a.json", note("a", masks=[]))]))
    assert (row.error, row.regions) == (None, ())
    bare = {"bbox": [0, 0, 100, 50]}
    [row] = read(packed(tmp_path, [("a.jpg", b"1"), ("a.json", note("a", masks=[bare]))]))
    assert (row.error, row.regions[0].score, row.regions[0].boxes) == (None, None, ((0, 0, 1, 1),))


def test_a_lone_surrogate_stays_json(tmp_path):
    text = note("a", masks=[mask(segmentation={"size": [1, 1], "counts": "\ud800"})])
    [row] = read(packed(tmp_path, [("a.jpg", b"1"), ("a.json", text)]))
    row.meta.encode()


def test_a_cut_tar_gives_what_was_sound_then_a_shard_error(tmp_path):
    uri = packed(tmp_path, pairs(3))
    data = Path(uri).read_bytes()
    Path(uri).write_bytes(data[: data.index(b"sa_2.json") + 600])
    got = []
    with pytest.raises(ShardError, match=r"sa_2\.json"):
        for row in sa1b.rows(ShardInput(uri)):
            got.append(row)
    assert [r.error for r in got] == [None, None]


def test_a_missing_tar_is_a_shard_error(tmp_path):
    with pytest.raises(ShardError, match=r"sa_000099\.tar"):
        list(sa1b.rows(ShardInput(str(tmp_path / "sa_000099.tar"))))


def test_a_list_of_links_and_its_renewal(tmp_path):
    (tmp_path / "signed-a").mkdir()
    (tmp_path / "signed-b").mkdir()
    first = packed(tmp_path / "signed-a", pairs(1), "opaque1.bin")
    links = tmp_path / "links.tsv"
    head = "file_name\tcdn_link\n"
    links.write_text(f"{head}sa_000020.tar\t{first}\nsa_000021.tar\thttps://x/y.tar?z=1\nmd5sum.txt\thttps://x\n")
    plan = list(sa1b.plan([str(links)], 10))
    assert [part.uri for part in plan] == [f"{links}#tar=sa_000020.tar", f"{links}#tar=sa_000021.tar"]
    [row] = sa1b.rows(plan[0])
    assert row.key == "sa_000020/sa_0"
    second = packed(tmp_path / "signed-b", pairs(1), "opaque2.bin")
    Path(first).unlink()
    links.write_text(f"{head}sa_000020.tar\t{second}\n")
    assert list(sa1b.rows(plan[0])) == [row]
    with pytest.raises(ShardError, match=r"no longer lists sa_000021\.tar"):
        list(sa1b.rows(plan[1]))


def test_columns_of_a_list_may_stand_otherwise(tmp_path):
    links = tmp_path / "links.txt"
    links.write_bytes(b"\xef\xbb\xbfcdn_link\tsize\tfile_name\r\nhttps://x/1\t3\tsa_000000.tar\r\n\r\n")
    assert list(sa1b.plan([str(links)], 1)) == [ShardInput(f"{links}#tar=sa_000000.tar")]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"sa_000000.tar\thttps://x\n",
        b"file_name\tcdn_link\nsa_000000.tar\n",
        b"file_name\tcdn_link\nsa_000000.tar\t\n",
        b"file_name\tcdn_link\na.tar\thttps://x\na.tar\thttps://y\n",
        b"\xff\xfe",
    ],
)
def test_a_malformed_list_stops_before_anything_runs(text, tmp_path):
    (tmp_path / "links.tsv").write_bytes(text)
    with pytest.raises(ConfigError, match=r"links\.tsv"):
        list(sa1b.plan([str(tmp_path / "links.tsv")], 1))


def test_a_missing_list_and_two_tars_of_one_name(tmp_path):
    with pytest.raises(ConfigError, match="no such list"):
        list(sa1b.plan([str(tmp_path / "links.tsv")], 1))
    with pytest.raises(ConfigError, match="two tars are named sa_000000"):
        list(sa1b.plan(["/a/sa_000000.tar", "s3://b/sa_000000.tar"], 1))


def test_a_tar_in_a_store(tmp_path):
    uri = packed(tmp_path, pairs(2))
    storage.put_file(Path(uri), "memory://sa1b/sa_000020.tar")
    assert read("memory://sa1b/sa_000020.tar") == read(uri)


@pytest.mark.skipif(not REAL.exists(), reason="no shared data")
def test_real_files(tmp_path):
    members = [(path.name, path.read_bytes()) for path in sorted(REAL.iterdir())]
    rows = read(packed(tmp_path, members))
    assert [(r.key, r.error, r.declared_wh) for r in rows] == [
        ("sa_000020/a", None, (10, 5)),
        ("sa_000020/b", None, (5, 10)),
    ]
    assert rows[0].regions[0].boxes == ((0.3, 0.2, 0.4, 1.0),)
    assert rows[1].regions[0].boxes == ((0, 0, 0, 0),)
    assert json.loads(rows[0].meta)["annotations"][0]["counts"] == "`04n0"


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_real_pictures_with_the_layout_of_another_release_are_bad_json(tmp_path):
    folder = SHARED / "photos_sa1b" / "Weiyun1025__All-Seeing-Dataset-Browser"
    members = [(path.name, path.read_bytes()) for path in sorted(folder.rglob("*.j*"))]
    rows = read(packed(tmp_path, members))
    assert len(rows) == len({r.key for r in rows}) == 14
    assert {r.error[0] for r in rows} <= {"bad_json", "no_picture"}


def test_hostile_archives(tmp_path):
    for path in sorted((SHARED / "hostile_tar").rglob("*.tar")):
        with contextlib.suppress(ShardError):
            assert all(row.error for row in sa1b.rows(ShardInput(str(path))))


def told(uri):
    """The rows of a tar, and how it ended."""
    got = []
    try:
        for row in sa1b.rows(ShardInput(uri)):
            got.append(row)
    except ShardError as error:
        return got, str(error)
    return got, "sound"


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_hostile_archives_are_the_same_in_a_store():
    paths = sorted((SHARED / "hostile_tar").rglob("*.tar"))
    assert len(paths) > 10
    for path in paths:
        storage.put_file(path, f"memory://hostile/{path.name}")
        assert told(f"memory://hostile/{path.name}") == told(str(path))


def test_only_pictures_and_notes_that_are_files_are_read(tmp_path):
    path = tmp_path / "sa_000020.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (
            ("/etc/sa_1.jpg", tarfile.REGTYPE),
            ("../sa_2.jpg", tarfile.REGTYPE),
            ("a/../../sa_3.json", tarfile.REGTYPE),
            ("sa_4.pkl", tarfile.REGTYPE),
            ("sa_5.jpg", tarfile.SYMTYPE),
            ("sa_6.json", tarfile.LNKTYPE),
            ("sa_7.jpg", tarfile.DIRTYPE),
            ("sa_8.jpg", tarfile.FIFOTYPE),
            ("sa_9.jpg", tarfile.REGTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            info.size = 3 if info.isreg() else 0
            archive.addfile(info, io.BytesIO(b"abc"))
    storage.put_file(path, "memory://unsafe/sa_000020.tar")
    for uri in (str(path), "memory://unsafe/sa_000020.tar"):
        assert [row.key for row in read(uri)] == ["sa_000020/sa_9"]


def test_a_server_that_knows_no_ranges_is_refused(tmp_path, serve):
    packed(tmp_path, pairs(2))
    with pytest.raises(ShardError, match=r"sa_000020\.tar: the server ignores ranges"):
        read(f"{serve(tmp_path)}/sa_000020.tar")


@pytest.mark.parametrize("large", ["sa_1.jpg", "sa_1.json"])
@pytest.mark.parametrize("turn", [1, -1])
def test_a_member_too_large_to_read_is_one_row(large, turn, tmp_path, monkeypatch):
    monkeypatch.setattr(sa1b, "MAX_MEMBER_BYTES", 1000)
    half = {"sa_1.jpg": b"1", "sa_1.json": note("sa_1"), large: bytes(1001)}
    rows = read(packed(tmp_path, [*list(half.items())[::turn], *pairs(1)]))
    assert [(r.key[-4:], r.error and r.error[0]) for r in rows] == [("sa_1", "too_large"), ("sa_0", None)]


@pytest.mark.parametrize(
    "changes",
    [
        {"bbox": [1e308, 0, 1e308, 1]},
        {"bbox": [-1e308, 0, 1, 1]},
        {"bbox": [0, 0, 1e308, 1]},
        {"bbox": [0, 0, 1, 50 * 1001]},
        {"predicted_iou": "nan"},
        {"predicted_iou": "0.9"},
        {"predicted_iou": True},
        {"predicted_iou": float("inf")},
    ],
)
def test_numbers_that_no_mask_has(changes, tmp_path):
    [row] = read(packed(tmp_path, [("sa_1.jpg", b"1"), ("sa_1.json", note("sa_1", [mask(), mask(**changes)]))]))
    assert (row.error[0], row.regions) == ("bad_json", ())
