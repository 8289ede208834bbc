"""Balance: an order whose every stretch holds its share of each source, and batches whose ranks work equally long."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Curve = Sequence[tuple[float, float]]
"""Weight of a source over the run: (progress from 0 to 1, weight) points, straight lines between them."""

_EXCHANGES = 48
_EVEN = 1e-3
"""A rank that is costlier than the mean by no more is let be."""
_STEPS_AT_ONCE = 256
"""Steps evened out together: they stay in the processor's cache."""


def stratified(source: Ints, key: npt.NDArray[np.uint64], seed: int, curves: Sequence[Curve | None] = ()) -> Ints:
    """Return an order of samples, (N,) indices, in which each source is spread evenly over the whole.

    `source` (N,) numbers the sources from 0; `key` (N,) is a hash of what a sample is, which decides the order
    within its source whatever order the samples are given in. Sample number r of the n of a source stands at
    (r + phase) / n of the way (systematic sampling), so that any stretch holds its share within two. With a curve
    a source stands where the area under it is that share of the whole: `curves[s]` None is an even one.

    Raises:
        ValueError: a curve that is negative, all zero, or does not rise in progress from 0 to 1.
    """
    place = np.empty(source.size)
    order = np.lexsort((mixed(key, seed), source))
    counts = np.bincount(source, minlength=len(curves))
    begin = 0
    for number, count in enumerate(counts.tolist()):
        mine = order[begin : begin + count]
        begin += count
        if not count:
            continue
        phase = int(mixed(np.array([number], np.uint64), seed + 1)[0] >> np.uint64(11)) / 2**53
        share = (np.arange(count) + phase) / count
        curve = curves[number] if number < len(curves) else None
        place[mine] = share if curve is None else _along(share, curve)
    return np.lexsort((mixed(key, seed), source, place))


def gathered(cost: Floats, source: Ints, batch: int, ranks: int) -> Ints:
    """Return an order, (N,) indices, in which samples too costly for a rank's share meet in as few steps as can be.

    Samples of `cost` (N,) and `source` (N,) stand in an order whose every `batch` is a step of `ranks`. A rank that
    holds one that costs more than its share, with the cheapest beside it, keeps all others waiting; several of them
    in one step keep them waiting once. They are exchanged for samples of their own source alone, so that each
    step holds as many of each source as before; the costliest meet, at most one a rank. Steps are chosen by a hash
    of their number; what stands behind the last whole step stays there.
    """
    steps, each = len(cost) // batch, batch // ranks
    order = np.arange(len(cost))
    if steps < 2 or each < 2:
        return order
    mine = cost[: steps * batch].reshape(steps, batch)
    beside = float(np.median(np.partition(mine, each - 2, axis=1)[:, : each - 1].sum(axis=1)))
    costly = np.flatnonzero(mine.reshape(-1) > float(mine.sum()) / (steps * ranks) - beside)
    costly = costly[np.lexsort((costly, -cost[costly]))]
    hosts = np.argsort(mixed(np.arange(steps, dtype=np.uint64), 0), kind="stable").tolist()
    held = np.zeros(steps, np.int64)
    for number in np.unique(source[costly]).tolist():
        ours = costly[source[costly] == number]
        places: list[npt.NDArray[np.int64]] = []
        left = ours.size
        for host in hosts:
            found = np.flatnonzero(source[host * batch : (host + 1) * batch] == number)
            found = host * batch + found[: min(left, ranks - int(held[host]))]
            held[host] += found.size
            left -= found.size
            places.append(found)
            if not left:
                break
        into = np.concatenate(places)
        ours = ours[: into.size]
        order[into] = ours
        order[np.setdiff1d(ours, into)] = np.setdiff1d(into, ours)
    return order


def even_steps(load: Floats, batch: int, ranks: int, even: float = 1.0015, furthest: int = 32) -> Ints:
    """Return a place for each pack of `load` (N,), every `batch` places a step, so that ranks can be loaded alike.

    Where packs differ in how full they are, some steps hold no set for each rank that sums to the same. Packs of so
    many steps in a row are put into sets of one rank's number, as even as can be, and sets of like sums share a step.
    Of 1, 2, 4 ... `furthest` steps in a row it is the first number with which the busiest rank has no more than
    `even` times the mean, over steps on average: full packs stay where they are, and so does the last step.
    """
    steps = len(load) // batch
    place = np.arange(len(load))
    whole, window = load[: steps * batch], 2
    stands = whole.reshape(steps, batch)
    least = float(imbalance(stands, even_ranks(stands, ranks), ranks).mean()) if steps else 1.0
    while least > even and window <= min(furthest, steps):
        order = _alike(whole, window, batch, ranks)
        loads = whole[order].reshape(steps, ranks, -1).sum(axis=2)
        found = float((loads.max(axis=1) / loads.mean(axis=1)).mean())
        if found < least:
            least, place[order] = found, np.arange(order.size)
        window *= 2
    return place


