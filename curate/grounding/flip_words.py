"""Words of a picture that was mirrored left to right: left and right change places, spans follow.

A mirrored picture needs mirrored words, and some words cannot be: writing, clocks, maps. What cannot be
flipped safely is refused with a code that is counted, never guessed. `flip_sides` decides about left and right.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace

from curate.errors import SampleError
from curate.grounding import flip_hazards as hazards
from curate.grounding import flip_tables as tables
from curate.grounding.flip_scripts import LANGUAGES, refuse_scripts
from curate.grounding.flip_sides import SIDES, WINDOW, Verdict, verdict
from curate.sample import Grounded

_BECOMES = dict(tables.PAIRS) | {b: a for a, b in tables.PAIRS}

_LETTER = "0-9a-z_\u00df-\u024f"  # what makes an English word longer, lower case: a Chinese neighbour ends it
_JOINT = r"[\s\u2010-\u2015-]"  # what may stand inside counterclockwise
_COUNTER = re.compile(r"(?:counter|anti|contra)[^a-z]*+\Z")


def _hazards(words: Iterable[str], anywhere: Iterable[str]) -> list[tuple[str, re.Pattern[str]]]:
    """Return each pattern, split at its choices, with the literal that it begins with.

    The literal is searched for first, and stands first in the pattern, as that is what makes a search of ten
    million characters quick: the border on its left is checked behind it. Those that are not in ASCII make one
    pattern with the literal "": each begins with its own letter, so one search finds them all.
    """
    found, wide = [], []
    for pattern, whole in [*((p, True) for p in words), *((p, False) for p in anywhere)]:
        choices = re.match(r"\(\?:([^()]*)\)", pattern)
        tail = pattern[choices.end() :] if choices else pattern
        for head in choices[1].split("|") if choices else [""]:
            spelled = head + tail
            literal = re.match(r"(?:\\[\[(]|[^\\()\[?{])+(?![?*+{])", spelled)
            stem = literal[0] if literal else ""
            if not whole and not stem.isascii():
                wide.append(spelled)
                continue
            border = f"(?<![{_LETTER}]{stem})" if whole else ""
            rest = f"{spelled[len(stem) :]}(?![{_LETTER}])" if whole else spelled[len(stem) :]
            found.append((stem.replace("\\", ""), re.compile(stem + border + rest)))
    return [*found, ("", re.compile("|".join(wide)))] if wide else found


def _flip_pattern() -> re.Pattern[str]:
    by_first: dict[str, list[str]] = {}
    for word in sorted([*_BECOMES, *tables.CHINESE_IDIOMS], key=len, reverse=True):
        by_first.setdefault(word[0], []).append(re.escape(word[1:]))
    counter = rf"(?:c(?<![{_LETTER}]c)ounter|a(?<![{_LETTER}]a)nti){_JOINT}*+clockwise(?![{_LETTER}])|"
    return re.compile(
        counter
        + "|".join(
            rf"{first}(?<![{_LETTER}]{first})(?:{'|'.join(rest)})(?![{_LETTER}])"
            if first.isascii()
            else f"{first}(?:{'|'.join(rest)})"
            for first, rest in by_first.items()
        )
    )


_FLIP = _flip_pattern()
_REFUSALS = {
    "flip_text": _hazards(hazards.WRITING, hazards.WRITING_ANYWHERE),
    "flip_directional": _hazards(hazards.DIRECTIONAL, hazards.DIRECTIONAL_ANYWHERE),
    "flip_coordinates": _hazards((), hazards.COORDINATES_ANYWHERE),
    "flip_language": _hazards(LANGUAGES, ()),
    "flip_unclear": _hazards(hazards.UNCLEAR, hazards.UNCLEAR_ANYWHERE),
}


@dataclass(frozen=True, slots=True)
class _Edits:
    """Replaced stretches of a text, in order; `shift[i]` is what the first i add to a place after them."""

    starts: list[int]
    ends: list[int]
    words: list[str]
    shift: list[int]


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
        if word in tables.CHINESE_IDIOMS:
            continue
        found = _verdict(word, low[max(0, start - WINDOW) : start], low[end : end + WINDOW])
        if found == "keep":
            continue
        if found == "unclear":
            raise SampleError("flip_unclear", f"{text[max(0, start - 20) : end + 20]!r} at character {start}")
        new = _BECOMES.get(word, "clockwise")  # counterclockwise has many spellings
        edits.starts.append(start)
        edits.ends.append(end)
        edits.words.append(_in_case(new, text[start:end], start))
        edits.shift.append(edits.shift[-1] + len(new) - (end - start))
    return edits


def _refuse_hazards(low: str) -> None:
    if len(low) < 20 and low.strip().isdigit():
        raise SampleError("flip_text", f"nothing but the number {low.strip()}")
    wide = not low.isascii()
    for code, patterns in _REFUSALS.items():
        for stem, pattern in patterns:
            found = pattern.search(low) if (stem in low if stem else wide) else None
            if found:
                raise SampleError(code, f"{found[0][:60]!r} at character {found.start()}")
    refuse_scripts(low)


def _verdict(word: str, before: str, after: str) -> Verdict:
    if word in SIDES:
        return verdict(word, before, after)
    return "unclear" if word == "clockwise" and _COUNTER.search(before) else "swap"


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
