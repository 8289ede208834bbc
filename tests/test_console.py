"""What people see: results apart from talk, JSON that parses, tables that pipe, nothing that a terminal obeys."""

import io
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from curate import console
from curate.console import Console, Progress, prompt
from curate.errors import ConfigError, CurateError, OutsideError
from curate.results import JobResult, RunResult, StageBooks
from curate.shards import ShardReport
from curate.telling import funnel, table

HOSTILE = "\x1b[31mred\x1b]0;title\x07\r\x00\x9b2J\u202egnp\u200b"
NEVER = set("\x1b\x07\r\x00\x9b\u202e\u200b")


def report(ok: bool = True, error: str | None = None) -> ShardReport:
    return ShardReport("tiny", 3, ok, 10, {"ok": 8, "failed:http_404": 2}, 1.5, error)


def test_hostile_text_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Console(verbose=True)
    shown.result(None, f"a\tb\n{HOSTILE} é 漢字\u3000🐕\u00a0ok")
    shown.say(HOSTILE)
    shown.errors([ConfigError(HOSTILE, file=HOSTILE, hint=HOSTILE), CurateError(HOSTILE)])
    shown.phase("ingest", "tiny", 1, 0, 10)
    shown.shard(report(False, HOSTILE))
    shown.finish()
    out, err = capsys.readouterr()
    assert not NEVER & set(out + err)
    assert out.startswith("a\tb\n")
    assert out.endswith("é 漢字\u3000🐕\u00a0ok\n")
    assert "red" in err


def test_cells_stay_in_their_column() -> None:
    text = table(("a", "b"), [(f"x\ty\nz{HOSTILE}", None), ("ä\u2028b\r\nc", 1)])
    assert [line.count("\t") for line in text.split("\n")] == [1, 1, 1]
    assert not NEVER & set(text)
    assert text.split("\n")[1].startswith("x y z")


def test_piped_values_are_raw() -> None:
    values = (1234567, 0.123456789, -1e-9, True, None, "1,5", math.nan, ["a", 1])
    text = table(tuple("abcdefgh"), [values])
    assert text.split("\n")[1] == "1234567\t0.123456789\t-1e-09\tTrue\t\t1,5\tnan\t['a', 1]"


def test_tables_are_aligned_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_TABLES", "1")
    text = table(("name", "rows"), [("a", 5), ("long one", 1000)])
    assert text == "name       rows\n--------  -----\na             5\nlong one  1,000"
    assert table(("a", "b"), []) == "a  b\n-  -"
    assert table(("x", "y"), [(0.123456, True)]).split("\n")[2] == "0.1235  True"


def test_json_is_one_object_and_knows_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"a": [math.nan, (math.inf, 1.5)], "b": {"c": -math.inf, 3: "\ud800"}, "d": HOSTILE}
    Console(json=True).result(value, "text")

    def refuse(name: str) -> Any:
        raise AssertionError(name)

    out = capsys.readouterr().out
    assert out.count("\n") == 1
    found = json.loads(out, parse_constant=refuse)
    assert found == {"a": [None, [None, 1.5]], "b": {"c": None, "3": "\ud800"}, "d": HOSTILE}


def test_errors_are_one_json_object_where_the_result_would_be(capsys: pytest.CaptureFixture[str]) -> None:
    errors = [ConfigError("what", file="f", where="w", hint="h"), OutsideError("plain")]
    Console(json=True).errors(errors)
    Console(json=True, quiet=True).errors(errors[:1])
    out, err = capsys.readouterr()
    assert err == ""
    config = {"error": "what", "file": "f", "where": "w", "help": "h"}
    assert [json.loads(line) for line in out.splitlines()] == [
        {"schema": "curate.error/1", "errors": [config, {"error": "plain"}]},
        {"schema": "curate.error/1", "errors": [config]},
    ]


def test_errors_in_json_go_where_the_result_goes() -> None:
    """Ray writes to standard output, too: a run's result has a stream of its own."""
    out = io.StringIO()
    Console(json=True, out=out).errors([CurateError("x")])
    assert json.loads(out.getvalue())["errors"] == [{"error": "x"}]


def test_several_errors_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    Console().errors([ConfigError("one", file="f.yaml:1", where="keep.x", hint="do this")])
    assert capsys.readouterr() == ("", "error one\n  --> f.yaml:1  keep.x\n  help: do this\n")
    Console().errors([ConfigError("one"), ConfigError("two")])
    assert capsys.readouterr() == ("", "error one\nerror two\n2 mistakes. Nothing was run.\n")
    Console(quiet=True).errors([ConfigError("one"), ConfigError("two")])
    assert capsys.readouterr() == ("", "error one\nerror two\n")


def test_quiet_prints_results_and_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Console(quiet=True)
    shown.say("talk")
    shown.phase("ingest", "tiny", 3, 0, 30)
    shown.shard(report())
    shown.finish()
    shown.errors([CurateError("trouble")])
    shown.result(None, "result")
    out, err = capsys.readouterr()
    assert (out, err) == ("result\n", "error trouble\n")


