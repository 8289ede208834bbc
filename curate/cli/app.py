"""The command line's frame, the only door to typer: the app, the options that several verbs share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer as typer

if TYPE_CHECKING:
    from curate.plugins import Project

app = typer.Typer(
    name="curate",
    help="Curate training data for vision-language models that can point.\n\n"
    "Start with:  curate demo   then   curate check jobs/cc12m.yaml   and   curate run jobs/cc12m.yaml --limit 1000",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Job = Annotated[str, typer.Argument(help="A file (jobs/grit.yaml) or a name of the project (grit).")]
Root = Annotated[str, typer.Option(envvar="CURATE_ROOT", help="Where results lie: a folder, or s3://bucket/prefix.")]
Folder = Annotated[
    str | None, typer.Option("--project", help="Your folder of jobs/ catalogs/ sql/ plugins/; by default the job's.")
]
Runner = Annotated[str, typer.Option(envvar="CURATE_RUNNER", help="ray, or inline (one process, for debugging).")]
Address = Annotated[str | None, typer.Option(help="A Ray cluster; without it one starts in this process.")]
Cpus = Annotated[int | None, typer.Option(min=1, help="CPUs of the embedded Ray; all of them by default.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result and errors alone.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="A line per shard; tracebacks.")]
ROOT = "curated"


def project_at(folder: str | None, job: str = "") -> "Project":
    """The folder that was named; else that of a job given as `.../jobs/NAME.yaml`; else the current one."""
    from curate.plugins import Project

    path = Path(job)
    beside = path.parent.parent if path.parent.name == "jobs" and path.is_file() else Path()
    return Project(str(Path(folder or beside).absolute()))  # workers run elsewhere


def place(root: str) -> str:
    """The root as an absolute path or a URI."""
    return root if "://" in root or not root else str(Path(root).absolute())
