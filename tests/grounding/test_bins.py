import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import SampleError
from curate.grounding import bins
from curate.grounding.spans import written
from curate.sample import Grounded, Region

FORM = bins.tags("bad_form", ("<p>", "</p>"), ("<b>", "</b>"), ("<b>", ";", "</b>"), listed=True)
SPACED = bins.tags("bad_form", ("<p>", "</p>"), ("<b>", "</b>"), ("<b>", ";", "</b>"), listed=True, spaced=True)
SINGLE = bins.tags("bad_form", ("<p>", "</p>"), ("<b>", "</b>"), ("<b>", "</b><b>", "</b>"), listed=False)
BOX = (0.25, 0.5, 0.75, 1.0)


def number(box, width, height):
    return str(round(box[0] * 4))


def numbers(text, start, end):
    return [(int(n) / 4, 0.5, 0.75, 1.0) for n in text[start:end].split(";")]


def at(text, *spans):
    return Grounded(text, tuple(Region(text[a:b], (BOX,), start=a, end=b) for a, b in spans))


@pytest.mark.parametrize("size", [1, 3, 7, 100, 333, 640, 4001])
def test_a_whole_pixel_is_one_again(size):
    for px in range(size + 1):
        assert bins.pixels((px / size,) * 4, size, size) == (px,) * 4


def test_pixels_between_whole_ones_stay():
    assert bins.pixels((0.001, 0.5, 0.9, 0.9999), 100, 7) == pytest.approx((0.1, 3.5, 90, 6.9993))
    assert bins.pixels((0.00002, 0, 1, 1), 1, 1)[0] == 0.00002


def test_a_box_is_cut_to_the_picture():
    assert bins.shares((-0.5, 0.25, 3, 1.5)) == (0, 0.25, 1, 1)
    assert bins.shares((1.5, -3, 2, -1)) == (1, 0, 1, 0)
    assert bins.shares(BOX) is BOX


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), 10**5000], ids=["nan", "inf", "-inf", "huge"]
)
def test_a_coordinate_that_is_not_finite(place, value):
    box = [0.0, 0.0, 1.0, 1.0]
    box[place] = value
    with pytest.raises(SampleError) as caught:
        bins.shares(tuple(box))
    assert caught.value.code == "bad_box"
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize("box", [(0.5, 0, 0.25, 1), (0, 0.5, 1, 0.25), (2, 0, 1.5, 1)])
def test_inverted_corners_are_not_written(box):
    with pytest.raises(SampleError, match=r"bad_box.*inverted"):
        bins.shares(box)


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (-3, 5)])
def test_a_picture_without_pixels(size):
    with pytest.raises(SampleError, match="bad_size"):
        bins.check_size(*size)
    bins.check_size(1, 1)


def test_numbers_of_a_box_are_checked():
    assert bins.checked("bad_form", (3, 4, 3, 9), 9, 0) == (3, 4, 3, 9)
    for ints in [(0, 0, 10, 1), (5, 0, 4, 1), (0, 5, 1, 4)]:
        with pytest.raises(SampleError, match=r"bad_form: .* at character 7$"):
            bins.checked("bad_form", ints, 9, 7)


def test_middles_stand_in_their_bins():
    assert bins.middle(0) == 0.0005
    assert bins.middle(1, 4) == 0.375
    assert all(int(bins.middle(n) * 1000) == n for n in range(1000))


def test_regions_of_one_span_share_a_phrase():
    regions = (
        Region("dog", (BOX,), start=4, end=7),
        Region("cat", (BOX,)),
        Region("dog", (BOX,), start=4, end=7),
        Region("cat", (BOX,)),
        Region("dog", (BOX,), start=9, end=12),
        Region("cow", ()),
    )
    assert bins.by_phrase(Grounded("", regions)) == [("dog", [0, 2]), ("cat", [1]), ("cat", [3]), ("dog", [4])]


@given(st.text("a b", max_size=12), st.lists(st.tuples(st.integers(-1, 13), st.integers(-1, 13)), max_size=4))
def test_the_short_way_finds_what_the_long_one_does(text, spans):
    grounded = at(text, *spans)
    short = bins._in_order(grounded)
    if short:
        assert short == list(written(grounded).items())
    marks = bins._marks(FORM, grounded)
    assert [(start, end, indices) for start, end, _, indices in marks] == [
        (*span, indices) for span, indices in written(grounded).items()
    ]


def test_spans_in_order_take_the_short_way():
    assert bins._in_order(at("a cat", (0, 1), (2, 5)))
    assert not bins._in_order(at("a cat", (2, 5), (0, 1)))
    assert not bins._in_order(at("a cat", (2, 5), (5, 5)))


