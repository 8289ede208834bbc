"""Every form of a bad YAML file is a named mistake: with its line, its path and the nearest key; none hangs."""

import time
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from curate.errors import ConfigError
from curate.job import Value
from curate.yamlfile import Strict, dotted, read_all, read_model


class Inner(Strict):
    min_clip: float = 0.0
    name: str = ""


class Outer(Strict):
    title: str
    count: int = 0
    rate: float = 0.0
    fast: bool = False
    names: Annotated[tuple[str, ...], Field(strict=False)] = ()
    words: list[str] = Field(default_factory=list)
    one: Inner = Inner()
    many: dict[str, Inner] = Field(default_factory=dict)
    values: dict[str, Value] = Field(default_factory=dict)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "outer.yaml"


def mistakes(file: Path, text: str | bytes) -> list[ConfigError]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    found, said = read_all(file, Outer)
    assert (found is None) == bool(said)
    return said


def test_a_sound_file_is_read(file: Path) -> None:
    file.write_text("title: x\none: {min_clip: 0.5}\nvalues: {a: 1, b: true, c: word, d: 0.5}\n")
    found = read_model(file, Outer)
    assert found.one.min_clip == 0.5
    assert found.values == {"a": 1, "b": True, "c": "word", "d": 0.5}
    assert [type(value) for value in found.values.values()] == [int, bool, str, float]


def test_unknown_key_is_named_with_line_path_and_neighbour(file: Path) -> None:
    [said] = mistakes(file, "title: x\n\none:\n  min_clp: 0.5\n")
    assert said.what == 'unknown key "min_clp"'
    assert said.file == f"{file}:4"
    assert said.where == "one.min_clp"
    assert "min_clip" in said.hint


@pytest.mark.parametrize("key", ["min-clip", "title-", "-", "a-b-c"])
def test_unknown_key_with_a_dash_is_named_too(file: Path, key: str) -> None:
    assert [said.what for said in mistakes(file, f"title: x\n{key}: 1\n")] == [f'unknown key "{key}"']
    [said] = mistakes(file, f"title: x\none:\n  {key}: 1\n")
    assert (said.where, said.file) == (f"one.{key}", f"{file}:3")


def test_a_mistake_below_a_name_with_a_dash_keeps_its_path(file: Path) -> None:
    [said] = mistakes(file, "title: x\nmany:\n  my-part:\n    min_clip: high\n")
    assert (said.where, said.file) == ("many.my-part.min_clip", f"{file}:4")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("count: many", "must be a whole number (got 'many')"),
        ("count: 1.5", "must be a whole number (got 1.5)"),
        ("count: [1]", "must be a whole number (got [1])"),
        ("rate: high", "must be a number (got 'high')"),
        ("rate: true", "must be a number (got True)"),
        ("fast: 1", "must be true or false (got 1)"),
        ("fast: 'true'", "must be true or false (got 'true')"),
        ("names: 3", "must be a list (got 3)"),
        ("names: {a: b}", "must be a list (got {'a': 'b'})"),
        ("words: a", "must be a list (got 'a')"),
        ("one: 3", "must be a mapping (got 3)"),
        ("many: [1]", "must be a mapping (got [1])"),
        ("title: 3", "must be a text (got 3)"),
    ],
)
def test_wrong_type_says_what_it_wants_and_what_it_got(file: Path, text: str, what: str) -> None:
    said = mistakes(file, f"\n{text}\n")
    [found] = [each for each in said if each.where == text.split(":")[0]]
    assert (found.what, found.file) == (what, f"{file}:2")


def test_a_value_of_no_allowed_type_is_one_mistake_at_its_own_path(file: Path) -> None:
    [said] = mistakes(file, "title: x\nvalues:\n  a: [1]\n")
    assert said.where == "values.a"
    assert said.file == f"{file}:3"


@pytest.mark.parametrize("text", ["count: 1.5", "count: yes", "count: '3'", "title: 3", "title: 2020-01-01", "one: 3"])
def test_nothing_is_coerced(file: Path, text: str) -> None:
    assert any(said.where == text.split(":")[0] for said in mistakes(file, f"{text}\n"))


def test_missing_key_is_named(file: Path) -> None:
    [said] = mistakes(file, "count: 1\n")
    assert 'the key "title" is missing' in said.what


def test_doubled_keys_are_all_named(file: Path) -> None:
    said = mistakes(file, "title: x\ntitle: y\none: {name: a, name: b}\n")
    assert [(each.what, each.where) for each in said] == [
        ('key "title" is given twice', "title"),
        ('key "name" is given twice', "one.name"),
    ]


def test_several_mistakes_are_all_named(file: Path) -> None:
    said = mistakes(file, "count: x\ncont: 1\none: {min_clip: [], nam: x}\nmany: {a: {min_clp: 1}}\n")
    assert {each.where for each in said} >= {"count", "cont", "one.min_clip", "one.nam", "many.a.min_clp"}
    assert any("title" in each.what for each in said)


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "a: b: c",
        "\t- x",
        "a: 'x",
        "{",
        "a: !!python/object/apply:os.system ['true']",
        "? [a, b]\n: c",
        "a: 1\n---\na: 2\n",
        b"\xff\xfe\x00\x01",
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"title: \x00",
        b"title: caf\xe9",
        "title: x\ncount: " + "9" * 5000,
    ],
    ids=range(13),
)
def test_what_is_not_yaml_says_so(file: Path, text: str | bytes) -> None:
    [said] = mistakes(file, text)
    assert said.what.startswith("not YAML: ")
    assert "\n" not in said.what


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "word", "3", "null"])
def test_what_is_not_a_mapping_says_so(file: Path, text: str) -> None:
    [said] = mistakes(file, text)
    assert "mapping" in said.what


@pytest.mark.parametrize("sign", ["[", "{a: ", "- "])
def test_deep_nesting_is_a_mistake_and_no_crash(file: Path, sign: str) -> None:
    assert mistakes(file, "title: " + sign * 5000) or mistakes(file, "title: " + "[" * 5000 + "]" * 5000)
    assert mistakes(file, "title: " + "[" * 5000 + "]" * 5000)


def test_a_bomb_of_aliases_ends_at_once(file: Path) -> None:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    started = time.monotonic()
    [said] = mistakes(file, "\n".join([*lines, "title: x\n"]))
    assert time.monotonic() - started < 20  # unfolded it would be 31 thousand million words
    assert "alias" in said.what
    assert said.file == f"{file}:2"


@pytest.mark.parametrize("text", ["title: &t x\none: {name: *t}", "a: &a {name: x}\none: {<<: *a}", "a: &a [*a]"])
def test_aliases_are_refused(file: Path, text: str) -> None:
    [said] = mistakes(file, text)
    assert "alias" in said.what


def test_many_mistakes_take_no_quadratic_time(file: Path) -> None:
    started = time.monotonic()
    said = mistakes(file, "title: x\n" + "".join(f"key{n}: 1\n" for n in range(500)))
    assert len(said) == 500
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("make", ["absent", "folder"])
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, make: str) -> None:
    place = tmp_path / "x.yaml"
    if make == "folder":
        place.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        read_model(place, Outer)


def test_paths_are_written_as_one_would_type_them() -> None:
    assert dotted(("score", 1, "min_clip")) == "score[1].min_clip"
    assert dotted(()) == ""
