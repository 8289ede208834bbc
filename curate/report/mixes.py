"""The mix on the page: what each component was to bring and brings, its packs, steps and gate, and the licences."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from curate.catalog import load_catalog
from curate.errors import ConfigError
from curate.plugins import Project
from curate.report import told
from curate.report.gates import Drops, Gate, drops, gate
from curate.report.mix_plots import Balance, FillRange, Lengths, balance, fill, lengths
from curate.report.questions import Questions, Row
from curate.report.records import Record
from curate.report.words import inert

STRIP_WIDTH = 800
STRIP_PX = 12
BAR_PX = 240
COLOURS = 7


@dataclass(frozen=True, slots=True)
class Component:
    """One component; shares are of all tokens, pixels of a bar of BAR_PX.

    `wanted` is the draws that the recipe asks for, `wanted_tokens` and `wanted_share` what they would come to in
    samples of the mean length, `wanted_px` where that lies on the bar; None where the manifest does not say.
    `left_out_share` is of the component's candidates, drawn or not; `merged` candidates became so many `conversations`.
    """

    name: str
    job: str
    recipe: str
    colour: int
    draws: int
    samples: int
    left_out: int
    left_out_share: float | None
    text_tokens: int
    image_tokens: int
    share: float
    text_px: float
    image_px: float
    wanted: int | None
    wanted_tokens: int | None
    wanted_share: float | None
    wanted_px: float | None
    merged: int
    conversations: int


@dataclass(frozen=True, slots=True)
class Block:
    """One sample in a pack, in pixels."""

    x: float
    y: float
    width: float
    colour: int


@dataclass(frozen=True, slots=True)
class Mixed:
    """One mix: its components, some of its packs as strips, and the least number of packs that could hold it.

    `fill` is the share of the packs that is filled, `ceiling` what any packing could fill (0.0 where it is not known);
    `packers` are those tried, with the packs that each needs.
    """

    components: tuple[Component, ...]
    blocks: tuple[Block, ...]
    strips: int
    samples: int
    tokens: int
    packs: int
    least_packs: int
    fill: float
    ceiling: float
    packer: str
    packers: tuple[tuple[str, int], ...]
    pack_tokens: int
    left_out: int
    fills: tuple[FillRange, ...]
    lengths: tuple[Lengths, ...]
    balance: Balance
    drops: Drops
    gate: Gate

    @property
    def of_ceiling(self) -> float:
        """The share of what any packing could fill that is filled; 0.0 where it is not known."""
        return min(self.fill / self.ceiling, 1.0) if self.ceiling else 0.0


@dataclass(frozen=True, slots=True)
class Licence:
    """What a catalog says of a dataset; empty where its file is gone."""

    dataset: str
    licence: str
    citation: str


def mixed(record: Record, questions: Questions) -> Mixed:
    """Return what a mix came to; what an older manifest does not say is 0, empty or None."""

    def asked(report: str) -> list[Row]:
        return questions.of_mix(report, record.job, record.digest)

    facts, rows = record.facts, asked("report_mix_components")
    colours = {row["component"]: place % COLOURS for place, row in enumerate(rows)}
    packs, share, tokens = told.count(facts, "packs"), told.number(facts, "fill"), told.count(facts, "tokens")
    length = told.count(facts, "pack_tokens") or (round(tokens / (packs * share)) if packs and share else 0)
    least = told.count(facts, "least_packs")
    ceiling = told.number(facts, "ceiling") or (tokens / (least * length) if least and length else 0.0)
    blocks, strips = _blocks(asked("report_mix_packs"), colours, length)
    packers = told.table(facts, "packers")
    return Mixed(
        components=_components(rows, colours, told.tables(facts, "components"), told.table(facts, "candidates")),
        blocks=blocks,
        strips=strips,
        samples=told.count(facts, "samples"),
        tokens=tokens,
        packs=packs,
        least_packs=least,
        fill=share,
        ceiling=ceiling,
        packer=inert(facts.get("packer") or "", 40).replace("_", " "),
        packers=tuple((inert(name, 40).replace("_", " "), told.count(packers, name)) for name in packers),
        pack_tokens=length,
        left_out=sum(row["left_out"] for row in rows),
        fills=fill(asked("report_mix_fill"), length, ceiling),
        lengths=lengths(asked("report_mix_lengths"), colours, length),
        balance=balance(asked("report_mix_balance"), asked("report_mix_steps"), facts),
        drops=drops(asked("report_mix_drops")),
        gate=gate(facts, {row["component"] for row in rows if row["draws"] and not row["image_tokens"]}),
    )


def _components(
    rows: Sequence[Row],
    colours: dict[str, int],
    said: dict[str, dict[str, object]],
    candidates: dict[str, object],
) -> tuple[Component, ...]:
    tokens = {row["component"]: row["text_tokens"] + row["image_tokens"] for row in rows}
    wanted = {
        row["component"]: told.count(said[row["component"]], "wanted")
        for row in rows
        if "wanted" in said.get(row["component"], {})
    }
    mean = {row["component"]: tokens[row["component"]] / max(row["draws"], 1) for row in rows}
    asked = {name: round(count * mean[name]) for name, count in wanted.items()}
    whole = sum(asked.values()) if len(asked) == len(rows) else 0
    total, most = max(sum(tokens.values()), 1), max([1, *tokens.values(), *asked.values()])
    return tuple(
        Component(
            inert(name := row["component"], 60),
            inert(row["job"], 60),
            inert(row["recipe"], 60),
            colours[name],
            row["draws"],
            row["samples"],
            row["left_out"],
            row["left_out"] / count if (count := told.count(candidates, name)) else None,
            row["text_tokens"],
            row["image_tokens"],
            tokens[name] / total,
            row["text_tokens"] / most * BAR_PX,
            row["image_tokens"] / most * BAR_PX,
            wanted.get(name),
            asked.get(name),
            asked[name] / whole if whole else None,
            asked[name] / most * BAR_PX if name in asked else None,
            told.count(said.get(name, {}), "merged"),
            told.count(said.get(name, {}), "conversations"),
        )
        for row in rows
    )


def _blocks(rows: Sequence[Row], colours: dict[str, int], length: int) -> tuple[tuple[Block, ...], int]:
    """Return the samples of some packs, a strip each, and the number of strips."""
    out: list[Block] = []
    places: dict[int, int] = {}
    reached: dict[int, float] = {}
    for row in rows:
        strip = places.setdefault(row["pack"], len(places))
        width = row["tokens"] / max(length, 1) * STRIP_WIDTH
        x = reached.get(strip, 0.0)
        out.append(Block(x, strip * STRIP_PX, max(width - 1, 0.5), colours[row["component"]]))
        reached[strip] = x + width
    return tuple(out), len(places)


def licences(datasets: list[str], project: Project, files: Container[str] = ()) -> list[Licence]:
    """Return what the catalogs say of these datasets, some of which are `files` of others."""
    out = []
    for name in datasets:
        if name in files:
            out.append(Licence(name, "not stated: a file of others", ""))
            continue
        try:
            catalog = load_catalog(name, project)
            out.append(Licence(name, inert(catalog.licence, 400), inert(catalog.citation, 400)))
        except ConfigError:
            out.append(Licence(name, "", ""))
    return out
