"""ms-swift's rows hold what its document asks, and its own code reads them where it is installed."""

import json
from pathlib import Path

import conforming
import pytest
from exported import ASKED, BUS, CARS, PROJECT, bare, pair, record, write

from curate import plugins
from curate.errors import SampleError
from curate.sample import Grounded, Region, Turn

ASK = Grounded("<image>\nwhat?")


def rows_of(folder: Path) -> list[conforming.Row]:
    """Read the rows and check them: modelscope/ms-swift docs/source_en/Customization/Custom-dataset.md."""
    rows = conforming.read_lines(folder / "mix.jsonl")
    for row in rows:
        said = "".join(message["content"] for message in row["messages"])
        objects = row["objects"]
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * (len(row["messages"]) // 2)
        assert said.count("<image>") == len(row["images"])
        assert said.count("<ref-object>") == len(objects["ref"])
        assert said.count("<bbox>") == len(objects["bbox"]) == len(objects["image_id"])
        assert objects["bbox_type"] == "norm1"
        assert all(0 <= x0 <= x1 <= 1 and 0 <= y0 <= y1 <= 1 for x0, y0, x1, y1 in objects["bbox"])
        assert all(isinstance(share, float) for box in objects["bbox"] for share in box)
        assert all((folder / name).is_file() for name in row["images"])
    return rows


def test_phrases_and_boxes_become_place_holders(tmp_path: Path) -> None:
    assert write("ms_swift", tmp_path, [record(0), bare(), pair(1)]) == ("mix.jsonl",)
    one, words, two = rows_of(tmp_path)
    assert [message["content"] for message in one["messages"]] == [
        f"<image>\n{ASKED}",
        "The <ref-object><bbox> 🎈 waits; <ref-object><bbox><bbox> \\ pass. \n",
        "And who drives?",
        "No one.",
    ]
    assert one["objects"] == {
        "ref": ["red bus", "two cars"],
        "bbox": [list(BUS), *map(list, CARS)],
        "bbox_type": "norm1",
        "image_id": [0, 0, 0],
    }
    assert (words["images"], words["objects"]["bbox"]) == ([], [])
    assert two["images"] == ["images/t/1-a.jpg", "images/t/1-b.png"]


def test_boxes_without_words_overlaps_and_edges(tmp_path: Path) -> None:
    regions = (
        Region("dog", ((0.0, 0.0, 1.0, 1.0),), start=6, end=9),
        Region("big dog", ((-0.5, 0.1234567, 1.5, 0.9),), start=2, end=9),
        Region("", (BUS,), start=9, end=9),
        Region("no box", (), start=0, end=1),
        Region("outside", (BUS,), start=5, end=500),
        Region("nowhere", (BUS,)),
    )
    write("ms_swift", tmp_path, [record(0, turns=record(0).turns[:2], said=(ASK, Grounded("a big dog", regions)))])
    [row] = rows_of(tmp_path)
    assert row["messages"][1]["content"] == "a <ref-object><bbox><bbox>"
    assert row["objects"]["bbox"] == [[0.0, 0.123457, 1.0, 0.9], list(BUS)]


def test_turns_alone_are_words(tmp_path: Path) -> None:
    write("ms_swift", tmp_path, [record(0, "plain", said=())])
    assert rows_of(tmp_path)[0]["objects"]["ref"] == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        *(("reserved_tag", (ASK, Grounded(f"a {tag}"))) for tag in ("<bbox>", "<ref-object>", "<video>", "<audio>")),
        ("reserved_tag", (ASK, Grounded("a <bbox>", (Region("<bbox>", (BUS,), start=2, end=8),)))),
        ("bad_box", (ASK, Grounded("a", (Region("a", ((0.0, float("nan"), 1.0, 1.0),), start=0, end=1),)))),
        ("bad_box", (ASK, Grounded("a", (Region("a", ((0.9, 0.0, 0.1, 1.0),), start=0, end=1),)))),
        ("bad_box", (ASK, Grounded("a", (Region("a", ((0.0, 0.0, float("inf"), 1.0),), start=0, end=1),)))),
        ("image_count", (Grounded(ASK.text, (Region("", (BUS,), start=0, end=7),)), Grounded("a"))),
    ],
)
def test_hostile_words_leave_no_trace(code: str, said: tuple[Grounded, ...], tmp_path: Path) -> None:
    turns = (Turn("human", "<image>\nwhat?"), Turn("gpt", "a"))
    with pytest.raises(SampleError) as error:
        write("ms_swift", tmp_path, [record(0, turns=turns, said=said)])
    assert error.value.code == code
    assert not list(tmp_path.rglob("*.jpg"))


def test_boxes_of_no_picture_are_refused(tmp_path: Path) -> None:
    said = (Grounded("what?"), Grounded("a", (Region("a", (BUS,), start=0, end=1),)))
    with pytest.raises(SampleError, match="no_picture"):
        write("ms_swift", tmp_path, [bare(said=said)])


def test_a_row_of_each_kind_stands_among_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = plugins.load("exporters", "ms_swift", PROJECT)
    monkeypatch.setattr(module, "SURE_BYTES", 20_000)
    words = [bare(number) for number in range(100)]
    late = [record(0, said=(ASK, Grounded("a")), turns=record(0).turns[:2]), bare(100), record(1), record(2)]
    write("ms_swift", tmp_path, [*words, *late])
    assert [row["id"] for row in rows_of(tmp_path)] == [
        *("id0", "id1"),
        *(f"bare{number}" for number in range(101)),
        "id2",
    ]
    write("ms_swift", tmp_path / "soon", [*words[:9], *late])
    assert [row["id"] for row in rows_of(tmp_path / "soon")][-4:] == ["id0", "bare100", "id1", "id2"]
    assert {path.name for path in tmp_path.iterdir()} == {"mix.jsonl", "images", "soon"}


def test_ms_swift_itself_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its loader, its preprocessor and its own normalising of boxes; text alone fills what it reads first."""
    pytest.importorskip("swift")
    from swift.dataset.loader import load_dataset
    from swift.template.base import Template
    from swift.template.template_inputs import StdTemplateInputs

    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    long = (Turn("human", "hello " * 10_000), Turn("gpt", "hi"))
    write("ms_swift", tmp_path, [*(bare(number, turns=long, said=()) for number in range(250)), record(0), pair(1)])
    assert (tmp_path / "mix.jsonl").stat().st_size > 14 << 20
    rows_of(tmp_path)
    found, _ = load_dataset([str(tmp_path / "mix.jsonl")], strict=True)
    assert len(found) == 252
    one = found[0]
    inputs = StdTemplateInputs.from_dict(json.loads(json.dumps(one)))
    assert [image["path"] for image in inputs.images] == ["images/t/0.jpg"]
    inputs.objects |= {"width": [64], "height": [48]}

    class Qwen:
        norm_bbox = "norm1000"

    Template.normalize_bbox(Qwen(), inputs)
    assert inputs.objects["bbox"] == [[250, 500, 750, 1000], [0, 0, 250, 500], [500, 250, 1000, 750]]
    assert inputs.objects["ref"] == ["red bus", "two cars"]
    assert inputs.messages[1]["content"].count("<bbox>") == 3
