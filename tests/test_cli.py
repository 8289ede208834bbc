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
COMMANDS = ("run", "check", "list", "sql", "report", "explain", "doctor", "export", "demo", "lint", "convert", "mix")


def environment(**extra: str) -> dict[str, str]:
    dropped = ("CURATE_ROOT", "CURATE_RUNNER", "NO_COLOR", "CLICOLOR_FORCE", "CURATE_TABLES", "CI")
    return {**{key: value for key, value in os.environ.items() if key not in dropped}, **extra}


def curate(*words: str, cwd: Path, stdin: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CURATE), *words], cwd=cwd, input=stdin, env=environment(**extra),
        capture_output=True, text=True, timeout=1200, check=False,
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


def errors(text: str) -> list[dict[str, str]]:
    """The errors that stand where the result would, with --json."""
    body = one_object(text)
    assert set(body) == {"schema", "errors"}
    assert body["schema"] == "curate.error/1"
    return list(body["errors"])


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
    assert (told.returncode, told.stdout) == (2, "a\n1\nb\n2\n")
    assert told.stderr.startswith("error Parser Error")  # and no banner
    told = inside("sql", "--root", str(shop.root), stdin="select 1 as a;\n")
    assert (told.returncode, told.stdout, told.stderr) == (0, "a\n1\n", "")
    told = inside("sql", "-c", "select 1234567 as n, 0.123456789 as x", "--root", str(shop.root))
    assert told.stdout == "n\tx\n1234567\t0.123456789\n"
    told = inside("sql", "-c", "selec", "--root", str(shop.root))
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("error Parser Error")
    assert "Nothing was run" not in told.stderr
    told = inside("sql", "-c", "selec", "--json", "--root", str(shop.root))
    assert (told.returncode, told.stderr) == (2, "")
    assert "Parser Error" in errors(told.stdout)[0]["error"]

    told = inside("doctor", "--root", str(shop.root))
    assert (told.returncode, told.stdout) == (0, "sound   6 tables and 6 pictures read\n")
    tar = shop.root / "tiny/images/00000.tar"
    before = tar.read_bytes()
    tar.write_bytes(before[:600] + b"!" + before[601:])
    told = inside("doctor", "--dry-run", "--json", "--root", str(shop.root))
    assert told.returncode == 1
    assert one_object(told.stdout)["findings"][0]["what"] == "1 of 2 pictures are damaged"
    tar.write_bytes(before)

    ids = one_object(
        inside("sql", "--json", "-c", "select min(sample_id) as id from samples", "--root", str(shop.root)).stdout
    )
    explained = inside("explain", ids["rows"][0]["id"], "--json", "--root", str(shop.root))
    assert one_object(explained.stdout)["sample"]["status"] == "ok"
    exported = inside(
        "export", "mine", "--project", str(shop.folder), "--codec", "plain", "--json", "--root", str(shop.root)
    )
    assert one_object(exported.stdout)["records"] == 6
    assert one_object(exported.stdout)["files"] == 7  # the records and their pictures, of which there may be millions
    assert (Path(one_object(exported.stdout)["folder"]) / "mine.json").is_file()


def test_1_a_shard_below_min_success(shop: Workshop) -> None:
    (shop.web / "2.jpg").unlink()
    catalog = shop.folder / "catalogs/tiny.yaml"
    catalog.write_text(catalog.read_text() + "min_success: 1.0\n")
    done = ran(shop, "--quiet")
    assert done.returncode == 1
    assert "tiny-00001" in done.stdout
    assert "min_success" in done.stdout
    assert "Traceback" not in done.stderr
    as_json = ran(shop, "--json")
    assert as_json.returncode == 1
    assert [shard["shard"] for shard in one_object(as_json.stdout)["failed"]] == [1]
    words = ["export", "mine", "--project", str(shop.folder), "--root", str(shop.root), "--codec", "plain"]
    refused = inside(*words)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "--partial" in refused.stderr
    refused = inside(*words, "--json")
    assert (refused.returncode, refused.stderr) == (1, "")
    assert "shards of" in errors(refused.stdout)[0]["error"]
    assert not (shop.root / "exports").exists()
    part = inside(*words, "--json", "--partial")
    assert (part.returncode, one_object(part.stdout)["records"]) == (0, 4)


def test_one_dead_link_of_a_few_is_no_reason_to_refuse_a_shard(shop: Workshop) -> None:
    (shop.web / "2.jpg").unlink()
    catalog = shop.folder / "catalogs/tiny.yaml"
    catalog.write_text(catalog.read_text() + "min_success: 0.9\n")
    assert shop.run("mine").ok()


