"""Text of strangers made inert: cut, sliced by code point, and every invisible sign written out."""

import difflib
import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CUT = 240
"""Characters of a caption that are shown; the rest becomes an ellipsis."""

_JOINERS = "\u200c\u200d"  # emoji and many scripts are wrong without them
_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text, or (`code`) the written form of one sign that cannot be seen."""

    text: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a caption over which the same phrases stand; `marks` holds them, outermost first."""

    pieces: tuple[Piece, ...]
    marks: tuple["Mark", ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """One phrase over a segment: its place in the caption, its colour, whether the phrase begins here."""

    region: int
    colour: int
    boxed: bool
    first: bool
    depth: int


@dataclass(frozen=True, slots=True)
class Span:
    """Where a phrase stands in a text: code points, end exclusive; `boxed` says whether it has boxes."""

    region: int
    colour: int
    start: int
    end: int
    boxed: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A stretch of a changed text: `kind` is `same`, `gone` or `new`."""

    kind: str
    pieces: tuple[Piece, ...]


def hidden(sign: str) -> bool:
    """Whether a sign is a control, steers the direction of text, or shows nothing at all."""
    return sign not in _JOINERS and unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def pieces(text: str) -> tuple[Piece, ...]:
    """Split a text where signs cannot be seen; those are written as U+XXXX, line breaks and tabs as a blank."""
    out: list[Piece] = []
    plain: list[str] = []
    for sign in text:
        if sign in "\n\r\t":
            plain.append(" ")
        elif hidden(sign):
            if plain:
                out.append(Piece("".join(plain)))
                plain = []
            out.append(Piece(f"U+{ord(sign):04X}", code=True))
        else:
            plain.append(sign)
    return (*out, Piece("".join(plain))) if plain else tuple(out)


def inert(text: object, cut: int = CUT) -> str:
    """Return one line that cannot steer what stands around it, for attributes, names and reasons."""
    shown = shorten(str(text), cut)
    return "".join(f"[{piece.text}]" if piece.code else piece.text for piece in pieces(shown))


def shorten(text: str, cut: int = CUT) -> str:
    """Return the text, or its first `cut` code points and an ellipsis."""
    return text if len(text) <= cut else f"{text[:cut].rstrip()}…"


def segments(text: str, spans: Iterable[Span]) -> tuple[Segment, ...]:
    """Slice a text where phrases begin and end; spans may nest and overlap, what lies beyond the cut is dropped."""
    shown = shorten(text)
    inside = [span for span in spans if 0 <= span.start < min(span.end, CUT, len(text))]
    edges = sorted({0, len(shown), *(min(edge, len(shown)) for s in inside for edge in (s.start, s.end))})
    out = []
    for start, end in itertools.pairwise(edges):
        over = sorted((s for s in inside if s.start < end and s.end > start), key=lambda s: (s.start, -s.end))
        marks = tuple(
            Mark(span.region, span.colour, span.boxed, span.start == start, depth) for depth, span in enumerate(over)
        )
        out.append(Segment(pieces(shown[start:end]), marks))
    return tuple(out)


def changes(before: str, after: str) -> tuple[Change, ...]:
    """Return what became of a text, word by word; nothing where it stayed the same."""
    if before == after:
        return ()
    old, new = _TOKEN.findall(shorten(before)), _TOKEN.findall(shorten(after))
    out: list[Change] = []
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            out.append(_change("same", old[a0:a1]))
            continue
        out += [_change("gone", old[a0:a1])] if a1 > a0 else []
        out += [_change("new", new[b0:b1])] if b1 > b0 else []
    return tuple(out)


def _change(kind: str, tokens: Sequence[str]) -> Change:
    return Change(kind, pieces("".join(tokens)))
