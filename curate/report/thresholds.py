"""Thresholds: which score a filter compares with which number of the job, and how the samples lie around it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.report.questions import Questions

BINS = 40
STEEP = 0.03
"""Share of the scored samples within one step of a threshold that deserves a look."""

_SKEWED = 0.1
_COMPARED = re.compile(
    r"(?:\b(?P<alias>\w+)\.)?\b(?P<column>[a-z_]\w*)\s*(?P<sign><=?|>=?)\s*\$(?P<parameter>\w+)(?!\s*[-+*/])"
    r"(?:(?:(?!\bwhen\b|\$).)*?\bthen\s*'(?P<reason>\w+)')?",
    re.IGNORECASE | re.DOTALL,
)
_COMMENT = re.compile(r"--[^\n]*")


@dataclass(frozen=True, slots=True)
class Threshold:
    """One comparison of a filter: `column` of `relation` `sign` `value` gives `reason` (empty where unknown)."""

    filter: str
    relation: str
    column: str
    sign: str
    parameter: str
    value: float
    reason: str


@dataclass(frozen=True, slots=True)
class Spread:
    """How samples lie around a threshold; `kept` and `dropped` are counts per bin from `low` to `high`.

    With `log` the bins, `low` and `high` are of the natural logarithm: the values crowd at the small end.
    `ends` are the least and the largest value that is plotted, some room aside.

    `just_under` and `just_over` count the samples within one `step` of the threshold.
    """

    threshold: Threshold
    low: float
    high: float
    ends: tuple[float, float]
    log: bool
    step: float
    scored: int
    unscored: int
    just_under: int
    just_over: int
    kept: tuple[int, ...]
    dropped: tuple[int, ...]

    @property
    def line(self) -> float:
        """Where the threshold stands between `low` and `high`, 0 to 1."""
        value = math.log(self.threshold.value) if self.log else self.threshold.value
        return (value - self.low) / (self.high - self.low)

    @property
    def slope(self) -> float:
        """The larger share of the scored samples that one step either way would move."""
        return max(self.just_under, self.just_over) / self.scored if self.scored else 0.0


def thresholds(
    keep: Mapping[str, Mapping[str, Any]], filters: Mapping[str, str], columns: Mapping[str, Sequence[str]]
) -> list[Threshold]:
    """Return the thresholds of a job's filters, in order: read from the SQL that ran, `filters` by name.

    A filter that compares something else than a column of a score gives none.
    """
    out = []
    for name, parameters in keep.items():
        text = _COMMENT.sub("", filters.get(name, ""))
        for found in _COMPARED.finditer(text):
            value = parameters.get(found["parameter"])
            relation = _relation(found["column"], columns, text)
            if relation and isinstance(value, int | float) and not isinstance(value, bool):
                sign, reason = found["sign"], found["reason"] or ""
                out.append(Threshold(name, relation, found["column"], sign, found["parameter"], float(value), reason))
    return out


def _relation(column: str, columns: Mapping[str, Sequence[str]], text: str) -> str:
    """Return the score that has a column; where several do, one that the filter names."""
    holders = [name for name, has in columns.items() if column in has and {"sample_id", "scores"} <= set(has)]
    named = [name for name in holders if re.search(rf"\b{re.escape(name)}\b", text)]
    return (named or holders or [""])[0]


def spread(threshold: Threshold, job: str, questions: Questions) -> Spread | None:
    """Measure how the samples of a job lie around a threshold; None where nothing was scored."""
    asked: dict[str, Any] = {"relation": threshold.relation, "column": threshold.column, "job": job}
    found = questions.rows("report_threshold", {**asked, "threshold": threshold.value})
    if not found or not found[0]["scored"]:
        return None
    facts = found[0]
    log = facts["least"] > 0 and threshold.value > 0 and facts["middle"] < _SKEWED * facts["high"]
    low, high = _room(facts, threshold.value, log)
    bins = questions.rows("report_histogram", {**asked, "low": low, "high": high, "log": log, "bins": BINS})
    counts = {row["bin"]: (row["kept"], row["dropped"]) for row in bins}
    return Spread(
        threshold,
        low,
        high,
        (facts["low"], facts["high"]),
        log,
        facts["step"],
        facts["scored"],
        facts["unscored"],
        facts["just_under"],
        facts["just_over"],
        tuple(counts.get(place, (0, 0))[0] for place in range(BINS)),
        tuple(counts.get(place, (0, 0))[1] for place in range(BINS)),
    )


def _room(facts: Mapping[str, float], value: float, log: bool) -> tuple[float, float]:
    """Return the ends of a plot, with room beyond a threshold that stands at one of them."""
    low, high = facts["low"], facts["high"]
    if log:
        low, high, value = (math.log(max(each, facts["least"])) for each in (low, high, value))
    if not high > low:
        return low - 0.5, high + 0.5
    room = 0.06 * (high - low)
    return low - room * (value - low < room), high + room * (high - value < room)
