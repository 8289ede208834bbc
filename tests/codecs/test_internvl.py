import pytest
from bin_forms import SIZES, comes_back, grounded, reading_grows
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import internvl
from curate.errors import SampleError
from curate.sample import Grounded, Region

# internvl.readthedocs.io, "Chat Data Format": examples of RefCOCO (427 x 640) and of V3Det (800 x 800).
LADY = "<ref>the lady with the blue shirt</ref><box>[[243, 469, 558, 746]]</box>"
RADIO = "<ref>Wireless Walkie-Talkie</ref><box>[[295, 2, 370, 226], [374, 0, 447, 226]]</box>\n"


def one(box, text="cat"):
    return Grounded(text, (Region(text, (box,), start=0, end=len(text)),))


def numbers(box, size):
    written = internvl.encode(one(box), *size)
    assert written.startswith("<ref>cat</ref><box>[[")
    return [int(n) for n in written[21:-8].split(", ")]


def test_the_published_examples_read_and_write():
    lady = internvl.decode(LADY, 427, 640)
    assert lady.text == "the lady with the blue shirt"
    (region,) = lady.regions
    assert (region.phrase, region.start, region.end) == (lady.text, 0, len(lady.text))
    # The annotation that it was made of, in pixels: x, y, width, height 103.93, 299.99, 134.22, 177.42.
    assert region.boxes[0] == pytest.approx((103.93 / 427, 299.99 / 640, 238.15 / 427, 477.41 / 640), abs=1.01e-3)
    assert internvl.encode(lady, 427, 640) == LADY
    radio = internvl.decode(RADIO, 800, 800)
    assert len(radio.regions[0].boxes) == 2
    assert internvl.encode(radio, 800, 800) == RADIO


def test_numbers_are_truncated_as_the_maintainers_wrote():
    # OpenGVLab/InternVL#285: int(x1 / width * 1000), and so on.
    for size in SIZES:
        px = tuple(side * share // 10 for side, share in zip((*size, *size), (1, 2, 7, 9), strict=True))
        box = tuple(p / side for p, side in zip(px, (*size, *size), strict=True))
        assert numbers(box, size) == [int(p / side * 1000) for p, side in zip(px, (*size, *size), strict=True)]
    assert numbers((103.93 / 427, 299.99 / 640, 238.15 / 427, 477.41 / 640), (427, 640)) == [243, 468, 557, 745]
    assert numbers((0, 0.25, 0.5, 1), (640, 480)) == [0, 250, 500, 1000]


@pytest.mark.parametrize("size", [427, 640, 333, 1000, 7])
def test_every_whole_pixel_is_truncated_as_published(size):
    for px in range(size + 1):
        assert numbers((px / size, 0, 1, 1), (size, size))[0] == int(px / size * 1000)


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=60)
def test_what_is_held_comes_back(before, size):
    comes_back(internvl, before, size)


def test_every_number_is_written_as_it_was_read():
    for n in range(1001):
        text = f"<box>[[{n}, {n}, {n}, 1000]]</box>"
        for size in SIZES:
            assert internvl.encode(internvl.decode(text, *size), *size) == text


def test_spaces_in_a_list_do_not_matter():
    loose = internvl.decode("<ref>cat</ref><box> [ [1,2 ,3,\t4],[5,6,7,8] ]\n</box>", 9, 9)
    assert internvl.encode(loose, 9, 9) == "<ref>cat</ref><box>[[1, 2, 3, 4], [5, 6, 7, 8]]</box>"


def test_a_phrase_in_a_question_has_no_box():
    question = "<image>\nPlease provide the bounding box coordinate of <ref>car</ref> in the image."
    asked = internvl.decode(question, 9, 9)
    at = asked.text.index("car")
    assert asked.regions == (Region("car", (), start=at, end=at + 3),)
    assert "ref" not in asked.text
    assert internvl.uncoded(asked) == (0,)


