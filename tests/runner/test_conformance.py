"""One job through both runners, with shards that raise, kill and recover, and a resume: the same manifests."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

SABOTEUR = '''
"""Measures nothing, and does to its worker what the marks in a folder say."""
import os, signal
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from curate.shards import Needs

VERSION = 1
NEEDS = Needs(cpus=1)
PICTURES = False
COLUMNS = {"calm": "1 where the shard was left in peace"}

@dataclass(frozen=True, slots=True)
class Options:
    pass

def prepare(table, open_picture, options):
    marks = Path(os.environ["SABOTAGE"])
    shard = table["shard"][0].as_py()
    if not (marks / "mended").exists():
        if shard == 1 and len(list(marks.glob("kill-*"))) < 2:
            (marks / f"kill-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if shard == 2:
            raise ValueError("this shard always raises")
        if shard == 3:
            os.kill(os.getpid(), signal.SIGKILL)
    return {"rows": table.num_rows}

class Scorer:
    def __init__(self, options):
        pass

    def score(self, payload):
        return {"calm": np.ones(payload["rows"])}
'''

JOB = "from: tiny\nscore: [saboteur]\nkeep: {unique_pictures: }\naugment: [hflip]\n"


def curate(workshop: Any, root: Path, runner: str, marks: Path) -> tuple[int, dict[str, Any]]:
    """Run the job by the real command line, and return its exit code and its JSON."""
    command = [sys.executable, "-m", "curate", "run", "calm", "--root", str(root), "--runner", runner]
    done = subprocess.run(
        [*command, "--project", str(workshop.folder), "--cpus", "2", "--json"],
        env={**os.environ, "SABOTAGE": str(marks)},
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.stdout, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def manifests(root: Path) -> dict[str, Any]:
    """Return every manifest of a root, but for the versions of libraries."""
    found = {}
    for path in sorted(root.rglob("manifest.json")):
        body = json.loads(path.read_text())
        body.pop("versions", None)
        found[str(path.relative_to(root))] = body
    return found


def test_faults_are_named_bounded_and_resumed_to_the_same_manifests(workshop: Any, tmp_path: Path) -> None:
    workshop.captions(count=20, shard_rows=4)
    workshop.write("plugins/scorers/saboteur.py", SABOTEUR)
    workshop.write("jobs/calm.yaml", JOB)
    marks = tmp_path / "marks"
    marks.mkdir()
    by_ray, by_loop = tmp_path / "by_ray", tmp_path / "by_loop"

    code, told = curate(workshop, by_ray, "ray", marks)
    failed = {report["shard"]: report["error"] for report in told["failed"]}
    assert code == 1
    assert sorted(failed) == [2, 3]
    assert "this shard always raises" in failed[2]
    assert "worker died 3 times" in failed[3]
    assert len(list(marks.glob("kill-*"))) == 2, "the shard that kills its worker twice was tried a third time"
    scored = sorted(path.name for path in by_ray.glob("tiny/scores/*/*.parquet"))
    assert scored == ["00000.parquet", "00001.parquet", "00004.parquet"]

    (marks / "mended").touch()
    code, told = curate(workshop, by_ray, "ray", marks)
    assert code == 0
    assert told["failed"] == []
    assert told["shards_resumed"] >= 5 + 3

    code, told = curate(workshop, by_loop, "inline", marks)
    assert code == 0
    everything, calm = manifests(by_ray), manifests(by_loop)
    assert calm.keys() <= everything.keys()
    assert {name: everything[name] for name in calm} == calm
    for path in sorted(by_loop.glob("tiny/**/*.tar")):
        assert path.read_bytes() == (by_ray / path.relative_to(by_loop)).read_bytes()


def test_inline_names_a_shard_that_raises(workshop: Any, tmp_path: Path, monkeypatch: Any) -> None:
    workshop.captions(count=12, shard_rows=4)
    kind = SABOTEUR.replace("shard == 1 and", "False and").replace("if shard == 3", "if False")
    workshop.write("plugins/scorers/kinder.py", kind)
    workshop.write("jobs/calm.yaml", "from: tiny\nscore: [kinder]\n")
    monkeypatch.setenv("SABOTAGE", str(tmp_path))
    result = workshop.run("calm")
    assert [(report.shard, "always raises" in report.error) for report in result.failed] == [(2, True)]
    assert not result.ok()
    done = sorted((workshop.root / "tiny" / "scores" / "kinder-v1").glob("*.parquet"))
    assert [pq.read_table(path).num_rows for path in done] == [4, 4]
