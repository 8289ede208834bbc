"""Panels: everything that the page shows of one job, gathered once from its records and its relations."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from curate.plugins import Project
from curate.report.album import Album
from curate.report.alerts import Alert, alerts, mix_alerts
from curate.report.figures import Funnel, Plot, funnel, plot, steps
from curate.report.mixes import Licence, Mixed, licences, mixed
from curate.report.questions import Questions, Row
from curate.report.records import Record
from curate.report.sheets import Pair, Sheet, Sheets
from curate.report.thresholds import Spread, spread, thresholds
from curate.report.words import inert

MOST_PLOTS = 6
PAIR_PARENTS = 4
REFUSED_EACH = 3
FAILURE_ROWS = 30
YIELD_ROWS = 24


@dataclass(frozen=True, slots=True)
class Refused:
    """One child that was not made, as text; `rows` counts its recipe and reason."""

    recipe: str
    error: str
    detail: str
    text: str
    rows: int
    first: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """Failed rows of one cause and host, as text."""

    error: str
    host: str
    rows: int
    example: str


@dataclass(frozen=True, slots=True)
class Yielded:
    """Rows that were asked for in one hour or of one host, as text: how many, how many good, what failed most."""

    facet: str
    what: str
    rows: int
    share: float
    usual_cause: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One job on the page; `mix` is None for a job that curates."""

    key: str
    record: Record
    command: str
    alerts: tuple[Alert, ...]
    funnel: Funnel | None = None
    plots: tuple[Plot, ...] = ()
    kept: Sheet | None = None
    dropped: Sheet | None = None
    reasons: tuple[Sheet, ...] = ()
    pairs: tuple[Pair, ...] = ()
    refused: tuple[Refused, ...] = ()
    failures: tuple[Failure, ...] = ()
    failure_rows: int = 0
    yields: tuple[Yielded, ...] = ()
    mix: Mixed | None = None
    licences: tuple[Licence, ...] = ()

    def rank(self) -> int:
        """Where a panel stands among others: words with boxes, boxes, words alone, mixes."""
        cards = self.kept.cards if self.kept else ()
        boxed = any(card.overlay and card.overlay.boxes for card in cards)
        worded = any(said.segments for card in cards for said in card.said)
        return 3 if self.mix else 2 if not boxed else 0 if worded else 1


@dataclass(frozen=True, slots=True)
class Desk:
    """What panels are made with."""

    root: str
    project: Project
    questions: Questions
    album: Album
    pictures: int


def panel(record: Record, place: int, desk: Desk) -> Panel:
    """Return the panel of one job."""
    key = f"p{place}"
    again = shlex.join(["curate", "run", record.job, "--root", desk.root])
    return _mix_panel(record, key, again, desk) if record.kind == "mix" else _job_panel(record, key, again, desk)


def _mix_panel(record: Record, key: str, again: str, desk: Desk) -> Panel:
    found = mixed(record, desk.questions)
    advise = shlex.join(["curate", "mix", "advise", record.job, "--root", desk.root])
    rows = desk.questions.of_mix("report_mix_components", record.job, record.digest)
    datasets = sorted({each for row in rows for each in row["datasets"] if each})
    files = record.facts.get("files", {})
    return Panel(
        key,
        record,
        again,
        tuple(mix_alerts(record, found, advise, again)),
        mix=found,
        licences=tuple(licences(datasets, desk.project, {file["name"] for file in files.values()})),
    )


def _job_panel(record: Record, key: str, again: str, desk: Desk) -> Panel:
    questions = desk.questions
    limits = thresholds(record.keep, record.facts.get("filters", {}), questions.columns())
    spreads = [found for found in (spread(limit, record.job, questions) for limit in limits) if found]
    hosts = questions.rows("report_hosts", {"dataset": record.dataset})
    sheets = Sheets(record, questions, desk.album, tuple(limits))
    contact, each = shares(desk.pictures, sum(1 for n in record.stage("filter").lost.values() if n))
    failures = questions.rows("report_failures", {"dataset": record.dataset})
    return Panel(
        key,
        record,
        again,
        tuple(alerts(record, spreads, hosts, again)),
        funnel(steps(record)),
        tuple(plot(found) for found in _telling(spreads, record)),
        sheets.contact(True, contact),
        sheets.contact(False, contact),
        tuple(sheets.reasons(each)),
        tuple(sheets.pairs(min(PAIR_PARENTS, desk.pictures // 6))),
        _refused(questions, record),
        tuple(_failure(row) for row in failures[:FAILURE_ROWS]),
        len(failures),
        tuple(_yields(questions, record.dataset)),
        licences=tuple(licences([record.dataset], desk.project)),
    )


def _telling(spreads: list[Spread], record: Record) -> list[Spread]:
    """Return the thresholds that drop most, in the order of the job."""
    lost = record.stage("filter").lost
    by_loss = sorted(spreads, key=lambda found: (-lost.get(found.threshold.reason, 0), -found.slope))
    chosen = by_loss[:MOST_PLOTS]
    return [found for found in spreads if found in chosen]


def shares(pictures: int, reasons: int) -> tuple[int, int]:
    """Return how many pictures kept and dropped have each, and how many each reason's own sheet has."""
    contact = pictures // 4
    return contact, min(12, (pictures - 2 * contact) // reasons) if reasons else 0


def _refused(questions: Questions, record: Record) -> tuple[Refused, ...]:
    if not record.augmented:
        return ()
    asked = {"dataset": record.dataset, "digest": record.augmented, "limit": REFUSED_EACH}
    out: list[Refused] = []
    for row in questions.rows("report_refused", asked):
        recipe, error = inert(row["recipe"], 60), inert(row["error"], 60)
        first = not out or (out[-1].recipe, out[-1].error) != (recipe, error)
        detail, text = inert(row["error_detail"] or "", 120), inert(row["text"] or "", 160)
        out.append(Refused(recipe, error, detail, text, row["rows"], first))
    return tuple(out)


def _yields(questions: Questions, dataset: str) -> Iterator[Yielded]:
    """Yield the last hours in order, then the hosts most asked."""
    found = [row for row in questions.rows("yield") if row["dataset"] == dataset]
    for facet, rows in (("hour", slice(-YIELD_ROWS, None)), ("host", slice(YIELD_ROWS))):
        for row in [row for row in found if row["facet"] == facet][rows]:
            yield Yielded(facet, inert(row["what"], 60), row["rows"], row["share"], inert(row["usual_cause"], 60))


def _failure(row: Row) -> Failure:
    return Failure(inert(row["error"], 60), inert(row["host"], 60), row["rows"], inert(row["example"] or "", 160))
