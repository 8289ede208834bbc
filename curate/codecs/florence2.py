"""Florence-2's form: `phrase<loc_x1><loc_y1><loc_x2><loc_y2>...`, 1000 bins of each side, nothing in between.

`car<loc_53><loc_334><loc_933><loc_775>door handle<loc_425><loc_504><loc_474><loc_516>`: several boxes of a phrase
follow each other. Numbers are `floor(x / (width / 1000))`, at most 999, and are read as the middle of their bin
(Xiao et al., "Florence-2"; Hugging Face's Florence2PostProcessor, which computes in 32-bit floats and cuts to whole
pixels at last: this codec does neither, so an edge between two bins may fall into the other one).

The form holds phrases and boxes. The rest of the text is dropped by design, and so are spans: phrases come back
outside the text, which is empty. Boxes without a phrase are a form of their own (region proposals): they are written
where no region has a phrase, as one list. A phrase cannot hold `<`; the released parser also drops what is not
ASCII. `<s>`, `</s>` and `<pad>` are skipped.
"""

import re

from curate.errors import SampleError
from curate.grounding import bins
from curate.sample import Box, Grounded, Region

FRAME = "original"
"""Coordinates are shares of the picture itself."""

HOLDS = frozenset({"phrases"})
"""What comes back besides the boxes."""

_BINS = 1000

TOLERANCE = 0.5 / _BINS + 1e-6
"""Largest error of a coordinate of a box inside the picture: half a bin, and what snapping to a whole pixel may
move."""

_ERROR = "bad_florence2"
_LOC = (*(f"<loc_{n}>" for n in range(_BINS)), "<loc_999>")  # the far edge lies in the last bin
_SHARES = tuple(map(bins.middle, range(_BINS)))
_PIECE = re.compile(r"([^<]++)|((?:<loc_[0-9]{1,3}>)++)|</?s>|<pad>")
_BOX = re.compile("<loc_([0-9]++)>" * 4)


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return each phrase with its boxes, in the regions' order, for a picture of width x height pixels.

    Regions of one span share one phrase. Boxes are cut to the picture. Raises SampleError: `reserved_tag` when a
    phrase holds `<`, `bad_box` for a coordinate that is not finite or for inverted corners, `bad_size`.
    """
    bins.check_size(width, height)
    phrases = bins.by_phrase(grounded)
    named = any(phrase for phrase, _ in phrases)
    x_step, y_step = width / _BINS, height / _BINS
    pieces = []
    for phrase, indices in phrases:
        mark = phrase.find("<")
        if mark >= 0:
            raise SampleError("reserved_tag", f"a phrase holds '<' at its character {mark}")
        boxes = [bins.pixels(box, width, height) for index in indices for box in grounded.regions[index].boxes]
        if phrase or not named:
            pieces.append(phrase)
            pieces += [_written(box, x_step, y_step) for box in boxes]
    return "".join(pieces)


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions left out: without a box, or without a phrase where another one has one."""
    named = any(region.phrase and region.boxes for region in grounded.regions)
    return tuple(i for i, r in enumerate(grounded.regions) if not r.boxes or (named and not r.phrase))


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the regions of a grounding, a detection or a region proposal; the clean text is empty.

    Raises SampleError `bad_florence2`, with the position in characters: numbers that are not four to a box of 0 to
    999, inverted corners, any other tag, words without a box, boxes without words before others that have them.
    """
    bins.check_size(width, height)
    found: list[tuple[str, list[Box]]] = []
    parts: list[str] = []
    cursor = begin = 0
    while cursor < len(text):
        piece = _piece(text, cursor)
        if piece[1] is not None:
            begin = begin if parts else cursor
            parts.append(piece[1])
        elif piece[2] is not None:
            if piece.end() < len(text):
                _piece(text, piece.end())  # a broken tag behind them is what makes too few numbers
            words, parts = "".join(parts), []
            if words and found and not found[0][0]:
                raise bins.bad(_ERROR, begin, "words behind boxes that have none")
            if words or not found:
                found.append((words, []))
            found[-1][1].extend(_boxes(piece[2], cursor))
        cursor = piece.end()
    if parts:
        raise bins.bad(_ERROR, begin, f"words without a box: {bins.excerpt(text, begin, len(text))}")
    return Grounded("", tuple(Region(phrase, tuple(boxes)) for phrase, boxes in found))


def _piece(text: str, cursor: int) -> re.Match[str]:
    piece = _PIECE.match(text, cursor)
    if piece is None:
        raise bins.bad(_ERROR, cursor, f"not <loc_0> to <loc_999>: {bins.excerpt(text, cursor, len(text))}")
    return piece


def _written(px: Box, x_step: float, y_step: float) -> str:
    x1, y1, x2, y2 = px
    return _LOC[int(x1 / x_step)] + _LOC[int(y1 / y_step)] + _LOC[int(x2 / x_step)] + _LOC[int(y2 / y_step)]


def _boxes(run: str, position: int) -> list[Box]:
    """Return the boxes of tokens that follow each other, the first at `position`."""
    count = run.count("<")
    if count % 4:
        raise bins.bad(_ERROR, position, f"{count} numbers, which are not four to a box")
    found = []
    for box in _BOX.finditer(run):
        a, b, c, d = map(int, box.groups())
        bins.checked(_ERROR, (a, b, c, d), _BINS - 1, position + box.start())
        found.append((_SHARES[a], _SHARES[b], _SHARES[c], _SHARES[d]))
    return found
