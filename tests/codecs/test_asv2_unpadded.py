import json

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import asv2, asv2_unpadded
from curate.errors import SampleError
from curate.grounding import asv2_ints
from curate.sample import Grounded, Region, Relation

# The first row is of scripts_asmv2/visualize_rec.py, its _wo_square_pad text beside its padded one (example.jpg,
# 640 x 514); the others follow from the chain that explains all of its boxes.
CHAIN = [
    ((640, 514), (186, 104, 535, 438), (290, 201, 835, 850)),
    ((640, 480), (0, 0, 640, 480), (0, 0, 999, 998)),
    ((480, 640), (10, 20, 300, 400), (18, 31, 622, 624)),
    ((501, 300), (1, 2, 500, 299), (1, 4, 997, 994)),
    ((640, 640), (186, 104, 535, 438), (290, 162, 835, 683)),
]

# More boxes of that file: before the pad (as its first version has them), padded, un-padded.
PUBLISHED = [
    ((0, 604, 984, 999), (0, 583, 984, 900), (0, 603, 984, 998)),
    ((827, 590, 885, 682), (827, 572, 885, 646), (827, 589, 885, 681)),
    ((1, 604, 238, 804), (1, 583, 238, 744), (1, 603, 238, 803)),
    ((952, 660, 999, 993), (952, 628, 999, 895), (952, 659, 999, 991)),
    ((224, 571, 243, 654), (224, 556, 243, 623), (224, 569, 243, 653)),
    ((142, 571, 162, 614), (142, 556, 162, 591), (142, 569, 162, 613)),
    ((682, 0, 999, 513), (682, 98, 999, 510), (682, 0, 999, 512)),
]

sizes = st.sampled_from([(1, 7), (640, 480), (333, 1000), (1, 1), (16, 1), (1, 17), (4000, 3)]) | st.tuples(
    st.integers(1, 4000), st.integers(1, 4000)
)
sides = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
boxes = st.tuples(sides, sides).map(lambda b: (b[0][0], b[1][0], b[0][1], b[1][1]))
texts = st.text(st.sampled_from("ab <>🎈שלום猫\n,"), min_size=12, max_size=40)


def one(box):
    return Grounded("a cat", (Region("cat", (box,), start=2, end=5),))


@pytest.mark.parametrize(("size", "px", "unpadded"), CHAIN)
def test_the_official_chain(size, px, unpadded):
    box = tuple(v / s for v, s in zip(px, (*size, *size), strict=True))
    text = f"a <ref>cat</ref><box>{json.dumps([list(unpadded)])}</box>"
    assert asv2_unpadded.encode(one(box), *size) == text
    (region,) = asv2_unpadded.decode(text, *size).regions
    assert region.boxes[0] == pytest.approx(box, abs=2e-3)
    assert asv2_unpadded.encode(one(region.boxes[0]), *size) == text


@pytest.mark.parametrize(("plain", "padded", "unpadded"), PUBLISHED)
def test_the_published_boxes(plain, padded, unpadded):
    for codec, axes, ints in (
        (asv2, asv2_ints.padded_axes, padded),
        (asv2_unpadded, asv2_ints.unpadded_axes, unpadded),
    ):
        x_axis, y_axis = axes(640, 514)
        assert (x_axis[plain[0]], y_axis[plain[1]], x_axis[plain[2]], y_axis[plain[3]]) == ints
        text = f"a <ref>cat</ref><box>{json.dumps([list(ints)])}</box>"
        assert codec.encode(codec.decode(text, 640, 514), 640, 514) == text


def test_the_released_pair_is_one_scene():
    def text(bus, road):
        return (
            f"a tall red <ref>bus</ref><box>[{bus}]</box> is <pred>driving on</pred><box>[{bus}]</box>"
            f"<box>[{road}]</box> a <ref>road</ref><box>[{road}]</box>"
        )

    padded = asv2.decode(text("[290, 260, 835, 781]", "[0, 583, 984, 900]"), 640, 514)
    unpadded = text("[290, 201, 835, 850]", "[0, 603, 984, 998]")
    assert asv2_unpadded.encode(padded, 640, 514) == unpadded
    read = asv2_unpadded.decode(unpadded, 640, 514)
    assert read.relations == padded.relations == (Relation("driving on", (0,), (1,), start=18, end=28),)
    assert asv2.encode(read, 640, 514) == asv2.encode(padded, 640, 514)


