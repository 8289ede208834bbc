"""Balance: an order whose every stretch holds its share of each source, and batches whose ranks work equally long."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Curve = Sequence[tuple[float, float]]
"""Weight of a source over the run: (progress from 0 to 1, weight) points, straight lines between them."""

_EXCHANGES = 48
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


def snake_ranks(cost: Floats, ranks: int) -> Ints:
    """Give each pack of each step a rank, in turns that go there and back, costliest first; (steps, batch) each.

    For packs, which are nearly alike, as good as `even_ranks`, and done at once.

    Raises:
        ValueError: the batch does not divide among the ranks.
    """
    steps, batch = cost.shape
    if ranks < 1 or batch % ranks:
        raise ValueError(f"{batch} packs do not divide among {ranks} ranks")
    turn = np.arange(batch)
    lane = np.where((turn // ranks) % 2 == 0, turn % ranks, ranks - 1 - turn % ranks)
    out = np.empty((steps, batch), np.int64)
    np.put_along_axis(out, np.argsort(-cost, axis=1, kind="stable"), np.broadcast_to(lane, (steps, batch)), axis=1)
    return out


def imbalance(cost: Floats, rank: Ints, ranks: int) -> Floats:
    """Return for each step, (steps,), the largest sum of a rank over the mean; 1 is perfect."""
    steps = len(cost)
    flat = (np.arange(steps)[:, None] * ranks + rank).reshape(-1)
    load = np.bincount(flat, weights=cost.reshape(-1), minlength=steps * ranks).reshape(steps, ranks)
    mean = load.mean(axis=1)
    return np.asarray(np.divide(load.max(axis=1), mean, out=np.ones(steps), where=mean > 0))


def _exchanged(cost: Floats, rank: Ints, ranks: int) -> Ints:
    """Return the ranks after exchanges of one sample for another between the costliest and the cheapest rank."""
    steps, batch = cost.shape
    each = batch // ranks
    members = np.argsort(rank, axis=1, kind="stable").reshape(steps, ranks, each)
    load = np.take_along_axis(cost, members.reshape(steps, batch), axis=1).reshape(steps, ranks, each).sum(axis=2)
    for begin in range(0, steps, _STEPS_AT_ONCE):
        live = np.arange(begin, min(begin + _STEPS_AT_ONCE, steps))
        for _ in range(_EXCHANGES):
            high, low = load[live].argmax(axis=1), load[live].argmin(axis=1)
            gap = load[live, high] - load[live, low]
            ours, theirs = (np.take_along_axis(cost[live], members[live, side], axis=1) for side in (high, low))
            moved = ours[:, :, None] - theirs[:, None, :]
            miss = np.abs(moved - gap[:, None, None] / 2).reshape(live.size, -1)
            best = miss.argmin(axis=1)
            won = miss[np.arange(live.size), best] < gap / 2 * (1 - 1e-9)
            if not won.any():
                break
            live, high, low, best = live[won], high[won], low[won], best[won]
            mine, other = best // each, best % each
            amount = moved[won].reshape(live.size, -1)[np.arange(live.size), best]
            swapped = members[live, high, mine].copy()
            members[live, high, mine] = members[live, low, other]
            members[live, low, other] = swapped
            load[live, high] -= amount
            load[live, low] += amount
    out = np.empty_like(rank)
    lane = np.broadcast_to(np.repeat(np.arange(ranks), each), (steps, batch))
    np.put_along_axis(out, members.reshape(steps, batch), lane, axis=1)
    return out


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
