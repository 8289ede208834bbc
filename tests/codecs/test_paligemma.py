import pytest
from bin_forms import SIZES, grounded, phrases_come_back, reading_grows
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import paligemma
from curate.errors import SampleError
from curate.sample import Grounded, Region

# The boxes and names of the authors' example string (huggingface.co/spaces/big-vision/paligemma, paligemma_parse.py)
# without its segmentation tokens, as the model answers `detect`.
BOWIE = (
    "<loc0000><loc0000><loc0930><loc1012> wall ; <loc0722><loc0047><loc0895><loc0378> car ; "
    "<loc0180><loc0596><loc0782><loc0961> david bowie ; <loc0234><loc0043><loc0736><loc0289> david bowie ; "
    "<loc0230><loc0300><loc0736><loc0499> david bowie"
)


def one(box, text="cat"):
    return Grounded(text, (Region(text, (box,), start=0, end=len(text)),))


def test_the_published_example_reads_and_writes():
    bowie = paligemma.decode(BOWIE, 100, 200)
    assert bowie.text == ""
    assert [(r.phrase, r.start, r.end, len(r.boxes)) for r in bowie.regions] == [
        ("wall", None, None, 1),
        ("car", None, None, 1),
        ("david bowie", None, None, 3),
    ]
    assert bowie.regions[1].boxes == ((47 / 1023, 722 / 1023, 378 / 1023, 895 / 1023),)  # x before y here
    assert paligemma.encode(bowie, 100, 200) == BOWIE
    assert paligemma.uncoded(bowie) == ()


def test_numbers_are_rounded_to_1023():
    # big_vision/pp/proj/paligemma/segmentation.py: round(bbox * 1023), y before x.
    assert paligemma.encode(one((0.1, 0.2, 0.3, 0.9)), 640, 480) == "<loc0205><loc0102><loc0921><loc0307> cat"
    assert paligemma.encode(one((0.0, 0.5, 1.0, 1.0)), 9, 9) == "<loc0512><loc0000><loc1023><loc1023> cat"


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=60)
def test_what_is_held_comes_back(before, size):
    phrases_come_back(paligemma, before, size, merges=True)


def test_every_number_is_written_as_it_was_read():
    for n in range(1024):
        text = f"<loc{n:04d}><loc{n:04d}><loc{n:04d}><loc1023> a"
        assert paligemma.encode(paligemma.decode(text, 9, 9), 9, 9) == text


def test_spans_that_overlap_are_written_both():
    text = "a wire hanger"
    some = ((0.0, 0.0, 1.0, 1.0),)
    regions = tuple(Region(text[a:b], some, start=a, end=b) for a, b in [(2, 13), (0, 13), (2, 13)])
    both = Grounded(text, (*regions, Region("", some, start=3, end=3), Region("wire", ())))
    whole = "<loc0000><loc0000><loc1023><loc1023>"
    assert paligemma.encode(both, 9, 9) == (
        f"{whole} wire hanger ; {whole} wire hanger ; {whole} a wire hanger ; {whole}"
    )
    assert paligemma.uncoded(both) == (4,)


@pytest.mark.parametrize(
    "text", ["<loc0001><loc0002><loc0003><loc0004>cat", "\n<loc0001><loc0002><loc0003><loc0004> cat ;\n"]
)
def test_spaces_do_not_matter(text):
    read = paligemma.decode(text, 9, 9)
    assert [r.phrase for r in read.regions] == ["cat"]
    assert paligemma.encode(read, 9, 9) == "<loc0001><loc0002><loc0003><loc0004> cat"


def test_nothing_is_nothing():
    assert paligemma.encode(Grounded("words alone; <loc0001>"), 9, 9) == ""
    assert paligemma.decode("", 9, 9) == Grounded("")


BOX = "<loc0001><loc0002><loc0003><loc0004>"


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("<loc0001><loc0002><loc0003> cat", 0),
        ("<loc0001><loc0002><loc0003><loc0004><loc0005> cat", 0),
        ("<loc0001><loc0002><loc0003><loc1024> cat", 0),
        (f"{BOX} cat ; <loc0001><loc0002><loc0003><loc9999> cat", 43),
        ("<loc0005><loc0002><loc0003><loc0004> cat", 0),
        ("<loc0001><loc0005><loc0003><loc0004> cat", 0),
        ("<loc001><loc0002><loc0003><loc0004> cat", 0),
        ("<loc00001><loc0002><loc0003><loc0004> cat", 0),
        ("<loc٠٠٠١><loc0002><loc0003><loc0004> cat", 0),
        ("<loc-001><loc0002><loc0003><loc0004> cat", 0),
        ("<loc0nan><loc0002><loc0003><loc0004> cat", 0),
        ("<loc" + "9" * 5000 + ">", 0),
        ("<loc0001><loc0002><loc0003><loc0004", 0),
        (f"{BOX} cat {BOX} dog", 0),
        (f"{BOX} <seg001> cat", 0),
        (f"{BOX} cat ; dog", 43),
        (f"  cat ; {BOX} dog", 2),
        (f"{BOX} cat ;; {BOX} dog", 42),
        ("cat", 0),
    ],
)
def test_malformed_text_is_named_with_its_place(text, position):
    with pytest.raises(SampleError) as caught:
        paligemma.decode(text, 640, 480)
    assert caught.value.code == "bad_paligemma"
    assert caught.value.detail.endswith(f"at character {position}")
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize("phrase", ["a <loc0001>", "cat ; dog", "cat;", "x > y"])
def test_a_phrase_with_the_forms_own_marks_is_not_encoded(phrase):
    with pytest.raises(SampleError, match="reserved_tag"):
        paligemma.encode(one((0, 0, 1, 1), phrase), 10, 10)


def test_bad_numbers_and_sizes():
    for value in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(SampleError, match="bad_box"):
            paligemma.encode(one((0, 0, value, 1)), 10, 10)
    for call in (lambda: paligemma.encode(one((0, 0, 1, 1)), 0, 10), lambda: paligemma.decode("", 10, 0)):
        with pytest.raises(SampleError, match="bad_size"):
            call()
    assert paligemma.encode(one((-0.5, 0, 1.5, 7)), 9, 9) == "<loc0000><loc0000><loc1023><loc1023> cat"


@pytest.mark.parametrize(
    ("before", "unit", "after", "megabytes"),
    [
        ("", f"{BOX} cat ; ", "", 2),
        ("", "<loc0001>", "", 10),
        ("", "<loc", "", 10),
        (BOX, " ", "", 10),
        (BOX, "cat ", "<", 10),
        ("", " ", "", 10),
        ("", f"{BOX};", "<", 2),
    ],
    ids=["many", "numbers", "halves", "spaces", "words", "blank", "late"],
)
def test_reading_is_linear(before, unit, after, megabytes):
    assert reading_grows(paligemma, before, unit, after, megabytes) < 24
