"""`curate list`: names with the first sentence of each, read without running anything."""

from pathlib import Path

import pytest

from curate.errors import ConfigError
from curate.listing import described
from curate.plugins import FILES, KINDS, Project


@pytest.mark.parametrize("kind", [*KINDS, *FILES, "models", "templates"])
def test_everything_shipped_says_what_it_is(kind: str) -> None:
    rows = described(kind, Project("/nowhere"))
    assert rows
    assert [name for name, what in rows if not what] == []
    assert [name for name, _ in rows] == sorted(name for name, _ in rows)


def test_nothing_is_imported(tmp_path: Path) -> None:
    folder = tmp_path / "plugins/codecs"
    folder.mkdir(parents=True)
    (folder / "loud.py").write_text('"""Says something.\n\nAnd more.\n"""\nraise SystemExit\n')
    (folder / "broken.py").write_text("def (")
    (folder / "binary.py").write_bytes(b"\xff\xfe")
    (folder / "zero.py").write_bytes(b"x = '\0'")
    (folder / "silent.py").write_text("")
    rows = dict(described("codecs", Project(str(tmp_path))))
    assert rows["loud"] == "Says something."
    assert rows["silent"] == ""
    assert all("cannot be read" in rows[name] for name in ("broken", "binary", "zero"))


def test_the_projects_own_file_is_described(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/cc12m.yaml").write_text("# Mine.\nfrom: x\n")
    (tmp_path / "jobs/odd.yaml").write_bytes(b"\xff\xfe# no")
    rows = dict(described("jobs", Project(str(tmp_path))))
    assert rows["cc12m"] == "Mine."
    assert "odd" in rows


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("# One sentence\n# over two lines. And another.\nfrom: x\n", "One sentence over two lines."),
        ("# Without an end\n# at all\n\n# Apart.\nfrom: x\n", "Without an end at all"),
        ("#\n# - Odd signs, 0.5 and x.y; more.\n", "Odd signs, 0.5 and x.y"),
        ("from: x\n# Too late.\n", ""),
        ("", ""),
    ],
)
def test_the_whole_first_sentence_of_an_opening_comment_is_told(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/own.yaml").write_text(text)
    assert dict(described("jobs", Project(str(tmp_path))))["own"].strip() == what


def test_a_filters_opening_comment_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "sql/filters").mkdir(parents=True)
    (tmp_path / "sql/filters/own.sql").write_text("-- Keep what\n-- is good. No more.\nselect 1\n")
    assert dict(described("filters", Project(str(tmp_path))))["own"] == "Keep what is good."


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown kind") as error:
        described("scorer", Project("/nowhere"))
    assert "scorers" in error.value.hint
