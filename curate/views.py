"""The relations of a root: every committed file in place, and the views of sql/views over them."""

import ast
import re
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from curate import plugins, schema
from curate.errors import ConfigError, OutsideError
from curate.io import storage
from curate.io.records import read_json
from curate.io.warehouse import Warehouse, read_sql
from curate.layout import PACKS, runs_folder, sound_root
from curate.plugins import Project

RUNS = pa.schema(
    [
        ("run", pa.string()),
        ("job", pa.string()),
        ("kind", pa.string()),
        ("dataset", pa.string()),
        ("digest", pa.string()),
        ("decisions", pa.string()),
        ("augmented", pa.string()),
        ("complete", pa.bool_()),
        ("latest", pa.bool_()),
    ]
)
"""One row per run of a job; `decisions` and `augmented` are the digests of its files, `latest` its last run."""

_SCORES = re.compile(r"/scores/(?P<folder>(?P<name>\w+?)-v(?P<version>\d+)(?:-[0-9a-f]{8})?)/[^/]+\.parquet$")


def open_root(root: str, project: Project, empty: bool = False) -> Warehouse:
    """Return a warehouse with the relations `all_samples`, `verdicts`, `children`, `mixed`, `steps`, `token_counts`,
    `runs`, one per scorer, and every view of the project.

    Raises:
        ConfigError: the root holds nothing, unless it may be `empty`, or a view of the project is wrong.
    """
    base = sound_root(root)
    mixed = [uri for pattern in PACKS for uri in storage.glob(f"{base}/mixes/*/*/{pattern}")]
    if not empty and not mixed and not storage.glob(f"{base}/*/plan.json"):
        raise ConfigError(f"nothing curated under {root}", hint="curate run JOB --root URL, or curate demo")
    warehouse = Warehouse()
    warehouse.add("all_samples", storage.glob(f"{base}/*/samples/*.parquet"), schema.SAMPLES)
    warehouse.add("verdicts", storage.glob(f"{base}/*/decisions/*/*.parquet"), schema.VERDICTS)
    warehouse.add("children", storage.glob(f"{base}/*/augmented/*/*.parquet"), schema.CHILDREN)
    warehouse.add("mixed", mixed, schema.MIXED)
    warehouse.add("steps", storage.glob(f"{base}/mixes/*/*/steps.parquet"), schema.STEPS)
    warehouse.add("token_counts", storage.glob(f"{base}/lengths/*/*/*.parquet"), schema.LENGTHS)
    warehouse.add("runs", runs_table(root), RUNS)
    scored = set()
    for name, files in score_files(storage.glob(f"{base}/*/scores/*/*.parquet")).items():
        warehouse.add(name, files, pa.schema([]))
        scored.add(name)
    for name in sorted(set(plugins.names("scorers", project)) - scored):
        # A report asks of scores that nobody measured yet: none, not an error.
        warehouse.add(name, (), _unscored(name, project))
    for name, path in _in_order(plugins.files(project, "sql/views", ".sql")):
        warehouse.view(name, path)
    return warehouse


def _unscored(name: str, project: Project) -> pa.Schema:
    """Return the columns that the scores of a scorer would have, read from its file: an import may load a model."""
    columns: list[str] = []
    try:
        body = ast.parse(plugins.source("scorers", name, project).read_text(encoding="utf-8")).body
    except (SyntaxError, ValueError):
        body = []  # a plug-in that does not read has no columns; who asks for it hears why
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
            if any(getattr(target, "id", "") == "COLUMNS" for target in targets):
                columns = [str(key.value) for key in node.value.keys if isinstance(key, ast.Constant)]
    fields = [("sample_id", pa.string()), ("scores", pa.string()), *((column, pa.float64()) for column in columns)]
    return pa.schema(fields)


def report_query(name: str, project: Project) -> str:
    """Return the SQL of sql/reports/NAME.sql.

    Raises:
        ConfigError: there is none.
    """
    return read_sql(plugins.sql_report(name, project))


def score_files(uris: Iterable[str]) -> dict[str, list[str]]:
    """Return scorer → its files, of its newest version alone."""
    newest: dict[str, int] = {}
    found: list[tuple[str, int, str]] = []
    for uri in uris:
        match = _SCORES.search(uri)
        if match:
            version = int(match["version"])
            newest[match["name"]] = max(version, newest.get(match["name"], 0))
            found.append((match["name"], version, uri))
    files: dict[str, list[str]] = {}
    for name, version, uri in found:
        if version == newest[name]:
            files.setdefault(name, []).append(uri)
    return files


def runs_table(root: str) -> pa.Table:
    """Return the relation `runs`: what each recorded run says of itself, in order of time."""
    rows: list[dict[str, Any]] = []
    for uri in storage.glob(f"{runs_folder(root)}/*/job-*.json"):
        try:
            row = {**{name: value for name, value in read_json(uri).items() if name in RUNS.names}, "latest": False}
            pa.Table.from_pylist([row], schema=RUNS)
            rows.append({name: row[name] for name in RUNS.names})
        except (KeyError, pa.ArrowException) as error:
            raise OutsideError(f"{uri} is damaged ({error!r}): curate doctor sets it aside, then run again") from error
    last = {row["job"]: row for row in rows}
    for row in last.values():
        row["latest"] = True
    return pa.Table.from_pylist(rows, schema=RUNS)


def _in_order(files: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, SQL) so that a view stands behind every view that it reads."""
    texts = {name: read_sql(path) for name, path in files.items()}
    reads = {
        name: {other for other in texts if other != name and re.search(rf"\b{other}\b", text)}
        for name, text in texts.items()
    }
    ordered: list[str] = []
    while len(ordered) < len(texts):
        ready = [name for name in texts if name not in ordered and reads[name] <= set(ordered)]
        if not ready:
            circle = ", ".join(sorted(set(texts) - set(ordered)))
            raise ConfigError(f"views that read each other in a circle: {circle}")
        ordered += ready
    return [(name, texts[name]) for name in ordered]
