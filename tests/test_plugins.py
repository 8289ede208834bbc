"""The folder is the registry: the user's files stand before the shipped ones; what does not load says why."""

import sys
from pathlib import Path

import pytest

from curate import plugins
from curate.errors import ConfigError
from curate.plugins import FILES, KINDS, Project

CODEC = (
    '"""Own."""\nFRAME, HOLDS, TOLERANCE = "original", frozenset(), {}\n\ndef encode(*a): ...\n\n'
    "def uncoded(*a): ...\n\ndef decode(*a): ...\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(str(tmp_path / "project"))


def write(project: Project, name: str, text: str) -> Path:
    path = Path(project.folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_shipped_plugin_loads(kind: str, project: Project) -> None:
    assert plugins.names(kind, project)
    for name in plugins.names(kind, project):
        assert plugins.load(kind, name, project).__doc__


@pytest.mark.parametrize("kind", FILES)
def test_every_shipped_file_is_found(kind: str, project: Project) -> None:
    assert plugins.names(kind, project)
    for name in plugins.names(kind, project):
        assert plugins.find(kind, name, project).is_file()


@pytest.mark.parametrize(
    ("kind", "name", "file"),
    [
        ("jobs", "grit", "jobs/grit.yaml"),
        ("datasets", "grit", "catalogs/grit.yaml"),
        ("filters", "aligned", "sql/filters/aligned.sql"),
    ],
)
def test_the_projects_file_hides_the_shipped_one(project: Project, kind: str, name: str, file: str) -> None:
    before = plugins.names(kind, project)
    shipped = plugins.find(kind, name, project)
    own = write(project, file, "x")
    assert plugins.find(kind, name, project) == own != shipped
    assert plugins.names(kind, project) == before
    new = write(project, file.replace(name, "brand_new"), "x")
    assert plugins.find(kind, "brand_new", project) == new


def test_a_report_may_be_hidden_too(project: Project) -> None:
    own = write(project, "sql/reports/component.sql", "select 1")
    assert plugins.sql_report("component", project) == own
    with pytest.raises(ConfigError, match="unknown report") as error:
        plugins.sql_report("componen", project)
    assert "component" in error.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_plugin_is_refused(kind: str, project: Project) -> None:
    name = plugins.names(kind, project)[0]
    with pytest.raises(ConfigError, match=f"unknown {kind[:-1]}") as error:
        plugins.load(kind, f"{name}x", project)
    assert name in error.value.hint


@pytest.mark.parametrize("kind", FILES)
def test_an_unknown_file_is_refused(kind: str, project: Project) -> None:
    with pytest.raises(ConfigError, match=f"unknown {kind[:-1]}"):
        plugins.find(kind, "nothing_like_it", project)


@pytest.mark.parametrize(
    "name", ["../x", "..", "", "__init__", "a.b", "a/b", "A", "1a", "/etc/passwd", "os", "x\0y", "asv2.py", "ünder"]
)
def test_a_hostile_name_loads_nothing(project: Project, name: str, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("raise SystemExit('loaded')")
    write(project, "plugins/codecs/__init__.py", "raise SystemExit('loaded')")
    write(project, "plugins/codecs/A.py", "raise SystemExit('loaded')")
    with pytest.raises(ConfigError, match="unknown codec"):
        plugins.load("codecs", name, project)
    with pytest.raises(ConfigError, match="unknown job"):
        plugins.find("jobs", name, project)


def test_what_cannot_be_loaded_is_not_listed(project: Project) -> None:
    for name in ("__init__", "_private", "Upper", "good", "1st"):
        write(project, f"plugins/codecs/{name}.py", CODEC.format(1))
    assert set(plugins.names("codecs", project)) - set(plugins.names("codecs", Project("/nowhere"))) == {"good"}


def test_a_plugin_of_the_project_is_loaded_and_stands_before_the_shipped_one(project: Project) -> None:
    write(project, "plugins/codecs/mine.py", CODEC.format(0.5))
    write(project, "plugins/codecs/asv2.py", CODEC.format(0.25))
    assert plugins.load("codecs", "mine", project).TOLERANCE == 0.5
    assert plugins.load("codecs", "asv2", project).TOLERANCE == 0.25
    assert plugins.load("codecs", "asv2", Project("/nowhere")).TOLERANCE != 0.25
    assert plugins.load("codecs", "mine", project) is plugins.load("codecs", "mine", project)


def test_two_projects_do_not_share_a_plugin(tmp_path: Path) -> None:
    one, two = Project(str(tmp_path / "one")), Project(str(tmp_path / "two"))
    write(one, "plugins/codecs/mine.py", CODEC.format(1))
    write(two, "plugins/codecs/mine.py", CODEC.format(2))
    assert [plugins.load("codecs", "mine", each).TOLERANCE for each in (one, two, one)] == [1, 2, 1]


@pytest.mark.parametrize(
    "text", ["import no_such_library\n", "def broken(:\n", "1 / 0\n", "\x00", "x = 1\nraise ValueError('no')\n"]
)
def test_a_plugin_that_does_not_import_says_so_every_time(project: Project, text: str) -> None:
    path = write(project, "plugins/codecs/bad.py", CODEC.format(1) + text)
    for _ in range(2):
        with pytest.raises(ConfigError, match='codec "bad" failed to import') as error:
            plugins.load("codecs", "bad", project)
        assert error.value.file == str(path)
    assert "curate_project.codecs.bad" not in sys.modules
    path.write_text(CODEC.format(3))
    assert plugins.load("codecs", "bad", project).TOLERANCE == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_that_lacks_something_says_what(project: Project, kind: str) -> None:
    write(project, f"plugins/{kind}/empty.py", '"""Nothing."""\n')
    with pytest.raises(ConfigError, match="does not define") as error:
        plugins.load(kind, "empty", project)
    assert all(needed in str(error.value) for needed in plugins.MUST_HAVE[kind])
