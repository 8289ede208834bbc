"""Planning of large lists: a TSV of CC12M's 12.4 million rows, 21 Parquet files as GRiT has; time and peak memory."""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from table import Row, publish

ROWS = int(os.environ.get("ROWS", "12423374"))
FILES, FILE_ROWS = 21, 980_000
ROUNDS = int(os.environ.get("ROUNDS", "3"))
MEMORY_MB = 600
PLAN = """
import sys, time
from pathlib import Path
from curate import plugins
from curate.plugins import Project
source = plugins.load("sources", sys.argv[1], Project("."))
begun = time.process_time()
shards = list(source.plan(sys.argv[2:], 2000))
spent = time.process_time() - begun
peak = next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
print(len(shards), sum(shard.rows for shard in shards), spent, peak / 1024)
"""
READ = """
import sys, time
begun = time.process_time()
with open(sys.argv[1], "rb", buffering=0) as file:
    lines = 0
    while block := file.read(1 << 22):
        lines += block.count(b"\\n")
print(lines, lines, time.process_time() - begun, 0)
"""


def measured(code: str, *words: str) -> list[float]:
    """Run `code` in a process of its own: shards, rows, CPU seconds, peak of memory in MB."""
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    """Lay out the lists, plan them, and hold the time to a bare read of the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        tsv = Path(folder) / "cc12m.tsv"
        with tsv.open("wb") as file:
            for start in range(0, ROWS, 100_000):
                numbers = range(start, min(start + 100_000, ROWS))
                file.write(
                    b"".join(
                        b"http://host-%d.example/pictures/%d.jpg\t%b %d\n" % (n % 999, n, b"word " * 28, n)
                        for n in numbers
                    )
                )
        parts = []
        for number in range(FILES):
            path = Path(folder) / f"coyo_{number}_snappy.parquet"
            ids = pa.array(range(number * FILE_ROWS, (number + 1) * FILE_ROWS))
            text = pa.array(["a"] * FILE_ROWS)
            names = ("id", "url", "caption", "width", "height", "noun_chunks", "ref_exps", "clip_similarity_vitb32")
            pq.write_table(pa.table({name: ids if name == "id" else text for name in names}), path)
            parts.append(str(path))
        rounds = [(measured(PLAN, "cc12m", str(tsv)), measured(READ, str(tsv))) for _ in range(ROUNDS)]
        grit = [measured(PLAN, "grit", *parts) for _ in range(ROUNDS)]
    seconds, floor = (statistics.median(pair[place][2] for pair in rounds) for place in (0, 1))
    assert rounds[0][0][1] == ROWS
    peak = max(pair[0][3] for pair in rounds)
    case, other = f"TSV, {ROWS:,} rows", f"{FILES} Parquet files, {FILES * FILE_ROWS:,} rows"
    publish(
        "plan",
        [
            Row(case, "CPU, to a bare read", "s", seconds, None, floor, "", None),
            Row(case, "peak memory", "MB", peak, None, None, f"<= {MEMORY_MB}", peak <= MEMORY_MB),
            Row(other, "CPU", "s", statistics.median(each[2] for each in grit), None, None, "", None),
            Row(
                other,
                "peak memory",
                "MB",
                max(each[3] for each in grit),
                None,
                None,
                f"<= {MEMORY_MB}",
                max(each[3] for each in grit) <= MEMORY_MB,
            ),
        ],
    )


if __name__ == "__main__":
    main()
