"""The same pictures, fetched and shrunk by `curate run` and by img2dataset: CPU of the whole process tree.

The figure of record is marginal, the slope between a small and a large list, so that no start-up is in it; start-up,
wall and memory stand beside it. A cheap server on the loopback answers both; its own CPU is not counted in.
Cases: W1 shrunk to a short side of 256, W1b originals kept, W2 every answer 100 ms late, W3 a dirty web.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from fetch_figures import Ran, Runs, after_dirt, against, beside, marginal, same_pictures, slope, wall_s
from fetch_pictures import bare_s, drawn
from fetch_server import LATENCY_S, reset, serving
from fetch_tools import TIMEOUT_S, Outcome, Work, ours, peer_venv, peers
from metered import own_cpu_s
from table import FOLDER, Row, publish

SMALL, LARGE = 4000, 12_000
CONCURRENCY = 64
AT_ONCE = 4
"""Shards under way on two CPUs with Ray: ingest asks for half a CPU each."""
LATE = 8
"""Requests under way in W2, of every tool: few enough for the network, not the CPU, to set the pace."""
DIRTY_LIMIT_S = 300

Tool = Callable[[Work, Path], Outcome]


@dataclass(frozen=True)
class Bench:
    """What the cases share: how much to run, the server, its pictures, the peer where it could be had."""

    rounds: int
    small: int
    large: int
    port: int
    server: int
    pictures: Path
    venv: Path | None
    bare: dict[str, list[float]] = field(default_factory=dict)

    def peer(self, concurrency: int = CONCURRENCY, **wanted: str) -> dict[str, Tool]:
        """Return the peer's contestants; none where it could not be installed."""
        venv = self.venv
        return {} if venv is None else {name: partial(peers, venv, how, concurrency) for name, how in wanted.items()}

    def interleaved(
        self, case: str, kind: str, tools: dict[str, Tool], sizes: tuple[int, ...], floors: tuple[str, ...] = ()
    ) -> Runs:
        """Run every contestant at every size, round after round, and the bare work of `floors` beside them."""
        runs: Runs = {name: {size: [] for size in sizes} for name in tools}
        for number in range(1, self.rounds + 1):
            for work in floors:
                self.bare.setdefault(work, []).append(bare_s(self.pictures, work))
            for size in sizes:
                for name, tool in tools.items():
                    runs[name][size].append(self.once(f"{case} round {number} {name}", tool, self.work(kind, size)))
        return runs

    def work(self, kind: str, count: int, limit_s: float = 1800) -> Work:
        """Return the first URLs of a kind of web; the shorter list is as many shards as Ray has under way."""
        urls = [f"http://127.0.0.1:{self.port}/{kind}/img/{number:06}.jpg" for number in range(count)]
        return Work(urls, self.small // AT_ONCE, limit_s)

    def once(self, label: str, tool: Tool, work: Work) -> Ran:
        """Make one run in a folder of its own."""
        folder = Path(tempfile.mkdtemp(prefix="curate-bench-"))
        reset(self.port)
        before = own_cpu_s(self.server)
        outcome = tool(work, folder)
        ran = Ran(outcome, own_cpu_s(self.server) - before)
        shutil.rmtree(folder)
        meter = outcome.meter
        facts = f"cpu {meter.cpu_s:6.1f} s  wall {meter.wall_s:6.1f} s  peak {meter.tree_bytes / 1e6:5.0f} MB"
        stored = f"{len(outcome.stored):>6} of {len(work.urls):>6}"
        print(f"  {label:<30} {stored}  {facts}  server {ran.server_s:.1f} s", file=sys.stderr)
        return ran


def shrunk(bench: Bench) -> list[Row]:
    """W1: every picture comes at once and is shrunk."""
    tools: dict[str, Tool] = {
        f"{how} {runner}": partial(ours, how, runner, CONCURRENCY)
        for how in ("exact", "fast")
        for runner in ("ray", "inline")
    }
    tools |= bench.peer(peer="exact")
    runs = bench.interleaved("W1", "clean", tools, (bench.small, bench.large), ("exact", "fast"))
    rows = []
    for how, goal in (("exact", 0.6), ("fast", 0.4)):
        floor = statistics.median(bench.bare[how])
        rows += marginal(f"W1 {how}", runs, (f"{how} ray", f"{how} inline", "peer"), floor, goal)
    rows += beside("W1 exact", runs, ("exact ray", "exact inline", "peer"))
    return [*rows, same_pictures(f"W1, {bench.small:,} and {bench.large:,} URLs, {bench.rounds} rounds", runs)]


def kept(bench: Bench) -> list[Row]:
    """W1b: originals are kept; the peer once looks whether they decode, as ours does, and once at nothing."""
    tools: dict[str, Tool] = {runner: partial(ours, "kept", runner, CONCURRENCY) for runner in ("ray", "inline")}
    tools |= bench.peer(peer="kept", blind="blind")
    runs = bench.interleaved("W1b", "clean", tools, (bench.small, bench.large), ("kept",))
    floor = statistics.median(bench.bare["kept"])
    rows = marginal("W1b originals", runs, ("ray", "inline", "peer"), floor, 0.33)
    return rows + against("W1b originals, peer checks nothing", runs, "ray", "blind")


def late(bench: Bench) -> list[Row]:
    """W2: every answer takes 100 ms, and all tools have as many requests under way."""
    tools: dict[str, Tool] = {
        "ray": partial(ours, "exact", "ray", LATE // AT_ONCE),
        "inline": partial(ours, "exact", "inline", LATE),
    }
    tools |= bench.peer(LATE // 2, peer="exact")
    runs = bench.interleaved("W2", "slow", tools, (bench.small, bench.large))
    best = 1000 * LATENCY_S / LATE
    theirs = slope(runs["peer"], wall_s) if "peer" in runs else None
    case, unit, mine = f"W2 latency, {LATE} requests at once", "s per 1,000", slope(runs["ray"], wall_s)
    return [
        Row(case, "wall, marginal, Ray", unit, mine, theirs, best, "<= 1.2 x floor", 0.9 * best <= mine <= 1.2 * best),
        Row(case, "wall, marginal, inline", unit, slope(runs["inline"], wall_s), theirs, best, "", None),
    ]


def dirty(bench: Bench) -> list[Row]:
    """W3: a fifth of the web is gone, busy, cut, not a picture or drips; the peer may try once, for a while."""
    tools: dict[str, Tool] = {"ray": partial(ours, "exact", "ray", CONCURRENCY)}
    tools |= {"inline": partial(ours, "exact", "inline", CONCURRENCY)}
    runs = bench.interleaved("W3", "dirty", tools, (bench.small,))
    clean = bench.interleaved("W3 clean", "clean", {"ray": tools["ray"]}, (bench.small,))
    work = bench.work("dirty", bench.small, DIRTY_LIMIT_S)
    peer = [bench.once("W3 peer", tool, work).outcome for tool in bench.peer(peer="exact").values()]
    return after_dirt(f"W3 dirt, {bench.small:,} URLs", work.urls, runs, clean["ray"], peer, TIMEOUT_S)


CASES: dict[str, Callable[[Bench], list[Row]]] = {"W1": shrunk, "W1b": kept, "W2": late, "W3": dirty}


def main() -> None:
    """Run the cases that were asked for, and publish their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "5")))
    parser.add_argument("--small", type=int, default=SMALL, help="URLs of the shorter list")
    parser.add_argument(
        "--large", type=int, default=LARGE, help="URLs of the longer list; below the default nothing goes to the README"
    )
    parser.add_argument("--cases", default=",".join(CASES), help="some of %(default)s")
    asked = parser.parse_args()
    names = asked.cases.split(",")
    if not set(names) <= CASES.keys() or asked.large <= asked.small:
        parser.error(f"cases are {', '.join(CASES)}; the longer list is longer")
    FOLDER.mkdir(parents=True, exist_ok=True)
    pictures, venv = drawn(FOLDER), peer_venv(FOLDER)
    with serving(pictures) as (port, server):
        bench = Bench(asked.rounds, asked.small, asked.large, port, server, pictures, venv)
        rows = {name: CASES[name](bench) for name in CASES if name in names}
    if asked.small < SMALL or asked.large < LARGE:
        (FOLDER / "trial").mkdir(exist_ok=True)
        publish("trial/fetch", [row for each in rows.values() for row in each])
    else:
        publish("fetch", [row for name in CASES for row in rows.get(name) or before(name)])


def before(name: str) -> list[Row]:
    """Return the figures that an earlier run took of a case, so that cases can be run one at a time."""
    path = FOLDER / "fetch.json"
    rows = [Row(**row) for row in json.loads(path.read_text())] if path.exists() else []
    return [row for row in rows if row.case.replace(",", " ").split()[0] == name]


if __name__ == "__main__":
    main()
