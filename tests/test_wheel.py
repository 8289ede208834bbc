"""The wheel carries jobs, catalogs, SQL, the page's templates and the toy's weights, and finds them."""

import subprocess
import sys
import zipfile
from pathlib import Path

REPO = Path(__file__).parents[1]


def test_wheel_is_whole(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPO, check=True, capture_output=True, timeout=300)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    for folder in ("jobs", "catalogs", "sql"):
        for path in (REPO / folder).rglob("*.*"):
            assert f"curate/_project/{path.relative_to(REPO)}" in names
    for path in (REPO / "curate").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert str(path.relative_to(REPO)) in names
    found = subprocess.run(
        [sys.executable, "-P", "-c", "from curate import plugins; print(plugins.shipped())"],
        env={"PYTHONPATH": str(tmp_path / "site")},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == str(tmp_path / "site" / "curate" / "_project")
