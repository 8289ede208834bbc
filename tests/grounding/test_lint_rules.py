"""The rules for one record: every fault planted is told at its place, and sound records are silent."""

import copy
import json

import pytest
from conftest import growth
from hypothesis import given
from hypothesis import strategies as st

from curate.codecs import asv2, llava, pink, qwen_vl, shikra, svit
from curate.errors import SampleError
from curate.grounding import dialects
from curate.grounding.lint_fix import mend
from curate.grounding.lint_rules import CODES, Rules
from curate.sample import Grounded, Region, Relation

BOX = "<box>[[1, 2, 30, 40]]</box>"
OTHER = "<box>[[5, 6, 70, 80]]</box>"
REC = f"a <ref>dog</ref>{BOX} is <pred>on</pred>{BOX}{OTHER} a <ref>mat</ref>{OTHER}"


def record(answer="A dog.", question="<image>\nWhat?", **more):
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"id": "7", "image": "a.jpg", "conversations": turns, **more}


def told(one, dialect="asv2", size=None):
    return [(fault.code, fault.path, fault.char) for fault in Rules(dialect).faults(one, size)]


ANSWER = "$.conversations[1].value"
TEXTS = [
    ("asv2", "a <ref>dog", "tag_unbalanced", 2),
    ("asv2", "a dog</ref>", "tag_unbalanced", 5),
    ("asv2", f"<ref>a {BOX}", "tag_unbalanced", 0),
    ("asv2", f"<ref>a</pred>{BOX}", "tag_mismatch", 6),
    ("asv2", "the <ref dog", "tag_half", 4),
    ("asv2", "the <pre", "tag_half", 4),
    ("asv2", "<ref>a</ref><box>[[1, 2, 3]]</box>", "box_form", 12),
    ("asv2", "<ref>a</ref><box>[[1, 2, NaN, 3]]</box>", "box_form", 12),
    ("asv2", "<ref>a</ref><box>[[1, 2, ３, 4]]</box>", "box_form", 12),
    ("asv2", "<ref>a</ref><box>[[0.1, 0.2, 0.3, 0.4]]</box>", "box_form", 12),
    ("asv2", "<ref>a</ref><box>[[1, 2, 3, 1000]]</box>", "box_range", 12),
    ("asv2", "<ref>a</ref><box>[[-1, 2, 3, 4]]</box>", "box_range", 12),
    ("asv2", f"<ref>a</ref><box>[[1, 2, 3, {'9' * 9000}]]</box>", "box_range", 12),
    ("asv2", "<ref>a</ref><box>[[5, 2, 3, 4]]</box>", "box_inverted", 12),
    ("asv2", "<ref>a</ref><box>[[1, 9, 3, 4]]</box>", "box_inverted", 12),
    ("asv2", "<ref>a</ref><box>[[1, 2, 3, 4], [1, 9, 3, 4]]</box>", "box_inverted", 12),
    ("asv2", f"<ref>a</ref>{BOX}<pred>on</pred>{BOX}", "pred_unpaired", 39),
    ("asv2", f"<ref>a</ref>{BOX}<pred>on</pred>{BOX}{OTHER}", "pred_unnamed", 39),
    ("internvl", "<ref>a</ref><box>[[1, 2, 3, 1001]]</box>", "box_range", 12),
    ("qwen_vl", "<ref>a</ref><box>(1,2),(3,1001)</box>", "box_range", 12),
    ("qwen_vl", "<ref>a</ref><box>(1,2),(3,4</box>", "box_form", 12),
    ("svit", "<st>dog [0.1, 0.2, 0.3, 0.4]", "tag_unbalanced", 0),
    ("svit", "<st>dog<ed> [0.1, 0.2, 0.3, 1.4]", "box_range", 12),
    ("svit", "<st>dog<ed> [0.5, 0.2, 0.3, 0.4]", "box_inverted", 12),
    ("svit", "<st>dog<ed> [0.5, 0.2, 0.3.1, 0.4]", "box_form", 12),
    ("svit", "<st>dog<ed> [0.1, 0.2, 0.3]", "box_form", 12),
    ("llava", "at [0.5, 0.2, 0.3, 0.4]", "box_inverted", 3),
    ("llava", "at [0.5, 0.2, 7.3, 0.4]", "box_range", 3),
    ("llava", "at [0.5, 0.2, 1e999, 0.4]", "box_range", 3),
    ("shikra", "<ph_st>dog [0.1,0.2,0.3,0.4]", "tag_unbalanced", 0),
    ("pink", "<loc>[0.900,0.200,0.300,0.400]</loc>", "box_inverted", 5),
    ("gvc", "<g_s> dog <g_e> runs", "seg_count", 0),
    ("gvc", "<g_s> dog <seg>", "tag_unbalanced", 0),
    ("glamm", "<p> dog [SEG]", "tag_unbalanced", 0),
]


