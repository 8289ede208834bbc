"""PaliGemma's form for detection: `<locYYYY><locXXXX><locYYYY><locXXXX> phrase ; ...`, y before x, 0000 to 1023.

One item for each box, phrases repeated: `<loc0234><loc0043><loc0736><loc0289> david bowie ; <loc0230>...`. Numbers
are `round(share * 1023)`, ties to the even one, as google-research/big_vision writes its training data
(pp/proj/paligemma/segmentation.py) and reads answers back, n / 1023 (evaluators/proj/paligemma/transfers). The demo
of the authors draws at n / 1024 (huggingface.co/spaces/big-vision/paligemma). big_vision rounds in 32-bit floats,
this codec in 64: a share half-way between two numbers may differ by one.

The form holds phrases and boxes. The rest of the text is dropped by design, and so are spans: phrases come back
outside the text, which is empty. Neighbouring items of one phrase come back as one region. A phrase cannot hold
`;`, `<` or `>`. Segmentation tokens (`<seg000>`) are not read.
"""

import re

from curate.errors import SampleError
from curate.grounding import bins
from curate.sample import Box, Grounded, Region

FRAME = "original"
"""Coordinates are shares of the picture itself."""

HOLDS = frozenset({"phrases"})
"""What comes back besides the boxes."""

_LAST = 1023

TOLERANCE = 0.5 / _LAST + 1e-9
"""Largest error of a coordinate of a box inside the picture: half a step of the rounding."""

_ERROR = "bad_paligemma"
_LOC = tuple(f"<loc{n:04d}>" for n in range(_LAST + 1))
_RESERVED = re.compile("[;<>]")
_ITEM = re.compile(r"\s*+((?:<loc[0-9]{4}>){4})([^;<>]*+)(;|\Z)")
_NUMBER = re.compile(r"[0-9]++")
_SPACE = re.compile(r"\s*+")


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return one item for each box, in the regions' order; the picture's size in pixels does not matter.

    Regions of one span share one phrase. Boxes are cut to the picture. Raises SampleError: `reserved_tag` when a
    phrase holds a character of the form, `bad_box` for a coordinate that is not finite or for inverted corners,
    `bad_size`.
    """
    bins.check_size(width, height)
    items = []
    for phrase, indices in bins.by_phrase(grounded):
        mark = _RESERVED.search(phrase)
        if mark:
            raise SampleError("reserved_tag", f"a phrase holds {mark[0]!r} at its character {mark.start()}")
        words = f" {phrase}" if phrase else ""
        items += [_written(box) + words for index in indices for box in grounded.regions[index].boxes]
    return " ; ".join(items)


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions left out: those without a box."""
    return tuple(index for index, region in enumerate(grounded.regions) if not region.boxes)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the regions of a detection; the clean text is empty.

    Raises SampleError `bad_paligemma`, with the position in characters: an item that does not begin with four
    `<loc0000>` to `<loc1023>`, inverted corners, a tag in a phrase, words without a box.
    """
    bins.check_size(width, height)
    found: list[tuple[str, list[Box]]] = []
    cursor, end = 0, len(text)
    while (start := _after_space(text, cursor)) < end:
        item = _ITEM.match(text, start)
        if item is None:
            raise bins.bad(_ERROR, start, f"not four <loc0000> and a phrase: {bins.excerpt(text, start, end)}")
        y1, x1, y2, x2 = map(int, _NUMBER.findall(item[1]))
        bins.checked(_ERROR, (x1, y1, x2, y2), _LAST, start)
        words = (item[2].removesuffix(" ") if item[3] else item[2]).removeprefix(" ")
        if not found or found[-1][0] != words:
            found.append((words, []))
        found[-1][1].append((x1 / _LAST, y1 / _LAST, x2 / _LAST, y2 / _LAST))
        cursor = item.end()
    return Grounded("", tuple(Region(words, tuple(boxes)) for words, boxes in found))


def _after_space(text: str, cursor: int) -> int:
    space = _SPACE.match(text, cursor)
    return space.end() if space else cursor


def _written(box: Box) -> str:
    x1, y1, x2, y2 = bins.shares(box)
    return _LOC[round(y1 * _LAST)] + _LOC[round(x1 * _LAST)] + _LOC[round(y2 * _LAST)] + _LOC[round(x2 * _LAST)]
