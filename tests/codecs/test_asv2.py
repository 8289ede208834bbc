import json

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import asv2, plain
from curate.errors import SampleError
from curate.grounding import asv2_ints, asv2_read, rec
from curate.kernels.boxes import square_pad
from curate.sample import Grounded, Region, Relation

# All-Seeing v2's published example (facts section 1.1): 640 x 514.
BUS = (
    "a tall red <ref>bus</ref><box>[[290, 260, 835, 781]]</box> is <pred>driving on</pred>"
    "<box>[[290, 260, 835, 781]]</box><box>[[0, 583, 984, 900]]</box> a <ref>road</ref>"
    "<box>[[0, 583, 984, 900]]</box>"
)

# facts section 1.2: size, pixels, before the pad, padded, un-padded again.
CHAIN = [
    ((640, 514), (186, 104, 535, 438), (290, 202, 835, 851), (290, 260, 835, 781), (290, 201, 835, 850)),
    ((640, 480), (0, 0, 640, 480), (0, 0, 999, 999), (0, 124, 999, 874), (0, 0, 999, 998)),
    ((480, 640), (10, 20, 300, 400), (20, 31, 624, 624), (139, 31, 592, 624), (18, 31, 622, 624)),
    ((501, 300), (1, 2, 500, 299), (1, 6, 997, 995), (1, 202, 997, 795), (1, 4, 997, 994)),
]

sizes = st.tuples(st.integers(1, 4000), st.integers(1, 4000))
unit = st.floats(0, 1)
boxes = st.tuples(unit, unit, unit, unit).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)


def one(box, text="cat"):
    return Grounded(text, (Region(text, (box,), start=0, end=len(text)),))


@pytest.mark.parametrize(("size", "px", "raw", "padded", "unpadded"), CHAIN)
def test_the_official_chain(size, px, raw, padded, unpadded):
    side = max(size)
    sides = (*size, *size)
    assert tuple(asv2_ints.to_999(v, s) for v, s in zip(px, sides, strict=True)) == raw
    assert tuple(asv2_ints.pad_999(v, s, side) for v, s in zip(raw, sides, strict=True)) == padded
    assert tuple(asv2_ints.unpad_999(v, s, side) for v, s in zip(padded, sides, strict=True)) == unpadded
    box = tuple(v / s for v, s in zip(px, sides, strict=True))
    assert asv2.encode(one(box), *size) == f"<ref>cat</ref><box>{json.dumps([list(padded)])}</box>"


@pytest.mark.parametrize("size", [(640, 640), (333, 333)])
def test_a_square_picture_is_truncated_once(size):
    for px in range(size[0] + 1):
        written = asv2.encode(one((px / size[0],) * 4), *size)
        assert json.dumps([[int(px / size[0] * 999)] * 4]) in written


def test_the_published_example_reads_and_writes():
    grounded = asv2.decode(BUS, 640, 514)
    assert grounded.text == "a tall red bus is driving on a road"
    bus, road = grounded.regions
    assert (bus.phrase, bus.start, bus.end) == ("bus", 11, 14)
    assert (road.phrase, road.start, road.end) == ("road", 31, 35)
    (relation,) = grounded.relations
    assert relation == Relation("driving on", (0,), (1,), start=18, end=28)
    assert bus.boxes[0] == pytest.approx((186 / 640, 104 / 514, 535 / 640, 438 / 514), abs=2e-3)
    assert asv2.encode(grounded, 640, 514) == BUS


@given(boxes, sizes)
@settings(max_examples=80)
def test_the_error_stays_below_the_tolerance(box, size):
    (region,) = asv2.decode(asv2.encode(one(box), *size), *size).regions
    before, after = square_pad([box], size)[0], square_pad(region.boxes, size)[0]
    assert abs(before - after).max() <= asv2.TOLERANCE


