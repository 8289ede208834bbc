import re

import pytest
from conftest import growth
from decimal_forms import SIZES, comes_back, grounded, one, share_a_mark
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import pink
from curate.errors import SampleError
from curate.sample import Grounded, Region

# SY-Xuan/Pink pink/datasets/BaseDataset.py: "[{:.3f},{:.3f},{:.3f},{:.3f}]" of x / W, y / H; no square pad (train.py).


def test_the_published_format():
    assert pink.encode(one((0.123, 0.456, 0.789, 0.9), "a cat"), 640, 480) == "a cat [0.123,0.456,0.789,0.900]"
    assert pink.encode(one((0, 0.0625, 1, 1), ""), 640, 480) == "[0.000,0.062,1.000,1.000]"
    assert pink.encode(one((186 / 640, 104 / 514, 535 / 640, 438 / 514)), 640, 514) == "cat [0.291,0.202,0.836,0.852]"


def test_the_frame_is_the_picture_as_it_is():
    text = "[0.123,0.456,0.789,0.900]"
    for size in SIZES:
        (region,) = pink.decode(text, *size).regions
        assert region == Region("", ((0.123, 0.456, 0.789, 0.9),), start=0, end=0)
        assert pink.encode(Grounded("", (region,)), *size) == text


def test_several_boxes_are_joined_by_a_blank():
    # FlickrEntity.py: <ph_ed> becomes a blank and the boxes, joined by blanks.
    text = "Two men [0.100,0.200,0.300,0.400] [0.500,0.200,0.700,0.400] and a dog [0.000,0.500,0.250,1.000]."
    read = pink.decode(text, 500, 333)
    assert read.text == "Two men and a dog."
    assert [(r.start, len(r.boxes)) for r in read.regions] == [(7, 2), (17, 1)]
    assert pink.encode(read, 500, 333) == text


def test_a_box_of_a_question_may_be_wrapped():
    # PointingVQA: question + " " + <loc>box</loc>.
    bare = "What is this? [0.100,0.200,0.300,0.400]"
    wrapped = "What is this? <loc>[0.100,0.200,0.300,0.400]</loc>"
    assert pink.decode(wrapped, 9, 9) == pink.decode(bare, 9, 9)
    assert pink.encode(pink.decode(wrapped, 9, 9), 9, 9) == bare
    assert pink.decode("<des>a cat</des> <cls>cat</cls>", 9, 9).text == "<des>a cat</des> <cls>cat</cls>"


def test_each_thousandth_and_each_half_is_rounded_as_python_formats():
    for n in range(2001):
        x = n / 2000
        assert pink.encode(one((0, 0, x, x)), 9, 9) == f"cat [0.000,0.000,{x:.3f},{x:.3f}]"
    for width in (16, 640, 1000, 1333):
        for px in range(width + 1):
            assert pink.encode(one((0, 0, px / width, 1)), width, 9) == f"cat [0.000,0.000,{px / width:.3f},1.000]"


def test_no_blank_opens_a_text_or_a_line():
    text = "[0.100,0.200,0.300,0.400]\nWhat is this?\n[0.100,0.200,0.300,0.400]"
    read = pink.decode(text, 10, 10)
    assert (read.text, [r.start for r in read.regions]) == ("\nWhat is this?\n", [0, 15])
    assert pink.encode(read, 10, 10) == text


def apart(old, new, size):
    return max(abs(a - b) for a, b in zip(old, new, strict=True))


