import re

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import svit
from curate.errors import SampleError
from curate.sample import Grounded, Region

SIZES = [(640, 480), (480, 640), (1, 7), (7, 1), (333, 1000), (501, 300), (300, 300), (1, 1)]

unit = st.floats(0, 1)
boxes = st.tuples(unit, unit, unit, unit).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
words = st.text(st.sampled_from("ab ,;.\n[]<>/05é🎈שלום猫"), max_size=30) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=30
)


@st.composite
def grounded(draw):
    text = draw(words)
    place = st.integers(-1, len(text) + 1)
    spans = draw(st.lists(st.tuples(place, place), max_size=5))
    some = st.lists(boxes, min_size=1, max_size=3).map(tuple)
    return Grounded(text, tuple(Region(text[max(a, 0) : b], draw(some), start=a, end=b) for a, b in spans))


def one(box, text="cat", start=0):
    return Grounded(text, (Region(text[start:], (box,), start=start, end=len(text)),))


# BAAI-DCAI/Visual-Instruction-Tuning prompts/referring_qa.txt: the two forms, numbers ours.
MAN = "Why is the <st>man<ed> [0.125, 0.25, 0.5, 1.0] near the <st>men<ed> [0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.75, 0.8]?"


def test_the_published_form():
    read = svit.decode(MAN, 640, 480)
    assert read.text == "Why is the man near the men?"
    assert read.regions == (
        Region("man", ((0.125, 0.25, 0.5, 1.0),), start=11, end=14),
        Region("men", ((0.1, 0.2, 0.3, 0.4), (0.5, 0.6, 0.75, 0.8)), start=24, end=27),
    )
    assert svit.encode(read, 640, 480) == MAN
    assert svit.decode(MAN, 7, 333) == read


def test_the_prompt_itself_says_so(shared):
    prompt = shared / "annotations/svit/BAAI-DCAI__Visual-Instruction-Tuning/prompts/referring_qa.txt"
    text = prompt.read_text(encoding="utf-8")
    for form, boxes in [("<st>man<ed> [x1, y1, x2, y2]", 1), ("<st>men<ed> [x1, y1, x2, y2], [x1, y1, x2, y2]", 2)]:
        assert form in text
        names = ("x1", "y1", "x2", "y2")
        filled = form
        for name, number in zip(names, ("0.125", "0.25", "0.5", "1.0"), strict=True):
            filled = filled.replace(name, number)
        (region,) = svit.decode(filled, 640, 480).regions
        assert region.boxes == ((0.125, 0.25, 0.5, 1.0),) * boxes
        assert svit.encode(svit.decode(filled, 640, 480), 640, 480) == filled


def test_the_questions_hold_no_boxes(shared):
    questions = shared / "annotations/svit/BAAI-DCAI__Visual-Instruction-Tuning/data/questions.txt"
    for text in questions.read_text(encoding="utf-8").splitlines():
        assert svit.decode(text, 9, 9) == Grounded(text)
        assert svit.encode(Grounded(text), 9, 9) == svit.square_padded(text, 640, 480) == text


def test_each_thousandth_and_each_half_is_rounded_as_python_rounds():
    for n in range(2001):
        x = n / 2000
        assert svit.encode(one((0, 0, x, x)), 9, 9) == f"<st>cat<ed> {[0.0, 0.0, round(x, 3), round(x, 3)]}"


def test_boxes_without_tags_as_in_the_llava_edition():
    text = "What does the man [0.125, 0.25, 0.5, 1.0] hold? Locate the objects with their coordinates."
    read = svit.decode(text, 10, 10)
    assert read.regions == (Region("", ((0.125, 0.25, 0.5, 1.0),), start=17, end=17),)
    assert svit.encode(read, 10, 10) == text
    joined = "<st>cat<ed> [0.0, 0.0, 0.5, 0.5],[0.5, 0.5, 1.0, 1.0] dog"
    read = svit.decode(joined, 8, 8)
    assert (read.text, [(r.start, r.end) for r in read.regions]) == ("cat, dog", [(0, 3), (4, 4)])
    assert svit.encode(read, 8, 8) == joined


