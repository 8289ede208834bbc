"""What there is of each kind, with the first sentence that each says of itself."""

import ast
import re
from itertools import takewhile
from pathlib import Path

from curate import plugins
from curate.errors import ConfigError, nearest
from curate.io.warehouse import parameters, read_sql
from curate.plugins import FILES, KINDS, Project


def described(kind: str, project: Project) -> tuple[tuple[str, str], ...]:
    """Return (name, what it is) of every plug-in or file of a kind; no plug-in is imported.

    Reports are those that need no parameters: what `curate sql --report` runs.

    Raises:
        ConfigError: no such kind.
    """
    if kind in FILES:
        return tuple((name, _comment(path)) for name, path in plugins.files(project, *FILES[kind]).items())
    if kind == "reports":
        found = plugins.files(project, "sql/reports", ".sql").items()
        return tuple((name, _comment(path)) for name, path in found if not parameters(read_sql(path)))
    if kind not in KINDS:
        raise ConfigError(f'unknown kind "{kind}"', hint=nearest(kind, (*KINDS, *FILES, "reports")))
    return tuple((name, _docstring(plugins.source(kind, name, project))) for name in plugins.names(kind, project))


def _docstring(path: Path) -> str:
    try:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    except (SyntaxError, UnicodeDecodeError) as error:
        return f"cannot be read: {error}"
    return text.split("\n")[0]


def _comment(path: Path) -> str:
    """Return the first sentence of the comment that opens a file."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    opening = takewhile(lambda line: line.startswith(("#", "--")), lines)
    text = " ".join(line.lstrip("#- ").strip() for line in opening)
    return re.split(r"(?<=[.;]) ", text)[0].rstrip(";")
