"""The command line: a file for each group of verbs; importing one adds its verbs to the app."""

import io
import signal
import sys

from curate.cli import jobs as jobs
from curate.cli import mixes as mixes
from curate.cli import records as records
from curate.cli.app import app as app


def main() -> None:
    """Run the command line; SIGTERM ends it as Ctrl-C does."""
    from curate import __version__

    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"curate {__version__}")  # noqa: T201
        return
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