@given(st.lists(boxes, min_size=1, max_size=3), sizes)
def test_no_drift_from_one_round_to_the_next(some, size):
    grounded = Grounded("a cat", (Region("cat", tuple(some), start=2, end=5),))
    written = asv2.encode(grounded, *size)
    assert asv2.encode(asv2.decode(written, *size), *size) == written


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


some_spans = st.lists(
    st.tuples(st.integers(-2, 41), st.integers(-1, 41)) | st.integers(0, 9).map(lambda a: (a, a)), max_size=6
)


@given(words, some_spans, st.data())
@settings(max_examples=60)
def test_nothing_vanishes_silently(text, spans, data):
    size = (640, 480)
    regions = tuple(
        Region(text[max(a, 0) : max(b, 0)], ((0.0, 0.0, (i + 1) / 10, 1.0),), start=a, end=b)
        if a >= -1
        else Region("", ((0.0, 0.0, (i + 1) / 10, 1.0),))
        for i, (a, b) in enumerate(spans)
    )
    places = st.lists(st.integers(0, len(spans) - 1), min_size=1, max_size=2) if spans else st.just([])
    told = data.draw(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 40), places, places), max_size=3))
    relations = tuple(Relation("p", tuple(s), tuple(o), start=a, end=b) for a, b, s, o in told)
    grounded = Grounded(text, regions, relations)
    try:
        written = asv2.encode(grounded, *size)
    except SampleError as error:
        assert error.code == "reserved_tag"
        return
    read = asv2.decode(written, *size)
    assert read.text == text
    missing = asv2.uncoded(grounded)
    kept = sorted({(r.start, r.end) for i, r in enumerate(regions) if i not in missing and r.start is not None})
    assert [(r.start, r.end) for r in read.regions if r.start is not None] == kept
    assert sum(len(r.boxes) for r in read.regions) == len(regions) - len(missing)
    assert len(read.relations) == len(relations) - len(asv2.uncoded_relations(grounded))
    assert asv2.encode(read, *size) == written


def test_regions_of_one_span_share_a_ref_and_the_longest_span_wins():
    whole, left, right = (0, 0, 1, 1), (0, 0, 0.5, 1), (0.5, 0, 1, 1)
    grounded = Grounded(
        "a wire hanger",
        (
            Region("wire hanger", (left,), start=2, end=13),
            Region("a wire hanger", (whole,), start=0, end=13),
            Region("a wire hanger", (right,), start=0, end=13),
            Region("hanger", (whole,)),
            Region("a", (), start=0, end=1),
        ),
        (Relation("wire", (0,), (1,), start=2, end=6),),
    )
    assert asv2.uncoded(grounded) == (0, 3, 4)
    assert asv2.uncoded_relations(grounded) == (0,)
    assert asv2.encode(grounded, 100, 100) == (
        "<ref>a wire hanger</ref><box>[[0, 0, 999, 999], [499, 0, 999, 999]]</box>"
    )


@pytest.mark.parametrize(
    "text",
    [
        "<ref>cat</pred><box>[[1, 2, 3, 4]]</box>",
        "<ref>cat</ref> there <box>[[1,2,3,4]]</box>",
        "<ref>cat</ref><box> [ [1 ,2, 3,\t4] ] </box>",
    ],
)
def test_the_parser_is_as_tolerant_as_the_official_one(text):
    grounded = asv2.decode(text, 999, 999)
    assert grounded.text.startswith("cat")
    assert len(grounded.regions[0].boxes) == 1


def test_boxes_that_no_phrase_named():
    text = "<box>[[5, 5, 6, 6]]</box><pred>on</pred><box>[[1, 2, 3, 4]]</box><box>[]</box>"
    grounded = asv2.decode(text, 99, 99)
    assert [(r.phrase, r.start, r.end, len(r.boxes)) for r in grounded.regions] == [("", 0, 0, 1), ("", None, None, 1)]
    assert grounded.relations == (Relation("on", (1,), (), start=0, end=2),)
    assert asv2.encode(grounded, 99, 99) == text
    assert asv2.uncoded(grounded) == ()


