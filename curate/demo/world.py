"""The tiny world: CC12M, GRiT and SA-1B in their native forms, with planted faults and the truth beside."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.demo import layout
from curate.demo.faults import assign
from curate.demo.layout import Row
from curate.demo.scenes import Scene, empty_box, scene

DATASETS = ("cc12m", "grit", "sa1b")
TARS = 3
SEEDS_PER_WORLD = 1_000_000
MAX_SEED = 899
"""Worlds beyond it would be drawn from the scenes that the toy model learnt."""
LOOK = 20
"""How many scenes are looked at for one that suits a fault."""
TRUTH = pa.schema(
    [(name, pa.string()) for name in ("dataset", "source_key", "url", "fault", "twin")]
    + [(name, pa.int32()) for name in ("width", "height")]
)


@dataclass(frozen=True, slots=True)
class World:
    """Where a world lies: what a catalog reads, the server's pictures, and the truth.

    `truth` has a row per source row: dataset, source_key (null for CC12M), url (null for SA-1B), fault (''
    for a healthy row), twin, the URL of the row whose bytes it repeats, and the upright size in pixels.
    """

    root: Path
    cc12m: Path
    grit: Path
    sa1b: Path
    pictures: Path
    truth: Path
    rows: dict[str, int]


def make_world(root: Path, seed: int, scenes: int, host: str, port: int) -> World:
    """Write a world of `scenes` rows (40 at the least) under `root`, its pictures served at host:port.

    The same seed, size and address give the same bytes. ValueError for a size or a seed out of range.
    """
    if scenes < 40 or not 0 <= seed <= MAX_SEED:
        raise ValueError(f"a world takes 40 scenes or more and a seed from 0 to {MAX_SEED}")
    counts = {"cc12m": round(scenes * 0.514), "grit": round(scenes * 0.374)}
    counts["sa1b"] = scenes - sum(counts.values())
    rows = {name: _rows(name, counts[name], (seed, scenes), f"http://{host}:{port}") for name in DATASETS}
    for folder in (*DATASETS, "pictures"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    # Not forked: the caller may hold threads.
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        fetched = [row for name in ("cc12m", "grit") for row in rows[name]]
        drawn = pool.map(layout.write_picture, [root / "pictures"] * len(fetched), fetched, chunksize=50)
        pairs = pool.map(layout.sa1b_pair, rows["sa1b"], chunksize=20)
        layout.write_cc12m(root / "cc12m" / "cc12m.tsv", rows["cc12m"])
        layout.write_grit(root / "grit", rows["grit"])
        layout.write_sa1b(root / "sa1b", list(pairs))
        # Exhausted, so that an error in a worker is raised here.
        list(drawn)
    truth = [row.truth() for name in DATASETS for row in rows[name]]
    pq.write_table(pa.Table.from_pylist(truth, schema=TRUTH), root / "truth.parquet")
    return World(
        root=root,
        cc12m=root / "cc12m" / "cc12m.tsv",
        grit=root / "grit",
        sa1b=root / "sa1b" / "links.tsv",
        pictures=root / "pictures",
        truth=root / "truth.parquet",
        rows=counts,
    )


def _rows(dataset: str, count: int, world: tuple[int, int], address: str) -> list[Row]:
    seed, scenes = world
    number = DATASETS.index(dataset)
    rng = np.random.default_rng((seed, number))
    faults = assign(dataset, count, scenes, rng)
    first = seed * SEEDS_PER_WORLD + number * 10_000
    healthy = [index for index, fault in enumerate(faults) if not fault]
    originals = iter(rng.permutation(healthy).tolist())
    rows: list[Row] = []
    for index, fault in enumerate(faults):
        original = next(originals) if fault == "copied_picture" else None
        found = _suitable(fault, first + (index if original is None else original))
        rows.append(
            Row(
                dataset=dataset,
                index=index,
                scene=found,
                fault=fault,
                told=_other(fault, found, rng) or found,
                url=None if dataset == "sa1b" else _url(address, dataset, index, fault),
                twin=None if original is None else _url(address, dataset, original, ""),
                tar=index * TARS // count,
            )
        )
    return rows


def _url(address: str, dataset: str, index: int, fault: str) -> str:
    return f"{address}/{fault or 'fine'}/{dataset}_{index:06d}.jpg"


def _suitable(fault: str, seed: int) -> Scene:
    """Return the scene of `seed`, or a later one of its line in which the fault can be planted."""
    # Rows take seeds below 30,000 of their world: no row starts where another one's line leads.
    return _search(seed, 40_000, _FITS.get(fault, lambda found: True))


def _oblong(found: Scene) -> bool:
    return not 0.8 < found.width / found.height < 1.25


_FITS: dict[str, Callable[[Scene], bool]] = {
    "rotated": _oblong,
    "off_box": lambda found: empty_box(found, 0, np.random.default_rng(found.seed)) is not None,
}


def _other(fault: str, found: Scene, rng: np.random.Generator) -> Scene | None:
    """Return the scene whose words and boxes stand beside the picture instead of its own."""
    seed = found.seed + int(rng.integers(1, 9_000))
    if fault == "wrong_caption":
        colours = {thing.colour for thing in found.objects}
        return _search(seed, 211, lambda one: colours.isdisjoint(thing.colour for thing in one.objects))
    if fault == "other_picture":
        shape = found.width / found.height
        return _search(seed, 211, lambda one: not 0.8 < shape * one.height / one.width < 1.25)
    return None


def _search(seed: int, step: int, fits: Callable[[Scene], bool]) -> Scene:
    for place in range(LOOK):
        found = scene(seed + place * step)
        if fits(found):
            return found
    raise ValueError(f"no scene from seed {seed} on suits the fault")
