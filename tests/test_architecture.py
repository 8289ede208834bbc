"""The floors and doors hold, and each contract goes red when its fault is planted."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
DOORS = {
    "ray": "runner/ray.py",
    "torch": "models.py",
    "open_clip": "models.py",
    "duckdb": "io/warehouse.py",
    "fsspec": "io/storage.py",
    "PIL": "io/images.py",
    "typer": "cli/app.py",
}
PLANTED = {
    "A file imports only from the floors below it": ("kernels/boxes.py", "import curate.io.storage"),
    "One door to ray": ("stages/ingest.py", "import ray"),
    "One door to torch and open_clip": ("scorers/box_stats.py", "import torch"),
    "One door to duckdb": ("views.py", "import duckdb"),
    "One door to fsspec": ("io/tables.py", "import fsspec"),
    "One door to PIL": ("report/page.py", "import PIL"),
    "One door to typer": ("console.py", "import typer"),
    "reach no heavy library": ("codecs/asv2.py", "import pyarrow"),
    "each other: sources": ("sources/grit.py", "import curate.sources.cc12m"),
    "each other: scorers": ("scorers/box_stats.py", "import curate.scorers.clip_similarity"),
    "each other: augmenters": ("augmenters/hflip.py", "import curate.augmenters.square_pad"),
    "each other: codecs": ("codecs/plain.py", "import curate.codecs.asv2"),
    "each other: exporters": ("exporters/webdataset.py", "import curate.exporters.llava_json"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_the_house_stands() -> None:
    done = lint(REPO)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("contract", PLANTED)
def test_contract_goes_red_on_a_planted_fault(contract: str, tmp_path: Path) -> None:
    file, line = PLANTED[contract]
    ignored = shutil.ignore_patterns("__pycache__", "*.safetensors")
    shutil.copytree(REPO / "curate", tmp_path / "curate", ignore=ignored)
    shutil.copy(REPO / "pyproject.toml", tmp_path)
    path = tmp_path / "curate" / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    broken = [told for told in done.stdout.splitlines() if "BROKEN" in told]
    assert any(contract in told for told in broken), done.stdout


@pytest.mark.parametrize("library", DOORS)
def test_one_file_imports(library: str) -> None:
    door = re.compile(rf"^\s*(import|from) {library}\b", re.MULTILINE)
    files = sorted((REPO / "curate").rglob("*.py"))
    importers = [str(path.relative_to(REPO / "curate")) for path in files if door.search(path.read_text())]
    assert importers == [DOORS[library]]


def test_every_module_opens_with_a_sentence_and_is_short() -> None:
    for path in (REPO / "curate").rglob("*.py"):
        lines = path.read_text().splitlines()
        assert lines[0].startswith('"""'), path
        assert len(lines) <= 320, f"{path} has {len(lines)} lines"
