"""What a mix leaves out, and what its gate knew: benchmarks and the ways that found them, duplicates, blind ways."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.report import told
from curate.report.questions import Row
from curate.report.words import inert

MOST_REASONS = 8
MOST_NAMES = 6
ANY = "any"
"""What the gate counts a sample by once for each benchmark, however many ways found it."""

WAYS = ("picture_id", "url", "sha256", "phash", "mirrored")
_HAVE = {
    "picture_id": "a number in a collection",
    "url": "a URL",
    "sha256": "a picture whose bytes are at hand",
    "phash": "a picture that could be hashed",
}


@dataclass(frozen=True, slots=True)
class Drops:
    """Candidates left out: a row (component, count for each reason, total), and the last row's totals."""

    reasons: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...], int], ...]
    totals: tuple[int, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Found:
    """Samples of a component that show pictures of a benchmark: in all, and for each of the ways."""

    component: str
    benchmark: str
    samples: int
    by: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Twins:
    """Samples of a component that left because one like them stays in `of`."""

    component: str
    reason: str
    of: str
    samples: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A benchmark's list: rows read, and how many of them tell no picture."""

    name: str
    rows: int
    unusable: int


@dataclass(frozen=True, slots=True)
class Known:
    """How many candidates of a component, if it is `pictured` at all, can be known in each way of the gate."""

    component: str
    counts: tuple[int, ...]
    pictured: bool


@dataclass(frozen=True, slots=True)
class Gate:
    """What the gate did, in sentences and in tables; the tables are empty where there was none."""

    sentences: tuple[str, ...]
    found: tuple[Found, ...] = ()
    ways: tuple[str, ...] = ()
    twins: tuple[Twins, ...] = ()
    lists: tuple[Listed, ...] = ()
    known_ways: tuple[str, ...] = ()
    known: tuple[Known, ...] = ()
    unknown: tuple[str, ...] = ()
    """Components in which no benchmark could be recognised at all."""


def drops(rows: Sequence[Row]) -> Drops:
    """Return what report_mix_drops tells, component by reason; rarer reasons are taken together."""
    totals: Counter[str] = Counter()
    for row in rows:
        totals[row["reason"]] += row["candidates"]
    shown = [reason for reason, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))]
    rest = shown[MOST_REASONS - 1 :] if len(shown) > MOST_REASONS else []
    named = shown[: len(shown) - len(rest)]
    column = {reason: named.index(reason) if reason in named else len(named) for reason in shown}
    width = len(named) + bool(rest)
    cells: dict[str, list[int]] = {}
    for row in rows:
        cells.setdefault(row["component"], [0] * width)[column[row["reason"]]] += row["candidates"]
    heads = (*(inert(reason, 40) for reason in named), *([f"{len(rest)} more reasons"] if rest else []))
    sums = tuple(sum(counts[place] for counts in cells.values()) for place in range(width))
    parts = tuple((inert(name, 60), tuple(counts), sum(counts)) for name, counts in sorted(cells.items(), key=str))
    return Drops(heads, parts, sums, sum(sums))


def gate(facts: Mapping[str, Any], wordy: Collection[str] = ()) -> Gate:
    """Return what a mix's manifest says of its gate; components that are `wordy` show no pictures to be known."""
    if "gate" not in facts:
        return Gate(("The plan says nothing of a gate: it was made before there were any.",))
    if not told.table(facts, "gate"):
        said = "No gate was set: nothing was compared with any benchmark, and what components share may come twice."
        return Gate((said,))
    said_of = told.table(facts, "gate")
    lists = tuple(
        Listed(inert(name, 60), told.count(each, "rows"), told.count(each, "unusable"))
        for name, each in told.tables(said_of, "lists").items()
    )
    report = told.rows(said_of, "report")
    found = _found(report)
    ways = tuple(way for place, way in enumerate(WAYS) if any(each.by[place] for each in found))
    known_ways, known = _known(said_of, wordy)
    pictured = [each for each in known if each.pictured]
    unknown = tuple(each.component for each in pictured if not any(each.counts))
    return Gate(
        tuple(_sentences(lists, found, known_ways, pictured)),
        tuple(Found(e.component, e.benchmark, e.samples, tuple(e.by[WAYS.index(way)] for way in ways)) for e in found),
        ways,
        tuple(
            Twins(_said(row, "component"), _said(row, "reason"), _said(row, "against"), told.count(row, "samples"))
            for row in report
            if row.get("reason") != "contaminated"
        ),
        lists,
        known_ways,
        known,
        unknown if lists else (),
    )


def _said(row: Mapping[str, Any], name: str) -> str:
    return inert(row.get(name, ""), 60)


def _found(report: Sequence[Mapping[str, Any]]) -> list[Found]:
    """Return component by benchmark, what was found in every way of WAYS."""
    cells: dict[tuple[str, str], Counter[str]] = {}
    for row in report:
        if row.get("reason") == "contaminated":
            key = str(row.get("component", "")), str(row.get("against", ""))
            cells.setdefault(key, Counter())[str(row.get("by", ""))] += told.count(row, "samples")
    return [
        Found(inert(component, 60), inert(name, 60), counts[ANY], tuple(counts[way] for way in WAYS))
        for (component, name), counts in sorted(cells.items())
    ]


def _known(said_of: Mapping[str, Any], wordy: Collection[str]) -> tuple[tuple[str, ...], tuple[Known, ...]]:
    known = told.tables(said_of, "known")
    ways = tuple(way for way in WAYS if any(way in each for each in known.values()))
    return ways, tuple(
        Known(inert(name, 60), tuple(told.count(each, way) for way in ways), name not in wordy)
        for name, each in known.items()
    )


def _sentences(
    lists: Sequence[Listed], found: Sequence[Found], ways: Sequence[str], known: Sequence[Known]
) -> list[str]:
    """Return what the tables come to, and what the gate could not see."""
    if not lists:
        return ["No benchmark was named: the gate looked for duplicates alone."]
    clean = [each.name for each in lists if each.name not in {one.benchmark for one in found if one.samples}]
    out = [f"No candidate was found to show a picture of {_names(clean)}."] if clean else []
    for place, way in enumerate(ways):
        blind = [each.component for each in known if not each.counts[place]]
        if blind:
            which = "any component" if len(blind) == len(known) else _names(blind)
            out.append(f"By {way} nothing can be found in {which}: no candidate there has {_HAVE[way]}.")
    for each in lists:
        if each.unusable:
            out.append(
                f"{each.unusable:,} of the {each.rows:,} rows of {each.name} name no picture: nothing is known by them."
            )
    return out


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
