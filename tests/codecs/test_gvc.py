import json
import math

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import gvc
from curate.errors import SampleError
from curate.grounding import gvc_records
from curate.sample import Grounded, Region

SIZES = [(640, 480), (480, 640), (1, 7), (7, 1), (333, 1000), (501, 300), (300, 300), (1, 1)]

# UX-Decoder/LLaVA-Grounding coco_instruct_grounding_dataset_mapper.py: ids of COCO annotations, boxes x, y, w, h in
# pixels, null for a <seg> without grounding, several ids for a plural.
VALUE = "<g_s> A man <g_e> <seg> feeds <g_s> two dogs <g_e> <seg> under <g_s> the sky <g_e> <seg>."
RECORD = {
    "value": VALUE,
    "gd_ls": [[1], [2, 3], None],
    "annotations": [
        {"id": 1, "bbox": [97.23, 121.1, 442.77, 247.03]},
        {"id": 2, "bbox": [1.08, 187.69, 100.0, 285.84]},
        {"id": 3, "bbox": [359.17, 146.17, 112.45, 213.57]},
    ],
}

unit = st.floats(0, 1)
boxes = st.tuples(unit, unit, unit, unit).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
words = st.text(st.sampled_from('ab \n"\\<>/_gs1:;.é🎈שלום猫'), max_size=30) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=30
)


@st.composite
def grounded(draw):
    text = draw(words)
    place = st.integers(-1, len(text) + 1)
    spans = draw(st.lists(st.tuples(place, place), max_size=5))
    some = st.lists(boxes, max_size=3).map(tuple)
    return Grounded(text, tuple(Region(text[max(a, 0) : b], draw(some), start=a, end=b) for a, b in spans))


def one(box, text="cat"):
    return Grounded(text, (Region(text, (box,), start=0, end=len(text)),))


def with_(**changes):
    return json.dumps(RECORD | changes)


def test_the_published_record():
    read = gvc.decode(json.dumps(RECORD), 640, 480)
    assert read.text == "A man feeds two dogs under the sky."
    assert [(r.phrase, r.start, r.end, len(r.boxes)) for r in read.regions] == [
        ("A man", 0, 5, 1),
        ("two dogs", 12, 20, 2),
        ("the sky", 27, 34, 0),
    ]
    assert read.regions[0].boxes[0] == pytest.approx(
        (97.23 / 640, 121.1 / 480, (97.23 + 442.77) / 640, (121.1 + 247.03) / 480), abs=1e-12
    )
    assert gvc.encode(read, 640, 480) == json.dumps(RECORD)
    assert gvc.uncoded(read) == ()


def test_the_first_stage_and_flickr_write_without_blanks():
    # flickr_instance_new_baseline_dataset_mapper.py: '<g_s>' + words + '<g_e><seg>'.
    tight = VALUE.replace("<g_s> ", "<g_s>").replace(" <g_e> <seg>", "<g_e><seg>")
    assert gvc.decode(with_(value=tight), 640, 480) == gvc.decode(with_(), 640, 480)


