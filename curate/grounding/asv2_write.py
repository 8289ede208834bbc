"""Writing All-Seeing v2's tags: which phrases, predicates and bare boxes a text can hold, and the text itself.

The form is of Wang et al., "The All-Seeing Project V2"; box lists are written as json.dumps writes them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from curate.errors import SampleError
from curate.grounding import rec
from curate.grounding.asv2_ints import Axis, Ints, ints_of
from curate.grounding.asv2_read import TAG
from curate.grounding.scene_graph import UNKNOWN
from curate.grounding.spans import Span, apart, box_places, by_span, check_seams, in_order, weave
from curate.sample import Grounded, Region

_NAMES = ("ref", "box", "pred")


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which spans are written: span -> regions named there, relations told there, and regions of bare boxes."""

    refs: dict[Span, list[int]]
    preds: dict[Span, list[int]]
    bare: dict[Span, list[int]]
    regions: frozenset[int]


def write(grounded: Grounded, axes: tuple[Axis, Axis], width: int, height: int) -> str:
    """Return the text with its phrases and predicates tagged, for a picture of width x height pixels.

    `axes` say what the picture's 0 to 999 become. Regions of one span share one `<ref>`; bare boxes stand in
    their place where nothing is tagged before. Where spans overlap the longest is written (a phrase before a
    predicate) and `uncoded` lists the rest. Boxes are cut to the picture. Raises SampleError: `reserved_tag`
    when the text already holds a tag of this form or a span would make one, or where the official parser
    (`rec.parse`) would read other phrases, predicates or boxes: for a "<" of the text, or a span over two lines;
    `bad_box` for a coordinate that is not finite or corners the wrong way round.
    """
    text = grounded.text
    if "<" in text:
        tag = TAG.search(text)
        if tag:
            raise SampleError("reserved_tag", f"the text holds {tag[0]!r} at character {tag.start()}")
        if not grounded.regions and not grounded.relations:
            return text  # `rec.parse` finds nothing where no `<box>` stands
    elif not grounded.relations:
        simple = _simple(text, grounded.regions, axes, width, height)
        if simple is not None:
            return simple
    ints = [ints_of(box, axes, width, height) for region in grounded.regions for box in region.boxes]
    places, plan = box_places(grounded.regions), _plan(grounded)
    lists = {span: [[ints[i] for r in some for i in places[r]]] for span, some in (plan.refs | plan.bare).items()}
    for span, relations in plan.preds.items():
        sides = [side for r in relations for side in (grounded.relations[r].subjects, grounded.relations[r].objects)]
        lists[span] = [[ints[i] for i in side] for side in sides]
    parts: dict[Span, str] = {}
    for (start, end), some in lists.items():
        if "\n" in text:
            _check_line(text, start, end)
        name = "pred" if (start, end) in plan.preds else "ref"
        words = f"<{name}>{text[start:end]}</{name}>" if start < end else ""
        parts[start, end] = words + "".join([f"<box>{_listed(boxes)}</box>" for boxes in some])
    made = weave(text, parts)
    if "<" in text:
        check_seams(text, parts, _NAMES)
        _check_parsed(made, text, lists, plan)
    return made


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions that `write` leaves out.

    They have no box, no span of the text, a span that overlaps a longer one, or an empty span after the first
    phrase or predicate, where the form gives a box to what stands before it. A region without phrase and span
    is written where predicates repeat all of its boxes.
    """
    if in_order(grounded) is not None:
        return ()
    plan = _plan(grounded)
    return tuple(i for i in range(len(grounded.regions)) if i not in plan.regions)


def uncoded_relations(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the relations left out: no span, an overlapping one, or an unwritten box."""
    told = {i for relations in _plan(grounded).preds.values() for i in relations}
    return tuple(i for i in range(len(grounded.relations)) if i not in told)


