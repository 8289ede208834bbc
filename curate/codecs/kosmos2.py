"""Kosmos-2's form: `<phrase> words</phrase><object><patch_index_0044><patch_index_0863></object>`, a 32 x 32 grid.

Cells count from 0, row by row; a box is the cell of its upper left and of its lower right corner (Peng et al.,
"Kosmos-2"). Boxes of one phrase stand between `</delimiter_of_multi_objects/>`. Rounding and reading back follow
Hugging Face's Kosmos2Processor (src/transformers/models/kosmos2/processing_kosmos2.py): floor for the upper left,
ceil - 1 for the lower right; a box in one row or one column of cells comes back as whole cells, any other as the
centres of its two cells. microsoft/unilm's own loader (kosmos-2/unilm/data/vl/obj_utils.py) takes the floor of both
corners, which differs where an edge lies on the grid, and would grow by a cell in each round; it also cuts the
picture to its central square first: give this codec the picture that the model sees.

As there, the space before a phrase stands inside its tag, and a phrase that begins the text is written with one.
No space is put behind tags, because that would change the text. `<grounding>`, the prompt's mark, is dropped where
a text begins with it, and not written. Boxes that no phrase names stand in the text by themselves. What the form
cannot hold: relations, a region's score and tags, a phrase that is not the text of its span, and whatever `uncoded`
lists.
"""

import re
from math import ceil

from curate.grounding import bins
from curate.sample import Box, Grounded

FRAME = "original"
"""Coordinates are shares of the picture itself."""

HOLDS = frozenset({"text", "spans"})
"""What comes back besides the boxes."""

_SIDE = 32

TOLERANCE = 1.0 / _SIDE
"""Largest error of a coordinate of a box inside the picture: one cell, where a box in one row or column comes back
as whole cells. Half a cell where it comes back as centres."""

SIGNS = "<"
"""A text without any of these is the same in this form and without it."""

_ERROR = "bad_kosmos2"
_BETWEEN = "</delimiter_of_multi_objects/>"
_GROUNDING = "<grounding>"
_TAGS = bins.tags(
    _ERROR,
    ("<phrase>", "</phrase>"),
    ("<object>", "</object>"),
    ("<object>", _BETWEEN, "</object>"),
    listed=True,
    spaced=True,
    other=(_BETWEEN, _GROUNDING, "<patch_index_"),
)
_CELL = tuple(f"<patch_index_{n:04d}>" for n in range(_SIDE * _SIDE))
_PAIR = r"<patch_index_[0-9]{1,4}+>\s*+<patch_index_[0-9]{1,4}+>"
_PAIRS = re.compile(rf"\s*+{_PAIR}(?:\s*+{re.escape(_BETWEEN)}\s*+{_PAIR})*+\s*+")
_ONE = re.compile(r"<patch_index_([0-9]++)>\s*+<patch_index_([0-9]++)>")


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with its phrases and boxes tagged; the picture's size in pixels does not matter.

    Regions of one span share one `<phrase>`. Where spans overlap the longest is written. Boxes are cut to the
    picture. Raises SampleError: `reserved_tag` when the text already holds a tag of this form, `bad_box` for a
    coordinate that is not finite or for inverted corners, `bad_size`.
    """
    bins.check_size(width, height)
    return bins.write(_TAGS, grounded, _written, width, height)


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions left out: no box, no span, an overlapping span, a bare box inside a phrase.

    A span that begins with a space is left out too, unless another space stands before it, or the text begins there:
    the first space inside the tag is not the phrase's.
    """
    return bins.left_out(_TAGS, grounded)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the clean text and its regions.

    Boxes right behind a phrase are the phrase's. Raises SampleError `bad_kosmos2`, with the position in characters:
    half a tag, tags that do not pair up, boxes that are not pairs of cells 0 to 1023, inverted corners.
    """
    bins.check_size(width, height)
    begin = len(_GROUNDING) if text.startswith(_GROUNDING) else 0
    return bins.read(_TAGS, text, _boxes, begin + (begin > 0 and text[begin : begin + 1] == " "))


def _written(box: Box, width: int, height: int) -> str:
    x1, y1, x2, y2 = bins.shares(box)
    # The far edge has no cell of its own, nor has a corner that a floor and a ceiling would put out of order.
    left, top = min(int(x1 * _SIDE), _SIDE - 1), min(int(y1 * _SIDE), _SIDE - 1)
    right, bottom = max(ceil(x2 * _SIDE - 1), left), max(ceil(y2 * _SIDE - 1), top)
    return _CELL[top * _SIDE + left] + _CELL[bottom * _SIDE + right]


def _boxes(text: str, start: int, end: int) -> list[Box]:
    if not _PAIRS.fullmatch(text, start, end):
        raise bins.bad(_ERROR, start, f"not pairs of cells: {bins.excerpt(text, start, end)}")
    return [_box(int(pair[1]), int(pair[2]), pair.start()) for pair in _ONE.finditer(text, start, end)]


def _box(upper: int, lower: int, position: int) -> Box:
    if upper >= _SIDE * _SIDE or lower >= _SIDE * _SIDE:
        raise bins.bad(_ERROR, position, f"cells {upper}, {lower} beyond {_SIDE * _SIDE - 1}")
    (top, left), (bottom, right) = divmod(upper, _SIDE), divmod(lower, _SIDE)
    bins.checked(_ERROR, (left, top, right, bottom), _SIDE - 1, position)
    near, far = (0.0, 1.0) if left == right or top == bottom else (0.5, 0.5)
    return (left + near) / _SIDE, (top + near) / _SIDE, (right + far) / _SIDE, (bottom + far) / _SIDE
