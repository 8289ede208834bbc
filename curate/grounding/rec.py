"""All-Seeing v2's relation conversations (ReC) read as their two official parsers read them, into a scene graph.

*Tolerant* is llava/eval/eval_psg.py, *strict* is scripts_asmv2/visualize_rec.py (OpenGVLab/all-seeing,
all-seeing-v2). Both take `<tag>words<tag>` as an item whatever the tags: one that begins with `<box>` is boxes,
with `<ref>` a name, with anything else a predicate. Boxes belong to the last name or predicate. Equal names are
one object, equal predicates one relation, whose box lists pair up over the whole text: subjects, objects,
subjects, objects. What they disagree on:

    ==============================  ======================  =====================================
    in the text                     strict                  tolerant
    ==============================  ======================  =====================================
    boxes before any tag            error                   boxes of `Unknown`
    boxes that are not JSON         error                   skipped
    odd box lists of a predicate    error                   the last is dropped, bad format
    counts that do not pair up      error                   the shorter side decides, bad format
    a predicate's box has no name   no names                the name `Unknown`
    ==============================  ======================  =====================================

Released texts are malformed here and there; `Rec.faults` says where, and no fault ends a tolerant parse.
"""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from curate.errors import SampleError
from curate.grounding import scene_graph
from curate.grounding.asv2_ints import SCALE
from curate.grounding.scene_graph import UNKNOWN, Pairs, SceneGraph
from curate.sample import Box

# `<.*?>.*?<.*?>` in linear time. Where a "<" begins no item no later one of its line does, as what it lacks
# (a ">", then a "<", then a ">") they lack too: the rest of the line is taken in one piece.
_ITEM = re.compile(r"(<[^>\n]*+>)([^<\n]*+)(<[^>\n]*+>)|<[^\n]*+")
_TAGS = ("<ref>", "</ref>", "<pred>", "</pred>")
_CLOSING = {"<ref>": "</ref>", "<pred>": "</pred>", "<box>": "</box>"}
_FAR = 1e6  # a coordinate beyond is no coordinate


@dataclass(frozen=True, slots=True)
class Fault:
    """Something malformed: `code`, `position` in characters of the text, and `detail` for people.

    Codes: `half_item` (a "<" that begins no item), `unknown_tag` (read as a predicate), `closing_tag` (another
    than the opening one), `box_before_tag`, `bad_json` (not a list in JSON), `bad_box` (not four numbers),
    `box_range` (outside 0 to 999, or corners the wrong way round), `empty_boxes`, `odd_lists`,
    `count_mismatch`, `unnamed_box` (of a predicate).
    """

    code: str
    position: int
    detail: str


@dataclass(frozen=True, slots=True)
class Rec:
    """A parsed text: the words alone, name → boxes, predicate → box lists, the graph, and what was wrong.

    Boxes are xyxy as written, 0 to 999 of the frame that the text is for. In a list of `relations` None stands
    for what was no box. `graph.correct_format` is eval_psg.py's flag; `faults` are the first thousand.
    """

    clean: str
    objects: dict[str, tuple[Box, ...]]
    relations: dict[str, tuple[tuple[Box | None, ...], ...]]
    graph: SceneGraph
    faults: tuple[Fault, ...]


_MOST_FAULTS = 1000
_FATAL = frozenset({"box_before_tag", "bad_json", "bad_box", "odd_lists", "count_mismatch"})