def test_verbose_names_every_shard(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Console(verbose=True)
    shown.shard(report())
    shown.shard(report(False, "ShardError: no"))
    err = capsys.readouterr().err
    assert "shard tiny-00003 1.5s" in err
    assert "shard tiny-00003 failed: ShardError: no" in err


def test_phases_that_were_done_earlier_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    Console().phase("ingest", "tiny", 3, 3, 0)
    assert "done earlier, 3 shard(s)" in capsys.readouterr().err
    Console().phase("score x", "", 0, 0, 0)
    assert capsys.readouterr().err == ""


def test_without_a_terminal_progress_is_a_line_at_times(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Progress("tiny ingest", 4, 40, terminal=False)
    progress.shard(report())
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(console, "EVERY_S", 0.0)
    progress.shard(report())
    line = capsys.readouterr().err
    assert "tiny ingest 20/40 rows 2/4 shards" in line
    assert "ok=0.800" in line
    assert "eta=" in line
    assert "\r" not in line
    progress.close()
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("env", "painted"),
    [({}, False), ({"CLICOLOR_FORCE": "1"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colour(
    env: dict[str, str], painted: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("NO_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    Console().errors([CurateError("x")])
    assert ("\x1b[" in capsys.readouterr().err) == painted


def test_no_color_wins_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert console._paint("x", "31") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert console._paint("x", "31") == "x"


def test_the_funnel_shows_books_failures_and_the_next_step() -> None:
    books = (
        StageBooks("tiny", "ingest", 1200, 1000, {"http_404": 150, "dns": 50}),
        StageBooks("tiny", "filter", 1000, 700, {"clip_low": 300}),
    )
    one = JobResult("mine", "curate", "tiny", "d", "d", "", False, books)
    two = JobResult(
        "mixed",
        "mix",
        "",
        "d",
        "",
        "",
        True,
        (),
        {"samples": 5, "tokens": 9, "packs": 2, "fill": 0.5, "least_packs": 1},
    )
    text = funnel(RunResult("r", "root", (one, two), (report(False, "ingest: ShardError: few"),), 3, 2, 1.0))
    assert "http_404 150, dns 50" in text
    assert "books mine: read 1,200 = kept 700 + dropped 300 + failed 200   balanced" in text
    assert "mix mixed: 5 samples, 9 tokens in 2 packs, 50.00% full" in text
    assert "tiny-00003  ingest: ShardError: few" in text
    assert "next:" in text
    assert "3 shard(s) done, 2 done earlier" in text


def test_undecided_rows_are_a_term_of_the_books() -> None:
    books = (
        StageBooks("tiny", "ingest", 1200, 1000, {"http_404": 200}),
        StageBooks("tiny", "score x", 900, 900, {}),
        StageBooks("tiny", "filter", 900, 700, {"clip_low": 200}),
    )
    one = JobResult("mine", "curate", "tiny", "d", "d", "", False, books)
    [line] = [said for said in funnel(RunResult("r", "root", (one,), (), 3, 0, 1.0)).split("\n") if "books" in said]
    assert line.startswith(
        "books mine: read 1,200 = kept 700 + dropped 200 + failed 200 + undecided 100   balanced, but INCOMPLETE"
    )
    more = replace(one, books=(*books[:2], replace(books[2], rows_out=701)))
    assert "NOT BALANCED" in funnel(RunResult("r", "root", (more,), (), 3, 0, 1.0))


def test_a_shard_that_failed_is_no_share_of_the_good_ones(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("tiny ingest", 2, 20, terminal=False)
    progress.shard(ShardReport("tiny", 0, True, 10, {"ok": 10}, 1.0, None))
    progress.shard(ShardReport("tiny", 1, False, 10, {}, 1.0, "ShardError: no"))
    progress.close()
    assert "ok=0.500" in capsys.readouterr().err


def asked(lines: str, monkeypatch: pytest.MonkeyPatch, as_json: bool = False, code: int = 0) -> list[str]:
    """Feed the prompt with lines as a script does, and return the queries that it asked."""
    queries: list[str] = []

    def ask(query: str) -> tuple[dict[str, str], str]:
        queries.append(query.strip())
        if "bad" in query:
            raise ConfigError("no such table")
        return {"q": query.strip()}, f"answer to {query.strip()}"

    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    assert prompt(ask, Console(json=as_json)) == code
    return queries


def test_prompt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked("select 1;\nselect\n  2\n;\n", monkeypatch) == ["select 1;", "select\n\n  2\n\n;"]
    assert capsys.readouterr().err == ""  # no banner either
    assert asked("bad;\nselect 1;\n", monkeypatch, code=2) == ["bad;", "select 1;"]
    assert capsys.readouterr() == ("answer to select 1;\n", "error no such table\n")
    assert asked("select 1;\nbad", monkeypatch, code=2) == ["select 1;", "bad"]
    for leave in ("quit", "exit", ".quit", "quit;"):
        assert asked(f"{leave}\nselect 1;\n", monkeypatch) == []
    assert asked("", monkeypatch) == []
    assert asked("\n\n", monkeypatch) == []


def test_a_script_that_quits_has_failed_queries_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked("bad;\nselect 1;\nquit\n", monkeypatch, code=2) == ["bad;", "select 1;"]


def test_a_last_query_without_a_semicolon_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked("select 1", monkeypatch) == ["select 1"]
    assert asked("select 1;\nselect 2\n", monkeypatch) == ["select 1;", "select 2"]


def test_prompt_answers_in_json_when_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked("select 1;\n", monkeypatch, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"q": "select 1;"}
    asked("bad;\nselect 1;\n", monkeypatch, as_json=True, code=2)
    out, err = capsys.readouterr()
    assert err == ""
    assert [sorted(json.loads(line)) for line in out.splitlines()] == [["errors", "schema"], ["q"]]


def test_a_person_at_the_prompt_may_be_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["bad;", "select 1;"])

    def typed(_: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", typed)
    monkeypatch.setattr("sys.stdin", Terminal())

    def ask(query: str) -> tuple[dict[str, str], str]:
        if "bad" in query:
            raise ConfigError("no such table")
        return {}, "answer"

    assert prompt(ask, Console()) == 0
    out, err = capsys.readouterr()
    assert out == "answer\n"
    assert "quit with ^D" in err
    assert "error no such table" in err


class Terminal(io.StringIO):
    """Where a person types."""

    def isatty(self) -> bool:
        return True
