"""InternVL's form: `<ref>phrase</ref><box>[[x1, y1, x2, y2], ...]</box>`, integers 0 to 1000 of the whole picture.

Unlike All-Seeing v2's, which looks the same, the picture is not padded and the unit is 1/1000. Numbers are
truncated, `int(x / width * 1000)`, as the maintainers wrote of their training data (OpenGVLab/InternVL#285).
Their documentation rounds instead (internvl.readthedocs.io, "Chat Data Format"), and so do its examples: the
published `[[243, 469, 558, 746]]` truncates to 243, 468, 557, 745. Both lie within a unit of each other.

Several boxes of a phrase stand in one list (OpenGVLab/InternVL#1063). The tags are tokens of InternVL's tokenizers.
Boxes that no phrase names stand in the text by themselves. What the form cannot hold: relations, a region's score and
tags, a phrase that is not the text of its span, and whatever `uncoded` lists; `<quad>` is no tag of this codec.
"""

import re

from curate.grounding import bins
from curate.sample import Box, Grounded

FRAME = "original"
"""Coordinates are shares of the picture itself."""

HOLDS = frozenset({"text", "spans"})
"""What comes back besides the boxes."""

TOLERANCE = 0.5 / 1000 + 1e-6
"""Largest error of a coordinate of a box inside the picture: decode answers with the middle of what one truncation
to 1/1000 hides. The last term is what snapping to a whole pixel may move."""

SIGNS = "<"
"""A text without any of these is the same in this form and without it."""

_ERROR = "bad_internvl"
_TAGS = bins.tags(_ERROR, ("<ref>", "</ref>"), ("<box>", "</box>"), ("<box>[", ", ", "]</box>"), listed=True)

# Possessive repeats: a malformed list of ten million characters fails in one pass.
_BOX = r"\[\s*+[0-9]{1,4}+\s*+(?:,\s*+[0-9]{1,4}+\s*+){3}\]\s*+"
_LIST = re.compile(rf"\s*+\[\s*+{_BOX}(?:,\s*+{_BOX})*+\]\s*+")
_ONE = re.compile(r"\[[^\[\]]++\]")
_NUMBER = re.compile(r"[0-9]++")
_NUMBERS = tuple(map(str, range(1001)))
_SHARES = (*map(bins.middle, range(1000)), 1.0)  # only the far edge itself becomes 1000


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with its phrases and boxes tagged, for a picture of width x height pixels.

    Regions of one span share one `<ref>`. Where spans overlap the longest is written. Boxes are cut to the picture.
    Raises SampleError: `reserved_tag` when the text already holds a tag of this form, `bad_box` for a coordinate
    that is not finite or for inverted corners, `bad_size`.
    """
    bins.check_size(width, height)
    return bins.write(_TAGS, grounded, _written, width, height)


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions left out: no box, no span, an overlapping span, a bare box inside a phrase."""
    return bins.left_out(_TAGS, grounded)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the clean text and its regions, from a text written for a width x height picture.

    A list right behind a phrase is the phrase's. Raises SampleError `bad_internvl`, with the position in characters:
    half a tag, tags that do not pair up, a box that is not four integers of 0 to 1000, inverted corners.
    """
    bins.check_size(width, height)
    return bins.read(_TAGS, text, _boxes)


def _written(box: Box, width: int, height: int) -> str:
    x1, y1, x2, y2 = bins.pixels(box, width, height)
    a, b = _NUMBERS[int(x1 / width * 1000)], _NUMBERS[int(y1 / height * 1000)]
    return f"[{a}, {b}, {_NUMBERS[int(x2 / width * 1000)]}, {_NUMBERS[int(y2 / height * 1000)]}]"


def _boxes(text: str, start: int, end: int) -> list[Box]:
    if not _LIST.fullmatch(text, start, end):
        raise bins.bad(_ERROR, start, f"not boxes of four integers: {bins.excerpt(text, start, end)}")
    found = []
    for box in _ONE.finditer(text, start, end):
        a, b, c, d = map(int, _NUMBER.findall(box[0]))
        bins.checked(_ERROR, (a, b, c, d), 1000, box.start())
        found.append((_SHARES[a], _SHARES[b], _SHARES[c], _SHARES[d]))
    return found
