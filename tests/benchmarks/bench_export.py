"""Records into files, one core: records a CPU second and peak memory at two sizes, beside a list written at the end."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from table import Row, publish

from curate import plugins, schema
from curate.plugins import Project
from curate.sample import Grounded, ImageRef, Record, Region, Sample, Turn, sample_id

RECORDS = int(os.environ.get("RECORDS", "200000"))
FEW = max(RECORDS // 10, 1000)
ROUNDS = int(os.environ.get("ROUNDS", "3"))
LEAST, MOST_MB = 30_000, 300
KINDS = 500
PROJECT = Project(str(plugins.shipped()))

TEXT = (
    "In the picture a man in a red jacket stands beside two bicycles in front of a brick wall, "
    "while a small dog looks at the street sign on the left of the door, number {}."
)
PHRASES = ("a man in a red jacket", "two bicycles", "a brick wall", "a small dog", "the street sign", "the door")
Job = Callable[[Path, int], None]


def sample(number: int) -> Sample:
    """Return a grounded dialogue of four turns: six phrases with seven boxes."""
    text = TEXT.format(number)
    regions = []
    for place, phrase in enumerate(PHRASES):
        x, y = (number * 37 + place * 101) % 500 / 1000, (number * 53 + place * 67) % 500 / 1000
        boxes = ((x, y, x + 0.3, y + 0.4),) * (2 if phrase == "two bicycles" else 1)
        start = text.index(phrase)
        regions.append(Region(phrase, boxes, 1, start, start + len(phrase)))
    talk = (
        Turn("human", "<image>\nDescribe the picture, and say where everything is."),
        Turn("gpt", text),
        Turn("human", "Is it raining?"),
        Turn("gpt", "No: the ground is dry, and nobody carries an umbrella."),
    )
    key = sample_id("bench", str(number))
    image = ImageRef(f"{key}.jpg", 0, 1, "00", "00", "jpeg", 640, 480, 640, 480, 1)
    return Sample(key, "bench", 0, number, str(number), images=(image,), conversations=talk, regions=tuple(regions))


def records(codec: str) -> list[Record]:
    """Return KINDS records as an export makes them: a mix draws samples, the writer sees strings."""
    encode = plugins.load("codecs", codec, PROJECT).encode
    made = []
    for number in range(KINDS):
        one = sample(number)
        said = tuple(
            Grounded(turn.value, tuple(region for region in one.regions if region.turn == place))
            for place, turn in enumerate(one.conversations)
        )
        turns = tuple(
            Turn(turn.role, encode(each, 640, 480)) for turn, each in zip(one.conversations, said, strict=True)
        )
        image = f"coco/train2017/{number:012d}.jpg"
        made.append(Record(one.sample_id, f"part{number % 20}", turns, image, None, 640, 480, said=said))
    return made


def cycled(made: list[Any], count: int) -> Iterator[Any]:
    """Yield `count` of them, over and over."""
    for number in range(count):
        yield made[number % len(made)]


def exporting(name: str) -> Job:
    """Write with one of our exporters."""
    module = plugins.load("exporters", name, PROJECT)
    made = records(module.CODECS[0])

    def work(folder: Path, count: int) -> None:
        exporter = module.Exporter(folder, f"mix{module.SUFFIX}")
        for record in cycled(made, count):
            exporter.write(record)
        exporter.close()

    return work


def row(record: Record) -> dict[str, Any]:
    """Return the row of LLaVA's form, as everyone's script makes it."""
    said = [{"from": turn.role, "value": turn.value} for turn in record.turns]
    return {"id": record.sample_id, "image": record.image, "conversations": said}


def listing() -> Job:
    """Collect all rows in a list, and write it at the end, as the trainers' own scripts do."""
    made = records("asv2")

    def work(folder: Path, count: int) -> None:
        rows = [row(replace(record)) for record in cycled(made, count)]
        (folder / "mix.json").write_text(json.dumps(rows), encoding="utf-8")

    return work


def bare() -> Job:
    """Encode rows that are there already, and write: what nothing can beat that writes JSON."""
    made = [row(record) for record in records("asv2")]
    encode = json.JSONEncoder(ensure_ascii=False).encode

    def work(folder: Path, count: int) -> None:
        with (folder / "mix.json").open("w", encoding="utf-8") as out:
            for one in cycled(made, count):
                out.write(encode(one))

    return work


def staged() -> Job:
    """From rows of the samples table to the file: rows to samples, the codec, checks, the writer."""
    from curate.stages.export import Writing, export

    table = schema.to_table([sample(number) for number in range(KINDS)])
    batches = table.to_batches(max_chunksize=KINDS)
    load = plugins.load
    writing = Writing(
        load("exporters", "llava_json", PROJECT), load("codecs", "asv2", PROJECT), "mix.json", pictures=False
    )

    def rows(count: int) -> Iterator[dict[str, Any]]:
        for _ in range(count // KINDS):
            for batch in batches:
                for each in batch.to_pylist():
                    yield {**each, "component": "part", "augmented": None}

    def work(folder: Path, count: int) -> None:
        done = export(str(folder), rows(count), writing, str(folder / "out"))
        assert done.records == count // KINDS * KINDS, done.left_out

    return work


def child(case: str, count: int) -> None:
    """Run one case in this process; print records a CPU second, and peak memory in MB."""
    work = {"list": listing, "bare": bare, "staged": staged}.get(case, lambda: exporting(case))()
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        work(Path(folder), count)
        spent = time.process_time() - began
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    print(json.dumps([count / spent, peak]))


def measured(case: str, count: int, rounds: int = ROUNDS) -> tuple[float, float]:
    """Return the medians of what fresh processes say."""
    said = []
    for _ in range(rounds):
        done = subprocess.run([sys.executable, __file__, case, str(count)], capture_output=True, check=True, text=True)
        said.append(json.loads(done.stdout))
    print(f"  {case}, {count:,}", file=sys.stderr)
    return statistics.median(speed for speed, _ in said), statistics.median(peak for _, peak in said)


def main() -> None:
    """Measure each case in processes of its own."""
    rows = []
    for count in (FEW, RECORDS):
        case = f"llava_json, {count:,} records"
        (speed, peak), (peer, peer_peak), (floor, floor_peak) = (
            measured(name, count) for name in ("llava_json", "list", "bare")
        )
        rows.append(Row(case, "speed", "records/s", speed, peer, floor, f">= {LEAST:,}", speed >= LEAST))
        rows.append(Row(case, "peak memory", "MB", peak, peer_peak, floor_peak, f"< {MOST_MB}", peak < MOST_MB))
    speed, peak = measured("staged", FEW, 1)
    rows.append(Row(f"rows to llava_json, {FEW:,}", "speed", "records/s", speed, None, None, "", None))
    rows.append(Row(f"rows to llava_json, {FEW:,}", "peak memory", "MB", peak, None, None, "", None))
    for name in plugins.names("exporters", PROJECT):
        if name != "llava_json":
            speed, peak = measured(name, FEW, 1)
            rows.append(Row(f"{name}, {FEW:,} records", "speed", "records/s", speed, None, None, "", None))
            rows.append(Row(f"{name}, {FEW:,} records", "peak memory", "MB", peak, None, None, "", None))
    publish("export", rows)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(sys.argv[1], int(sys.argv[2]))
    else:
        main()