def test_2_mistakes_and_nothing_ran(shop: Workshop) -> None:
    shop.write("jobs/mine.yaml", "from: tiny\nkeep: {unique_picture: }\naugment: [x]\n")
    done = ran(shop)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("\n2 mistakes. Nothing was run.\n")
    assert done.stderr.count("error ") == 2
    assert "nearest names: unique_pictures" in done.stderr
    assert not shop.root.exists()
    checked = inside("check", "mine", "--json", "--project", str(shop.folder))
    assert checked.returncode == 2
    assert [each["where"] for each in one_object(checked.stdout)["mistakes"]] == ["keep.unique_picture", "augment[0]"]
    dry = inside("run", "mine", "--dry-run", "--json", "--project", str(shop.folder))
    assert (dry.returncode, dry.stderr) == (2, "")
    assert [each["where"] for each in errors(dry.stdout)] == ["keep.unique_picture", "augment[0]"]
    assert "nearest names: unique_pictures" in errors(dry.stdout)[0]["help"]
    shop.write("jobs/mine.yaml", "from: tiny\nkeep: {unique_picture: }\n")
    one = inside("run", "mine", "--dry-run", "--project", str(shop.folder))
    assert (one.returncode, one.stdout) == (2, "")
    assert one.stderr.startswith('error unknown filter "unique_picture"')
    assert "Nothing was run" not in one.stderr


def test_sql_with_a_mistake_is_named_by_its_own_file(shop: Workshop) -> None:
    own = shop.write("sql/filters/own.sql", "selec sample_id from samples")
    shop.write("jobs/mine.yaml", "from: tiny\nkeep: {own: }\n")
    words = ["mine", "--project", str(shop.folder), "--json"]
    place = {"file": str(own), "where": f"read by {shop.folder}/jobs/mine.yaml, keep.own"}
    [found] = one_object(inside("check", *words).stdout)["mistakes"]
    assert found.items() >= place.items()
    assert errors(inside("run", *words, "--dry-run").stdout) == [found]


def test_check_lists_each_folder_of_pictures_once(shop: Workshop) -> None:
    record = '[{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}]'
    for name in ("one.json", "two.json", "three.json", "there/1.jpg", "root/1.jpg"):
        shop.write(name, record)
    file = f"from: {shop.folder}"
    shop.write(
        "jobs/below.yaml", f"mix: {{e: {{{file}/one.json, images: {shop.folder}/there}}}}\npictures: {{root: /no}}\n"
    )
    parts = (
        f"  a: {{{file}/one.json, images: {shop.folder}/there/}}\n"
        f"  b: {{{file}/two.json, images: {shop.folder}/gone}}\n"
        f"  c: {{{file}/three.json}}\n  e: {{from: below}}\n"
        f"  d: {{{file}/three.json, images: {shop.folder}/x/../there}}\n"
    )
    shop.write("jobs/mixed.yaml", f"mix:\n{parts}pictures: {{root: {shop.folder}/root}}\n")
    found = inside("check", "mixed", "--project", str(shop.folder), "--json")
    folders = [item for item in one_object(found.stdout)["inventory"] if item["kind"] == "folder"]
    told = [(item["name"], item["state"], item["found"], item["where"]) for item in folders]
    assert told == [
        ("pictures", "missing", 0, "pictures.root"),
        ("e", "present", 1, "mix.e.images"),
        ("pictures", "present", 1, "pictures.root"),
        ("b", "missing", 0, "mix.b.images"),
    ]
    assert found.returncode == 1
    last = inside("check", "mixed", "--project", str(shop.folder)).stdout.splitlines()[-1]
    assert last == "mixed: no mistakes, but 2 folder(s) missing"


def test_check_tells_what_a_mix_lacks_on_the_disk(shop: Workshop) -> None:
    folders = f"pictures: {{root: {shop.folder}, folders: {{there: 1, short: 2, gone: , none: 5}}}}\n"
    parts = "".join(f"  {name}: {{from: {shop.folder}/{name}.json}}\n" for name in ("one", "two"))
    shop.write("jobs/mixed.yaml", f"mix:\n{parts}{folders}")
    for name in ("there/1.jpg", "short/1.jpg"):
        shop.write(name, "x")
    words = ["check", "mixed", "--project", str(shop.folder)]

    def told() -> tuple[int, str]:
        found = inside(*words)
        assert inside(*words, "--json").returncode == found.returncode
        return found.returncode, found.stdout.splitlines()[-1]

    record = '[{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}]'
    pictures = "2 folder(s) missing, 1 folder(s) short"
    assert told() == (2, f"mixed: no mistakes in it, but it cannot run: 2 file(s) missing, {pictures}")
    shop.write("one.json", record)
    assert told() == (2, f"mixed: no mistakes in it, but it cannot run: 1 file(s) missing, {pictures}")
    for empty in ("", "[]", "[{}]", " [\n]\n", "\ufeff[]", '{"id": 1}'):
        shop.write("two.json", empty)
        assert told() == (1, f"mixed: no mistakes, but 1 file(s) short, {pictures}")
    shop.write("two.json", record)
    assert told() == (1, f"mixed: no mistakes, but {pictures}")
    for name in ("short/2.jpg", "gone/1.jpg", *(f"none/{n}.jpg" for n in range(5))):
        shop.write(name, "x")
    assert told() == (0, "mixed: no mistakes")


