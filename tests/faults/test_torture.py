"""SIGKILL at random points of an ingest, then a resume: the same content as a calm run, each row exactly once.

`CURATE_KILLS` is the number of kills: 4, or 40 by `make torture`, of drivers and of Ray's workers.
"""

import functools
import http.server
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import Quiet, Workshop

from curate.doctor import Doctor
from curate.driver import Where
from curate.errors import ConfigError
from curate.io import images
from curate.pipeline import Run, run

KILLS = int(os.environ.get("CURATE_KILLS", "4"))
SEED = int(os.environ.get("CURATE_SEED", "7"))
WAYS = ("inline driver", "inline driver", "inline driver", "ray driver", "ray worker")
ROWS, SHARD_ROWS = 96, 8
DELAY_S = 0.03


class Slow(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, slowly: kills shall fall into fetches, too. Every seventh picture is gone."""

    def do_GET(self) -> None:
        time.sleep(DELAY_S)
        if int(Path(self.path).stem) % 7 == 3:
            self.send_error(404)
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Bench:
    """A dataset of ROWS rows, what a calm run makes of it, and how long the command line takes for it."""

    shop: Workshop
    calm: dict[str, Any]
    seconds: float


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("torture")
    (folder / "web").mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Slow, directory=str(folder / "web")))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    shop = Workshop(folder / "project", folder / "calm", folder / "web", url)
    urls = [f"{url}/{number}.jpg" for number in range(ROWS)]
    for number in range(ROWS):
        pixels = np.random.default_rng(number).integers(0, 255, (96, 128, 3), np.uint8)
        (shop.web / f"{number}.jpg").write_bytes(images.encode_jpeg(pixels))
    shop.write("tiny.tsv", "".join(f"{link}\tpicture {number}\n" for number, link in enumerate(urls)))
    shop.write(
        "catalogs/tiny.yaml",
        f"source: cc12m\nuri: {shop.folder}/tiny.tsv\nlicence: CC0\nshard_rows: {SHARD_ROWS}\n"
        "fetch: {timeout_s: 20, per_host: 4, allow_hosts: [127.0.0.1]}\n",
    )
    shop.write("jobs/j.yaml", "from: tiny\ningest: {max_side: 96}\n")
    begun = time.monotonic()
    assert command(shop, shop.root, "inline").wait() == 0
    yield Bench(shop, content(shop.root), time.monotonic() - begun)
    server.shutdown()
    server.server_close()


def command(shop: Workshop, root: Path, runner: str) -> subprocess.Popen[bytes]:
    words = ["-m", "curate", "run", "j", "--root", str(root), "--project", str(shop.folder), "--runner", runner]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, *words, "--cpus", "2", "-q"], **quiet)


def content(root: Path) -> dict[str, Any]:
    """Return every tar's bytes and every row but for its times."""
    said: dict[str, Any] = {path.name: path.read_bytes() for path in sorted(root.glob("tiny/images/*.tar"))}
    for path in sorted(root.glob("tiny/samples/*.parquet")):
        rows = pq.read_table(path).to_pylist()
        said[path.name] = [{key: row[key] for key in row if key not in ("attempts", "fetched_at")} for row in rows]
    return said


def workers(driver: int) -> list[int]:
    """Return Ray's workers among the descendants of a process."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            titles[int(folder.name)] = (folder / "cmdline").read_bytes()
    below = {driver}
    for _ in range(6):
        below |= {each for each, parent in parents.items() if parent in below}
    return [each for each in below if titles.get(each, b"").startswith(b"ray::")]


def kill(bench: Bench, root: Path, way: str, dice: random.Random) -> None:
    """Start a run and kill it, or its workers now and then, at a random time."""
    runner, victim = way.split()
    start_up = 1.0 if runner == "inline" else 6.0
    process = command(bench.shop, root, runner)
    try:
        if victim == "driver":
            with suppress(subprocess.TimeoutExpired):
                process.wait(start_up + dice.random() * bench.seconds)
            process.kill()
        else:
            for _ in range(4):
                with suppress(subprocess.TimeoutExpired):
                    process.wait(start_up / 2 + dice.random() * 2)
                for each in dice.sample(found, min(1, len(found))) if (found := workers(process.pid)) else []:
                    with suppress(ProcessLookupError):
                        os.kill(each, signal.SIGKILL)
        process.wait(300)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", range(KILLS))
def test_a_killed_ingest_resumes_to_the_same_content(bench: Bench, tmp_path: Path, number: int) -> None:
    dice = random.Random(SEED * 1000 + number)
    way = WAYS[number % len(WAYS)]
    kill(bench, tmp_path / "root", way, dice)
    done = content(tmp_path / "root")
    assert {name: bench.calm[name] for name in done if name.endswith(".parquet")} == {
        name: each for name, each in done.items() if name.endswith(".parquet")
    }, "what is under its final name is whole"
    with suppress(ConfigError):  # nothing curated yet
        assert Doctor(str(tmp_path / "root"), False, lambda text: None).examine().findings == ()
    result = run("j", Run(str(tmp_path / "root"), bench.shop.project, Where("inline")), Quiet())
    assert result.ok()
    assert content(tmp_path / "root") == bench.calm
    rows = Counter(row["sample_id"] for name, each in bench.calm.items() if name.endswith("t") for row in each)
    assert len(rows) == ROWS and set(rows.values()) == {1}


def test_another_shard_size_is_refused(bench: Bench) -> None:
    catalog = bench.shop.folder / "catalogs/tiny.yaml"
    text = catalog.read_text()
    try:
        catalog.write_text(text.replace(f"shard_rows: {SHARD_ROWS}", "shard_rows: 9"))
        with pytest.raises(ConfigError, match=f"another plan: shard_rows was {SHARD_ROWS}, now 9"):
            bench.shop.run("j")
    finally:
        catalog.write_text(text)