HOSTILE = [
    ("a cat [0.1, 0.2, 0.3]", 6),
    ("a cat [0.1, 0.2, 0.3, 0.4, 0.5]", 6),
    ("a cat [0.1, 0.2, 0.3, 0.4", 6),
    ("a cat [0.1", 6),
    ("a cat [0.1, nan, 0.3, 0.4]", 6),
    ("a cat [NaN, 0.1, 0.3, 0.4]", 6),
    ("a cat [0.1, 0.2, inf, 0.4]", 6),
    ("a cat [0.1, 0.2, 1e-1, 0.4]", 6),
    ("a cat [-0.1, 0.2, 0.3, 0.4]", 6),
    ("a cat [0.1, 0.2, 0.3, ٠.٤]", 6),
    ("a cat [٠.١, 0.2, 0.3, 0.4]", 6),
    ("a cat [0.1, 0.2, 0.3, 1.001]", 7),
    ("a cat [0.1, 0.2, 0.3, 40]", 7),
    ("a cat [0.5, 0.2, 0.3, 0.4]", 7),
    ("a cat [0.1, 0.5, 0.3, 0.4]", 7),
    (f"a cat [0.1, 0.2, 0.3, {'9' * 5001}]", 7),
    (f"a cat [0.1, 0.2, 0.3, 0.{'3' * 5001}]", 7),
    ("[0[0.1, 0.2, 0.3, 0.4], 5", 0),
    ("a cat <loc>[0.1,0.2,0.3,0.4]", 6),
    ("a cat [0.1,0.2,0.3,0.4]</loc>", 23),
    ("a <loc>cat</loc>", 2),
    ("a <loc [0.1,0.2,0.3,0.4]", 2),
    ("a cat <lo", 6),
    ("a cat [0.1,0.2,0.3,0.4] [0.1,0.2", 24),
]


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=80)
def test_what_is_written_comes_back(sample, size):
    comes_back(pink, sample, size, apart)


def test_regions_that_end_at_one_place_share_a_mark():
    share_a_mark(pink)


@pytest.mark.parametrize(("text", "where"), HOSTILE)
def test_malformed_text_is_named_with_its_place(text, where):
    with pytest.raises(SampleError) as caught:
        pink.decode(text, 640, 480)
    assert caught.value.code == "bad_pink"
    assert re.search(rf"at character {where}( of the text without marks)?$", caught.value.detail), caught.value.detail
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize(
    "text", ["[1] is a citation", "[3 cats]", "[x1, y1, x2, y2]", "a [", "[]", "[[", "[0] 5, 6]", "1, 2, 3, 4"]
)
def test_other_brackets_are_words(text):
    assert pink.decode(text, 10, 10) == Grounded(text)
    assert pink.encode(Grounded(text), 10, 10) == text


def test_what_is_not_written():
    for box in [
        (0, float("nan"), 1, 1),
        (0, 0, float("inf"), 1),
        (0.5, 0, 0.4, 1),
        (0, 1, 1, 0),
        (-float("inf"), 0, 1, 1),
    ]:
        with pytest.raises(SampleError, match="bad_box"):
            pink.encode(one(box), 10, 10)
    for text in ["a [0.1, 0.2, 0.3, 0.4]", "[0.1, 0.2", "x [5", "<loc>", "</loc> x", "cut <l"]:
        with pytest.raises(SampleError, match="reserved_tag"):
            pink.encode(Grounded(text), 10, 10)
    for size in [(0, 5), (5, 0), (-1, 5)]:
        with pytest.raises(SampleError, match="bad_size"):
            pink.encode(one((0, 0, 1, 1)), *size)
        with pytest.raises(SampleError, match="bad_size"):
            pink.decode("cat", *size)
    assert pink.encode(one((-0.5, -0.0, 1.5, 1)), 9, 9) == pink.encode(one((0, 0, 1, 1)), 9, 9)


@pytest.mark.parametrize(
    ("before", "each", "after", "size"),
    [
        ("", "cat [0.1,0.2,0.3,0.4] ", "", 10_000),
        ("", "[0.1,0.2,0.3,0.4] ", "", 10_000),
        ("", "[", "", 1_600_000),
        ("", "[ ", "", 800_000),
        ("[", " ", "", 1_600_000),
        ("[", "1", "", 1_600_000),
        ("[0.1, 0.", "1", ", 0.3, 0.4]", 1_600_000),
        ("", "<loc>", "", 400_000),
        ("", "[1] ", "", 400_000),
    ],
    ids=["many", "one", "brackets", "blank_brackets", "blanks", "digits", "decimals", "tags", "citations"],
)
def test_reading_is_linear(before, each, after, size):
    def read(count):
        text = before + each * count + after
        for work in (pink.decode, lambda text, w, h: pink.encode(Grounded(text), w, h)):
            try:
                work(text, 640, 480)
            except SampleError as error:
                assert error.code in ("bad_pink", "reserved_tag")

    assert growth(read, size // 32) < 24
