import re

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import SampleError
from curate.grounding import rec
from curate.grounding.scene_graph import RelationTuple

BUS = (
    "a tall red <ref>bus</ref><box>[[290, 260, 835, 781]]</box> is <pred>driving on</pred>"
    "<box>[[290, 260, 835, 781]]</box><box>[[0, 583, 984, 900]]</box> a <ref>road</ref>"
    "<box>[[0, 583, 984, 900]]</box>"
)
A, B, C = "[1, 2, 3, 4]", "[5, 6, 7, 8]", "[9, 10, 11, 12]"
NAMED = f"<ref>a</ref><box>[{A}]</box><ref>b</ref><box>[{B}]</box>"


def edges(parsed):
    return [(t.subject_box[0], t.object_box[0]) for t in parsed.graph.tuples()]


def codes(parsed):
    return [fault.code for fault in parsed.faults]


@pytest.mark.parametrize("strict", [False, True])
def test_the_published_example(strict):
    parsed = rec.parse(BUS, strict)
    bus, road = (290, 260, 835, 781), (0, 583, 984, 900)
    assert parsed.objects == {"bus": (bus,), "road": (road,)}
    assert parsed.relations == {"driving on": ((bus,), (road,))}
    assert parsed.graph.tuples() == (RelationTuple(("bus",), bus, ("road",), road, "driving on"),)
    assert parsed.clean == "a tall red bus is driving on a road"
    assert (parsed.graph.correct_format, parsed.faults) == (True, ())


# The table of differences between the two official parsers, a row a test.


def test_a_box_before_any_tag():
    text = f"é <box>[{A}]</box> <pred>on</pred><box>[{A}]</box><box>[{A}]</box>"
    parsed = rec.parse(text)
    assert parsed.objects == {"Unknown": ((1, 2, 3, 4),)}
    assert parsed.graph.tuples()[0].subject_names == ("Unknown",)
    assert (codes(parsed), parsed.graph.correct_format) == (["box_before_tag"], True)
    with pytest.raises(SampleError, match=r"bad_rec: .* at character 2$"):
        rec.parse(text, strict=True)


@pytest.mark.parametrize(
    "inner", ["[[1, 2, 3, 4]", "", "[[1, 2, 3, 4],]", "x", "[" * 100_000, f"[[1, 2, 3, {'9' * 5000}]]"]
)
def test_invalid_json_in_a_box(inner):
    text = f"<ref>a</ref><box>{inner}</box><box>[{B}]</box>"
    parsed = rec.parse(text)
    assert parsed.objects == {"a": ((5, 6, 7, 8),)}
    assert (codes(parsed), parsed.graph.correct_format) == (["bad_json"], True)
    with pytest.raises(SampleError, match=r"bad_rec: .* at character 17$") as caught:
        rec.parse(text, strict=True)
    assert len(str(caught.value)) < 200


def test_an_odd_number_of_box_lists():
    text = f"{NAMED}<pred>on</pred><box>[{A}]</box><box>[{B}]</box> <pred>on</pred><box>[{B}]</box>"
    parsed = rec.parse(text)
    assert edges(parsed) == [(1, 5)]
    assert (codes(parsed), parsed.graph.correct_format) == (["odd_lists"], False)
    with pytest.raises(SampleError, match=rf"bad_rec: .* at character {text.rindex('<box>')}$"):
        rec.parse(text, strict=True)


def test_counts_that_do_not_match_after_broadcast():
    text = f"{NAMED}<ref>c</ref><box>[{C}]</box><pred>on</pred><box>[{A}, {B}]</box><box>[{C}, {A}, {B}]</box>"
    parsed = rec.parse(text)
    assert edges(parsed) == [(1, 9), (5, 1)]
    assert (codes(parsed), parsed.graph.correct_format) == (["count_mismatch"], False)
    with pytest.raises(SampleError, match=rf"bad_rec: .* at character {text.rindex('<box>')}$"):
        rec.parse(text, strict=True)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("lists", [f"<box>[]</box><box>[{A}]</box>", f"<box>[{A}]</box><box>[]</box>"])
