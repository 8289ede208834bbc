"""Faults of the tags and boxes of one text. Linear in its length; nothing is raised."""

import re
from collections.abc import Callable, Iterator

from curate.grounding.decimals import HALF
from curate.grounding.dialects import ANY, NUMBER, Dialect

Box = tuple[float, ...]
"""x1, y1, x2, y2 in a dialect's own units."""
Told = tuple[str, int | None, str]
"""Code, character of the text where it is known, what is wrong."""

_SEEN = 60
_D = "([0-9]{1,3})"
_FOUR = "[0-9]{1,4}+, ?[0-9]{1,4}+, ?[0-9]{1,4}+, ?[0-9]{1,4}+"
_INTS = re.compile(rf"\[{_D}, {_D}, {_D}, {_D}\]")
_LIST = _INTS.pattern.replace("(", "").replace(")", "+")
_MENTION = re.compile(rf"<ref>[^<]*+</ref><box>\[{_LIST}(?:, {_LIST})*+\]</box>")  # the usual one
_SHARE = r"(0(?:\.[0-9]++)?|1(?:\.0++)?)"
_SHARES = re.compile(rf"\[{_SHARE}, ?{_SHARE}, ?{_SHARE}, ?{_SHARE}\]")
# What a sound text of All-Seeing v2 is made of, and the beginning of any tag else.
_SOUND = re.compile(
    rf"<(ref|pred)>[^<]*+</\1>|<box>\[((?:\[{_FOUR}\](?:, ?\[{_FOUR}\])*+)?)\]</box>"
    r"|<(?:/|/?(?:ref|box|pred)\b|/?(?:r|re|b|bo|p|pr|pre)\Z)"
)
_DIGITS = re.compile("[0-9]++")
_BEGUN = re.compile(rf"\[{HALF}")


class Boxes:
    """What the texts of one record said so far: boxes that a phrase named, and how many sound boxes there are.

    `size` is the width and height of the record's picture in pixels, where they are known.
    """

    def __init__(self, size: tuple[int, int] | None) -> None:
        self.size, self.count = size, 0
        self.sure = False
        """Whether the last text is of whole tags and boxes, so that All-Seeing v2's codec refuses nothing else."""
        self.named: set[Box] = set()


def checker(form: Dialect) -> Callable[[str, Boxes], list[Told]]:
    """Return the function that finds the faults of a text of `form` and adds its boxes to what is known."""
    token = _tokens(form)
    tagged = form.box == "<box>" and form.highest in (999.0, 1000.0) and form.name != "qwen_vl"

    def check(text: str, known: Boxes) -> list[Told]:
        told: list[Told] = []
        if form.pairs and "<" in text:
            if tagged and _is_sound(text, form, known, told):
                known.sure = form.highest == 999.0
                return told
            told += _tags(text, form, known, token)
        if form.box is None and form.form is not None and "[" in text:
            told += _bare(text, form, known)
        if form.name == "gvc":
            told += _segments(text)
        return told

    return check


def plain_boxes(text: str, form: Dialect, images: int) -> int | None:
    """Tell at once how many boxes a text has that is sound, as most are; None says nothing.

    Sound are no tags and brackets at all; of All-Seeing v2's forms phrases, each with its boxes behind it; of the
    forms of bare decimals one box in a bracket and tags in pairs. `images` of the text's "<" are no tags.
    """
    tags = text.count("<") - images
    if form.highest == 999.0:
        if 4 * len(_MENTION.findall(text)) != tags:
            return None
        ints = _INTS.findall(text) if tags else ()
        return len(ints) if all([int(x1) <= int(x2) and int(y1) <= int(y2) for x1, y1, x2, y2 in ints]) else None
    if form.box is not None or form.form is None:
        return None if tags else 0
    if tags and tags != 2 * len(form.paired.findall(text)):
        return None
    brackets = text.count("[")
    boxes = _SHARES.findall(text) if brackets else ()
    # Shares of 0 to 1 are in the order of their digits.
    sound = len(boxes) == brackets and all([x1 <= x2 and y1 <= y2 for x1, y1, x2, y2 in boxes])
    return len(boxes) if sound else None