@pytest.mark.parametrize("dialect, text, code, char", TEXTS)
def test_a_fault_of_a_text(dialect, text, code, char):
    assert told(record(text), dialect) == [(code, ANSWER, char)]
    assert code in CODES


SOUND = [
    ("asv2", REC),
    ("asv2", f"<ref>a < b</ref>{BOX} and x < 3 <br> </p> <reference>"),
    ("asv2", "<ref>none</ref><box>[]</box>"),
    ("asv2", "<ref>two</ref><box>[[0, 0, 999, 999], [1, 1, 1, 1]]</box>"),
    ("qwen_vl", "<ref>a</ref><box>(1,2),(3,1000)</box>"),
    ("svit", "<st>men<ed> [0.1, 0.2, 0.3, 0.4], [0, 0.2, 1.0, 0.4]"),
    ("llava", "[1, 2, 3, 4] and [0.1, 0.2] and a[3.5] and [see 1.2]"),
    ("gvc", "<g_s> dog <g_e> <seg> runs"),
    (None, "<ref> [9.0, 3.0, 1.0, 0.0] <st>"),
]


@pytest.mark.parametrize("dialect, text", SOUND)
def test_a_sound_text(dialect, text):
    assert told(record(text), dialect) == []


def changed(path, value):
    """A sound record with one thing changed; KeyError's own `del` removes it."""
    one = record()
    place = one
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return one


T = "conversations"
SHAPES = [
    ([1, 2], "not_object", "$"),
    (None, "not_object", "$"),
    (changed([T], KeyError), "no_turns", "$.conversations"),
    (changed([T], []), "no_turns", "$.conversations"),
    (changed([T], "text"), "no_turns", "$.conversations"),
    (changed([T, 1], "text"), "bad_turn", "$.conversations[1]"),
    (changed([T, 1, "value"], 5), "bad_turn", "$.conversations[1]"),
    (changed([T, 1, "value"], KeyError), "bad_turn", "$.conversations[1]"),
    (changed([T, 1, "from"], ["gpt"]), "bad_turn", "$.conversations[1]"),
    (changed([T, 1, "from"], "system"), "odd_role", "$.conversations[1].from"),
    (changed([T], record()["conversations"][::-1]), "turn_order", "$.conversations[0].from"),
    (changed([T, 1, "from"], "human"), "turn_order", "$.conversations[1].from"),
    (changed([T, 1, "value"], " \n"), "empty_value", "$.conversations[1].value"),
    (changed([T, 1, "value"], "A dog. "), "outer_space", "$.conversations[1].value"),
    (changed([T, 0, "value"], "What?"), "image_missing", "$.conversations"),
    (changed([T, 0, "value"], "<image>\n<image>\nWhat?"), "image_doubled", "$.conversations"),
    (changed(["image"], ["a.jpg", "b.jpg"]), "image_few", "$.conversations"),
    (changed(["image"], KeyError), "image_extra", "$.conversations"),
    (changed(["image"], ""), "bad_picture_name", "$.image"),
    (changed(["image"], 5), "bad_picture_name", "$.image"),
    (changed([T], [{"from": "human", "value": "<image>\nWhat?"}]), "no_answer", "$.conversations[0]"),
]


@pytest.mark.parametrize("one, code, path", SHAPES)
def test_a_fault_of_shape(one, code, path):
    assert [found[:2] for found in told(one)] == [(code, path)]
    assert code in CODES


def test_image_in_an_answer():
    one = record("Look: <image>", "What?")
    assert told(one) == [("image_in_answer", ANSWER, 6)]


def test_records_of_svit():
    turns = [{"from": "user", "value": "Where?"}, {"from": "gpt", "value": "<st>dog<ed> [0.9, 0.2, 0.3, 0.4]"}]
    one = {"image_id": 4, "conversations": [{"content": turns, "topic": "x"}, {"content": turns[:1]}]}
    assert told(one, "svit") == [
        ("box_inverted", "$.conversations[0].content[1].value", 12),
        ("no_answer", "$.conversations[1].content[0]", None),
    ]