def test_an_empty_list_is_broadcast_to_no_tuples(strict, lists):
    parsed = rec.parse(f"{NAMED}<pred>on</pred>{lists}", strict)
    assert (edges(parsed), parsed.graph.correct_format, codes(parsed)) == ([], True, ["empty_boxes"])


def test_a_predicate_box_that_no_phrase_names():
    text = f"<ref>a</ref><box>[{A}]</box><pred>on</pred><box>[{A}]</box><box>[{B}]</box>"
    assert rec.parse(text).graph.tuples()[0].object_names == ("Unknown",)
    assert rec.parse(text, strict=True).graph.tuples()[0].object_names == ()
    assert codes(rec.parse(text, strict=True)) == codes(rec.parse(text)) == ["unnamed_box"]


# What the two have in common.


@pytest.mark.parametrize("strict", [False, True])
def test_one_box_faces_many(strict):
    parsed = rec.parse(f"{NAMED}<pred>on</pred><box>[{A}]</box><box>[{B}, {A}]</box>", strict)
    assert edges(parsed) == [(1, 5), (1, 1)]
    parsed = rec.parse(f"{NAMED}<pred>on</pred><box>[{B}, {A}]</box><box>[{B}]</box>", strict)
    assert edges(parsed) == [(5, 5), (1, 5)]


@pytest.mark.parametrize("strict", [False, True])
def test_equal_predicates_pair_over_the_whole_text(strict):
    by = f"<pred>by</pred><box>[{B}]</box><box>[{B}]</box>"
    text = f"{NAMED}<pred>on</pred><box>[{A}]</box> {by} <pred>on</pred><box>[{B}]</box>"
    assert [(t.predicate, t.subject_box[0], t.object_box[0]) for t in rec.parse(text, strict).graph.tuples()] == [
        ("on", 1, 5),
        ("by", 5, 5),
    ]


@pytest.mark.parametrize("strict", [False, True])
def test_boxes_belong_to_the_last_tag_and_names_add_up(strict):
    text = f"<ref>a</ref> x <box>[{A}]</box> y <box>[{B}]</box><ref>b</ref><box>[{A}, {A}]</box>"
    text += f"<ref>a</ref><box>[{C}]</box>"
    parsed = rec.parse(text, strict)
    assert parsed.objects["a"] == ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12))
    assert [node.names for node in parsed.graph.nodes] == [("a", "b", "b"), ("a",), ("a",)]
    assert parsed.clean == "a x  y ba"


@pytest.mark.parametrize("strict", [False, True])
def test_an_item_is_what_it_begins_with(strict):
    text = f"<ref>remotes</pred><box>[{A}]</box><box>[]</box> <image>on</b><box>[{A}]</box><box>[{A}]</ref>"
    parsed = rec.parse(text, strict)
    assert (parsed.objects, list(parsed.relations)) == ({"remotes": ((1, 2, 3, 4),)}, ["on"])
    assert codes(parsed) == ["closing_tag", "empty_boxes", "unknown_tag", "closing_tag"]
    assert parsed.faults[0].position == 0
    assert parsed.graph.correct_format


def test_boxes_count_as_they_are_written():
    text = f"<ref>a</ref><box>[{A}]</box><pred>on</pred><box>[[1.0, 2, 3, 4]]</box><box>[{A}]</box>"
    assert [t.subject_names for t in rec.parse(text).graph.tuples()] == [("Unknown",)]


@pytest.mark.parametrize(
    ("boxes", "code"),
    [
        ("[[1, 2, 3]]", "bad_box"),
        ("[1, 2, 3, 4]", "bad_box"),
        ('["abcd"]', "bad_box"),
        ("[[1, 2, 3, NaN]]", "bad_box"),
        ("[[1, 2, 3, Infinity]]", "bad_box"),
        ("[[1, 2, 3, 1e999]]", "bad_box"),
        (f"[[1, 2, 3, {10**4000}]]", "bad_box"),
        ("[[1, 2, 3, true]]", "bad_box"),
        ("[[1, 2, 3, null]]", "bad_box"),
        ("{}", "bad_json"),
        ("5", "bad_json"),
        ("[[3, 2, 1, 4]]", "box_range"),
        ("[[1, 2, 3, 1000]]", "box_range"),
        ("[[-1, 2, 3, 4]]", "box_range"),
    ],
)
def test_what_is_no_box_is_flagged(boxes, code):
    text = f"<ref>a</ref><box>{boxes}</box><pred>on</pred><box>{boxes}</box><box>[{A}]</box>"
    parsed = rec.parse(text)
    assert code in codes(parsed)
    assert next(fault.position for fault in parsed.faults if fault.code == code) == 17
    if code == "box_range":
        rec.parse(text, strict=True)
    else:
        assert not any(box and box[0] == 1 and len(box) != 4 for box in parsed.objects.get("a", ()))
        assert edges(parsed) == []
        with pytest.raises(SampleError, match=r"bad_rec: .* at character 17$"):
            rec.parse(text, strict=True)


