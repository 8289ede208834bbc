"""A file in catalogs/: what it may say, its environment variables, the names that no dataset may have."""

from pathlib import Path

import pytest

from curate.catalog import RESERVED, Catalog, expand, load_catalog
from curate.errors import ConfigError
from curate.plugins import Project, names

GOOD = "source: cc12m\nuri: /data/x.tsv\nlicence: CC0\n"


def load(tmp_path: Path, text: str, name: str = "mine") -> Catalog:
    (tmp_path / "catalogs").mkdir(exist_ok=True)
    (tmp_path / f"catalogs/{name}.yaml").write_text(text)
    return load_catalog(name, Project(str(tmp_path)))


def test_one_uri_or_many(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).uri == ("/data/x.tsv",)
    assert load(tmp_path, "source: a\nlicence: b\nuri: [x, y]\n").uri == ("x", "y")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("shardrows: 3", "shardrows"),
        ("shard-rows: 3", "shard-rows"),
        ("shard_rows: 0", "shard_rows"),
        ("shard_rows: 100001", "shard_rows"),
        ("shard_rows: '10'", "shard_rows"),
        ("min_success: 1.5", "min_success"),
        ("min_success: half", "min_success"),
        ("rows: -1", "rows"),
        ("revision: 2021", "revision"),
        ("fetch: {timeout: 3}", "fetch.timeout"),
        ("fetch: {timeout_s: 0}", "fetch.timeout_s"),
        ("fetch: {attempts: 0}", "fetch.attempts"),
        ("fetch: {allow_hosts: x}", "fetch.allow_hosts"),
        ("fetch: {allow_hosts: [1]}", "fetch.allow_hosts[0]"),
    ],
)
def test_a_mistake_is_named_at_its_place(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, f"{GOOD}{text}\n")
    assert error.value.where == where
    assert error.value.file.endswith("mine.yaml:4")


@pytest.mark.parametrize("uri", ["3", "[3]", "{a: b}", "[]", "''", "['']"])
def test_a_uri_is_a_text_or_a_list_of_texts(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, f"source: a\nlicence: b\nuri: {uri}\n")
    assert error.value.where.startswith("uri")


@pytest.mark.parametrize("key", ["source", "uri", "licence"])
def test_what_must_be_there(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=f'the key "{key}" is missing'):
        load(tmp_path, "".join(line for line in GOOD.splitlines(True) if not line.startswith(key)))


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_folder_of_the_root_is_no_dataset(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a dataset"):
        load(tmp_path, GOOD, name)


@pytest.mark.parametrize("name", ["../mine", "a/b", "", ".", "mine.yaml"])
def test_a_hostile_name_is_unknown(tmp_path: Path, name: str) -> None:
    load(tmp_path, GOOD)
    with pytest.raises(ConfigError, match="unknown dataset"):
        load_catalog(name, Project(str(tmp_path)))


def test_the_nearest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_catalog("gritt", Project(str(tmp_path)))
    assert "grit" in error.value.hint


@pytest.mark.parametrize("name", names("datasets", Project("/nowhere")))
def test_every_shipped_catalog_loads(name: str) -> None:
    assert load_catalog(name, Project("/nowhere")).licence


def test_variables_are_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_X", "/data")
    monkeypatch.delenv("CURATE_Y", raising=False)
    assert expand("${CURATE_X}/a.tsv", "d") == "/data/a.tsv"
    assert expand("${CURATE_X}/${CURATE_Y:-b}.tsv", "d") == "/data/b.tsv"
    assert expand("${CURATE_X:-no}/${CURATE_Y:-}x", "d") == "/data/x"
    assert expand("$CURATE_X/{a}$", "d") == "$CURATE_X/{a}$"


def test_a_value_is_not_expanded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_X", "${CURATE_X}")
    assert expand("${CURATE_X}", "d") == "${CURATE_X}"


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CURATE_Y", raising=False)
    with pytest.raises(ConfigError, match="CURATE_Y is not set") as error:
        expand("${CURATE_Y}/a", "catalogs/mine.yaml")
    assert error.value.file == "catalogs/mine.yaml"
    assert error.value.where == "uri"
