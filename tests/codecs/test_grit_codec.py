import json

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import grit
from curate.errors import SampleError
from curate.sample import Grounded, Region

# The data instance of microsoft/unilm, kosmos-2/README.md, without the keys that a text does not know.
OFFICIAL = json.dumps(
    {
        "caption": "a wire hanger with a paper cover that reads we heart our customers",
        "width": 1024,
        "height": 693,
        "noun_chunks": [
            [19, 32, 0.019644069503434333, 0.31054004033406574, 0.9622142865754519, 0.9603442351023356, 0.79298526],
            [0, 13, 0.019422357885505368, 0.027634161214033764, 0.9593302408854166, 0.969467560450236, 0.67520964],
        ],
        "ref_exps": [
            [19, 66, 0.019644069503434333, 0.31054004033406574, 0.9622142865754519, 0.9603442351023356, 0.79298526],
            [0, 66, 0.019422357885505368, 0.027634161214033764, 0.9593302408854166, 0.969467560450236, 0.67520964],
        ],
    }
)

sides = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
boxes = st.tuples(sides, sides).map(lambda b: (b[0][0], b[1][0], b[0][1], b[1][1]))
texts = st.text(min_size=8, max_size=40)
sizes = st.sampled_from([(1, 7), (640, 480), (333, 1000)])
tags = st.sampled_from([(), ("noun_chunk",), ("ref_exp",), ("mine",)])
regions = st.tuples(
    st.integers(-1, 9), st.integers(0, 12), st.lists(boxes, max_size=3), st.none() | st.floats(0, 1), tags
)


def record(**changes):
    chunk = [0, 3, 0.1, 0.2, 0.3, 0.4, 0.5]
    plain = {"caption": "é cat", "width": 4, "height": 3, "noun_chunks": [chunk], "ref_exps": [chunk]}
    return json.dumps({**plain, **changes}, ensure_ascii=False)


def test_the_published_instance():
    grounded = grit.decode(OFFICIAL, 1024, 693)
    assert [(r.phrase, r.start, r.end, r.score, r.tags) for r in grounded.regions] == [
        ("a paper cover", 19, 32, 0.79298526, ("noun_chunk",)),
        ("a wire hanger", 0, 13, 0.67520964, ("noun_chunk",)),
        ("a paper cover that reads we heart our customers", 19, 66, 0.79298526, ("ref_exp",)),
        (grounded.text, 0, 66, 0.67520964, ("ref_exp",)),
    ]
    assert grounded.regions[0].boxes == (
        (0.019644069503434333, 0.31054004033406574, 0.9622142865754519, 0.9603442351023356),
    )
    assert grit.encode(grounded, 1024, 693) == OFFICIAL


def test_a_noun_chunk_without_an_expression_is_copied():
    box, other = (0.1, 0.2, 0.3, 0.4), (0.5, 0.5, 1.0, 1.0)
    grounded = Grounded(
        "a cat on it, a mat",
        (
            Region("a mat", (other,), start=13, end=18, tags=("noun_chunk",)),
            Region("a cat", (box,), start=0, end=5, score=0.75),
            Region("a cat on it", (box,), start=0, end=11, score=1, tags=("ref_exp",)),
            Region("it", ((0.0, 0.0, 1.0, 1.0),), start=9, end=11, tags=("ref_exp",)),
        ),
    )
    written = json.loads(grit.encode(grounded, 4, 3))
    assert written["noun_chunks"] == [[13, 18, *other, None], [0, 5, *box, 0.75]]
    assert written["ref_exps"] == [[13, 18, *other, None], [0, 11, *box, 1], [9, 11, 0.0, 0.0, 1.0, 1.0, None]]
    read = grit.decode(json.dumps(written), 4, 3)
    assert [(r.phrase, r.score, r.tags[0]) for r in read.regions] == [
        ("a mat", None, "noun_chunk"),
        ("a cat", 0.75, "noun_chunk"),
        ("a cat on it", 1, "ref_exp"),
        ("it", None, "ref_exp"),
    ]


def test_entries_of_one_span_are_one_region_with_the_least_score():
    entries = [[0, 1, 0, 0, 1, 1, 0.9], [2, 5, 0, 0, 1, 1, 0.8], [0, 1, 0, 0, 0.5, 1, 0.7]]
    first, second = grit.decode(record(noun_chunks=entries, ref_exps=[]), 9, 9).regions
    assert (first.boxes, first.score) == (((0, 0, 1, 1), (0, 0, 0.5, 1)), 0.7)
    assert second.phrase == "cat"