def _alike(load: Floats, window: int, batch: int, ranks: int) -> Ints:
    """Return an order of packs in which even sets of batch / ranks of them, alike ones together, fill the steps."""
    order = np.arange(len(load))
    span = window * batch
    rows = len(load) // span
    for begin, length, count in ((0, span, rows), (rows * span, len(load) - rows * span, 1)):
        if not length or not count:
            continue
        part = load[begin : begin + length * count].reshape(count, length)
        sets = length // batch * ranks
        of = even_ranks(part, sets)
        flat = (np.arange(count)[:, None] * sets + of).reshape(-1)
        sums = np.bincount(flat, weights=part.reshape(-1), minlength=count * sets).reshape(count, sets)
        rank = np.argsort(np.argsort(sums, axis=1, kind="stable"), axis=1, kind="stable")
        where = np.take_along_axis(rank, of, axis=1)
        inside = np.argsort(where, axis=1, kind="stable") + np.arange(count)[:, None] * length
        order[begin : begin + length * count] = begin + inside.reshape(-1)
    return order


def even_ranks(cost: Floats, ranks: int) -> Ints:
    """Give each sample of each step a rank, as many to one as to another, longest processing time first.

    `cost` is (steps, batch), the batch a multiple of `ranks`; returns (steps, batch). The next costliest sample goes
    to the rank with least cost so far that is not full yet (Graham 1969, with cardinalities); of equal ranks
    the first. Then samples are exchanged between the costliest and the cheapest rank while that evens them out. All
    steps at once: time is batch x (steps x ranks).

    Raises:
        ValueError: the batch does not divide among the ranks.
    """
    steps, batch = cost.shape
    if ranks < 1 or batch % ranks:
        raise ValueError(f"{batch} samples do not divide among {ranks} ranks")
    order = np.argsort(-cost, axis=1, kind="stable")
    out = np.empty((steps, batch), np.int64)
    load, held = np.zeros((steps, ranks)), np.zeros((steps, ranks), np.int64)
    rows = np.arange(steps)
    for at in range(batch):
        sample = order[:, at]
        rank = np.argmin(load, axis=1)
        out[rows, sample] = rank
        load[rows, rank] += cost[rows, sample]
        held[rows, rank] += 1
        load[rows, rank] = np.where(held[rows, rank] == batch // ranks, np.inf, load[rows, rank])
    return _exchanged(cost, out, ranks)


def even_both(cost: Floats, tokens: Floats, ranks: int) -> Ints:
    """Return `even_ranks` of `cost`, (steps, batch), where that evens out `tokens` too, else a compromise.

    Of ranks by the one, by the other and by both, each step takes those that are nearest to what is asked of packs:
    a busiest rank of 1.02 times the mean cost, and of 1.002 times the mean tokens.
    """
    scale = float(cost.mean()) / max(float(tokens.mean()), 1e-9)
    best, least = np.zeros(cost.shape, np.int64), np.full(len(cost), np.inf)
    for load in (cost, cost + scale * tokens, tokens):
        rank = even_ranks(load, ranks)
        over = np.maximum((imbalance(cost, rank, ranks) - 1) / 0.02, (imbalance(tokens, rank, ranks) - 1) / 0.002)
        best = np.where((over < least)[:, None], rank, best)
        least = np.minimum(over, least)
    return best


def imbalance(cost: Floats, rank: Ints, ranks: int) -> Floats:
    """Return for each step, (steps,), the largest sum of a rank over the mean; 1 is perfect."""
    steps = len(cost)
    flat = (np.arange(steps)[:, None] * ranks + rank).reshape(-1)
    load = np.bincount(flat, weights=cost.reshape(-1), minlength=steps * ranks).reshape(steps, ranks)
    mean = load.mean(axis=1)
    return np.asarray(np.divide(load.max(axis=1), mean, out=np.ones(steps), where=mean > 0))


def _exchanged(cost: Floats, rank: Ints, ranks: int) -> Ints:
    """Return the ranks after exchanges of one sample for another that the costliest rank gains by.

    First with the cheapest rank, whose samples are few to compare; where that no longer helps, with any other.
    """
    steps, batch = cost.shape
    each = batch // ranks
    members = np.argsort(rank, axis=1, kind="stable").reshape(steps, ranks, each)
    load = np.take_along_axis(cost, members.reshape(steps, batch), axis=1).reshape(steps, ranks, each).sum(axis=2)
    for begin in range(0, steps, _STEPS_AT_ONCE):
        these = np.arange(begin, min(begin + _STEPS_AT_ONCE, steps))
        for exchange in (_with_the_cheapest, _with_any):
            live = these
            for _ in range(_EXCHANGES):
                live = live[load[live].max(axis=1) > (1 + _EVEN) * load[live].mean(axis=1)]
                if not live.size:
                    break
                live = exchange(cost, members, load, live)
    out = np.empty_like(rank)
    lane = np.broadcast_to(np.repeat(np.arange(ranks), each), (steps, batch))
    np.put_along_axis(out, members.reshape(steps, batch), lane, axis=1)
    return out


def _with_the_cheapest(cost: Floats, members: Ints, load: Floats, live: Ints) -> Ints:
    """Exchange one sample of the costliest rank for one of the cheapest, in place; return the steps that gained."""
    each, rows = members.shape[2], np.arange(live.size)
    high, low = load[live].argmax(axis=1), load[live].argmin(axis=1)
    gap = load[live, high] - load[live, low]
    ours, theirs = (np.take_along_axis(cost[live], members[live, side], axis=1) for side in (high, low))
    moved = (ours[:, :, None] - theirs[:, None, :]).reshape(live.size, -1)
    miss = np.abs(moved - gap[:, None] / 2)
    best = miss.argmin(axis=1)
    won = miss[rows, best] < gap / 2 * (1 - 1e-9)
    amount = moved[rows, best][won]
    mine, other = np.divmod(best[won], each)
    return _swap(members, load, live[won], (high[won], mine), (low[won], other), amount)


def _with_any(cost: Floats, members: Ints, load: Floats, live: Ints) -> Ints:
    """Exchange one sample of the costliest rank for the one of any other that leaves the costlier of the two lowest."""
    each, rows = members.shape[2], np.arange(live.size)
    high = load[live].argmax(axis=1)
    top = load[live, high]
    ours = np.take_along_axis(cost[live], members[live, high], axis=1)
    theirs = np.take_along_axis(cost[live], members[live].reshape(live.size, -1), axis=1)
    moved = ours[:, :, None] - theirs[:, None, :]
    left = np.maximum(top[:, None, None] - moved, np.repeat(load[live], each, axis=1)[:, None, :] + moved)
    left = left.reshape(live.size, -1)
    best = left.argmin(axis=1)
    won = left[rows, best] < top * (1 - 1e-9)
    amount = moved.reshape(live.size, -1)[rows, best][won]
    mine, other = np.divmod(best[won], theirs.shape[1])
    return _swap(members, load, live[won], (high[won], mine), (other // each, other % each), amount)


def _swap(
    members: Ints, load: Floats, steps: Ints, ours: tuple[Ints, Ints], theirs: tuple[Ints, Ints], amount: Floats
) -> Ints:
    """Exchange samples, (rank, place) each, in place; `amount` of cost changes ranks."""
    one, two = (steps, *ours), (steps, *theirs)
    members[one], members[two] = members[two], members[one]
    load[steps, ours[0]] -= amount
    load[steps, theirs[0]] += amount
    return steps


def checked(curve: Curve) -> tuple[Floats, Floats]:
    """Return (progress, weight) of a curve's points.

    Raises:
        ValueError: it is negative, all zero, or does not rise in progress from 0 to 1.
    """
    points = np.array(curve, np.float64).reshape(-1, 2)
    at, weight = points[:, 0], points[:, 1]
    rises = at.size > 1 and at[0] == 0 and at[-1] == 1 and (np.diff(at) > 0).all()
    if not rises or not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise ValueError("a curve goes from progress 0 to 1 with weights of 0 or more, not all 0")
    return at, weight


def _along(share: Floats, curve: Curve) -> Floats:
    """Return how far along the run each share of the area under the curve is reached."""
    at, weight = checked(curve)
    width, left, right = np.diff(at), weight[:-1], weight[1:]
    area = np.concatenate([[0.0], np.cumsum(width * (left + right) / 2)])
    wanted = share * area[-1]
    piece = np.clip(np.searchsorted(area, wanted, side="right") - 1, 0, width.size - 1)
    rest, slope = wanted - area[piece], (right - left)[piece] / width[piece]
    # left t + slope t^2 / 2 = rest, written so that a flat piece divides by no zero
    root = np.sqrt(np.maximum(left[piece] ** 2 + 2 * slope * rest, 0.0)) + left[piece]
    step = np.divide(2 * rest, root, out=np.zeros_like(rest), where=root > 0)
    return np.asarray(at[piece] + np.minimum(step, width[piece]))


def mixed(key: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """Return the keys, (N,), stirred with the seed (the finaliser of SplitMix64: Steele, Lea and Flood 2014)."""
    mixed = key + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
