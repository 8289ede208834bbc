import itertools
import math

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.grounding.dialogue import turns_of
from curate.grounding.resolve import Alternative, resolve, resolved, tagged, writing
from curate.grounding.spans import written
from curate.sample import Grounded, Region, Relation, Sample

TEXT = "a wire hanger with a paper cover that reads we heart our customers"
ONE, TWO = (0.1, 0.1, 0.5, 0.5), (0.2, 0.3, 0.9, 0.9)
POLICIES = ("longest", "shortest", "best_score")


def region(start, end, *boxes, score=0.7, tag="noun_chunk"):
    return Region("" if start is None else TEXT[start:end], boxes or (ONE,), None, start, end, score, (tag,))


HANGER, COVER = region(0, 13, ONE), region(19, 32, TWO, score=0.8)
HANGER_LONG, COVER_LONG = region(0, 66, ONE, tag="ref_exp"), region(19, 66, TWO, score=0.8, tag="ref_exp")
PAGE = Grounded(TEXT, (HANGER, COVER, HANGER_LONG, COVER_LONG))


def test_the_policies_on_a_row_of_the_released_form():
    longest = resolve(PAGE, "longest")
    assert longest.chosen == (2,)
    assert longest.alternatives == tuple(Alternative(i, "nested_in", 2) for i in (0, 1, 3))
    shortest = resolve(PAGE, "shortest")
    assert shortest.chosen == (0, 1)
    assert shortest.alternatives == (Alternative(2, "contains", 0), Alternative(3, "contains", 1))
    best = resolve(PAGE, "best_score")
    assert best.chosen == (0, 3)
    assert best.alternatives == (Alternative(1, "nested_in", 3), Alternative(2, "contains", 3))


def test_an_expression_is_preferred_to_its_chunk():
    assert resolve(Grounded(TEXT, (HANGER, HANGER_LONG)), "best_score").chosen == (1,)


@pytest.mark.parametrize("policy", POLICIES)
def test_reasons(policy):
    found = Grounded(
        TEXT,
        (
            region(0, 13, ONE, TWO),
            region(0, 13, TWO),
            region(None, None),
            region(5, 99),
            region(13, 5),
            Region("x", (), None, 0, 3),
            region(13, 13),
            region(7, 7),
        ),
    )
    resolution = resolve(found, policy)
    assert resolution.chosen == (0, 6)
    assert resolution.alternatives == (
        Alternative(1, "duplicate_of", 0),
        Alternative(2, "no_span"),
        Alternative(3, "no_span"),
        Alternative(4, "no_span"),
        Alternative(5, "no_box"),
        Alternative(7, "nested_in", 0),
    )


def test_spans_that_cross():
    crossing = Grounded(TEXT, (region(0, 10), region(5, 15, TWO), region(15, 20)))
    assert resolve(crossing, "longest").alternatives == (Alternative(1, "overlaps", 0),)


def test_one_span_with_different_boxes_is_one_phrase():
    assert resolve(Grounded(TEXT, (region(0, 13, ONE), region(0, 13, TWO))), "longest").chosen == (0, 1)


def test_scores_that_are_missing_are_lowest():
    none, nan, low = (region(0, 13, score=score) for score in (None, math.nan, 0.1))
    long = region(0, 20, score=0.01)
    for worse in (none, nan):
        assert resolve(Grounded(TEXT, (worse, long)), "best_score").chosen == (1,)
    assert resolve(Grounded(TEXT, (low, long)), "best_score").chosen == (0,)


def test_unknown_policies_are_refused():
    with pytest.raises(ValueError, match="longest, shortest, best_score"):
        resolve(PAGE, "widest")


def slow(grounded, policy):
    """Greedy by comparing each with every chosen one: the oracle."""
    usable = [
        (i, r)
        for i, r in enumerate(grounded.regions)
        if r.boxes and r.start is not None and r.end is not None and 0 <= r.start <= r.end <= len(grounded.text)
    ]

    def rank(item):
        i, r = item
        length, score = r.end - r.start, -math.inf if r.score is None else r.score
        return {
            "longest": (-length, -score, r.start, i),
            "shortest": (length, -score, r.start, i),
            "best_score": (-score, -length, r.start, i),
        }[policy]

    wordy = sorted([item for item in usable if item[1].start < item[1].end], key=rank)
    chosen = []
    for i, r in [*wordy, *(item for item in usable if item[1].start == item[1].end)]:
        same = [o for _, o in chosen if (o.start, o.end) == (r.start, r.end)]
        others = [o for _, o in chosen if (o.start, o.end) != (r.start, r.end)]
        if any(set(r.boxes) <= set(o.boxes) for o in same) or any(o.start < r.end and r.start < o.end for o in others):
            continue
        chosen.append((i, r))
    return tuple(sorted(i for i, _ in chosen))


