import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import SampleError
from curate.grounding import decimals
from curate.grounding.spans import in_order, told, written
from curate.kernels.boxes import square_pad
from curate.sample import Grounded, Region

SIZES = [(640, 480), (480, 640), (1, 7), (7, 1), (333, 1000), (501, 300), (300, 300), (1, 1), (16384, 3)]

unit = st.floats(0, 1) | st.integers(0, 2000).map(lambda n: n / 2000) | st.integers(0, 640).map(lambda n: n / 640)
boxes = st.tuples(unit, unit, unit, unit).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)


@given(boxes, st.sampled_from([None, *SIZES]), st.sampled_from([2, 3]), st.booleans())
@settings(max_examples=60)
def test_a_writer_rounds_as_python_does(box, padded, digits, short):
    exact = decimals.to_pad(box, *padded) if padded else box
    expected = [repr(round(v, digits)) if short else f"{v:.{digits}f}" for v in exact]
    write = decimals.writer("%s %s %s %s", digits, short=short, padded=padded)
    assert write(box).split() == expected


# 155 / 300 * 300 is not 155, and (155 + 50) / 400 lies on a half
@pytest.mark.parametrize("size", [*SIZES, (400, 300)])
def test_whole_pixels_are_padded_as_whole_pixels(size):
    side = max(size)
    for px in range(0, side + 1, max(1, side // 700)):
        x, y = min(px, size[0]), min(px, size[1])
        expected = ((x + (side - size[0]) // 2) / side, (y + (side - size[1]) // 2) / side)
        assert decimals.to_pad((x / size[0], y / size[1]) * 2, *size) == expected * 2


@given(boxes, st.sampled_from(SIZES))
def test_there_and_back_through_the_pad(box, size):
    padded = decimals.to_pad(box, *size)
    assert padded == pytest.approx(square_pad([box], size)[0], abs=1e-6)
    back = square_pad([decimals.from_pad(padded, *size)], size)[0]
    assert back == pytest.approx(padded, abs=1e-9)


def test_what_lies_in_the_padding_becomes_the_edge():
    assert decimals.from_pad((0.0, 0.0, 1.0, 1.0), 640, 480) == (0.0, 0.0, 1.0, 1.0)
    assert decimals.from_pad((0.25, 0.0, 0.5, 0.1), 640, 480) == (0.25, 0.0, 0.5, 0.0)


@pytest.mark.parametrize(
    ("box", "says"),
    [
        ((math.nan, 0, 1, 1), "not finite"),
        ((0, 0, 1, math.nan), "not finite"),
        ((0, -math.inf, 1, 1), "not finite"),
        ((0, 0, math.inf, 1), "not finite"),
        ((0.6, 0, 0.5, 1), "wrong way round"),
        ((0, 0.6, 1, 0.5), "wrong way round"),
    ],
)
def test_a_box_that_is_none(box, says):
    with pytest.raises(SampleError, match=says) as caught:
        decimals.cut(box)
    assert caught.value.code == "bad_box"


def test_a_box_is_cut_to_the_picture():
    assert decimals.cut((-1, 0.25, 0.5, 7)) == (0.0, 0.25, 0.5, 1.0)
    assert str(decimals.cut((-0.0, -0.0, 1, 1))) == "(0.0, 0.0, 1.0, 1.0)"
    assert decimals.cut((2, 2, 3, 3)) == (1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("text", ["[1,2,3,4]", "[0.1, .5,1.,1]", "[ 0 ,\t0 ,\n1 , 1 ]", "[0,0,0,0]"])
def test_what_is_a_box(text):
    assert re.fullmatch(rf"\[{decimals.several(', ')}", text)
    assert re.fullmatch(rf"\[{decimals.SEMICOLONS}", text)
    assert re.match(decimals.OPEN + decimals.HALF, text), "every box begins as half a box does"


@pytest.mark.parametrize(
    "text", ["[0,0,1]", "[0,0,1,1,1]", "[0,0,1,]", "[0 0 1 1]", "[+0,0,1,1]", "[0,0,1,1e0]", "[0,0,1,١]", "(0,0,1,1)"]
)
def test_what_is_no_box(text):
    assert not re.fullmatch(rf"\[{decimals.several(', ')}", text)


def test_the_place_of_the_box_that_is_wrong():
    with pytest.raises(SampleError, match=r"bad_x: a coordinate above 1: .* at character 32"):
        decimals.read_boxes("0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 1.4]", 10, "bad_x")
    with pytest.raises(SampleError, match="absurd length at character 10"):
        decimals.read_boxes("0.1, 0.2, 0.3, 0." + "4" * 10**6 + "]", 10, "bad_x")


texts = st.text(st.sampled_from("ab c"), max_size=12)


@given(
    texts, st.lists(st.tuples(st.integers(-1, 13), st.integers(-1, 13), st.integers(0, 2)), max_size=5), st.booleans()
)
@settings(max_examples=80)
def test_the_short_way_tells_what_the_long_one_does(text, spans, ordered):
    spans = sorted(spans) if ordered else spans
    regions = tuple(Region("", ((0.0, 0.0, 1.0, 1.0),) * boxes, start=a, end=b) for a, b, boxes in spans)
    sample = Grounded(text, (*regions, *([Region("", ())] if len(spans) == 4 else [])))
    assert list(told(sample).items()) == list(written(sample).items())


def test_spans_in_order_take_the_short_way():
    box = ((0.0, 0.0, 1.0, 1.0),)
    sample = Grounded("ab c", (Region("ab", box, start=0, end=2), Region("c", box, start=3, end=4)))
    assert in_order(sample) == {(0, 2): [0], (3, 4): [1]}
    assert in_order(Grounded("ab c", sample.regions[::-1])) is None
