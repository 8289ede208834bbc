"""Qwen-VL's form: `<ref>phrase</ref><box>(x1,y1),(x2,y2)</box>`, integers of [0, 1000) of the whole picture.

QwenLM/Qwen-VL README ("normalized values in the range [0, 1000)"); Bai et al., "Qwen-VL". Each box has tags of its
own: `<ref> Two apples</ref><box>(302,257),(582,671)</box><box>(603,252),(878,642)</box>` (TUTORIAL.md). The tags are
tokens of the tokenizer. How the training data were rounded is not published: the maintainers say coordinate / side *
1000 (QwenLM/Qwen-VL#170) and the tokenizer draws at n / 1000, their evaluation divides by 999 (evaluate_grounding.py).
Here a number is truncated, `int(x / width * 1000)`, and at most 999, which is what [0, 1000) allows; 1000 is read as
999.

Later models: Qwen2-VL renames the tags and keeps the rest (codec `qwen2_vl`). Qwen2.5-VL writes absolute pixels of
the picture after the model's own resize, mostly as JSON with `bbox_2d`; Qwen3-VL writes 0 to 1000 in that JSON.
Neither is this form.

A phrase is written as it stands; the model itself mostly puts the space before a phrase inside the tag. Boxes that
no phrase names stand in the text by themselves. What the form cannot hold: relations, a region's score and tags, a
phrase that is not the text of its span, and whatever `uncoded` lists; `<quad>` is no tag of this codec.
"""

from functools import partial

from curate.grounding import bins
from curate.sample import Grounded

FRAME = "original"
"""Coordinates are shares of the picture itself."""

HOLDS = frozenset({"text", "spans"})
"""What comes back besides the boxes."""

TOLERANCE = 0.5 / 1000 + 1e-6
"""Largest error of a coordinate of a box inside the picture: decode answers with the middle of what one truncation
to 1/1000 hides. The last term is what snapping to a whole pixel may move."""

SIGNS = "<"
"""A text without any of these is the same in this form and without it."""

_ERROR = "bad_qwen_vl"
_TAGS = bins.tags(_ERROR, ("<ref>", "</ref>"), ("<box>", "</box>"), ("<box>", "</box><box>", "</box>"), listed=False)


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with its phrases and boxes tagged, for a picture of width x height pixels.

    Regions of one span share one `<ref>`. Where spans overlap the longest is written. Boxes are cut to the picture.
    Raises SampleError: `reserved_tag` when the text already holds a tag of this form, `bad_box` for a coordinate
    that is not finite or for inverted corners, `bad_size`.
    """
    bins.check_size(width, height)
    return bins.write(_TAGS, grounded, bins.write_points, width, height)


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions left out: no box, no span, an overlapping span.

    A box without a phrase is left out where it stands inside a phrase or right behind it: it would be the phrase's.
    """
    return bins.left_out(_TAGS, grounded)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the clean text and its regions, from a text written for a width x height picture.

    Boxes right behind a phrase are the phrase's. Raises SampleError `bad_qwen_vl`, with the position in characters:
    half a tag, tags that do not pair up, a box that is not two points of integers 0 to 1000, inverted corners.
    """
    bins.check_size(width, height)
    return bins.read(_TAGS, text, partial(bins.read_points, error=_ERROR))