def test_check_warns_of_variables_that_are_not_set(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CURATE_TEST_WORLD", raising=False)
    shop.write("catalogs/tiny.yaml", "source: cc12m\nuri: '${CURATE_TEST_WORLD}/tiny.tsv'\nlicence: CC0\n")
    words = ["check", "mine", "--project", str(shop.folder)]
    told = inside(*words)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("warning the environment variable CURATE_TEST_WORLD is not set\n")
    assert told.stdout.endswith("mine: no mistakes\n")
    body = one_object(inside(*words, "--json").stdout)
    assert (body["schema"], body["mistakes"]) == ("curate.check/1", [])
    assert [(each["file"], each["where"]) for each in body["warnings"]] == [("catalogs/tiny.yaml", "uri")]
    dry = inside("run", *words[1:], "--dry-run", "--json", "--root", str(shop.root))
    assert (dry.returncode, errors(dry.stdout)) == (2, body["warnings"])
    monkeypatch.setenv("CURATE_TEST_WORLD", str(shop.folder))
    assert one_object(inside(*words, "--json").stdout)["warnings"] == []
    assert inside(*words).stdout == "mine: no mistakes\n"


def test_a_job_that_is_given_as_a_file_brings_its_project(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From anywhere, by an absolute or a relative path; `--project` still has the last word."""
    shop.write("sql/filters/own.sql", "-- Mine.\nselect sample_id, null as reason from samples")
    shop.write("jobs/mine.yaml", "from: tiny\nkeep: {own: }\n")
    shop.write("mine.yaml", "from: tiny\nkeep: {own: }\n")
    monkeypatch.chdir(tmp_path)
    for job in (str(shop.folder / "jobs/mine.yaml"), "project/jobs/mine.yaml"):
        assert inside("check", job).stdout == f"{job}: no mistakes\n"
        told = inside("run", job, "--dry-run", "--json", "--root", str(shop.root))
        assert [row["rows"] for row in one_object(told.stdout)["datasets"]] == [6], told.stderr
        elsewhere = one_object(inside("check", job, "--project", str(tmp_path), "--json").stdout)
        assert {each["where"] for each in elsewhere["mistakes"]} == {"from", "keep.own"}
    assert inside("check", "project/mine.yaml").returncode == 2  # not in a folder jobs/: the current one is the project
    monkeypatch.chdir(shop.folder / "jobs")
    shop.run("mine")
    exported = inside("export", "../jobs/mine.yaml", "--codec", "plain", "--json", "--root", str(shop.root))
    assert one_object(exported.stdout)["records"] == 6


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
    unknown = ran(shop, "--runner", "dask", "--json")
    assert unknown.returncode == 2
    assert "dask" in errors(unknown.stdout)[0]["error"]
    shop.run("mine", limit=3)
    refused = ran(shop, "--limit", "4", "--json")
    assert refused.returncode == 2
    [said] = errors(refused.stdout)
    assert said["error"].endswith("limit was 3, now 4")
    assert said["file"].endswith("tiny/plan.json")
    assert "error" not in refused.stderr


def test_3_outside(shop: Workshop) -> None:
    shop.root.write_text("a file where a folder should be")
    done = ran(shop)
    assert (done.returncode, done.stdout) == (3, "")
    assert "Traceback" not in done.stderr
    as_json = ran(shop, "--json")
    assert as_json.returncode == 3
    assert len(errors(as_json.stdout)) == 1
    assert shop.root.read_text() == "a file where a folder should be"


def test_list_and_check_without_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = one_object(inside("list", "scorers", "--json").stdout)
    assert listed["kind"] == "scorers"
    assert all(each["name"] and each["what"] for each in listed["names"])
    kinds = {row["name"] for row in one_object(inside("list", "--json").stdout)["names"]}
    assert {"datasets", "scorers", "models", "templates"} <= kinds
    piped = inside("list", "jobs").stdout.splitlines()
    assert piped[0] == "name\twhat it is"
    assert all(line.count("\t") == 1 for line in piped)
    checked = inside("check", "jobs/cc12m.yaml", "--json")
    assert (checked.returncode, one_object(checked.stdout)["mistakes"]) == (0, [])
    assert one_object(checked.stdout)["warnings"] == []


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
        _, said = process.communicate(timeout=120)
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