PIECES = ["<st>a cat<ed>", " ", "[0.1, 0.2, 0.3, 0.4]", ", ", "[0.5, 0.2, 0.3, 0.4]", "[.5, 0, 1, 1.]", "dog", "<", "["]
PIECES += [
    "<st>",
    "<ed>",
    "<st>b<ed> [0.1, 0.2, 0.3, 0.4], [ 0.1,  0.2, 0.3, 1 ]",
    "<st>c<ed> [0.1, 0.2, 0.3]",
    "]",
    "\n",
]
PIECES += [
    "<st>c<ed> [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]",
    "<st>c<ed> [0.1, 0.2, 0.3, 1.1]",
    "<st><ed> [0, 0, 1, 1]",
]
PIECES += [
    "<st>c<ed> [0.1, 0.2, 0.3, 0.4.]",
    "<st>c<ed> [0.1 0, 0.2, 0.3, 0.4]",
    f"<st>c<ed> [0.1, 0.2, 0.{'3' * 300}, 1]",
]


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
@settings(max_examples=60)
def test_the_short_way_reads_what_the_long_one_does(text):
    assert outcome(text) == outcome(text, short=False)


def test_most_texts_take_the_short_way():
    read = svit._simple("a <st>cat<ed> [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4] and <st>b<ed> [0, 0, 1, 1].")
    assert [(r.phrase, len(r.boxes), r.start, r.end) for r in read.regions] == [("cat", 2, 2, 5), ("b", 1, 10, 11)]


def outcome(text, short=True):
    with pytest.MonkeyPatch.context() as patch:
        if not short:
            patch.setattr(svit, "_simple", lambda text: None)
        try:
            return svit.decode(text, 640, 480)
        except SampleError as error:
            return error.code, error.detail


# What the rule of tools/expand_to_square.py gives for these texts.
PADDED = [
    ("<st>man<ed> [0.1, 0.2, 0.3, 0.4]", (640, 480), "<st>man<ed> [0.1, 0.275, 0.3, 0.425]"),
    (
        "<st>men<ed> [0.125, 0.25, 0.5, 0.75], [0.0, 0.0, 1.0, 1.0]",
        (480, 640),
        "<st>men<ed> [0.219, 0.25, 0.5, 0.75], [0.125, 0.0, 0.875, 1.0]",
    ),
    # half to even: 0.5 * 3 = 1.5 becomes 2, 0.25 * 10 = 2.5 becomes 2
    ("[0.5, 0.5, 0.75, 1.0]", (3, 2), "[0.667, 0.333, 0.667, 0.667]"),
    ("[0.25, 0.5, 0.5, 1.0]", (10, 7), "[0.2, 0.5, 0.5, 0.8]"),
    ("[0.2, 0.3, 0.6, 0.9]", (501, 300), "[0.2, 0.379, 0.601, 0.739]"),
    ("[0.2, 0.3, 0.6, 0.9]", (300, 300), "[0.2, 0.3, 0.6, 0.9]"),
    # a new box that equals a later one is replaced again, one that equals an earlier one is not
    (
        "[0.1, 0.2, 0.5, 0.6] then [0.1, 0.275, 0.5, 0.575]",
        (640, 480),
        "[0.1, 0.331, 0.5, 0.556] then [0.1, 0.331, 0.5, 0.556]",
    ),
    (
        "[0.1, 0.275, 0.5, 0.575] then [0.1, 0.2, 0.5, 0.6]",
        (640, 480),
        "[0.1, 0.331, 0.5, 0.556] then [0.1, 0.275, 0.5, 0.575]",
    ),
    # no number, other separators, no decimals
    (
        "[0.1, 0.2, 0.3, 1.2.3] [0.1,0.2,0.3,0.4] [0.5, 0, 1, 1]",
        (640, 480),
        "[0.1, 0.2, 0.3, 1.2.3] [0.1,0.2,0.3,0.4] [0.5, 0.125, 1.0, 0.875]",
    ),
    (f"[0.1, 0.2, 0.3, {'9' * 5001}]", (640, 480), f"[0.1, 0.2, 0.3, {'9' * 5001}]"),
    ("[٠.١, 0.2, 0.3, 0.4] [., ., ., .]", (640, 480), "[٠.١, 0.2, 0.3, 0.4] [., ., ., .]"),
]


@pytest.mark.parametrize(("text", "size", "padded"), PADDED)
def test_the_square_pad_of_the_published_tool(text, size, padded):
    assert svit.square_padded(text, *size) == padded