def test_a_bare_box_stands_where_no_phrase_can_claim_it():
    def bare(at, *some):
        return Region("", some, start=at, end=at)

    left, right, whole = (0, 0, 0.5, 1), (0.5, 0, 1, 1), (0, 0, 1, 1)
    cat = Region("cat", (whole,), start=5, end=8)
    grounded = Grounded(
        "at a cat", (bare(3, left, right), bare(5, whole), cat, bare(8, left), bare(6, left), bare(9, left))
    )
    assert asv2.uncoded(grounded) == (3, 4, 5)
    written = asv2.encode(grounded, 9, 9)
    assert written == (
        "at <box>[[0, 0, 499, 999], [499, 0, 999, 999]]</box>a <box>[[0, 0, 999, 999]]</box>"
        "<ref>cat</ref><box>[[0, 0, 999, 999]]</box>"
    )
    read = asv2.decode(written, 9, 9)
    assert [(r.phrase, r.start, r.end, len(r.boxes)) for r in read.regions] == [
        ("", 3, 3, 2),
        ("", 5, 5, 1),
        ("cat", 5, 8, 1),
    ]
    assert asv2.encode(read, 9, 9) == written


def test_a_predicate_claims_boxes_too():
    boxes = ((0, 0, 0.5, 1), (0.5, 0, 1, 1))
    before, after = Region("", boxes[:1], start=1, end=1), Region("", boxes[1:], start=4, end=4)
    on = Relation("on", (0,), (0,), start=2, end=4)
    grounded = Grounded("a on", (before, after), (on,))
    assert asv2.uncoded(grounded) == (1,)
    text = "a<box>[[0, 0, 499, 999]]</box> <pred>on</pred><box>[[0, 0, 499, 999]]</box><box>[[0, 0, 499, 999]]</box>"
    assert asv2.encode(grounded, 9, 9) == text
    assert asv2.encode(asv2.decode(text, 9, 9), 9, 9) == text
    needs_it = Grounded("a on", (before, after), (Relation("on", (0,), (1,), start=2, end=4),))
    assert (asv2.uncoded(needs_it), asv2.uncoded_relations(needs_it)) == ((1,), (0,))
    assert asv2.encode(needs_it, 9, 9) == "a<box>[[0, 0, 499, 999]]</box> on"


def test_bare_boxes_of_one_place_are_one_region():
    read = asv2.decode("a <box>[[1, 2, 3, 4]]</box><box>[]</box><box>[[5, 6, 7, 8]]</box> cat", 9, 9)
    assert [(r.start, len(r.boxes)) for r in read.regions] == [(2, 2)]
    assert asv2.encode(read, 9, 9) == "a <box>[[1, 2, 3, 4], [5, 6, 7, 8]]</box> cat"


def test_several_box_lists_of_a_phrase_and_a_predicate():
    text = (
        "<ref>cars</ref><box>[[1, 2, 3, 4], [5, 6, 7, 8]]</box><box>[[9, 9, 10, 10]]</box> <pred>near</pred>"
        "<box>[[1, 2, 3, 4]]</box><box>[[5, 6, 7, 8]]</box>"
        "<box>[[9, 9, 10, 10]]</box><box>[[1, 2, 3, 4]]</box>"
    )
    grounded = asv2.decode(text, 640, 640)
    assert len(grounded.regions[0].boxes) == 3
    assert [(r.subjects, r.objects) for r in grounded.relations] == [((0,), (1,)), ((2,), (0,))]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a <ref>cat</ref><box>[[1, 2, 3]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, NaN]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 1000]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, -4]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 4.5]]</box>", 21),
        ("a <ref>cat</ref><box>[1, 2, 3, 4]</box>", 21),
        ("a <ref>cat</ref><box>[[3, 2, 1, 4]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 4], [1, 4, 3, 2]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, ٤]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, " + "9" * 5000 + "]]</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 4]", 16),
        ("a <ref>cat", 2),
        ("a cat</ref>", 5),
        ("a <ref>cat<ref>dog</ref>", 10),
        ("a <ref cat</ref>", 2),
        ("a <ref>cat</ref><bo", 16),
        ("a <ref>cat</ref><box>" + "[" * 100_000 + "</box>", 21),
        ("a <pred>on</pred><box>[[1, 2, 3, 4]]</box>", 2),
    ],
)
def test_malformed_text_is_named_with_its_place(text, position):
    with pytest.raises(SampleError) as caught:
        asv2.decode(text, 640, 640)
    assert caught.value.code == "bad_rec"
    assert caught.value.detail.endswith(f"at character {position}")
    assert len(caught.value.detail) < 200


