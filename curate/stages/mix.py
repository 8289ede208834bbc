"""Mix: draw from the measured candidates of each component, put the draws in order, into packs, and before ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate import mixture, schema
from curate.errors import ShardError
from curate.kernels import apart, balance, packing
from curate.kernels.subset_sum import LOOK_AHEAD
from curate.quotas import Budget, Wish, quotas

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_SOME = 65_536


@dataclass(frozen=True, slots=True)
class Part:
    """One component as it will be drawn: its name, the job and recipe it comes from, and how much is wanted."""

    name: str
    job: str
    recipe: str
    epochs: float | None = None
    samples: int | None = None
    weight: float | None = None
    max_epochs: float | None = None
    family: str | None = None
    per_picture: int | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How draws become packs and steps: what a pack holds, the packers to try, ranks and packs of each, the seed.

    `curves` weighs components over the run, see `balance.stratified`; they need a packer that keeps the order, so that
    with them the subset-sum is the default; as it is for keeping draws of one picture `apart` so many steps.
    """

    limits: packing.Limits
    packers: tuple[str, ...] | None = None
    ranks: int = 1
    per_rank: int = 1
    apart: int = 0
    curves: Mapping[str, Sequence[tuple[float, float]]] | None = None
    seed: int = 0


def without_room(candidates: pa.Table, limits: packing.Limits) -> pa.Table:
    """Return the candidates with the reason `too_long` where no pack can hold one."""
    long = packing.too_long(_tokens(candidates), limits, _column(candidates, "n_tiles"))
    reason = pc.if_else(pa.array(long), pc.coalesce(candidates["reason"], pa.scalar("too_long")), candidates["reason"])
    return candidates.set_column(candidates.column_names.index("reason"), "reason", reason)


def drawn(components: Mapping[Part, pa.Table], budget: Budget | None, seed: int) -> pa.Table:
    """Return the draws of all components, then the candidates that are left out, once each: MIXED without places.

    Candidates have the columns of `measure.measured` and `picture`, what pictures are told apart by.

    Raises:
        ShardError: a component has nothing to draw, or too little for what it must give.
    """
    parts, candidates = list(components), list(components.values())
    usable = [table.filter(pc.is_null(table["reason"])) for table in candidates]
    pictures = [_numbered(table["picture"]) for table in usable]
    wishes = [
        Wish(
            name=part.name,
            size=mixture.pass_size(picture, part.per_picture),
            tokens=int(_tokens(table).sum()),
            epochs=part.epochs,
            samples=part.samples,
            weight=part.weight,
            max_epochs=part.max_epochs,
            family=part.family,
        )
        for part, table, picture in zip(parts, usable, pictures, strict=True)
    ]
    try:
        counts = quotas(wishes, budget)
    except ValueError as error:
        raise ShardError(f"mix: {error}; curate report shows what the jobs dropped") from error
    rows = []
    for part, table, picture, whole in zip(parts, usable, pictures, candidates, strict=True):
        keys = _keys(table)
        index, time = mixture.draws(keys, counts[part.name], seed, picture, part.per_picture)
        rows.append(_labelled(table.take(pa.array(index)), part, time, keys[index]))
        rest = whole.filter(pc.is_valid(whole["reason"]))
        rows.append(_labelled(rest, part, np.zeros(rest.num_rows, np.int64), np.zeros(rest.num_rows, np.uint64)))
    return pa.concat_tables(rows).unify_dictionaries()


