"""Pink's form: bare boxes of three decimals, shares of the picture as it is.

`[0.123,0.456,0.789,0.900]`, no blanks inside; several boxes joined by a blank; a blank before the first. The
picture is not padded: training asserts that `expand2square` is off (SY-Xuan/Pink pink/train/train.py, box text in
pink/datasets/BaseDataset.py, joints in VisualGenome.py and FlickrEntity.py).

In a question Pink may wrap a box as `<loc>[...]</loc>`. `decode` takes the wrapper off; `encode` writes answers,
whose boxes are bare. The other marks of its questions (`<des>`, `<cls>`, `<rel>`, `<qes>`, `<opt>`) hold no boxes
and stay words. Pink's task builders sort boxes by area; a codec keeps the order that it is given.

A phrase is not marked: what comes back is the text and the places where boxes stood.
"""

import re

from curate.grounding.decimals import HALF, OPEN, Bare, checked_size, find, put, several, writer
from curate.grounding.spans import unwritten
from curate.sample import Grounded

FRAME = "original"
"""Coordinates are shares of the picture's width and height."""

HOLDS = frozenset({"text"})
"""What comes back besides the boxes."""

TOLERANCE = 0.0005 + 1e-9
"""Largest error of a coordinate: half of the third decimal, and the last bit of a float."""

SIGNS = "<["
"""A text without any of these is the same in this form and without it."""

_JOINT = " "
# Boxes, in a wrapper or not, or what is half of either; a tag's name cut off by the end of the text is half a tag.
_MARK = (
    rf"{OPEN}(?:(?P<boxes>{several(_JOINT)})|{HALF})|<loc>\s*+\[(?P<wrapped>{several(_JOINT)})\s*+</loc>"
    r"|</?+loc(?![0-9A-Za-z_])>?+|<(?:/|/?+(?:l|lo))\Z"
)
_FORM = Bare("bad_pink", re.compile(_MARK), spaced=True, joint=_JOINT, names=("loc",))


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with each region's boxes behind its span, for a picture of width x height pixels.

    Regions that end at one place share a mark; where spans overlap the longest is written and `uncoded` lists the
    rest. Boxes are cut to the picture. A blank stands before a mark, but not at the beginning of the text or of a
    line. Raises SampleError: `bad_box` for a coordinate that is not finite or corners the wrong way round,
    `reserved_tag` for a text that holds a box or a `<loc>`, `bad_size`.
    """
    checked_size(width, height)
    return put(grounded, _FORM, writer("[%s,%s,%s,%s]", 3, short=False))


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions left out: no box, no span of the text, or one that overlaps a longer one."""
    return unwritten(grounded)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the text without its boxes, and a region without phrase at the place of each.

    The blank before a box goes with it, and so does `<loc>` around it. A box is read with any number of decimals
    and with blanks inside. Linear in the text's length.

    Raises SampleError `bad_pink` with the position in characters: half a box or tag, a box that is not four numbers
    of 0 to 1, corners the wrong way round; `bad_size`.
    """
    checked_size(width, height)
    return find(text, _FORM)
