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

COMPONENTS = pa.schema(
    [("component", pa.string()), ("samples", pa.int64()), ("tokens", pa.int64()), ("left_out", pa.int64())]
)
"""One row per component: its draws, their tokens, and its candidates that are left out."""

NESTED = ("job", "recipe", "again", "repeats")
"""What draws of another mix tell besides as candidates: where each lies, which of its sample's it is, of how many."""
_SOME = 65_536


@dataclass(frozen=True, slots=True)
class Part:
    """One component as it will be drawn: its name, the job and recipe it comes from, and how much is wanted.

    `merge` is how many pairs of question and answer a conversation about one picture has at most, None for samples as
    they are.
    """

    name: str
    job: str
    recipe: str
    epochs: float | None = None
    samples: int | None = None
    weight: float | None = None
    max_epochs: float | None = None
    family: str | None = None
    per_picture: int | None = None
    merge: int | None = None


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

    Candidates have the columns of `merge.CANDIDATES`; `picture` is what pictures are told apart by.

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
        raise ShardError(f"{error}; curate report shows what was left out") from error
    rows = []
    for part, table, picture, whole in zip(parts, usable, pictures, candidates, strict=True):
        keys = _keys(table)
        index, time = mixture.draws(keys, counts[part.name], seed, picture, part.per_picture)
        rows.append(_keyed(labelled(table.take(pa.array(index)), part, time), part, time, keys[index]))
        rest = whole.filter(pc.is_valid(whole["reason"]))
        none = np.zeros(rest.num_rows, np.int64)
        rows.append(_keyed(labelled(rest, part, none), part, none, none.astype(np.uint64)))
    return pa.concat_tables(rows).unify_dictionaries()


