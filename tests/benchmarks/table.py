"""The one form of every benchmark: rows of case, metric, unit, ours, peer, floor, goal, met."""

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "bench"


@dataclass(frozen=True)
class Row:
    """One figure. `peer` is what it is compared with in the same run, `floor` what nothing can beat."""

    case: str
    metric: str
    unit: str
    ours: float
    peer: float | None
    floor: float | None
    goal: str
    met: bool | None


def publish(name: str, rows: list[Row]) -> None:
    """Print the table and write build/bench/NAME.json; the exit code says whether every goal was met."""
    print(f"{name}   {machine()}")
    print(f"{'case':<34} {'metric':<26} {'ours':>10} {'peer':>10} {'floor':>10}  {'goal':<22} met")
    for row in rows:
        cells = [f"{value:>10.4g}" if value is not None else f"{'':>10}" for value in (row.ours, row.peer, row.floor)]
        met = {True: "yes", False: "NO", None: ""}[row.met]
        print(f"{row.case:<34} {row.metric + ', ' + row.unit:<26} {' '.join(cells)}  {row.goal:<22} {met}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(
        json.dumps([asdict(row) for row in rows], indent=1, default=lambda value: value.item()) + "\n"
    )
    sys.exit(0 if all(row.met is not False for row in rows) else 1)


def machine() -> str:
    """Return what the figures were taken on."""
    facts = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in facts if line.startswith("model name")), platform.machine()
    )
    return f"{os.cpu_count()} cores, {model}, {platform.machine()}, Python {platform.python_version()}"