def test_other_angle_brackets_are_words():
    text = "<image>\n2 < 3, a <reference> and <boxes>"
    assert asv2.decode(text, 10, 10) == Grounded(text)
    assert asv2.encode(Grounded(text), 10, 10) == text


@pytest.mark.parametrize("text", ["a <ref>", "</box>", "x <box y", "cut <re"])
def test_a_text_with_tags_is_not_encoded(text):
    with pytest.raises(SampleError, match="reserved_tag"):
        asv2.encode(Grounded(text), 10, 10)


@pytest.mark.parametrize("span", [(4, 6), (0, 4), (4, 4)])
def test_a_span_that_would_cut_a_tag_out_of_a_word_is_not_encoded(span):
    assert asv2.decode("<refs", 9, 9).text == "<refs"
    region = Region("<refs"[slice(*span)], ((0, 0, 1, 1),), start=span[0], end=span[1])
    with pytest.raises(SampleError, match=r"reserved_tag.* at character 0"):
        asv2.encode(Grounded("<refs ", (region,)), 10, 10)


def test_bad_numbers_are_not_encoded():
    with pytest.raises(SampleError, match="bad_box"):
        asv2.encode(one((0, 0, float("nan"), 1)), 10, 10)
    with pytest.raises(SampleError, match="bad_size"):
        asv2.encode(one((0, 0, 1, 1)), 0, 10)
    with pytest.raises(SampleError, match="bad_box"):
        asv2.encode(one((1, 0, 0, 1)), 10, 10)
    with pytest.raises(SampleError, match="bad_size"):
        asv2.decode("cat", 10, 0)
    assert asv2.encode(one((-0.1, 0, 1.1, 1)), 9, 9) == "<ref>cat</ref><box>[[0, 0, 999, 999]]</box>"


