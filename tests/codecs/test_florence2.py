import math

import pytest
from bin_forms import SIZES, grounded, phrases_come_back, reading_grows
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import florence2
from curate.errors import SampleError
from curate.sample import Grounded, Region

# huggingface/transformers, tests/models/florence2/test_processing_florence2.py, and what its processor reads of them
# for a picture of 1000 x 1000 (whole pixels there).
CAR = "</s><s>car<loc_53><loc_334><loc_933><loc_775>door handle<loc_425><loc_504><loc_474><loc_516></s><pad>"
RED = "red car<loc_53><loc_334><loc_933><loc_775><loc_711><loc_203><loc_906><loc_546>"
PROPOSALS = (
    "<loc_53><loc_334><loc_933><loc_775><loc_711><loc_203><loc_906><loc_546><loc_585><loc_309><loc_774><loc_709>"
)


def one(box, text="cat"):
    return Grounded(text, (Region(text, (box,), start=0, end=len(text)),))


def numbers(box, size):
    written = florence2.encode(one(box), *size)
    assert written.startswith("cat<loc_")
    return [int(n) for n in written[8:-1].split("><loc_")]


def test_the_published_examples_read_and_write():
    car = florence2.decode(CAR, 1000, 1000)
    assert car.text == ""
    assert [(r.phrase, r.start, r.boxes) for r in car.regions] == [
        ("car", None, ((0.0535, 0.3345, 0.9335, 0.7755),)),
        ("door handle", None, ((0.4255, 0.5045, 0.4745, 0.5165),)),
    ]
    assert florence2.encode(car, 1000, 1000) == CAR.removeprefix("</s><s>").removesuffix("</s><pad>")
    red = florence2.decode(RED, 640, 480)
    assert [(r.phrase, len(r.boxes)) for r in red.regions] == [("red car", 2)]
    assert florence2.encode(red, 640, 480) == RED


def test_boxes_without_any_phrase_are_proposals():
    found = florence2.decode(PROPOSALS, 1000, 1000)
    assert [(r.phrase, len(r.boxes)) for r in found.regions] == [("", 3)]
    assert florence2.encode(found, 1000, 1000) == PROPOSALS
    some = ((0.0, 0.0, 1.0, 1.0),)
    bare = tuple(Region("", some, start=at, end=at) for at in (0, 2))
    assert florence2.encode(Grounded("a cat", bare), 9, 9) == "<loc_0><loc_0><loc_999><loc_999>" * 2
    named = Grounded("a cat", (*bare, Region("cat", some, start=2, end=5)))
    assert florence2.uncoded(named) == (0, 1)
    assert florence2.encode(named, 9, 9) == "cat<loc_0><loc_0><loc_999><loc_999>"


def test_numbers_are_floored_as_published():
    # test_quantizer_quantize_dequantize: boxes of an 800 x 1200 picture; the last lies outside and is cut.
    size = (800, 1200)
    for px in [(0, 0, 30, 40), (500, 550, 600, 690), (750, 1121, 851, 1239)]:
        box = tuple(p / side for p, side in zip(px, (*size, *size), strict=True))
        steps = (size[0] / 1000, size[1] / 1000) * 2
        floors = [min(math.floor(p / step), 999) for p, step in zip(px, steps, strict=True)]
        assert numbers(box, size) == floors
        (region,) = florence2.decode(florence2.encode(one(box), *size), *size).regions
        whole = [int(share * side) for share, side in zip(region.boxes[0], (*size, *size), strict=True)]
        assert whole == [min(p, side - 1) for p, side in zip(px, (*size, *size), strict=True)]


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=60)
def test_what_is_held_comes_back(before, size):
    phrases_come_back(florence2, before, size, merges=False)


def test_every_number_is_written_as_it_was_read():
    for n in range(1000):
        text = f"a<loc_{n}><loc_{n}><loc_{n}><loc_999>"
        for size in SIZES:
            assert florence2.encode(florence2.decode(text, *size), *size) == text


def test_regions_of_one_span_share_a_phrase_and_others_do_not():
    some = ((0.0, 0.0, 1.0, 1.0),)
    regions = tuple(Region("dog", some, start=at, end=at + 3) for at in (0, 8, 0))
    whole = "<loc_0><loc_0><loc_999><loc_999>"
    written = florence2.encode(Grounded("dog and dog", regions), 9, 9)
    assert written == f"dog{whole}{whole}dog{whole}"
    assert [len(r.boxes) for r in florence2.decode(written, 9, 9).regions] == [2, 1]


def test_nothing_is_nothing():
    assert florence2.encode(Grounded("words alone <loc_1>"), 9, 9) == ""
    assert florence2.decode("<s></s>", 9, 9) == Grounded("")


BOX = "<loc_1><loc_2><loc_3><loc_4>"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("cat<loc_1><loc_2><loc_3>", 3),
        (f"cat{BOX}<loc_5>", 3),
        ("cat<loc_1><loc_2><loc_3><loc_1000>", 3 + 21),
        ("cat<loc_1><loc_2><loc_3><loc_99999>", 3 + 21),
        (f"cat{BOX}<loc_5><loc_2><loc_3><loc_4>", 31),
        ("cat<loc_1><loc_5><loc_3><loc_4>", 3),
        ("cat<loc_1><loc_2><loc_3><loc_-4>", 24),
        ("cat<loc_1><loc_2><loc_3><loc_nan>", 24),
        ("cat<loc_1><loc_2><loc_3><loc_٤>", 24),
        ("cat<loc_" + "9" * 5000 + ">", 3),
        ("cat<loc_1><loc_2><loc_3><loc_4", 24),
        (f"cat{BOX} and dog", 31),
        ("<s>cat</s>", 3),
        (f"{BOX}cat{BOX}", 28),
        (f"cat{BOX}<poly>", 31),
        ("a < b", 2),
    ],
)
def test_malformed_text_is_named_with_its_place(text, position):
    with pytest.raises(SampleError) as caught:
        florence2.decode(text, 640, 480)
    assert caught.value.code == "bad_florence2"
    assert caught.value.detail.endswith(f"at character {position}")
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize("phrase", ["a <loc_1>", "x < y", "<s>"])
def test_a_phrase_with_the_forms_own_mark_is_not_encoded(phrase):
    with pytest.raises(SampleError, match="reserved_tag"):
        florence2.encode(one((0, 0, 1, 1), phrase), 10, 10)


def test_bad_numbers_and_sizes():
    for value in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(SampleError, match="bad_box"):
            florence2.encode(one((0, 0, value, 1)), 10, 10)
    for call in (lambda: florence2.encode(one((0, 0, 1, 1)), 0, 10), lambda: florence2.decode("", 10, 0)):
        with pytest.raises(SampleError, match="bad_size"):
            call()


@pytest.mark.parametrize(
    ("before", "unit", "after", "megabytes"),
    [
        ("", f"cat{BOX}", "", 2),
        ("cat", BOX, "<loc_1>", 10),
        ("cat", BOX, "", 2),
        ("", "<loc_1>" * 4, "x", 2),
        ("", "a<s>", "", 2),
        ("", "<", "", 10),
        ("", " ", "", 10),
        ("cat<loc_", "1", ">", 10),
    ],
    ids=["many", "five", "boxes", "numbers", "skipped", "angles", "blank", "digits"],
)
def test_reading_is_linear(before, unit, after, megabytes):
    assert reading_grows(florence2, before, unit, after, megabytes) < 24
