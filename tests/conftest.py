"""Fixtures that several test folders share: the real data, a web server, a project folder of the user's own."""

import functools
import gc
import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from curate.driver import Where
from curate.io import images, storage
from curate.pipeline import Run, run
from curate.plugins import Project
from curate.results import RunResult
from curate.shards import ShardReport

# A red test must mean a change in the code, never the dice or a busy machine. New examples: --hypothesis-profile=dice.
hypothesis.settings.register_profile("steady", max_examples=50, derandomize=True, deadline=None)
hypothesis.settings.register_profile("dice", deadline=None)
hypothesis.settings.load_profile("steady")

RCLONE = Path(sys.executable).with_name("rclone")
SHARED = Path(__file__).parents[1].parent / "shared" / "data"


def growth(work: Callable[[int], object], small: int, times: int = 8) -> float:
    """Return how many times the CPU seconds of `work(small)` does `work(small * times)` take: about `times` if linear.

    A ratio, so that it means the same on a slow machine; the best of two tries each, so that a pause does not count,
    and without Python's collecting of garbage, which looks at all objects of the process again and again.
    """

    def seconds(size: int) -> float:
        spent = []
        for _ in range(2):
            begun = time.process_time()
            work(size)
            spent.append(time.process_time() - begun)
        return min(spent)

    gc.collect()
    gc.disable()
    traced = sys.gettrace()  # coverage's: it would double what is measured, and learns nothing from the thousandth turn
    work(small)
    sys.settrace(None)
    try:
        return seconds(small * times) / max(seconds(small), 0.002)
    finally:
        sys.settrace(traced)
        gc.enable()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures and annotations."""
    if not SHARED.is_dir():
        pytest.skip("no real data on this machine")
    return SHARED


class Quiet:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, str, int, int]] = []
        self.reports: list[ShardReport] = []
        self.notes: list[str] = []

    def phase(self, name: str, dataset: str, shards: int, done: int, rows: int | None) -> None:
        self.phases.append((name, dataset, shards, done))

    def shard(self, report: ShardReport) -> None:
        self.reports.append(report)

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass
class Workshop:
    """A project folder of the user's own, a root, and a web server that serves `web`."""

    folder: Path
    root: Path
    web: Path
    url: str

    @property
    def project(self) -> Project:
        return Project(str(self.folder))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def pictures(self, count: int, size_wh: tuple[int, int] = (64, 48)) -> list[str]:
        """Serve `count` distinct JPEGs, and return their URLs."""
        width, height = size_wh
        urls = []
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
            pixels = np.repeat(np.repeat(pixels, 8, 0), 8, 1)
            (self.web / f"{number}.jpg").write_bytes(images.encode_jpeg(pixels))
            urls.append(f"{self.url}/{number}.jpg")
        return urls

    def captions(self, name: str = "tiny", count: int = 12, shard_rows: int = 4, extra: str = "") -> None:
        """Lay out a dataset of captions in the form of CC12M, with its catalog."""
        urls = self.pictures(count)
        lines = "".join(f"{url}\ta small red dog number {n} on the left\n" for n, url in enumerate(urls))
        self.write(f"{name}.tsv", lines + extra)
        self.write(
            f"catalogs/{name}.yaml",
            f"source: cc12m\nuri: {self.folder}/{name}.tsv\nlicence: CC0\nshard_rows: {shard_rows}\n"
            "fetch: {timeout_s: 5, allow_hosts: [127.0.0.1]}\n",
        )

    def tokenizer(self) -> None:
        """Write tokenizer.json into the project: a token for each word, and the mark that vicuna needs."""
        made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        made.add_special_tokens([AddedToken("</s>", normalized=False)])
        made.save(str(self.folder / "tokenizer.json"))

    def captioned(self) -> "Workshop":
        """Lay out twelve captions, a tokenizer and the job `mine` that keeps them all."""
        self.captions(count=12, shard_rows=4)
        self.tokenizer()
        self.write("jobs/mine.yaml", "from: tiny\n")
        return self

    def run(self, job: str, limit: int | None = None, where: Where | None = None) -> RunResult:
        asked = Run(str(self.root), self.project, where or Where("inline"), limit)
        return run(job, asked, Quiet())


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """Serve a folder over loopback HTTP, and return its URL."""

    def start(folder: Path) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        request.addfinalizer(server.server_close)
        request.addfinalizer(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}"

    return start


@pytest.fixture
def workshop(tmp_path: Path, serve: Callable[[Path], str]) -> Iterator[Workshop]:
    web = tmp_path / "web"
    web.mkdir()
    yield Workshop(tmp_path / "project", tmp_path / "root", web, serve(web))


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3 server on this machine, with the bucket `bucket`; the environment points at it."""
    if not RCLONE.exists():
        pytest.skip("rclone is not installed")
    folder = tmp_path_factory.mktemp("s3")
    (folder / "bucket").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [RCLONE, "serve", "s3", "--auth-key", "AKIDAKID,SECRETSECRET", "--addr", f"127.0.0.1:{port}"]
    environment = {**os.environ, "RCLONE_CONFIG": str(folder / "none.conf")}
    server = subprocess.Popen([*command, folder], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIDAKID")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETSECRET")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # Instances are cached by their options: one made before the variables were set must not be found.
        storage.filesystem("s3://").clear_instance_cache()
        yield "s3://bucket"
        storage.filesystem("s3://").clear_instance_cache()
    server.terminate()
    server.wait(10)


@pytest.fixture
def listener() -> Quiet:
    return Quiet()
