"""The mix on the page: what each component brings, how full the packs are, under which licences it stands."""

from dataclasses import dataclass
from typing import Any

from curate.catalog import load_catalog
from curate.errors import ConfigError
from curate.plugins import Project
from curate.report.questions import Questions
from curate.report.records import Record
from curate.report.words import inert

STRIP_WIDTH = 800
STRIP_PX = 12
PACKS_SHOWN = 24
BAR_PX = 320


@dataclass(frozen=True, slots=True)
class Component:
    """One component; `share` is of all tokens, widths are in pixels of BAR_PX."""

    name: str
    job: str
    recipe: str
    colour: int
    draws: int
    samples: int
    left_out: int
    text_tokens: int
    image_tokens: int
    share: float
    text_width: float
    image_width: float


@dataclass(frozen=True, slots=True)
class Block:
    """One sample in a pack, in pixels."""

    x: float
    y: float
    width: float
    colour: int


@dataclass(frozen=True, slots=True)
class Mixed:
    """One mix: its components, every so many packs as strips, and the least number of packs that could hold it."""

    components: tuple[Component, ...]
    blocks: tuple[Block, ...]
    strips: int
    every: int
    samples: int
    tokens: int
    packs: int
    least_packs: int
    fill: float
    pack_tokens: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Licence:
    """What a catalog says of a dataset; empty where its file is gone."""

    dataset: str
    licence: str
    citation: str


def mixed(record: Record, questions: Questions) -> Mixed:
    """Return what a mix came to."""
    asked = {"mix": record.job, "digest": record.digest}
    rows = questions.rows("report_mix_components", asked)
    most = max([1, *(row["text_tokens"] + row["image_tokens"] for row in rows)])
    total = sum(row["text_tokens"] + row["image_tokens"] for row in rows)
    components = tuple(
        Component(
            inert(row["component"], 60),
            inert(row["job"], 60),
            inert(row["recipe"], 60),
            place % 7,
            row["draws"],
            row["samples"],
            row["left_out"],
            row["text_tokens"],
            row["image_tokens"],
            (row["text_tokens"] + row["image_tokens"]) / max(total, 1),
            row["text_tokens"] / most * BAR_PX,
            row["image_tokens"] / most * BAR_PX,
        )
        for place, row in enumerate(rows)
    )
    facts = record.facts
    packs, fill, tokens = facts.get("packs", 0), facts.get("fill", 0.0), facts.get("tokens", 0)
    length = round(tokens / (packs * fill)) if packs and fill else 0
    every = max(-(-packs // PACKS_SHOWN), 1)
    colours = {row["component"]: place % 7 for place, row in enumerate(rows)}
    return Mixed(
        components,
        _blocks(questions, {**asked, "every": every}, colours, length),
        -(-packs // every),
        every,
        facts.get("samples", 0),
        tokens,
        packs,
        facts.get("least_packs", 0),
        fill,
        length,
        sum(row["left_out"] for row in rows),
    )


def _blocks(questions: Questions, asked: dict[str, Any], colours: dict[str, int], length: int) -> tuple[Block, ...]:
    out: list[Block] = []
    reached: dict[int, float] = {}
    for row in questions.rows("report_mix_packs", asked):
        width = row["tokens"] / max(length, 1) * STRIP_WIDTH
        x = reached.get(row["strip"], 0.0)
        out.append(Block(x, row["strip"] * STRIP_PX, max(width - 1, 0.5), colours[row["component"]]))
        reached[row["strip"]] = x + width
    return tuple(out)


def licences(datasets: list[str], project: Project) -> list[Licence]:
    """Return what the catalogs say of these datasets."""
    out = []
    for name in datasets:
        try:
            catalog = load_catalog(name, project)
            out.append(Licence(name, inert(catalog.licence, 400), inert(catalog.citation, 400)))
        except ConfigError:
            out.append(Licence(name, "", ""))
    return out