@pytest.mark.parametrize(
    "value",
    [
        # interleave2end.py: a number and a blank behind <g_s>, <seg> taken out, a tail; the blanks around stay
        "<g_s>1  A man <g_e>  feeds <g_s>2  two dogs <g_e>  under <g_s>3  the sky <g_e> . "
        "1: <seg>; 2: <seg>; 3: <seg>.",
        # flickr_instance_new_baseline_dataset_mapper_end.py: no numbers, no blanks
        "<g_s>A man<g_e> feeds <g_s>two dogs<g_e> under <g_s>the sky<g_e>. 1: <seg>; 2: <seg>; 3: <seg>.",
        "<g_s>1 A man<g_e> feeds <g_s>2 two dogs<g_e> under <g_s>3 the sky<g_e>. 1: <seg>; 2: <seg>; 3: <seg>.",
    ],
)
def test_the_layout_with_all_seg_at_the_end(value):
    assert gvc.decode(with_(value=value), 640, 480) == gvc.decode(with_(), 640, 480)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("<g_s>1 A<g_e> b <g_s>2 c<g_e> 1: <seg>; 3: <seg>; 2: <seg>.", 30),
        ("<g_s>1 A<g_e> 1: <seg>; 2: <seg>.", 14),
        ("<g_s>1 A<g_e> <g_s> 1: <seg>.", 19),
        ("<g_e> 1: <seg>.", 0),
    ],
)
def test_a_tail_that_does_not_fit(value, where):
    with pytest.raises(SampleError, match=r"bad_gvc: .* at character \d+") as caught:
        gvc.decode(with_(value=value), 640, 480)
    assert caught.value.detail.endswith(f"at character {where}"), caught.value.detail


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=80)
def test_what_is_written_comes_back(sample, size):
    try:
        written = gvc.encode(sample, *size)
    except SampleError as error:
        assert error.code == "reserved_tag"
        return
    assert json.dumps(json.loads(written), ensure_ascii=False) == written
    read = gvc.decode(written, *size)
    assert read.text == sample.text
    missing = gvc.uncoded(sample)
    told: dict = {}
    for start, end, i in sorted((r.start, r.end, i) for i, r in enumerate(sample.regions) if i not in missing):
        told.setdefault((start, end), []).extend(sample.regions[i].boxes)
    assert [(r.start, r.end) for r in read.regions] == list(told)
    for region, before in zip(read.regions, told.values(), strict=True):
        assert region.phrase == sample.text[region.start : region.end]
        for old, new in zip(before, region.boxes, strict=True):
            assert max(abs(a - b) for a, b in zip(old, new, strict=True)) <= gvc.TOLERANCE
    assert gvc.encode(read, *size) == written
    assert gvc.decode(gvc.encode(read, *size), *size) == read


def test_equal_boxes_are_one_annotation_and_what_is_left_out():
    a, b = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)
    regions = (
        Region("a cat", (a,), start=0, end=5),
        Region("a dog", (b, a), start=10, end=15),
        Region("dog", (b,), start=12, end=15),
        Region("", (b,), start=5, end=5),
        Region(" ", (b,), start=5, end=6),
        Region("and", (), start=6, end=9),
        Region("cat", (a,)),
    )
    sample = Grounded("a cat and a dog", regions)
    record = json.loads(gvc.encode(sample, 10, 10))
    assert record["value"] == "<g_s> a cat <g_e> <seg> <g_s> and <g_e> <seg> <g_s> a dog <g_e> <seg>"
    assert record["gd_ls"] == [[1], None, [2, 1]]
    assert record["annotations"] == [{"id": 1, "bbox": [0, 0, 5, 10]}, {"id": 2, "bbox": [5, 0, 5, 10]}]
    assert gvc.uncoded(sample) == (2, 3, 4, 6)
    nothing = Grounded("a cat", (Region("a cat", (), start=0, end=5),))
    assert gvc.uncoded(nothing) == (0,)
    assert gvc.encode(nothing, 9, 9) == '{"value": "a cat", "gd_ls": [], "annotations": []}'


def test_gd_ls_may_lack():
    for text in (with_(gd_ls=None), json.dumps({"value": VALUE})):
        assert [r.boxes for r in gvc.decode(text, 640, 480).regions] == [(), (), ()]


