"""Plots of a mix, in pixels: lengths of each component's samples, how full packs are, how even ranks work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curate.report import told
from curate.report.figures import PLOT_HEIGHT, PLOT_WIDTH
from curate.report.questions import Row
from curate.report.words import inert

MOST_PLOTS = 24
FILL_PX = 240
STRIP_WIDTH = 800
STRIP_HEIGHT = 44
EVEN = 1.02
"""The busiest rank's load over the mean rank's, up to which ranks count as even."""

_EDGES = (1.0, 0.999, 0.99, 0.95, 0.9, 0.75, 0.5, 0.0)
"""Lower ends of the ranges of fill; the first holds what is filled to the last token."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """One component's lengths: bars (x, y, width, height) on PLOT_WIDTH x PLOT_HEIGHT, the longest pack at the right.

    `labels` is the share of its tokens that are learnt; None where that was not measured.
    """

    name: str
    colour: int
    draws: int
    mean: float
    median: tuple[int, int]
    labels: float | None
    bars: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class FillRange:
    """Packs filled to a range of shares; `width` is of a bar, in pixels; `ceiling` marks where all could be."""

    label: str
    packs: int
    share: float
    width: float
    ceiling: bool


@dataclass(frozen=True, slots=True)
class Strip:
    """The busiest rank over the mean along the steps: bars from the median of a stretch to its maximum (`spread`).

    Pixels of STRIP_WIDTH x STRIP_HEIGHT; `top` is the value at the upper edge, 1.0 is at the lower, `even` is EVEN's
    height. `mean` is the manifest's, 0.0 where it has none.
    """

    name: str
    mean: float
    p50: float
    p99: float
    most: float
    top: float
    even: float
    medians: str
    spread: str


@dataclass(frozen=True, slots=True)
class Balance:
    """How even the steps are; no strips where the plan has no whole step, or one rank alone."""

    ranks: int
    steps: int
    stretch: int
    strips: tuple[Strip, ...]


def lengths(rows: Sequence[Row], colours: Mapping[str, int], pack_tokens: int) -> tuple[Lengths, ...]:
    """Return what report_mix_lengths tells of each component, those with most tokens, in the order of `colours`."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row["component"], []).append(row)
    axis = pack_tokens or max((row["tokens_to"] for row in rows), default=1)
    largest = sorted(parts, key=lambda name: -sum(row["tokens"] for row in parts[name]))[:MOST_PLOTS]
    return tuple(_lengths(name, colours[name], parts[name], axis) for name in colours if name in largest)


def _lengths(name: str, colour: int, rows: Sequence[Row], axis: int) -> Lengths:
    draws, tokens = (sum(row[each] for row in rows) for each in ("draws", "tokens"))
    labels = [row["label_tokens"] for row in rows if row["label_tokens"] is not None]
    highest = max(row["draws"] for row in rows)
    bars = []
    for row in rows:
        x0, x1 = (min(edge / axis, 1.0) * PLOT_WIDTH for edge in (row["tokens_from"] - 1, row["tokens_to"]))
        height = max(row["draws"] / highest * (PLOT_HEIGHT - 4), 1.0)
        bars.append((x0, PLOT_HEIGHT - height, max(x1 - x0 - 0.8, 0.5), height))
    before = 0
    median = (0, 0)
    for row in sorted(rows, key=lambda row: row["tokens_from"]):
        before += row["draws"]
        if before * 2 >= draws:
            median = row["tokens_from"], row["tokens_to"]
            break
    learnt = sum(labels) / tokens if labels else None
    return Lengths(inert(name, 60), colour, draws, tokens / draws, median, learnt, tuple(bars))


def fill(rows: Sequence[Row], pack_tokens: int, ceiling: float) -> tuple[FillRange, ...]:
    """Return what report_mix_fill tells, in ranges of the share of a pack that is filled, the fullest first."""
    if not pack_tokens or not rows:
        return ()
    packs = [0] * len(_EDGES)
    for row in rows:
        packs[_range(row["tokens"] / pack_tokens)] += row["packs"]
    total, most = sum(packs), max(packs)
    out = []
    for place, (edge, count) in enumerate(zip(_EDGES, packs, strict=True)):
        upper = f"{100 * _EDGES[place - 1]:g}" if place else ""
        label = f"{100 * edge:g} – {upper} %" if place else "100 %"
        here = ceiling > 0 and _range(ceiling) == place
        out.append(FillRange(label, count, count / total, count / most * FILL_PX, here))
    return tuple(out)


def _range(share: float) -> int:
    return next((place for place, edge in enumerate(_EDGES) if share >= edge), len(_EDGES) - 1)


def balance(rows: Sequence[Row], totals: Sequence[Row], facts: Mapping[str, Any]) -> Balance:
    """Return what report_mix_balance and report_mix_steps tell, beside the manifest's means."""
    ranks, steps = told.count(facts, "ranks"), told.count(facts, "steps")
    if not rows or not totals or ranks == 1 or totals[0]["ranks"] == 1:
        return Balance(ranks, steps, 0, ())
    stretch = max(row["steps"] for row in rows)
    strips = [
        _strip(rows, totals[0], load, told.number(facts, mean))
        for load, mean in (("tokens", "token_balance"), ("cost", "cost_balance"))
        if totals[0][f"{load}_max"] is not None
    ]
    return Balance(totals[0]["ranks"], totals[0]["steps"], stretch, tuple(strips))


def _strip(rows: Sequence[Row], total: Row, load: str, mean: float) -> Strip:
    p50, p99, most = (float(total[f"{load}_{each}"]) for each in ("p50", "p99", "max"))
    top = max(most, 2 * EVEN - 1)

    def height(value: float) -> float:
        return STRIP_HEIGHT * (1 - (value - 1) / (top - 1))

    width = STRIP_WIDTH / len(rows)
    medians, spread = [], []
    for place, row in enumerate(rows):
        low, high = row[f"{load}_median"], row[f"{load}_max"]
        if low is None:
            continue
        x = place * width
        medians.append(f"M{x:.1f} {STRIP_HEIGHT}V{height(low):.1f}h{max(width - 0.6, 0.5):.1f}V{STRIP_HEIGHT}z")
        spread.append(f"M{x:.1f} {height(low):.1f}V{height(high):.1f}h{max(width - 0.6, 0.5):.1f}V{height(low):.1f}z")
    return Strip(load, mean, p50, p99, most, top, height(EVEN), "".join(medians), "".join(spread))
