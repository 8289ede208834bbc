"""Captions of strangers: sliced by code point, cut, and nothing in them stays invisible."""

import pytest

from curate.report.words import CUT, Piece, Span, changes, inert, pieces, segments, shorten


def text_of(found):
    return "".join(piece.text for segment in found for piece in segment.pieces)


@pytest.mark.parametrize(
    "sign", ["\0", "\x1b", "\u202e", "\u2066", "\u200f", "\u2028", "\u200b", "\ufeff", "\U000e0041"]
)
def test_signs_that_cannot_be_seen_are_written_out(sign):
    assert pieces(f"a{sign}b") == (Piece("a"), Piece(f"U+{ord(sign):04X}", code=True), Piece("b"))
    assert inert(f"a{sign}b") == f"a[U+{ord(sign):04X}]b"


def test_joined_emoji_and_scripts_stay_whole():
    for text in ("👩‍👩‍👧 family", "می‌خواهم", "שלום עולם", "é"):
        assert pieces(text) == (Piece(text),)


def test_line_breaks_become_blanks():
    assert inert("a\nb\tc\r\nd") == "a b c  d"


def test_spans_are_code_points_whatever_stands_before_them():
    text = "🐶🐱 a red ball"
    found = segments(text, [Span(0, 0, 3, 13, True)])
    assert [(text_of([s]), [m.region for m in s.marks]) for s in found] == [("🐶🐱 ", []), ("a red ball"[:10], [0])]


def test_nested_and_overlapping_spans_stack():
    found = segments("a dog and a cat", [Span(0, 0, 0, 5, True), Span(1, 1, 0, 15, True), Span(2, 2, 2, 9, False)])
    assert [(text_of([s]), [m.region for m in s.marks]) for s in found] == [
        ("a ", [1, 0]),
        ("dog", [1, 0, 2]),
        (" and", [1, 2]),
        (" a cat", [1]),
    ]
    firsts = [(m.region, s.pieces[0].text) for s in found for m in s.marks if m.first]
    assert firsts == [(1, "a "), (0, "a "), (2, "dog")]
    assert [m.boxed for m in found[2].marks] == [True, False]


@pytest.mark.parametrize("start,end", [(-3, 4), (5, 5), (9, 3), (100, 200), (CUT + 5, CUT + 9)])
def test_spans_that_make_no_sense_are_left_out(start, end):
    found = segments("x" * 50, [Span(0, 0, start, end, True)])
    assert text_of(found) == "x" * 50 and not any(s.marks for s in found)


def test_a_long_caption_is_cut_and_its_spans_with_it():
    found = segments("word " * 20_000, [Span(0, 0, 5, 90_000, True)])
    assert text_of(found).endswith("…") and len(text_of(found)) <= CUT + 1
    assert found[-1].marks


def test_no_text():
    assert segments("", [Span(0, 0, 0, 3, True)]) == ()
    assert shorten("") == inert("") == ""


def test_changed_words():
    found = changes("a dog on the left, running", "a dog on the right, running")
    assert [(c.kind, c.pieces[0].text) for c in found] == [
        ("same", "a dog on the "),
        ("gone", "left"),
        ("new", "right"),
        ("same", ", running"),
    ]
    assert changes("same", "same") == ()