BOX = RECORD["annotations"][0]
SECOND, THIRD = VALUE.index("<seg>", 30), VALUE.rindex("<seg>")
HOSTILE = [
    (with_(value="<g_s> a <g_e> and <g_s> b <g_e> <seg>"), 18),
    (with_(value="a <g_e> <seg>"), 2),
    (with_(value="a <seg>"), 2),
    (with_(value="<g_s> a <seg>"), 8),
    (with_(value="<g_s> a <g_e>"), 13),
    (with_(value="<g_s> a"), 7),
    (with_(value="<g_s> <g_e> <seg>"), 6),
    (with_(value="<g_s>   <g_e> <seg>"), 8),
    (with_(value="<g_s> a <g_e <seg>"), 8),
    (with_(value="a cat <g_"), 6),
    (with_(value="<g<g_s>_s> <g_e> <seg>"), None),
    (with_(gd_ls=[[1], None]), THIRD),
    (with_(gd_ls=[[1], None, None, None]), len(VALUE)),
    (with_(gd_ls=[[1], [9], None]), SECOND),
    (with_(gd_ls=[[1], [], None]), SECOND),
    (with_(gd_ls=[[1], 2, None]), SECOND),
    (with_(gd_ls=[[1], [True], None]), SECOND),
    (with_(gd_ls=[[1], ["2"], None]), SECOND),
    (with_(gd_ls=[[1], [[2]], None]), SECOND),
    (with_(gd_ls=[[1], [2.0], None]), SECOND),
    (with_().replace("[2, 3]", f"[{'[' * 300}{']' * 300}]"), SECOND),
    (with_(gd_ls={"0": [1]}), 0),
    (with_(annotations=[BOX, BOX]), 0),
    (with_(annotations=[{"bbox": [1, 2, 3, 4]}]), 0),
    (with_(annotations=[7]), 0),
    (with_(annotations={}), 0),
    (with_(value=7), 0),
    *[
        (with_(gd_ls=[[1], None, None], annotations=[{"id": 1, "bbox": bbox}]), 18)
        for bbox in (
            None,
            [1, 2, 3],
            [1, 2, 3, 4, 5],
            [1, 2, "3", 4],
            [1, 2, True, 4],
            [1, 2, 3, math.nan],
            [1, 2, math.inf, 4],
            [1, 2, -3, 4],
            [-1, 2, 3, 4],
            [1, 2, 640, 4],
            [1, 2, 3, 479],
            [641, 2, 0, 4],
            [10**4000, 2, 3, 4],
        )
    ],
    (with_()[:-1], len(with_()) - 1),
    ("", 0),
    ("[" * 100_000, 0),
    ('{"a":' * 100_000, 0),
    ('{"value": ' + "9" * 5001 + "}", 0),
    ("[]", 0),
    ("null", 0),
    ("plain words", 0),
]


@pytest.mark.parametrize(("text", "where"), HOSTILE)
def test_malformed_text_is_named_with_its_place(text, where):
    with pytest.raises(SampleError) as caught:
        gvc.decode(text, 640, 480)
    assert caught.value.code == "bad_gvc"
    assert len(caught.value.detail) < 400
    if where is not None:
        assert caught.value.detail.endswith(f"at character {where}"), caught.value.detail


def test_a_box_may_reach_half_a_pixel_beyond():
    text = with_(gd_ls=[[1], None, None], annotations=[{"id": 1, "bbox": [-0.4, 0, 640.8, 480.5]}])
    assert gvc.decode(text, 640, 480).regions[0].boxes == ((0.0, 0.0, 1.0, 1.0),)


def test_what_is_not_written():
    for box in [(0, float("nan"), 1, 1), (0, 0, float("inf"), 1), (0.5, 0, 0.4, 1), (0, 1, 1, 0)]:
        with pytest.raises(SampleError, match="bad_box"):
            gvc.encode(one(box), 10, 10)
    for text in ["<g_s>", "a <g_e> b", "<seg>", "a <seg b", "cut <g_", "cut <s"]:
        with pytest.raises(SampleError, match="reserved_tag"):
            gvc.encode(Grounded(text), 10, 10)
    for size in [(0, 5), (5, 0)]:
        with pytest.raises(SampleError, match="bad_size"):
            gvc.encode(one((0, 0, 1, 1)), *size)
        with pytest.raises(SampleError, match="bad_size"):
            gvc.decode(with_(), *size)
    assert gvc.encode(one((-0.5, -0.0, 1.5, 1)), 9, 9) == gvc.encode(one((0, 0, 1, 1)), 9, 9)
    assert (
        gvc.decode(gvc.encode(Grounded("1 <segment> of <g> and <gs>"), 9, 9), 9, 9).text
        == "1 <segment> of <g> and <gs>"
    )


