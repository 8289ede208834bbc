"""Words of a picture that was mirrored left to right: left and right change places, spans follow.

A mirrored picture needs mirrored words, and some words cannot be: writing, clocks, maps. What cannot be
flipped safely is refused with a code that is counted, never guessed. `flip_tables` holds the decisions.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from curate.errors import SampleError
from curate.grounding import flip_tables as tables
from curate.grounding.flip_scripts import LANGUAGES, refuse_scripts
from curate.sample import Grounded

_Verdict = Literal["swap", "keep", "unclear"]

_WINDOW = 48  # characters read on either side of a left or right: bounds the work per word
_SIDES = {"left": "right", "right": "left"}
_BECOMES = {b: a for a, b in tables.PAIRS} | {a: b for a, b in reversed(tables.PAIRS)}

_LETTER = "0-9a-z_\u00df-\u024f"  # what makes an English word longer, lower case: a Chinese neighbour ends it


def _hazards(words: Iterable[str], anywhere: Iterable[str]) -> list[tuple[str, re.Pattern[str]]]:
    """Return each pattern, split at its choices, with the literal that it begins with.

    The literal is searched for first, and stands first in the pattern, as that is what makes a search of ten
    million characters quick: the border on its left is checked behind it.
    """
    found = []
    for pattern, whole in [*((p, True) for p in words), *((p, False) for p in anywhere)]:
        choices = re.match(r"\(\?:([^()]*)\)", pattern)
        tail = pattern[choices.end() :] if choices else pattern
        for head in choices[1].split("|") if choices else [""]:
            spelled = head + tail
            literal = re.match(r"(?:\\\[|[^\\()\[?{])+(?![?*+{])", spelled)
            stem = literal[0] if literal else ""
            border = f"(?<![{_LETTER}]{stem})" if whole else ""
            rest = f"{spelled[len(stem) :]}(?![{_LETTER}])" if whole else spelled[len(stem) :]
            found.append((stem.replace("\\", ""), re.compile(stem + border + rest)))
    return found


def _flip_pattern() -> re.Pattern[str]:
    by_first: dict[str, list[str]] = {}
    for word in sorted([*_BECOMES, *tables.CHINESE_IDIOMS], key=len, reverse=True):
        by_first.setdefault(word[0], []).append(re.escape(word[1:]))
    return re.compile(
        "|".join(
            rf"{first}(?<![{_LETTER}]{first})(?:{'|'.join(rest)})(?![{_LETTER}])"
            if first.isascii()
            else f"{first}(?:{'|'.join(rest)})"
            for first, rest in by_first.items()
        )
    )


_FLIP = _flip_pattern()
_REFUSALS = {
    "flip_text": _hazards(tables.WRITING, tables.WRITING_ANYWHERE),
    "flip_directional": _hazards(tables.DIRECTIONAL, tables.DIRECTIONAL_ANYWHERE),
    "flip_coordinates": _hazards((), tables.COORDINATES_ANYWHERE),
    "flip_language": _hazards(LANGUAGES, ()),
    "flip_unclear": _hazards(tables.UNCLEAR, tables.UNCLEAR_ANYWHERE),
}
_BEFORE = re.compile(r"(?:([\w'&]+)[^\S\n]+|)([\w'&]+)[^\S\n-]*-?[^\S\n]*\Z")
_AFTER = re.compile(r"[^\S\n]*(-?)[^\S\n]*([\w'&]+)(?:[^\S\n-]*-?[^\S\n]*([\w'&]+))?")


@dataclass(frozen=True, slots=True)
class _Edits:
    """Replaced stretches of a text, in order; `shift[i]` is what the first i add to a place after them."""

    starts: list[int]
    ends: list[int]
    words: list[str]
    shift: list[int]


@dataclass(frozen=True, slots=True)
class _Context:
    """The words beside a left or right, lower case, "" where punctuation or the text's end comes first.

    `mark` is the character right after it.
    """

    prev2: str
    prev: str
    next: str
    next2: str
    hyphen: bool
    mark: str
    first: bool


def flip_words(grounded: Grounded) -> Grounded:
    """Return the text, phrases and predicates of the mirrored picture; boxes are left as they are.

    left, right and their kin (leftmost, left-hand, clockwise, 左) change places with their case; idioms and
    the verb stay (right now, human rights, has left). Spans are moved, and phrases cut from the new text where
    they were cut from the old one. Twice is the identity, save that anticlockwise becomes counterclockwise.
    Linear in the text's length.

    Raises SampleError: `flip_text` where writing is named or quoted, `flip_directional` for what is wrong in
    a mirror (clock, map, logo), `flip_coordinates` for box numbers among the words, `flip_unclear` where left
    or right may mean something else, `flip_script` and `flip_language` where they are of a script or a language
    that is not known, `bad_span` for a span outside the text or inside a word that changes.
    """
    return flipped(grounded)[0]


def flipped(grounded: Grounded) -> tuple[Grounded, int]:
    """Return what `flip_words` does, and how many words changed in the text and in phrases outside it."""
    text, edits = grounded.text, _edits(grounded.text)
    mirrored, swapped = _apply(text, edits), len(edits.starts)

    def follow(words: str, start: int | None, end: int | None) -> tuple[str, int | None, int | None]:
        nonlocal swapped
        if start is None or end is None:
            own = _edits(words)
            swapped += len(own.starts)
            return _apply(words, own), start, end
        if not 0 <= start <= end <= len(text):
            raise SampleError("bad_span", f"{start} to {end} in a text of {len(text)} characters")
        new_start, new_end = _moved(start, edits), _moved(end, edits)
        cut = words == text[start:end]
        return mirrored[new_start:new_end] if cut else _apply(words, _edits(words)), new_start, new_end

    regions, relations = [], []
    for region in grounded.regions:
        phrase, start, end = follow(region.phrase, region.start, region.end)
        regions.append(replace(region, phrase=phrase, start=start, end=end))
    for relation in grounded.relations:
        predicate, start, end = follow(relation.predicate, relation.start, relation.end)
        relations.append(replace(relation, predicate=predicate, start=start, end=end))
    return Grounded(mirrored, tuple(regions), tuple(relations)), swapped


def flips_words(text: str) -> bool:
    """Return whether a flip changes the text; raises what `flip_words` raises."""
    return bool(_edits(text).starts)


def _edits(text: str) -> _Edits:
    low = text.replace("\u0130", "i").lower()  # the one letter whose lower case is longer: places stay the same
    _refuse_hazards(low)
    edits = _Edits([], [], [], [0])
    for match in _FLIP.finditer(low):
        word, (start, end) = match[0], match.span()
        if word not in _BECOMES:
            continue  # a Chinese idiom
        if word in _SIDES:
            verdict = _verdict(word, low[max(0, start - _WINDOW) : start], low[end : end + _WINDOW])
            if verdict == "keep":
                continue
            if verdict == "unclear":
                raise SampleError("flip_unclear", f"{text[max(0, start - 20) : end + 20]!r} at character {start}")
        new = _BECOMES[word]
        edits.starts.append(start)
        edits.ends.append(end)
        edits.words.append(_in_case(new, text[start:end], start))
        edits.shift.append(edits.shift[-1] + len(new) - (end - start))
    return edits


def _refuse_hazards(low: str) -> None:
    if len(low) < 20 and low.strip().isdigit():
        raise SampleError("flip_text", f"nothing but the number {low.strip()}")
    for code, hazards in _REFUSALS.items():
        for stem, pattern in hazards:
            found = pattern.search(low) if stem in low else None
            if found:
                raise SampleError(code, f"{found[0][:60]!r} at character {found.start()}")
    refuse_scripts(low)


def _apply(text: str, edits: _Edits) -> str:
    pieces, cursor = [], 0
    for start, end, word in zip(edits.starts, edits.ends, edits.words, strict=True):
        pieces += [text[cursor:start], word]
        cursor = end
    return "".join(pieces) + text[cursor:]


def _moved(place: int, edits: _Edits) -> int:
    passed = bisect_right(edits.ends, place)
    if passed < len(edits.starts) and edits.starts[passed] < place:
        raise SampleError("bad_span", f"a span starts or ends inside a word that changes, at character {place}")
    return place + edits.shift[passed]


def _in_case(word: str, old: str, place: int) -> str:
    if old == old.lower():
        return word
    if old == old.upper():
        return word.upper()
    if old == old.capitalize():
        return word.capitalize()
    raise SampleError("flip_unclear", f"{old!r} in mixed case at character {place}")


@lru_cache(maxsize=4096)
def _verdict(word: str, before: str, after: str) -> _Verdict:
    """Return what becomes of a left or right: swapped only where the other word in its place would be too.

    So a flip is undone by a flip, and makes no new idiom (`the left size` does not become `the right size`).
    """
    context = _context(before, after)
    verdict = _decide(word, context)
    if verdict == "swap" and _decide(_SIDES[word], context) != "swap":
        return "unclear"
    return verdict


def _context(before: str, after: str) -> _Context:
    left = _BEFORE.search(before.replace("’", "'"))
    right = _AFTER.match(after.replace("’", "'"))
    words = [*(left.groups("") if left else ("", "")), *(right.groups("")[1:] if right else ("", ""))]
    prev2, prev, following, next2 = (tables.SIDE if word in _SIDES else word for word in words)
    first = not before.strip() or before.rstrip(" ")[-1] in ".!?\n"
    return _Context(prev2, prev, following, next2, bool(right and right[1]), after[:1], first)


def _decide(side: str, at: _Context) -> _Verdict:
    """Return the meaning of `side` among its neighbours; the first table that knows decides."""
    triple = (side, at.next, at.next2)
    if triple in tables.FIXED_TRIPLES:
        return "keep"
    if at.next in tables.FIXED_NEXT[side] or at.prev in tables.FIXED_PREV[side]:
        return "keep"
    if (at.hyphen and at.next in tables.UNCLEAR_HYPHEN) or triple in tables.UNCLEAR_TRIPLES:
        return "unclear"
    if at.next in tables.UNCLEAR_NEXT:
        return "unclear"
    if side == "left" and (at.prev in tables.REMAINS or (at.prev in {"is", "was"} and at.prev2 in tables.REMAINS)):
        return "keep"
    if at.next == "of" or at.next in tables.PARTS:
        return "swap"
    return _by_previous(side, at) or _by_start(side, at)


def _by_previous(side: str, at: _Context) -> _Verdict | None:
    adverb = at.next in tables.ADVERB_NEXT[side]
    possessive = at.prev.endswith(("'s", "s'")) and at.prev not in tables.CONTRACTIONS
    if at.prev in tables.DETERMINERS:
        contested = at.next in tables.CONTESTED_NEXT and at.prev2 not in tables.PLACE_PREPOSITIONS
        return "unclear" if contested else "swap"
    if at.prev in tables.PLACE_PREPOSITIONS or possessive:
        return "unclear" if adverb else "swap"
    if adverb or (side == "right" and (at.next, at.next2) in tables.ADVERB_PAIRS):
        return "keep"
    if at.prev in tables.VERB_PREV[side]:
        return "keep"
    return None


def _by_start(side: str, at: _Context) -> _Verdict:
    if at.prev and at.prev not in tables.JOINERS:
        return "unclear"
    if not at.prev and side == "right" and at.mark == "?":
        return "keep"
    if at.first and at.mark == ",":
        return "unclear"
    ranged = at.next == "to" and at.next2 == tables.SIDE
    return "unclear" if at.next in tables.UNCLEAR_START and not ranged else "swap"