def replaced_in_order(text, width, height):
    """The published rule as it is told: every match in order, replaced everywhere in the text as it is by then."""
    side = max(width, height)
    offset = [(side - width) // 2, (side - height) // 2] * 2
    new = text
    for match in re.findall(r"\[[0-9.]+, [0-9.]+, [0-9.]+, [0-9.]+\]", text):
        try:
            shares = [float(part) for part in match[1:-1].split(", ")]
            px = [round(share * (width, height)[i % 2]) + offset[i] for i, share in enumerate(shares)]
            new = new.replace(match, str([round(value / side, 3) for value in px]))
        except (ValueError, OverflowError):
            pass
    return new


numbers = st.sampled_from(
    ["0.0", "0.5", "1.0", "0.25", "0.125", "0.375", "0.625", ".5", "1", "0.986", "1.2.3", "9" * 400]
)
texts = st.lists(
    st.lists(numbers, min_size=4, max_size=4).map(lambda n: f"[{', '.join(n)}]") | st.sampled_from([" ", ", ", "["])
)


@given(texts.map("".join), st.sampled_from([*SIZES, (100, 99), (3, 2)]), st.integers(0, 2))
@settings(max_examples=80)
def test_one_pass_is_what_replacing_in_order_makes(text, size, rounds):
    for _ in range(rounds):  # what the rule makes of a text, before or behind it: chains of replacements
        text = f"{replaced_in_order(text, *size)} {text}" if rounds == 1 else f"{text} {replaced_in_order(text, *size)}"
    assert svit.square_padded(text, *size) == replaced_in_order(text, *size)


def test_padding_many_boxes_is_linear():
    def pad(count):
        boxes = (f"[0.{n % 997:03d}, 0.{n // 997:03d}, 0.9{n % 89}, 0.9{n % 97}] " for n in range(count))
        svit.square_padded("".join(boxes), 640, 479)

    assert growth(pad, 4000) < 24
    with pytest.raises(SampleError, match="bad_size"):
        svit.square_padded("", 0, 4)


def test_no_blank_opens_a_text_or_a_line():
    text = "[0.1, 0.2, 0.3, 0.4]\nWhat is this?\n[0.1, 0.2, 0.3, 0.4]"
    read = svit.decode(text, 10, 10)
    assert (read.text, [r.start for r in read.regions]) == ("\nWhat is this?\n", [0, 15])
    assert svit.encode(read, 10, 10) == text


def apart(old, new, size):
    return max(abs(a - b) for a, b in zip(old, new, strict=True))


HOSTILE = [
    ("a cat [0.1, 0.2, 0.3]", 6),
    ("a cat [0.1, 0.2, 0.3, 0.4, 0.5]", 6),
    ("a cat [0.1, 0.2, 0.3, 0.4", 6),
    ("a cat [0.1", 6),
    ("a cat [0.1, nan, 0.3, 0.4]", 6),
    ("a cat [NaN, 0.1, 0.3, 0.4]", 6),
    ("a cat [0.1, 0.2, inf, 0.4]", 6),
    ("a cat [0.1, 0.2, 1e-1, 0.4]", 6),
    ("a cat [-0.1, 0.2, 0.3, 0.4]", 6),
    ("a cat [0.1, 0.2, 0.3, ٠.٤]", 6),
    ("a cat [٠.١, 0.2, 0.3, 0.4]", 6),
    ("a cat [0.1, 0.2, 0.3, 1.001]", 7),
    ("a cat [0.1, 0.2, 0.3, 40]", 7),
    ("a cat [0.5, 0.2, 0.3, 0.4]", 7),
    ("a cat [0.1, 0.5, 0.3, 0.4]", 7),
    (f"a cat [0.1, 0.2, 0.3, {'9' * 5001}]", 7),
    (f"a cat [0.1, 0.2, 0.3, 0.{'3' * 5001}]", 7),
    ("[0[0.1, 0.2, 0.3, 0.4], 5", 0),
    ("a <st>cat<ed> [0.1, 0.2, 0.3]", 14),
    ("a <st>cat<ed> sits", 9),
    ("a <st>cat<ed>", 9),
    ("a <st>cat<ed> sits <st>on<ed> [0.1, 0.2, 0.3, 0.4]", 9),
    ("a <st>cat<ed> sits [0.1, 0.2, 0.3, 0.4]", 9),
    ("a <st>cat", 2),
    ("a cat<ed> [0.1, 0.2, 0.3, 0.4]", 5),
    ("a <st>cat<st>dog<ed> [0.1, 0.2, 0.3, 0.4]", 9),
    ("a <st><ed> [0.1, 0.2, 0.3, 0.4]", 6),
    ("a <st>cat [0.1, 0.2, 0.3, 0.4]<ed> [0.1, 0.2, 0.3, 0.4]", 10),
    ("a <st cat", 2),
    ("a cat <e", 6),
    ("a <st>cat<ed> [0.1, 0.2, 0.3, 0.4], [0.5, 0.1", 36),
]


@given(grounded(), st.sampled_from(SIZES))
@settings(max_examples=80)
def test_what_is_written_comes_back(sample, size):
    try:
        written = svit.encode(sample, *size)
    except SampleError as error:
        assert error.code == "reserved_tag"
        return
    read = svit.decode(written, *size)
    assert read.text == sample.text
    missing = svit.uncoded(sample)
    told: dict = {}
    for start, end, i in sorted((r.start, r.end, i) for i, r in enumerate(sample.regions) if i not in missing):
        told.setdefault((start, end), []).extend(sample.regions[i].boxes)
    assert [(r.start, r.end) for r in read.regions] == list(told)
    assert all(r.phrase == sample.text[r.start : r.end] for r in read.regions)
    before = [(0, box) for some in told.values() for box in some]
    after = [(0, box) for r in read.regions for box in r.boxes]
    for (_, old), (_, new) in zip(before, after, strict=True):
        assert apart(old, new, size) <= svit.TOLERANCE
    assert svit.encode(read, *size) == written
    assert svit.decode(svit.encode(read, *size), *size) == read


def test_regions_of_one_span_share_a_mark_and_a_bare_box_stands_alone():
    a, b, c = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), (0.0, 0.5, 1.0, 1.0)
    regions = (
        Region("cat", (a,), start=2, end=5),
        Region("", (b,), start=5, end=5),
        Region("cat", (c,), start=2, end=5),
        Region("a", (a,), start=3, end=4),
        Region("cat", (a,)),
        Region("a", (), start=0, end=1),
    )
    sample = Grounded("a cat", regions)
    assert svit.uncoded(sample) == (3, 4, 5)
    written = svit.encode(sample, 10, 10)
    assert written == "a <st>cat<ed> [0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0] [0.5, 0.0, 1.0, 1.0]"
    assert svit.decode(written, 10, 10).regions == (
        Region("cat", (a, c), start=2, end=5),
        Region("", (b,), start=5, end=5),
    )


