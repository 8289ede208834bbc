"""All-Seeing v2's relation-conversation form: tags in the text, integers 0 to 999 of the square-padded frame.

`<ref>phrase</ref><box>[[x1, y1, x2, y2], ...]</box>` names boxes;
`<pred>words</pred><box>subjects</box><box>objects</box>` relates boxes that were named (Wang et al., "The
All-Seeing Project V2"). Every truncation reproduces the padded and un-padded pair published in
scripts_asmv2/visualize_rec.py. The tags are plain text for the tokenizer.

What the form cannot hold: a region's score and tags, a phrase that is not the text of its span, and whatever
`uncoded` and `uncoded_relations` list. A box without phrase stands by itself before the first phrase; later it
would belong to the last one.
"""

from curate.grounding import asv2_read, asv2_write
from curate.grounding.asv2_ints import padded_axes
from curate.sample import Grounded

FRAME = "square_pad"
"""Coordinates are shares of the picture's centred square pad."""

HOLDS = frozenset({"text", "spans", "relations"})
"""What comes back besides the boxes."""

TOLERANCE = 1.0 / 999 + 1e-6
"""Largest error of a coordinate of a box inside the picture after encode and decode, as a share of the pad's
side: two truncations of up to a unit each, and decode answers with the middle of what they hide."""

SIGNS = "<"
"""A text without any of these is the same in this form and without it."""

uncoded, uncoded_relations = asv2_write.uncoded, asv2_write.uncoded_relations


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text with its phrases and predicates tagged, for a picture of width x height pixels.

    Errors and what is left out: `asv2_write.write`; `bad_size` for a picture without pixels.
    """
    return asv2_write.write(grounded, padded_axes(width, height), width, height)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the clean text, its regions and relations, from a text written for a width x height picture.

    `encode` writes the same integers again. Errors and what is read how: `asv2_read.read`; `bad_size`.
    """
    return asv2_read.read(text, padded_axes(width, height))
