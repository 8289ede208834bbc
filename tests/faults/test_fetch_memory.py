"""Sixty-four bodies of 20 MB at once: they wait on disk, not in memory."""

import subprocess
import sys
from pathlib import Path

from lying_server import LIES, LyingServer, answer

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
