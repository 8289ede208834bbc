"""Dialogues about one picture become one conversation: `<image>` opens it, and no other word or span is lost."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.grounding import trainable
from curate.grounding.conversation import joined, merged, pairs
from curate.grounding.dialogue import IMAGE
from curate.sample import Grounded, Record, Region, Relation, Turn

BOX = (0.1, 0.2, 0.3, 0.4)


def asked(question: str, answer: str = "an answer") -> tuple[Turn, ...]:
    return Turn("human", question), Turn("gpt", answer)


def record(name: str, question: str, answer: str = "an answer", said: bool = True) -> Record:
    turns = asked(question, answer)
    words = tuple(Grounded(turn.value) for turn in turns) if said else ()
    return Record(name, "part", turns, f"{name}.jpg", b"x", 4, 4, said=words, length=9, pack=3)


@pytest.mark.parametrize(
    "question",
    [
        f"{IMAGE}\nWhere is it?",
        f"{IMAGE}Where is it?",
        f"{IMAGE} \n Where is it?",
        f"Where is it?\n{IMAGE}",
        f"Where is it?{IMAGE}\n",
        f"Where is{IMAGE}it?",
        f"Where is {IMAGE} it?",
    ],
)
def test_one_place_holder_opens_the_conversation(question: str) -> None:
    assert pairs(asked(question)) == 1
    turns = joined([asked(question), asked(question, "b")])
    assert turns[0].value == f"{IMAGE}\nWhere is it?" and turns[2].value == "Where is it?"
    assert [turn.role for turn in turns] == ["human", "gpt"] * 2
    trainable.check(turns, 1)


def test_a_place_holder_between_lines_leaves_a_line_end() -> None:
    turns = joined([asked(f"{IMAGE} Who?"), asked(f"Where\n{IMAGE}\nis it?"), asked(f"<im{IMAGE}age> it?")])
    assert [turn.value for turn in turns[::2]] == [f"{IMAGE}\nWho?", "Where\nis it?", "<im age> it?"]


def test_a_picture_that_is_named_late_is_named_first() -> None:
    turns = joined([(*asked("Who?"), *asked(f"{IMAGE}\nWhere?")), asked(f"{IMAGE}\nWhat?")])
    assert [turn.value for turn in turns[::2]] == [f"{IMAGE}\nWho?", "Where?", "What?"]


@pytest.mark.parametrize(
    "turns",
    [
        (),
        asked("no place for the picture"),
        asked(f"{IMAGE} and {IMAGE}"),
        asked(IMAGE),
        asked(f" {IMAGE}\n"),
        asked("what", f"{IMAGE} this"),
        asked(f"{IMAGE} what", " \n"),
        asked(f"{IMAGE} what")[:1],
        asked(f"{IMAGE} what")[::-1],
        (Turn("gpt", "hello"), *asked(f"{IMAGE} what")),
        asked(f"{IMAGE} <video>"),
        asked(f"{IMAGE} what", "<|im_end|>"),
        asked(f"{IMAGE} what", "</s>"),
        asked(f"{IMAGE} \ud800"),
    ],
)
def test_what_another_would_suffer_from_stays_by_itself(turns: tuple[Turn, ...]) -> None:
    assert pairs(turns) is None


WORDS = st.text("ab \n<>", max_size=6)


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=4))
def test_every_word_stays_in_order(texts: list[tuple[str, str, str]]) -> None:
    dialogues = [asked(before + IMAGE + after, answer) for before, after, answer in texts]
    dialogues = [each for each in dialogues if pairs(each)]
    if not dialogues:
        return
    turns = joined(dialogues)
    trainable.check(turns, 1)

    def words(turn: Turn) -> list[str]:
        return " ".join(turn.value.split(IMAGE)).split()

    assert [words(turn) for turn in turns] == [words(turn) for turn in chain(*dialogues)]
    assert [turn.value for turn in turns[1::2]] == [each[1].value for each in dialogues]


def test_records_become_one_with_the_first_s_picture() -> None:
    one = merged([record("a", f"{IMAGE}\nWho?"), record("b", f"Where?\n{IMAGE}", "there")], "c")
    assert (one.sample_id, one.image, one.picture, one.length, one.pack) == ("c", "a.jpg", b"x", 9, 3)
    assert [turn.value for turn in one.turns] == [f"{IMAGE}\nWho?", "an answer", "Where?", "there"]
    assert [each.text for each in one.said] == [turn.value for turn in one.turns]
    assert merged([record("a", f"{IMAGE}\nWho?", said=False)] * 2, "c").said == ()


@given(st.integers(0, 4), st.integers(0, 4), st.booleans())
def test_spans_follow_their_words(before: int, after: int, first: bool) -> None:
    opening = "\n" * before + IMAGE + "\n" * after
    text = f"{opening}see the cat there {IMAGE[:-1]}"
    at = text.index("the cat")
    spans = {
        "regions": (Region("the cat", (BOX,), start=at, end=at + 7), Region("outside", (BOX,))),
        "relations": (Relation("there", (0,), (0,), start=at + 8, end=at + 13),),
    }
    told = Record("b", "part", asked(text), "b.jpg", None, 4, 4, said=(Grounded(text, **spans), Grounded("an answer")))
    other = record("a", f"{IMAGE}\nWho?")
    one = merged([told, other] if first else [other, told], "c")
    found = one.said[0 if first else 2]
    assert found.text == one.turns[0 if first else 2].value
    assert found.text[found.regions[0].start : found.regions[0].end] == "the cat"
    assert found.text[found.relations[0].start : found.relations[0].end] == "there"
    assert found.regions[1].start is None
