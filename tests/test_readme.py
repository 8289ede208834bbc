"""What the README says of the disk is true."""

import re
from pathlib import Path

from conftest import Workshop
from typer.main import get_command

from curate import plugins
from curate.cli import app

REPO = Path(__file__).parents[1]
README = (REPO / "README.md").read_text(encoding="utf-8")


def test_tree_names_every_room_and_nothing_else() -> None:
    tree = README.split("## The house")[1].split("```")[1]
    inside = tree.split("curate/\n")[1].split("\njobs/")[0]
    named = {
        word.rstrip("/") for line in inside.splitlines() for word in re.findall(r"^\s+((?:\w+(?:\.py|/) ?)+)", line)
    }
    named = {part.rstrip("/") for group in named for part in group.split()}
    on_disk = {
        path.name
        for path in (REPO / "curate").iterdir()
        if (path.suffix == ".py" and not path.name.startswith("__")) or (path.is_dir() and list(path.glob("*.py")))
    }
    assert named == on_disk
    for line in tree.splitlines():
        if line and not line.startswith(" ") and line.split("/")[0] != "curate":
            assert (REPO / line.split("/")[0]).is_dir(), line


def test_commands_are_listed_and_have_examples() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    listed = set(re.findall(r"^\| `curate (\w+)` \|", README, re.MULTILINE))
    assert listed == set(commands)
    for name, command in commands.items():
        assert f"curate {name}" in (command.help or "").split("Examples:")[1], name


def test_table_of_additions_names_the_kinds() -> None:
    table = README.split("## To add X")[1].split("## ")[0]
    rows = dict(re.findall(r"^\| (\w+) \| `([^`]+)NAME\.\w+` \|", table, re.MULTILINE))
    kinds = {kind[:-1]: f"curate/{kind}/" for kind in plugins.KINDS}
    kinds |= {kind[:-1]: f"{folder}/" for kind, (folder, _) in plugins.FILES.items()}
    assert rows == kinds
    assert all((REPO / folder).is_dir() for folder in rows.values())


def test_every_error_code_is_explained() -> None:
    table = README.split("## Why a row failed")[1].split("## ")[0]
    told = set(re.findall(r"`(\w+)`", table))
    raised = set()
    for folder in ("io", "sources", "stages", "augmenters", "grounding"):
        for path in (REPO / "curate" / folder).glob("*.py"):
            raised |= set(re.findall(r'(?:SampleError|_Failure|_Outcome)\(\s*"([a-z_]+)"', path.read_text()))
    raised -= {"http_", "several_pictures", "bad_span", "bad_size"}
    assert raised <= told, raised - told


def test_prose_speaks_of_the_project_alone() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (REPO / name).read_text(encoding="utf-8")
        assert not re.search(r"\b(session|agent|issue #?\d)", text, re.IGNORECASE), name


def test_decisions_are_few_and_short() -> None:
    section = README.split("## Decisions")[1].split("## ")[0]
    entries = re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]
    assert 1 <= len(entries) <= 10
    assert all(len(entry.strip().splitlines()) <= 3 for entry in entries)


def test_the_scorer_and_the_filter_of_the_readme_work(workshop: Workshop) -> None:
    [scorer] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    [sql] = re.findall(r"```sql\n(-- Keeps.*?)```", README, re.DOTALL)
    workshop.captions(count=6, shard_rows=3)
    workshop.write("plugins/scorers/brightness.py", scorer)
    workshop.write("sql/filters/bright.sql", sql)
    job = "from: tiny\nscore: [{brightness: {step: 8}}]\nkeep: {bright: {min_brightness: 0.5}}\n"
    workshop.write("jobs/light.yaml", job)
    [result] = workshop.run("light").jobs
    assert result.complete
    kept = result.books[-1]
    assert kept.rows_out + kept.lost["dark"] == 6
