"""LLaMA-Factory's dataset_info.json and Parquet; its own parser and converter read them where it is installed."""

import json
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from exported import bare, pair, record, write

RECORDS = [record(0), bare(), pair(1), record(0)]


def test_the_info_names_the_file_and_its_columns(tmp_path: Path) -> None:
    files = write("llama_factory", tmp_path, RECORDS, "mine ü.json")
    assert files == ("mine ü.parquet", "dataset_info.json")
    [(name, info)] = json.loads((tmp_path / "dataset_info.json").read_text(encoding="ascii")).items()
    assert (name, info["file_name"], info["formatting"]) == ("mine ü", "mine ü.parquet", "sharegpt")
    rows = pq.read_table(tmp_path / info["file_name"]).to_pylist()
    columns, tags = info["columns"], info["tags"]
    for row, one in zip(rows, RECORDS, strict=True):
        messages = row[columns["messages"]]
        roles = [message[tags["role_tag"]] for message in messages]
        assert roles == [tags["user_tag"], tags["assistant_tag"]] * (len(one.turns) // 2)
        assert [message[tags["content_tag"]] for message in messages] == [turn.value for turn in one.turns]
        assert row[columns["images"]] == [each.image for each in one.attached()]
        assert sum(message[tags["content_tag"]].count("<image>") for message in messages) == len(row["images"])
        assert all((tmp_path / image).is_file() for image in row["images"])


def test_llama_factory_itself_reads_it(tmp_path: Path) -> None:
    pytest.importorskip("llamafactory")
    from datasets import load_dataset
    from llamafactory.data.converter import align_dataset
    from llamafactory.data.mm_plugin import BasePlugin
    from llamafactory.data.parser import get_dataset_list

    write("llama_factory", tmp_path, RECORDS)
    [attr] = get_dataset_list(["mix"], str(tmp_path))
    files = str(tmp_path / attr.dataset_name)
    found = load_dataset("parquet", data_files=[files], split=attr.split, cache_dir=str(tmp_path / "cache"))
    asked = SimpleNamespace(media_dir=str(tmp_path), streaming=False, preprocessing_num_workers=1, overwrite_cache=True)
    rows = align_dataset(found, attr, asked, SimpleNamespace(local_process_index=0))
    assert len(rows) == len(RECORDS)
    for row, one in zip(rows, RECORDS, strict=True):
        messages = [*row["_prompt"], *row["_response"]]
        assert [message["content"] for message in messages] == [turn.value for turn in one.turns]
        assert [message["role"] for message in messages] == ["user", "assistant"] * (len(one.turns) // 2)
        images = row["_images"] or []
        assert all(Path(image).is_file() for image in images)
        BasePlugin(None, None, None)._validate_messages(messages, images, [], [])
