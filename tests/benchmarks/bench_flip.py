"""CPU of one child of a JPEG, mirrored or padded, against decoding, moving and encoding it with Pillow.

Pictures are those of bench_decode, at the sizes that lossless applies to and does not. "ours" ends with the
JPEG's bytes, as Pillow does, at the same quality; "as stored" adds the perceptual hash and the digest that the stage
wants. Floor is half of the entropy coding, which no way round can do without: every byte read, nothing written.
"""

import hashlib
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from types import ModuleType

from bench_decode import jpeg, pictures
from PIL import Image
from table import Row, publish

from curate.augmenters import hflip, square_pad
from curate.io import turbo
from curate.io.redraw import Drawing, Flip
from curate.kernels.canvas import Canvas, bare
from curate.sample import ImageRef

ROUNDS = int(os.environ.get("ROUNDS", "9"))
PICTURES = 8
SOURCE, QUALITY = 85, 95
SIZES = {"1056 x 800": 1056, "1058 x 800": 1058, "1057 x 800": 1057}
"""A multiple of 16, where lossless applies; an even and an odd width, where it does not."""
FLIP, PAD, BOTH = (hflip,), (square_pad,), (square_pad, hflip)

Chain = tuple[ModuleType, ...]
Stored = tuple[bytes, ImageRef]


def stored(width: int) -> list[Stored]:
    """Return pictures of one width as ingest stores them."""
    found = []
    for data in pictures()[:PICTURES]:
        picture = Image.open(io.BytesIO(data)).convert("RGB").crop((0, 0, width, 800))
        made = jpeg(picture, SOURCE)
        found.append((made, ImageRef("m", 512, len(made), "", "0" * 16, "jpeg", *picture.size, *picture.size, 1)))
    return found


def canvas(image: ImageRef, chain: Chain) -> Canvas:
    """Return the canvas of a chain."""
    made = bare((image.width, image.height))
    for step in chain:
        made = step.redraw(made)
    return made


def ours(flip: Flip, quality: int, *chains: Chain, whole: bool = False) -> Callable[[Stored], object]:
    """Return what makes the children of a picture; `whole`: all that the stage does to them."""

    def work(parent: Stored) -> None:
        drawing = Drawing(*parent, flip, quality)
        for chain in chains:
            drawn = drawing.on(canvas(parent[1], chain))
            if whole:
                hashlib.sha256(drawn.data).hexdigest()
                drawn.phash()

    return work


def pillow(quality: int, *chains: Chain) -> Callable[[Stored], object]:
    """Decode once, then move and encode for each child."""

    def work(parent: Stored) -> None:
        opened = Image.open(io.BytesIO(parent[0]))
        opened.load()
        for chain in chains:
            made: Image.Image = opened
            if square_pad in chain:
                side = max(opened.size)
                made = Image.new("RGB", (side, side), square_pad.FILL_RGB)
                made.paste(opened, ((side - opened.width) // 2, (side - opened.height) // 2))
            jpeg(made.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if hflip in chain else made, quality)

    return work


def read(parent: Stored) -> None:
    """Read every byte of a picture for one pixel of each block."""
    opened = Image.open(io.BytesIO(parent[0]))
    opened.draft("L", (opened.width // 8, opened.height // 8))
    opened.load()


def makers(flip: Flip, quality: int, chains: tuple[Chain, ...]) -> dict[str, Callable[[Stored], object]]:
    """Return what is compared."""
    whole = ours(flip, quality, *chains, whole=True)
    return {"ours": ours(flip, quality, *chains), "peer": pillow(quality, *chains), "whole": whole, "floor": read}


def main() -> None:
    """Interleave the rounds, and compare medians."""
    cases: list[tuple[str, tuple[Chain, ...], Flip, int, float | None]] = [
        ("hflip, lossless", (FLIP,), "auto", QUALITY, 3.0),
        ("hflip", (FLIP,), "auto", QUALITY, 1.4),
        ("hflip, odd", (FLIP,), "auto", QUALITY, 1.4),
        ("hflip, quality 75", (FLIP,), "auto", 75, 1.4),
        ("square_pad", (PAD,), "auto", QUALITY, 1.4),
        ("three children", (FLIP, PAD, BOTH), "auto", QUALITY, None),
        ("hflip, reencode", (FLIP,), "reencode", QUALITY, None),
    ]
    widths = [*SIZES, "1058 x 800", "1058 x 800", "1056 x 800", "1058 x 800"]
    parents = {name: stored(width) for name, width in SIZES.items()}
    spent: dict[tuple[str, str], list[float]] = {}
    for number in range(ROUNDS + 1):  # round 0 warms
        for (name, chains, flip, quality, _), size in zip(cases, widths, strict=True):
            for who, work in makers(flip, quality, chains).items():
                began = time.thread_time()
                for parent in parents[size]:
                    work(parent)
                if number:
                    spent.setdefault((name, who), []).append((time.thread_time() - began) / PICTURES * 1000)
        print(f"  round {number}", file=sys.stderr)
    rows = []
    for (name, chains, _, _, goal), size in zip(cases, widths, strict=True):
        mine, peer, floor = (statistics.median(spent[name, who]) for who in ("ours", "peer", "floor"))
        each, ratio = 1000 * len(chains), peer / mine
        case = f"{name}, {size}"
        rows.append(Row(case, "children a core", "1/s", each / mine, each / peer, None, "", None))
        stored_ms = statistics.median(spent[name, "whole"])
        rows.append(Row(case, "children a core, as stored", "1/s", each / stored_ms, each / peer, None, "", None))
        met = ratio >= goal if goal is not None and turbo.available() else None
        wanted = f">= {goal}" if met is not None else ""
        rows.append(Row(case, "ours / Pillow", "ratio", ratio, 1.0, peer / floor, wanted, met))
    publish("flip", rows)


if __name__ == "__main__":
    main()
