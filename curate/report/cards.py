"""A card: one sample as the page shows it, its picture, its boxes as SVG paths, its words as marked segments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from curate.report.words import Change, Segment, Span, changes, inert, segments
from curate.sample import Box, Region, Sample

MOST_BOXES = 100
"""Boxes drawn on one picture: the largest; the others are counted."""
MOST_WORDLESS = 4
COLOURS = 7


@dataclass(frozen=True, slots=True)
class Drawn:
    """One box: its outline in pixels of the picture, the phrases that name it, its plate's place."""

    path: str
    regions: str
    colour: int
    number: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Overlay:
    """The boxes over a picture of `width` x `height` pixels, largest first, so that the smallest is on top.

    `fill` outlines what an augmenter added around the parent; `unit` is about one screen pixel in a grid.
    """

    width: int
    height: int
    boxes: tuple[Drawn, ...]
    more: int
    outline: str
    fill: str
    unit: float


@dataclass(frozen=True, slots=True)
class Said:
    """One stretch of words: the caption (no role) or one turn of a dialogue."""

    role: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One score of the sample beside the threshold that it was compared with, already written."""

    name: str
    value: str
    against: str
    decisive: bool


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that the page shows of one sample; `status` is kept, dropped or child."""

    id: str
    status: str
    alt: str
    picture: str | None
    overlay: Overlay | None
    said: tuple[Said, ...]
    wordless: tuple[str, ...]
    reason: str
    measures: tuple[Measure, ...] = ()
    label: str = ""
    changes: tuple[Change, ...] = ()


def card(sample: Sample, status: str, picture: str | None, reason: str, measures: Sequence[Measure]) -> Card:
    """Lay out one sample; `picture` is its data: URI."""
    said = _said(sample)
    return Card(
        id=sample.sample_id,
        status=status,
        alt=inert(sample.text or "picture without words"),
        picture=picture,
        overlay=overlay(sample),
        said=said,
        wordless=_wordless(sample),
        reason=inert(reason, 80),
        measures=tuple(measures),
    )


def child_card(sample: Sample, parent: Sample, picture: str | None, label: str) -> Card:
    """Lay out a derived sample beside its parent: which words changed, what was filled in."""
    plain = card(sample, "child", picture, "", ())
    old, new = _words(parent), _words(sample)
    changed = changes(old, new) if old is not None and new is not None else ()
    return replace(plain, label=inert(label, 60), changes=changed, overlay=overlay(sample, parent))


def overlay(sample: Sample, parent: Sample | None = None) -> Overlay | None:
    """Return the boxes of a sample in pixels of its picture; None where it has no picture.

    A box that several regions name is drawn once and belongs to all of them.
    """
    if not sample.images or sample.images[0].width < 1 or sample.images[0].height < 1:
        return None
    width, height = sample.images[0].width, sample.images[0].height
    named: dict[Box, list[int]] = {}
    for place, region in enumerate(_in_caption_order(sample)):
        for box in region.boxes:
            if all(-1e6 < value < 1e6 for value in box):
                owners = named.setdefault(box, [])
                owners += [] if place in owners else [place]
    largest = sorted(named, key=lambda box: (-_area(box), box))
    drawn = tuple(_drawn(box, named[box], width, height) for box in largest[:MOST_BOXES])
    return Overlay(
        width,
        height,
        drawn,
        max(0, len(largest) - MOST_BOXES),
        "".join(each.path for each in drawn),
        _fill(sample, parent) if parent else "",
        max(width / 148, height / 111),
    )


def _in_caption_order(sample: Sample) -> list[Region]:
    """Return the regions as one reads them: numbers and colours follow the caption."""
    last = len(sample.conversations)
    return sorted(
        sample.regions,
        key=lambda region: (last if region.turn is None else region.turn, region.start is None, region.start or 0),
    )


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _drawn(box: Box, regions: list[int], width: int, height: int) -> Drawn:
    x0, y0, x1, y1 = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    path = f"M{x0:.0f} {y0:.0f}H{x1:.0f}V{y1:.0f}H{x0:.0f}z"
    number = "·".join(str(place + 1) for place in regions[:3])
    return Drawn(path, " ".join(map(str, regions)), regions[0] % COLOURS, number, max(x0, 0.0), max(y0, 0.0))


def _fill(child: Sample, parent: Sample) -> str:
    """Return what of the child's picture does not come from its parent, as an even-odd path; empty for nothing."""
    if child.affine is None or not parent.images or not child.images:
        return ""
    a, b, c, d, e, f = child.affine
    width, height = parent.images[0].width, parent.images[0].height
    xs, ys = zip(*((a * x + b * y + c, d * x + e * y + f) for x, y in ((0, 0), (width, height))), strict=True)
    left, right = max(min(xs), 0.0), min(max(xs), float(child.images[0].width))
    top, bottom = max(min(ys), 0.0), min(max(ys), float(child.images[0].height))
    whole = child.images[0].width * child.images[0].height
    if (right - left) * (bottom - top) > 0.995 * whole:
        return ""
    inner = f"M{left:.0f} {top:.0f}H{right:.0f}V{bottom:.0f}H{left:.0f}z"
    return f"M0 0H{child.images[0].width}V{child.images[0].height}H0z{inner}"


def _words(sample: Sample) -> str | None:
    if sample.text is not None or not sample.conversations:
        return sample.text
    return " ".join(turn.value for turn in sample.conversations)


def _said(sample: Sample) -> tuple[Said, ...]:
    """Return the caption, then the first turns of the dialogue, each with its phrases marked."""
    texts: list[tuple[int | None, str, str]] = [] if not sample.text else [(None, "", sample.text)]
    texts += [(place, turn.role, turn.value) for place, turn in enumerate(sample.conversations[:4])]
    return tuple(
        Said(inert(role, 20), segments(text, _spans(_in_caption_order(sample), turn)))
        for turn, role, text in texts
        if text
    )


def _spans(regions: Sequence[Region], turn: int | None) -> list[Span]:
    return [
        Span(place, place % COLOURS, region.start, region.end, bool(region.boxes))
        for place, region in enumerate(regions)
        if region.turn == turn and region.start is not None and region.end is not None
    ]


def _wordless(sample: Sample) -> tuple[str, ...]:
    """Return phrases that stand outside the text; boxes without any phrase are counted, not named."""
    outside = [inert(region.phrase, 40) for region in sample.regions if region.phrase and region.start is None]
    nameless = sum(len(region.boxes) for region in sample.regions if not region.phrase)
    more = (f"+{len(outside) - MOST_WORDLESS} phrases",) if len(outside) > MOST_WORDLESS else ()
    count = (f"{nameless:,} {'box' if nameless == 1 else 'boxes'} without words",) if nameless else ()
    return (*outside[:MOST_WORDLESS], *more, *count)
