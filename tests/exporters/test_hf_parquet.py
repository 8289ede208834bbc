"""Parquet with pictures inside: the datasets library gives PIL pictures and chat messages, from one file or several."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from exported import HEIGHT, SAID, WIDTH, bare, pair, record, write

from curate import plugins
from curate.io import beside
from curate.sample import Turn

RECORDS = [bare(), record(0, "plain"), pair(1), record(2, "plain", picture=None)]


def content(*parts: str) -> list[dict[str, str | None]]:
    """Return content as TRL writes it, an image for each empty part."""
    return [{"type": "text", "text": part} if part else {"type": "image", "text": None} for part in parts]


def test_messages_are_parts_in_order(tmp_path: Path) -> None:
    turns = (
        Turn("human", "See <image>\n\nand\n<image>: which <image>\n \n<image>"),
        Turn("gpt", "\nThe first.\n"),
    )
    others = tuple(pair(number).others[0] for number in range(3))
    [name] = write("hf_parquet", tmp_path, [record(0, turns=turns, others=others)])
    [row] = pq.read_table(tmp_path / name).to_pylist()
    asked, said = row["messages"]
    assert asked["content"] == content("See ", "", "and", "", ": which ", "", "")
    assert said["content"] == content("\nThe first.\n")
    assert len(row["images"]) == 4


def test_the_datasets_library_reads_it(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    files = write("hf_parquet", tmp_path, RECORDS)
    assert files == ("mix-00000.parquet",)
    found = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "mix-*.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    inner = getattr(found.features["images"], "feature", None) or found.features["images"][0]
    assert isinstance(inner, datasets.Image)
    assert [row["id"] for row in found.select_columns("id")] == ["bare0", "id0", "pair1", "id2"]
    one, two = found[1], found[2]
    assert [picture.size for picture in one["images"]] == [(WIDTH, HEIGHT)]
    assert [picture.size for picture in two["images"]] == [(WIDTH, HEIGHT), (32, 16)]
    assert found[0]["images"] == []
    assert [message["role"] for message in one["messages"]] == ["user", "assistant"] * 2
    assert one["messages"][0]["content"] == content("", SAID[0].text.removeprefix("<image>\n"))
    assert one["messages"][1]["content"] == content(SAID[1].text)
    raw = found.cast_column("images", datasets.Sequence(datasets.Image(decode=False)))
    assert raw[3]["images"] == [{"bytes": None, "path": "images/t/2.jpg"}]


def test_nothing_has_the_same_features(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    [name] = write("hf_parquet", tmp_path, [])
    table = pq.read_table(tmp_path / name)
    assert (table.num_rows, len(table.schema)) == (0, 4)
    found = datasets.Features.from_arrow_schema(table.schema)
    write("hf_parquet", tmp_path, RECORDS)
    assert found == datasets.Features.from_arrow_schema(pq.read_schema(tmp_path / name))
    assert "Image(" in str(found["images"])


def test_a_full_file_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = plugins.load("exporters", "hf_parquet", plugins.Project(str(plugins.shipped())))
    monkeypatch.setattr(beside, "GROUP_ROWS", 2)
    monkeypatch.setattr(module, "FILE_BYTES", 5000)
    files = write("hf_parquet", tmp_path, [record(number) for number in range(25)])
    assert len(files) > 2
    read = [pq.read_table(tmp_path / name) for name in files]
    assert [one for table in read for one in table["id"].to_pylist()] == [f"id{number}" for number in range(25)]
    assert len({table.schema.metadata[b"huggingface"] for table in read}) == 1
