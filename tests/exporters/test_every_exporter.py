"""What holds of every exporter: hostile records leave no trace, memory does not grow, bytes repeat."""

import gc
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exported import NAMES, PROJECT, bare, jpeg, pair, record, tree, write

from curate import plugins
from curate.errors import SampleError
from curate.io import beside, sample_index
from curate.sample import Attached, Placed, Record, Turn

ASK, SAY = Turn("human", "<image>\nwhat?"), Turn("gpt", "a dog")
PATHS = (
    *("../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "a/./x.jpg", "a//x.jpg", "a/", "", "x.jpg", ".", "..", "a/.."),
    *("a/b\0.jpg", "a/\n.jpg", "a\\..\\..\\x.jpg", "a/\ud800.jpg", "c:/x.jpg", "a/" + "x" * 300, "ä/" * 600 + "x"),
)
HOSTILE: list[tuple[str, dict[str, Any]]] = [
    ("turn_order", {"turns": ()}),
    ("turn_order", {"turns": (ASK,)}),
    ("turn_order", {"turns": (SAY, ASK)}),
    ("turn_order", {"turns": (ASK, SAY, SAY, SAY)}),
    ("turn_order", {"turns": (Turn("system", "be kind"), ASK, SAY, ASK)}),
    ("empty_turn", {"turns": (ASK, Turn("gpt", ""))}),
    ("empty_turn", {"turns": (ASK, Turn("gpt", " \n\u2003"))}),
    ("bad_text", {"turns": (ASK, Turn("gpt", "half \ud83d"))}),
    ("bad_text", {"component": "\udc00"}),
    ("image_count", {"turns": (Turn("human", "what?"), SAY)}),
    ("image_count", {"turns": (Turn("human", "<image><image>what?"), SAY)}),
    ("image_count", {"turns": (Turn("human", "what?"), Turn("gpt", "<image>a dog"))}),
    ("image_count", {"image": None, "picture": None}),
    ("bad_size", {"width": 0}),
    ("bad_size", {"height": -1}),
    ("empty_picture", {"picture": b""}),
    *(("bad_path", {"image": name}) for name in PATHS),
    ("bad_path", {"folder": ".."}),
    ("bad_path", {"folder": "/tmp"}),
    *(("bad_id", {"sample_id": name}) for name in ("", "../x", "a/b", "a.b", "a\nb", "ä", "\ud800", "x" * 129, "a~2")),
]


def hostile(exporter: Any) -> Iterator[tuple[str, Record]]:
    """Yield what an exporter must refuse, with the reason."""
    for code, changes in HOSTILE:
        yield code, replace(record(7), said=(), **changes)
    placed = Placed((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (80, 80), (0, 0, 0), ("square_pad",))
    if getattr(exporter, "VIRTUAL", False):
        yield "bad_affine", record(7, transform=replace(placed, affine=(float("nan"), 0.0, 0.0, 0.0, 1.0, 0.0)))
    else:
        yield "virtual", record(7, transform=placed)


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_record_is_refused_with_its_reason_and_leaves_no_trace(name: str, tmp_path: Path) -> None:
    module = plugins.load("exporters", name, PROJECT)
    good = [record(0), bare(1), record(2)]
    write(name, tmp_path / "alone", good)
    folder = tmp_path / "among"
    folder.mkdir()
    exporter = module.Exporter(folder, f"mix{module.SUFFIX}")
    exporter.write(good[0])
    for code, bad in hostile(module):
        with pytest.raises(SampleError) as error:
            exporter.write(bad)
        assert error.value.code == code, bad
    for one in good[1:]:
        exporter.write(one)
    exporter.close()
    assert tree(folder) == tree(tmp_path / "alone")
    assert {path.name for path in tmp_path.iterdir()} == {"alone", "among"}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_write_is_still_sound(name: str, tmp_path: Path) -> None:
    files = write(name, tmp_path, [])
    assert set(tree(tmp_path)) == set(files)


@pytest.mark.parametrize("name", NAMES)
def test_files_are_told_and_the_rest_are_pictures(name: str, tmp_path: Path) -> None:
    files = write(name, tmp_path, [record(0), bare(), record(1), record(0)])
    assert len(set(files)) == len(files)
    found = tree(tmp_path)
    pictures = found.keys() - set(files)
    assert found.keys() >= set(files)
    assert pictures in (set(), {"images/t/0.jpg", "images/t/1.jpg"})
    assert all(found[one] == jpeg(int(Path(one).stem)) for one in pictures)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_records_are_the_same_bytes(name: str, tmp_path: Path) -> None:
    records = [record(0), bare(0), record(1), record(0)]
    for folder in ("one", "two"):
        write(name, tmp_path / folder, records)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize("name", NAMES)
def test_without_pictures_only_the_trainers_files_are_written(name: str, tmp_path: Path) -> None:
    files = write(name, tmp_path, [record(0, picture=None), bare(), record(1, picture=None)])
    assert set(tree(tmp_path)) == set(files)


@pytest.mark.parametrize("name", NAMES)
def test_memory_does_not_grow_with_the_records(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = plugins.load("exporters", name, PROJECT)
    monkeypatch.setattr(beside, "GROUP_ROWS", 10)
    monkeypatch.setattr(sample_index, "_AT_ONCE", 10)
    for constant, small in (("SIZE_LIMIT", 1 << 15), ("PER_TAR", 20)):
        if hasattr(module, constant):
            monkeypatch.setattr(module, constant, small)
    one, other = record(0), bare(0)

    def peak(count: int) -> int:
        folder = tmp_path / f"{count}-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        tracemalloc.start()
        exporter = module.Exporter(folder, f"mix{module.SUFFIX}")
        for number in range(count):
            image = f"images/t/{number:060d}.jpg" if number % 10 == 0 else "images/t/same.jpg"
            exporter.write(replace(one, sample_id=f"{number:032x}", image=image, pack=number // 10))
            exporter.write(other)
            if number % 40 == 0:
                gc.collect()
        exporter.close()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    gc.collect()
    gc.freeze()  # what stands already is not looked through again
    try:
        peak(25)
        # What other threads of the process allocate meanwhile counts, too.
        assert any(peak(180) < 1.1 * peak(60) + 4_000 for _ in range(3))
    finally:
        gc.unfreeze()


PLACING = [name for name in NAMES if name not in ("energon", "hf_parquet", "mds", "webdataset")]


@pytest.mark.parametrize("name", PLACING)
def test_a_folder_with_a_pictures_name_is_refused(name: str, tmp_path: Path) -> None:
    module = plugins.load("exporters", name, PROJECT)
    exporter = module.Exporter(tmp_path, f"mix{module.SUFFIX}")
    exporter.write(record(0, image="a/b.jpg"))
    for image in ("a/b.jpg/c.jpg", "a/b.jpg/c/d.jpg"):
        with pytest.raises(SampleError, match="bad_path"):
            exporter.write(record(1, image=image))
    exporter.write(record(2, image="d/e.jpg/f.jpg"))
    with pytest.raises(SampleError, match="bad_path"):
        exporter.write(record(3, image="d/e.jpg"))
    if name != "llava_json":
        torn = replace(pair(4), image="g/h.jpg", others=(Attached("g/h.jpg/i.jpg", jpeg(1), 8, 8),))
        with pytest.raises(SampleError, match="bad_path"):
            exporter.write(torn)
    files = exporter.close()
    assert tree(tmp_path).keys() - set(files) == {"a/b.jpg", "d/e.jpg/f.jpg"}
    assert b"id1" not in b"".join(tree(tmp_path)[name] for name in files)


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_of_several_pictures_is_written_or_refused(name: str, tmp_path: Path) -> None:
    if name == "llava_json":
        with pytest.raises(SampleError, match="several_pictures"):
            write(name, tmp_path, [pair()])
    else:
        files = write(name, tmp_path, [record(5), pair()])
        assert files
