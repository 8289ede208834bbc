import json

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import odvg
from curate.errors import SampleError
from curate.sample import Grounded, Region

CAPTION = "a wire hanger with a paper cover that reads we heart our customers"

# The "grounding" record of longzw1997/Open-GroundingDino, data_format.md, without its file name.
OPEN_GROUNDING_DINO = json.dumps(
    {
        "filename": "",
        "height": 693,
        "width": 1024,
        "grounding": {
            "caption": CAPTION,
            "regions": [
                {"bbox": [20, 215, 985, 665], "phrase": "a paper cover that reads we heart our customers"},
                {"bbox": [19, 19, 982, 671], "phrase": "a wire hanger"},
            ],
        },
    }
)

# The same as open-mmlab/mmdetection's tools/dataset_converters/grit2odvg.py makes it of GRiT's published instance
# (pixels to three digits, spans); two boxes of a phrase are a list, as mmdet/datasets/odvg.py reads them.
MMDETECTION = json.dumps(
    {
        "filename": "",
        "height": 693,
        "width": 1024,
        "grounding": {
            "caption": CAPTION,
            "regions": [
                {
                    "bbox": [20.116, 215.204, 985.307, 665.519],
                    "phrase": "a paper cover that reads we heart our customers",
                    "tokens_positive": [[19, 66]],
                },
                {
                    "bbox": [[19.888, 19.15, 982.354, 671.841], [0, 0, 1, 2.5]],
                    "phrase": CAPTION,
                    "tokens_positive": [[0, 66]],
                },
            ],
        },
    }
)

sides = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
boxes = st.tuples(sides, sides).map(lambda b: (b[0][0], b[1][0], b[0][1], b[1][1]))
texts = st.text(min_size=4, max_size=40)
sizes = st.sampled_from([(1, 7), (640, 480), (333, 1000)])
spans = st.none() | st.tuples(st.integers(-1, 41), st.integers(-1, 41))
regions = st.tuples(st.text(max_size=5), spans, st.lists(boxes, max_size=3))


def record(bbox=(1, 2, 3, 4), region=(), grounding=(), **changes):
    listed = [{"bbox": bbox, "phrase": "cat", **dict(region)}]
    plain = {
        "filename": "é",
        "height": 8,
        "width": 10,
        "grounding": {"caption": "é cat", "regions": listed, **dict(grounding)},
    }
    return json.dumps({**plain, **changes}, ensure_ascii=False)


def test_the_published_record():
    grounded = odvg.decode(OPEN_GROUNDING_DINO, 1024, 693)
    assert grounded == Grounded(
        CAPTION,
        (
            Region("a paper cover that reads we heart our customers", ((20 / 1024, 215 / 693, 985 / 1024, 665 / 693),)),
            Region("a wire hanger", ((19 / 1024, 19 / 693, 982 / 1024, 671 / 693),)),
        ),
    )
    assert odvg.encode(grounded, 1024, 693) == OPEN_GROUNDING_DINO


def test_the_record_of_mmdetection():
    grounded = odvg.decode(MMDETECTION, 1024, 693)
    assert [(r.start, r.end, len(r.boxes)) for r in grounded.regions] == [(19, 66, 1), (0, 66, 2)]
    assert odvg.encode(grounded, 1024, 693) == MMDETECTION
    official = (0.019644069503434333, 0.31054004033406574, 0.9622142865754519, 0.9603442351023356)
    assert grounded.regions[0].boxes[0] == pytest.approx(official, abs=0.0005 / 693)
    again = Region(grounded.regions[0].phrase, (official,), start=19, end=66)
    assert '"bbox": [20.116, 215.204, 985.307, 665.519]' in odvg.encode(Grounded(CAPTION, (again,)), 1024, 693)


def test_a_phrase_of_several_stretches_has_no_place():
    text = record(region={"phrase": ["é", "cat"], "tokens_positive": [[0, 1], [2, 5]]})
    (region,) = odvg.decode(text, 10, 8).regions
    assert (region.phrase, region.start, region.end) == ("é cat", None, None)