@pytest.mark.parametrize(
    ("before", "unit", "after", "size"),
    [
        ("", "<ref>cat</ref><box>[[1, 2, 3, 4]]</box>", "", 50_000),
        ("", "<", "", 10_000_000),
        ("<ref>a</ref><box>[", "[1, 2, 3, 4], ", "[1, 2]]</box>", 700_000),
        ("<ref>a</ref><box>[", " ", "</box>", 10_000_000),
        ("<ref>a</ref><box>", "1", "</box>", 10_000_000),
    ],
    ids=["many", "angles", "late", "spaces", "digits"],
)
def test_reading_is_linear(before, unit, after, size):
    def read(count):
        try:
            asv2.decode(before + unit * count + after, 640, 480)
        except SampleError as error:
            assert error.code == "bad_rec"

    assert growth(read, size // 8) < 24


PIECES = [
    "<ref>a cat</ref>",
    "<box>[[1, 2, 3, 4]]</box>",
    "<box>[[1, 2, 3, 4], [5, 6, 7, 8]]</box>",
    " ",
    "dog",
    "<",
    "]",
]
PIECES += ["<ref>a</ref><box>[[9, 2, 3, 4]]</box>", "<ref>b</ref><box>[[1, 2, 3, 4], [5, 6, 7, 1000]]</box>", "<ref>"]
PIECES += [
    "<ref>c</ref><box>[[1, 2, 3, 4],[5, 6, 7, 8]]</box>",
    "<ref></ref><box>[[1, 2, 3, 4]]</box>",
    "</ref>",
    "a < b",
]
PIECES += [
    "<ref>c</ref><box>[]</box>",
    "<pred>on</pred>",
    "<ref>d</ref><box>[[1, 2, 3]]</box>",
    "<box>",
    "[[1, 2, 3, 4]]",
]


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
@settings(max_examples=60)
def test_the_short_way_reads_what_the_long_one_does(text):
    assert outcome(text) == outcome(text, short=False)


def test_most_texts_take_the_short_way():
    share = tuple(n / 1000 for n in range(1000))
    text = "a <ref>cat</ref><box>[[1, 2, 3, 4], [5, 6, 7, 8]]</box> and <ref>b</ref><box>[[0, 0, 9, 9]]</box>."
    read = asv2_read._simple(text, share, share)
    assert [(r.phrase, len(r.boxes), r.start, r.end) for r in read.regions] == [("cat", 2, 2, 5), ("b", 1, 10, 11)]


def outcome(text, short=True):
    with pytest.MonkeyPatch.context() as patch:
        if not short:
            patch.setattr(asv2_read, "_simple", lambda *given: None)
        try:
            return asv2.decode(text, 640, 480)
        except SampleError as error:
            return error.code, error.detail


thousandths = st.integers(0, 1000).map(lambda n: n / 1000)
ninths = st.integers(0, 999).map(lambda n: n / 999)


@given(st.data(), sizes | st.tuples(st.integers(1, 5), st.integers(1, 5)))
@settings(max_examples=60)
def test_the_integers_are_those_of_the_chain(data, size):
    """Each share is taken for the whole pixel it lies near, then for 0 to 999, and then through the pad."""
    x = st.integers(0, size[0]).map(lambda n: n / size[0]) | unit | thousandths | ninths
    y = st.integers(0, size[1]).map(lambda n: n / size[1]) | unit | thousandths | ninths
    xs, ys = sorted(data.draw(st.tuples(x, x))), sorted(data.draw(st.tuples(y, y)))
    axes = asv2_ints.padded_axes(*size)
    found = asv2_ints.ints_of((xs[0], ys[0], xs[1], ys[1]), axes, *size)
    for share, number, side, axis in zip(
        (xs[0], ys[0], xs[1], ys[1]), found, (*size, *size), (*axes, *axes), strict=True
    ):
        px = share * side
        near = round(px) if abs(px - round(px)) < 1e-6 else px
        assert number == axis[asv2_ints.to_999(near, side)]


@given(sizes, st.integers(0, 999), st.sampled_from([asv2_ints.padded_axes, asv2_ints.unpadded_axes]))
def test_a_middle_is_that_of_all_that_is_written_alike(size, p, axes):
    for axis in axes(*size):
        written = [axis[n] for n in range(1000)]
        assert written == sorted(written)
        if not axis.first - 1 <= p <= axis.last + 1:
            with pytest.raises(KeyError):
                axis.middles[p]
            continue
        low, high = sum(n < p for n in written), sum(n <= p for n in written)
        assert axis.middles[p] == min((low + high) / 2 / 999, 1.0)


@pytest.mark.parametrize(
    ("box", "size", "fits"),
    [
        ("100, 20, 300, 900", (640, 427), False),
        ("100, 20, 300, 100", (640, 427), False),
        ("100, 164, 300, 832", (640, 427), True),
        ("100, 163, 300, 832", (640, 427), False),
        ("100, 164, 300, 833", (640, 427), False),
        ("100, 164, 300, 164", (640, 427), False),
        ("20, 100, 300, 300", (427, 640), False),
        ("20, 100, 300, 300", (640, 640), True),
    ],
)
def test_a_box_in_the_padding_is_refused(box, size, fits):
    for text in (f"a <ref>cat</ref><box>[[{box}]]</box>", f"a <ref>cat</ref> <box>[[{box}]]</box>"):
        if fits:
            ((x0, y0, x1, y1),) = asv2.decode(text, *size).regions[0].boxes
            assert x0 < x1 and y0 < y1
        else:
            with pytest.raises(SampleError, match=r"bad_rec: .*asv2_unpadded.* at character \d+"):
                asv2.decode(text, *size)


@given(boxes, sizes)
def test_what_is_written_is_never_in_the_padding(box, size):
    asv2.decode(asv2.encode(one(box), *size), *size)


WORDS = ("cat", "<", "<3", ">", "<br>", "\n", " ", "5 < 6 ", "<image>", "</i>", "Unknown")


@given(st.lists(st.sampled_from(WORDS), max_size=6), st.data())
@settings(max_examples=80)
def test_official_parsers_read_what_is_written(words, data):
    """Or it is refused; with no region, or no "<" and no phrase of two lines, it is written."""
    text = "".join(words)
    ends = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4, unique=True)))
    spans = list(zip(ends[::2], ends[1::2], strict=False))
    regions = [Region(text[a:b], ((0.1, 0.1, 0.5, 0.5),), start=a, end=b) for a, b in spans]
    grounded = Grounded(text, tuple(regions), (Relation("", (0,), (0,)),) if regions else ())
    wanted: dict[str, int] = {}
    for region in regions:
        wanted[region.phrase] = wanted.get(region.phrase, 0) + 1
    plain_spans = "<" not in text and not any("\n" in name for name in wanted)
    for each in (grounded, Grounded(text, tuple(regions))):
        try:
            written = asv2.encode(each, 90, 90)
        except SampleError as error:
            assert error.code == "reserved_tag" and not plain_spans and "at character" in error.detail
            assert regions
        else:
            assert {name: len(found) for name, found in rec.parse(written).objects.items()} == wanted


