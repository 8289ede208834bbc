"""Contact sheets of one job: which samples are shown, beside which thresholds, and how they were chosen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curate import schema
from curate.report.album import Album
from curate.report.cards import Card, Measure, card, child_card
from curate.report.questions import Questions, Row
from curate.report.records import Record
from curate.report.thresholds import Threshold
from curate.sample import Sample

Values = Mapping[tuple[str, str], Mapping[str, float | None]]
"""(relation, column) → sample id → value."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Cards of one status or reason; `base` is how many there are in all, `order` says how these were chosen."""

    name: str
    status: str
    cards: tuple[Card, ...]
    base: int
    order: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A parent and its children."""

    parent: Card
    children: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Sheets:
    """What the sheets of one job are made from."""

    record: Record
    questions: Questions
    album: Album
    thresholds: tuple[Threshold, ...]

    def contact(self, kept: bool, limit: int) -> Sheet:
        """Return kept or dropped samples; of the dropped each reason comes in its turn."""
        base = self.record.kept if kept else sum(self.record.stage("filter").lost.values())
        rows = self.questions.rows(
            "report_sheet", {"job": self.record.job, "kept": kept, "reason": None, "limit": limit}
        )
        order = "by hash of the id" if kept else "each reason in turn, by hash of the id"
        status = "kept" if kept else "dropped"
        return Sheet(status, status, self._cards(rows, status), base, order)

    def reasons(self, each: int) -> list[Sheet]:
        """Return one sheet per reason, most frequent first, `each` samples on it."""
        lost = Counter(self.record.stage("filter").lost)
        return [self._reason(reason, count, each) for reason, count in lost.most_common() if count]

    def pairs(self, parents: int) -> list[Pair]:
        """Return parents with their children."""
        if not self.record.augmented:
            return []
        asked = {"dataset": self.record.dataset, "digest": self.record.augmented, "limit": parents}
        rows = self.questions.rows("report_pairs", asked)
        wanted = list(dict.fromkeys(row["parent_id"] for row in rows))
        originals = self.questions.originals(self.record.dataset, wanted)
        return [
            self._pair(originals[parent], [row for row in rows if row["parent_id"] == parent])
            for parent in wanted
            if parent in originals
        ]

    def _reason(self, reason: str, count: int, each: int) -> Sheet:
        asked = {"job": self.record.job, "reason": reason, "limit": each}
        near = [threshold for threshold in self.thresholds if threshold.reason == reason]
        if near:
            which = {"relation": near[0].relation, "column": near[0].column, "threshold": near[0].value}
            rows = self.questions.rows("report_near", {**asked, **which})
            order = f"nearest to {near[0].parameter} = {near[0].value:g} first"
        else:
            rows = self.questions.rows("report_sheet", {**asked, "kept": False})
            order = "by hash of the id"
        return Sheet(reason, "dropped", self._cards(rows, "dropped"), count, order)

    def _cards(self, rows: Sequence[Row], status: str) -> tuple[Card, ...]:
        values = self._values([row["sample_id"] for row in rows])
        return tuple(self._card(schema.from_row(row), status, row["drop_reason"] or "", values) for row in rows)

    def _card(self, sample: Sample, status: str, reason: str, values: Values) -> Card:
        measures = [
            _measure(threshold, values[threshold.relation, threshold.column].get(sample.sample_id), reason)
            for threshold in self.thresholds
        ]
        shown = [each for each in measures if each is not None]
        decisive = [each for each in shown if each.decisive] or (shown[:2] if status == "kept" else [])
        return card(sample, status, self.album.picture(sample), reason, decisive)

    def _values(self, ids: Sequence[str]) -> Values:
        columns = {(threshold.relation, threshold.column) for threshold in self.thresholds}
        return {
            (relation, column): self.questions.values(relation, column, ids) for relation, column in sorted(columns)
        }

    def _pair(self, parent: Sample, rows: Sequence[Row]) -> Pair:
        children = tuple(
            child_card(child, parent, self.album.picture(child, self.record.augmented), row["recipe"])
            for row, child in ((row, schema.from_row(row)) for row in rows)
        )
        return Pair(card(parent, "kept", self.album.picture(parent), "", ()), children)


def _measure(threshold: Threshold, value: float | None, reason: str) -> Measure | None:
    """Write a value beside its threshold; the digits suffice to tell them apart."""
    if value is None or value != value:
        return None
    decisive = bool(reason) and threshold.reason == reason
    sign = threshold.sign if decisive else {"<": "≥", "<=": ">", ">": "≤", ">=": "<"}[threshold.sign]
    digits = next((n for n in range(3, 9) if f"{value:.{n}g}" != f"{threshold.value:.{n}g}"), 9)
    return Measure(threshold.column, f"{value:.{digits}g}", f"{sign} {threshold.value:g}", decisive)
