"""Records into files, one core: records a CPU second and peak memory at two sizes, beside a list written at the end."""

import json
import os
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import export_roots
from table import Row, publish

from curate import export_rows, exporting, plugins
from curate.export_job import Export
from curate.grounding import dialogue
from curate.plugins import Project
from curate.sample import Grounded, ImageRef, Record, Region, Sample, Turn, sample_id

RECORDS = int(os.environ.get("RECORDS", "200000"))
FEW = max(RECORDS // 10, 1000)
ROUNDS = int(os.environ.get("ROUNDS", "3"))
LEAST, MOST_MB = 30_000, 300
KINDS = 500
PATHS = {"boxes": "samples with boxes", "plain": "samples of words alone", "file": "records of a file"}
"""Whole paths to llava_json in the codec asv2, from what lies under a root."""
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


def writer(name: str) -> Job:
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


def again() -> Job:
    """Decode the same rows before they are encoded: the floor where records of a file are exported."""
    made = [json.dumps(row(record), ensure_ascii=False) for record in records("asv2")]
    encode = json.JSONEncoder(ensure_ascii=False).encode

    def work(folder: Path, count: int) -> None:
        with (folder / "mix.json").open("w", encoding="utf-8") as out:
            for text in cycled(made, count):
                out.write(encode(json.loads(text)))

    return work


def plain(number: int) -> Sample:
    """Return the same dialogue without boxes."""
    return replace(sample(number), regions=())


def prepare(path: str, count: int, root: Path) -> None:
    """Write what one of PATHS exports, and what was run."""
    if path == "file":
        numbered = ({**row(one), "id": number} for number, one in enumerate(cycled(records("asv2"), count)))
        result = export_roots.of_file(root, count, numbered, "asv2")
    else:
        result = export_roots.of_samples(root, count, {"boxes": sample, "plain": plain}[path])
    (root / "result.pickle").write_bytes(pickle.dumps(result))


def whole(root: Path) -> Job:
    """From the root to the file: rows, samples or records of others, the codec, checks, the writer."""
    result = pickle.loads((root / "result.pickle").read_bytes())
    wanted = Export(as_="llava_json", codec="asv2", pictures=False)

    def work(folder: Path, count: int) -> None:
        _, manifest = exporting.write_export(result, wanted, PROJECT, str(root))
        assert manifest["records"] == count, manifest["left_out"]
        shutil.rmtree(root / "exports")

    return work


def read(root: Path) -> Job:
    """Read the same rows and drop them: what reading and sorting take of it."""
    result = pickle.loads((root / "result.pickle").read_bytes())

    def work(folder: Path, count: int) -> None:
        assert sum(1 for _ in export_rows.of_mix(str(root), result)) == count

    return work


def coded(kind: str) -> Job:
    """Write the dialogues of samples that are there already in the codec's form."""
    encode = plugins.load("codecs", "asv2", PROJECT).encode
    made = [{"boxes": sample, "plain": plain}[kind](number) for number in range(KINDS)]

    def work(folder: Path, count: int) -> None:
        for one in cycled(made, count):
            dialogue.turns_of(one, encode)

    return work


def child(case: str, count: int) -> None:
    """Run one case in this process; print records a CPU second, and peak memory in MB."""
    name, _, rest = case.partition(":")
    works = {"list": listing, "bare": bare, "again": again, "codec": lambda: coded(rest)}
    works |= {"whole": lambda: whole(Path(rest)), "rows": lambda: read(Path(rest))}
    work = works.get(name, lambda: writer(case))()
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


def paths(path: str, what: str) -> list[Row]:
    """Measure a whole path at two sizes, beside its parts."""
    rows = []
    floor, _ = measured("again" if path == "file" else "bare", FEW)
    for count in (FEW, RECORDS):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([sys.executable, __file__, f"prepare:{path}:{folder}", str(count)], check=True)
            speed, peak = measured(f"whole:{folder}", count)
            rows_speed, rows_peak = measured(f"rows:{folder}", count)
        case = f"{what}, {count:,}"
        rows.append(Row(case, "speed", "records/s", speed, None, floor, f">= {LEAST:,}", speed >= LEAST))
        rows.append(Row(case, "peak memory", "MB", peak, None, rows_peak, f"< {MOST_MB}", peak < MOST_MB))
        rows.append(Row(case, "rows alone", "records/s", rows_speed, None, None, "", None))
    if path != "file":
        speed, _ = measured(f"codec:{path}", FEW)
        rows.append(Row(what, "codec alone", "records/s", speed, None, None, "", None))
    return rows


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
    for path, what in PATHS.items():
        rows += paths(path, what)
    for name in plugins.names("exporters", PROJECT):
        if name != "llava_json":
            speed, peak = measured(name, FEW, 1)
            rows.append(Row(f"{name}, {FEW:,} records", "speed", "records/s", speed, None, None, "", None))
            rows.append(Row(f"{name}, {FEW:,} records", "peak memory", "MB", peak, None, None, "", None))
    publish("export", rows)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1].startswith("prepare:"):
        prepare(sys.argv[1].split(":")[1], int(sys.argv[2]), Path(sys.argv[1].split(":", 2)[2]))
    elif len(sys.argv) == 3:
        child(sys.argv[1], int(sys.argv[2]))
    else:
        main()
