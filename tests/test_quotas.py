"""Quotas: exact counts, bounds that hold, and a budget that is spent to the last sample."""

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from curate.quotas import Budget, Wish, quotas


def test_counts_and_epochs_are_met_to_the_sample() -> None:
    wishes = [Wish("a", 10, 100), Wish("b", 10, 100, epochs=2.5), Wish("c", 10, 100, samples=3)]
    assert quotas(wishes) == {"a": 10, "b": 25, "c": 3}


def test_a_budget_is_shared_by_size_root_or_equally() -> None:
    wishes = [Wish("small", 100, 100), Wish("large", 900, 900)]
    assert quotas(wishes, Budget(samples=100)) == {"small": 10, "large": 90}
    assert quotas(wishes, Budget(samples=100, temperature=0.5)) == {"small": 25, "large": 75}
    assert quotas(wishes, Budget(samples=100, temperature=0)) == {"small": 50, "large": 50}


def test_weights_share_what_counts_leave() -> None:
    wishes = [Wish("fixed", 50, 50, epochs=1), Wish("a", 100, 100, weight=3), Wish("b", 100, 100, weight=1)]
    assert quotas(wishes, Budget(samples=130)) == {"fixed": 50, "a": 60, "b": 20}


def test_tokens_are_what_a_token_budget_counts() -> None:
    wishes = [Wish("short", 100, 1000, weight=1), Wish("long", 100, 10_000, weight=1)]
    assert quotas(wishes, Budget(tokens=1000)) == {"short": 50, "long": 5}


def test_what_a_bound_keeps_from_one_goes_to_the_rest() -> None:
    wishes = [Wish("tiny", 5, 5, weight=1, max_epochs=4), Wish("a", 500, 500, weight=1), Wish("b", 500, 500, weight=1)]
    assert quotas(wishes, Budget(samples=300)) == {"tiny": 20, "a": 140, "b": 140}
    family = [Wish("r1", 500, 500, weight=3, family="ref"), Wish("r2", 500, 500, weight=1, family="ref")]
    found = quotas([*family, Wish("x", 900, 900, weight=1)], Budget(samples=500, families={"ref": 0.3}))
    assert found == {"r1": 112, "r2": 38, "x": 350} or found == {"r1": 113, "r2": 37, "x": 350}


def test_a_fixed_count_uses_up_its_family() -> None:
    wishes = [Wish("r1", 100, 100, samples=30, family="ref"), Wish("r2", 100, 100, family="ref"), Wish("x", 900, 900)]
    assert quotas(wishes, Budget(samples=100, families={"ref": 0.3})) == {"r1": 30, "r2": 0, "x": 70}


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 50), st.floats(0.01, 9)), min_size=1, max_size=6),
    st.floats(0.05, 0.95),
)
def test_the_sum_is_the_budget_and_no_bound_is_broken(parts: list[tuple[int, int, float]], fill: float) -> None:
    wishes = [
        Wish(str(n), size, size * each, weight=weight, max_epochs=3) for n, (size, each, weight) in enumerate(parts)
    ]
    total = max(1, int(fill * sum(3 * size for size, _, _ in parts)))
    found = quotas(wishes, Budget(samples=total))
    assert sum(found.values()) == total
    assert all(found[wish.name] <= 3 * wish.size + 1 for wish in wishes)


def test_passes_bound_a_count() -> None:
    wishes = [Wish("less", 5, 5, samples=30, max_epochs=1), Wish("so", 50, 50, samples=30, max_epochs=1)]
    assert quotas(wishes) == {"less": 5, "so": 30}
    assert quotas([*wishes, Wish("rest", 50, 50)], Budget(samples=55)) == {"less": 5, "so": 30, "rest": 20}


def test_rounding_does_not_take_a_family_above_its_share() -> None:
    family = [Wish(f"f{n}", 1000, 1000, weight=53, family="f") for n in range(5)]
    others = [Wish(f"o{n}", 1000, 1000, weight=5.05) for n in range(20)]
    found = quotas([*family, *others], Budget(samples=155, families={"f": 53 / 155}))
    assert sum(found.values()) == 155
    assert sum(found[wish.name] for wish in family) <= 54


KIND = st.sampled_from(["weight", "samples", "epochs", None])