def test_boxes_without_a_phrase_stand_where_they_stood():
    text = "<b>1</b>a <p>cat</p><b>2;3</b><b>1</b> b<b>0</b>"
    grounded = bins.read(FORM, text, numbers)
    assert grounded.text == "a cat b"
    assert [(r.phrase, r.start, r.end, len(r.boxes)) for r in grounded.regions] == [
        ("", 0, 0, 1),
        ("cat", 2, 5, 2),
        ("", 5, 5, 1),
        ("", 7, 7, 1),
    ]
    assert bins.left_out(FORM, grounded) == ()
    assert bins.write(FORM, grounded, number, 9, 9) == text


def test_boxes_with_tags_of_their_own_go_to_the_phrase_before_them():
    grounded = bins.read(SINGLE, "<p>cat</p><b>1</b><b>2</b>, <b>1</b><b>3</b>", numbers)
    assert [(r.phrase, r.start, len(r.boxes)) for r in grounded.regions] == [("cat", 0, 2), ("", 5, 2)]
    behind = at("cat", (0, 3), (3, 3))
    assert bins.left_out(SINGLE, behind) == (1,)
    assert bins.left_out(FORM, behind) == ()
    assert bins.write(SINGLE, behind, number, 9, 9) == "<p>cat</p><b>1</b>"


def test_the_space_before_a_phrase_stands_inside():
    grounded = at("a cat  b", (0, 1), (2, 5), (6, 8))
    text = "<p> a</p><b>1</b><p> cat</p><b>1</b><p>  b</p><b>1</b>"
    assert bins.write(SPACED, grounded, number, 9, 9) == text
    assert bins.read(SPACED, text, numbers).text == grounded.text
    assert [(r.start, r.end) for r in bins.read(SPACED, text, numbers).regions] == [(0, 1), (2, 5), (6, 8)]


@pytest.mark.parametrize(
    ("words", "spans", "text"),
    [
        ("a cat", [(2, 2), (2, 5)], "a <b>1</b><p>cat</p><b>1</b>"),  # a box stands between the space and the phrase
        ("a cat", [(1, 1), (2, 5)], "a<b>1</b><p> cat</p><b>1</b>"),
        ("a cat", [(0, 2), (2, 5)], "<p> a </p><b>1</b><p>cat</p><b>1</b>"),  # the space is the other phrase's
        (" cat", [(1, 4)], " <p>cat</p><b>1</b>"),  # the space that begins a text would be the tag's own
        ("cat", [(0, 0), (0, 3)], "<b>1</b><p> cat</p><b>1</b>"),
    ],
)
def test_a_space_that_stays_outside(words, spans, text):
    grounded = at(words, *spans)
    assert bins.write(SPACED, grounded, number, 9, 9) == text
    read = bins.read(SPACED, text, numbers)
    assert (read.text, [(r.start, r.end) for r in read.regions]) == (words, spans)


def test_a_space_that_would_be_taken_for_the_tags_own_is_left_out():
    assert bins.left_out(SPACED, at("a cat", (1, 5))) == (0,)
    assert bins.left_out(SPACED, at("a cat", (0, 2), (2, 5))) == ()
    assert bins.left_out(FORM, at("a cat", (1, 5))) == ()


def test_a_phrase_without_boxes_is_a_region_without_boxes():
    (region,) = bins.read(FORM, "where is <p>the cat</p>?", numbers).regions
    assert region == Region("the cat", (), start=9, end=16)


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a <p>b", 2),
        ("a <p>b<p>c</p>", 6),
        ("a <p>b<b>1</b></p>", 6),
        ("a </p>", 2),
        ("a </b>", 2),
        ("a <p>b</p><b>1", 10),
        ("a <p></p>", 2),
        ("a <p b", 2),
        ("a <p>b</p", 6),
        ("a </", 2),
        ("a <b", 2),
    ],
)
def test_tags_that_do_not_pair_up(text, position):
    with pytest.raises(SampleError) as caught:
        bins.read(FORM, text, numbers)
    assert caught.value.code == "bad_form"
    assert caught.value.detail.endswith(f"at character {position}")


@pytest.mark.parametrize("text", ["a <p>", "</b>", "x <b y", "cut </"])
def test_a_text_with_tags_is_not_written(text):
    with pytest.raises(SampleError, match=r"reserved_tag.* at character"):
        bins.write(FORM, Grounded(text), number, 9, 9)


@pytest.mark.parametrize("text", ["2 < 3", "<part> <b2> <", "<>", "p>"])
def test_other_angle_brackets_are_words(text):
    assert bins.read(FORM, text, numbers) == Grounded(text)
    assert bins.write(FORM, Grounded(text), number, 9, 9) == text
