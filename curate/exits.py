"""How a command ends: its exit codes, and what goes wrong turned into a message and one of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from curate.console import Console
from curate.errors import ConfigError, CurateError, OutsideError

DONE, FINDINGS, CONFIG, OUTSIDE, INTERRUPTED = 0, 1, 2, 3, 130
"""Done; a gate failed; nothing ran; something outside failed, safe to repeat; Ctrl-C, resumable."""


@contextmanager
def console(json: bool = False, quiet: bool = False, verbose: bool = False) -> Iterator[Console]:
    """Give a command its console; whatever it raises is told there and becomes SystemExit with a code."""
    console = Console(json=json, quiet=quiet, verbose=verbose)
    try:
        yield console
    except CurateError as error:
        console.finish()
        console.errors([error])
        if verbose:
            raise
        codes = {ConfigError: CONFIG, OutsideError: OUTSIDE}
        raise SystemExit(next((code for kind, code in codes.items() if isinstance(error, kind)), FINDINGS)) from None
    except KeyboardInterrupt:
        console.finish()
        console.say("interrupted; committed shards are safe, the same command goes on from here")
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # `| head` has seen enough; nothing is left to be flushed into it
        raise SystemExit(DONE) from None
    except OSError as error:
        console.finish()
        console.errors([OutsideError(f"{type(error).__name__}: {error}")])
        raise SystemExit(OUTSIDE) from None


def aside(console: Console) -> None:
    """Keep standard output for the result: Ray writes its warnings there."""
    console.out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    os.dup2(2, 1)
