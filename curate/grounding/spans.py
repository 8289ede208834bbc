"""Spans of a text: which of them can be written side by side, and how what stands for them is woven in."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from curate.errors import SampleError
from curate.sample import Grounded, Region, Relation

Span = tuple[int, int]
"""Start and end in characters, end exclusive; equal where a box stands in the text without a phrase."""


def by_span(spans: Sequence[Region | Relation], among: Iterable[int]) -> dict[Span, list[int]]:
    """Return each span of `among`, indices of `spans`, with the indices that share it; those without one are left."""
    found: dict[Span, list[int]] = {}
    for index in among:
        start, end = spans[index].start, spans[index].end
        if start is not None and end is not None:
            found.setdefault((start, end), []).append(index)
    return found


def apart(spans: Iterable[Span], taken: bytearray) -> list[Span]:
    """Return the spans, longest first, that overlap no earlier one and are not empty; mark them in `taken`.

    `taken` has a byte for each character of the text, 1 where it is spoken for. A span outside the text is left.
    Linear in the text's length for nested spans.
    """
    chosen = []
    for start, end in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        # The last character first: a nested span mostly shows there, and a scan of long spans stays rare.
        fits = 0 <= start < end <= len(taken)
        if fits and not taken[end - 1] and taken.find(1, start, end) < 0:
            taken[start:end] = b"\x01" * (end - start)
            chosen.append((start, end))
    return chosen


def written(grounded: Grounded) -> dict[Span, list[int]]:
    """Return what a form that tags phrases can hold, in order of the text: span to indices of its regions.

    Regions need a box and a span inside the text. Where spans overlap, the longest is held. An empty span holds
    boxes that stand in the text by themselves; one inside a held phrase is left out.
    """
    spans = by_span(grounded.regions, (i for i, region in enumerate(grounded.regions) if region.boxes))
    taken = bytearray(len(grounded.text))
    held = sorted(apart(spans, taken))
    starts = [start for start, _ in held]

    def stands_alone(at: int) -> bool:
        before = bisect_left(starts, at) - 1
        return 0 <= at <= len(taken) and (before < 0 or held[before][1] <= at)

    bare = [(start, end) for start, end in spans if start == end and stands_alone(start)]
    return {span: spans[span] for span in sorted([*held, *bare])}


def in_order(grounded: Grounded) -> dict[Span, list[int]] | None:
    """Return each region's span where all have boxes and spans that come in order and apart; None where not."""
    found: dict[Span, list[int]] = {}
    length, last = len(grounded.text), 0
    for index, region in enumerate(grounded.regions):
        start, end = region.start, region.end
        if start is None or end is None or not (last <= start < end <= length and region.boxes):
            return None
        found[start, end] = [index]
        last = end
    return found


def told(grounded: Grounded) -> dict[Span, list[int]]:
    """Return `written`, without its search where the spans come in order and apart, as they mostly do."""
    found = in_order(grounded)
    return written(grounded) if found is None else found


def unwritten(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions that `written` leaves out."""
    if in_order(grounded) is not None:
        return ()
    held = {index for indices in written(grounded).values() for index in indices}
    return tuple(index for index in range(len(grounded.regions)) if index not in held)


def weave(text: str, parts: Mapping[Span, str]) -> str:
    """Return the text with each span replaced by its part; the spans do not overlap."""
    pieces, cursor = [], 0
    for start, end in sorted(parts):
        pieces += [text[cursor:start], parts[start, end]]
        cursor = end
    return "".join(pieces) + text[cursor:]


def check_seams(text: str, spans: Iterable[Span], names: tuple[str, ...]) -> None:
    """Raise SampleError `reserved_tag` where a span begins or ends behind `<name` or `</name`.

    With a tag put in there, the words before it would read as half a tag.
    """
    if "<" not in text:
        return
    stems = tuple(f"<{slash}{name}" for name in names for slash in ("", "/"))
    for span in spans:
        for at in span:
            if text.endswith(stems, 0, at):
                begin = text.rindex("<", 0, at)
                raise SampleError("reserved_tag", f"a span cuts a tag out of the text at character {begin}")


def box_places(regions: Sequence[Region]) -> list[range]:
    """Return for each region the places of its boxes among the boxes of all, which relations count by."""
    ends = [0]
    for region in regions:
        ends.append(ends[-1] + len(region.boxes))
    return [range(start, end) for start, end in pairwise(ends)]
