"""Sixty-four bodies of 20 MB at once: they wait on disk, not in memory, and leave nothing there."""

import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from lying_server import LIES, LyingServer, answer

from curate.io.fetch import Fetched, FetchOptions, fetch_all

MANY, SIZE = 64, 20 << 20
CODE = """
import sys
from pathlib import Path
from curate.io.fetch import FetchOptions, fetch_all
def peak():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM")) / 1024
before, sizes = peak(), []
options = FetchOptions(timeout_s=120, allow_hosts=("127.0.0.1",), per_host=64, robots="ignore")
fetch_all([f"{sys.argv[1]}?{n}" for n in range(int(sys.argv[2]))], options, lambda i, f: sizes.append(len(f.body)))
print(len(sizes), min(sizes), peak() - before)
"""


async def large(server, writer, path) -> None:
    writer.write(answer("200 OK", length=SIZE))
    piece = bytes(1 << 18)
    for _ in range(SIZE // len(piece)):
        writer.write(piece)
        await writer.drain()


def test_large_bodies_wait_on_disk(monkeypatch) -> None:
    for number in range(MANY):
        monkeypatch.setitem(LIES, f"/large?{number}", large)
    with LyingServer() as server:
        done = subprocess.run(
            [sys.executable, "-c", CODE, server.url("/large"), str(MANY)],
            capture_output=True, text=True, check=True, timeout=300, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    count, least, grown = (float(word) for word in done.stdout.split())
    assert (count, least) == (MANY, SIZE)
    assert grown < 250


SMALL_DISK = """
import resource, sys
from curate.errors import OutsideError
from curate.io.fetch import FetchOptions, fetch_all
resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))
options = FetchOptions(timeout_s=120, allow_hosts=("127.0.0.1",), attempts=1, robots="ignore")
try:
    fetch_all([sys.argv[1]], options, lambda i, f: print(f.error, f.detail))
except OutsideError as error:
    print("outside", error)
"""


def test_a_full_disk_is_not_the_fault_of_the_row(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(LIES, "/large", large)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with LyingServer() as server:
        done = subprocess.run(
            [sys.executable, "-c", SMALL_DISK, server.url("/large")],
            capture_output=True, text=True, check=True, timeout=300, cwd=Path(__file__).parents[2],
        )  # fmt: skip
    assert done.stdout.startswith("outside") and str(tmp_path) in done.stdout, done


def test_bodies_on_disk_go_with_a_run_that_is_stopped(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for number in range(8):
        monkeypatch.setitem(LIES, f"/large?{number}", large)
    held: list[int] = []

    def open_files() -> int:
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        return sum(str(tmp_path) in str(link.readlink()) for link in links if os.path.lexists(link))

    def stop(index: int, fetched: Fetched) -> None:
        held.append(open_files())
        raise RuntimeError("enough")

    with LyingServer() as server, pytest.raises(RuntimeError, match="enough"):
        urls = [server.url(f"/large?{number}") for number in range(8)]
        fetch_all(urls, FetchOptions(timeout_s=120, allow_hosts=("127.0.0.1",), robots="ignore"), stop)
    gc.collect()
    assert max(held) > 0, "others were on disk"
    assert open_files() == 0
    assert list(tmp_path.iterdir()) == []
