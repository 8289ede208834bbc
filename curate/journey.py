"""One sample's journey: its source row, its fetch, every score, every verdict, its children, its mixes."""

from dataclasses import dataclass
from typing import Any

from curate.errors import ConfigError
from curate.io import storage
from curate.io.warehouse import Warehouse, read_sql
from curate.plugins import Project, sql_report
from curate.views import open_root, score_files

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Journey:
    """Everything that the root knows of one sample; `parent` is the id that a derived sample came from."""

    sample: Row
    scores: dict[str, Row]
    verdicts: tuple[Row, ...]
    children: tuple[Row, ...]
    mixes: tuple[Row, ...]


def explain(root: str, project: Project, sample_id: str) -> Journey:
    """Return the journey of the sample whose id is, or begins with, `sample_id`.

    Raises:
        ConfigError: there is no such sample, or more than one.
    """
    warehouse = open_root(root, project)
    found = _ask(warehouse, project, "find_sample", sample_id)
    if len(found) != 1:
        names = ", ".join(row["sample_id"] for row in found) or "none"
        raise ConfigError(
            f'{"several samples begin" if found else "no sample begins"} with "{sample_id}"',
            hint=f"found: {names}" if found else f"curate sql --root {root} -c 'select sample_id from samples limit 5'",
        )
    full, derived = found[0]["sample_id"], found[0]["derived"]
    rows = warehouse.rows_where("children" if derived else "all_samples", "sample_id", full)
    scorers = sorted(score_files(storage.glob(f"{root.rstrip('/')}/*/scores/*/*.parquet")))
    scored = {name: warehouse.rows_where(name, "sample_id", full) for name in scorers}
    journey = Journey(
        sample=rows[-1],
        scores={name: found[-1] for name, found in scored.items() if found},
        verdicts=tuple(_ask(warehouse, project, "sample_verdicts", full)),
        children=tuple(_ask(warehouse, project, "sample_children", full)),
        mixes=tuple(_ask(warehouse, project, "sample_mixes", full)),
    )
    warehouse.close()
    return journey


def _ask(warehouse: Warehouse, project: Project, report: str, sample_id: str) -> list[Row]:
    answer = warehouse.answer(read_sql(sql_report(report, project)), {"id": sample_id})
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


def as_text(journey: Journey) -> str:
    """Return the journey as lines for a terminal."""
    sample, lines = journey.sample, []
    image = (sample["images"] or [None])[0]
    where = (
        f"{image['width']}×{image['height']} {image['format']} at {image['offset']:,} +{image['size']:,}"
        if image
        else "no picture"
    )
    lines.append(f"{sample['sample_id']}  {sample['dataset']} · shard {sample['shard']} row {sample['row']} · {where}")
    if sample["parent_id"]:
        steps = " then ".join(step["name"] for step in sample["transforms"])
        lines.append(f"  derived    from {sample['parent_id']} by {steps}")
    lines.append(f"  source     {sample['source_key']}")
    if sample["url"]:
        lines.append(f"  fetched    {sample['url']}  {sample['attempts']} attempt(s)  {sample['fetched_at']}")
    if sample["status"] != "ok":
        lines.append(f"  {sample['status'].upper():<10} {sample['error']}: {sample['error_detail']}")
    if sample["text"]:
        lines.append(f"  caption    {sample['text']!r:.200}")
    lines += [f"  box        {_box(region)}" for region in sample["regions"] or []]
    for name, scores in journey.scores.items():
        told = "  ".join(
            f"{key} {_short(value)}" for key, value in scores.items() if key not in ("sample_id", "scores")
        )
        lines.append(f"  score      {name}: {told}")
    lines += [f"  verdict    {row['job']}: {row['filter']} → {row['reason'] or 'kept'}" for row in journey.verdicts]
    lines += [
        f"  child      {row['recipe']} {row['sample_id'] if row['status'] == 'ok' else _refused(row)}"
        for row in journey.children
    ]
    lines += [f"  mix        {_mixed(row)}" for row in journey.mixes]
    return "\n".join(lines)


def _box(region: Row) -> str:
    boxes = " ".join(
        "[" + ", ".join(f"{box[key]:.3f}" for key in ("x0", "y0", "x1", "y1")) + "]" for box in region["boxes"]
    )
    return f"{region['phrase'] or '(no words)'}  {boxes}"


def _refused(row: Row) -> str:
    return f"REFUSED {row['error']}: {row['error_detail']}"


def _mixed(row: Row) -> str:
    place = f"pack {row['pack']} slot {row['slot']}" if row["reason"] is None else f"left out: {row['reason']}"
    tokens = f"{row['n_text_tok']} + {row['n_img_tok']} tokens"
    return f"{row['mix']} · {row['component']} draw {row['draw']} · {place} · {tokens}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