class _Reader:
    """The state of a parse."""

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.plain = True  # every box is of whole numbers
        self.faults: list[Fault] = []
        self.objects: dict[str, list[Box]] = {}
        self.relations: dict[str, list[list[Box | None]]] = {}
        self.positions: dict[str, list[int]] = {}
        self.known: dict[str, list[Box | None]] = {}  # predicates repeat what phrases had

    def fault(self, code: str, position: int, what: str, shown: str = "") -> None:
        if len(self.faults) < _MOST_FAULTS or self.strict:
            detail = f"{what}: {shown[:80]!r}" if shown else what
            if self.strict and code in _FATAL:
                raise SampleError("bad_rec", f"{detail} at character {position}")
            self.faults.append(Fault(code, position, detail))

    def read(self, text: str) -> str:
        """Read every item of the text and return the words that remain."""
        pieces, cursor = [], 0
        named, words = True, None
        for item in _ITEM.finditer(text):
            opening, inner, closing = item.groups()
            if opening is None:
                self.fault("half_item", item.start(), "no item begins here", item[0])
                continue
            if closing != _CLOSING.get(opening):
                code = "closing_tag" if opening in _CLOSING else "unknown_tag"
                self.fault(code, item.start(), f"{opening[:40]!r} up to {closing[:40]!r}")
            if opening != "<box>":
                named, words = opening == "<ref>", inner
                continue
            position = item.start()
            pieces.append(text[cursor:position])
            cursor = item.end()
            boxes = self.boxes(inner, position + 5)
            if boxes is None:
                continue
            if words is None:
                self.fault("box_before_tag", position, "a box before any name or predicate")
                words = UNKNOWN
            if named:
                self.objects.setdefault(words, []).extend([box for box in boxes if box])
            else:
                self.relations.setdefault(words, []).append(boxes)
                self.positions.setdefault(words, []).append(position)
        pieces.append(text[cursor:])
        words_alone = "".join(pieces)
        for tag in _TAGS:
            words_alone = words_alone.replace(tag, "")
        return words_alone

    def boxes(self, inner: str, position: int) -> list[Box | None] | None:
        """Return the boxes of a list in JSON, None in place of what is no box; None where it is no list."""
        faultless = self.known.get(inner)
        if faultless:
            return faultless
        try:
            values = json.loads(inner)
        except (ValueError, RecursionError):  # also more digits than Python reads as one number
            values = None
        if type(values) is not list:
            self.fault("bad_json", position, "not a list of boxes", inner)
            return None
        boxes: list[Box | None] = []
        odd = False
        for value in values:
            if type(value) is list and len(value) == 4:
                a, b, c, d = value
                if type(a) is type(b) is type(c) is type(d) is int and 0 <= a <= c <= SCALE and 0 <= b <= d <= SCALE:
                    boxes.append((a, b, c, d))
                    continue
            boxes.append(self.odd_box(value, inner, position))
            odd = True
        if not boxes:
            self.fault("empty_boxes", position, "an empty list of boxes")
        if not odd:
            self.known[inner] = boxes
        return boxes

    def odd_box(self, value: object, inner: str, position: int) -> Box | None:
        """Return a box that is not of whole numbers of 0 to 999 with its corners in order; None for no box."""
        numbers: list[Any] = value if type(value) is list and len(value) == 4 else [None]
        for number in numbers:
            if not (type(number) is int or type(number) is float) or not -_FAR <= number <= _FAR:
                self.fault("bad_box", position, "not a box of four numbers", inner)
                return None
        x0, y0, x1, y1 = numbers
        self.plain = self.plain and all(type(number) is int for number in numbers)
        if not (0 <= x0 <= x1 <= SCALE and 0 <= y0 <= y1 <= SCALE):
            self.fault("box_range", position, f"outside 0 to {SCALE}, or the corners the wrong way round", inner)
        return x0, y0, x1, y1

    def pairs(self) -> list[Pairs]:
        """Return the box lists of each predicate in twos."""
        key = repr if not self.plain else None
        named: set[object] = {None}
        for boxes in self.objects.values():
            named.update(boxes if key is None else map(key, boxes))
        paired = []
        for words, lists in self.relations.items():
            positions = self.positions[words]
            if len(lists) % 2:
                self.fault("odd_lists", positions[-1], f"{len(lists)} box lists of a predicate", words)
            for position, subjects, objects in zip(positions[1::2], lists[::2], lists[1::2], strict=False):
                paired.append(Pairs(words, subjects, objects))
                if not scene_graph.matches(len(subjects), len(objects)):
                    self.fault("count_mismatch", position, f"{len(subjects)} subjects of {len(objects)} objects")
            for position, some in zip(positions, lists, strict=True):
                if not named.issuperset(some if key is None else [box and key(box) for box in some]):
                    self.fault("unnamed_box", position, "a box without a name, of the predicate", words)
        return paired


def parse(text: str, strict: bool = False) -> Rec:
    """Return the objects, relations and scene graph of a ReC text. Linear in its length.

    Beyond the official parsers: a value that is no list of boxes, or a box that is not four numbers, ends a
    strict parse with SampleError and is left out of a tolerant one, where the officials fail in other ways. The
    clean text lacks the tags of names and predicates, and whole items of boxes.

    Raises SampleError `bad_rec`, with the position in characters, and only if `strict`.
    """
    reader = _Reader(strict)
    clean = reader.read(text)
    pairs = reader.pairs()
    graph = scene_graph.build(
        reader.objects, pairs, unnamed=() if strict else (UNKNOWN,), key=None if reader.plain else repr
    )
    if any(len(lists) % 2 for lists in reader.relations.values()):
        graph = replace(graph, correct_format=False)
    return Rec(
        clean=clean,
        objects={name: tuple(boxes) for name, boxes in reader.objects.items()},
        relations={words: tuple(map(tuple, lists)) for words, lists in reader.relations.items()},
        graph=graph,
        faults=tuple(sorted(reader.faults, key=lambda fault: fault.position)),
    )
