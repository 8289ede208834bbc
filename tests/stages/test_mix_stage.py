"""The plan of a mix: every draw stands once, nothing is cut, and neither order nor the number of files matters."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate import schema
from curate.errors import ShardError
from curate.kernels.packing import Limits
from curate.quotas import Budget, Wish, quotas
from curate.stages.loads import Loads
from curate.stages.mix import Part, Recipe, drawn, planned, without_room


def lengths(
    tokens: Sequence[int],
    start: int = 0,
    tiles: int = 1,
    pictures: Sequence[str | None] | None = None,
    reasons: Sequence[str | None] | None = None,
) -> pa.Table:
    count = len(tokens)
    return pa.table(
        {
            "dataset": pa.array(["tiny"] * count, pa.string()),
            "sample_id": pa.array([f"{start + n:032x}" for n in range(count)], pa.string()),
            "picture": pa.array(pictures or [None] * count, pa.string()),
            "n_text_tok": pa.array(tokens, pa.int32()),
            "n_label_tok": pa.array([1] * count, pa.int32()),
            "n_img_tok": pa.array([0] * count, pa.int32()),
            "n_tiles": pa.array([tiles] * count, pa.int32()),
            "n_images": pa.array([1] * count, pa.int32()),
            "cost": pa.array([n * (n + 100) for n in tokens], pa.int64()),
            "record_offset": pa.nulls(count, pa.int64()),
            "record_bytes": pa.nulls(count, pa.int64()),
            **{field.name: pa.nulls(count, field.type) for field in schema.MEMBERS},
            "reason": pa.array(reasons or [None] * count, pa.string()),
        }
    )


PARTS = (Part("a", "one", ""), Part("b", "two", "hflip", epochs=1.5))
SOME = st.lists(st.integers(1, 120), min_size=1, max_size=60)


@given(SOME, SOME, st.integers(1, 4), st.integers(1, 3), st.integers(0, 5))
def test_every_draw_stands_once_and_no_pack_is_over_full(
    one: list[int], two: list[int], ranks: int, per_rank: int, seed: int
) -> None:
    limits = Limits(100)
    tables = [without_room(table, limits) for table in (lengths(one), lengths(two, 1000))]
    try:
        draws = drawn(dict(zip(PARTS, tables, strict=True)), None, seed)
    except ShardError:
        assert all(n > 100 for n in one) or sum(n <= 100 for n in two) == 0
        return
    table, facts = planned(draws, Recipe(limits, ranks=ranks, per_rank=per_rank, seed=seed), "m", "d")
    assert table.schema.equals(schema.MIXED)
    rows = table.to_pylist()
    stands = [row for row in rows if row["reason"] is None]
    fits = sum(n <= 100 for n in two)
    assert facts["samples"] == len(stands) == sum(n <= 100 for n in one) + quotas([Wish("b", fits, 0, epochs=1.5)])["b"]
    assert Counter(row["reason"] for row in rows if row["reason"]) == Counter(
        ["too_long"] * sum(n > 100 for n in (*one, *two))
    )
    loads: Counter[int] = Counter()
    for row in stands:
        assert row["offset"] == loads[row["pack"]]  # rows stand in order of slots, one behind another
        loads[row["pack"]] += row["n_text_tok"]
        assert row["step"] == row["pack"] // (ranks * per_rank)
        assert 0 <= row["rank"] < ranks
    assert max(loads.values()) <= 100
    assert sorted(loads) == list(range(facts["packs"]))
    assert facts["tokens"] == sum(loads.values())
    for step in range(facts["steps"] - 1):
        held = Counter(row["rank"] for row in stands if row["step"] == step and row["slot"] == 0)
        assert held == {rank: per_rank for rank in range(ranks)}


@given(SOME, st.randoms(use_true_random=False), st.integers(0, 3), st.sampled_from([None, 1]))
def test_the_order_of_files_and_rows_is_of_no_consequence(
    tokens: list[int], random: object, seed: int, samples: int | None
) -> None:
    places = list(range(len(tokens)))
    random.shuffle(places)  # type: ignore[attr-defined]
    table = lengths(tokens)
    recipe = Recipe(Limits(200, samples=samples), ranks=2, per_rank=2, seed=seed)
    plans = [
        planned(drawn(dict(zip(parts, tables, strict=True)), None, seed), recipe, "m", "d")[0]
        for parts, tables in (
            (PARTS, (table, lengths(tokens, 1000))),
            (PARTS, (table.take(places), lengths(tokens, 1000).take(places))),
            (PARTS[::-1], (lengths(tokens, 1000), table)),
        )
    ]
    assert plans[0].equals(plans[1])
    assert plans[0].equals(plans[2])


def test_half_as_many_ranks_keep_their_steps() -> None:
    tables = [lengths(list(range(1, 400)))]
    draws = drawn({PARTS[0]: tables[0]}, None, 1)
    four = planned(draws, Recipe(Limits(512), ("best_fit_decreasing",), ranks=4, per_rank=1), "m", "d")[0]
    two = planned(draws, Recipe(Limits(512), ("best_fit_decreasing",), ranks=2, per_rank=2), "m", "d")[0]
    keys = ("sample_id", "pack", "slot", "step")
    assert sorted(zip(*(four[key].to_pylist() for key in keys), strict=True)) == sorted(
        zip(*(two[key].to_pylist() for key in keys), strict=True)
    )


def test_packs_of_unequal_fill_share_steps_so_that_ranks_hold_equally_many_tokens() -> None:
    rng = np.random.default_rng(0)
    draws = drawn({PARTS[0]: lengths(rng.choice([70, 100], 3000).tolist())}, None, 0)
    even = balances(planned(draws, Recipe(Limits(100), ranks=4, per_rank=2), "m", "d"))
    assert even["token_balance"] <= 1.002
    assert even["cost_balance"] <= 1.02
    kept = balances(planned(draws, Recipe(Limits(100), ranks=4, per_rank=2, apart=1), "m", "d"))
    assert kept["token_balance"] > 1.02, "what is to stay apart is not exchanged"


def balances(made: tuple[pa.Table, dict[str, Any]]) -> dict[str, float]:
    """Return how even the ranks of a plan for four, with two packs each, are."""
    plan, facts = made
    loads = Loads(facts["steps"], 4)
    loads.add(plan)
    return loads.balance(8)


@pytest.mark.parametrize("turned", [False, True])
def test_samples_alone_are_spread_by_component_and_the_costly_ones_meet(turned: bool) -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(20, 60, 6400)
    tokens[rng.choice(6400, 24, replace=False)] = 900
    tables = [lengths(tokens[:4800].tolist()), lengths(tokens[4800:].tolist(), 10_000)]
    if turned:
        tables = [table.take(np.arange(table.num_rows)[::-1]) for table in tables]
    parts = (Part("a", "one", ""), Part("b", "two", ""))
    plan, facts = planned(
        drawn(dict(zip(parts, tables, strict=True)), None, 0),
        Recipe(Limits(1000, samples=1), ranks=8, per_rank=8),
        "m",
        "d",
    )
    rows = plan.to_pylist()
    held = Counter((row["step"], row["component"]) for row in rows)
    assert all(abs(held[step, "a"] - 48) <= 2 and abs(held[step, "b"] - 16) <= 2 for step in range(facts["steps"]))
    assert len({row["step"] for row in rows if row["n_text_tok"] == 900}) <= 6
    loads: Counter[tuple[int, int]] = Counter()
    for row in rows:
        loads[row["step"], row["rank"]] += row["cost"]
    late = [8 * max(loads[step, r] for r in range(8)) / sum(loads[step, r] for r in range(8)) for step in range(100)]
    assert np.median(late) < 1.01
    assert sum(each > 1.02 for each in late) <= 6


def test_tiles_and_samples_bound_a_pack_too() -> None:
    draws = drawn({PARTS[0]: lengths([10] * 40, tiles=3)}, None, 0)
    rows = planned(draws, Recipe(Limits(1000, tiles=9)), "m", "d")[0].to_pylist()
    assert max(Counter(row["pack"] for row in rows).values()) == 3
    rows = planned(draws, Recipe(Limits(1000, samples=4)), "m", "d")[0].to_pylist()
    assert max(Counter(row["pack"] for row in rows).values()) == 4


def test_a_curve_brings_a_component_late() -> None:
    tables = [lengths([10] * 500), lengths([10] * 500, 1000)]
    parts = (Part("a", "one", ""), Part("b", "two", ""))
    recipe = Recipe(Limits(100), per_rank=2, curves={"b": ((0.0, 0.0), (1.0, 1.0))})
    table = planned(drawn(dict(zip(parts, tables, strict=True)), None, 0), recipe, "m", "d")[0]
    late = [row["step"] for row in table.to_pylist() if row["component"] == "b"]
    early = [row["step"] for row in table.to_pylist() if row["component"] == "a"]
    assert np.mean(late) > 1.2 * np.mean(early)


def test_budget_families_and_caps_reach_the_draws() -> None:
    parts = (
        Part("a", "one", "", weight=3.0, family="ref"),
        Part("b", "two", "", weight=1.0),
        Part("c", "three", "", per_picture=1, samples=2),
    )
    pictures = ["x", "x", "x", "y"]
    tables = [lengths([10] * 1000), lengths([10] * 1000, 1000), lengths([10] * 4, 2000, pictures=pictures)]
    budget = Budget(samples=102, families={"ref": 0.5})
    rows = drawn(dict(zip(parts, tables, strict=True)), budget, 0).to_pylist()
    assert Counter(row["component"] for row in rows) == {"a": 51, "b": 49, "c": 2}
    assert {row["picture"] for row in rows if row["component"] == "c"} == {"x", "y"}


@pytest.mark.parametrize(
    ("parts", "tables", "said"),
    [
        (PARTS[:1], [lengths([])], "a"),
        ((Part("a", "one", "", samples=5000),), [lengths([1, 2, 3])], "a"),
        ((Part("a", "one", "", weight=1.0),), [lengths([1, 2, 3])], "budget"),
    ],
)
def test_what_cannot_be_drawn_is_said(parts: Sequence[Part], tables: list[pa.Table], said: str) -> None:
    with pytest.raises(ShardError, match=said):
        drawn(dict(zip(parts, tables, strict=True)), None, 0)


@pytest.mark.parametrize("per_rank", [1, 3])
def test_pictures_stand_apart(per_rank: int) -> None:
    pictures = [f"p{n % 300}" for n in range(600)]
    tokens = [10 + n % 7 for n in range(600)]
    draws = drawn({Part("a", "one", "", epochs=2): lengths(tokens, pictures=pictures)}, None, 0)
    near = planned(draws, Recipe(Limits(100), per_rank=per_rank, apart=0), "m", "d")[0]
    plan, facts = planned(draws, Recipe(Limits(100), per_rank=per_rank, apart=8), "m", "d")
    assert facts["near_pictures"] == _nearer(plan, pictures, 8) == 0
    assert _nearer(near, pictures, 8) > 20
    assert facts["samples"] == 1200


def _nearer(plan: pa.Table, pictures: list[str], steps: int) -> int:
    shown: dict[str, list[int]] = {}
    for row in plan.to_pylist():
        shown.setdefault(pictures[int(row["sample_id"], 16)], []).append(row["step"])
    return sum(b - a < steps for found in shown.values() for a, b in pairwise(found))