@given(
    st.lists(
        st.tuples(st.integers(1, 400), st.integers(1, 30), KIND, st.floats(0.05, 5), st.sampled_from("fgh")),
        min_size=2,
        max_size=9,
    ),
    st.integers(1, 3000),
    st.floats(0.05, 1),
    st.floats(0.05, 1),
    st.booleans(),
)
@settings(max_examples=300)
def test_no_family_takes_more_than_its_share(
    parts: list[tuple[int, int, str | None, float, str]], total: int, first: float, second: float, by_tokens: bool
) -> None:
    wishes = []
    for number, (size, tokens, kind, amount, family) in enumerate(parts):
        said = {kind: max(1, round(amount)) if kind == "samples" else amount} if kind else {}
        wishes.append(Wish(str(number), size, size * tokens, **said, family=family))
    bounds = {"f": first, "g": second}
    budget = Budget(tokens=total, families=bounds) if by_tokens else Budget(samples=total, families=bounds)
    try:
        found = quotas(wishes, budget)
    except ValueError as error:
        event(str(error)[:20])
        assert any(
            word in str(error) for word in ("alone", "unfilled", "leave the budget out", "0 draws", "one sample")
        )
        return
    event("met")
    unit = {wish.name: wish.tokens / wish.size if by_tokens else 1 for wish in wishes}
    if not by_tokens:
        assert sum(found.values()) == total
    for family, share in bounds.items():
        members = [wish for wish in wishes if wish.family == family]
        taken = sum(found[wish.name] * unit[wish.name] for wish in members)
        assert taken <= share * total + max(
            [unit[wish.name] for wish in members if wish.epochs is None and wish.samples is None], default=1e-6
        )
        fixed = [wish for wish in members if wish.samples is not None]
        assert all(found[wish.name] == wish.samples for wish in fixed)


@pytest.mark.parametrize(
    ("wishes", "budget", "message"),
    [
        ([Wish("a", 0, 0)], None, "a has no samples"),
        ([Wish("a", 5, 5, epochs=1, samples=2)], None, "one of epochs"),
        ([Wish("a", 5, 5, weight=1)], None, "needs a budget"),
        ([Wish("a", 5, 5, weight=0), Wish("b", 5, 5, weight=0)], Budget(samples=4), "come to nothing"),
        ([Wish("a", 5, 5, epochs=0.01)], None, "0 draws from 5"),
        ([Wish("a", 5, 5, epochs=6, max_epochs=4)], None, "more than 4 of each"),
        ([Wish("a", 5, 5, samples=5001)], None, "more than 1000 of each"),
        ([Wish("a", 5, 5, samples=3, max_epochs=0.1)], None, "0 draws from 5"),
        (
            [Wish("a", 5, 5, weight=1, max_epochs=2)],
            Budget(samples=50),
            "leave 40 of 50 samples unfilled: a is drawn 2 times; raise these, or ask for less",
        ),
        (
            [Wish("a", 500, 5000, family="f"), Wish("b", 9, 90, max_epochs=4), Wish("c", 9, 90, samples=9)],
            Budget(tokens=5000, families={"f": 0.3}),
            "leave 3,050 of 5,000 tokens unfilled: the family f has all of its share, b is drawn 4 times",
        ),
        ([Wish("a", 5, 5, samples=5), Wish("b", 5, 5)], Budget(samples=5), "alone fill the budget"),
        ([Wish("a", 5, 5, samples=5)], Budget(samples=9), "leave the budget out"),
        ([Wish("a", 5, 50, weight=1)], Budget(tokens=1), "less than one sample"),
        (
            [Wish("a", 50, 50, samples=31, family="f"), Wish("b", 500, 500)],
            Budget(samples=100, families={"f": 0.3}),
            "the counts alone exceed the share of the family f: 31 of 30",
        ),
        (
            [Wish("a", 50, 500, epochs=1, family="f"), Wish("b", 500, 500, family="f"), Wish("c", 500, 500)],
            Budget(tokens=1000, families={"f": 0.4}),
            "the counts alone exceed the share of the family f: 500 of 400",
        ),
    ],
)
def test_what_cannot_be_met_is_said(wishes: list[Wish], budget: Budget | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quotas(wishes, budget)
