"""Figures: numbers of the books and of the scores become SVG geometry, in pixels; no text of strangers here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curate.report.records import Record
from curate.report.thresholds import BINS, Spread
from curate.report.words import inert

FUNNEL_WIDTH = 800
BAND_TOP = 40
BAND_HEIGHT = 64
LOSS_TOP = 124
ROW_PX = 17
MOST_REASONS = 5
_NODE_PX = 6

PLOT_WIDTH = 184
PLOT_HEIGHT = 56


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the funnel: what came out, and what was lost on the way there; `status` colours the loss."""

    name: str
    count: int
    lost: tuple[tuple[str, int], ...] = ()
    status: str = "dropped"
    derived: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A stage as drawn: a bar of `height` at (x, y); `share` is of the rows read."""

    name: str
    count: int
    share: float
    x: float
    y: float
    height: float
    derived: bool


@dataclass(frozen=True, slots=True)
class Loss:
    """One reason below the funnel: its row, and a bar of `width` pixels."""

    reason: str
    count: int
    share: float
    status: str
    x: float
    y: float
    width: float


@dataclass(frozen=True, slots=True)
class Band:
    """What flows from one stage to the next (`kept`, `derived`), or out of it (`dropped`, `failed`)."""

    path: str
    status: str


@dataclass(frozen=True, slots=True)
class Funnel:
    """A funnel of FUNNEL_WIDTH x `height` pixels."""

    height: int
    nodes: tuple[Node, ...]
    bands: tuple[Band, ...]
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin: kept below, dropped on top of it; pixels from the top of the plot."""

    x: float
    width: float
    kept_y: float
    kept_height: float
    dropped_y: float
    dropped_height: float


@dataclass(frozen=True, slots=True)
class Plot:
    """A histogram of PLOT_WIDTH x PLOT_HEIGHT pixels with its threshold at `line`; `side` is what is dropped."""

    spread: Spread
    bars: tuple[Bar, ...]
    line: float
    shade_x: float
    shade_width: float
    anchor: str


def steps(record: Record) -> list[Step]:
    """Return the funnel of a job: read, with a picture, kept, derived."""
    ingest, decided, augment = (record.stage(name) for name in ("ingest", "filter", "augment"))
    waiting = {"undecided": record.undecided} if record.undecided > 0 else {}
    found = [
        Step("read", ingest.rows_in),
        Step("with a picture", ingest.rows_out, _most(ingest.lost), "failed"),
        Step("kept", decided.rows_out, _most({**decided.lost, **waiting})),
    ]
    if augment.rows_in:
        found.append(Step("children", augment.rows_out, _most(augment.lost), "failed", derived=True))
    return found


def _most(lost: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(((reason, n) for reason, n in lost.items() if n), key=lambda item: (-item[1], item[0])))


def funnel(found: Sequence[Step]) -> Funnel:
    """Lay out a funnel: heights in proportion to rows, what is lost turns down and hangs below by reason."""
    first = max(found[0].count, 1)
    largest = max([first, *(step.count + sum(n for _, n in step.lost) for step in found)])
    scale = BAND_HEIGHT / largest
    stride = (FUNNEL_WIDTH - 96) / max(len(found) - 1, 1)
    nodes, bands, losses = [], [], []
    for place, step in enumerate(found):
        x = place * stride
        nodes.append(Node(step.name, step.count, step.count / first, x, BAND_TOP, _px(step.count, scale), step.derived))
        if place:
            before, gone = found[place - 1], sum(n for _, n in step.lost)
            bands += _bands(nodes[place - 1], nodes[place], step, _px(gone, scale))
            base = before.count if not step.derived else step.count + gone
            losses += _losses(step, x - stride + 20, stride - 44, base)
    rows = max((round((loss.y - LOSS_TOP) / ROW_PX) for loss in losses), default=-1) + 1
    return Funnel(LOSS_TOP + rows * ROW_PX + 2, tuple(nodes), tuple(bands), tuple(losses))


def _px(count: int, scale: float) -> float:
    """Return a height that shows even one row of a million."""
    return max(count * scale, 1.0) if count else 0.0


def _bands(left: Node, right: Node, step: Step, gone: float) -> list[Band]:
    """Draw what goes on, straight, and what is lost: leaving at the bottom of the band, turning down."""
    x0, x1, top = left.x + _NODE_PX, right.x, left.y
    middle = (x0 + x1) / 2
    reach = right.height if not step.derived else left.height
    flow = (
        f"M{x0:.1f} {top:.1f}H{x1:.1f}V{top + right.height:.1f}"
        f"C{middle:.1f} {top + right.height:.1f} {middle:.1f} {top + reach:.1f} {x0:.1f} {top + reach:.1f}z"
    )
    out = [Band(flow, "derived" if step.derived else "kept")] if right.height else []
    if gone and not step.derived:
        start, width = top + right.height, max(gone, 2.5)
        inner = x0 + 14
        turn = min(start + width, LOSS_TOP - 12)
        out.append(
            Band(
                f"M{x0:.1f} {start:.1f}H{inner:.1f}Q{inner + width:.1f} {start:.1f} {inner + width:.1f} {turn:.1f}"
                f"V{LOSS_TOP - 6}H{inner:.1f}V{turn:.1f}Q{inner:.1f} {start + width:.1f} {x0:.1f} {start + width:.1f}z",
                step.status,
            )
        )
    return out


def _losses(step: Step, x: float, room: float, base: int) -> list[Loss]:
    shown = list(step.lost[:MOST_REASONS])
    rest = step.lost[MOST_REASONS:]
    if len(rest) == 1:
        shown += rest
    elif rest:
        shown.append((f"{len(rest)} more reasons", sum(n for _, n in rest)))
    largest = max((n for _, n in shown), default=1)
    return [
        Loss(
            inert(reason, 40), n, n / max(base, 1), step.status, x, LOSS_TOP + row * ROW_PX, max(n / largest * 28, 1.5)
        )
        for row, (reason, n) in enumerate(shown)
    ]


def plot(spread: Spread) -> Plot:
    """Draw how samples lie around a threshold, the dropped side shaded."""
    highest = max([1, *(k + d for k, d in zip(spread.kept, spread.dropped, strict=True))])
    width = PLOT_WIDTH / BINS
    bars = []
    for place, (kept, dropped) in enumerate(zip(spread.kept, spread.dropped, strict=True)):
        if kept or dropped:
            low, high = (value / highest * (PLOT_HEIGHT - 4) for value in (kept, dropped))
            low, high = (max(low, 1.0) if low else 0.0), (max(high, 2.0) if high else 0.0)
            base = PLOT_HEIGHT - low
            bars.append(Bar(place * width, width - 0.8, base, low, base - high, high))
    line = spread.line * PLOT_WIDTH
    below = spread.threshold.sign.startswith("<")
    return Plot(
        spread,
        tuple(bars),
        line,
        0.0 if below else line,
        line if below else PLOT_WIDTH - line,
        "end" if line > PLOT_WIDTH / 2 else "start",
    )