def planned(draws: pa.Table, recipe: Recipe, mix: str, digest: str) -> tuple[pa.Table, dict[str, Any]]:
    """Return the rows of MIXED in order of step, rank, pack and slot, and what a manifest tells of the plan.

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
    align = recipe.limits.align
    places["offset"] = _offsets(pack, found.slot, -(-tokens // align) * align)
    final = np.lexsort((found.slot, pack, rank, step))
    rows = with_places(chosen.take(pa.array(order[final])), {name: place[final] for name, place in places.items()})
    rest = draws.filter(pa.array(~fits))
    by = {name: rest[name].cast(pa.string()) for name in ("component", "dataset", "sample_id", "draw")}
    left = rest.take(pc.sort_indices(pa.table(by), [(name, "ascending") for name in by]))
    table = pa.concat_tables([rows, with_places(left, {})])
    return as_mixed(table, mix, digest), {
        **achieved(found, int(tokens.size), int(tokens.sum()), recipe),
        "near_pictures": _near(picture, step, recipe.apart),
    }


def as_mixed(table: pa.Table, mix: str, digest: str) -> pa.Table:
    """Return rows as those of MIXED, words numbered in order of appearance, so that equal plans are equal files."""
    for name, value in (("mix", mix), ("digest", digest)):
        table = table.append_column(name, _label(value, table.num_rows))
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


def components(plan: pa.Table) -> pa.Table:
    """Return the rows of COMPONENTS for rows of MIXED."""
    fits = pc.is_null(plan["reason"])
    drawn = pc.cast(fits, pa.int64())
    tokens = pc.if_else(fits, pc.cast(pc.add(plan["n_text_tok"], plan["n_img_tok"]), pa.int64()), 0)
    columns = [plan["component"].cast(pa.string()), drawn, tokens, pc.subtract(1, drawn)]
    table = pa.table(dict(zip(COMPONENTS.names, columns, strict=True)))
    sums = table.group_by("component").aggregate([(name, "sum") for name in COMPONENTS.names[1:]])
    return sums.rename_columns(COMPONENTS.names).sort_by("component").cast(COMPONENTS)


def sample_rows(plan: pa.Table) -> int:
    """Return how many samples the draws of a plan are, those that are merged each by itself."""
    drawn = plan["members"].filter(pc.is_null(plan["reason"]))
    return int(pc.sum(pc.coalesce(pc.list_value_length(drawn), 1)).as_py() or 0)


def achieved(found: packing.Packing, samples: int, tokens: int, recipe: Recipe) -> dict[str, Any]:
    """Return what a manifest tells of packs that hold so many samples of so many tokens."""
    full = recipe.limits.tokens
    return {
        "samples": samples,
        "tokens": tokens,
        "packs": found.packs,
        "pack_tokens": full,
        "least_packs": found.bound,
        "fill": tokens / (found.packs * full) if found.packs else 0.0,
        "ceiling": tokens / (found.bound * full) if found.bound else 0.0,
        "packer": found.by,
        "packers": found.tried,
        "ranks": recipe.ranks,
        "steps": -(-found.packs // (recipe.ranks * recipe.per_rank)),
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


def _keyed(table: pa.Table, part: Part, time: Ints, keys: npt.NDArray[np.uint64]) -> pa.Table:
    """Return draws with a `key` that orders them, wherever and in whatever order they are read."""
    own = mixture.keys_of(["\x00".join((part.name, part.recipe))])
    return table.append_column("key", pa.array(balance.mixed(keys ^ own, 0) + time.astype(np.uint64)))


def labelled(table: pa.Table, part: Part, time: Ints) -> pa.Table:
    """Return draws with what they are drawn from, and which time, (N,)."""
    job, recipe = (_label(value, table.num_rows) for value in (part.job, part.recipe))
    if "repeats" in table.column_names:
        job, recipe, time = table["job"], table["recipe"], _column(table, "again") + _column(table, "repeats") * time
        table = table.drop_columns(NESTED)
    columns = (pa.array(time, pa.int32()), _label(part.name, table.num_rows), job, recipe)
    for name, column in zip(("draw", "component", "job", "recipe"), columns, strict=True):
        table = table.append_column(name, column)
    return table.set_column(0, "dataset", table["dataset"].dictionary_encode())


def _label(value: str, rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([value], pa.string()))


def with_places(table: pa.Table, places: Mapping[str, Ints]) -> pa.Table:
    """Return draws, which stand in order of their places, with these; what `places` does not say is null."""
    for name in ("step", "rank", "pack", "slot", "offset"):
        values = pa.array(places[name], pa.int32()) if name in places else pa.nulls(table.num_rows, pa.int32())
        table = table.append_column(name, values)
    return table


def _offsets(pack: Ints, slot: Ints, tokens: Ints) -> Ints:
    """Return where in its pack each sample begins, (N,), of samples that take so many `tokens`."""
    order = np.lexsort((slot, pack))
    before = np.cumsum(tokens[order]) - tokens[order]
    first = slot[order] == 0
    offset = np.empty(len(pack), np.int64)
    offset[order] = before - np.repeat(before[first], np.diff(np.append(np.flatnonzero(first), len(pack))))
    return offset


def _keys(table: pa.Table) -> npt.NDArray[np.uint64]:
    """Return the keys of samples, (N,), some at a time: as Python's texts they are large."""
    batches = table.select(["sample_id"]).to_batches(max_chunksize=_SOME)
    keys = np.concatenate([np.zeros(0, np.uint64), *(mixture.keys_of(batch[0].to_pylist()) for batch in batches)])
    return keys + _column(table, "again").astype(np.uint64) if "again" in table.column_names else keys


def _tokens(table: pa.Table) -> Ints:
    return _column(table, "n_text_tok") + _column(table, "n_img_tok")


def _column(table: pa.Table, name: str) -> Ints:
    return np.asarray(table[name].to_numpy(), np.int64)


def _numbered(values: pa.ChunkedArray) -> Ints:
    """Return each value's number, (N,); what is null is one of a kind."""
    codes = values.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    none = codes < 0
    return np.where(none, len(codes) + np.cumsum(none), codes).astype(np.int64)
