"""A mix placed slice by slice on Ray, from files of lengths to files of packs, beside reading and writing those alone.

make bench-place                      4 million candidates
ROWS=100000000 make bench-place       some 12 GB below TMPDIR
"""

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from metered import Meter, metered
from mix_lengths import PARTS, as_mix_like
from table import Row, publish

from curate import schema
from curate.console import Console
from curate.driver import Driver, Where
from curate.io import tables
from curate.kernels.packing import Limits
from curate.layout import placed_file
from curate.mixes.placing import Placing
from curate.stages.lengths import MEASURED
from curate.stages.mix import Part, Recipe

ROWS = int(os.environ.get("ROWS", "4000000"))
FILE_ROWS = 1_000_000
LENGTH, RANKS, PER_RANK, HIDDEN = 4096, 32, 4, 4096
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def main() -> None:
    """Write lengths, place them in a process of its own, and publish."""
    work = Path(tempfile.mkdtemp(prefix="place-"))
    try:
        files = [write(work, number) for number in range(max(ROWS // FILE_ROWS, 1))]
        command = [sys.executable, __file__, str(work)]
        meter = metered(command, work / "run.log", 7200, dict(os.environ), Path.cwd())
        assert meter.code == 0, (work / "run.log").read_text()
        some = min(len(files), 4)
        bare = sum(read_and_write(files[number], work, number) for number in range(some)) / some * len(files)
        publish("place", rows(json.loads((work / "facts.json").read_text()), meter, bare))
    finally:
        shutil.rmtree(work)


def place(work: Path) -> None:
    """Place all candidates of a folder on Ray; write what a manifest would tell."""
    files = sorted(map(str, (work / "lengths").iterdir()))
    driver = Driver(Where("ray"), Console(quiet=True))
    started = time.monotonic()
    try:
        recipe = Recipe(Limits(LENGTH), ranks=RANKS, per_rank=PER_RANK)
        placing = Placing("mix", "digest", recipe, None, HIDDEN, str(work / "plan"), driver)
        facts = placing.run({Part("all", "all", ""): files}).facts
    finally:
        driver.close()
    (work / "facts.json").write_text(json.dumps({**facts, "seconds": time.monotonic() - started}))


def rows(facts: dict[str, float], meter: Meter, bare: float) -> list[Row]:
    """Return the rows of the table."""
    case, count = f"{ROWS:,} candidates on Ray, L={LENGTH:,}", facts["samples"]
    fill, ceiling = 100 * facts["fill"], 100 * facts["ceiling"]
    each, floor = meter.cpu_s / count * 1e9, bare / count * 1e9
    tokens, cost = facts["token_balance"], facts["cost_balance"]
    largest = max(meter.peaks.values()) / 2**20
    return [
        Row(case, "wall", "s", facts["seconds"], None, None, "", None),
        Row(case, "each, Ray's start in it; floor: read and written", "ns CPU", each, None, floor, "", None),
        Row(case, "largest process", "MB", largest, None, None, "<= 2,000", largest <= 2000),
        Row(case, "filled", "%", fill, None, ceiling, "99.9, or ceiling - 0.3", fill >= min(99.9, ceiling - 0.3)),
        Row(case, "tokens, busiest rank / mean", "ratio", tokens, None, 1.0, "<= 1.002", tokens <= 1.002),
        Row(case, "cost, busiest rank / mean", "ratio", cost, None, 1.0, "<= 1.02", cost <= 1.02),
    ]  # fmt: skip


def write(work: Path, number: int) -> str:
    """Write the lengths of some candidates; return the file."""
    rng = np.random.default_rng(number)
    lengths, source = as_mix_like(FILE_ROWS, number)
    lengths = np.minimum(lengths, LENGTH)
    pictures = np.array([576 * part.pictures for part in PARTS])[source]
    ids = _HEX[rng.integers(0, 16, (FILE_ROWS, 32), np.uint8)].reshape(-1).view("S32")
    named = {
        "dataset": pa.array(["all"] * FILE_ROWS),
        "sample_id": pa.array(ids).cast(pa.string()),
        "n_text_tok": lengths - pictures,
        "n_label_tok": (lengths - pictures) // 2,
        "n_img_tok": pictures,
        "n_tiles": pictures // 576,
        "n_images": pictures // 576,
        "cost": lengths * (6 * HIDDEN + lengths),
    }
    columns = [
        pa.array(named[field.name]).cast(field.type) if field.name in named else pa.nulls(FILE_ROWS, field.type)
        for field in schema.LENGTHS
    ]
    uri = str(work / f"lengths/{number:05d}.parquet")
    tables.write_table(uri, pa.table(columns, schema=schema.LENGTHS), {})
    return uri


def read_and_write(file: str, work: Path, number: int) -> float:
    """Return the CPU seconds that reading a file of lengths and writing its packs take."""
    packs = tables.read_table(placed_file(str(work / "plan"), number))
    begun = time.process_time()
    tables.read_table(file, MEASURED)
    tables.write_table(str(work / "again.parquet"), packs, {})
    return time.process_time() - begun


if __name__ == "__main__":
    place(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
