"""Grounded text on one core: codecs, ReC parsing, lint and convert of a large file. `bench-boxes` has the arrays,
`bench-flip` the pixels; `make bench-grounding` runs all three.

Files come in two kinds. "mixed" is as people's are (LLaVA's mix, as_mix_4m.json): dialogues of one or two kilobytes,
of which one in seven has a few boxes, pictures of many sizes. "dense" is the worst case: every answer is phrases and
boxes, and most of the time is their arithmetic. The floor is what Python's own json needs for the same records alone:
`loads` for lint, `loads` and `dumps` for convert. Best of FILE_ROUNDS, ours and the floor in turns, CPU seconds.
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
FILE_ROUNDS = int(os.environ.get("FILE_ROUNDS", "2"))
GROUNDED = 0.15
WORDS = """the a of on in is and man woman dog street table red small standing near wearing holding next to background
left side looking wooden building with there are people what color image shows several which appears could suggest
overall scene adds atmosphere during daytime"""
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
FLOOR = """
import json, sys, time
begun = time.process_time()
with open(sys.argv[1], "rb") as lines:
    for line in lines:
        record = json.loads(line.strip(b"[],\\n"))
        if sys.argv[2] == "convert":
            json.dumps(record).encode()
print(f"MEASURED {time.process_time() - begun} 0")
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


def sentence(dice: random.Random, count: int) -> str:
    """Return so many words with a full stop."""
    words = WORDS.split()
    return " ".join(dice.choice(words) for _ in range(count)).capitalize() + "."


def phrases(dice: random.Random, text: str) -> Grounded:
    """Return a text of which a few words have a box each."""
    regions: list[Region] = []
    at = 0
    for _ in range(dice.randint(1, 4)):
        start = text.find(" ", at) + 1
        end = text.find(" ", text.find(" ", start) + 1)
        if start < 1 or end <= start:
            break
        x0, y0 = dice.random() * 0.6, dice.random() * 0.6
        box = (x0, y0, x0 + 0.05 + dice.random() * 0.3, y0 + 0.05 + dice.random() * 0.3)
        regions.append(Region(text[start:end], (box,), start=start, end=end))
        at = end
    return Grounded(text, tuple(regions))


def size_of(dice: random.Random) -> tuple[int, int]:
    """Return a picture's width and height in pixels: half of COCO's common ones, half any."""
    common = ((640, 480), (480, 640), (640, 427), (500, 375), (640, 640))
    return dice.choice(common) if dice.random() < 0.5 else (dice.randint(300, 1200), dice.randint(300, 1200))


def mixed(dice: random.Random) -> list[Grounded]:
    """Return the turns of a dialogue of one to five rounds; of one in seven most answers have boxes."""
    turns, grounded = [], dice.random() < GROUNDED
    for number in range(dice.randint(1, 5)):
        turns.append(Grounded(("" if number else "<image>\n") + sentence(dice, dice.randint(6, 15))))
        lines = dice.choice((1, 1, 3, 4, 5, 6, 7, 8))
        answer = " ".join(sentence(dice, dice.randint(10, 18)) for _ in range(lines))
        turns.append(phrases(dice, answer) if grounded and dice.random() < 0.7 else Grounded(answer))
    return turns


def dense(dice: random.Random) -> list[Grounded]:
    """Return a question and an answer of nothing but phrases with their boxes."""
    return [Grounded("<image>\nDescribe the picture, with boxes."), caption(dice)]


def filled(path: Path, kind: Callable[[random.Random], list[Grounded]], codec: str, megabytes: int) -> tuple[int, int]:
    """Write an array of records of a kind to `path` until it is so long; return how many records and boxes it has."""
    dice, encode = random.Random(1), plugins.load("codecs", codec, PROJECT).encode
    pool = []
    for _ in range(CAPTIONS):
        (width, height), said = size_of(dice), kind(dice)
        values = [encode(each, width, height) if each.regions else each.text for each in said]
        turns = [{"from": ("human", "gpt")[n % 2], "value": value} for n, value in enumerate(values)]
        boxes = sum(len(region.boxes) for each in said for region in each.regions)
        pool.append(({"width": width, "height": height, "conversations": turns}, boxes))
    number = boxes = 0
    with path.open("w", encoding="utf-8") as out:
        while out.tell() < megabytes * 1_000_000:
            record, count = pool[number % CAPTIONS]
            told = {"id": f"{number:09}", "image": f"vg/{number}.jpg", **record}
            out.write((",\n" if number else "[") + json.dumps(told))
            number, boxes = number + 1, boxes + count
        out.write("]")
    return number, boxes


def measured(code: str, words: list[str]) -> tuple[float, float]:
    """Return the CPU seconds and the peak of memory, in MiB, that a process of its own tells."""
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    told = [line for line in done.stdout.splitlines() if line.startswith("MEASURED")]
    if not told:
        raise SystemExit(f"{words[0]} ended: {done.stderr[-2000:]}")
    spent, peak = (float(word) for word in told[-1].split()[1:])
    return spent, peak


def files() -> list[Row]:
    """`curate lint` and `curate convert` of large arrays, each in a process of its own."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.json", f"{folder}/out.json"
        for kind, megabytes in ((mixed, FILE_MB), (dense, max(FILE_MB // 10, 1))):
            number, boxes = filled(source, kind, "svit", megabytes)
            size = source.stat().st_size / 1e6
            case = f"{kind.__name__} JSON, {size:,.0f} MB, {number:,} records"
            for verb, words in (
                ("lint", ["lint", str(source), "--dialect", "svit"]),
                ("convert", ["convert", str(source), "--from", "svit", "--to", "asv2", "-o", target, "--force"]),
            ):
                runs = [(measured(FLOOR, [str(source), verb]), measured(RUN, words)) for _ in range(FILE_ROUNDS)]
                floor, spent = min(bare for (bare, _), _ in runs), min(ours for _, (ours, _) in runs)
                peak = max(ours for _, (_, ours) in runs)
                goal, met = (f">= {FILE_SPEED}", size / spent >= FILE_SPEED) if kind is mixed else ("", None)
                rows.append(Row(case, verb, "MB/s", size / spent, None, size / floor, goal, met))
                rows.append(Row(case, f"{verb}, of the floor", "share", floor / spent, None, 1.0, "", None))
                rows.append(Row(case, f"{verb}, peak", "MiB", peak, None, None, f"< {FILE_MEMORY}", peak < FILE_MEMORY))
                if kind is dense:
                    rows.append(Row(case, verb, "boxes/s", boxes / spent, None, boxes / floor, "", None))
    return rows


def main() -> None:
    """Run all of it and publish."""
    dice = random.Random(0)
    captions = [caption(dice) for _ in range(CAPTIONS)]
    rows = [*codecs(captions), *parsed(captions), *files()]
    publish("words", rows)


if __name__ == "__main__":
    main()