@given(texts, st.lists(regions, max_size=6), sizes)
@settings(max_examples=60)
def test_what_is_written_comes_back(text, drawn, size):
    some = tuple(
        Region(phrase, tuple(found)) if span is None else Region(phrase, tuple(found), start=span[0], end=span[1])
        for phrase, span, found in drawn
    )
    grounded = Grounded(text, some)
    written = odvg.encode(grounded, *size)
    read = odvg.decode(written, *size)
    told = [r for i, r in enumerate(some) if i not in odvg.uncoded(grounded)]
    assert read.text == text
    assert [(r.phrase, r.start, r.end) for r in read.regions] == [(r.phrase, r.start, r.end) for r in told]
    for old, new in zip(told, read.regions, strict=True):
        for one, two in zip(old.boxes, new.boxes, strict=True):
            assert max(abs(a - b) for a, b in zip(one, two, strict=True)) <= odvg.TOLERANCE / min(size)
    assert odvg.encode(read, *size) == written


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("{,", ","),
        ("[7]", "[7]"),
        (record(height=0), "0,"),
        (record(width="10"), '"10"'),
        (record(grounding={"caption": None}), "null"),
        (record(grounding={"regions": {}}), "{}"),
        (record(grounding={"regions": [[]]}), "[]]"),
        (json.dumps({"height": 8, "width": 10, "detection": {}}), "{"),
        (record(region={"phrase": 7}), "7"),
        (record(region={"phrase": ["a", 7]}), "7"),
        (record((1, 2, 3)), "[1, 2"),
        (record([]), "[]"),
        (record([[1, 2, 3, 4], 5]), "5]"),
        (record([[1, 2, 3, 4], [1, 2, 3]]), "[1, 2, 3]"),
        (record((1, 2, 3, float("nan"))), "NaN"),
        (record((1, 2, float("-inf"), 4)), "-Infinity"),
        (record((1, 2, 10**4000, 4)), "10000"),
        (record((3, 2, 1, 4)), "[3, 2"),
        (record((1, 2, 3, 9)), "[1, 2"),
        (record((-1, 2, 3, 4)), "[-1"),
        (record(region={"tokens_positive": [[0, 6]]}), "[0, 6"),
        (record(region={"tokens_positive": [[3, 2]]}), "[3, 2"),
        (record(region={"tokens_positive": [[0, 1], [0, 0.5]]}), "[0, 0.5"),
        (record(region={"tokens_positive": 5}), "5}"),
    ],
)
def test_malformed_records_are_named_with_their_place(text, at):
    with pytest.raises(SampleError) as caught:
        odvg.decode(text, 10, 8)
    assert caught.value.code == "bad_odvg"
    assert caught.value.detail.endswith(f"at character {text.index(at)}")
    assert len(caught.value.detail) < 200


def test_half_a_pixel_over_the_edge_is_cut():
    (region,) = odvg.decode(record((-0.5, 2, 10.25, 8.5)), 10, 8).regions
    assert region.boxes == ((0, 0.25, 1, 1),)


def test_pixels_are_of_the_size_that_the_record_states():
    assert odvg.decode(record(), 5, 4) == odvg.decode(record(), 10, 8)


def test_what_cannot_be_written_is_refused():
    for box in ((0, 0, float("nan"), 1), (0, float("-inf"), 1, 1), (1, 0, 0, 1)):
        with pytest.raises(SampleError, match="bad_box"):
            odvg.encode(Grounded("", (Region("a", (box,)),)), 4, 3)
    with pytest.raises(SampleError, match="bad_size"):
        odvg.encode(Grounded(""), 4, 0)
    assert '"bbox": [0, 0, 4, 3]' in odvg.encode(Grounded("", (Region("a", ((-1, 0, 2, 1),)),)), 4, 3)


def test_a_bare_box_keeps_its_place():
    grounded = Grounded("a 🎈 b", (Region("", ((0.0, 0.25, 0.5, 1.0),), start=2, end=2),))
    assert odvg.uncoded(grounded) == ()
    assert odvg.decode(odvg.encode(grounded, 4, 4), 4, 4) == grounded


@pytest.mark.parametrize("unit", ["<ref>", '\\"'])
def test_reading_a_long_caption_is_linear(unit):
    head, tail = record().split("é cat")
    assert growth(lambda size: odvg.decode(head + unit * (size // len(unit)) + tail, 4, 3), 2_500_000 // 8) < 24


@pytest.mark.parametrize("last", [[1, 2, 3, 4], [1, 2, 3]])
def test_reading_many_boxes_is_linear(last):
    def read(count):
        try:
            odvg.decode(record([[1, 2, 3, 4]] * count + [last]), 10, 8)
        except SampleError as error:
            assert error.code == "bad_odvg"

    assert growth(read, 2_000) < 24