@pytest.mark.parametrize("text", ["I <3 my cat", "cat <br>", "5 < 6 cat", "red\ncat"])
def test_what_official_parsers_would_misread_is_refused(text):
    start = 0 if text.startswith("red") else text.index("cat")
    grounded = Grounded(text, (Region(text[start:], ((0, 0, 1, 1),), start=start, end=text.index("cat") + 3),))
    if text == "cat <br>":
        assert asv2.decode(asv2.encode(grounded, 9, 9), 9, 9).text == text
        grounded = Grounded(f"{text} cat", (Region("cat", ((0, 0, 1, 1),), start=9, end=12),))
    with pytest.raises(SampleError, match=r"reserved_tag.* at character"):
        asv2.encode(grounded, 9, 9)
    assert asv2.encode(Grounded(text), 9, 9) == text


def test_a_new_size_costs_what_is_asked_of_it():
    """Pictures come in thousands of sizes: a table of all 1000 steps for each would take most of the time."""
    asv2.decode(asv2.encode(one((0.1, 0.2, 0.3, 0.4)), 3001, 2003), 3001, 2003)
    x_axis, y_axis = asv2_ints.padded_axes(3001, 2003)
    assert all(2 <= len(axis) < 100 for axis in (x_axis, y_axis))


def test_plain_text_carries_no_boxes():
    grounded = one((0, 0, 1, 1))
    assert plain.encode(grounded, 4, 4) == "cat"
    assert plain.decode("cat <ref>", 4, 4) == Grounded("cat <ref>")
    assert plain.uncoded(grounded) == (0,)
    assert plain.TOLERANCE == 0


@pytest.mark.parametrize("text", ["<image>\nwhat is it", "a < b > c <d> e <f>", "<reference> <pre>", "<\n>"])
def test_words_alone_stay_as_they_are(text: str) -> None:
    assert asv2.encode(Grounded(text), 640, 480) == text


@pytest.mark.parametrize("text", ["</", "<ref>", "<image> <box>[[1, 2, 3, 4]]</box>"])
def test_words_alone_that_hold_a_tag_are_refused(text: str) -> None:
    with pytest.raises(SampleError, match="reserved_tag"):
        asv2.encode(Grounded(text), 640, 480)
