"""Shikra's form: bare boxes of three decimals behind their words, shares of the square-padded frame.

`a man[0.220,0.216,0.568,0.830] and two dogs[0.1,...;0.5,...]`: several boxes share one bracket, semicolons between;
no blank before it (shikras/shikra mllm/dataset/process_function/box_process_function.py, `PlainBoxFormatter`;
single_image_dataset/flickr.py puts the box where the phrase ends). The picture is padded to a centred square and
its boxes with it (config/_base_/model/shikra.py, `Expand2square`); coordinates are pixels of the pad over its side,
cut to 0 and 1 and rounded to three decimals (mllm/dataset/utils/transform.py).

A phrase is not marked: what comes back is the text and the places where boxes stood. Shikra's points, two numbers
in a bracket, are not boxes and are refused.
"""

import re

from curate.grounding.decimals import HALF, OPEN, SEMICOLONS, Bare, checked_size, find, put, writer
from curate.grounding.spans import unwritten
from curate.sample import Grounded

FRAME = "square_pad"
"""Coordinates are shares of the picture's centred square pad."""

HOLDS = frozenset({"text"})
"""What comes back besides the boxes."""

TOLERANCE = 0.0005 + 1e-6
"""Largest error of a coordinate, as a share of the pad's side: half of the third decimal, and what is taken for a
whole pixel (`decimals.to_pad`)."""

SIGNS = "["
"""A text without any of these is the same in this form and without it."""

_FORM = Bare(
    "bad_shikra",
    re.compile(rf"{OPEN}(?:(?P<boxes>{SEMICOLONS})|{HALF})"),
    spaced=False,
    joint=";",
    around="[%s]",
    unit=0.001,
)


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with each region's boxes behind its span, for a picture of width x height pixels.

    Regions that end at one place share a bracket; where spans overlap the longest is written and `uncoded` lists
    the rest. Boxes are cut to the picture. Raises SampleError: `bad_box` for a coordinate that is not finite or
    corners the wrong way round, `reserved_tag` for a text that holds a box, `bad_size`.
    """
    checked_size(width, height)
    return put(grounded, _FORM, writer("%s,%s,%s,%s", 3, short=False, padded=(width, height)))


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions left out: no box, no span of the text, or one that overlaps a longer one."""
    return unwritten(grounded)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the text without its boxes, and a region without phrase at the place of each.

    Every other character stays, a blank before a box too. A box is read with any number of decimals and with blanks
    inside. What lies a thousandth in the padding becomes the picture's edge. Linear in the text's length.

    Raises SampleError `bad_shikra` with the position in characters: half a box, one that is not four numbers of 0
    to 1, corners the wrong way round, a box that lies farther in the padding; `bad_size`.
    """
    checked_size(width, height)
    return find(text, _FORM, (width, height))
