"""Alerts: at most five things of a run that deserve a look, the gravest first, each with its number."""

from collections.abc import Sequence
from dataclasses import dataclass

from curate.report.questions import Row
from curate.report.records import Record
from curate.report.thresholds import STEEP, Spread
from curate.report.words import inert

MOST = 5
LARGE_LOSS = 0.2
"""Share of the rows that went into a stage, above which one reason deserves a look."""
MOST_REFUSED = 0.1
MANY_UNSCORED = 0.01
LOOSE_PACKS = 0.9

STATUS_ORDER = ("failed", "dropped", "review")


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to look at: its gravity (`failed`, `dropped`, `review`), a number, a sentence, where to look."""

    status: str
    number: str
    sentence: str
    link: str = ""
    command: str = ""


def alerts(record: Record, spreads: Sequence[Spread], hosts: Sequence[Row], again: str) -> list[Alert]:
    """Return the alerts of a job that curates; `again` is the command that repeats it."""
    found = [
        *_broken(record, again),
        *_losses(record),
        *_hosts(hosts, sum(record.stage("ingest").lost.values())),
        *_slopes(spreads),
        *_unscored(record),
        *_refused(record),
    ]
    return _gravest(found)


def mix_alerts(record: Record, left_out: int, draws: int, again: str) -> list[Alert]:
    """Return the alerts of a mix."""
    found = _broken(record, again)
    fill = record.facts.get("fill", 1.0)
    if record.facts.get("packs") and fill < LOOSE_PACKS:
        found.append(Alert("review", _share(fill), "of the packs is filled; the rest is padding", "packs"))
    if left_out:
        share = left_out / max(left_out + draws, 1)
        found.append(Alert("dropped", f"{left_out:,}", f"candidates were left out ({_share(share)})", "components"))
    return _gravest(found)


def _gravest(found: Sequence[Alert]) -> list[Alert]:
    return sorted(found, key=lambda alert: STATUS_ORDER.index(alert.status))[:MOST]


def _broken(record: Record, again: str) -> list[Alert]:
    out = []
    if not record.balanced:
        out.append(Alert("failed", "±", "The books do not balance: rows were lost or doubled."))
    if record.failed:
        first = f"The first: {inert(record.failed[0], 120)}"
        count, noun = len(record.failed), "shard" if len(record.failed) == 1 else "shards"
        out.append(Alert("failed", f"{count:,}", f"{noun} failed; a repeat tries them again. {first}", "", again))
    elif not record.complete:
        out.append(Alert("failed", "…", "The run is not complete: shards are missing.", "", again))
    if not record.ended:
        out.append(Alert("failed", "?", "The run was cut off before its record was written.", "", again))
    return out


def _losses(record: Record) -> list[Alert]:
    out = []
    for name, status, what in (("ingest", "failed", "source rows"), ("filter", "dropped", "samples with a picture")):
        stage = record.stage(name)
        for reason, count in sorted(stage.lost.items(), key=lambda item: (-item[1], item[0])):
            share = count / max(stage.rows_in, 1)
            if share > LARGE_LOSS:
                link = "failures" if name == "ingest" else f"reason {reason}"
                gravity = "review" if status == "failed" else status
                out.append(Alert(gravity, _share(share), f"of the {what} lost to {inert(reason, 40)}", link))
    return out


def _hosts(hosts: Sequence[Row], failures: int) -> list[Alert]:
    for row in hosts[:1]:
        if failures >= 10 and row["failed"] > failures / 3 and len(hosts) > 1:
            said = f"of the failures are on {inert(row['host'], 60)} ({row['failed']:,} of {row['asked']:,} asked)"
            return [Alert("review", _share(row["failed"] / failures), said, "failures")]
    return []


def _slopes(spreads: Sequence[Spread]) -> list[Alert]:
    out = []
    for each in sorted(spreads, key=lambda spread: -spread.slope):
        if each.slope > STEEP:
            named = each.threshold
            said = f"of the samples stand within {each.step:g} of {named.parameter} = {named.value:g}"
            out.append(Alert("review", _share(each.slope), said, f"reason {named.reason}" if named.reason else ""))
    return out[:2]


def _unscored(record: Record) -> list[Alert]:
    stage = record.stage("filter")
    share = stage.lost.get("unscored", 0) / max(stage.rows_in, 1)
    if not MANY_UNSCORED < share <= LARGE_LOSS:
        return []
    return [Alert("review", _share(share), "of the samples could not be scored", "reason unscored")]


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _refused(record: Record) -> list[Alert]:
    stage = record.stage("augment")
    refused = sum(stage.lost.values())
    if refused <= MOST_REFUSED * stage.rows_in:
        return []
    top = max(stage.lost, key=lambda reason: (stage.lost[reason], reason))
    said = f"of the children were refused, most for {inert(top, 40)}"
    return [Alert("review", _share(refused / stage.rows_in), said, "refused")]
