"""The pictures of the fetch bench, drawn from a seed with the spectrum of photographs, and the bare work on them."""

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image

from curate.io.images import encode_jpeg

COUNT = 200
PIXELS = 850_000
BYTES = 175_000
ASPECTS = (4 / 3, 4 / 3, 4 / 3, 3 / 2, 1.0, 3 / 4)
_FIELD = (1200, 1200)


def drawn(folder: Path) -> Path:
    """Return a folder with the pictures: mean 0.85 megapixels and 175 KB; they are drawn when they are not there."""
    there = folder / f"pictures-{COUNT}-v1"
    if len(list(there.glob("*.jpg"))) < COUNT:
        there.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(1064)
        fields = [_field(rng) for _ in range(9)]
        for number in range(COUNT):
            (there / f"{number:03}.jpg").write_bytes(_picture(rng, fields))
    return there


def _field(rng: np.random.Generator) -> np.ndarray:
    """Return noise whose amplitude falls with frequency, as that of photographs does: mean 0, deviation 1."""
    across, down = np.fft.rfftfreq(_FIELD[1]), np.fft.fftfreq(_FIELD[0])[:, None]
    amplitude = 1 / np.maximum(np.hypot(across, down), 1 / _FIELD[0]) ** 1.15
    field = np.fft.irfft2(amplitude * np.exp(2j * np.pi * rng.random(amplitude.shape)), _FIELD)
    return ((field - field.mean()) / field.std()).astype(np.float32)


def _picture(rng: np.random.Generator, fields: list[np.ndarray]) -> bytes:
    aspect = ASPECTS[rng.integers(len(ASPECTS))]
    width, height = round((PIXELS * aspect) ** 0.5), round((PIXELS / aspect) ** 0.5)
    light, red, blue = (_crop(rng, fields[each], height, width) for each in rng.permutation(len(fields))[:3])
    light = 45 * light + rng.uniform(90, 160)
    for _ in range(rng.integers(3, 9)):  # things have edges
        left, top = rng.integers(0, (width - 50, height - 50))
        light[top : top + rng.integers(40, 400), left : left + rng.integers(40, 400)] += rng.normal(0, 40)
    pixels = np.stack([light + 15 * red, light, light + 15 * blue], axis=-1).clip(0, 255).astype(np.uint8)
    return _of_size(pixels, BYTES * rng.lognormal(-0.06, 0.35))


def _crop(rng: np.random.Generator, field: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = rng.integers(0, (_FIELD[0] - height + 1, _FIELD[1] - width + 1))
    found = field[top : top + height, left : left + width]
    return found[:, ::-1] if rng.random() < 0.5 else found


def _of_size(pixels: np.ndarray, wanted: float) -> bytes:
    """Return the JPEG of the quality that comes nearest to a size."""
    low, high = 20, 98
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if len(encode_jpeg(pixels, middle)) < wanted else (low, middle)
    return encode_jpeg(pixels, low)


def bare_s(folder: Path, work: str) -> float:
    """Return the CPU seconds that 1,000 pictures take at least: decode, area resize and encode, and nothing else.

    `exact` decodes every pixel and `fast` as few as libjpeg can; `kept` only reads to the end, at an eighth, in grey.
    """
    pictures = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    began = time.process_time()
    for data in pictures:
        opened = Image.open(io.BytesIO(data))
        scale = 256 / min(opened.size)
        size = round(opened.width * scale), round(opened.height * scale)
        if work != "exact":
            opened.draft(*(("RGB", size) if work == "fast" else ("L", (1, 1))))
        opened.load()
        if work != "kept":
            opened.resize(size, Image.Resampling.BOX).save(io.BytesIO(), "JPEG", quality=95)
    return (time.process_time() - began) * 1000 / len(pictures)
