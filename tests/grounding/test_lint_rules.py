"""The rules for one record: every fault planted is told at its place, and sound records are silent."""

import copy
import json
from collections import Counter
from importlib import import_module

import pytest
from conftest import growth
from hypothesis import example, given
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


def by(name):
    """The rules of a form with its codec behind them, as `curate lint` makes them."""
    if name is None or name == "glamm":
        return Rules(name)
    codec = import_module(f"curate.codecs.{name}")
    return Rules(name, codec.decode, getattr(codec, "SIGNS", "<["))


def told(one, dialect="asv2", size=None):
    return [(fault.code, fault.path, fault.char) for fault in by(dialect).faults(one, size)]


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
    ("llava", "at [1, 1, 0, 0]", "box_inverted", 3),
    ("llava", "[1, 2, 3, 4]", "box_range", 0),
    ("llava", "at [0.1, 0.2, 0.3]", "box_form", 3),
    ("svit", "<st>man<ed> [5, 5, 9, 9]", "box_range", 12),
    ("svit", "<st>man<ed> [1, 1, 0, 0]", "box_inverted", 12),
    ("pink", "<des>a dog [0.100,0.200,0.300,0.400]", "tag_unbalanced", 0),
    (None, "a <ref> b <ref>c</ref>", "tag_unbalanced", 2),
    (None, "a</box>", "tag_unbalanced", 1),
    (None, "<st>a<st>b<ed>", "tag_unbalanced", 0),
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
    ("llava", "[1] and a[3.5] and [see 1.2] and [0.1 to 0.2]"),
    ("svit", "<st>men<ed> [0.1, 0.2, 0.3, 0.4] by [3.5] and [2]"),
    ("pink", "<loc>[0.100,0.200,0.300,0.400]</loc> <des>what</des>"),
    ("shikra", "<ph_st>dog<ph_ed> [0.100,0.200,0.300,0.400;0.1,0.1,0.2,0.2]"),
    ("gvc", "<g_s> dog <g_e> <seg> runs"),
    (None, "[9.0, 3.0, 1.0, 0.0] <loc> <p> <ref>a</ref> <re <box"),
]


# What only the codec sees: its code and the place that it tells.
REFUSED = [
    ("llava", "man [0.1, 0.2, 0.3, 0.4] and [0.5, 0.6, 0.7", "bad_llava", 29),
    ("llava", "man [nan, 0.2, 0.3, 0.4]", "bad_llava", 4),
    ("llava", "man [0.1, 0.2, inf, 0.4]", "bad_llava", 4),
    ("svit", "<st>man<ed> no box", "bad_svit", 7),
    ("svit", "<st><ed> [0.1, 0.2, 0.3, 0.4]", "bad_svit", 4),
    ("svit", "<st>man<ed> [0.1, 0.2, nan, 0.4]", "bad_svit", 12),
    ("svit", "<st>man<ed> [0.1, 0.2, 0.3, 0.4", "bad_svit", 12),
    ("svit", "<st>man<ed> [0.1, 0.2, 0.3, 0.4; 0.1, 0.2, 0.3, 0.4]", "bad_svit", 12),
    ("pink", "where <loc></loc>", "bad_pink", 6),
    ("pink", "<loc>[0.1,0.2,0.3</loc>", "bad_pink", 0),
    ("pink", "<des>a [nan,0.2,0.3,0.4]", "bad_pink", 7),
    ("shikra", "a man[0.1,0.2,0.3,0.4", "bad_shikra", 5),
    ("gvc", "<g_s> <g_e> <seg>", "bad_gvc", 6),
    ("gvc", "a dog <seg>", "bad_gvc", 6),
    ("internvl", "<ref>a</ref><box>[]</box>", "bad_internvl", 17),
    ("internvl", "<ref></ref>", "bad_internvl", 0),
    ("qwen2_vl", "<|object_ref_start|><|object_ref_end|>", "bad_qwen2_vl", 0),
]


@pytest.mark.parametrize("dialect, text, code, char", REFUSED)
def test_what_only_the_codec_refuses_is_told_at_its_place(dialect, text, code, char):
    found = [one for one in told(record(text), dialect) if one[0] == code]
    assert found == [(code, ANSWER, char)]
    behind = told(record(question=f"<image>\n \n{text}"), dialect)
    assert (code, "$.conversations[0].value", char + 10) in behind


@pytest.mark.parametrize("dialect", ["florence2", "paligemma", "kosmos2"])
def test_a_question_without_signs_is_plain_words(dialect):
    for question in ("<image>\nDescribe.", "Describe.\n<image>", "Describe <image> it."):
        assert told(record("A dog.", question), dialect) == []


@pytest.mark.parametrize("name", [name for name in dialects.DIALECTS if name not in ("glamm", "gvc")])
def test_a_frame_is_its_codecs(name):
    assert dialects.DIALECTS[name].frame == import_module(f"curate.codecs.{name}").FRAME


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
    for size in ((640, 480), (480, 640)):
        assert [found[:2] for found in told(record(box), dialect, size)] == [("box_frame", ANSWER)]
    assert told(record(box), dialect, (600, 600)) == []
    assert told(record(box), dialect) == []


