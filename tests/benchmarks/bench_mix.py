"""Packing, balance and placement of a mix like as_mix_4m, one core: packs, the ceiling, seconds, memory, peers.

What is told with its memory runs in a process of its own: `bench_mix.py WORK ARGUMENTS` prints what it took as JSON.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from mix_lengths import PARTS, as_mix_like, tiled
from mix_peers import best_fit_blocks, first_fit_shuffled, greedy_buffer
from table import Row, publish

from curate.kernels import balance
from curate.kernels.column_generation import solve
from curate.kernels.packing import Limits, least_packs, pack, resources

SAMPLES = int(os.environ.get("SAMPLES", "4000000"))
PEER_SAMPLES = min(SAMPLES, 200_000)
BALANCED = min(SAMPLES, 1_000_000)
TILED = min(SAMPLES, 40_000)
PLACED = int(os.environ.get("PLACED", "100000000"))
SHARD = 10_000_000
LENGTHS = (2048, 4096, 8192, 16_384)
RANKS, PER_RANK = 32, 16
HIDDEN = 5120
PEERS = {
    "best fit in blocks of 1,000 (TRL)": best_fit_blocks,
    "first fit, shuffled (NeMo)": first_fit_shuffled,
    "greedy buffers (InternVL)": greedy_buffer,
}

T = TypeVar("T")


def main() -> None:
    """Run all of it and publish."""
    lengths, source = as_mix_like(SAMPLES)
    order = balance.stratified(source, np.arange(SAMPLES, dtype=np.uint64), 0)
    lengths, source = lengths[order], source[order]
    rows = [row for tokens in LENGTHS for row in packed(lengths[lengths <= tokens], tokens)]
    rows += planned(lengths[lengths <= 4096])
    rows += [*two_resources(), *unpacked(lengths, source)]
    for tokens, per_rank in ((4096, 4), (4096, 2), (2048, 4), (2048, 2)):
        rows += evened(lengths[:BALANCED], tokens, per_rank)
    publish("mix", [*rows, *placed()])


def packed(lengths: np.ndarray, tokens: int) -> list[Row]:
    """Efficiency of every packer beside the ceiling, and of the peers on a part of the same lengths."""
    case, total = f"L={tokens:,}, {len(lengths):,} samples", int(lengths.sum())
    with tempfile.TemporaryDirectory() as folder:
        kept = f"{folder}/lengths.npy"
        np.save(kept, lengths)
        whole, ordered, histogram = (
            alone("pack", kept, str(tokens), *packers) for packers in ([], ["subset_sum"], ["column_generation"])
        )
    part = lengths[:PEER_SAMPLES]
    peers = {name: 100 * int(part.sum()) / (peer(part, tokens) * tokens) for name, peer in PEERS.items()}
    tried = {name: 100 * total / (packs * tokens) for name, packs in whole["tried"].items()}
    ceiling, ours = 100 * total / (whole["bound"] * tokens), tried[whole["by"]]
    met = ours >= 99.9 or ours >= ceiling - 0.3
    rows = [
        Row(case, f"filled, by {whole['by']}", "%", ours, max(peers.values()), ceiling, "99.9, or ceiling - 0.3", met)
    ]
    for name, share in {**tried, **peers}.items():
        rows.append(Row(case, f"filled by {name}", "%", share, None, ceiling, "", None))
    seconds = 20 * len(lengths) / 4_000_000
    for name, took, limit in (
        ("portfolio and its bound", whole, None),
        ("in order of arrival", ordered, seconds),
        ("histogram, plan, places", histogram, None),
    ):
        goal, met_ = ("", None) if limit is None else ("<= 20 for 4 M", took["cpu_s"] <= limit)
        rows.append(Row(case, name, "s CPU", took["cpu_s"], None, None, goal, met_))
        rows.append(Row(case, name, "peak MB", took["peak_mb"], None, None, "<= 500", took["peak_mb"] <= 500))
    return rows


def planned(lengths: np.ndarray) -> list[Row]:
    """From a histogram to a plan, and a plan for a thousand times as many: the same work."""
    rows, case = [], f"L=4,096, {len(lengths):,} samples"
    for unit in (8, 4):
        classes, counts = np.unique(-(-lengths // unit), return_counts=True)
        capacity = np.array([4096 // unit])
        for times, goal in ((1, 2.0), (250, 3.0)):
            seconds, found = timed(lambda: solve(classes[:, None], counts * times, capacity))  # noqa: B023
            filled = 100 * int(lengths.sum()) * times / (found.plan.total * 4096)
            what = f"histogram plan, unit {unit}, x {times}"
            rows.append(Row(case, what, "s CPU", seconds, None, None, f"<= {goal:g}", seconds <= goal))
            rows.append(Row(case, what, "% filled", filled, None, None, "", None))
    return rows


def two_resources() -> list[Row]:
    """Tokens and vision tiles at once."""
    rows = []
    tokens, tiles = tiled(TILED)
    for limit, length in ((12, 4096), (16, 8192), (48, 16_384)):
        fits = (tokens <= length) & (tiles <= limit)
        limits = Limits(length, tiles=limit)
        seconds, found = timed(lambda: pack(tokens[fits], limits, tiles[fits]))  # noqa: B023
        case, over = f"{limit} tiles, L={length:,}", found.packs / found.bound - 1
        volume = least_packs(*resources(tokens[fits], limits, tiles[fits]))
        rows.append(Row(case, f"packs, by {found.by}", "", found.packs, volume, found.bound, "", None))
        rows.append(Row(case, "above the bound", "%", 100 * over, None, None, "<= 0.5", over <= 0.005))
        rows.append(Row(case, "portfolio", "s CPU", seconds, None, None, "", None))
    return rows


def unpacked(lengths: np.ndarray, source: np.ndarray) -> list[Row]:
    """Ranks and sources of global batches of samples, as they come and with the costly ones gathered.

    The floor of a step is what its costliest sample takes with as many of the cheapest as its rank holds.
    """
    batch = RANKS * PER_RANK
    steps, cost = len(lengths) // batch, costs(lengths)
    share = np.bincount(source, minlength=len(PARTS)) / len(source) * batch
    case, rows = f"unpacked, {RANKS} ranks x {PER_RANK}", []
    taken, order = timed(lambda: balance.gathered(cost, source, batch, RANKS))
    for how, places, goal in (("as they come", np.arange(len(cost)), False), ("costly ones gathered", order, True)):
        mine = cost[places][: steps * batch].reshape(steps, batch)
        seconds, rank = timed(lambda: balance.even_ranks(mine, RANKS))  # noqa: B023
        uneven = balance.imbalance(mine, rank, RANKS)
        least = np.sort(mine, axis=1)
        least = np.maximum((least[:, -1] + least[:, : PER_RANK - 1].sum(axis=1)) / mine.mean(axis=1) / PER_RANK, 1)
        for what, figure, most in (("mean", np.mean, 1.01), ("99th %", lambda each: np.percentile(each, 99), 1.02)):
            ours, floor = float(figure(uneven)), float(figure(least))
            met = ours <= most if goal else None
            rows.append(Row(case, f"cost, {how}", what, ours, None, floor, f"<= {most}" if goal else "", met))
        rows.append(Row(case, f"ranks, {how}", "s CPU", seconds + goal * taken, None, None, "", None))
    held = source[order][: steps * batch].reshape(steps, batch)
    error = max(float(np.abs((held == part).sum(axis=1) - share[part]).max()) for part in range(len(PARTS)))
    return [*rows, Row(case, "source off its target", "samples", error, None, None, "<= 2", error <= 2)]


def evened(lengths: np.ndarray, tokens: int, per_rank: int) -> list[Row]:
    """Ranks of steps of packs: tokens and cost. The peer is the steps as they come, ranks by cost alone.

    The floor is that of the steps made: with two packs a rank the fullest goes with the emptiest, and so on.
    """
    fits = lengths[lengths <= tokens]
    found, batch = pack(fits, Limits(tokens)), RANKS * per_rank
    steps = found.packs // batch
    held, worked = np.bincount(found.pack, fits), np.bincount(found.pack, costs(fits))
    seconds, place = timed(lambda: balance.even_steps(held, batch, RANKS))
    order = np.argsort(place)
    case = f"packs of {tokens:,}, {RANKS} ranks x {per_rank}"
    figures = []
    for each in (np.arange(found.packs), order):
        load, cost = (values[each][: steps * batch].reshape(steps, batch) for values in (held, worked))
        spent, rank = timed(lambda: balance.even_both(cost, load, RANKS))  # noqa: B023
        rank = balance.even_ranks(cost, RANKS) if not figures else rank
        figures.append([float(balance.imbalance(values, rank, RANKS).mean()) for values in (load, cost)])
    fullest = np.sort(load, axis=1)
    pairs = (
        fullest[:, ::-1] + fullest
        if per_rank == 2
        else fullest[:, -1:] + fullest[:, : per_rank - 1].sum(axis=1)[:, None]
    )
    floor = float(np.maximum(pairs.max(axis=1) / load.mean(axis=1) / per_rank, 1).mean())
    spread = float(load.sum(axis=1).std() / load.sum(axis=1).mean())
    return [
        Row(case, f"filled, by {found.by}", "%", 100 * fits.sum() / found.packs / tokens, None, None, "", None),
        Row(
            case, "tokens, max / mean", "mean", figures[1][0], figures[0][0], floor, "<= 1.002", figures[1][0] <= 1.002
        ),
        Row(case, "cost, max / mean", "mean", figures[1][1], figures[0][1], 1.0, "<= 1.02", figures[1][1] <= 1.02),
        Row(case, "tokens of a step, spread", "of the mean", spread, None, None, "", None),
        Row(case, "steps and ranks", "s CPU", seconds + spent, None, None, "", None),
    ]


def costs(lengths: np.ndarray) -> np.ndarray:
    """Return what samples cost: the part that grows with their tokens, and that of attention."""
    return 6.0 * HIDDEN * lengths + np.square(lengths.astype(float))


def placed() -> list[Row]:
    """Arithmetic placement, shard after shard: a class and a rank in, a pack and a slot out; no sort, no exchange."""
    took = alone("place", str(PLACED))
    each, case = took["each_ns"], f"placement of {took['placed']:,}"
    return [
        Row(case, "each sample", "ns CPU", each, None, None, "", None),
        Row(case, "x 1,000,000,000, computed", "core-s", each, None, None, "<= 400", each <= 400),
        Row(case, "a worker", "peak MB", took["peak_mb"], None, None, "<= 2000", took["peak_mb"] <= 2000),
    ]


def pack_alone(kept: str, tokens: str, *packers: str) -> dict[str, Any]:
    """Pack the lengths of a file."""
    lengths = np.load(kept)
    seconds, found = timed(lambda: pack(lengths, Limits(int(tokens)), packers=packers or None))
    return {"cpu_s": seconds, "tried": found.tried, "bound": found.bound, "by": found.by}


def place_alone(count: str) -> dict[str, Any]:
    """Place so many samples by a plan in shards of ten million."""
    shard, _ = as_mix_like(min(SHARD, int(count)), 7)
    shard = np.minimum(-(-shard // 4), 1024).astype(np.int16)
    shards = max(1, int(count) // len(shard))
    counts = np.bincount(shard, minlength=1025)
    classes = np.flatnonzero(counts)
    total = counts[classes] * shards
    plan = solve(classes[:, None], total, np.array([1024])).plan
    number = np.zeros(1025, np.int16)
    number[classes] = np.arange(len(classes))
    before, spent = np.zeros(len(classes), np.int64), 0.0
    for _ in range(shards):
        seconds, where = timed(lambda: plan.place_shard(number[shard], before, total, 1))  # noqa: B023
        spent += seconds
        assert 0 <= where[0].min() <= where[0].max() < plan.total
        before += counts[classes]
    return {"each_ns": 1e9 * spent / (shards * len(shard)), "placed": shards * len(shard)}


def alone(work: str, *arguments: str) -> dict[str, Any]:
    """Return what a work gives in a fresh process, with the most memory that it held."""
    done = subprocess.run([sys.executable, __file__, work, *arguments], check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main_alone(work: str, *arguments: str) -> None:
    """Do one work and print what it took."""
    found = {"pack": pack_alone, "place": place_alone}[work](*arguments)
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    print(json.dumps({**found, "peak_mb": peak}))


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Return CPU seconds and what came of it."""
    begun = time.process_time()
    done = work()
    return time.process_time() - begun, done


if __name__ == "__main__":
    main_alone(*sys.argv[1:]) if sys.argv[1:] else main()
