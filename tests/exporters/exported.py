"""Records that the tests of exporters write, as an export makes them: text in a codec's form, and what it says."""

import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from curate import plugins
from curate.plugins import Project
from curate.sample import Attached, Grounded, Record, Region, Turn

PROJECT = Project(str(plugins.shipped()))
NAMES = plugins.names("exporters", PROJECT)
WIDTH, HEIGHT = 64, 48

BUS = (0.25, 0.5, 0.75, 1.0)
CARS = ((0.0, 0.0, 0.25, 0.5), (0.5, 0.25, 1.0, 0.75))
ASKED = 'Where is "the bus" \u2028 in it?\tTell!'
ANSWER = "The red bus 🎈 waits; two cars \\ pass. \n"
SAID = (
    Grounded(f"<image>\n{ASKED}"),
    Grounded(ANSWER, (Region("red bus", (BUS,), start=4, end=11), Region("two cars", CARS, start=21, end=29))),
    Grounded("And who drives?"),
    Grounded("No one."),
)


def jpeg(number: int = 0, size_wh: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """Return a picture of one colour, which tells it from others."""
    out = io.BytesIO()
    Image.fromarray(np.full((*size_wh[::-1], 3), 20 * number % 250, np.uint8)).save(out, "jpeg")
    return out.getvalue()


def record(number: int = 0, codec: str = "internvl", **changes: Any) -> Record:
    """Return a dialogue of two questions about one picture."""
    encode = plugins.load("codecs", codec, PROJECT).encode
    turns = tuple(Turn(("human", "gpt")[place % 2], encode(one, WIDTH, HEIGHT)) for place, one in enumerate(SAID))
    name = f"images/t/{number}.jpg"
    made = Record(f"id{number}", "part", turns, name, jpeg(number), WIDTH, HEIGHT, said=SAID)
    return replace(made, **changes)


def bare(number: int = 0, **changes: Any) -> Record:
    """Return a dialogue about nothing to be seen."""
    turns = (Turn("human", "Hello, who are you?"), Turn("gpt", "A 🎈."))
    said = tuple(Grounded(turn.value) for turn in turns)
    return replace(Record(f"bare{number}", "words", turns, None, None, 0, 0, said=said), **changes)


def pair(number: int = 0, **changes: Any) -> Record:
    """Return a dialogue about two pictures of different sizes."""
    turns = (Turn("human", "<image>\n<image>\nWhich is darker?"), Turn("gpt", "The first."))
    other = Attached(f"images/t/{number}-b.png", jpeg(number + 1, (32, 16)), 32, 16)
    said = tuple(Grounded(turn.value) for turn in turns)
    made = Record(f"pair{number}", "part", turns, f"images/t/{number}-a.jpg", jpeg(number), WIDTH, HEIGHT)
    return replace(made, others=(other,), said=said, **changes)


def write(name: str, folder: Path, records: Iterable[Record], file: str = "") -> tuple[str, ...]:
    """Export records; return the trainer's files."""
    module = plugins.load("exporters", name, PROJECT)
    folder.mkdir(parents=True, exist_ok=True)
    exporter = module.Exporter(folder, file or f"mix{module.SUFFIX}")
    for each in records:
        exporter.write(each)
    return tuple(exporter.close())


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
