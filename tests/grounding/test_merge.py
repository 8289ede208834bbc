"""Samples of one picture as one conversation: every word, box and span is where it was, and there is one picture."""

import json
from dataclasses import replace

import pytest
from conftest import growth
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import SampleError
from curate.grounding.dialogue import CAPTION, GROUNDED, IMAGE, turns_of
from curate.grounding.merge import merged
from curate.sample import ImageRef, Region, Relation, Sample, Transform, Turn

PICTURE = ImageRef("a.jpg", 512, 9, "5a" * 32, "", "jpeg", 4, 4, 4, 4, 1)
BOX, OTHER = (0.1, 0.2, 0.3, 0.4), (0.5, 0.5, 1.0, 1.0)


def sample(name="a", **changes):
    return replace(Sample(name, "grit", 0, 0, name, images=(PICTURE,)), **changes)


def plain(grounded, width, height):
    return grounded.text


def caption(name="a", text="a dog by a tree"):
    dog, tree = Region("a dog", (BOX,), None, 0, 5), Region("a tree", (BOX, OTHER), None, 9, 15)
    return sample(name, text=text, regions=(dog, tree), relations=(Relation("by", (0,), (1, 2), None, 6, 8),))


def chat(name="b", question=f"{IMAGE}\nWhere is the cat?"):
    answer = "The cat is here."
    at = question.find("the cat")
    spanned = (Region("the cat", (BOX,), 0, at, at + 7), Region("The cat", (OTHER, BOX), 1, 0, 7))
    relation = Relation("is", (0,), (2,), 1, 8, 10)
    return sample(
        name,
        conversations=(Turn("human", question), Turn("gpt", answer)),
        regions=(*spanned, Region("outside", (BOX,))),
        relations=(relation,),
    )


def boxes(one):
    return [box for region in one.regions for box in region.boxes]


def words(one, region):
    return one.conversations[region.turn].value[region.start : region.end]


def test_turns_regions_and_relations_are_rebased():
    one = merged([caption(), chat(), chat("c")])
    assert [turn.value for turn in one.conversations] == [
        GROUNDED, "a dog by a tree", *["Where is the cat?", "The cat is here."] * 2
    ]  # fmt: skip
    assert [turn.role for turn in one.conversations] == ["human", "gpt"] * 3
    assert [words(one, region) for region in one.regions if region.start is not None] == [
        "a dog", "a tree", "the cat", "The cat", "the cat", "The cat"
    ]  # fmt: skip
    assert [region.turn for region in one.regions] == [1, 1, 2, 3, None, 4, 5, None]
    assert [relation.turn for relation in one.relations] == [1, 3, 5]
    assert [words(one, relation) for relation in one.relations] == ["by", "is", "is"]
    for relation, old in zip(one.relations, (caption(), chat(), chat("c")), strict=True):
        for ends in ("subjects", "objects"):
            now = [boxes(one)[at] for at in getattr(relation, ends)]
            assert now == [boxes(old)[at] for at in getattr(old.relations[0], ends)]
    assert one.text is None and one.images == (PICTURE,)


def test_there_is_one_place_holder():
    written = turns_of(merged([chat(), chat("c"), sample("d", text="a dog")]), plain)
    assert sum(turn.value.count(IMAGE) for turn in written) == 1
    assert written[0].value == f"{IMAGE}\nWhere is the cat?"
    assert written[-2:] == (Turn("human", CAPTION), Turn("gpt", "a dog"))


@pytest.mark.parametrize(
    "question",
    [
        "Where is the cat?",
        f"{IMAGE}\nWhere is the cat?",
        f"{IMAGE}Where is the cat?",
        f"Where is the cat?\n{IMAGE}",
        f"Where is {IMAGE}\nthe cat?",
        f"{IMAGE}\n{IMAGE}\nWhere is the cat?",
        f"{IMAGE}\n\n{IMAGE}Where is the cat?{IMAGE}",
        f"Where is\n{IMAGE}\n{IMAGE} the cat?",
    ],
)
def test_spans_follow_when_place_holders_go(question):
    one = merged([caption(), chat(question=question)])
    assert IMAGE not in one.conversations[2].value
    assert words(one, one.regions[2]) == "the cat"