regions = st.lists(
    st.builds(
        lambda span, boxes, score: region(*span, *boxes, score=score),
        st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda span: tuple(sorted(span)))
        | st.sampled_from([(None, None), (3, None), (-1, 4), (60, 70), (9, 2)]),
        st.lists(st.sampled_from([ONE, TWO]), min_size=1, max_size=2),
        st.sampled_from([None, 0.5, 0.7]),
    ),
    max_size=9,
)


@given(regions, st.sampled_from(POLICIES))
@settings(max_examples=80)
def test_the_choice_agrees_with_the_plain_form(found, policy):
    grounded = Grounded(TEXT, tuple(found))
    resolution = resolve(grounded, policy)
    assert resolution.chosen == slow(grounded, policy)
    named = [*resolution.chosen, *(one.region for one in resolution.alternatives)]
    assert sorted(named) == list(range(len(found))), "every region once"
    for one in resolution.alternatives:
        assert (one.of is None) == (one.reason in ("no_span", "no_box"))
        assert one.of is None or one.of in resolution.chosen
    kept = resolved(grounded, policy)
    held = {i for indices in written(kept).values() for i in indices}
    assert held == set(range(len(kept.regions))), "a codec leaves out none of what was chosen"
    assert resolved(kept, policy) == kept


@given(regions)
def test_longest_chooses_the_spans_that_codecs_choose(found):
    grounded = Grounded(TEXT, tuple(found))
    chosen = {(found[i].start, found[i].end) for i in resolve(grounded, "longest").chosen}
    lengths = lambda spans: sorted(end - start for start, end in spans)  # noqa: E731
    wordy = [span for span in written(grounded) if span[0] < span[1]]
    distinct = len({r.end - r.start for r in found if r.start is not None and r.end is not None}) == len(found)
    if distinct:
        assert lengths(span for span in chosen if span[0] < span[1]) == lengths(wordy)


def test_the_order_of_the_list_does_not_matter():
    for order in itertools.permutations(range(4)):
        shuffled = Grounded(TEXT, tuple(PAGE.regions[i] for i in order))
        for policy in POLICIES:
            assert {shuffled.regions[i] for i in resolve(shuffled, policy).chosen} == {
                PAGE.regions[i] for i in resolve(PAGE, policy).chosen
            }


def test_relations_follow_their_boxes():
    near = Relation("near", (0,), (1,), None, 14, 18)
    lost = Relation("of", (0,), (2,), None, 14, 18)
    found = resolved(Grounded(TEXT, PAGE.regions, (near, lost)), "shortest")
    assert found.relations == (near,)
    moved = resolved(Grounded(TEXT, PAGE.regions, (Relation("on", (2,), (2,)),)), "longest")
    assert moved.relations == (Relation("on", (0,), (0,)),)


def test_alternatives_are_tagged_and_nothing_is_lost():
    found = tagged(PAGE, "longest")
    assert [one.tags for one in found] == [
        ("noun_chunk", "alternative", "nested_in:2"),
        ("noun_chunk", "alternative", "nested_in:2"),
        ("ref_exp",),
        ("ref_exp", "alternative", "nested_in:2"),
    ]
    assert [one.boxes for one in found] == [one.boxes for one in PAGE.regions]


def test_a_dialogue_is_written_by_the_policy():
    def marked(grounded, width, height):
        return "|".join(grounded.text[r.start : r.end] for r in grounded.regions)

    sample = Sample("s", "d", 0, 0, "k", text=TEXT, regions=PAGE.regions)
    assert turns_of(sample, marked, "shortest")[1].value == "a wire hanger|a paper cover"
    assert turns_of(sample, marked)[1].value.count("|") == 3
    assert writing(marked, None) is marked


@pytest.mark.parametrize("policy", POLICIES)
def test_time_grows_with_the_regions(policy):
    def nest(count):
        text = "x" * (2 * count)
        spans = [(i, 2 * count - i) for i in range(count)] + [(i, i + 1) for i in range(count)]
        resolve(Grounded(text, tuple(Region("", (ONE,), None, a, b, 0.5) for a, b in spans)), policy)

    assert growth(nest, 2000) < 24  # 64 where it were quadratic; collecting garbage takes its share
