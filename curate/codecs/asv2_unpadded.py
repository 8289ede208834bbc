"""All-Seeing v2's form for pictures as they are: the integers of the released `_wo_square_pad` files.

The tags are those of the padded form. The integers are 0 to 999 of the picture, and went through the pad: they
are the padded ones, un-padded and truncated once more, which leaves most of them one below the plain 0 to 999
(scripts_asmv2/visualize_rec.py, rec_*_wo_square_pad.json of OpenGVLab/AS-V2). The chain is confirmed on the
published pair; the plain 0 to 999, as the paper prints them, are read as well, within a unit more.
"""

from curate.grounding import asv2_read, asv2_write
from curate.grounding.asv2_ints import LONGEST, unpadded_axes
from curate.sample import Grounded

FRAME = "original"
"""Coordinates are shares of the picture."""

HOLDS = frozenset({"text", "spans", "relations"})
"""What comes back besides the boxes."""

TOLERANCE = (LONGEST + 2) / 2 / 999 + 1e-6
"""Largest error of a coordinate after encode and decode, as a share of the picture's side. On the way through
the pad a unit of it swallows as many units of the short side as the sides' ratio r, and truncations at both
ends up to two more; decode answers with the middle, so (r + 2) / 2 units: 1.7 for 4:3, and 9 for the longest
pictures that take this way (`unpadded_axes`)."""

SIGNS = "<"
"""A text without any of these is the same in this form and without it."""

uncoded, uncoded_relations = asv2_write.uncoded, asv2_write.uncoded_relations


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with its phrases and predicates tagged, for a picture of width x height pixels.

    Errors and what is left out: `asv2_write.write`; `bad_size` for a picture without pixels.
    """
    return asv2_write.write(grounded, unpadded_axes(width, height), width, height)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the clean text, its regions and relations, from a text written for a width x height picture.

    `encode` writes the same integers again where it can write them at all: the chain skips some, and the plain
    0 to 999 of others are read as the border beside. Errors: `asv2_read.read`; `bad_size`.
    """
    return asv2_read.read(text, unpadded_axes(width, height))
