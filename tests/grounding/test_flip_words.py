import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import SampleError
from curate.grounding import flip_words as module
from curate.grounding.flip_words import flip_words, flips_words
from curate.sample import Grounded, Region, Relation


def flip(text):
    return flip_words(Grounded(text)).text


FLIPPED = [
    ("the man on the left", "the man on the right"),
    ("LEFT man", "RIGHT man"),
    ("Left guy's right arm", "Right guy's left arm"),
    ("guy on left in red", "guy on right in red"),
    ("from left to right", "from right to left"),
    ("left/right", "right/left"),
    ("left-handed batter, with his right hand up", "right-handed batter, with his left hand up"),
    ("in the right-hand corner", "in the left-hand corner"),
    ("leftmost, RIGHTMOST, leftward, rightwards", "rightmost, LEFTMOST, rightward, leftwards"),
    ("bottom left corner, top-right, upperleft", "bottom right corner, top-left, upperright"),
    ("Left: a dog. Right: a cat.", "Right: a dog. Left: a cat."),
    ("is left of the tree", "is right of the tree"),
    ("second from right", "second from left"),
    ("facing left, screen right", "facing right, screen left"),
    ("man on the right next to the dog", "man on the left next to the dog"),
    ("a bag left behind on the left", "a bag left behind on the right"),
    ("people on the right are right behind him", "people on the left are right behind him"),
    ("running clockwise", "running counterclockwise"),
    ("Counterclockwise or CLOCKWISE", "Clockwise or COUNTERCLOCKWISE"),
    ("狗在左边,猫在右边", "狗在右边,猫在左边"),
    ("right", "left"),
    ("the dog to the left, right?", "the dog to the right, right?"),
]


@pytest.mark.parametrize(("before", "after"), FLIPPED)
def test_what_changes(before, after):
    assert flip(before) == after
    assert flip(after) == before
    assert flips_words(before)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "right now, all right, right away",
        "copyright, bright, upright, leftover, alright",
        "the food left over",
        "human rights and the right to vote",
        "at a right angle to the wall",
        "He left the room",
        "the train has left",
        "two minutes left",
        "what is left of the pizza",
        "a dog left alone",
        "right next to the dog",
        "right in front of the house",
        "the right size",
        "that's right",
        "is it a dog, right?",
        "a peace sign",
        "she reads a book",
        "三个左右",
        "右左",
        "gauche et droite",
    ],
)
def test_what_stays(text):
    assert flip(text) == text
    assert not flips_words(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a shirt that says hello", "flip_text"),
        ("the cover reads we heart our customers", "flip_text"),
        ("a stop sign", "flip_text"),
        ("the word on the wall", "flip_text"),
        ("player number 7", "flip_text"),
        ("#23", "flip_text"),
        ("23", "flip_text"),
        ("it is 10:30", "flip_text"),
        ('a "red" car', "flip_text"),
        ("a “red” car", "flip_text"),
        ("the 'STOP' on it", "flip_text"),
        ("license plate", "flip_text"),
        ("写着字", "flip_text"),
        ("a clock tower", "flip_directional"),
        ("a MAP of the city", "flip_directional"),
        ("the nike logo", "flip_directional"),
        ("turn left here", "flip_directional"),
        ("no right turn", "flip_directional"),
        ("a one-way street", "flip_directional"),
        ("at [0.1, 0.25, 0.3, 1.0]", "flip_coordinates"),
        ("<box>[[1, 2, 3, 4]]</box>", "flip_coordinates"),
        ("the cup left on the table", "flip_unclear"),
        ("a left-wing party", "flip_unclear"),
        ("the right place", "flip_unclear"),
        ("the left size", "flip_unclear"),
        ("lEfT man", "flip_unclear"),
        ("Right, that is a dog", "flip_unclear"),
    ],
)
def test_what_is_refused(text, code):
    with pytest.raises(SampleError) as caught:
        flip(text)
    assert caught.value.code == code


