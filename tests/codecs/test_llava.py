import re

import pytest
from conftest import growth
from decimal_forms import SIZES, check_rounded_edges, comes_back, grounded, one, share_a_mark
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import llava
from curate.errors import SampleError
from curate.kernels.boxes import square_pad
from curate.sample import Grounded, Region

# haotian-liu/LLaVA#606 (data quote) and WisconsinAIVision/ViP-LLaVA#23: records of llava_v1_5_mix665k.json.
QUOTED = [
    "Please provide a short description for this region: [0.43, 0.19, 0.57, 0.42].",
    "[0.28, 0.34, 0.4, 0.71]",
    "<image>\nPlease provide a short description for this region: [0.32, 0.8, 0.59, 1.0].",
    "[0.21, 0.92, 0.36, 1.0]",
]


@pytest.mark.parametrize("text", QUOTED)
@pytest.mark.parametrize("size", [(640, 640), (500, 500)])
def test_published_texts_read_and_write(text, size):
    read = llava.decode(text, *size)
    (region,) = read.regions
    assert region.start == region.end
    assert llava.encode(read, *size) == text
    assert region.boxes[0] == pytest.approx([float(n) for n in re.findall(r"[0-9.]+[0-9]", text)[-4:]])


def test_the_square_pad():
    # haotian-liu/LLaVA#606: the shorter side is padded on both ends; 640 x 480 has 80 rows above and below.
    text = "Please provide a short description for this region: [0.43, 0.19, 0.57, 0.42]."
    (region,) = llava.decode(text, 640, 480).regions
    assert region.boxes[0] == pytest.approx((0.43, (0.19 * 640 - 80) / 480, 0.57, (0.42 * 640 - 80) / 480))
    assert llava.encode(llava.decode(text, 640, 480), 640, 480) == text
    # pixels 64, 32, 320, 400 of 480 x 640: (64 + 80) / 640, 32 / 640, (320 + 80) / 640, 400 / 640 = .225 .05 .625 .625
    box = (64 / 480, 32 / 640, 320 / 480, 400 / 640)
    assert llava.encode(one(box, "a cat"), 480, 640) == "a cat [0.23, 0.05, 0.62, 0.62]"


@pytest.mark.parametrize("size", [(640, 480), (501, 300), (7, 1), (1, 7), (333, 1000), (300, 300)])
def test_each_pixel_is_rounded_as_python_rounds(size):
    side = max(size)
    for x in range(size[0] + 1):
        y = x * size[1] // size[0]
        share = (x / size[0], y / size[1])
        pad = [round((v + (side - s) // 2) / side, 2) for v, s in zip((x, y), size, strict=True)]
        assert llava.encode(one((*share, *share)), *size) == f"cat {[*pad, *pad]}"


def test_a_comma_between_two_boxes_stays_a_word():
    a, b = (0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0)
    sample = Grounded("a cat, dog", (Region("a cat", (a,), start=0, end=5), Region("", (b,), start=6, end=6)))
    written = llava.encode(sample, 8, 8)
    assert written == "a cat [0.0, 0.0, 0.5, 0.5],[0.5, 0.5, 1.0, 1.0] dog"
    read = llava.decode(written, 8, 8)
    assert read.text == "a cat, dog"
    assert [(r.start, r.boxes) for r in read.regions] == [(5, (a,)), (6, (b,))]
    joined = llava.decode("cats [0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0] dog", 8, 8)
    assert [(r.start, r.boxes) for r in joined.regions] == [(4, (a, b))]


def test_no_blank_opens_a_text_or_a_line():
    text = "[0.1, 0.2, 0.3, 0.4]\nWhat is this?\n[0.1, 0.2, 0.3, 0.4]"
    read = llava.decode(text, 10, 10)
    assert (read.text, [r.start for r in read.regions]) == ("\nWhat is this?\n", [0, 15])
    assert llava.encode(read, 10, 10) == text


def apart(old, new, size):
    return abs(square_pad([old], size) - square_pad([new], size)).max()


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
    ("a cat [0.1, 0.2, 0.3, 0.4], [0.1, 0.2", 28),
]


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=80)
def test_what_is_written_comes_back(sample, size):
    comes_back(llava, sample, size, apart)


def test_regions_that_end_at_one_place_share_a_mark():
    share_a_mark(llava)


@pytest.mark.parametrize(("text", "where"), HOSTILE)
def test_malformed_text_is_named_with_its_place(text, where):
    with pytest.raises(SampleError) as caught:
        llava.decode(text, 640, 480)
    assert caught.value.code == "bad_llava"
    assert re.search(rf"at character {where}( of the text without marks)?$", caught.value.detail), caught.value.detail
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize(
    "text", ["[1] is a citation", "[3 cats]", "[x1, y1, x2, y2]", "a [", "[]", "[[", "[0] 5, 6]", "1, 2, 3, 4"]
)
def test_other_brackets_are_words(text):
    assert llava.decode(text, 10, 10) == Grounded(text)
    assert llava.encode(Grounded(text), 10, 10) == text


def test_what_is_not_written():
    for box in [
        (0, float("nan"), 1, 1),
        (0, 0, float("inf"), 1),
        (0.5, 0, 0.4, 1),
        (0, 1, 1, 0),
        (-float("inf"), 0, 1, 1),
    ]:
        with pytest.raises(SampleError, match="bad_box"):
            llava.encode(one(box), 10, 10)
    for text in ["a [0.1, 0.2, 0.3, 0.4]", "[0.1, 0.2", "x [5", "[5, Paris]"]:
        with pytest.raises(SampleError, match="reserved_tag"):
            llava.encode(Grounded(text), 10, 10)
    for size in [(0, 5), (5, 0), (-1, 5)]:
        with pytest.raises(SampleError, match="bad_size"):
            llava.encode(one((0, 0, 1, 1)), *size)
        with pytest.raises(SampleError, match="bad_size"):
            llava.decode("cat", *size)
    assert llava.encode(one((-0.5, -0.0, 1.5, 1)), 9, 9) == llava.encode(one((0, 0, 1, 1)), 9, 9)


@pytest.mark.parametrize(
    ("before", "each", "after", "size"),
    [
        ("", "cat [0.1, 0.2, 0.3, 0.4] ", "", 10_000),
        ("", "[0.1, 0.2, 0.3, 0.4], ", "", 10_000),
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
        for work in (llava.decode, lambda text, w, h: llava.encode(Grounded(text), w, h)):
            try:
                work(text, 640, 480)
            except SampleError as error:
                assert error.code in ("bad_llava", "reserved_tag")

    assert growth(read, size // 32) < 24


def test_a_box_in_the_padding_is_refused():
    far, wholly, fits, slim = (
        "0.1, 0.0, 0.3, 0.9",
        "0.1, 0.1, 0.3, 0.12",
        "0.1, 0.16, 0.3, 0.83",
        "0.1, 0.157, 0.3, 0.16",
    )
    for box in (far, wholly, slim):
        with pytest.raises(SampleError, match=r"bad_llava: a box in the padding .* at character 6"):
            llava.decode(f"a cat [{box}]", 640, 427)
    ((x0, y0, x1, y1),) = llava.decode(f"a cat [{fits}]", 640, 427).regions[0].boxes
    assert x0 < x1 and y0 < y1
    assert llava.decode(f"a cat [{far}]", 640, 640).regions


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (640, 429), (501, 300), (300, 501), (375, 500)])
@pytest.mark.parametrize("halves", [1, 2])
def test_a_rounded_box_at_the_edges_is_cut_to_the_picture(size, halves):
    check_rounded_edges(llava, size, halves, decimals=2, beyond=2)