def test_the_plain_integers_of_the_paper_are_read_too():
    (region,) = asv2_unpadded.decode("<ref>bus</ref><box>[[290, 202, 835, 851]]</box>", 640, 514).regions
    assert region.boxes[0] == pytest.approx((186 / 640, 104 / 514, 535 / 640, 438 / 514), abs=2e-3)


@given(boxes, sizes)
@settings(max_examples=80)
def test_the_error_stays_below_the_tolerance(box, size):
    (region,) = asv2_unpadded.decode(asv2_unpadded.encode(one(box), *size), *size).regions
    assert max(abs(a - b) for a, b in zip(box, region.boxes[0], strict=True)) <= asv2_unpadded.TOLERANCE


@pytest.mark.parametrize(("short", "long"), [(2, 32), (1, 16), (1073, 2172), (3835, 3902), (63, 1000)])
def test_the_tolerance_is_reached_but_not_left_by_the_longest_pictures(short, long):
    axis, _ = asv2_ints.unpadded_axes(short, long)
    middle, written = axis.middles, [axis[n] for n in range(1000)]
    worst = max(max(abs(middle[u] - n / 999), abs(middle[u] - min(n + 1, 999) / 999)) for n, u in enumerate(written))
    assert worst <= (long / short + 2) / 2 / 999 + 1e-9 <= asv2_unpadded.TOLERANCE
    assert worst >= (long / short - 1) / 2 / 999


@given(texts, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.lists(boxes, max_size=3))), sizes)
@settings(max_examples=60)
def test_what_is_written_comes_back(text, spans, size):
    regions = tuple(Region(text[a:b], tuple(some), start=a, end=b) for a, b, some in spans)
    grounded = Grounded(text, regions)
    try:
        written = asv2_unpadded.encode(grounded, *size)
    except SampleError as error:  # official parsers would misread it
        assert error.code == "reserved_tag" and ("<" in text or "\n" in text)
        return
    read = asv2_unpadded.decode(written, *size)
    assert read.text == text
    told = [r for i, r in enumerate(regions) if i not in asv2_unpadded.uncoded(grounded)]
    assert [(r.start, r.end) for r in read.regions] == sorted({(r.start, r.end) for r in told})
    assert sum(len(r.boxes) for r in read.regions) == sum(len(r.boxes) for r in told)
    assert asv2_unpadded.encode(read, *size) == written
    assert asv2_unpadded.decode(asv2_unpadded.encode(read, *size), *size) == read


def test_bad_input_is_named_with_its_place():
    with pytest.raises(SampleError, match=r"bad_rec: .* at character 18"):
        asv2_unpadded.decode("<ref>é</ref> <box>[[1, 2, 3, 1000]]</box>", 9, 7)
    with pytest.raises(SampleError, match="bad_size"):
        asv2_unpadded.decode("cat", 0, 7)
    with pytest.raises(SampleError, match="bad_size"):
        asv2_unpadded.encode(one((0, 0, 1, 1)), 1 << 40, 7)
    with pytest.raises(SampleError, match="bad_box"):
        asv2_unpadded.encode(one((0, float("inf"), 1, 1)), 9, 7)
    with pytest.raises(SampleError, match="reserved_tag"):
        asv2_unpadded.encode(Grounded("a <box>"), 9, 7)


@pytest.mark.parametrize("unit", ["<ref>", "<", "<ref>a</ref><box>[[1, 2, 3, 4]]</box>"])
def test_reading_is_linear(unit):
    def read(count):
        try:
            asv2_unpadded.decode(unit * (count // len(unit)), 640, 480)
        except SampleError as error:
            assert error.code == "bad_rec"

    assert growth(read, 200_000) < 24