@pytest.mark.parametrize(("text", "where"), HOSTILE)
def test_malformed_text_is_named_with_its_place(text, where):
    with pytest.raises(SampleError) as caught:
        svit.decode(text, 640, 480)
    assert caught.value.code == "bad_svit"
    assert re.search(rf"at character {where}( of the text without marks)?$", caught.value.detail), caught.value.detail
    assert len(caught.value.detail) < 400


@pytest.mark.parametrize(
    "text", ["[1] is a citation", "[3 cats]", "[x1, y1, x2, y2]", "a [", "[]", "[[", "[0] 5, 6]", "1, 2, 3, 4"]
)
def test_other_brackets_are_words(text):
    assert svit.decode(text, 10, 10) == Grounded(text)
    assert svit.encode(Grounded(text), 10, 10) == text


def test_what_is_not_written():
    for box in [
        (0, float("nan"), 1, 1),
        (0, 0, float("inf"), 1),
        (0.5, 0, 0.4, 1),
        (0, 1, 1, 0),
        (-float("inf"), 0, 1, 1),
    ]:
        with pytest.raises(SampleError, match="bad_box"):
            svit.encode(one(box), 10, 10)
    for text in ["a [0.1, 0.2, 0.3, 0.4]", "[0.1, 0.2", "x [5", "<st>", "<ed> x", "<st x", "cut <s", "cut <ed"]:
        with pytest.raises(SampleError, match="reserved_tag"):
            svit.encode(Grounded(text), 10, 10)
    for size in [(0, 5), (5, 0), (-1, 5)]:
        with pytest.raises(SampleError, match="bad_size"):
            svit.encode(one((0, 0, 1, 1)), *size)
        with pytest.raises(SampleError, match="bad_size"):
            svit.decode("cat", *size)
    assert svit.encode(one((-0.5, -0.0, 1.5, 1)), 9, 9) == svit.encode(one((0, 0, 1, 1)), 9, 9)


@pytest.mark.parametrize(
    ("before", "each", "after", "size"),
    [
        ("", "cat <st>a<ed> [0.1, 0.2, 0.3, 0.4] ", "", 10_000),
        ("", "<st>a<ed> [0.1, 0.2, 0.3, 0.4], ", "", 10_000),
        ("", "[", "", 1_600_000),
        ("", "[ ", "", 800_000),
        ("[", " ", "", 1_600_000),
        ("[", "1", "", 1_600_000),
        ("[0.1, 0.", "1", ", 0.3, 0.4]", 1_600_000),
        ("", "<st>a", "", 400_000),
        ("", "<", "", 1_600_000),
        ("", "[1] ", "", 400_000),
    ],
    ids=["many", "one", "brackets", "blank_brackets", "blanks", "digits", "decimals", "tags", "angles", "citations"],
)
def test_reading_is_linear(before, each, after, size):
    def read(count):
        text = before + each * count + after
        for work in (svit.decode, lambda text, w, h: svit.encode(Grounded(text), w, h)):
            try:
                work(text, 640, 480)
            except SampleError as error:
                assert error.code in ("bad_svit", "reserved_tag")

    assert growth(read, size // 32) < 24
