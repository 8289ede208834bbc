"""The demo: make the tiny world, serve it, run its jobs as anyone would, and hold the outcome against the truth."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate import plugins
from curate.demo import verdict
from curate.demo.server import serve
from curate.demo.verdict import Verdict
from curate.demo.world import DATASETS, make_world
from curate.driver import Where
from curate.errors import ConfigError
from curate.io import storage, tables
from curate.io.warehouse import read_sql
from curate.layout import Layout
from curate.pipeline import Run, run
from curate.plugins import Project, sql_report
from curate.report.page import ReportOptions, Written, write_report
from curate.results import Listener, RunResult
from curate.views import open_root

SEED = 7
HOST = "127.0.0.1"
JOBS = ("demo_sa1b", "demo")
"""The masks have no words to train on, so the mix does not draw them: they are a job of their own."""

PREFIX = "demo_"


@dataclass(frozen=True, slots=True)
class Played:
    """What came of the demo: its runs, the verdict on every planted fault, and the report."""

    runs: tuple[RunResult, ...]
    verdicts: tuple[Verdict, ...]
    report: Written
    ok: bool


def play(root: str, where: Where, scenes: int, listener: Listener) -> Played:
    """Play the demo under a local folder; a second time it finds everything done.

    Raises:
        ConfigError: the folder holds a world of another size, or its port is taken while pictures are wanted.
    """
    project = Project(str(plugins.shipped()))
    with _world(Path(root), scenes) as world:
        os.environ["CURATE_WORLD"] = str(world)
        asked = Run(root, project, where)
        runs = tuple(run(name, asked, listener) for name in JOBS)
        verdicts = tuple(verdict.judge(tables.read_table(str(world / "truth.parquet")), _outcomes(root, project)))
    report = write_report(root, project, ReportOptions())
    ok = all(each.ok() for each in runs) and verdict.all_caught(verdicts)
    return Played(runs, verdicts, report, ok)


@contextmanager
def _world(root: Path, scenes: int) -> Iterator[Path]:
    """Give the folder of the world, served for as long as pictures are still to be fetched from it."""
    folder, note = root / "world", root / "world" / "world.json"
    known: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {}
    if known and (known["scenes"], known["seed"]) != (scenes, SEED):
        raise ConfigError(
            f"{folder} holds {known['scenes']} scenes, not {scenes}", hint=f"remove {root} to start afresh"
        )
    if known and all(storage.exists(Layout(str(root), PREFIX + name).manifest) for name in DATASETS):
        yield folder
        return
    try:
        with serve(folder, HOST, known.get("port", 0)) as port:
            if not known:
                make_world(folder, SEED, scenes, HOST, port)
                note.write_text(json.dumps({"scenes": scenes, "seed": SEED, "port": port}))
            yield folder
    except OSError as error:
        if "port" not in known:
            raise
        raise ConfigError(
            f"port {known['port']}, at which the world's pictures lie, is taken: {error.strerror}",
            hint=f"free it, or remove {root} to start afresh",
        ) from error


def _outcomes(root: str, project: Project) -> pa.Table:
    """Return what became of every row, under the names that the truth gives to datasets."""
    warehouse = open_root(root, project)
    found = warehouse.table(read_sql(sql_report("outcomes", project)))
    warehouse.close()
    names = [name.removeprefix(PREFIX) for name in found["dataset"].to_pylist()]
    return found.set_column(found.schema.get_field_index("dataset"), "dataset", pa.array(names, pa.string()))