def _simple(text: str, regions: tuple[Region, ...], axes: tuple[Axis, Axis], width: int, height: int) -> str | None:
    """Return the text of phrases in order and side by side, as most captions have them; None for any other."""
    pieces, cursor, length, lines = [], 0, len(text), "\n" in text
    for region in regions:
        start, end, boxes = region.start, region.end, region.boxes
        if start is None or end is None or not cursor <= start < end <= length or not boxes:
            return None
        if lines:
            _check_line(text, start, end)
        if len(boxes) == 1:
            a, b, c, d = ints_of(boxes[0], axes, width, height)
            listed = f"[[{a}, {b}, {c}, {d}]]"
        else:
            listed = _listed(ints_of(box, axes, width, height) for box in boxes)
        pieces.append(f"{text[cursor:start]}<ref>{text[start:end]}</ref><box>{listed}</box>")
        cursor = end
    pieces.append(text[cursor:])
    return "".join(pieces)


def _listed(boxes: Iterable[Ints]) -> str:
    return "[" + ", ".join([f"[{a}, {b}, {c}, {d}]" for a, b, c, d in boxes]) + "]"


def _check_line(text: str, start: int, end: int) -> None:
    at = text.find("\n", start, end)
    if at >= 0:
        raise SampleError("reserved_tag", f"a span over two lines, which official parsers miss, at character {at}")


def _check_parsed(made: str, text: str, lists: Mapping[Span, list[list[Ints]]], plan: _Plan) -> None:
    """Raise where the official parser takes a "<" of the text for the beginning of a tag, and misses what is one."""
    objects: dict[str, tuple[Ints, ...]] = {}
    relations: dict[str, tuple[tuple[Ints, ...], ...]] = {}
    for start, end in sorted(lists):
        words, some = text[start:end], tuple(map(tuple, lists[start, end]))
        if (start, end) in plan.preds:
            relations[words] = (*relations.get(words, ()), *some)
        else:
            name = words if start < end else UNKNOWN
            objects[name] = (*objects.get(name, ()), *some[0])
    parsed = rec.parse(made)
    if (parsed.objects, parsed.relations) != (objects, relations):
        at = text.index("<")
        raise SampleError("reserved_tag", f"official parsers would misread the boxes for the '<' at character {at}")


def _plan(grounded: Grounded) -> _Plan:
    regions, relations = grounded.regions, grounded.relations
    taken = bytearray(len(grounded.text))
    places = box_places(regions)
    spans = by_span(regions, (i for i, region in enumerate(regions) if region.boxes))
    refs = {span: spans[span] for span in apart(spans, taken)}
    first = min((start for start, _ in refs), default=len(taken))
    bare = {span: spans[span] for span in spans if 0 <= span[0] == span[1] <= first}
    nameless = [i for i, r in enumerate(regions) if r.boxes and not r.phrase and r.start is None]
    known = _places(places, [*_flat(refs), *nameless, *_flat(bare)])
    telling = [i for i, r in enumerate(relations) if known.issuperset(r.subjects) and known.issuperset(r.objects)]
    if bare and telling:
        # Boxes after a predicate would be its own. What names the boxes of a dropped region is dropped with it.
        spans = by_span(relations, telling)
        first = min((start for start, end in spans if 0 <= start < end <= len(taken)), default=first)
        bare = {span: bare[span] for span in bare if span[0] <= first}
        known = _places(places, [*_flat(refs), *nameless, *_flat(bare)])
        telling = [i for i in telling if known.issuperset(relations[i].subjects + relations[i].objects)]
    spans = by_span(relations, telling)
    preds = {span: spans[span] for span in apart(spans, taken)}
    repeated = {place for i in _flat(preds) for place in (*relations[i].subjects, *relations[i].objects)}
    written = {*_flat(refs), *_flat(bare), *(i for i in nameless if repeated.issuperset(places[i]))}
    return _Plan(refs, preds, bare, frozenset(written))


def _flat(spans: dict[Span, list[int]]) -> list[int]:
    return [index for indices in spans.values() for index in indices]


def _places(places: list[range], regions: Iterable[int]) -> set[int]:
    return {place for region in regions for place in places[region]}
