"""What a left or right means among its neighbours: a side of the picture, something else, or nobody can tell."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from curate.grounding import flip_tables as tables

Verdict = Literal["swap", "keep", "unclear"]

WINDOW = 48  # characters read on either side of a left or right: bounds the work per word
SIDES = {"left": "right", "right": "left"}

_BEFORE = re.compile(r"(?:([\w'&]+)[^\S\n]+|)([\w'&]+)[^\S\n-]*-?[^\S\n]*\Z")
_AFTER = re.compile(r"[^\S\n]*(-?)[^\S\n]*([\w'&]+)(?:[^\S\n-]*-?[^\S\n]*([\w'&]+))?")
_STOPS = frozenset(".,!?;:)\n。，！？；：、）")


@dataclass(frozen=True, slots=True)
class _Context:
    """The words beside a left or right, lower case, "" where punctuation or the text's end comes first.

    `mark` is the first character after it that is no blank, "" at the end.
    """

    prev2: str
    prev: str
    next: str
    next2: str
    hyphen: bool
    mark: str
    first: bool


@lru_cache(maxsize=4096)
def verdict(word: str, before: str, after: str) -> Verdict:
    """Return what becomes of a left or right: swapped only where the other word in its place would be too.

    So a flip is undone by a flip, and makes no new idiom (`the left size` does not become `the right size`).
    `before` and `after` are the WINDOW characters beside it, lower case.
    """
    context = _context(before, after)
    found = _decide(word, context)
    if found == "swap" and _decide(SIDES[word], context) != "swap":
        return "unclear"
    return found


def _context(before: str, after: str) -> _Context:
    left = _BEFORE.search(before.replace("’", "'"))
    right = _AFTER.match(after.replace("’", "'"))
    words = [*(left.groups("") if left else ("", "")), *(right.groups("")[1:] if right else ("", ""))]
    prev2, prev, following, next2 = (tables.SIDE if word in SIDES else word for word in words)
    first = not before.strip() or before.rstrip(" ")[-1] in ".!?\n"
    return _Context(prev2, prev, following, next2, bool(right and right[1]), after.lstrip(" ")[:1], first)


def _decide(side: str, at: _Context) -> Verdict:
    """Return the meaning of `side` among its neighbours; the first table that knows decides."""
    if at.prev == "the" and at.next in tables.UNCLEAR_AFTER_THE:
        return "unclear"
    triple = (side, at.next, at.next2)
    if triple in tables.FIXED_TRIPLES or at.next in tables.FIXED_NEXT[side]:
        return "keep"
    if (at.hyphen and at.next in tables.UNCLEAR_HYPHEN) or triple in tables.UNCLEAR_TRIPLES:
        return "unclear"
    if at.next in tables.UNCLEAR_NEXT:
        return "unclear"
    if side == "left" and _remains(at) and at.next not in tables.PARTS:
        return "unclear" if at.next == "of" else _stays(side, at)
    if _may_be_a_verb(at) or _may_be_a_claim(at):
        return "unclear"
    if at.next == "of" or at.next in tables.PARTS:
        return "swap"
    if at.prev in tables.FIXED_PREV[side]:
        return _stays(side, at)
    return _by_previous(side, at) or _by_start(side, at)


def _remains(at: _Context) -> bool:
    return at.prev in tables.REMAINS or (at.prev in {"is", "was"} and at.prev2 in tables.REMAINS)


def _may_be_a_verb(at: _Context) -> bool:
    """Return whether left in this place, before a part or `of`, may mean that something stays behind."""
    if at.next == "of":
        return at.prev in tables.REST
    if at.next not in tables.PARTS:
        return False
    if at.prev in tables.SUBJECTS:
        return True
    anchors = tables.DETERMINERS | tables.PLACE_PREPOSITIONS
    if (at.first and not at.prev) or at.prev in anchors or _is_possessive(at.prev):
        return False
    if at.next in tables.AMOUNTS and (at.next2 in tables.AFTER_AMOUNT or at.prev in tables.VERB_PREV["left"]):
        return True
    if at.next2 in tables.TRACES:
        return True
    loose = at.next in tables.PLURALS or at.next2 in tables.STATES
    return bool(loose and at.prev and at.prev not in tables.JOINERS)


def _may_be_a_claim(at: _Context) -> bool:
    """Return whether right in this place may be a right to or of something."""
    if at.prev not in tables.ARTICLES or at.next not in {"to", "of"} or at.next2 == tables.SIDE:
        return False
    if at.next == "of" and not at.prev2:
        return at.prev in {"a", "an"}
    return at.prev in {"a", "an"} or at.prev2 not in tables.BEFORE_SIDE


def _is_possessive(word: str) -> bool:
    return word.endswith(("'s", "s'")) and word not in tables.CONTRACTIONS


def _stays(side: str, at: _Context) -> Verdict:
    """Return the verdict on a word that stays where no noun follows."""
    if at.prev in tables.PRONOUNS and at.prev2 in tables.PLACE_PREPOSITIONS:
        return "unclear"
    if not at.next:
        return "keep" if not at.mark or at.mark in _STOPS else "unclear"
    follows = at.next in tables.ADVERB_NEXT[side] or at.next in tables.AFTER_FIXED
    return "keep" if follows and at.next2 != tables.SIDE else "unclear"


def _by_previous(side: str, at: _Context) -> Verdict | None:
    adverb = at.next in tables.ADVERB_NEXT[side]
    if at.prev in tables.DETERMINERS:
        return "unclear" if _is_contested(at) else "swap"
    if at.prev in tables.PLACE_PREPOSITIONS or _is_possessive(at.prev):
        return "unclear" if adverb else "swap"
    if adverb or (side == "right" and (at.next, at.next2) in tables.ADVERB_PAIRS):
        return "keep"
    if at.prev in tables.VERB_PREV[side]:
        return _stays(side, at)
    return None


def _is_contested(at: _Context) -> bool:
    """Return whether a left or right after a determiner may be a verb, or mean proper."""
    if at.prev in tables.ARTICLES and at.next:
        proper = at.next in tables.PROPER_NEXT or at.next2 == "for" or at.prev2 in tables.CHOOSING
        if proper:
            return True
    if at.prev2 in tables.PLACE_PREPOSITIONS:
        return False
    return at.next in tables.CONTESTED_NEXT or (
        at.prev in tables.CONTESTED_PREV and at.next in tables.ADVERB_NEXT["left"]
    )


def _by_start(side: str, at: _Context) -> Verdict:
    if at.prev and at.prev not in tables.JOINERS:
        return "unclear"
    if at.prev in tables.VERB_JOINERS and at.prev2 != tables.SIDE:
        return "unclear"
    if not at.prev and side == "right" and at.mark == "?":
        return "keep"
    if at.first and at.mark == ",":
        return "unclear"
    ranged = at.next == "to" and at.next2 == tables.SIDE
    return "unclear" if at.next in tables.UNCLEAR_START and not ranged else "swap"