def test_close_words_are_not_refused():
    for text in ("design", "sworded", "a number of people", "numbers of birds", "maple", "the dogs' owner's cat"):
        assert flip(text) == text


def test_spans_follow_and_phrases_are_cut_anew():
    text = "the right man left of the dog on the right"
    dog = text.index("dog")
    grounded = Grounded(
        text,
        (
            Region("the right man", ((0, 0, 1, 1),), start=0, end=13, score=0.5, tags=("x",), turn=3),
            Region("dog", (), start=dog, end=dog + 3),
            Region("right man", (), start=None, end=None),
            Region("Right Man", (), start=4, end=13),
            Region("", (), start=len(text), end=len(text)),
        ),
        (Relation("left of", (0,), (1,), start=14, end=21), Relation("next to", (0,), (1,))),
    )
    flipped = flip_words(grounded)
    assert flipped.text == "the left man right of the dog on the left"
    first, second, third, fourth, last = flipped.regions
    assert first == Region("the left man", ((0, 0, 1, 1),), start=0, end=12, score=0.5, tags=("x",), turn=3)
    assert flipped.text[second.start : second.end] == second.phrase == "dog"
    assert third.phrase == "left man"
    assert fourth.phrase == "Left Man"
    assert last.start == last.end == len(flipped.text)
    assert (flipped.relations[0].predicate, flipped.relations[0].start) == ("right of", 13)
    assert flipped.relations[1].predicate == "next to"
    assert flip_words(flipped) == grounded


@pytest.mark.parametrize("span", [(5, 9), (0, 6), (0, 99), (-1, 3), (9, 4)])
def test_a_span_that_cannot_follow_is_refused(span):
    grounded = Grounded("the right man", (Region("x", (), start=span[0], end=span[1]),))
    with pytest.raises(SampleError, match="bad_span"):
        flip_words(grounded)


vocabulary = [
    "left",
    "right",
    "Left",
    "RIGHT",
    "the",
    "a",
    "on",
    "to",
    "of",
    "has",
    "he",
    "is",
    "and",
    ",",
    ".",
    "?",
    "-",
    "hand",
    "behind",
    "next",
    "in",
    "front",
    "over",
    "what",
    "dog",
    "man",
    "'s",
    "now",
    "all",
    "leftmost",
    "bottom",
    "rightward",
    "size",
    "\n",
    "左",
    "右",
    "İ",
    "é",
]


@given(st.lists(st.sampled_from(vocabulary), max_size=12), st.sampled_from([" ", " ", ""]), st.data())
@settings(max_examples=600)
def test_twice_is_the_identity(words, gap, data):
    text = gap.join(words)
    ends = data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text))))
    start, end = min(ends), max(ends)
    grounded = Grounded(text, (Region(text[start:end], (), start=start, end=end),))
    try:
        once = flip_words(grounded)
    except SampleError as error:
        assert error.code in {"flip_unclear", "bad_span"}
        return
    assert once.regions[0].phrase == once.text[once.regions[0].start : once.regions[0].end]
    assert flip_words(once) == grounded


@given(st.text(max_size=80))
def test_any_text_flips_or_is_refused_by_a_known_code(text):
    try:
        assert flip(flip(text)) == text
    except SampleError as error:
        assert error.code in {"flip_text", "flip_directional", "flip_coordinates", "flip_unclear"}


@pytest.mark.parametrize(
    "unit",
    ["the quick brown fox is on the left of a lazy dog and that is all there is. ", "a ", "'", "[1, ", " ", "1"],
)
def test_ten_megabytes_take_linear_time(unit):
    assert growth(lambda size: flip(unit * (size // len(unit))), 10_000_000 // 8) < 24


def test_the_verdicts_do_not_pile_up():
    for i in range(5000):
        flip(f"left man {i}")
    assert module._verdict.cache_info().currsize <= 4096
