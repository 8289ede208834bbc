"""Alerts: at most five things of a run that deserve a look, the gravest first, each with its number."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from curate.report import told
from curate.report.mix_plots import EVEN
from curate.report.mixes import Mixed
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
NEAR_CEILING = 0.99
"""Share of what any packing could fill, below which another packer or seed may pay."""

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


def mix_alerts(record: Record, mix: Mixed, advise: str, again: str) -> list[Alert]:
    """Return the alerts of a mix; `advise` is the command that tells of other pack lengths."""
    found = [*_broken(record, again), *_loose(mix, advise)]
    if mix.left_out:
        share = mix.left_out / max(mix.left_out + mix.samples, 1)
        found.append(Alert("dropped", f"{mix.left_out:,}", f"candidates were left out ({_share(share)})", "drops"))
    uneven, near = told.number(record.facts, "cost_balance"), told.count(record.facts, "near_pictures")
    if uneven > EVEN:
        said = "times the mean rank's work is what the busiest rank has, on the mean of all steps"
        found.append(Alert("review", f"{uneven:.3f}", said, "balance"))
    if near:
        noun = "sample shows a picture" if near == 1 else "samples show a picture"
        found.append(Alert("review", f"{near:,}", f"{noun} that was shown too few steps before"))
    return _gravest([*found, *_gate(record, mix)])


def _loose(mix: Mixed, advise: str) -> list[Alert]:
    """Tell of packs that another packing, or else another length, could fill better."""
    if not mix.packs:
        return []
    if mix.ceiling and mix.of_ceiling < NEAR_CEILING:
        best = f"{mix.packs:,} packs where {mix.least_packs:,} may do"
        return [Alert("review", _share(mix.of_ceiling), f"of what any packing could fill is filled: {best}", "packs")]
    if mix.fill < LOOSE_PACKS:
        return [Alert("review", _share(mix.fill), "of the packs is filled; the rest is padding", "packs", advise)]
    return []


def _gate(record: Record, mix: Mixed) -> list[Alert]:
    out = []
    bad = [each for each in mix.gate.lists if each.unusable]
    for each in sorted(bad, key=lambda each: (-each.unusable, each.name))[:1]:
        more = f"; {len(bad) - 1} more lists have such rows" if len(bad) > 1 else ""
        said = f"of the {each.rows:,} rows of the benchmark {each.name} name no picture{more}"
        out.append(Alert("review", f"{each.unusable:,}", said, "gate"))
    if mix.gate.unknown:
        said = f"in which no benchmark could be recognised: {', '.join(mix.gate.unknown[:3])}"
        noun = "component" if len(mix.gate.unknown) == 1 else "components"
        out.append(Alert("review", f"{len(mix.gate.unknown):,}", f"{noun} {said}", "gate"))
    by_benchmark: Counter[str] = Counter()
    for hit in mix.gate.found:
        by_benchmark[hit.benchmark] += hit.samples
    if most := by_benchmark.most_common(3):
        gone = record.stage("mix").lost.get("contaminated") or max(by_benchmark.values())
        told_of = ", ".join(f"{name} {count:,}" for name, count in most)
        more = f" and {len(by_benchmark) - 3} more" if len(by_benchmark) > 3 else ""
        said = f"candidates show pictures of benchmarks and stayed out: {told_of}{more}"
        out.append(Alert("review", f"{gone:,}", said, "gate"))
    return out


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
