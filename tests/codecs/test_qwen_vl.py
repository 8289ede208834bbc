import pytest
from bin_forms import SIZES, comes_back, grounded, reading_grows
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import qwen_vl
from curate.errors import SampleError
from curate.sample import Grounded, Region

# QwenLM/Qwen-VL, TUTORIAL.md: an answer of the model.
SHANGHAI = "<ref>上海环球金融中心</ref><box>(667,437),(760,874)</box>和<ref>东方明珠</ref><box>(506,75),(582,946)</box>"
# The same file, "Grounded Captioning": two boxes of one phrase, and the space before it inside the tag.
APPLES = (
    "<ref> Two apples</ref><box>(302,257),(582,671)</box><box>(603,252),(878,642)</box> and"
    "<ref> a bowl</ref><box>(2,269),(304,674)</box>"
)


def one(box, text="cat"):
    return Grounded(text, (Region(text, (box,), start=0, end=len(text)),))


def test_the_published_answers_read_and_write():
    shanghai = qwen_vl.decode(SHANGHAI, 1000, 500)
    assert shanghai.text == "上海环球金融中心和东方明珠"
    assert [(r.phrase, r.start, r.end) for r in shanghai.regions] == [("上海环球金融中心", 0, 8), ("东方明珠", 9, 13)]
    assert shanghai.regions[0].boxes == ((0.6675, 0.4375, 0.7605, 0.8745),)
    assert qwen_vl.encode(shanghai, 1000, 500) == SHANGHAI
    apples = qwen_vl.decode(APPLES, 640, 480)
    assert apples.text == " Two apples and a bowl"
    assert [len(r.boxes) for r in apples.regions] == [2, 1]
    assert qwen_vl.encode(apples, 640, 480) == APPLES


def test_numbers_are_truncated_and_never_1000():
    assert qwen_vl.encode(one((7 / 640, 9 / 480, 1, 479 / 480)), 640, 480) == (
        "<ref>cat</ref><box>(10,18),(999,997)</box>"
    )
    assert "(999,999),(999,999)" in qwen_vl.encode(one((1.0, 1.0, 1.0, 1.0)), 3, 5)


def test_a_thousand_is_read_as_999():
    (region,) = qwen_vl.decode("<box>(0,0),(1000,1000)</box>", 9, 9).regions
    assert region.boxes == ((0.0005, 0.0005, 0.9995, 0.9995),)
    assert (region.phrase, region.start, region.end) == ("", 0, 0)


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=60)
def test_what_is_held_comes_back(before, size):
    comes_back(qwen_vl, before, size)


def test_every_number_is_written_as_it_was_read():
    for n in range(1000):
        text = f"<box>({n},{n}),({n},999)</box>"
        for size in SIZES:
            assert qwen_vl.encode(qwen_vl.decode(text, *size), *size) == text


def test_spaces_between_points_do_not_matter():
    loose = qwen_vl.decode("<ref>cat</ref><box>( 1,2), (3, 4)</box>", 9, 9)
    assert qwen_vl.encode(loose, 9, 9) == "<ref>cat</ref><box>(1,2),(3,4)</box>"


def test_a_bare_box_behind_a_phrase_would_be_the_phrases():
    some = ((0.1, 0.2, 0.3, 0.4),)
    behind = Grounded("a cat ", tuple(Region("", some, start=a, end=b) for a, b in [(2, 5), (5, 5), (6, 6)]))
    assert qwen_vl.uncoded(behind) == (1,)
    assert qwen_vl.encode(behind, 9, 9) == (
        "a <ref>cat</ref><box>(100,200),(300,400)</box> <box>(100,200),(300,400)</box>"
    )


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a <ref>cat</ref><box>(1,2),(3)</box>", 21),
        ("a <ref>cat</ref><box>(1,2),(3,4),(5,6)</box>", 21),
        ("a <ref>cat</ref><box>(1,2)</box>", 21),
        ("a <ref>cat</ref><box>(1,2),(3,NaN)</box>", 21),
        ("a <ref>cat</ref><box>(1,2),(3,inf)</box>", 21),
        ("a <ref>cat</ref><box>(1,2),(3,1001)</box>", 21),
        ("a <ref>cat</ref><box>(3,2),(1,4)</box>", 21),
        ("a <ref>cat</ref><box>(1,4),(3,2)</box>", 21),
        ("a <ref>cat</ref><box>(1,2),(3,-4)</box>", 21),
        ("a <ref>cat</ref><box>(1,2),(3,4.5)</box>", 21),
        ("a <ref>cat</ref><box>(1,2),(3,٤)</box>", 21),
        ("a <ref>cat</ref><box>(1,2),(3," + "9" * 5000 + ")</box>", 21),
        ("a <ref>cat</ref><box>[[1, 2, 3, 4]]</box>", 21),
        ("a <ref>cat</ref><box></box>", 21),
        ("a <ref>cat</ref><box>(1,2),(3,4)", 16),
        ("a <ref>cat", 2),
        ("a cat</ref>", 5),
        ("a <ref>cat<ref>dog</ref>", 10),
        ("a <ref cat</ref>", 2),
        ("a <ref>cat</ref><bo", 16),
        ("<ref>a</ref><box>(1,2),(3,4)</box></box>", 34),
    ],
)
def test_malformed_text_is_named_with_its_place(text, position):
    with pytest.raises(SampleError) as caught:
        qwen_vl.decode(text, 640, 480)
    assert caught.value.code == "bad_qwen_vl"
    assert caught.value.detail.endswith(f"at character {position}")
    assert len(caught.value.detail) < 200


@pytest.mark.parametrize("text", ["a <ref>", "</box>", "x <box y", "cut <re", "<box>(1,2),(3,4)</box>"])
def test_a_text_with_tags_is_not_encoded(text):
    with pytest.raises(SampleError, match="reserved_tag"):
        qwen_vl.encode(Grounded(text), 10, 10)


def test_bad_numbers_and_sizes():
    with pytest.raises(SampleError, match="bad_box"):
        qwen_vl.encode(one((0, 0, float("nan"), 1)), 10, 10)
    for call in (lambda: qwen_vl.encode(one((0, 0, 1, 1)), 0, 10), lambda: qwen_vl.decode("cat", 10, 0)):
        with pytest.raises(SampleError, match="bad_size"):
            call()


@pytest.mark.parametrize(
    ("before", "unit", "after", "megabytes"),
    [
        ("", "<ref>cat</ref><box>(1,2),(3,4)</box>", "", 2),
        ("<ref>cat</ref>", "<box>(1,2),(3,4)</box>", "", 2),
        ("", "<ref>", "", 10),
        ("", "<", "", 10),
        ("<ref>a</ref><box>", "(", "</box>", 10),
        ("<ref>a</ref><box>", " ", "</box>", 10),
        ("<box>(1,", "1", "</box>", 10),
    ],
    ids=["many", "boxes", "refs", "angles", "brackets", "spaces", "digits"],
)
def test_reading_is_linear(before, unit, after, megabytes):
    assert reading_grows(qwen_vl, before, unit, after, megabytes) < 24
