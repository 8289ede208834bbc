import json
import re

import pytest
from conftest import growth
from decimal_forms import SIZES, check_rounded_edges, comes_back, grounded, one, share_a_mark
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import shikra
from curate.errors import SampleError
from curate.kernels.boxes import square_pad
from curate.sample import Grounded, Region

# shikras/shikra: box_process_function.py PlainBoxFormatter (precision 3), transform.py norm_box_xyxy and
# box_xyxy_expand2square, flickr.py (the box stands where the phrase ends).


def official(px, size):
    side = max(size)
    pads = [(side - size[i % 2]) // 2 for i in range(4)]
    shares = [round(max(0.0, min((v + pad) / side, 1.0)), 3) for v, pad in zip(px, pads, strict=True)]
    return ",".join(f"{share:.3f}" for share in shares)


def test_the_published_format():
    # client.py, example2: "What is the person<boxes> scared of?" with the box 148, 99, 576, 497; the size is ours.
    size, px = (640, 514), (148, 99, 576, 497)
    text = "What is the person[0.231,0.253,0.900,0.875] scared of?"
    assert official(px, size) == "0.231,0.253,0.900,0.875"
    box = tuple(v / size[i % 2] for i, v in enumerate(px))
    sample = Grounded("What is the person scared of?", (Region("the person", (box,), start=8, end=18),))
    assert shikra.encode(sample, *size) == text
    read = shikra.decode(text, *size)
    assert read.text == sample.text
    assert [(r.phrase, r.start, r.end) for r in read.regions] == [("", 18, 18)]
    assert shikra.encode(read, *size) == text


def test_several_boxes_share_a_bracket():
    text = "two dogs[0.100,0.200,0.300,0.400;0.500,0.200,0.700,0.400] and a cat[0.000,0.500,0.250,1.000]"
    read = shikra.decode(text, 10, 10)
    assert [(r.start, r.boxes) for r in read.regions] == [
        (8, ((0.1, 0.2, 0.3, 0.4), (0.5, 0.2, 0.7, 0.4))),
        (18, ((0.0, 0.5, 0.25, 1.0),)),
    ]
    assert shikra.encode(read, 10, 10) == text
    assert shikra.decode("a man [0.1,0.2,0.3,0.4] sits", 10, 10).text == "a man  sits"


@pytest.mark.parametrize(
    "size", [(640, 480), (501, 300), (7, 1), (1, 7), (333, 1000), (300, 300), (400, 300), (1600, 1)]
)
def test_each_pixel_is_rounded_as_published(size):
    for x in range(size[0] + 1):
        y = x * size[1] // size[0]
        share = (x / size[0], y / size[1])
        assert shikra.encode(one((*share, *share)), *size) == f"cat[{official((x, y, x, y), size)}]"


def test_official_templates_hold_no_boxes(shared):
    folder = shared / "annotations/grounding/shikras__shikra/config/_base_/dataset/template"
    texts = [text for file in sorted(folder.glob("*.json")) for text in json.loads(file.read_text(encoding="utf-8"))]
    assert len(texts) > 100
    for text in texts:
        assert shikra.decode(text, 10, 10) == Grounded(text)
        assert shikra.encode(Grounded(text), 10, 10) == text


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
    ("a cat [0.1,0.2,0.3,0.4;0.5,0.6,0.7]", 6),
    ("a cat [0.1,0.2,0.3,0.4;0.5,0.6,0.4,0.7]", 23),
    ("a point [0.5,0.6]", 8),
]


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=80)
def test_what_is_written_comes_back(sample, size):
    comes_back(shikra, sample, size, apart)


def test_regions_that_end_at_one_place_share_a_mark():
    share_a_mark(shikra)


@pytest.mark.parametrize(("text", "where"), HOSTILE)
def test_malformed_text_is_named_with_its_place(text, where):
    with pytest.raises(SampleError) as caught:
        shikra.decode(text, 640, 480)
    assert caught.value.code == "bad_shikra"
    assert re.search(rf"at character {where}( of the text without marks)?$", caught.value.detail), caught.value.detail
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize(
    "text", ["[1] is a citation", "[3 cats]", "[x1, y1, x2, y2]", "a [", "[]", "[[", "[0] 5, 6]", "1, 2, 3, 4"]
)
def test_other_brackets_are_words(text):
    assert shikra.decode(text, 10, 10) == Grounded(text)
    assert shikra.encode(Grounded(text), 10, 10) == text


def test_what_is_not_written():
    for box in [
        (0, float("nan"), 1, 1),
        (0, 0, float("inf"), 1),
        (0.5, 0, 0.4, 1),
        (0, 1, 1, 0),
        (-float("inf"), 0, 1, 1),
    ]:
        with pytest.raises(SampleError, match="bad_box"):
            shikra.encode(one(box), 10, 10)
    for text in ["a [0.1, 0.2, 0.3, 0.4]", "[0.1, 0.2", "x [5", "[0.1;"]:
        with pytest.raises(SampleError, match="reserved_tag"):
            shikra.encode(Grounded(text), 10, 10)
    for size in [(0, 5), (5, 0), (-1, 5)]:
        with pytest.raises(SampleError, match="bad_size"):
            shikra.encode(one((0, 0, 1, 1)), *size)
        with pytest.raises(SampleError, match="bad_size"):
            shikra.decode("cat", *size)
    assert shikra.encode(one((-0.5, -0.0, 1.5, 1)), 9, 9) == shikra.encode(one((0, 0, 1, 1)), 9, 9)


@pytest.mark.parametrize(
    ("before", "each", "after", "size"),
    [
        ("", "cat [0.1,0.2,0.3,0.4] ", "", 10_000),
        ("", "[0.1,0.2,0.3,0.4]", "", 10_000),
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
        for work in (shikra.decode, lambda text, w, h: shikra.encode(Grounded(text), w, h)):
            try:
                work(text, 640, 480)
            except SampleError as error:
                assert error.code in ("bad_shikra", "reserved_tag")

    assert growth(read, size // 32) < 24


def test_a_box_in_the_padding_is_refused():
    far, wholly, fits, slim = (
        "0.1, 0.0, 0.3, 0.9",
        "0.1, 0.1, 0.3, 0.12",
        "0.1, 0.166, 0.3, 0.833",
        "0.1, 0.1650, 0.3, 0.1655",
    )
    for box in (far, wholly, slim):
        with pytest.raises(SampleError, match=r"bad_shikra: a box in the padding .* at character 6"):
            shikra.decode(f"a cat [{box}]", 640, 427)
    ((x0, y0, x1, y1),) = shikra.decode(f"a cat [{fits}]", 640, 427).regions[0].boxes
    assert x0 < x1 and y0 < y1
    assert shikra.decode(f"a cat [{far}]", 640, 640).regions


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (640, 429), (501, 300), (300, 501), (375, 500)])
@pytest.mark.parametrize("halves", [1, 2])
def test_a_rounded_box_at_the_edges_is_cut_to_the_picture(size, halves):
    check_rounded_edges(shikra, size, halves, decimals=3, beyond=3)