def test_a_predicates_box_may_be_named_in_an_earlier_turn():
    turns = record(f"a <ref>dog</ref>{BOX}, a <ref>mat</ref>{OTHER}")["conversations"]
    turns += record(f"it is <pred>on</pred>{BOX}{OTHER}", "Where?")["conversations"]
    assert told(record(conversations=turns)) == []
    turns[1]["value"] = f"a <ref>dog</ref>{BOX}"
    assert [found[0] for found in told(record(conversations=turns))] == ["pred_unnamed"]


@pytest.mark.parametrize(
    "dialect, box", [("asv2", "<ref>a</ref><box>[[100, 10, 900, 990]]</box>"), ("llava", "[0.1, 0.01, 0.9, 0.99]")]
)
def test_boxes_of_the_picture_in_a_form_of_the_pad(dialect, box):
    assert told(record(box), dialect, (640, 480)) == [("box_frame", "$.conversations", None)]
    assert told(record(box), dialect, (480, 640)) == [("box_frame", "$.conversations", None)]
    assert told(record(box), dialect, (600, 600)) == []
    assert told(record(box), dialect) == []


@pytest.mark.parametrize("box", ["[[0, 10, 999, 600]]", "[[0, 400, 999, 990]]"])
def test_boxes_that_reach_into_one_side_of_the_padding(box):
    assert told(record(f"<ref>a</ref><box>{box}</box>"), "asv2", (640, 480)) == [("box_frame", "$.conversations", None)]


@given(
    box=st.tuples(*[st.floats(0, 1)] * 4).map(
        lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
    ),
    size=st.tuples(st.integers(8, 3000), st.integers(8, 3000)),
    codec=st.sampled_from([asv2, llava, svit, pink, shikra, qwen_vl]),
)
def test_what_a_codec_writes_is_sound(box, size, codec):
    grounded = Grounded("the dog runs", (Region("the dog", (box,), start=0, end=7),))
    text = codec.encode(grounded, *size)
    dialect = codec.__name__.rsplit(".", 1)[1]
    assert told(record(text), dialect, size) == [], text
    assert told(record(text), dialect) == [], text


def test_relations_that_a_codec_writes_are_sound():
    regions = (
        Region("dog", ((0.1, 0.2, 0.3, 0.4),), start=0, end=3),
        Region("mat", ((0.2, 0.2, 0.5, 0.6),), start=7, end=10),
    )
    text = asv2.encode(Grounded("dog on mat", regions, (Relation("on", (0,), (1,), start=4, end=6),)), 640, 480)
    assert "<pred>" in text
    assert told(record(text)) == []


