"""LLaVA-1.5's form: bare boxes of two decimals, shares of the square-padded frame.

`Please provide a short description for this region: [0.43, 0.19, 0.57, 0.42].` and the answer
`[0.28, 0.34, 0.4, 0.71]`: Python floats, so trailing zeros are dropped. That the frame is the centred square pad
is told in haotian-liu/LLaVA#606; more records are quoted in WisconsinAIVision/ViP-LLaVA#23.

Not published, and so ours: that a coordinate is `round(x, 2)`; that several boxes are joined by `, `; that the box
of a phrase stands behind it, a blank between. No code that made LLaVA-1.5's boxes was released.

A phrase is not marked: what comes back is the text and the places where boxes stood.
"""

import re

from curate.grounding.decimals import HALF, OPEN, Bare, checked_size, find, put, several, writer
from curate.grounding.spans import unwritten
from curate.sample import Grounded

FRAME = "square_pad"
"""Coordinates are shares of the picture's centred square pad."""

HOLDS = frozenset({"text"})
"""What comes back besides the boxes."""

TOLERANCE = 0.005 + 1e-6
"""Largest error of a coordinate, as a share of the pad's side: half of the second decimal, and what is taken for a
whole pixel (`decimals.to_pad`)."""

SIGNS = "["
"""A text without any of these is the same in this form and without it."""

_JOINT = ", "
_FORM = Bare(
    "bad_llava", re.compile(rf"{OPEN}(?:(?P<boxes>{several(_JOINT)})|{HALF})"), spaced=True, joint=_JOINT, unit=0.01
)


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with each region's boxes behind its span, for a picture of width x height pixels.

    Regions that end at one place share a mark; where spans overlap the longest is written and `uncoded` lists the
    rest. Boxes are cut to the picture. A blank stands before a mark, but not at the beginning of the text or of a
    line. Raises SampleError: `bad_box` for a coordinate that is not finite or corners the wrong way round,
    `reserved_tag` for a text that holds a box, `bad_size`.
    """
    checked_size(width, height)
    return put(grounded, _FORM, writer("[%s, %s, %s, %s]", 2, short=True, padded=(width, height)))


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions left out: no box, no span of the text, or one that overlaps a longer one."""
    return unwritten(grounded)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the text without its boxes, and a region without phrase at the place of each.

    The blank before a box goes with it. A box is read with any number of decimals; what is written is the middle
    of what its rounding hides, so nothing drifts. What lies a hundredth in the padding becomes the picture's edge.
    Linear in the text's length.

    Raises SampleError `bad_llava` with the position in characters: half a box, one that is not four numbers of 0
    to 1, corners the wrong way round, a box that lies farther in the padding; `bad_size`.
    """
    checked_size(width, height)
    return find(text, _FORM, (width, height))
