"""Nested and overlapping phrases of one text: which are kept side by side, and why each other one is not.

Grounded web captions name a box twice: by a noun chunk (`a wire hanger`) and by the referring expression around it
(`a wire hanger with a paper cover`), which may hold other chunks with boxes of their own (zzliang/GRIT). Tags
cannot be nested, so one of them is written. The rules, in order:

1. A region without a box (`no_box`) or without a span inside the text (`no_span`) cannot stand in it.
2. Regions are taken in the order of the policy; one whose span crosses no span taken before is chosen.
   `longest`: longer span, then higher score, then earlier start: the referring expression, with all it swallows.
   `shortest`: shorter span, then higher score, then earlier start: the most phrases, each of few words.
   `best_score`: higher score, then longer span, then earlier start: a chunk and its expression have one score, so
   the expression is preferred to its chunk, unless it swallows a phrase that the detector was surer of.
   No score is below every score; what is still equal goes by the place in the list.
3. Regions of one span stand together, as one phrase with several boxes, but one that adds no box is `duplicate_of`.
4. The others are alternatives: `nested_in` a chosen span, `contains` one, or `overlaps` one. A region without words
   (an empty span: boxes that stand in the text by themselves) is chosen unless it lies within a chosen span.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from curate.sample import Grounded, Region, Relation

Policy = Literal["longest", "shortest", "best_score"]
Reason = Literal["nested_in", "contains", "overlaps", "duplicate_of", "no_span", "no_box"]

TAG = "alternative"
"""Tag of a region that was not chosen."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A region that was not chosen: its index, why, and the index of the chosen one in its way (None without)."""

    region: int
    reason: Reason
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Resolution:
    """Indices of the chosen regions, rising, and the alternatives by index; together every region once."""

    chosen: tuple[int, ...]
    alternatives: tuple[Alternative, ...]


def resolve(grounded: Grounded, policy: Policy) -> Resolution:
    """Choose regions of one text whose spans do not overlap; the same for every order of equal regions' fields.

    n log n in the number of regions, whatever nests. ValueError for an unknown policy.
    """
    order = _ORDERS.get(policy)
    if order is None:
        raise ValueError(f"no policy {policy!r}: one of {', '.join(_ORDERS)}")
    regions, size = grounded.regions, len(grounded.text)
    left: list[Alternative] = []
    wordy: list[int] = []
    bare: list[int] = []
    for index, region in enumerate(regions):
        if not region.boxes:
            left.append(Alternative(index, "no_box"))
        elif region.start is None or region.end is None or not 0 <= region.start <= region.end <= size:
            left.append(Alternative(index, "no_span"))
        else:
            (wordy if region.start < region.end else bare).append(index)
    taken = _Taken([], [], {})
    chosen: list[int] = []
    # Spans with words first: boxes that stand alone give way to them.
    for index in [*sorted(wordy, key=lambda i: (*order(regions[i]), i)), *bare]:
        refused = taken.refusal(index, regions[index])
        if refused is None:
            chosen.append(index)
        else:
            left.append(refused)
    return Resolution(tuple(sorted(chosen)), tuple(sorted(left, key=lambda one: one.region)))


def resolved(grounded: Grounded, policy: Policy) -> Grounded:
    """Return the text with the chosen regions alone, and the relations all of whose boxes are among theirs."""
    found = resolve(grounded, policy)
    kept = set(found.chosen)
    moved: dict[int, int] = {}
    place = 0
    for index, region in enumerate(grounded.regions):
        if index in kept:
            moved |= {place + box: len(moved) + box for box in range(len(region.boxes))}
        place += len(region.boxes)
    relations = tuple(
        replace(one, subjects=_moved(one.subjects, moved), objects=_moved(one.objects, moved))
        for one in grounded.relations
        if _known(one, moved)
    )
    return Grounded(grounded.text, tuple(grounded.regions[index] for index in found.chosen), relations)


def tagged(grounded: Grounded, policy: Policy) -> tuple[Region, ...]:
    """Return all regions, those that are not chosen tagged `alternative` and with their reason, `nested_in:3`."""
    regions = list(grounded.regions)
    for one in resolve(grounded, policy).alternatives:
        why = one.reason if one.of is None else f"{one.reason}:{one.of}"
        regions[one.region] = replace(regions[one.region], tags=(*regions[one.region].tags, TAG, why))
    return tuple(regions)


def writing(write: Callable[[Grounded, int, int], str], policy: Policy | None) -> Callable[[Grounded, int, int], str]:
    """Return a codec's `encode` that writes the chosen regions alone; None leaves the choice to the codec."""
    if policy is None:
        return write
    return lambda grounded, width, height: write(resolved(grounded, policy), width, height)


@dataclass(frozen=True, slots=True)
class _Taken:
    """Spans with words that are taken, in order, and the regions that hold each span, by what they added."""

    starts: list[int]
    ends: list[int]
    holders: dict[tuple[int, int], list[tuple[int, frozenset[tuple[float, ...]]]]]

    def refusal(self, index: int, region: Region) -> Alternative | None:
        """Take a region in, or return why not."""
        start, end = region.start or 0, region.end or 0
        boxes = frozenset(region.boxes)
        same = self.holders.get((start, end))
        if same is not None:
            twin = next((holder for holder, held in same if boxes <= held), None)
            if twin is None:
                same.append((index, boxes))
                return None
            return Alternative(index, "duplicate_of", twin)
        # Taken spans lie apart, so their ends rise with their starts.
        first = bisect_right(self.ends, start)
        if first < len(self.starts) and self.starts[first] < end:
            return self._crossing(index, (start, end), first)
        if start == end and first < len(self.starts) and self.starts[first] < start:
            return self._crossing(index, (start, end), first)
        if start < end:
            insort(self.starts, start)
            self.ends.insert(bisect_left(self.ends, end), end)
        self.holders[start, end] = [(index, boxes)]
        return None

    def _crossing(self, index: int, span: tuple[int, int], first: int) -> Alternative:
        low, high = self.starts[first], self.ends[first]
        within = low <= span[0] and span[1] <= high
        around = span[0] <= low and high <= span[1]
        reason: Reason = "nested_in" if within else "contains" if around else "overlaps"
        return Alternative(index, reason, self.holders[low, high][0][0])


def _score(region: Region) -> float:
    return -math.inf if region.score is None or math.isnan(region.score) else region.score


def _length(region: Region) -> int:
    return (region.end or 0) - (region.start or 0)


_ORDERS: dict[str, Callable[[Region], tuple[float, ...]]] = {
    "longest": lambda region: (-_length(region), -_score(region), region.start or 0),
    "shortest": lambda region: (_length(region), -_score(region), region.start or 0),
    "best_score": lambda region: (-_score(region), -_length(region), region.start or 0),
}


def _known(relation: Relation, moved: dict[int, int]) -> bool:
    return moved.keys() >= {*relation.subjects, *relation.objects}


def _moved(places: tuple[int, ...], moved: dict[int, int]) -> tuple[int, ...]:
    return tuple(moved[place] for place in places)