@given(st.lists(st.sampled_from(["a", "\n", IMAGE, "bc"]), max_size=12))
def test_every_kept_character_keeps_its_span(parts):
    text = "".join(parts) + "!"
    kept = [at for at, mark in enumerate(text) if mark in "abc!" and not _inside(text, at)]
    regions = tuple(Region(text[at], (BOX,), 0, at, at + 1) for at in kept)
    one = merged([sample("b", conversations=(Turn("human", text), Turn("gpt", "x")), regions=regions), caption()])
    assert [words(one, region) for region in one.regions[: len(kept)]] == [text[at] for at in kept]


def _inside(text, at):
    return any(text.startswith(IMAGE, start) for start in range(max(0, at - len(IMAGE) + 1), at + 1))


def test_the_id_rests_on_all_ids_in_order():
    a, b, c = caption("a"), chat("b"), chat("c")
    one = merged([a, b])
    assert one == merged([a, b])
    assert len({one.sample_id, merged([b, a]).sample_id, merged([a, c]).sample_id, "a", "b"}) == 5
    assert json.loads(one.source_meta) == {"merged": ["a", "b"]}
    assert merged([a]) is a


@pytest.mark.parametrize("meta", ["{", "[1]", "[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_hostile_meta_is_let_go(meta):
    assert json.loads(merged([replace(caption(), source_meta=meta), chat()]).source_meta) == {"merged": ["a", "b"]}


def test_what_the_source_said_of_the_picture_stays():
    one = merged([replace(caption(), source_meta='{"image": "coco/1.jpg"}'), chat()])
    assert json.loads(one.source_meta) == {"image": "coco/1.jpg", "merged": ["a", "b"]}


def test_a_child_with_pixels_of_its_own_is_still_found_by_its_id():
    flip = (Transform("hflip", 2),)
    own = replace(caption("kid"), transforms=flip, images=(replace(PICTURE, member="kid.jpg"),))
    assert merged([own, replace(chat(), transforms=flip)]).sample_id == "kid"
    assert not merged([own, replace(chat(), transforms=flip)]).is_virtual()
    virtual = replace(caption("kid"), transforms=flip)
    assert merged([virtual, replace(chat(), transforms=flip)]).is_virtual()


@pytest.mark.parametrize(
    ("other", "code"),
    [
        (replace(chat(), transforms=(Transform("hflip", 2),)), "not_one_picture"),
        (replace(chat(), affine=(1.0, 0.0, 0.0, 0.0, 1.0, 2.0)), "not_one_picture"),
        (replace(chat(), images=()), "not_one_picture"),
        (replace(chat(), images=(PICTURE, PICTURE)), "not_one_picture"),
        (sample("b", text=" \n"), "no_text"),
        (sample("b"), "no_text"),
        (replace(chat(), conversations=chat().conversations[::-1]), "bad_turns"),
        (replace(chat(), conversations=chat().conversations[:1]), "bad_turns"),
        (replace(chat(), regions=(Region("x", (BOX,), 2, 0, 1),)), "bad_span"),
        (replace(chat(), regions=(Region("x", (BOX,), -1, 0, 1),)), "bad_span"),
        (replace(chat(), relations=(Relation("x", (0,), (9,)),)), "bad_span"),
        (replace(chat(), relations=(Relation("x", (-1,), (0,)),)), "bad_span"),
    ],
)
def test_what_cannot_be_merged_is_refused(other, code):
    with pytest.raises(SampleError) as refused:
        merged([caption(), other])
    assert refused.value.code == code


def test_many_place_holders_take_linear_time():
    def work(size):
        text = "a<image>" * size
        regions = tuple(Region("a", (BOX,), 0, 8 * at, 8 * at + 1) for at in range(size))
        merged([caption(), sample("b", conversations=(Turn("human", text), Turn("gpt", "x")), regions=regions)])

    assert growth(work, 2000) < 20