@given(texts, st.lists(regions, max_size=6), sizes)
@settings(max_examples=60)
def test_what_is_written_comes_back(text, drawn, size):
    some = tuple(
        Region(text[max(a, 0) : max(a, 0) + n], tuple(found), start=a, end=a + n, score=score, tags=tag)
        for a, n, found, score, tag in drawn
    )
    grounded = Grounded(text, some)
    written = grit.encode(grounded, *size)
    read = grit.decode(written, *size)
    assert read.text == text
    told = [r for i, r in enumerate(some) if i not in grit.uncoded(grounded)]
    by_span = {}
    for r in told:
        kind = "ref_exp" if r.tags == ("ref_exp",) else "noun_chunk"
        by_span.setdefault((kind, r.start, r.end), []).extend(r.boxes)
    chunks = {key[1:]: tuple(found) for key, found in by_span.items() if key[0] == "noun_chunk"}
    assert {(r.start, r.end): r.boxes for r in read.regions if r.tags == ("noun_chunk",)} == chunks
    for (kind, start, end), found in by_span.items():
        if kind == "ref_exp" and not chunks:
            assert [r.boxes for r in read.regions if (r.start, r.end) == (start, end)] == [tuple(found)]
    if len({(r.start, r.end) for r in told}) == len(told) and all(r.tags == ("noun_chunk",) for r in told):
        assert list(read.regions) == told
        assert grit.encode(read, *size) == written
    again = grit.decode(grit.encode(read, *size), *size)
    assert {(r.start, r.end, r.tags) for r in again.regions} == {(r.start, r.end, r.tags) for r in read.regions}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", ""),
        ("[]", "["),
        ("[" * 100_000, "["),
        ('{"caption": ' + "9" * 5000 + "}", "99"),
        ('{"caption": "a",}', "}"),
        (record(caption=5), "5"),
        (record(width=0), "0,"),
        (record(height=2.5), "2.5"),
        (record(height=True), "true"),
        ('{"caption": "a", "width": 1}', "{"),
        (record(noun_chunks={}), "{}"),
        (record(noun_chunks=[[0, 3, 0.1, 0.2, 0.3, 0.4, 0.5], [1, 3, 0.1, 0.2, 0.3, 0.4]]), "[1, 3"),
        (record(noun_chunks=[[0, 3, 0.1, 0.2, 0.3, float("nan"), 0.5]]), "NaN"),
        (record(noun_chunks=[[0, 3, 0.1, 0.2, float("inf"), 0.4, 0.5]]), "Infinity"),
        (record(noun_chunks=[[0, 3, 0.1, 0.2, 0.3, 0.4, float("nan")]]), "NaN"),
        (record(noun_chunks=[[0, 3, 0.1, 0.2, 10**4000, 0.4, 0.5]]), "1000"),
        (record(noun_chunks=[[0, 3, 0.1, 0.2, "0.3", 0.4, 0.5]]), '"0.3"'),
        (record(noun_chunks=[[0, 3, 0.3, 0.2, 0.1, 0.4, 0.5]]), "[0, 3"),
        (record(noun_chunks=[[0, 3, 0.1, 0.2, 1.1, 0.4, 0.5]]), "[0, 3"),
        (record(noun_chunks=[[0, 6, 0.1, 0.2, 0.3, 0.4, 0.5]]), "[0, 6"),
        (record(noun_chunks=[[2, 2, 0.1, 0.2, 0.3, 0.4, 0.5]]), "[2, 2"),
        (record(noun_chunks=[[0.5, 3, 0.1, 0.2, 0.3, 0.4, 0.5]]), "[0.5, 3"),
        (record(ref_exps=[None]), "null"),
    ],
)
def test_malformed_records_are_named_with_their_place(text, at):
    with pytest.raises(SampleError) as caught:
        grit.decode(text, 4, 3)
    assert caught.value.code == "bad_grit"
    assert caught.value.detail.endswith(f"at character {text.index(at)}")
    assert len(caught.value.detail) < 200


def test_the_last_of_two_equal_keys_is_the_one_that_is_named():
    text = '{"caption": "a", "width": 1, "height": 1, "noun_chunks": [], "noun_chunks" : [ [] , 7 ]}'
    with pytest.raises(SampleError, match=rf"noun_chunks\[0\].* at character {text.index('[] ,')}$"):
        grit.decode(text, 1, 1)


def test_what_cannot_be_written_is_refused():
    def one(box, score=None):
        return Grounded("cat", (Region("cat", (box,), start=0, end=3, score=score),))

    for box in ((0, 0, float("nan"), 1), (0, float("-inf"), 1, 1), (1, 0, 0, 1)):
        with pytest.raises(SampleError, match="bad_box"):
            grit.encode(one(box), 4, 3)
    with pytest.raises(SampleError, match="bad_score"):
        grit.encode(one((0, 0, 1, 1), float("nan")), 4, 3)
    with pytest.raises(SampleError, match="bad_size"):
        grit.encode(one((0, 0, 1, 1)), 0, 3)
    with pytest.raises(SampleError, match="bad_size"):
        grit.decode(OFFICIAL, 0, 3)
    assert "[0, 3, 0.0, 0, 1.0, 1, null]" in grit.encode(one((-0.5, 0, 1.5, 1)), 4, 3)


def test_markup_and_quotes_are_words():
    text = 'a "<ref>" \\ \n \u2028 <grounding> {"caption"} 猫'
    assert grit.decode(grit.encode(Grounded(text), 4, 3), 4, 3) == Grounded(text)


@pytest.mark.parametrize("unit", ["<ref>", '\\"'])
def test_reading_a_long_caption_is_linear(unit):
    head, tail = record().split("é cat")
    assert growth(lambda size: grit.decode(head + unit * (size // len(unit)) + tail, 4, 3), 2_500_000 // 8) < 24


@pytest.mark.parametrize("last", ["[0, 3, 0.1, 0.2, 0.3, 0.4, 0.5]", "[0, 3, 0.1, 0.2, 0.3, 9, 0.5]"])
def test_reading_many_entries_is_linear(last):
    head, tail = record(noun_chunks=[7], ref_exps=[]).split("[7]")

    def read(count):
        try:
            grit.decode(head + "[" + "[0, 3, 0.1, 0.2, 0.3, 0.4, 0.5], " * count + last + "]" + tail, 4, 3)
        except SampleError as error:
            assert error.code == "bad_grit"

    assert growth(read, 1_000) < 24