@pytest.mark.parametrize(
    ("each", "size"),
    [
        ("<g_s> a <g_e> <seg> ", 40_000),
        ("<", 1_600_000),
        ("<g_s> ", 400_000),
        (" ", 1_600_000),
        ("1: <seg>; ", 200_000),
    ],
)
def test_reading_is_linear(each, size):
    def read(count):
        text = json.dumps({"value": each * count + ".", "gd_ls": None})
        try:
            gvc.decode(text, 640, 480)
        except SampleError as error:
            assert error.code == "bad_gvc"

    assert growth(read, size // 32) < 24


# scripts/data_process/{utils,combine_detail_data,combine_conversation_data,make_coco_instruct_data}.py


def record(**changes):
    turns = [
        {"from": "human", "value": "<image>\nDescribe the image. (with grounding)"},
        {"from": "gpt", "value": "<g_s> A man <g_e> <seg> feeds <g_s> two dogs <g_e> <seg>."},
        {"from": "human", "value": "Where?"},
        {"from": "gpt", "value": "Under <g_s> the sky <g_e> <seg>."},
    ]
    base = {"id": "000000033471", "image": "000000033471.jpg", "conversations": turns, "gd_ls": [[1], [2, 3], None]}
    return base | changes


def saying(*answers, question="What? (with grounding)"):
    turns = [
        turn for answer in answers for turn in ({"from": "human", "value": question}, {"from": "gpt", "value": answer})
    ]
    return turns


ANNOTATIONS = [one | {"image_id": 33471} for one in RECORD["annotations"]] + [
    {"id": 4, "bbox": [0, 0, 1, 1], "image_id": 33472}
]


def test_a_record_becomes_a_text_for_each_answer():
    assert gvc_records.reasons(record(), ANNOTATIONS) == ()
    first, second = gvc_records.from_record(record(), ANNOTATIONS)
    assert json.loads(first) == {
        "value": "<g_s> A man <g_e> <seg> feeds <g_s> two dogs <g_e> <seg>.",
        "gd_ls": [[1], [2, 3]],
        "annotations": RECORD["annotations"],
    }
    assert json.loads(second)["gd_ls"] == [None]
    assert gvc.decode(first, 640, 480).text == "A man feeds two dogs."
    assert gvc.encode(gvc.decode(first, 640, 480), 640, 480) == first
    assert gvc.decode(second, 640, 480).regions == (Region("the sky", (), start=6, end=13),)


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        (record(gd_ls=None), ("no_gd_ls", "count_g_s", "count_g_e", "count_seg")),
        (record(gd_ls=[], conversations=saying("Words.")), ("no_gd_ls",)),
        (record(gd_ls=[None] * 3), ("all_null",)),
        (record(gd_ls=[[1], [2], None, None]), ("count_g_s", "count_g_e", "count_seg")),
        (record(gd_ls=[[1]], conversations=saying("<g_s> a <g_e> <seg> and b <g_e>")), ("count_g_e",)),
        (record(gd_ls=[[1]], conversations=saying("<g_s> a <g_e> <seg> and <g_s> b")), ("count_g_s",)),
        (record(gd_ls=[[1]], conversations=saying("<g_s> a <g_e> <seg> and b <seg>")), ("count_seg",)),
        (record(gd_ls=[[1]], conversations=saying("<g_s> a <g_e> <seg>", question="What?")), ("not_asked",)),
        (record(gd_ls=[[1]], conversations=saying("Please provide <g_s> a <g_e> <seg>")), ("please_provide",)),
        (record(gd_ls=[[1]], conversations=saying("<g_s> <seg> <g_e>")), ("empty_phrase",)),
        (record(gd_ls=[[1]], conversations=saying("<g_s>  <g_e> <seg>")), ("empty_phrase",)),
        (record(gd_ls=[[1], [2, 4], None]), ("foreign_id",)),
        (record(gd_ls=[[1], [2, 99], None]), ("foreign_id",)),
        (record(gd_ls=[[1], ["2"], None]), ("foreign_id",)),
        (record(gd_ls=[[1], 2, None]), ("foreign_id",)),
        (record(id="33472"), ("foreign_id",)),
        (record(id=10**50), ("foreign_id",)),
        (record(conversations=None), ("bad_record",)),
        (record(conversations=[{"from": "gpt"}]), ("bad_record",)),
        (record(conversations=["a"]), ("bad_record",)),
        (record(gd_ls=7), ("bad_record",)),
        ({}, ("bad_record",)),
        (record(q_gd_ls=[[366501]]), ("q_gd_ls",)),
    ],
)
def test_a_record_that_is_not_valid_says_why(changed, reasons):
    assert gvc_records.reasons(changed, ANNOTATIONS) == reasons
    with pytest.raises(SampleError, match="bad_gvc") as caught:
        gvc_records.from_record(changed, ANNOTATIONS)
    assert all(reason in caught.value.detail for reason in reasons)