PIECES = [
    "<ref>",
    "</ref>",
    "<pred>",
    "</pred>",
    "<box>",
    "</box>",
    "[[1, 2, 3, 4]]",
    "[[4, 2, 3, 4]]",
    "[[1, 8, 3, 4]]",
    "[]",
    "dog",
]
PIECES += [
    "<",
    "<image>",
    "[[1, 2, 3, 1000]]",
    f"<ref>dog</ref>{BOX}",
    "<ref>dog</ref><box>[[1, 8, 3, 4]]</box>",
    f"<pred>on</pred>{BOX}{BOX}",
    " ",
    "<re",
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_whatever_the_codec_refuses_is_told(text):
    found = told(record(text))
    try:
        asv2.decode(text, 640, 640)
    except SampleError:
        assert found, text


@given(
    st.lists(
        st.lists(st.sampled_from([*PIECES, "<image>\n", "A dog. "]), max_size=5).map("".join), min_size=1, max_size=4
    )
)
def test_the_quick_look_agrees_with_the_long_one(values):
    quick_and_long(values, (None, "asv2", "asv2_unpadded", "internvl", "llava", "gvc"))


BARE = [
    "<st>",
    "<ed>",
    "<st>dog<ed> ",
    "<ph_st>",
    "<loc>",
    "</loc>",
    "<loc>a</loc>",
    "dog",
    ", ",
    "<",
    "<image>\n",
    "[",
]
BARE += ["<g_s>a<g_e>", "<seg>", "[0.1, 0.2, 0.3, 0.4]", "[0.1,0.25,0.1,1]", "[0.4, 0.2, 0.30, 0.4]", "[0.1, 0.2, 0.3]"]
BARE += ["[0, 0, 1.0, 1.00]", "[0.4, 0.2, 0.3, 0.4]", "[0.1, 0.5, 0.3, 0.4]", "[0.1, 0.2, 0.3, 1.01]", "[1]", "[a]"]
BARE += ["[0.10, 0.2, 0.1, 0.4]", "[0.1, 0.2, 0.3, 0.4; 0.1, 0.2, 0.3, 0.2]", "[0.1, 0.2, 0.3, 2]"]


@given(st.lists(st.lists(st.sampled_from(BARE), max_size=5).map("".join), min_size=1, max_size=4))
def test_the_quick_look_at_bare_boxes_agrees_with_the_long_one(values):
    quick_and_long(values, ("svit", "shikra", "pink", "llava", "gvc", "glamm"))


def quick_and_long(values, names):
    turns = [{"from": ("human", "gpt")[n % 2], "value": value} for n, value in enumerate(values)]
    for name in names:
        for size in (None, (9, 9), (40, 9)):
            rules, long = Rules(name), Rules(name)
            long._is_sound = lambda record, sized: False
            one = record(conversations=turns)
            assert rules.faults(one, size) == long.faults(one, size)


KEYS = st.sampled_from(["id", "image", "conversations", "from", "value", "content", "gd_ls", "images"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
)


@given(JSON)
def test_any_json_ends(value):
    for dialect in (*dialects.DIALECTS, None):
        for one in (value, {"image": value, "gd_ls": [], "conversations": value}, record(conversations=[value])):
            assert all(fault.code in CODES for fault in Rules(dialect).faults(one, (640, 480)))
            if isinstance(one, dict):
                mend(one)


@given(
    st.lists(
        st.lists(st.sampled_from(["<image>", "<image>\n", "\n<image>", " ", "dog", "\n"]), max_size=4).map("".join),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_mended_is_no_fault_any_more(values):
    one = record(conversations=[{"from": ("human", "gpt")[n % 2], "value": value} for n, value in enumerate(values)])
    before = copy.deepcopy(one)
    fixed, codes = mend(one)
    assert one == before
    left = [fault.code for fault in Rules(None).faults(fixed)]
    assert not set(codes) & set(left)
    assert (fixed == one) is (codes == [])
    words = ["".join(turn["value"].replace("<image>", "").split()) for turn in fixed["conversations"]]
    assert words == ["".join(value.replace("<image>", "").split()) for value in values]
    assert mend(fixed) == (fixed, [])


def test_corners_are_never_mended():
    one = record("<ref>a</ref><box>[[9, 2, 3, 4]]</box>")
    assert mend(one) == (one, [])


@pytest.mark.parametrize(
    "piece",
    [
        "<ref>",
        "<ref>a</ref>" + BOX,
        "<box>[[",
        "[0.1, ",
        "[",
        "<",
        "<pred>on</pred>" + BOX,
        " ",
        "1.",
        "<box>[[1, 2, 3, 4], ",
    ],
)
@pytest.mark.parametrize("dialect", ["asv2", "svit", "qwen2_vl"])
def test_time_is_linear(piece, dialect):
    rules = Rules(dialect)
    assert growth(lambda size: rules.faults(record("x" + piece * (size // len(piece)))), 20_000) < 20


def test_the_form_is_told_by_its_markers():
    assert dialects.detect([json.dumps(record(REC))]) == "asv2"
    assert dialects.detect([json.dumps(record("<st>dog<ed> [0.1, 0.2, 0.3, 0.4]"))]) == "svit"
    assert dialects.detect([json.dumps(record("dog [0.1, 0.2, 0.3, 0.4]"))]) == "llava"
    assert dialects.detect([json.dumps(record("<ref>a</ref><box>(1,2),(3,4)</box>"))]) == "qwen_vl"
    assert dialects.detect([json.dumps(record(REC)).replace("<", "\\u003c").replace(">", "\\u003e")]) == "asv2"
    assert dialects.detect([json.dumps(record("print([1, 2, 3, 4]) <p>html</p>"))]) is None


def test_rules_by_a_codec():
    def decode(text, width, height):
        raise SampleError("bad_mine", "no at character 3")

    faults = Rules("mine", decode).faults(record("[x]"))
    assert [(fault.code, fault.what) for fault in faults if fault.path == ANSWER] == [("bad_mine", "no at character 3")]


def test_released_few_shots_are_sound(shared):
    texts = [
        path.read_text(encoding="utf-8").strip() for path in sorted((shared / "annotations/as_v2").rglob("*_conv.txt"))
    ]
    assert sum("<pred>" in text for text in texts) >= 6
    for text in texts:
        assert told(record(text), "asv2") == []