def _is_sound(text: str, form: Dialect, known: Boxes, told: list[Told]) -> bool:
    """Tell whether the text is made of whole tags and well-formed boxes; then all other faults are in `told`."""
    relations: list[tuple[int, list[tuple[Box, ...]]]] = []
    found: list[tuple[int, tuple[Box, ...]]] = []
    last = ""
    for item in _SOUND.finditer(text):
        name, inner = item.groups()
        if name is not None:
            last = name
            if name == "pred":
                relations.append((item.start(), []))
        elif inner is not None:
            numbers = map(int, _DIGITS.findall(inner))
            boxes: tuple[Box, ...] = tuple(zip(numbers, numbers, numbers, numbers, strict=True))
            found.append((item.start(), boxes))
            if last == "pred":
                relations[-1][1].append(boxes)
            else:
                known.named.update(boxes)
        else:
            return False
    for at, some in found:
        _range(at, some, form, known, told)
    for at, lists in relations:
        if len(lists) % 2 or not lists:
            told.append(
                ("pred_unpaired", at, f"a predicate with {len(lists)} box lists: subjects and objects must pair")
            )
        if not known.named.issuperset(box for boxes in lists for box in boxes):
            told.append(("pred_unnamed", at, "a predicate's box is named by no <ref>"))
    told.sort(key=lambda one: one[1] or 0)
    return True


def _tags(text: str, form: Dialect, known: Boxes, token: re.Pattern[str]) -> Iterator[Told]:
    opened: re.Match[str] | None = None
    for tag in token.finditer(text):
        at, seen = tag.start(), tag[0]
        if seen not in form.pairs and seen not in form.tags:
            yield "tag_half", at, f"half a tag, {seen!r}"
        elif seen in form.pairs:
            if opened is not None:
                yield "tag_unbalanced", opened.start(), f"{opened[0]} is not closed before {seen} at character {at}"
            opened = tag
        elif opened is None:
            yield "tag_unbalanced", at, f"{seen} closes nothing"
        else:
            if form.pairs[opened[0]] != seen:
                yield "tag_mismatch", at, f"{opened[0]} is closed by {seen}"
            if opened[0] == form.box:
                inner = text[opened.end() : at]
                boxes = _read(inner, form)
                if boxes is None:
                    yield "box_form", opened.start(), f"no boxes of four numbers: {inner[:_SEEN]!r}"
                else:
                    told: list[Told] = []
                    known.named.update(boxes)
                    _range(opened.start(), boxes, form, known, told)
                    yield from told
            opened = None
    if opened is not None:
        yield "tag_unbalanced", opened.start(), f"{opened[0]} is never closed"


def _bare(text: str, form: Dialect, known: Boxes) -> Iterator[Told]:
    for found in form.form.finditer(text) if form.form else ():
        inner = found[0]
        boxes = _read(inner, form)
        if not boxes:
            if "." in inner and _BEGUN.match(inner):
                yield "box_form", found.start(), f"no boxes of four numbers: {inner[:_SEEN]!r}"
            continue
        told: list[Told] = []
        _range(found.start(), boxes, form, known, told)
        yield from told


def _segments(text: str) -> Iterator[Told]:
    phrases, segments = text.count("<g_s>"), text.count("<seg>")
    if (phrases or "<g_e>" in text) and phrases != segments:
        yield "seg_count", 0, f"{phrases} phrases between <g_s> and <g_e>, but {segments} <seg>"


def _range(at: int, boxes: tuple[Box, ...], form: Dialect, known: Boxes, told: list[Told]) -> None:
    for box in boxes:
        x1, y1, x2, y2 = box
        if 0 <= x1 <= x2 <= form.highest and 0 <= y1 <= y2 <= form.highest:
            known.count += 1
            continue
        seen = f"[{', '.join(f'{value:.15g}' for value in box)}]"
        if not (min(box) >= 0 and max(box) <= form.highest):
            told.append(("box_range", at, f"beyond 0 to {form.highest:g}: {seen}"))
        else:
            told.append(("box_inverted", at, f"corners the wrong way round: {seen}"))


def _read(inner: str, form: Dialect) -> tuple[Box, ...] | None:
    """Return the boxes of a list, None where it has not their form."""
    if form.form is None or not form.form.fullmatch(inner):
        return None
    if form.whole and ("." in inner or "e" in inner or "E" in inner):
        return None
    try:
        numbers = [float(number) for number in NUMBER.findall(inner)]
    except ValueError:  # 1.2.3
        return None
    if len(numbers) % 4:
        return None
    fours = iter(numbers)
    return tuple(zip(fours, fours, fours, fours, strict=True))


def _tokens(form: Dialect) -> re.Pattern[str]:
    """Return what finds a tag of the form, or what looks like one that was cut off."""
    whole = "|".join(sorted(map(re.escape, form.tags), key=len, reverse=True))
    if form is ANY:  # half a tag of no known form is a word
        return re.compile(whole)
    stems = "|".join(sorted((re.escape(tag.rstrip(">|")) for tag in form.tags), key=len, reverse=True))
    ends = "|".join(sorted({re.escape(tag[:size]) for tag in form.tags for size in range(2, len(tag))}))
    return re.compile(rf"(?:{whole})|(?:{stems})(?![0-9A-Za-z_])|(?:{ends})\Z" if whole else "(?!)")