def test_one_grounded_question_of_several_is_enough():
    # combine_conversation_data.py looks at all questions; the others have one.
    turns = [*saying("Words.", question="What?"), *saying("<g_s> a <g_e> <seg>")]
    assert gvc_records.reasons(record(conversations=turns, gd_ls=[[1]]), ANNOTATIONS) == ()


def test_box_strings_of_grounding_bench():
    # llava/eval/LLaVA_G_Eval.py list_to_str, multiboxes_to_str: str(round(x, 3)), commas, "];[" becomes ";".
    def official(some):
        return ";".join("[" + ",".join([str(round(v, 3)) for v in box]) + "]" for box in some).replace("];[", ";")

    some = [(0.1, 0.25, 0.5, 1.0), (0.0, 0.0625, 0.33333, 0.9995), (0.0, 0.0, 0.0004, 0.12350)]
    assert gvc.box_string(some[:1]) == "[0.1,0.25,0.5,1.0]"
    assert gvc.box_string(some) == "[0.1,0.25,0.5,1.0;0.0,0.062,0.333,1.0;0.0,0.0,0.0,0.123]" == official(some)
    assert gvc.boxes_of("[0.1,0.25,0.5,1.0;0.0,0.062,0.333,1.0]") == ((0.1, 0.25, 0.5, 1.0), (0.0, 0.062, 0.333, 1.0))
    # filter_empty_box: a box of zeros found nothing
    assert gvc.box_string([(0, 0, 0, 0), some[0]]) == "[0.1,0.25,0.5,1.0]"
    assert gvc.box_string([(0, 0, 0, 0)]) == gvc.box_string([]) == ""
    for bad in [
        "",
        "[]",
        "[0.1,0.2,0.3]",
        "[0.1,0.2,0.3,0.4];[0.1,0.2,0.3,0.4]",
        "[0.5,0,0.4,1]",
        "[0,0,1,2]",
        "[nan,0,1,1]",
    ]:
        with pytest.raises(SampleError, match=r"bad_gvc: .* at character \d+"):
            gvc.boxes_of(bad)
    with pytest.raises(SampleError, match="bad_box"):
        gvc.box_string([(0, 0, float("nan"), 1)])


def test_official_questions_hold_no_marks(shared):
    folder = shared / "annotations/grounding/UX-Decoder__LLaVA-Grounding/playground/data/coco2014_val_qa_eval"
    lines = (folder / "qa90_questions_with_grounding.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 90
    for line in lines:
        text = json.loads(line)["text"]
        assert gvc.decode(gvc.encode(Grounded(text), 9, 9), 9, 9) == Grounded(text)