def test_what_is_left_out():
    text = "a wire hanger"
    some = ((0.1, 0.2, 0.3, 0.4),)
    spans = [(2, 13), (0, 13), (None, None), (4, 4), (13, 13), (0, 99)]
    regions = tuple(Region("", some, start=a, end=b) for a, b in spans)
    assert internvl.uncoded(Grounded(text, (*regions, Region("a", (), start=0, end=1)))) == (0, 2, 3, 5, 6)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a <ref>cat</ref><box>[[1, 2, 3]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 4, 5]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, NaN]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, inf]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 1001]]</box>", 22),
        ("a <ref>cat</ref><box>[[1, 2, 3, 4], [3, 2, 1, 4]]</box>", 36),
        ("a <ref>cat</ref><box>[[1, 4, 3, 2]]</box>", 22),
        ("a <ref>cat</ref><box>[[1, 2, 3, -4]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 4.5]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 1e3]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, ٤]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, " + "9" * 5000 + "]]</box>", 21),
        ("a <ref>cat</ref><box>[1, 2, 3, 4]</box>", 21),
        ("a <ref>cat</ref><box>[]</box>", 21),
        ("a <ref>cat</ref><box></box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 4],]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 4]", 16),
        ("a <ref>cat</ref><box>" + "[" * 100_000 + "</box>", 21),
        ("a <ref>cat", 2),
        ("a cat</ref>", 5),
        ("a <ref>cat<ref>dog</ref>", 10),
        ("a <ref>cat</box>", 10),
        ("a <ref></ref><box>[[1, 2, 3, 4]]</box>", 2),
        ("a <ref cat</ref>", 2),
        ("a <ref>cat</ref><bo", 16),
        ("<box>[[1, 2, 3, 4]]</box></box>", 25),
    ],
)
def test_malformed_text_is_named_with_its_place(text, position):
    with pytest.raises(SampleError) as caught:
        internvl.decode(text, 640, 480)
    assert caught.value.code == "bad_internvl"
    assert caught.value.detail.endswith(f"at character {position}")
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize("text", ["a <ref>", "</box>", "x <box y", "cut <re", "<box>[[1, 2, 3, 4]]</box>"])
def test_a_text_with_tags_is_not_encoded(text):
    with pytest.raises(SampleError, match="reserved_tag"):
        internvl.encode(Grounded(text), 10, 10)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_bad_numbers_and_sizes(value):
    with pytest.raises(SampleError, match="bad_box"):
        internvl.encode(one((0, 0, value, 1)), 10, 10)
    with pytest.raises(SampleError, match="bad_box"):  # also where the region is left out
        internvl.encode(Grounded("", (Region("cat", ((0, 0, 1, value),)),)), 10, 10)
    for call in (lambda: internvl.encode(one((0, 0, 1, 1)), 0, 10), lambda: internvl.decode("cat", 10, 0)):
        with pytest.raises(SampleError, match="bad_size"):
            call()


def test_boxes_are_cut_to_the_picture():
    assert numbers((-0.1, 0.5, 1.1, 7), (9, 9)) == [0, 500, 1000, 1000]


@pytest.mark.parametrize(
    ("before", "unit", "after", "megabytes"),
    [
        ("", "<ref>cat</ref><box>[[1, 2, 3, 4]]</box>", "", 2),
        ("", "<ref>", "", 10),
        ("", "<", "", 10),
        ("", "<re", "", 10),
        ("<ref>a</ref><box>[", "[1, 2, 3, 4], ", "[1, 2]]</box>", 4),
        ("<ref>a</ref><box>[", " ", "</box>", 10),
        ("<ref>a</ref><box>", "1", "</box>", 10),
        ("<box>", "[[1, 2, 3, 4]]", "", 10),
    ],
    ids=["many", "refs", "angles", "halves", "late", "spaces", "digits", "open"],
)
def test_reading_is_linear(before, unit, after, megabytes):
    assert reading_grows(internvl, before, unit, after, megabytes) < 24
