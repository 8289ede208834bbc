import math
import re

import pytest
from bin_forms import SIZES, boxes, comes_back, grounded, reading_grows
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import kosmos2
from curate.errors import SampleError
from curate.sample import Grounded, Region

# The model's answer in Hugging Face's documentation of Kosmos-2, and the boxes that its processor reads of it.
SNOWMAN = (
    "<grounding> An image of<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></object> "
    "warming himself by<phrase> a fire</phrase><object><patch_index_0005><patch_index_0911></object>."
)
# tests/models/kosmos2/test_processor_kosmos2.py: two boxes of one phrase.
PUPPIES = (
    "<grounding><phrase> Two puppies</phrase><object><patch_index_0079><patch_index_1016>"
    "</delimiter_of_multi_objects/><patch_index_0135><patch_index_1008></object> sit in a field of"
    "<phrase> grass</phrase><object><patch_index_0480><patch_index_1023></object> ."
)


def one(box, text="cat"):
    return Grounded(text, (Region(text, (box,), start=0, end=len(text)),))


def cells(box):
    before, upper, lower, behind = re.split(
        r"<patch_index_(\d{4})><patch_index_(\d{4})>", kosmos2.encode(one(box), 9, 9)
    )
    assert (before, behind) == ("<phrase> cat</phrase><object>", "</object>")
    return int(upper), int(lower)


def test_the_published_answer_reads_and_writes():
    snowman = kosmos2.decode(SNOWMAN, 640, 480)
    assert snowman.text == "An image of a snowman warming himself by a fire."
    assert [(r.phrase, r.start, r.end) for r in snowman.regions] == [("a snowman", 12, 21), ("a fire", 41, 47)]
    assert [r.boxes for r in snowman.regions] == [
        ((0.390625, 0.046875, 0.984375, 0.828125),),
        ((0.171875, 0.015625, 0.484375, 0.890625),),
    ]
    assert kosmos2.encode(snowman, 640, 480) == SNOWMAN.removeprefix("<grounding> ")


def test_several_boxes_and_a_phrase_that_begins_the_text():
    puppies = kosmos2.decode(PUPPIES, 333, 1000)
    assert puppies.text == "Two puppies sit in a field of grass ."
    assert [(r.phrase, r.start, len(r.boxes)) for r in puppies.regions] == [("Two puppies", 0, 2), ("grass", 30, 1)]
    assert kosmos2.encode(puppies, 333, 1000) == PUPPIES.removeprefix("<grounding>")


def test_a_bare_box_stands_in_the_text():
    # kosmos-2/demo/decode_string.py
    text = (
        "a wet suit is at <object><patch_index_0003><patch_index_0004></delimiter_of_multi_objects/>"
        "<patch_index_0005><patch_index_0006></object> in the picture"
    )
    suit = kosmos2.decode(text, 9, 9)
    assert suit.text == "a wet suit is at  in the picture"
    (region,) = suit.regions
    assert (region.phrase, region.start, region.end) == ("", 17, 17)
    assert region.boxes == ((3 / 32, 0, 5 / 32, 1 / 32), (5 / 32, 0, 7 / 32, 1 / 32))
    assert kosmos2.encode(suit, 9, 9) == text


@given(boxes())
@settings(max_examples=60)
def test_cells_are_rounded_as_the_processor_does(box):
    x1, y1, x2, y2 = box
    left, top, right, bottom = (*map(math.floor, (x1 * 32, y1 * 32)), *map(math.ceil, (x2 * 32 - 1, y2 * 32 - 1)))
    if left <= right and top <= bottom:  # else there is no such cell, or the corners are out of order
        assert cells(box) == (top * 32 + left, bottom * 32 + right)


@pytest.mark.parametrize(
    ("box", "found"),
    [
        ((0, 0, 1, 1), (0, 1023)),
        ((1, 1, 1, 1), (1023, 1023)),
        ((0, 0, 0, 0), (0, 0)),
        ((0.5, 0.25, 0.5, 0.25), (8 * 32 + 16, 8 * 32 + 16)),
        ((-1, 0.5, 3, 9), (16 * 32, 1023)),
        ((2, 3, 4, 5), (1023, 1023)),
    ],
)
def test_edges(box, found):
    assert cells(box) == found


def test_every_pair_of_cells_is_written_as_it_was_read():
    for upper in range(0, 1024, 7):
        for lower in range(upper, 1024, 13):
            if lower % 32 >= upper % 32:
                text = f"<object><patch_index_{upper:04d}><patch_index_{lower:04d}></object>"
                assert kosmos2.encode(kosmos2.decode(text, 9, 9), 9, 9) == text


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=60)
def test_what_is_held_comes_back(before, size):
    comes_back(kosmos2, before, size)


