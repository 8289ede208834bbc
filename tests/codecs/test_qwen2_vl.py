import pytest
from bin_forms import SIZES, comes_back, grounded, reading_grows
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import qwen2_vl, qwen_vl
from curate.errors import SampleError
from curate.sample import Grounded, Region

# QwenLM/Qwen3-VL#105, the maintainers' sample of a grounded caption, its first half.
WOMAN = (
    "In the image,<|object_ref_start|>a woman<|object_ref_end|><|box_start|>(462,371),(709,785)<|box_end|> "
    "is sitting on the beach with"
)


def test_the_published_caption_reads_and_writes():
    woman = qwen2_vl.decode(WOMAN, 2044, 1366)
    assert woman.text == "In the image,a woman is sitting on the beach with"
    assert woman.regions == (Region("a woman", ((0.4625, 0.3715, 0.7095, 0.7855),), start=13, end=20),)
    assert qwen2_vl.encode(woman, 2044, 1366) == WOMAN


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=60)
def test_what_is_held_comes_back(before, size):
    if comes_back(qwen2_vl, before, size):
        try:
            renamed = qwen_vl.encode(before, *size)
        except SampleError:
            return
        for old, new in [("ref", "object_ref"), ("box", "box")]:
            renamed = renamed.replace(f"<{old}>", f"<|{new}_start|>").replace(f"</{old}>", f"<|{new}_end|>")
        assert qwen2_vl.encode(before, *size) == renamed


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("a <|box_start|>(1,2),(3)<|box_end|>", 15),
        ("a <|box_start|>(1,2),(3,1001)<|box_end|>", 15),
        ("a <|box_start|>(3,2),(1,4)<|box_end|>", 15),
        ("a <|box_start|>(1,2),(3,4)", 2),
        ("a <|object_ref_start|>cat", 2),
        ("a <|object_ref_start|>cat<|box_start|>", 25),
        ("a <|object_ref_end|>", 2),
        ("a <|box_start", 2),
        ("a <|object_ref_start cat", 2),
        ("a <|", 2),
    ],
)
def test_malformed_text_is_named_with_its_place(text, position):
    with pytest.raises(SampleError) as caught:
        qwen2_vl.decode(text, 640, 480)
    assert caught.value.code == "bad_qwen2_vl"
    assert caught.value.detail.endswith(f"at character {position}")


@pytest.mark.parametrize("text", ["a <|object_ref_start|>", "<|box_end|>", "<|box_start x", "cut <|ob"])
def test_a_text_with_tags_is_not_encoded(text):
    with pytest.raises(SampleError, match="reserved_tag"):
        qwen2_vl.encode(Grounded(text), 10, 10)


@pytest.mark.parametrize("text", ["<ref>", "<box>(1,2),(3,4)</box>", "<|im_end|>", "<|object_ref_starts|>", "<|vision"])
def test_other_tags_are_words(text):
    assert qwen2_vl.decode(text, 10, 10) == Grounded(text)
    assert qwen2_vl.encode(Grounded(text), 10, 10) == text


def test_bad_numbers_and_sizes():
    nan = Grounded("cat", (Region("cat", ((0, 0, float("nan"), 1),), start=0, end=3),))
    with pytest.raises(SampleError, match="bad_box"):
        qwen2_vl.encode(nan, 10, 10)
    for call in (lambda: qwen2_vl.encode(Grounded("cat"), 0, 10), lambda: qwen2_vl.decode("cat", 10, 0)):
        with pytest.raises(SampleError, match="bad_size"):
            call()


@pytest.mark.parametrize(
    ("unit", "megabytes"),
    [("<|object_ref_start|>", 10), ("<|", 10), ("<|box_start", 10), ("<|box_start|>(1,2),(3,4)<|box_end|>", 2)],
    ids=["refs", "angles", "halves", "many"],
)
def test_reading_is_linear(unit, megabytes):
    assert reading_grows(qwen2_vl, "", unit, "", megabytes) < 24
