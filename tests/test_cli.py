"""The command line as one types it: exit codes, streams, JSON, help, Ctrl-C; runs in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Workshop
from typer.testing import CliRunner

from curate import cli

CURATE = Path(sys.executable).parent / "curate"
COMMANDS = ("run", "check", "list", "sql", "report", "explain", "export", "demo")


def environment(**extra: str) -> dict[str, str]:
    dropped = ("CURATE_ROOT", "CURATE_RUNNER", "NO_COLOR", "CLICOLOR_FORCE", "CURATE_TABLES", "CI")
    return {**{key: value for key, value in os.environ.items() if key not in dropped}, **extra}


def curate(*words: str, cwd: Path, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CURATE), *words], cwd=cwd, input=stdin, env=environment(**extra),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def inside(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """The same in this process, which has all libraries in memory: for the commands that only read."""
    done = CliRunner().invoke(cli.app, words, input=stdin)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.captions(count=6, shard_rows=2)
    workshop.write("jobs/mine.yaml", "from: tiny\nkeep: {unique_pictures: }\n")
    return workshop


def ran(shop: Workshop, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return curate("run", "mine", "--runner", "inline", "--root", str(shop.root), *words, cwd=shop.folder, **extra)


def one_object(text: str) -> dict[str, Any]:
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_help_is_quick() -> None:
    def once() -> float:
        started = time.monotonic()
        done = subprocess.run([str(CURATE), "--help"], capture_output=True, text=True, env=environment(), check=True)
        assert "Usage" in done.stdout
        return time.monotonic() - started

    assert min(once() for _ in range(3)) < 0.5


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom curate import cli\nsys.argv = ['curate', '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "typer" in loaded
    assert not loaded & {"ray", "torch", "duckdb", "pyarrow", "numpy", "open_clip", "fsspec", "PIL", "pydantic", "yaml"}


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """Command → its help, as a terminal would show it, and that of `curate` alone."""
    code = (
        "import json, sys\nfrom typer.testing import CliRunner\nfrom curate.cli import app\nrun = CliRunner().invoke\n"
        "print(json.dumps({name: run(app, [name, '--help']).output for name in sys.argv[1:]}"
        " | {'': run(app, ['--help']).output}))"
    )
    command = [sys.executable, "-c", code, *COMMANDS]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(COLUMNS="120"), check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(helps: dict[str, str], command: str) -> None:
    assert "Examples" in helps[command]
    assert f"curate {command}" in helps[command]
    assert command in helps[""]
    assert len(helps[command].splitlines()) <= 45


def test_every_command_is_under_test(helps: dict[str, str]) -> None:
    listed = helps[""].split("Commands:")[1].split("\n") if "Commands:" in helps[""] else []
    assert {line.split()[0] for line in listed if line.strip() and line.startswith("  ") and line[2] != " "} == set(
        COMMANDS
    )


def test_version_and_module(tmp_path: Path) -> None:
    said = curate("--version", cwd=tmp_path).stdout
    module = [sys.executable, "-m", "curate", "--version"]
    done = subprocess.run(module, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == said
    assert said.startswith("curate ")


def test_0_a_run_and_what_one_asks_of_it(shop: Workshop) -> None:
    done = ran(shop, "--json")
    assert done.returncode == 0, done.stderr
    result = one_object(done.stdout)
    assert (result["schema"], result["shards_done"], result["failed"]) == ("curate.run/1", 6, [])
    assert "tiny ingest" in done.stderr
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr

    again = ran(shop)
    assert again.returncode == 0
    assert "books mine: read 6 = kept 6 + dropped 0 + failed 0   balanced" in again.stdout
    assert "done earlier, 3 shard(s)" in again.stderr

    query = "select dataset, status, count(*) as n from samples group by all"
    told = curate("sql", "-c", query, "--root", str(shop.root), cwd=shop.folder)
    assert (told.returncode, told.stdout) == (0, "dataset\tstatus\tn\ntiny\tok\t6\n")
    told = inside("sql", "-c", "select 'nan'::double as x", "--json", "--root", str(shop.root))
    assert one_object(told.stdout) == {"schema": "curate.sql/1", "rows": [{"x": None}]}
    told = inside("sql", "--root", str(shop.root), stdin="select 1 as a;\nbad;\nselect 2 as b")
    assert told.stdout == "a\n1\nb\n2\n"
    assert "error" in told.stderr
    told = inside("sql", "-c", "selec", "--root", str(shop.root))
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("error Parser Error")

    ids = one_object(
        inside("sql", "--json", "-c", "select min(sample_id) as id from samples", "--root", str(shop.root)).stdout
    )
    explained = inside("explain", ids["rows"][0]["id"], "--json", "--root", str(shop.root))
    assert one_object(explained.stdout)["sample"]["status"] == "ok"
    exported = inside(
        "export", "mine", "--project", str(shop.folder), "--codec", "plain", "--json", "--root", str(shop.root)
    )
    assert one_object(exported.stdout)["records"] == 6
    assert (Path(one_object(exported.stdout)["folder"]) / "mine.json").is_file()


def test_1_a_shard_below_min_success(shop: Workshop) -> None:
    (shop.web / "2.jpg").unlink()
    catalog = shop.folder / "catalogs/tiny.yaml"
    catalog.write_text(catalog.read_text() + "min_success: 0.9\n")
    done = ran(shop, "--quiet")
    assert done.returncode == 1
    assert "tiny-00001" in done.stdout
    assert "min_success" in done.stdout
    assert "Traceback" not in done.stderr
    as_json = ran(shop, "--json")
    assert as_json.returncode == 1
    assert [shard["shard"] for shard in one_object(as_json.stdout)["failed"]] == [1]


def test_2_mistakes_and_nothing_ran(shop: Workshop) -> None:
    shop.write("jobs/mine.yaml", "from: tiny\nkeep: {unique_picture: }\naugment: [x]\n")
    done = ran(shop)
    assert (done.returncode, done.stdout) == (2, "")
    assert "2 mistake(s). Nothing was run." in done.stderr
    assert "nearest names: unique_pictures" in done.stderr
    assert not shop.root.exists()
    checked = inside("check", "mine", "--json", "--project", str(shop.folder))
    assert checked.returncode == 2
    assert [each["where"] for each in one_object(checked.stdout)["mistakes"]] == ["keep.unique_picture", "augment[0]"]
    dry = inside("run", "mine", "--dry-run", "--json", "--project", str(shop.folder))
    assert (dry.returncode, dry.stdout) == (2, "")


def test_dry_run_plans_and_writes_nothing(shop: Workshop) -> None:
    told = inside("run", "mine", "--dry-run", "--json", "--project", str(shop.folder), "--root", str(shop.root))
    [row] = one_object(told.stdout)["datasets"]
    assert (told.returncode, row["dataset"], row["done"]) == (0, "tiny", 0)
    assert row["shards"] > 1
    assert not shop.root.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["run", "nothing"],
        ["run", "cc12m", "--limit", "0"],
        ["run", "cc12m", "--limt", "1"],
        ["list", "scorer"],
        ["explain", "abc", "--root", "absent"],
        ["export", "mine", "--root", "absent"],
        ["frobnicate"],
    ],
)
def test_2_usage(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = inside(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_2_another_runner_or_limit_is_refused(shop: Workshop) -> None:
    done = ran(shop, "--runner", "dask")
    assert (done.returncode, done.stdout) == (2, "")
    assert not shop.root.exists()
    shop.run("mine", limit=2)
    refused = ran(shop, "--limit", "3", "--json")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "limit was 2, now 3" in refused.stderr


def test_3_outside(shop: Workshop) -> None:
    shop.root.write_text("a file where a folder should be")
    done = ran(shop)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Traceback" not in done.stderr
    assert shop.root.read_text() == "a file where a folder should be"


def test_list_and_check_without_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = one_object(inside("list", "scorers", "--json").stdout)
    assert listed["kind"] == "scorers"
    assert all(each["name"] and each["what"] for each in listed["names"])
    piped = inside("list", "jobs").stdout.splitlines()
    assert piped[0] == "name\twhat it is"
    assert all(line.count("\t") == 1 for line in piped)
    checked = inside("check", "jobs/cc12m.yaml", "--json")
    assert (checked.returncode, one_object(checked.stdout)["mistakes"]) == (0, [])


def test_hostile_captions_command_no_terminal(shop: Workshop) -> None:
    hostile = "a \x1b[2Jdog \x07\u202e left"
    shop.write("tiny.tsv", f"{shop.url}/0.jpg\t{hostile}\n{shop.url}/\x1b[31m.jpg\t{hostile}\n")
    assert ran(shop, "-v").returncode == 0
    for words in (
        ["sql", "-c", "select text, url, error_detail from samples"],
        ["sql", "-c", "select '\x1b' as a from x"],
    ):
        done = inside(*words, "--root", str(shop.root))
        assert not set("\x1b\x07\u202e") & set(done.stdout + done.stderr)
    found = one_object(
        inside("sql", "--json", "-c", "select sample_id, text from samples", "--root", str(shop.root)).stdout
    )
    assert {row["text"] for row in found["rows"]} == {hostile}
    for row in found["rows"][:1]:
        done = inside("explain", row["sample_id"], "--root", str(shop.root))
        assert done.returncode == 0
        assert not set("\x1b\x07\u202e") & set(done.stdout + done.stderr)


def interrupted(shop: Workshop, sign: signal.Signals) -> tuple[int, str]:
    """Start a run, wait for its first shard, send a signal; return the exit code and what it said."""
    command = [str(CURATE), "run", "mine", "--runner", "inline", "--root", str(shop.root), "-v"]
    with subprocess.Popen(
        command, cwd=shop.folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "shard tiny-00000" in line:
                break
        process.send_signal(sign)
        _, said = process.communicate(timeout=30)
        return process.returncode, said


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_130_an_interrupted_run_is_resumed(shop: Workshop, sign: signal.Signals) -> None:
    slow = "import time\nfrom curate.sources.cc12m import plan\nfrom curate.sources import cc12m\n\n\n"
    slow = (
        f'"""Slow."""\n{slow}def rows(part):\n    time.sleep(5 * (part.first_row > 0))\n    return cc12m.rows(part)\n'
    )
    shop.write("plugins/sources/slow.py", slow)
    catalog = shop.folder / "catalogs/tiny.yaml"
    catalog.write_text(catalog.read_text().replace("source: cc12m", "source: slow"))
    code, said = interrupted(shop, sign)
    assert code == 130
    assert "interrupted; committed shards are safe" in said
    assert "Traceback" not in said
    assert [path.name for path in (shop.root / "tiny/samples").iterdir()] == ["00000.parquet"]
    shop.write("plugins/sources/slow.py", slow.replace("time.sleep(5", "time.sleep(0"))
    again = ran(shop, "--json")
    assert again.returncode == 0
    assert (one_object(again.stdout)["shards_done"], one_object(again.stdout)["shards_resumed"]) == (5, 1)
