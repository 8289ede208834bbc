"""Was every planted fault caught, and was anything sound lost? The truth against what became of each row."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curate.demo.faults import FAULTS, Fault

Outcome = dict[str, Any]
HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the rows with one fault; `how` counts the ends that they met.

    For a fault that must be recovered from, and for healthy rows, `caught` counts the rows that were kept and
    `wrongly_dropped` the others.
    """

    fault: str
    planted: int
    caught: int
    wrongly_dropped: int
    how: str

    @property
    def missed(self) -> int:
        """Return how many rows did not end as they should."""
        return self.planted - self.caught


def judge(truth: pa.Table, outcomes: pa.Table) -> list[Verdict]:
    """Return a verdict for every fault that was planted, in the order of FAULTS, and one for healthy rows.

    `truth` is a world's truth table; `outcomes` has dataset, source_key, url, width, height, status, error, reason
    and kept. What must be kept must also be stored upright, at the size that it was drawn in.
    Rows meet by URL, those of SA-1B by source key. A row without an outcome is missed. A copied picture is
    caught when it or its original is dropped for it, and the other one is not.
    """
    found = {_key(row): row for row in outcomes.to_pylist()}
    rows = truth.to_pylist()
    twins = {row["twin"] for row in rows if row["twin"]}
    planted: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["fault"] or row["url"] not in twins:
            planted[row["fault"] or HEALTHY].append(row)
    kinds = [*FAULTS, Fault(HEALTHY, "nothing", (), kept=True)]
    return [_verdict(kind, planted[kind.name], found) for kind in kinds if planted[kind.name]]


def all_caught(verdicts: Iterable[Verdict]) -> bool:
    """Tell whether no planted fault was missed; healthy rows that were dropped do not count here."""
    return all(verdict.missed == 0 for verdict in verdicts if verdict.fault != HEALTHY)


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["dataset"], row["source_key"] if row["dataset"] == "sa1b" else row["url"]


def _verdict(kind: Fault, rows: list[dict[str, Any]], found: dict[tuple[str, str], Outcome]) -> Verdict:
    ends: Counter[str] = Counter()
    caught = 0
    for row in rows:
        outcome = found.get(_key(row))
        twin = found.get((row["dataset"], row["twin"])) if row["twin"] else None
        ends[_end(_dropped_of(outcome, twin))] += 1
        caught += _is_caught(kind, row, outcome, twin)
    how = ", ".join(f"{end} {count}" for end, count in ends.most_common())
    return Verdict(kind.name, len(rows), caught, len(rows) - caught if kind.kept else 0, how)


def _dropped_of(outcome: Outcome | None, twin: Outcome | None) -> Outcome | None:
    return twin if twin and outcome and outcome["kept"] else outcome


def _is_caught(kind: Fault, told: dict[str, Any], outcome: Outcome | None, twin: Outcome | None) -> bool:
    if outcome is None:
        return False
    if kind.kept:
        return bool(outcome["kept"]) and (told["width"], told["height"]) == (outcome["width"], outcome["height"])
    if twin is not None and bool(twin["kept"]) == bool(outcome["kept"]):
        return False
    ended = _dropped_of(outcome, twin)
    if ended is None or ended["kept"]:
        return False
    return ended["error"] in kind.errors if ended["status"] != "ok" else ended["reason"] in kind.reasons


def _end(outcome: Outcome | None) -> str:
    if outcome is None:
        return "absent"
    if outcome["kept"]:
        return "kept"
    return str(outcome["error"] if outcome["status"] != "ok" else outcome["reason"])
