"""Every kind of picture has one outcome, whichever decoder and however coarse."""

import io
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate.errors import SampleError
from curate.io.headers import scans
from curate.io.images import Limits, decode, encode_jpeg, encode_png, perceptual_hash, store
from curate.kernels.phash import hamming

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
EVERY_SIZE = Limits(max_side=None)


def photo(seed: int = 2) -> np.ndarray:
    blocks = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(blocks).resize((640, 480), Image.Resampling.BICUBIC))


def saved(form: str, pixels: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, form, **options)
    return out.getvalue()


def code(data: bytes, limits: Limits = EVERY_SIZE) -> str:
    try:
        store(data, limits)
    except SampleError as error:
        return error.code
    return "ok"


def fully(data: bytes) -> str:
    try:
        decode(data)
    except SampleError as error:
        return error.code
    return "ok"


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_cut_shows_although_only_brightness_is_made(progressive, subsampling):
    data = saved("JPEG", photo(), quality=90, progressive=progressive, subsampling=subsampling)
    for part in [*np.linspace(0.1, 0.99, 25), 1 - 3 / len(data), 1 - 1 / len(data)]:
        cut = data[: int(len(data) * part)]
        assert code(cut) == fully(cut) != "ok"
        for how in ("exact", "fast"):
            assert code(cut, Limits(short_side=100, decode=how)) == fully(cut)
    assert code(data) == "ok"


@pytest.mark.parametrize("progressive", [False, True])
def test_damage_has_the_same_outcome_as_a_full_decode(progressive):
    data = saved("JPEG", photo(), quality=90, progressive=progressive)
    rng = np.random.default_rng(6)
    for _ in range(60):
        hurt = bytearray(data)
        for place in rng.integers(2, len(data), rng.integers(1, 40)):
            hurt[place] = rng.integers(0, 256)
        assert code(bytes(hurt)) == fully(bytes(hurt))


def test_collected_broken_files_have_the_same_outcome_as_a_full_decode():
    files = [path for path in sorted((SHARED / "broken_images").rglob("*")) if path.is_file()]
    jpegs = [data for path in files if (data := path.read_bytes()).startswith(b"\xff\xd8\xff")]
    if not jpegs:
        pytest.skip("the collected pictures are not here")
    for data in jpegs:
        wanted = fully(data)
        assert code(data) == wanted
        assert code(data, Limits(short_side=16, decode="fast")) == wanted


def test_a_kept_picture_hashes_like_its_copies():
    others = [store(encode_jpeg(photo(seed)), Limits()).phash for seed in range(20, 40)]
    for seed in range(8):
        kept = store(encode_jpeg(photo(seed), 95), Limits()).phash
        copies = [
            store(encode_jpeg(photo(seed), 60), Limits()).phash,
            store(encode_png(photo(seed)), Limits()).phash,
            store(encode_jpeg(photo(seed)), Limits(short_side=100)).phash,
            store(encode_jpeg(photo(seed)), Limits(short_side=150, decode="fast")).phash,
            perceptual_hash(photo(seed)),
        ]
        assert max(hamming(kept, copy) for copy in copies) <= 4
        assert min(hamming(kept, other) for other in others) > 12


def test_the_name_that_a_file_goes_by_does_not_matter():
    # Nothing but the bytes is asked: a PNG served as picture.jpg is stored as the PNG that it is.
    stored = store(encode_png(photo()), Limits())
    assert (stored.extension, stored.format) == ("png", "png")


def test_a_plain_jpeg_has_one_scan_and_others_are_counted():
    plain = saved("JPEG", photo())
    assert scans(plain) == 1
    assert scans(saved("JPEG", photo(), progressive=True)) > 3
    assert scans(plain[:-2] + plain[plain.index(b"\xff\xda") : -2] * 200 + plain[-2:]) == 1
    assert code(plain[:-2] + plain[plain.index(b"\xff\xda") : -2] * 200 + plain[-2:]) in ("ok", "corrupt")
    for length in range(2, 700):
        scans(plain[:length])


PEAK = """
import os, resource, sys, threading
from curate.errors import SampleError
from curate.io import images
told = []
def work(path):
    data = open(path, "rb").read()
    for how in ("exact", "fast"):
        try:
            made = images.store(data, images.Limits(decode=how))
            told.append((made.width, made.height) == (2048, 2048))
        except SampleError as error:
            told.append(error.code == "too_many_pixels" and "huge" in path)
threads = [threading.Thread(target=work, args=(path,)) for path in sys.argv[1:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(told) == 2 * len(threads) and all(told), told
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""
LARGE = {
    "deep": ("I;16", 40_000, "PNG", {"compress_level": 1}),
    "clear": ("RGBA", (200, 100, 50, 128), "PNG", {"compress_level": 1}),
    "plain": ("RGB", (200, 100, 50), "JPEG", {}),
    "scans": ("RGB", (200, 100, 50), "JPEG", {"progressive": True}),
}
MAKE = """
import sys
from PIL import Image
mode, colour, form, options, path = eval(sys.argv[1])
Image.new(mode, (8000, 8000), colour).save(path, form, **options)
"""


@pytest.mark.parametrize("names", [("deep", "clear"), ("plain", "scans"), ("clear", "huge")])
def test_two_large_pictures_at_once_stay_within_600_mb(names, tmp_path):
    for name in names:
        if name == "huge":  # a header of 30,000 x 30,000, and little after it
            small = bytearray(encode_jpeg(photo()))
            place = small.index(b"\xff\xc0") + 5
            small[place : place + 4] = (30_000).to_bytes(2) * 2
            (tmp_path / name).write_bytes(small)
        else:
            made = repr((*LARGE[name], str(tmp_path / name)))
            subprocess.run([sys.executable, "-W", "ignore", "-c", MAKE, made], check=True)
    paths = [str(tmp_path / name) for name in names]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # a child starts with it until it has executed
    done = subprocess.run([sys.executable, "-c", PEAK, *paths], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert int(done.stdout) < max(600, before // 1024 + 100)
