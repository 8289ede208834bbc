"""Qwen2-VL's form: Qwen-VL's with the tags renamed.

`<|object_ref_start|>phrase<|object_ref_end|><|box_start|>(x1,y1),(x2,y2)<|box_end|>`; "apart from the renaming of
these special characters, all other details are consistent with the implementation in Qwen-VL, including the
normalization of coordinates", say the maintainers (QwenLM/Qwen3-VL#105). So integers of [0, 1000) of the whole
picture; see codec `qwen_vl` for their rounding, which is not published, and for what later models write instead.

Boxes that no phrase names stand in the text by themselves. What the form cannot hold: relations, a region's score
and tags, a phrase that is not the text of its span, and whatever `uncoded` lists.
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

_ERROR = "bad_qwen2_vl"
_OPEN, _CLOSE = "<|box_start|>", "<|box_end|>"
_TAGS = bins.tags(
    _ERROR,
    ("<|object_ref_start|>", "<|object_ref_end|>"),
    (_OPEN, _CLOSE),
    (_OPEN, _CLOSE + _OPEN, _CLOSE),
    listed=False,
)


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with its phrases and boxes tagged, for a picture of width x height pixels.

    Regions of one span share one pair of tags. Where spans overlap the longest is written. Boxes are cut to the
    picture. Raises SampleError: `reserved_tag` when the text already holds a tag of this form, `bad_box` for a
    coordinate that is not finite or for inverted corners, `bad_size`.
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

    Boxes right behind a phrase are the phrase's. Raises SampleError `bad_qwen2_vl`, with the position in characters:
    half a tag, tags that do not pair up, a box that is not two points of integers 0 to 1000, inverted corners.
    """
    bins.check_size(width, height)
    return bins.read(_TAGS, text, partial(bins.read_points, error=_ERROR))