def test_faults_do_not_pile_up():
    assert len(rec.parse("<\n" * 100_000).faults) == 1000


# The scanner, against the plain pattern.


@given(st.lists(st.sampled_from([*"<>\n\r\u2028 a/", "<ref>", "</ref>", "<box>"]), max_size=60).map("".join))
@settings(max_examples=60)
def test_the_scanner_finds_what_the_plain_pattern_finds(text):
    plain = [(item.start(), item[0], re.sub(r"<.*?>", "", item[0])) for item in re.finditer(r"<.*?>.*?<.*?>", text)]
    scanned = [(item.start(), item[0], item[2]) for item in rec._ITEM.finditer(text) if item[1] is not None]
    assert scanned == plain


@given(
    st.lists(
        st.sampled_from(
            [
                "<ref>",
                "</ref>",
                "<pred>",
                "</pred>",
                "<box>",
                "</box>",
                "a",
                " ",
                "\n",
                "<",
                ">",
                f"[{A}]",
                "[]",
                f"[{A}, {B}]",
                "[1",
            ]
        ),
        max_size=30,
    ).map("".join)
)
@settings(max_examples=80)
def test_no_text_ends_a_tolerant_parse_and_both_agree_where_strict_does_not_fail(text):
    tolerant = rec.parse(text)
    try:
        strict = rec.parse(text, strict=True)
    except SampleError as error:
        assert error.code == "bad_rec"
        assert 0 <= int(error.detail.rsplit(" ", 1)[1]) <= len(text)
        return
    assert (strict.objects, strict.relations, strict.clean) == (tolerant.objects, tolerant.relations, tolerant.clean)
    assert edges(strict) == edges(tolerant)
    assert tolerant.graph.correct_format


@pytest.mark.parametrize("unit", ["<", ">", "<a"])
def test_reading_ten_megabytes_is_linear(unit):
    assert growth(lambda size: rec.parse(unit * (size // len(unit))), 10_000_000 // 8) < 24


@pytest.mark.parametrize(
    "unit", ["<\n", "<ref>a</ref><box>[[1, 2, 3, 4]]</box>", "<box>[[[", "<a>b", "<pred>a</pred><box>[[1,2,3,4]]</box>"]
)
def test_reading_is_linear(unit):
    assert growth(lambda size: rec.parse(unit * (size // len(unit))), 60_000) < 24


def test_one_box_of_many_names_and_many_objects_is_linear():
    def parse(count):
        many = ", ".join(f"[{n % 1000}, 0, 999, {n // 1000}]" for n in range(count))
        names = "".join(f"<ref>{n}</ref><box>[{A}]</box>" for n in range(count))
        rec.parse(f"{names}<pred>on</pred><box>[{A}]</box><box>[{many}]</box>").graph.tuples()

    assert growth(parse, 1_000) < 24


def test_the_official_few_shots(shared):
    folder = shared / "annotations/as_v2/OpenGVLab__all-seeing/all-seeing-v2/playground/data/promtps_asmv2"
    count = 0
    for path in sorted(folder.glob("*/*_conv.txt")):
        text = path.read_text(encoding="utf-8")
        for part in re.split(r"\n\n|---", text):
            strict = rec.parse(part, strict=True)
            tolerant = rec.parse(part)
            assert tolerant.graph.correct_format and {fault.code for fault in tolerant.faults} <= {"unnamed_box"}
            assert edges(strict) == edges(tolerant)
            assert "<" not in strict.clean and "]]" not in strict.clean
            count += len(strict.graph.edges)
    assert count > 40