def planned(draws: pa.Table, recipe: Recipe, mix: str, digest: str) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of MIXED in order of step, rank, pack and slot, and what the plan achieves.

    The order of the draws given is of no consequence: what each is, and the seed, decide. Where neither `apart` nor
    `curves` hold them in place, packs (samples, where a pack holds but one) are exchanged between steps for balance.
    """
    fits = pc.is_null(draws["reason"]).to_numpy(zero_copy_only=False)
    chosen = draws.filter(pa.array(fits))
    names = sorted(pc.unique(chosen["component"]).cast(pa.string()).to_pylist())
    curves = [(recipe.curves or {}).get(name) for name in names]
    source = np.asarray(pc.index_in(chosen["component"].cast(pa.string()), pa.array(names, pa.string())), np.int64)
    order = balance.stratified(source, np.asarray(chosen["key"], np.uint64), recipe.seed, curves)
    batch, alone = recipe.ranks * recipe.per_rank, recipe.limits.samples == 1
    free = not (recipe.curves or recipe.apart)
    if alone and free:
        cost = _column(chosen, "cost")[order].astype(np.float64)
        order = order[balance.gathered(cost, source[order], batch, recipe.ranks)]
    picture = _numbered(chosen["picture"].take(pa.array(order)))
    if recipe.apart:
        moved, _ = apart.apart(np.arange(order.size), picture, *_gap(chosen, recipe))
        order, picture = order[moved], picture[moved]
    tokens, cost = _tokens(chosen)[order], _column(chosen, "cost")[order].astype(np.float64)
    packers = recipe.packers or (("subset_sum",) if recipe.curves or recipe.apart else None)
    found = packing.pack(tokens, recipe.limits, _column(chosen, "n_tiles")[order], recipe.seed, packers)
    pack = found.pack
    if free and not alone and pack.size:
        pack = balance.even_steps(_held(pack, tokens, 1, found.packs)[0], batch, recipe.ranks)[pack]
    step, rank = laid_out(pack, cost, recipe.ranks, recipe.per_rank, None if alone else tokens)
    places = {"step": step, "rank": rank, "pack": pack, "slot": found.slot}
    places["offset"] = _offsets(pack, found.slot, tokens)
    rows = _with_places(chosen.take(pa.array(order)), places)
    rest = draws.filter(pa.array(~fits))
    by = {name: rest[name].cast(pa.string()) for name in ("component", "dataset", "sample_id")}
    left = rest.take(pc.sort_indices(pa.table(by), [(name, "ascending") for name in by]))
    table = pa.concat_tables([rows, _with_places(left, None)])
    for name, value in (("mix", mix), ("digest", digest)):
        table = table.append_column(name, _label(value, table.num_rows))
    return _ordered(table), {
        **_facts(found, tokens, cost, (step, rank), recipe),
        "near_pictures": _near(picture, step, recipe.apart),
    }


def _ordered(table: pa.Table) -> pa.Table:
    """Return rows of MIXED whose words are numbered in order of appearance, so that equal plans are equal files."""
    for place, name in enumerate(table.column_names):
        if pa.types.is_dictionary(table[name].type):
            table = table.set_column(place, name, table[name].cast(pa.string()).combine_chunks().dictionary_encode())
    return table.select(schema.MIXED.names).cast(schema.MIXED)


def laid_out(pack: Ints, cost: Floats, ranks: int, per_rank: int, tokens: Ints | None = None) -> tuple[Ints, Ints]:
    """Return (step, rank) of each sample, (N,), of which `pack` holds it and it costs `cost`.

    A step takes the next ranks x per_rank packs; within it ranks are made to work equally long, and where `tokens`
    (N,) are given, to hold equally many of them too.
    """
    if not pack.size:
        return pack, pack
    batch = ranks * per_rank
    steps = int(pack.max()) // batch + 1
    work = _held(pack, cost, steps, batch)
    if tokens is None:
        ranked = balance.even_ranks(work, ranks)
    else:
        ranked = balance.even_both(work, _held(pack, tokens, steps, batch), ranks)
    return pack // batch, ranked.reshape(-1)[pack]


def _held(pack: Ints, load: Ints | Floats, steps: int, batch: int) -> Floats:
    """Return what each pack holds of the load of samples, (steps, batch)."""
    return np.asarray(np.bincount(pack, load, steps * batch), np.float64).reshape(steps, batch)


def steps_of(plan: pa.Table, recipe: Recipe) -> pa.Table:
    """Return the rows of STEPS for rows of MIXED in their order: where each step lies, and how its ranks are loaded."""
    placed = plan.filter(pc.is_valid(plan["step"]))
    step, rank = _column(placed, "step"), _column(placed, "rank")
    count = int(step[-1]) + 1 if step.size else 0
    rows = np.bincount(step, minlength=count)
    loads = {}
    for name, load in (("tokens", _tokens(placed)), ("cost", _column(placed, "cost"))):
        sums = np.zeros(count * recipe.ranks, np.int64)
        np.add.at(sums, step * recipe.ranks + rank, load)
        loads[name] = sums.reshape(count, recipe.ranks)
    packs = np.bincount(step, weights=_column(placed, "slot") == 0, minlength=count).astype(np.int64)
    columns = {
        "mix": pa.array(plan["mix"][:1].to_pylist() * count, pa.string()),
        "digest": pa.array(plan["digest"][:1].to_pylist() * count, pa.string()),
        "step": np.arange(count),
        "first_row": np.cumsum(rows) - rows,
        "rows": rows,
        "packs": packs,
        "tokens": loads["tokens"].sum(axis=1),
        "busiest_tokens": loads["tokens"].max(axis=1, initial=0),
        "cost": loads["cost"].sum(axis=1),
        "busiest_cost": loads["cost"].max(axis=1, initial=0),
    }
    return pa.table(columns).cast(schema.STEPS)


def _facts(
    found: packing.Packing, tokens: Ints, cost: Floats, places: tuple[Ints, Ints], recipe: Recipe
) -> dict[str, Any]:
    total, room = int(tokens.sum()), found.packs * recipe.limits.tokens
    step, rank = places
    whole = step < found.packs // (recipe.ranks * recipe.per_rank)  # the last step may lack packs
    return {
        "samples": int(tokens.size),
        "tokens": total,
        "packs": found.packs,
        "pack_tokens": recipe.limits.tokens,
        "least_packs": found.bound,
        "fill": total / room if room else 0.0,
        "ceiling": total / (found.bound * recipe.limits.tokens) if found.bound else 0.0,
        "packer": found.by,
        "packers": found.tried,
        "ranks": recipe.ranks,
        "steps": int(step.max()) + 1 if step.size else 0,
        "token_balance": _balance(step[whole], rank[whole], tokens[whole].astype(np.float64), recipe.ranks),
        "cost_balance": _balance(step[whole], rank[whole], cost[whole], recipe.ranks),
    }


def _gap(chosen: pa.Table, recipe: Recipe) -> tuple[int, int]:
    """Return how many steps to keep apart, with room for what packing moves, and about how many samples one holds."""
    packs = max(int(_tokens(chosen).sum()) // recipe.limits.tokens, 1)
    batch = max(-(-chosen.num_rows * recipe.ranks * recipe.per_rank // packs), 1)
    return recipe.apart + 1 - (-LOOK_AHEAD // batch), batch


def _near(picture: Ints, step: Ints, apart: int) -> int:
    """Return how many samples show a picture that was shown less than `apart` steps before."""
    order = np.lexsort((step, picture))
    again = picture[order][1:] == picture[order][:-1]
    return int(np.count_nonzero(again & (np.diff(step[order]) < apart)))


def _balance(step: Ints, rank: Ints, load: Floats, ranks: int) -> float:
    """Return the mean over whole steps of the busiest rank's load over the mean rank's; 1.0 where there are none."""
    if not step.size:
        return 1.0
    steps = int(step.max()) + 1
    sums = np.bincount(step * ranks + rank, weights=load, minlength=steps * ranks).reshape(steps, ranks)
    return float((sums.max(axis=1) / sums.mean(axis=1)).mean())


def _labelled(table: pa.Table, part: Part, time: Ints, keys: npt.NDArray[np.uint64]) -> pa.Table:
    """Return draws with what they are drawn from; `key` orders them, wherever and in whatever order they are read."""
    own = mixture.keys_of(["\x00".join((part.name, part.recipe))])
    table = table.append_column("draw", pa.array(time, pa.int32()))
    table = table.append_column("key", pa.array(balance.mixed(keys ^ own, 0) + time.astype(np.uint64)))
    for name, value in (("component", part.name), ("job", part.job), ("recipe", part.recipe)):
        table = table.append_column(name, _label(value, table.num_rows))
    return table.set_column(0, "dataset", table["dataset"].dictionary_encode())


def _label(value: str, rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value], pa.string()))


def _with_places(table: pa.Table, places: dict[str, Ints] | None) -> pa.Table:
    for name in ("step", "rank", "pack", "slot", "offset"):
        values = pa.nulls(table.num_rows, pa.int32()) if places is None else pa.array(places[name], pa.int32())
        table = table.append_column(name, values)
    if places is None:
        return table
    return table.take(pa.array(np.lexsort((places["slot"], places["pack"], places["rank"], places["step"]))))


def _offsets(pack: Ints, slot: Ints, tokens: Ints) -> Ints:
    """Return the tokens of each sample's pack that lie before it, (N,)."""
    order = np.lexsort((slot, pack))
    before = np.cumsum(tokens[order]) - tokens[order]
    first = slot[order] == 0
    offset = np.empty(len(pack), np.int64)
    offset[order] = before - np.repeat(before[first], np.diff(np.append(np.flatnonzero(first), len(pack))))
    return offset


def _keys(table: pa.Table) -> npt.NDArray[np.uint64]:
    """Return the keys of samples, (N,), some at a time: as Python's texts they are large."""
    batches = table.select(["sample_id"]).to_batches(max_chunksize=_SOME)
    return np.concatenate([np.zeros(0, np.uint64), *(mixture.keys_of(batch[0].to_pylist()) for batch in batches)])


def _tokens(table: pa.Table) -> Ints:
    return _column(table, "n_text_tok") + _column(table, "n_img_tok")


def _column(table: pa.Table, name: str) -> Ints:
    return np.asarray(table[name].to_numpy(), np.int64)


def _numbered(values: pa.ChunkedArray) -> Ints:
    """Return each value's number, (N,); what is null is one of a kind."""
    codes = values.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    none = codes < 0
    return np.where(none, len(codes) + np.cumsum(none), codes).astype(np.int64)