@pytest.mark.parametrize("box", ["[[0, 10, 999, 600]]", "[[0, 400, 999, 990]]"])
def test_boxes_that_reach_into_one_side_of_the_padding(box):
    assert told(record(f"<ref>a</ref><box>{box}</box>"), "asv2", (640, 480)) == [("box_frame", ANSWER, 17)]


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
    quick_and_long(values, ("svit", "shikra", "pink", "llava", "gvc", "glamm", "florence2", "kosmos2"))


MORE = ["[nan, 0.1, 0.2, 0.3]", "[", "]", "[0.1, ", "<seg>", "<ph_ed>", "</", "[]", "[1, 1, 0, 0]", "<box>", " <ed> "]
MORE += ["<|box_start|>", "<|box_end|>", "(1,2),(3,4)", "(5,2),(3,4)", "<|object_ref_start|>a<|object_ref_end|>"]
CODECS = [name for name in dialects.DIALECTS if name != "glamm"]


ALL = [piece for piece in (*PIECES, *BARE, *MORE) if "<image>" not in piece]


@given(st.lists(st.sampled_from(ALL), max_size=6).map("".join), st.sampled_from(CODECS))
def test_whatever_the_codec_refuses_is_told(text, name):
    decode = import_module(f"curate.codecs.{name}").decode
    try:
        decode(json.dumps({"value": text}) if name == "gvc" else text, 640, 640)
    except SampleError:
        pass
    else:
        return
    codes = {code for code, path, _ in told(record(text), name) if path == ANSWER}
    assert codes - {"outer_space", "pred_unnamed"}, text


def quick_and_long(values, names):
    turns = [{"from": ("human", "gpt")[n % 2], "value": value} for n, value in enumerate(values)]
    for name in names:
        for size in (None, (9, 9), (40, 9)):
            rules, long = by(name), by(name)
            long._is_sound = lambda record, size: False
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
@example(["  dog "])
def test_what_is_mended_is_no_fault_any_more(values):
    one = record(conversations=[{"from": ("human", "gpt")[n % 2], "value": value} for n, value in enumerate(values)])
    before = copy.deepcopy(one)
    fixed, codes = mend(one)
    assert one == before
    was, left = (Counter(fault.code for fault in Rules(None).faults(each)) for each in (before, fixed))
    assert left <= was
    assert all(left[code] <= was[code] - codes.count(code) for code in codes)
    assert (fixed == one) is (codes == [])
    words = ["".join(turn["value"].replace("<image>", "").split()) for turn in fixed["conversations"]]
    assert words == ["".join(value.replace("<image>", "").split()) for value in values]
    assert mend(fixed) == (fixed, [])


SVG = "The SVG tag <image> embeds one.\n<image> is not <img>."
CODE = "    def f():\n        return 1\n    f()"


@pytest.mark.parametrize(
    "one",
    [
        record(SVG),
        record(SVG, "What?"),
        record(CODE),
        record("\n\tx = 1\n"),
        record("A dog.", "What?", image=""),
        record("A dog.", "What?", image=5),
        record("A dog.", "What?", image=[None]),
        record("A dog.", "<image>\n<image>\nWhat?", video="a.mp4"),
        record("A dog.", "<image>\n<image>\nWhat?", images=["b.jpg"]),
        record("A dog.", "<image>\nWhat does <image> do?"),
        record("A dog.", "What?\n<image> is a tag, as <image>"),
        record("A dog.", "<image>\nDescribe <image>"),
        record("A dog.", "Is <image> a tag?\n<image>"),
    ],
)
def test_what_is_not_safe_is_left(one):
    assert mend(one) == (one, [])


@pytest.mark.parametrize(
    "question, left",
    [
        ("<image><image>\nx", "<image>\nx"),
        ("<image>\n<image>\nx", "<image>\nx"),
        ("<image> x. <image>", "<image> x."),
        ("x? <image><image>", "x? <image>"),
        ("<image>\n\nx\n\n  y  z\n<image>", "<image>\n\nx\n\n  y  z"),
        ("<image>\r\n<image>\r\nx", "<image>\r\nx"),
    ],
)
def test_a_doubled_image_goes_and_nothing_else(question, left):
    assert mend(record(question=question)) == (record(question=left), ["image_doubled"])


def test_a_doubled_image_of_a_later_question_goes():
    turns = record()["conversations"] + record(question="<image>\nAnd?")["conversations"]
    fixed, codes = mend(record(conversations=turns))
    assert (fixed["conversations"][2]["value"], codes) == ("And?", ["image_doubled"])
    for value in ("<image>\n    x = 1", "<image> is what?"):
        turns[2]["value"] = value
        assert mend(record(conversations=turns))[1] == []


def test_videos_stand_behind_images_too():
    two = record(question="<image>\n<image>\nWhat?", video="a.mp4")
    assert told(two) == []
    assert [code for code, _, _ in told({**two, "video": None})] == ["image_doubled"]


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
    rules = by(dialect)
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
    assert [(fault.code, fault.char, fault.what) for fault in faults] == [("bad_mine", 3, "no")]


def test_released_few_shots_are_sound(shared):
    texts = [
        path.read_text(encoding="utf-8").strip() for path in sorted((shared / "annotations/as_v2").rglob("*_conv.txt"))
    ]
    assert sum("<pred>" in text for text in texts) >= 6
    for text in texts:
        assert told(record(text), "asv2") == []
