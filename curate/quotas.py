"""Quotas: how many samples each component of a mix gives, exactly, from counts, epochs, weights and a budget."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

MAX_TIMES = 1000
"""Draws of one sample."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a component has and wants: `size` samples of `tokens` in all; at most one of epochs, samples and weight.

    Without any of them it gives all of itself once, or its share of a budget. `max_epochs` and `family` (a name that
    components share) bound what a budget may take, `max_epochs` also `samples`.
    """

    name: str
    size: int
    tokens: int
    epochs: float | None = None
    samples: int | None = None
    weight: float | None = None
    max_epochs: float | None = None
    family: str | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """The size of a whole mix, in samples or in tokens, and how it is shared.

    Components with a weight share by it, those without by size ** `temperature`: 1 keeps their proportions, 0 makes
    them equal, 0.5 is the square root. `families` bounds the share of the budget, 0 to 1, that each may take, to the
    sample: what counts and epochs take of it is taken from those that share.
    """

    samples: int | None = None
    tokens: int | None = None
    temperature: float = 1.0
    families: Mapping[str, float] | None = None


def quotas(wishes: Sequence[Wish], budget: Budget | None = None) -> dict[str, int]:
    """Return name to draws, in the order of `wishes`.

    Counts and epochs are met first, to the sample; a budget's rest goes to the others in proportion, what a bound
    keeps from one going to the rest. Fractions are rounded by largest remainders (Hamilton), so that the sum is
    the budget's; none that would take a family a whole sample beyond its bound is rounded up.

    Raises:
        ValueError: a component that is empty or too small for what it must give, weights that come to nothing, a
            weight without a budget, a budget that counts alone fill, of which they alone take more than a family's
            share, that the bounds do not let be filled, or that is less than one sample.
    """
    for wish in wishes:
        _check(wish, budget)
    fixed = {wish.name: _count(wish) for wish in wishes if budget is None or not _shares(wish)}
    if budget is None:
        return fixed
    sharing = [wish for wish in wishes if _shares(wish)]
    if not sharing:
        raise ValueError("every component says how much it gives: leave the budget out, or a count")
    by_tokens = budget.tokens is not None
    total = float(budget.tokens if budget.tokens is not None else budget.samples or 0)
    unit = {wish.name: wish.tokens / wish.size if by_tokens else 1.0 for wish in wishes}
    units = "tokens" if by_tokens else "samples"
    left = total - sum(count * unit[name] for name, count in fixed.items())
    if left <= 0:
        raise ValueError(f"the counts alone fill the budget: {total - left:,.0f} of {total:,.0f} {units}")
    spent = {wish.family: 0.0 for wish in wishes}
    for wish in wishes:
        spent[wish.family] += fixed.get(wish.name, 0) * unit[wish.name]
    families = {name: share * total - spent.get(name, 0.0) for name, share in (budget.families or {}).items()}
    for name, room in families.items():
        if room < -1e-9 * total:
            told = f"{spent[name]:,.0f} of {spent[name] + room:,.0f} {units}"
            raise ValueError(f"the counts alone exceed the share of the family {name}: {told}")
    shares = _filled(sharing, left, unit, families, budget.temperature)
    short = left - sum(shares.values())
    if short > 1e-6 * left:
        bounds = ", ".join(_met(sharing, shares, unit, families))
        raise ValueError(
            f"the bounds leave {short:,.0f} of {total:,.0f} {units} unfilled: {bounds}; raise these, or ask for less"
        )
    counts = _rounded(sharing, {name: share / unit[name] for name, share in shares.items()}, unit, families)
    if not sum(counts.values()) + sum(fixed.values()):
        raise ValueError("nothing is drawn: the budget is less than one sample")
    return {wish.name: fixed[wish.name] if wish.name in fixed else counts[wish.name] for wish in wishes}


def _shares(wish: Wish) -> bool:
    return wish.epochs is None and wish.samples is None


def _check(wish: Wish, budget: Budget | None) -> None:
    said = [wish.epochs is not None, wish.samples is not None, wish.weight is not None]
    if sum(said) > 1:
        raise ValueError(f"{wish.name}: give one of epochs, samples and weight")
    if wish.size == 0:
        raise ValueError(f"{wish.name} has no samples")
    if wish.weight is not None and budget is None:
        raise ValueError(f"{wish.name}: a weight needs a budget to share")


def _count(wish: Wish) -> int:
    count = (
        wish.samples if wish.samples is not None else round(wish.size * (1.0 if wish.epochs is None else wish.epochs))
    )
    most = MAX_TIMES if wish.max_epochs is None else wish.max_epochs
    if wish.samples is not None and wish.max_epochs is not None:
        count = min(count, math.floor(most * wish.size))
    if count < 1:
        raise ValueError(f"{wish.name}: {count} draws from {wish.size} samples")
    if count > math.ceil(most * wish.size):
        raise ValueError(f"{wish.name}: {count} draws from {wish.size} samples, more than {most:g} of each")
    return count


def _filled(
    sharing: Sequence[Wish],
    left: float,
    unit: Mapping[str, float],
    families: Mapping[str, float],
    temperature: float,
) -> dict[str, float]:
    """Share `left` by weight under the bounds: who meets a bound is held there, and the others share the rest."""
    weight = {wish.name: wish.weight if wish.weight is not None else wish.size**temperature for wish in sharing}
    most = {wish.name: (wish.max_epochs or MAX_TIMES) * wish.size * unit[wish.name] for wish in sharing}
    if not sum(weight.values()) > 0:
        raise ValueError("the weights come to nothing")
    held: dict[str, float] = {}
    room = dict(families)
    free = list(sharing)
    while free:
        rest = left - sum(held.values())
        scale = rest / sum(weight[wish.name] for wish in free) if any(weight[w.name] for w in free) else 0.0
        want = {wish.name: scale * weight[wish.name] for wish in free}
        tight: list[tuple[float, list[tuple[str, float]]]] = [
            (want[wish.name] / most[wish.name], [(wish.name, most[wish.name])])
            for wish in free
            if want[wish.name] > most[wish.name] * (1 + 1e-12)
        ]
        for family, bound in room.items():
            members = [wish.name for wish in free if wish.family == family]
            wanted = sum(want[name] for name in members)
            if members and wanted > max(bound, 0.0) * (1 + 1e-12):
                limit = max(bound, 0.0)
                tight.append((wanted / limit if limit else math.inf, [(n, limit * want[n] / wanted) for n in members]))
        if not tight:
            return held | want
        for name, amount in max(tight, key=lambda each: each[0])[1]:
            amount = min(amount, most[name])
            held[name] = amount
            kin = next(wish.family for wish in free if wish.name == name)
            if kin is not None and kin in room:
                room[kin] -= amount
        free = [wish for wish in free if wish.name not in held]
    return held


def _met(
    sharing: Sequence[Wish], shares: Mapping[str, float], unit: Mapping[str, float], families: Mapping[str, float]
) -> Iterator[str]:
    """Yield what bounds the shares: families that take all of theirs, and components that are drawn most often."""
    taken = {name: sum(shares[wish.name] for wish in sharing if wish.family == name) for name in families}
    for name, room in families.items():
        if taken[name] >= max(room, 0.0) * (1 - 1e-9):
            yield f"the family {name} has all of its share"
    for wish in sharing:
        most = wish.max_epochs or MAX_TIMES
        if shares[wish.name] >= most * wish.size * unit[wish.name] * (1 - 1e-9):
            yield f"{wish.name} is drawn {most:g} times"


def _rounded(
    sharing: Sequence[Wish], shares: Mapping[str, float], unit: Mapping[str, float], families: Mapping[str, float]
) -> dict[str, int]:
    """Round by largest remainders; ties go by name. A family that has reached its bound gets no more.

    There are enough others: a family may take what its members want in all, rounded up.
    """
    counts = {wish.name: math.floor(shares[wish.name] + 1e-9) for wish in sharing}
    room = dict(families)
    for wish in sharing:
        if wish.family in room:
            room[wish.family] -= counts[wish.name] * unit[wish.name]
    missing = round(sum(shares.values())) - sum(counts.values())
    for wish in sorted(sharing, key=lambda wish: (counts[wish.name] - shares[wish.name], wish.name)):
        if missing > 0 and room.get(wish.family or "", math.inf) > 1e-9:
            counts[wish.name] += 1
            missing -= 1
            if wish.family in room:
                room[wish.family] -= unit[wish.name]
    return counts
