"""The two tools of the fetch bench, each run as its users run it, and what each of them stored."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from metered import Meter, metered

PEER = "img2dataset==1.47.0"
PEER_WITH = ("numpy==2.4.6", "opencv-python-headless==4.14.0.94", "pyarrow==26.0.1", "pandas==2.3.3")
PEER_WITH += ("albumentations==1.4.24", "webdataset==0.2.111")
PEER_SHARDS = 2
"""Our shards in one of the peer's: it starts a new process after five, and its start is not what is measured."""
TIMEOUT_S, ATTEMPTS = 10, 3
OURS = {
    "exact": {"short_side": 256, "decode": "exact", "quality": 95},
    "fast": {"short_side": 256, "decode": "fast", "quality": 95},
    "kept": {},
}
THEIRS = {
    "exact": ("--resize_mode", "keep_ratio", "--image_size", "256", "--encode_quality", "95"),
    "kept": ("--resize_mode", "no", "--skip_reencode", "True"),  # decodes to see that it can, as ours does
    "blind": ("--disable_all_reencoding", "True"),  # looks at nothing
}


@dataclass(frozen=True)
class Work:
    """URLs, how many of them make a shard, and how long it may take."""

    urls: Sequence[str]
    shard_rows: int
    limit_s: float = 1800.0


@dataclass(frozen=True)
class Outcome:
    """What one run took and stored: URLs that it says are fine, with the size in pixels, and files in its tars."""

    meter: Meter
    stored: dict[str, tuple[int, int]]
    files: int


def ours(pictures: str, runner: str, concurrency: int, work: Work, folder: Path) -> Outcome:
    """Run `curate run` on a project folder with a list, a catalog and a job; `concurrency` is of each shard."""
    fetch = {"timeout_s": TIMEOUT_S, "attempts": ATTEMPTS, "allow_hosts": ["127.0.0.1"]}
    fetch |= {"concurrency": concurrency, "per_host": concurrency}  # the whole web is one host here
    catalog = {"source": "cc12m", "uri": "bench.tsv", "licence": "none", "shard_rows": work.shard_rows, "fetch": fetch}
    _write(folder / "catalogs/bench.yaml", json.dumps(catalog))
    _write(folder / "jobs/bench.yaml", json.dumps({"from": "bench", "ingest": OURS[pictures]}))
    _write(folder / "bench.tsv", _list(work.urls))
    command = [sys.executable, "-m", "curate", "run", "bench", "--root", "root", "--runner", runner]
    command += ["--cpus", "2"] if runner == "ray" else []
    meter = metered(command, folder / "log.txt", work.limit_s, dict(os.environ), folder)
    _must_be_done(meter, folder)
    stored = {}
    for path in (folder / "root/bench/samples").glob("*.parquet"):
        for row in pq.read_table(path, columns=["url", "status", "images"]).to_pylist():
            if row["status"] == "ok":
                stored[row["url"]] = (row["images"][0]["width"], row["images"][0]["height"])
    return Outcome(meter, stored, _files((folder / "root/bench/images").glob("*.tar")))


def peers(venv: Path, pictures: str, concurrency: int, work: Work, folder: Path) -> Outcome:
    """Run img2dataset on the same list; `concurrency` is of each of its two processes. What ran late stored nothing."""
    _write(folder / "bench.tsv", "url\tcaption\n" + _list(work.urls))
    command = [str(venv / "bin/img2dataset"), "--url_list", "bench.tsv", "--input_format", "tsv", "--url_col", "url"]
    command += ["--caption_col", "caption", "--output_format", "webdataset", "--output_folder", "out"]
    command += ["--processes_count", "2", "--thread_count", str(concurrency), "--compute_hash", "sha256"]
    command += ["--extract_exif", "True", "--timeout", str(TIMEOUT_S), "--retries", str(ATTEMPTS - 1)]
    command += ["--number_sample_per_shard", str(PEER_SHARDS * work.shard_rows), *THEIRS[pictures]]
    env = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
    meter = metered(command, folder / "log.txt", work.limit_s, env, folder)
    if meter.in_time:
        _must_be_done(meter, folder)
    stored = {}
    for path in (folder / "out").glob("*.parquet") if meter.in_time else ():
        for row in pq.read_table(path, columns=["url", "status", "width", "height"]).to_pylist():
            if row["status"] == "success":
                stored[row["url"]] = (row["width"] or 0, row["height"] or 0)
    return Outcome(meter, stored, _files((folder / "out").glob("*.tar")) if meter.in_time else 0)


def peer_venv(folder: Path) -> Path | None:
    """Return a virtual environment with the peer, made when it is not there; None when it cannot be had."""
    venv = folder / "img2dataset-venv"
    ready = venv / "ready"
    if ready.exists() and ready.read_text() == PEER:
        return venv
    shutil.rmtree(venv, ignore_errors=True)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    python = str(venv / "bin/python")
    if uv:
        make, install = [uv, "venv", "--quiet", "--python", sys.executable, str(venv)], [uv, "pip", "install"]
        install += ["--quiet", "--compile-bytecode", "--python", python]
    else:
        make = [sys.executable, "-m", "venv", str(venv)]
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (make, [*install, PEER, *PEER_WITH]):
        found = subprocess.run(command, capture_output=True, text=True)
        if found.returncode:
            print(f"  no {PEER}, its columns stay empty: {found.stderr.strip()[-500:]}", file=sys.stderr)
            return None
    ready.write_text(PEER)
    return venv


def _must_be_done(meter: Meter, folder: Path) -> None:
    if meter.code or not meter.in_time:
        said = (folder / "log.txt").read_text(errors="replace")[-2000:]
        raise SystemExit(f"{folder.name} ended with {meter.code} after {meter.wall_s:.0f} s:\n{said}")


def _list(urls: Sequence[str]) -> str:
    return "".join(f"{url}\ta picture of number {number}\n" for number, url in enumerate(urls))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _files(tars: Iterable[Path]) -> int:
    count = 0
    for path in tars:
        with tarfile.open(path) as tar:
            count += sum(member.name.endswith(".jpg") for member in tar)
    return count
