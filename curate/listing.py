"""What there is of each kind, with the first sentence that each says of itself."""

import ast
import re
from itertools import takewhile
from pathlib import Path

import numpy as np

from curate import plugins
from curate.errors import ConfigError, nearest
from curate.grounding.templates import TEMPLATES
from curate.io.warehouse import parameters, read_sql
from curate.kernels.token_count import MODELS, PictureModel, sample_tokens
from curate.plugins import FILES, KINDS, Project

OTHERS = ("reports", "models", "templates")
"""Kinds that are neither plug-ins nor files of their own."""


def kinds(project: Project) -> tuple[tuple[str, str], ...]:
    """Return (kind, how many there are) of everything that can be listed."""
    return tuple((kind, str(len(described(kind, project)))) for kind in (*FILES, *KINDS, *OTHERS))


def described(kind: str, project: Project) -> tuple[tuple[str, str], ...]:
    """Return (name, what it is) of every plug-in or file of a kind; no plug-in is imported.

    Reports are those that need no parameters: what `curate sql --report` runs. Models and templates are those that
    `tokens:` of a mix takes.

    Raises:
        ConfigError: no such kind.
    """
    if kind in FILES:
        return tuple((name, _comment(path)) for name, path in plugins.files(project, *FILES[kind]).items())
    if kind == "reports":
        found = plugins.files(project, "sql/reports", ".sql").items()
        return tuple((name, _comment(path)) for name, path in found if not parameters(read_sql(path)))
    if kind == "models":
        return tuple((name, _model(model)) for name, model in sorted(MODELS.items()))
    if kind == "templates":
        return tuple((name, (each.write.__doc__ or "").split("\n")[0]) for name, each in sorted(TEMPLATES.items()))
    if kind not in KINDS:
        raise ConfigError(f'unknown kind "{kind}"', hint=nearest(kind, (*KINDS, *FILES, *OTHERS)))
    return tuple((name, _docstring(plugins.source(kind, name, project))) for name in plugins.names(kind, project))


def _model(model: PictureModel) -> str:
    """Return what a picture costs, one of 640 x 480 pixels where its size counts."""
    side = np.array([640]), np.array([480])
    tokens, _ = sample_tokens(model, *side, np.array([0]), 1)
    return (
        f"{tokens[0]:,} tokens for a picture of 640 x 480" if model.sized else f"{tokens[0]:,} tokens for any picture"
    )


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
