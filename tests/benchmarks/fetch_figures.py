"""What the runs of the fetch bench come to: slopes between two sizes, medians over rounds, rows of the table."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fetch_server import RECOVERABLE, fault
from fetch_tools import Outcome
from table import Row

WORKER_MB = 600
MARGINAL = "s per 1,000"


@dataclass(frozen=True)
class Ran:
    """One run: what came of it, and the CPU seconds that the server took meanwhile."""

    outcome: Outcome
    server_s: float


Sizes = dict[int, list[Ran]]
"""Runs by number of URLs, one for each round."""
Runs = dict[str, Sizes]
What = Callable[[Ran], float]


def cpu_s(ran: Ran) -> float:
    return ran.outcome.meter.cpu_s


def wall_s(ran: Ran) -> float:
    return ran.outcome.meter.wall_s


def server_s(ran: Ran) -> float:
    return ran.server_s


def slopes(sizes: Sizes, what: What) -> list[float]:
    """Return the marginal seconds of 1,000 pictures, round by round."""
    small, large = min(sizes), max(sizes)
    pairs = zip(sizes[small], sizes[large], strict=True)
    return [1000 * (what(more) - what(less)) / (large - small) for less, more in pairs]


def slope(sizes: Sizes, what: What) -> float:
    return statistics.median(slopes(sizes, what))


def start_up_s(sizes: Sizes) -> float:
    """Return the wall seconds that a run takes before and after its pictures."""
    small = min(sizes)
    pairs = zip(sizes[small], slopes(sizes, wall_s), strict=True)
    return statistics.median(wall_s(ran) - each * small / 1000 for ran, each in pairs)


def peak_mb(sizes: Sizes, process: str | None = None) -> float:
    """Return the peak of the tree over all runs, or that of its largest process whose name begins thus."""
    meters = [ran.outcome.meter for runs in sizes.values() for ran in runs]
    if process is None:
        return max(meter.tree_bytes for meter in meters) / 1e6
    return max(size for meter in meters for name, size in meter.peaks.items() if name.startswith(process)) / 1e6


def marginal(case: str, runs: Runs, names: tuple[str, str, str], floor: float, goal: float) -> list[Row]:
    """Return the figure of record for (ours on Ray, ours inline, the peer); Ray, the default, has the goal."""
    ours, peer = runs[names[0]], runs.get(names[2])
    theirs = peer and slope(peer, cpu_s)
    mine = slope(ours, cpu_s)
    met = None if theirs is None else mine <= goal * theirs
    bare = theirs and theirs / floor
    return [
        Row(case, "CPU, Ray", MARGINAL, mine, theirs, floor, f"<= {goal:g} x peer", met),
        Row(case, "CPU, inline", MARGINAL, slope(runs[names[1]], cpu_s), theirs, floor, "", None),
        Row(case, "CPU / bare work, Ray", "ratio", mine / floor, bare, 1.0, "", None),
        Row(case, "wall, Ray", MARGINAL, slope(ours, wall_s), peer and slope(peer, wall_s), None, "", None),
    ]


def against(case: str, runs: Runs, ours: str, peer: str) -> list[Row]:
    """Return the CPU against another way of the peer's, where it could be had, without a goal."""
    if peer not in runs:
        return []
    return [Row(case, "CPU, Ray", MARGINAL, slope(runs[ours], cpu_s), slope(runs[peer], cpu_s), None, "", None)]


def beside(case: str, runs: Runs, names: tuple[str, str, str]) -> list[Row]:
    """Return what stands beside the figure of record: start-up, memory, and the server's own CPU."""
    rows = []
    ours, peer = runs[names[0]], runs.get(names[2])
    for label, sizes in (("Ray", ours), ("inline", runs[names[1]])):
        start_up = Row(case, f"start-up, {label}", "s", start_up_s(sizes), peer and start_up_s(peer), None, "", None)
        tree = Row(case, f"peak of the tree, {label}", "MB", peak_mb(sizes), peer and peak_mb(peer), None, "", None)
        rows += [start_up, tree]
    worker, theirs = peak_mb(ours, "ray::"), peer and peak_mb(peer, "")
    rows.append(Row(case, "peak of a worker", "MB", worker, theirs, None, f"<= {WORKER_MB}", worker <= WORKER_MB))
    served = slope(ours, server_s), peer and slope(peer, server_s)
    return [*rows, Row(case, "server's CPU, not counted in", MARGINAL, *served, None, "", None)]


def same_pictures(case: str, runs: Runs) -> Row:
    """Return whether every run of the longer list stored the same URLs, one file each, of sizes a pixel apart."""
    every = [ran.outcome for sizes in runs.values() for ran in sizes[max(sizes)]]
    first, last = every[0].stored, every[-1].stored
    same = all(
        each.stored.keys() == first.keys() and each.files == len(first) and _alike(each.stored, last) for each in every
    )
    return Row(case, "the same pictures stored", "count", len(first), len(last), None, "all equal", same)


def _alike(one: dict[str, tuple[int, int]], other: dict[str, tuple[int, int]]) -> bool:
    both = ((size, other[url]) for url, size in one.items() if url in other)
    return all(abs(a - b) <= 1 for size, also in both for a, b in zip(size, also, strict=True))


def after_dirt(
    case: str, urls: Sequence[str], runs: Runs, clean: Sizes, peers: list[Outcome], wait_s: float
) -> list[Row]:
    """Return how much of what can be had was stored, how much else was, and the time against a clean web."""
    mine = [ran.outcome for sizes in runs.values() for each in sizes.values() for ran in each]
    theirs = [each for each in peers if each.meter.in_time]
    found, broken = min(_recovered(each, urls) for each in mine), max(_broken(each, urls) for each in mine)
    took, bound = (statistics.median(map(wall_s, *sizes.values())) for sizes in (runs["ray"], clean))
    bound = wait_s + 1.2 * bound
    peer_found = _recovered(theirs[0], urls) if theirs else None
    peer_broken = _broken(theirs[0], urls) if theirs else None
    peer_took = peers[0].meter.wall_s if peers else None
    inline = statistics.median(map(wall_s, *runs["inline"].values()))
    return [
        Row(case, "recovered", "%", found, peer_found, 100.0, "100", found == 100),
        Row(case, "broken but stored", "count", broken, peer_broken, 0.0, "0", broken == 0),
        Row(case, "wall, Ray", "s", took, peer_took, None, f"<= {bound:.3g}: {wait_s} + 1.2 x clean", took <= bound),
        Row(case, "wall, inline", "s", inline, peer_took, None, "", None),
    ]


def _recovered(outcome: Outcome, urls: Sequence[str]) -> float:
    good = set(filter(_can_be_had, urls))
    return 100 * len(good & outcome.stored.keys()) / len(good)


def _broken(outcome: Outcome, urls: Sequence[str]) -> int:
    return len(outcome.stored.keys() - set(filter(_can_be_had, urls)))


def _can_be_had(url: str) -> bool:
    return fault(int(url[-10:-4])) in RECOVERABLE
