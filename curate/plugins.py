"""Plug-ins and project files: the folder is the registry, the file name is the name.

A project is a folder that may hold `jobs/ catalogs/ sql/ plugins/<kind>/`; what it holds stands before what
curate ships. Nothing is registered: a file that exists is a plug-in, a missing one is a ConfigError that names
its neighbours.
"""

import importlib
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from curate.errors import ConfigError, nearest

KINDS = ("sources", "scorers", "augmenters", "codecs", "exporters")
"""Kinds of plug-ins that are Python files."""

FILES = {"datasets": ("catalogs", ".yaml"), "jobs": ("jobs", ".yaml"), "filters": ("sql/filters", ".sql")}
"""Kinds that are data files: folder and suffix."""

MUST_HAVE = {
    "sources": ("plan", "rows"),
    "scorers": ("VERSION", "COLUMNS", "NEEDS", "Options", "prepare", "Scorer"),
    "augmenters": ("VERSION", "augment"),
    "codecs": ("FRAME", "HOLDS", "TOLERANCE", "encode", "uncoded", "decode"),
    "exporters": ("SUFFIX", "Exporter"),
}
"""Kind → what a plug-in of it must define."""

NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")
"""What a job, a dataset or a filter may be called: its name becomes part of paths and of tables."""

_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


@dataclass(frozen=True, slots=True)
class Project:
    """The user's own folder, laid over what curate ships."""

    folder: str

    def roots(self) -> tuple[Path, ...]:
        """Return the folders to look in, the user's first."""
        return (Path(self.folder), shipped())


def shipped() -> Path:
    """Return the folder with the jobs, catalogs and SQL that come with curate, in a checkout or a wheel."""
    package = Path(__file__).parent
    packed = package / "_project"
    return packed if packed.is_dir() else package.parent


def files(project: Project, folder: str, suffix: str) -> dict[str, Path]:
    """Return name → path of a project folder's files, the user's hiding the shipped ones of the same name."""
    found: dict[str, Path] = {}
    for root in reversed(project.roots()):
        place = root / folder
        if place.is_dir():
            for path in sorted(place.iterdir()):
                if path.suffix == suffix and path.is_file() and NAME.match(path.stem):
                    found[path.stem] = path
    return dict(sorted(found.items()))


def names(kind: str, project: Project) -> list[str]:
    """Return the names of a kind: one of KINDS or of FILES."""
    if kind in FILES:
        return list(files(project, *FILES[kind]))
    shipped_names = (path.stem for path in (Path(__file__).parent / kind).glob("*.py") if path.stem != "__init__")
    own = (name for name in files(project, f"plugins/{kind}", ".py") if _NAME.match(name))
    return sorted({*shipped_names, *own})


def find(kind: str, name: str, project: Project, where: str = "") -> Path:
    """Return the path of a data file by kind and name.

    Raises:
        ConfigError: there is none; the hint names the nearest.
    """
    found = files(project, *FILES[kind])
    if name not in found:
        raise ConfigError(f'unknown {kind[:-1]} "{name}"', where=where, hint=nearest(name, found))
    return found[name]


def source(kind: str, name: str, project: Project) -> Path:
    """Return the file of a plug-in, the user's own before the shipped one."""
    own = files(project, f"plugins/{kind}", ".py").get(name)
    return own or Path(__file__).parent / kind / f"{name}.py"


def load(kind: str, name: str, project: Project, where: str = "") -> ModuleType:
    """Import one plug-in by kind and name.

    Raises:
        ConfigError: there is none, it fails to import, or it lacks what its kind must have (the message says which).
    """
    if name not in names(kind, project):
        raise ConfigError(f'unknown {kind[:-1]} "{name}"', where=where, hint=nearest(name, names(kind, project)))
    own = files(project, f"plugins/{kind}", ".py").get(name)
    place = str(own) if own else f"curate.{kind}.{name}"
    try:
        module = _import_file(own, kind) if own else importlib.import_module(place)
    except Exception as error:
        raise ConfigError(f'{kind[:-1]} "{name}" failed to import: {error!r}', file=place, where=where) from error
    lacking = ", ".join(needed for needed in MUST_HAVE[kind] if not hasattr(module, needed))
    if lacking:
        raise ConfigError(f'{kind[:-1]} "{name}" does not define {lacking}', file=place, where=where)
    return module


def _import_file(path: Path, kind: str) -> ModuleType:
    module_name = f"curate_project.{kind}.{path.stem}"
    known = sys.modules.get(module_name)
    if known is not None and known.__file__ is not None and path.samefile(known.__file__):
        return known
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]  # half a module must not pass for a whole one the next time
        raise
    return module


def sql_report(name: str, project: Project) -> Path:
    """Return the path of sql/reports/NAME.sql.

    Raises:
        ConfigError: there is none.
    """
    found = files(project, "sql/reports", ".sql")
    if name not in found:
        raise ConfigError(f'unknown report "{name}"', hint=nearest(name, found))
    return found[name]
