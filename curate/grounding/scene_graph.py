"""A scene graph of a grounded text: boxes with the names they were given, and predicates between them.

The model is that of All-Seeing v2's evaluation (OpenGVLab/all-seeing, all-seeing-v2, llava/eval/eval_psg.py): a
box is known by its exact coordinates and bears every name that used it; one subject faces many objects, or many
subjects one object, or they pair up in order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from curate.errors import SampleError
from curate.sample import Box, Grounded, Region, Relation

UNKNOWN = "Unknown"
"""What eval_psg.py calls a box without a name."""


@dataclass(frozen=True, slots=True)
class Node:
    """A box, xyxy in the frame of what the graph was built from, and its names, repeats kept."""

    names: tuple[str, ...]
    box: Box


@dataclass(frozen=True, slots=True)
class Edge:
    """A predicate; `subject` and `object` index the graph's nodes."""

    predicate: str
    subject: int
    object: int


@dataclass(frozen=True, slots=True)
class RelationTuple:
    """An edge written out."""

    subject_names: tuple[str, ...]
    subject_box: Box
    object_names: tuple[str, ...]
    object_box: Box
    predicate: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """The box lists of a predicate: subjects, objects; None stands for what was no box, and drops its pair."""

    predicate: str
    subjects: Sequence[Box | None]
    objects: Sequence[Box | None]


@dataclass(frozen=True, slots=True)
class SceneGraph:
    """Nodes in order of their first name, edges in order of their predicates.

    `correct_format` is False where a predicate's boxes did not pair up and some had to be left out.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    correct_format: bool = True

    def tuples(self) -> tuple[RelationTuple, ...]:
        """Return the edges written out: subject names, subject box, object names, object box, predicate."""
        written = []
        for edge in self.edges:
            subject, thing = self.nodes[edge.subject], self.nodes[edge.object]
            written.append(RelationTuple(subject.names, subject.box, thing.names, thing.box, edge.predicate))
        return tuple(written)


def matches(subjects: int, objects: int) -> bool:
    """Return whether so many subjects and objects pair up: as many, or one on a side; none pairs with one."""
    return subjects == objects or subjects == 1 or objects == 1


def build(
    objects: Mapping[str, Iterable[Box]],
    relations: Iterable[Pairs],
    alone: Iterable[Box] = (),
    unnamed: tuple[str, ...] = (),
    key: Callable[[Box], object] | None = None,
) -> SceneGraph:
    """Return the graph of names and their boxes, and of predicates and theirs; the empty name is none.

    `alone` are boxes without a name that need no predicate; `unnamed` are the names of a box without one; equal
    `key` makes two boxes one (default: equal coordinates). Where counts do not match, pairs end with the
    shorter side and `correct_format` is False.
    """
    places: dict[object, int] = {}
    boxes: list[Box] = []
    names: list[list[str]] = []

    def place(box: Box) -> int:
        known = box if key is None else key(box)
        found = places.get(known)
        if found is None:
            found = places[known] = len(boxes)
            boxes.append(box)
            names.append([])
        return found

    for name, named in objects.items():
        for box in named:
            at = place(box)
            if name:
                names[at].append(name)
    edges = []
    correct_format = True
    for pairs in relations:
        subjects, things = pairs.subjects, pairs.objects
        correct_format = correct_format and matches(len(subjects), len(things))
        if len(subjects) == 1:
            subjects = [subjects[0]] * len(things)
        if len(things) == 1:
            things = [things[0]] * len(subjects)
        for subject, thing in zip(subjects, things, strict=False):
            if subject is not None and thing is not None:
                edges.append(Edge(pairs.predicate, place(subject), place(thing)))
    for box in alone:
        place(box)
    nodes = [Node(tuple(some) or unnamed, box) for some, box in zip(names, boxes, strict=True)]
    return SceneGraph(tuple(nodes), tuple(edges), correct_format)


def from_grounded(grounded: Grounded) -> SceneGraph:
    """Return the graph of a text that any codec read, its boxes shares of the picture.

    Phrases and predicates count in order of the text, those outside it last; equal phrases are one name, and
    boxes with an empty phrase have none. Raises SampleError `bad_relation` for a relation of a box that is not there.
    """
    objects: dict[str, list[Box]] = {}
    alone: list[Box] = []
    for region in sorted(grounded.regions, key=_order):
        known = region.phrase or region.start is not None
        (objects.setdefault(region.phrase, []) if known else alone).extend(region.boxes)
    boxes = [box for region in grounded.regions for box in region.boxes]
    relations = []
    for relation in sorted(grounded.relations, key=_order):
        for index in (*relation.subjects, *relation.objects):
            if not 0 <= index < len(boxes):
                raise SampleError("bad_relation", f"{relation.predicate!r} relates box {index} of {len(boxes)}")
        sides = ([boxes[index] for index in side] for side in (relation.subjects, relation.objects))
        relations.append(Pairs(relation.predicate, *sides))
    return build(objects, relations, alone)


def _order(span: Region | Relation) -> tuple[bool, int, int]:
    start, end = span.start, span.end
    return start is None or end is None, start or 0, end or 0
