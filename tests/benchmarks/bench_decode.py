"""What one picture costs before it is stored, in CPU milliseconds and PSNR: exact, fast and kept, and bare Pillow."""

import hashlib
import io
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from table import Row, publish

from curate.io.images import Limits, decode, store

ROUNDS = int(os.environ.get("ROUNDS", "9"))
PICTURES = 12
SIZE_WH, SHORT, BYTES = (1064, 800), 256, 175_000
WANTED_WH = Limits(short_side=SHORT).size(SIZE_WH)
PHOTOS = Path(__file__).parents[3] / "shared" / "data"
EXACT, FAST, KEPT = Limits(short_side=SHORT), Limits(short_side=SHORT, decode="fast"), Limits()
PEER_MS, KEPT_PEER_MS = 7.7, 2.7
"""CPU of img2dataset for a picture, HTTP included; of that, about SHARED_MS goes to fetching and writing."""
SHARED_MS = 1.1


def drawn(seed: int) -> Image.Image:
    """Return a picture whose detail falls with frequency as a photograph's does."""
    rng, (wide, high) = np.random.default_rng(seed), SIZE_WH
    frequency = np.hypot(np.fft.fftfreq(high)[:, None], np.fft.fftfreq(wide)[None, :])
    frequency[0, 0] = 1
    layers = [np.real(np.fft.ifft2(np.fft.fft2(rng.standard_normal((high, wide))) / frequency**1.2)) for _ in range(3)]
    grey, warm, cold = (layer / layer.std() for layer in layers)
    colour = np.stack([grey + 0.3 * warm, grey, grey + 0.3 * cold], axis=2)
    return Image.fromarray(np.clip(128 + 50 * colour, 0, 255).astype(np.uint8))


def pictures() -> list[bytes]:
    """Return JPEGs of one size and about as many bytes: real photographs shrunk where there are some, else drawn."""
    large = [path for path in sorted(PHOTOS.glob("photos_*/**/*.jp*g")) if path.stat().st_size > 200_000]
    found: list[Image.Image] = []
    for path in large:
        opened = Image.open(path)
        if min(opened.size) >= 1000 and len(found) < PICTURES - 4:
            scale = max(SIZE_WH[0] / opened.width, SIZE_WH[1] / opened.height)
            size = round(opened.width * scale), round(opened.height * scale)
            whole = opened.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            found.append(whole.crop((0, 0, *SIZE_WH)))
    found += [drawn(seed) for seed in range(PICTURES - len(found))]
    return [min((jpeg(picture, quality) for quality in range(40, 99, 3)), key=_stray) for picture in found]


def _stray(data: bytes) -> int:
    return abs(len(data) - BYTES)


def jpeg(picture: Image.Image, quality: int = 95) -> bytes:
    """Return the picture as a JPEG."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def bare(data: bytes, coarse: bool = False) -> bytes:
    """Decode, average areas and encode with Pillow alone; `coarse` at the DCT scale that is not too small."""
    opened = Image.open(io.BytesIO(data))
    if coarse:
        opened.draft("RGB", WANTED_WH)
    opened.load()
    return jpeg(opened.resize(WANTED_WH, Image.Resampling.BOX))


def ours(limits: Limits) -> Callable[[bytes], object]:
    """Return all that the spool does to a picture, but the writing."""
    return lambda data: hashlib.sha256(store(data, limits).data).hexdigest()


def psnr(data: bytes, limits: Limits) -> float:
    """Compare with Pillow's box filter over all pixels; both after the same encoder at quality 95."""
    error = decode(store(data, limits).data).astype(float) - decode(bare(data))
    return float(10 * np.log10(255**2 / np.square(error).mean()))


def main() -> None:
    """Interleave the rounds, and compare medians."""
    made = pictures()
    cases: dict[str, Callable[[bytes], object]] = {
        "exact": ours(EXACT),
        "fast": ours(FAST),
        "kept": ours(KEPT),
        "bare": bare,
        "coarse": lambda data: bare(data, True),
        "sha256": lambda data: hashlib.sha256(data).hexdigest(),
        "full": lambda data: Image.open(io.BytesIO(data)).load(),
    }
    spent: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(ROUNDS + 1):  # round 0 warms
        for name, case in cases.items():
            began = time.thread_time()
            for data in made:
                case(data)
            if number:
                spent[name].append((time.thread_time() - began) / len(made) * 1000)
        print(f"  round {number}", file=sys.stderr)
    cost = {name: statistics.median(rounds) for name, rounds in spent.items()}
    rows = []
    for name, floor, peer, share in [
        ("exact", "bare", PEER_MS, 0.6),
        ("fast", "coarse", PEER_MS, 0.4),
        ("kept", "sha256", KEPT_PEER_MS, 0.33),
    ]:
        most = max(0.0, share * peer - SHARED_MS)
        case = f"{name}, {SIZE_WH[0]} x {SIZE_WH[1]}" + (f" to {SHORT}" if name != "kept" else "")
        peer_ms = cost["full"] + cost["sha256"] if name == "kept" else cost["bare"]
        goal = f"<= {most:.1f}" if most else ""
        rows.append(
            Row(
                case,
                "CPU a picture",
                "ms",
                cost[name],
                peer_ms,
                cost[floor],
                goal,
                cost[name] <= most if most else None,
            )
        )
    for name, limits, least in [("exact", EXACT, 40), ("fast", FAST, 37)]:
        found = [psnr(data, limits) for data in made]
        middle = statistics.median(found)
        rows.append(Row(name, "PSNR, median", "dB", middle, None, None, f">= {least}", middle >= least))
        rows.append(Row(name, "PSNR, worst", "dB", min(found), None, None, "", None))
    publish("decode", rows)


if __name__ == "__main__":
    main()
