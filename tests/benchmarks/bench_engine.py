"""The demo's ingest on Ray Data against two plain processes over the same shards: pictures a second, start-up apart."""

import multiprocessing
import os
import pickle
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from table import Row, publish

from curate import planning, plugins
from curate.catalog import load_catalog
from curate.demo.server import serve
from curate.demo.world import make_world
from curate.io.fetch import FetchOptions
from curate.io.images import Limits
from curate.job import Pictures
from curate.layout import Layout
from curate.plugins import Project
from curate.runner.ray import open_runner
from curate.shards import Needs, Phase, ShardTask
from curate.stages import ingest

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SCENES = 2200
GOAL = 0.85
LIMITS = Limits(max_side=1024, min_side=32)


def phases(root: Path, project: Project) -> list[Phase]:
    """Return the ingest of both served datasets of the world into `root`, in the form that a runner takes."""
    found = []
    for name in ("demo_cc12m", "demo_grit"):
        layout, catalog = Layout(str(root), name), load_catalog(name, project)
        plan = planning.make(layout, catalog, project, Pictures(max_side=1024, min_side=32), None)
        config = ingest.Ingest(
            layout,
            catalog.source,
            project,
            Limits(max_side=1024, min_side=32),
            FetchOptions(**catalog.fetch.options()),
            0.5,
        )
        tasks = tuple(ShardTask(name, n, part.rows, part) for n, part in enumerate(plan.shards))
        found.append(Phase("ingest", tasks, partial(ingest.build, config), needs=ingest.NEEDS))
    return found


def rayly(phases: list[Phase], runner: Any) -> int:
    """Run the phases on Ray Data; return the pictures stored."""
    reports = [report for phase in phases for report in runner.run(phase)]
    failed = [report.error for report in reports if not report.ok]
    if failed:
        raise SystemExit(f"a shard failed: {failed[0]}")
    return sum(report.counts["ok"] for report in reports)


def plainly(phases: list[Phase], pool: Any) -> int:
    """Run the phases on two plain processes; return the pictures stored."""
    stored = 0
    for phase in phases:
        packed = pickle.dumps(phase)
        stored += sum(pool.imap_unordered(_plain, [(packed, task) for task in phase.tasks], chunksize=1))
    return stored


def _plain(work: tuple[bytes, ShardTask]) -> int:
    phase: Phase = pickle.loads(work[0])
    return phase.build()(work[1], None).counts["ok"]


def main() -> None:
    """Interleave the rounds, and compare medians."""
    here = Path(tempfile.mkdtemp(prefix="curate-bench-"))
    project = Project(str(plugins.shipped()))
    os.environ["CURATE_WORLD"] = str(here / "world")
    rates: dict[str, list[float]] = {"ray": [], "ray, 2 at once": [], "plain": []}
    with serve(here / "world") as port, multiprocessing.get_context("spawn").Pool(2) as pool:
        make_world(here / "world", 7, SCENES, "127.0.0.1", port)
        began = time.monotonic()
        runner = open_runner(cpus=2)
        start_up = time.monotonic() - began
        for number in range(ROUNDS + 1):  # round 0 warms both: imports, workers, page cache
            for name in rates:
                root = here / f"{name}-{number}"
                planned = phases(root, project)
                if name == "ray, 2 at once":  # as many shards at a time as the plain processes have
                    planned = [replace(phase, needs=Needs(cpus=1)) for phase in planned]
                began = time.monotonic()
                stored = plainly(planned, pool) if name == "plain" else rayly(planned, runner)
                spent = time.monotonic() - began
                shutil.rmtree(root)
                if number:
                    rates[name].append(stored / spent)
                print(f"  round {number} {name:<14} {stored} pictures {spent:.2f} s", file=sys.stderr)
        runner.close()
    shutil.rmtree(here)
    ours, equal, peer = (statistics.median(found) for found in rates.values())
    ratio = ours / peer
    publish(
        "engine",
        [
            Row("demo ingest, Ray Data, 2 CPUs", "pictures", "1/s", ours, peer, None, "", None),
            Row("demo ingest", "Ray / plain processes", "ratio", ratio, 1.0, None, f">= {GOAL}", ratio >= GOAL),
            Row("demo ingest, 2 shards at a time", "Ray / plain processes", "ratio", equal / peer, 1.0, None, "", None),
            Row("embedded Ray", "start-up", "s", start_up, None, None, "apart", None),
        ],
    )


if __name__ == "__main__":
    main()
