"""Results as text: tables, the funnel and its books, verdicts; nothing is printed here."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from curate.errors import ConfigError
from curate.results import JobResult, RunResult

if TYPE_CHECKING:
    from curate.doctor import Examination
    from curate.io.warehouse import Answer
    from curate.mixes.inventory import Item
    from curate.probe import Probe

Told = tuple[dict[str, Any], str]
"""A result twice: as an object for --json, as text for people."""


def plain(text: str) -> str:
    """Replace what could command a terminal or hide from the eye: data of strangers is on its way to it."""
    return "".join(
        sign if sign in "\n\t" or sign.isprintable() or (sign.isspace() and sign > "\x9f") else "�" for sign in text
    )


def table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """Return rows as aligned columns on a terminal, as tab-separated plain values when piped."""
    if not sys.stdout.isatty() and "CURATE_TABLES" not in os.environ:
        return "\n".join("\t".join(_value(value) for value in row) for row in [header, *rows])
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[place]) for row in cells)]) for place, name in enumerate(header)]
    right = [
        bool(rows) and all(isinstance(row[place], int | float | None) for row in rows) for place in range(len(header))
    ]

    def line(row: list[str]) -> str:
        return "  ".join(
            value.rjust(width) if turn else value.ljust(width)
            for value, width, turn in zip(row, widths, right, strict=True)
        ).rstrip()

    return "\n".join([line(list(header)), line(["-" * width for width in widths]), *map(line, cells)])


def _value(value: Any) -> str:
    """A value for other programs: nothing is rounded, one cell stays one cell."""
    text = "" if value is None else str(value)
    return " ".join(plain(text).splitlines()).replace("\t", " ")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return "".join(sign if sign.isprintable() else " " if sign.isspace() else "�" for sign in text)


def examined(found: "Examination", only_looked: bool) -> str:
    """Return what the doctor found, a line each, and the next step."""
    read = f"{found.tables:,} tables and {found.pictures:,} pictures read"
    if not found.findings:
        return f"sound   {read}"
    lines = [f"{finding.uri}: {finding.what}   → {finding.then}" for finding in found.findings]
    then = "curate run the job again to repair" if any(finding.rerun for finding in found.findings) else ""
    then = "only looked: without --dry-run they are set aside" if only_looked else then
    return "\n".join([*lines, f"{len(lines)} finding(s)   {read}   {then}".rstrip()])


def funnel(result: RunResult) -> str:
    """Return what a run came to: the funnel of each job, its books, and what to do next."""
    lines = [f"{'dataset':<14} {'stage':<24} {'in':>9} {'out':>9} {'lost':>9}  top reasons"]
    for job in result.jobs:
        for books in job.books:
            lost = sum(books.lost.values())
            top = sorted(books.lost.items(), key=lambda item: -item[1])[:3]
            said = ", ".join(f"{reason} {count:,}" for reason, count in top)
            told = f"{books.dataset:<14} {books.stage:<24} {books.rows_in:>9,} {books.rows_out:>9,} {lost:>9,}  {said}"
            lines.append(told.rstrip())
    lines += [_books_line(job) for job in result.jobs if job.kind == "curate"]
    lines += [_mix_line(job) for job in result.jobs if job.kind == "mix"]
    for job in result.jobs:
        export = job.facts.get("export")
        if export:
            left = ", ".join(f"{reason} {count:,}" for reason, count in export["left_out"].items())
            left = f"   left out: {left}" if left else ""
            lines.append(f"export {job.job}: {export['records']:,} records in {export['folder']}{left}")
            lines += [f"  pictures of {name} stay in {images}" for name, images in export["pictures_in"].items()]
    if result.failed:
        lines.append(f"{len(result.failed)} shard(s) failed:")
        lines += [f"  {shard.dataset}-{shard.shard:05d}  {shard.error}" for shard in result.failed]
        lines.append("next:  the same command again; committed shards are not done twice")
    resumed = f", {result.shards_resumed} done earlier" if result.shards_resumed else ""
    lines.append(f"{result.shards_done} shard(s) done{resumed} in {result.seconds:.1f} s · run {result.run}")
    return "\n".join(lines)


def _books_line(job: JobResult) -> str:
    stages = {books.stage: books for books in job.books}
    read, kept = stages["ingest"], stages["filter"]
    dropped, failed, undecided = sum(kept.lost.values()), sum(read.lost.values()), read.rows_out - kept.rows_in
    balanced = read.rows_in == kept.rows_out + dropped + failed + undecided
    return (
        f"books {job.job}: read {read.rows_in:,} = kept {kept.rows_out:,} + dropped {dropped:,} + failed {failed:,}"
        f"{f' + undecided {undecided:,}' if undecided else ''}   {'balanced' if balanced else 'NOT BALANCED'}"
        f"{'' if job.complete else ', but INCOMPLETE: some shards are missing'}"
    )


def _mix_line(job: JobResult) -> str:
    facts = job.facts
    return (
        f"mix {job.job}: {facts['samples']:,} samples, {facts['tokens']:,} tokens in {facts['packs']:,} packs, "
        f"{facts['fill']:.2%} full (no packing needs fewer than {facts['least_packs']:,})"
        f"{_steps(facts)}{_merged(facts)}{_short(facts)}"
    )


def _short(facts: dict[str, Any]) -> str:
    """Return which components give fewer samples than the recipe asks for, bounded or left out."""
    parts = facts.get("components", {}).items()
    short = [(name, part) for name, part in parts if part.get("wanted", 0) > part["samples"]]
    return "".join(f"\n  {name} gives {part['samples']:,} of {part['wanted']:,} wanted" for name, part in short)


def _merged(facts: dict[str, Any]) -> str:
    """Return how many candidates became how many conversations, where any did."""
    merged = [part for part in facts.get("components", {}).values() if "merged" in part]
    if not merged:
        return ""
    counts = (sum(part[name] for part in merged) for name in ("merged", "conversations"))
    return "; {:,} candidates of one picture or another merged into {:,} conversations".format(*counts)


def _steps(facts: dict[str, Any]) -> str:
    """Return how the steps are balanced, where there are several ranks to balance."""
    if facts.get("ranks", 1) < 2:
        return ""
    return (
        f", {facts['steps']:,} steps on {facts['ranks']} ranks: the busiest has {facts['token_balance']:.4f} times "
        f"the mean tokens, {facts['cost_balance']:.4f} times the mean cost"
    )


def demo(played: Any) -> str:
    """Return what came of the demo: the funnels, then planted / caught / wrongly dropped for every fault."""
    lines = [funnel(result) for result in played.runs]
    lines.append("")
    lines.append(f"{'fault':<18} {'planted':>8} {'caught':>8} {'missed':>8} {'wrongly dropped':>16}  how")
    for each in played.verdicts:
        told = f"{each.fault:<18} {each.planted:>8,} {each.caught:>8,} {each.missed:>8,} {each.wrongly_dropped:>16,}"
        lines.append(f"{told}  {each.how}")
    lines.append("")
    lines.append(
        "every planted fault was caught" if played.ok else "NOT every planted fault was caught, or a shard failed"
    )
    lines.append(f"look:  {played.report.uri}")
    return "\n".join(lines)


def answered(answer: "Answer") -> Told:
    """Return the answer of a query."""
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    return {"schema": "curate.sql/1", "rows": rows}, table(answer.columns, list(answer.rows))


def checked(job: str, mistakes: list[ConfigError], warnings: list[ConfigError], items: Sequence["Item"] = ()) -> Told:
    """Return what a check found in a job, and which of the files and folders that it needs are there."""
    lines = [f"error {each}" for each in mistakes] + [f"warning {each}" for each in warnings]
    lines.append(
        f"{len(mistakes)} mistake(s). Nothing was run." if mistakes else f"{job}: no mistakes{_lacking(items)}"
    )
    lines = [*map(_item, items), *lines]
    found = {
        "mistakes": [each.as_dict() for each in mistakes],
        "warnings": [each.as_dict() for each in warnings],
        "inventory": [asdict(item) for item in items],
    }
    return {"schema": "curate.check/1", "job": job, **found}, "\n".join(lines)


def _lacking(items: Sequence["Item"]) -> str:
    """Return what is not there of the files and folders that a job without mistakes needs, and what comes of it."""
    counts = Counter((item.kind, item.state) for item in items if item.state != "present")
    said = ", ".join(f"{count:,} {kind}(s) {state}" for (kind, state), count in sorted(counts.items()))
    if not said:
        return ""
    return f" in it, but it cannot run: {said}" if counts["file", "missing"] else f", but {said}"


def _item(item: "Item") -> str:
    unit = "bytes" if item.kind == "file" else "pictures"
    wanted = "" if item.wanted is None else f" of {item.wanted:,}"
    amount = "" if item.state == "missing" else f"  {item.found:,}{wanted} {unit}"
    return f"{item.state:<8} {item.kind:<6} {item.name:<28} {item.path}{amount}"


def probed(found: "Probe") -> str:
    """Return what a probe found, and what the whole dataset would yield."""
    causes = ", ".join(f"{cause} {count}" for cause, count in found.causes.items()) or "none"
    lines = [
        f"probe {found.dataset}: {found.ok} of {found.drawn} random rows ok in {found.seconds:.0f} s, failed: {causes}",
        f"expected yield {found.share:.1%} (95 % between {found.low:.1%} and {found.high:.1%})",
    ]
    if found.rows is not None:
        good = found.rows * found.share
        size = good * found.picture_bytes / 1e9
        lines[1] += f": {good:,.0f} of {found.rows:,} rows, {size:,.1f} GB of pictures"
    if found.refused:
        lines.append(f"too little: the catalog's min_success is {found.min_success:.0%}, shards would be refused")
    return "\n".join(lines)


def listed(kind: str, described: tuple[tuple[str, str], ...]) -> Told:
    """Return what there is of a kind."""
    names = [{"name": name, "what": what} for name, what in described]
    return {"schema": "curate.list/1", "kind": kind, "names": names}, table(("name", "what it is"), list(described))
