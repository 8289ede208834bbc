"""The door to tokenizers: a tokenizer.json counts, anything else is a ConfigError."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from curate.errors import ConfigError
from curate.io.texts import tokenizer


def small(path: Path) -> Path:
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "<s>": 1, "a": 2, "dog": 3}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    made.save(str(path))
    return path


def test_a_small_one_counts_words_and_its_special_token(tmp_path: Path) -> None:
    count = tokenizer(str(small(tmp_path / "tokenizer.json")))
    assert count(["a dog", "", "a dog on a mat"]) == [3, 1, 6]
    assert count([]) == []
    assert count(("a",)) == [2]


def test_hostile_texts_are_counted(tmp_path: Path) -> None:
    count = tokenizer(str(small(tmp_path / "tokenizer.json")))
    assert all(number >= 1 for number in count(["\0", "\ufeff", "🐕" * 1000, "\n\t", "<s>", "a" * 100_000]))


@pytest.mark.parametrize("name", ["absent.json", "", "folder"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="no tokenizer at") as error:
        tokenizer(str(tmp_path / name) if name else "")
    assert error.value.where == "tokens.tokenizer"
    assert "clip" in error.value.hint


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"model": {"type": "Nothing"}}', b"not json"])
def test_a_file_that_is_no_tokenizer(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="does not load"):
        tokenizer(str(path))


def test_a_cut_file(tmp_path: Path) -> None:
    path = small(tmp_path / "tokenizer.json")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ConfigError, match="does not load"):
        tokenizer(str(path))


def test_real_ones(shared: Path) -> None:
    paths = sorted((shared / "tokenizers").rglob("tokenizer.json"))
    if not paths:
        pytest.skip("no real tokenizer on this machine")
    for path in paths:
        assert "model" in json.loads(path.read_text(encoding="utf-8"))
        short, long = tokenizer(str(path))(["a dog", "a dog on the left of a very small red bus"])
        assert 2 <= short < long < 30
