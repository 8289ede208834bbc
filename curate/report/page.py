"""The page: panels, style and script become one HTML file that asks nothing of the network."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from curate import __version__
from curate.io import storage
from curate.layout import runs_folder
from curate.plugins import Project
from curate.report import figures
from curate.report.album import Album
from curate.report.panels import Desk, Panel, panel
from curate.report.questions import Questions
from curate.report.records import records
from curate.report.words import inert
from curate.views import open_root

HARD_STOP_BYTES = 12_000_000
"""A larger page is written again with half the pictures."""

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What the page shows: `pictures` per job, kept and dropped together (pairs of children come on top);
    `blur` makes them unrecognisable; `job` asks for one job alone."""

    pictures: int = 48
    blur: bool = False
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """Where the page is, its size, and how many distinct pictures it carries."""

    uri: str
    bytes: int
    pictures: int


def write_report(root: str, project: Project, options: ReportOptions, to: str | None = None) -> Written:
    """Write the page about the last run of each job; by default beside the record of the latest run.

    Raises:
        ConfigError: nothing has run under the root, or not this job.
        OutsideError: the store failed.
    """
    warehouse = open_root(root, project)
    try:
        questions = Questions(warehouse, project)
        found = records(root, questions, options.job)
        pictures = max(options.pictures, 0)
        while True:
            album = Album(root.rstrip("/"), options.blur)
            desk = Desk(root.rstrip("/"), project, questions, album, pictures)
            panels = sorted((panel(record, place, desk) for place, record in enumerate(found)), key=Panel.rank)
            html = render(panels, album, root).encode("utf-8", "replace")
            if len(html) <= HARD_STOP_BYTES or not pictures:
                break
            pictures //= 2
    finally:
        warehouse.close()
    uri = to or f"{runs_folder(root)}/{max(record.run for record in found)}/report.html"
    storage.write_bytes(uri, html)
    return Written(uri, len(html), album.taken)


def render(panels: Sequence[Panel], album: Album, root: str) -> str:
    """Return the page. Style and script are ours alone and are named by their hashes in its policy."""
    style = "\n".join(_static(name) for name in ("tokens.css", "report.css"))
    script = _static("overlay.js")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = _thousands
    environment.filters["percent"] = _percent
    environment.filters["hundredths"] = _hundredths
    environment.filters["inert"] = inert
    page: str = environment.get_template("page.html").render(
        panels=panels,
        album=album,
        root=root,
        figures=figures,
        version=__version__,
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )
    return page


def _static(name: str) -> str:
    return (_HERE / "static" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _thousands(value: int) -> str:
    return f"{value:,}"


def _percent(share: float) -> str:
    """Return a share with one decimal; never 0.0 % of something or 100.0 % of nearly all."""
    shown = f"{share:.1%}"
    if share > 0 and shown == "0.0%":
        return "< 0.1 %"
    return "> 99.9 %" if share < 1 and shown == "100.0%" else f"{shown[:-1]} %"


def _hundredths(share: float) -> str:
    """Return a share of nearly all with two decimals; never 100.00 % of less than all."""
    shown = f"{share:.2%}"
    return "> 99.99 %" if share < 1 and shown == "100.00%" else f"{shown[:-1]} %"