def test_the_space_of_a_span():
    some = ((0.0, 0.0, 1.0, 1.0),)
    spans = Grounded("a cat", (Region(" cat", some, start=1, end=5),))
    assert kosmos2.uncoded(spans) == (0,)
    begins = Grounded(" cat", (Region(" cat", some, start=0, end=4),))
    assert kosmos2.uncoded(begins) == ()
    assert kosmos2.decode(kosmos2.encode(begins, 9, 9), 9, 9) == Grounded(
        " cat", (Region(" cat", ((1 / 64, 1 / 64, 63 / 64, 63 / 64),), start=0, end=4),)
    )


def test_spaces_between_tokens_do_not_matter():
    loose = (
        "<object> <patch_index_79> <patch_index_1016> </delimiter_of_multi_objects/> "
        "<patch_index_0135> <patch_index_1008> </object>"
    )
    tight = (
        "<object><patch_index_0079><patch_index_1016></delimiter_of_multi_objects/>"
        "<patch_index_0135><patch_index_1008></object>"
    )
    assert kosmos2.encode(kosmos2.decode(loose, 9, 9), 9, 9) == tight


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a <object><patch_index_0001></object>", 10),
        ("a <object><patch_index_0001><patch_index_0002><patch_index_0003></object>", 10),
        ("a <object><patch_index_0001><patch_index_1024></object>", 10),
        ("a <object><patch_index_0001><patch_index_9999></object>", 10),
        ("a <object><patch_index_0002><patch_index_0001></object>", 10),
        ("a <object><patch_index_0040><patch_index_0001></object>", 10),
        ("a <object><patch_index_0000><patch_index_0001></delimiter_of_multi_objects/></object>", 10),
        (
            "a <object><patch_index_0000><patch_index_0001></delimiter_of_multi_objects/>"
            "<patch_index_0002><patch_index_0001></object>",
            76,
        ),
        ("a <object><patch_index_0001><patch_index_-002></object>", 10),
        ("a <object><patch_index_0001><patch_index_٠٠٠٢></object>", 10),
        ("a <object><patch_index_0001><patch_index_nan></object>", 10),
        ("a <object><patch_index_0001><patch_index_" + "9" * 5000 + "></object>", 10),
        ("a <object></object>", 10),
        ("a <object><patch_index_0001><patch_index_0002>", 2),
        ("a <patch_index_0001>", 2),
        ("a </delimiter_of_multi_objects/>", 2),
        ("a <grounding>", 2),
        ("<grounding><grounding>", 11),
        ("<grounding> a <phrase>cat", 14),
        ("a <phrase> </phrase>", 2),
        ("a <phrase>cat<phrase>", 13),
        ("a <phrase>cat<patch_index_0001></phrase>", 13),
        ("a </phrase>", 2),
        ("a <phr", 2),
        ("a <object x", 2),
    ],
)
def test_malformed_text_is_named_with_its_place(text, position):
    with pytest.raises(SampleError) as caught:
        kosmos2.decode(text, 640, 480)
    assert caught.value.code == "bad_kosmos2"
    assert caught.value.detail.endswith(f"at character {position}")
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize(
    "text", ["a <phrase>", "</object>", "<patch_index_0001>", "</delimiter_of_multi_objects/>", "<grounding>", "cut </"]
)
def test_a_text_with_tags_is_not_encoded(text):
    with pytest.raises(SampleError, match="reserved_tag"):
        kosmos2.encode(Grounded(text), 10, 10)


def test_other_angle_brackets_are_words():
    text = "<image>\n2 < 3, <phrases> and <objects>"
    assert kosmos2.decode(text, 10, 10) == Grounded(text)
    assert kosmos2.encode(Grounded(text), 10, 10) == text


def test_bad_numbers_and_sizes():
    with pytest.raises(SampleError, match="bad_box"):
        kosmos2.encode(one((0, 0, float("nan"), 1)), 10, 10)
    for call in (lambda: kosmos2.encode(one((0, 0, 1, 1)), 0, 10), lambda: kosmos2.decode("cat", 10, 0)):
        with pytest.raises(SampleError, match="bad_size"):
            call()


PAIR = "<patch_index_0001><patch_index_0002>"


@pytest.mark.parametrize(
    ("before", "unit", "after", "megabytes"),
    [
        ("", f"<phrase> cat</phrase><object>{PAIR}</object>", "", 3),
        ("", "<phrase>", "", 10),
        ("", "<object>", "", 10),
        ("", "<", "", 10),
        ("<object>", f"{PAIR}</delimiter_of_multi_objects/>", "</object>", 10),
        ("<object>", PAIR, "</object>", 10),
        ("<object>", " ", "</object>", 10),
        ("<object><patch_index_", "1", "></object>", 10),
    ],
    ids=["many", "phrases", "objects", "angles", "late", "pairs", "spaces", "digits"],
)
def test_reading_is_linear(before, unit, after, megabytes):
    assert reading_grows(kosmos2, before, unit, after, megabytes) < 24
