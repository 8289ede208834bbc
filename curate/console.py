"""What people see: results on standard output, everything else on standard error, JSON when asked."""

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import IO, Any

from curate.errors import ConfigError, CurateError
from curate.shards import ShardReport
from curate.telling import plain

EVERY_S = 30.0
"""Seconds between progress lines where there is no terminal."""


@dataclass(slots=True)
class Console:
    """Prints; also the Listener of a run. `out` carries the result alone, so that it can be piped."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    out: IO[str] = field(default_factory=lambda: sys.stdout)
    _progress: "Progress | None" = None

    def result(self, value: Any, text: str) -> None:
        """Print a result: as one JSON object when asked for, else as text."""
        if self.json:
            body = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
            text = json.dumps(_finite(body), default=str)
        if text:
            print(plain(text), file=self.out, flush=True)

    def say(self, text: str) -> None:
        """Tell something that is not a result."""
        if not self.quiet:
            print(plain(text), file=sys.stderr, flush=True)

    def errors(self, errors: Sequence[CurateError]) -> None:
        """Print errors: what, where, and the next step; with --json one object in place of the result."""
        if self.json:
            told = [each.as_dict() if isinstance(each, ConfigError) else {"error": str(each)} for each in errors]
            self.result({"schema": "curate.error/1", "errors": told}, "")
            return
        for error in errors:
            print(f"{_paint('error', '1;31')} {plain(str(error))}", file=sys.stderr, flush=True)
        if len(errors) > 1:
            self.say(f"{len(errors)} mistakes. Nothing was run.")

    def phase(self, name: str, dataset: str, shards: int, done: int, rows: int | None) -> None:
        """A phase begins."""
        self.finish()
        if self.quiet:
            return
        if shards == done:
            if dataset:
                self.say(f"  {dataset:<14} {name:<24} done earlier, {shards} shard(s)")
            return
        self._progress = Progress(
            f"{dataset} {name}", shards - done, rows, sys.stderr.isatty() and "CI" not in os.environ
        )

    def shard(self, report: ShardReport) -> None:
        """A shard ended."""
        if self._progress is not None:
            self._progress.shard(report)
        if not report.ok:
            self.say(f"  shard {report.dataset}-{report.shard:05d} failed: {report.error}")
        elif self.verbose:
            self.say(f"  shard {report.dataset}-{report.shard:05d} {report.seconds:.1f}s {report.counts}")

    def note(self, text: str) -> None:
        """Something to know before it begins."""
        self.finish()
        self.say(f"  {text}")

    def finish(self) -> None:
        """Put the last line of progress on the screen."""
        if self._progress is not None:
            self._progress.close()
            self._progress = None


class Progress:
    """Rows done, rate, share of good ones and ETA of one phase: a rich bar on a terminal, else a line at times."""

    def __init__(self, title: str, shards: int, rows: int | None, terminal: bool) -> None:
        self._title, self._shards, self._rows = title, shards, rows
        self._done = self._seen = self._lost = 0
        self._began = self._last = time.monotonic()
        self._bar: Any = _bar(title, rows if rows is not None else shards) if terminal else None

    def shard(self, report: ShardReport) -> None:
        """Count one shard."""
        self._done += 1
        self._seen += report.rows
        lost = sum(count for key, count in report.counts.items() if ":" in key)
        self._lost += lost if report.ok else report.rows
        if self._bar is not None:
            self._bar.update(0, completed=self._done if self._rows is None else self._seen, said=self._said())
        elif time.monotonic() - self._last >= EVERY_S:
            self._line()

    def close(self) -> None:
        """End the bar, or write the last line."""
        if self._bar is not None:
            self._bar.stop()
        else:
            self._line()

    def _line(self) -> None:
        self._last = time.monotonic()
        print(
            plain(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {self._title} {self._said()}"),
            file=sys.stderr,
            flush=True,
        )

    def _said(self) -> str:
        spent = max(time.monotonic() - self._began, 1e-9)
        rate = self._seen / spent
        share = self._done / self._shards if self._rows is None else self._seen / max(self._rows, 1)
        eta = f" eta={spent * (1 - share) / share:.0f}s" if 0 < share < 1 else ""
        total = f"/{self._rows}" if self._rows is not None else ""
        good = f" ok={1 - self._lost / self._seen:.3f}" if self._seen else ""
        return f"{self._seen}{total} rows {self._done}/{self._shards} shards {rate:.0f}/s{good}{eta}"


def _bar(title: str, total: int) -> Any:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    bar = RichProgress(
        TextColumn("  {task.description:<28}"),
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
        console=RichConsole(stderr=True),
    )
    bar.add_task(title, total=total, said="")
    bar.start()
    return bar


def _paint(text: str, code: str) -> str:
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty()
    return text if plain and "CLICOLOR_FORCE" not in os.environ else f"\x1b[{code}m{text}\x1b[0m"


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON does not know, by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def prompt(ask: Any, console: Console) -> int:
    """Read queries, which end with a semicolon or with the input, until end of input or `quit`.

    Returns 2 where standard input is a script and one of its queries failed, else 0.
    """
    if sys.stdin.isatty():
        console.say("curate sql   `show tables;` lists what there is   end with ;  quit with ^D")
    held, failed = "", False
    while True:
        try:
            line = (
                input("curate> " if not held else "   ...> ")
                if sys.stdin.isatty()
                else next(iter(sys.stdin.readline, ""))
            )
        except (EOFError, StopIteration):
            failed |= bool(held.strip()) and not _answer(ask, held, console)
            return 2 if failed and not sys.stdin.isatty() else 0
        if not held and line.strip().rstrip(";") in ("quit", "exit", ".quit"):
            return 2 if failed and not sys.stdin.isatty() else 0
        held += line + "\n"
        if line.rstrip().endswith(";"):
            failed |= not _answer(ask, held, console)
            held = ""


def _answer(ask: Any, query: str, console: Console) -> bool:
    try:
        console.result(*ask(query))
    except CurateError as error:
        console.errors([error])
        return False
    return True
