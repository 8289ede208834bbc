"""Grounded text on one core: codecs, ReC parsing, lint and convert of a large file. `bench-boxes` has the arrays,
`bench-flip` the pixels; `make bench-grounding` runs all three.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from table import Row, publish

from curate import plugins
from curate.grounding import rec
from curate.plugins import Project
from curate.sample import Grounded, Region

PROJECT = Project(".")
ROUNDS = int(os.environ.get("ROUNDS", "5"))
CONVERSATIONS = int(os.environ.get("CONVERSATIONS", "127000"))
FILE_MB = int(os.environ.get("FILE_MB", "1000"))
CAPTIONS = 2000
ENCODE, PARSE_S, FILE_SPEED, FILE_MEMORY = 200_000, 20, 30, 500
RUN = """
import sys, time
from pathlib import Path
from curate.cli import app
begun = time.process_time()
try:
    app(sys.argv[1:], standalone_mode=False)
except SystemExit as end:
    print(end, file=sys.stderr)
spent = time.process_time() - begun
peak = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
print(f"MEASURED {spent} {peak / 1024}")
"""


def caption(dice: random.Random) -> Grounded:
    """Return a caption with five phrases and seven boxes, as GRiT and AS-V2 have them."""
    text, regions = "", []
    for number in range(5):
        words = f"a {dice.choice(['red', 'tall', 'wooden', 'small'])} {dice.choice(['bus', 'dog', 'table', 'man'])}"
        boxes = []
        for _ in range(2 if number < 2 else 1):
            x0, y0 = dice.random() * 0.6, dice.random() * 0.6
            boxes.append((x0, y0, x0 + 0.05 + dice.random() * 0.3, y0 + 0.05 + dice.random() * 0.3))
        regions.append(Region(words, tuple(boxes), start=len(text), end=len(text) + len(words)))
        text += f"{words} stands beside "
    return Grounded(text + "the road.", tuple(regions))


def median_s(work: Callable[[], object]) -> float:
    """Return the median of the CPU seconds of several rounds, after one that warms."""
    spent = []
    for number in range(ROUNDS + 1):
        begun = time.process_time()
        work()
        if number:
            spent.append(time.process_time() - begun)
    return statistics.median(spent)


def codecs(captions: list[Grounded]) -> list[Row]:
    """Boxes a second of every codec that writes boxes."""
    rows, boxes = [], sum(len(region.boxes) for each in captions for region in each.regions)
    for name in plugins.names("codecs", PROJECT):
        codec = plugins.load("codecs", name, PROJECT)
        if codec.FRAME == "none":
            continue
        written = [codec.encode(each, 640, 480) for each in captions]
        speed = boxes / median_s(lambda: [codec.encode(each, 640, 480) for each in captions])  # noqa: B023
        back = boxes / median_s(lambda: [codec.decode(each, 640, 480) for each in written])  # noqa: B023
        met = speed >= ENCODE
        rows.append(Row(f"codec {name}", "encode", "boxes/s", speed, None, None, f">= {ENCODE:,}", met))
        rows.append(Row(f"codec {name}", "decode", "boxes/s", back, None, None, "", None))
    return rows


def parsed(captions: list[Grounded]) -> list[Row]:
    """The ReC parse of as many conversations as AS-V2 has, beside a bare look at each character."""
    codec = plugins.load("codecs", "asv2", PROJECT)
    texts = [codec.encode(each, 640, 480) for each in captions]
    texts = [texts[number % len(texts)] for number in range(CONVERSATIONS)]
    begun = time.process_time()
    for text in texts:
        rec.parse(text)
    spent = time.process_time() - begun
    begun = time.process_time()
    for text in texts:
        text.split("<")
    floor = time.process_time() - begun
    case = f"ReC, {CONVERSATIONS:,} conversations"
    return [Row(case, "parse", "s CPU", spent, None, floor, f"< {PARSE_S}", spent < PARSE_S)]


def files(captions: list[Grounded]) -> list[Row]:
    """`curate lint` and `curate convert` of one large array, each in a process of its own."""
    svit = plugins.load("codecs", "svit", PROJECT)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.json"
        with source.open("w", encoding="utf-8") as out:
            number = 0
            while out.tell() < FILE_MB * 1_000_000:
                out.write(",\n" if number else "[")
                answer = svit.encode(captions[number % len(captions)], 640, 480)
                asked = {"from": "human", "value": "<image>\nDescribe the picture, with boxes."}
                turns = [asked, {"from": "gpt", "value": answer}]
                row = {"id": f"{number:09}", "image": f"vg/{number}.jpg", "width": 640, "height": 480}
                out.write(json.dumps({**row, "conversations": turns}))
                number += 1
            out.write("]")
        size = source.stat().st_size / 1e6
        begun = time.process_time()
        json.loads(source.read_bytes()[: 64 << 20].rpartition(b",\n")[0] + b"]")
        floor = min(64, size) * 1.048576 / (time.process_time() - begun)
        case = f"JSON of {size:,.0f} MB, {number:,} records"
        rows = []
        for verb, words in (
            ("lint", ["lint", str(source), "--dialect", "svit"]),
            ("convert", ["convert", str(source), "--from", "svit", "--to", "asv2", "-o", f"{folder}/out.json"]),
        ):
            done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True)
            told = [line for line in done.stdout.splitlines() if line.startswith("MEASURED")]
            if not told:
                raise SystemExit(f"{verb} ended: {done.stderr[-2000:]}")
            spent, peak = (float(word) for word in told[-1].split()[1:])
            speed = size / spent
            rows.append(Row(case, verb, "MB/s", speed, None, floor, f">= {FILE_SPEED}", speed >= FILE_SPEED))
            rows.append(Row(case, f"{verb}, peak", "MB", peak, None, None, f"< {FILE_MEMORY}", peak < FILE_MEMORY))
        return rows


def main() -> None:
    """Run all of it and publish."""
    dice = random.Random(0)
    captions = [caption(dice) for _ in range(CAPTIONS)]
    rows = [*codecs(captions), *parsed(captions), *files(captions)]
    publish("words", rows)


if __name__ == "__main__":
    main()
