"""One sample's journey: its source row, its fetch, every score, every verdict, its children, its mixes.

Of a record of a file of others, which has none of those but mixes: the file, its place there, and what stands there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from curate.errors import ConfigError, OutsideError, SampleError
from curate.io import json_window, storage
from curate.io.records import read_json
from curate.io.warehouse import Warehouse, read_sql
from curate.layout import mix_folder
from curate.plugins import Project, sql_report
from curate.stages import layouts
from curate.views import open_root, score_files

Row = dict[str, Any]

_SHOWN = 200
"""Characters of a text that a line shows."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A record of a file of others: the component that draws it, the file, its form, first byte and bytes to the next.

    `id` and `picture` are as they stand there, of whatever type, as JSON if no text; `turns` are its first two.
    `fault` says why nothing could be read there.
    """

    component: str
    file: str
    codec: str
    offset: int
    bytes: int
    id: str | None = None
    picture: str | None = None
    turns: tuple[str, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Journey:
    """Everything that the root knows of one sample; a derived one has its `parent_id`.

    `sample` is None of a record of a file of others. `records` are where that lies: several only if components of one
    name draw from several files.
    """

    sample_id: str
    sample: Row | None
    records: tuple[FileRecord, ...]
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
    full, relation = found[0]["sample_id"], found[0]["relation"]
    rows = warehouse.rows_where(relation, "sample_id", full)
    is_record = relation == "file_records"
    scorers = sorted(score_files(storage.glob(f"{root.rstrip('/')}/*/scores/*/*.parquet")))
    scored = {name: warehouse.rows_where(name, "sample_id", full) for name in scorers}
    journey = Journey(
        sample_id=full,
        sample=None if is_record else rows[-1],
        records=_records(root, warehouse, project, full) if is_record else (),
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


def _records(root: str, warehouse: Warehouse, project: Project, sample_id: str) -> tuple[FileRecord, ...]:
    """Return where a record lies: where mixes draw it, else wherever a component of its name has a record at its place.

    A record's id tells the component's name and its first byte, not the file.
    """
    rows = _ask(warehouse, project, "sample_records", sample_id)
    files = _files(root, warehouse)
    found: dict[tuple[str, int], FileRecord] = {}
    for row in rows:
        named = files.get(row["mix"], {})
        said = named.get(row["job"]) or named.get(row["component"])
        if said:
            record = _read(row["dataset"], said, row["record_offset"], row["record_bytes"])
            found.setdefault((record.file, record.bytes), record)
    if found:
        return tuple(found.values())
    for said in (said for named in files.values() for said in named.values() if said["name"] == rows[0]["dataset"]):
        for row in rows:
            record = _read(said["name"], said, row["record_offset"], row["record_bytes"])
            if record.fault is None:
                found.setdefault((record.file, record.bytes), record)
    return tuple(found.values())


def _files(root: str, warehouse: Warehouse) -> dict[str, dict[str, dict[str, str]]]:
    """Return mix → component → what its manifest says of the file, for the last run of each."""
    runs = warehouse.answer("select job, digest from runs where latest and kind = 'mix' order by job").rows
    found = {}
    for job, digest in runs:
        uri = f"{mix_folder(root, job)}/{digest}/manifest.json"
        found[job] = read_json(uri)["facts"].get("files", {}) if storage.exists(uri) else {}
    return found


def _read(component: str, said: Mapping[str, str], offset: int, size: int) -> FileRecord:
    """Return the record that lies in `size` bytes from `offset` on, nothing but commas and blanks behind it."""
    place = FileRecord(component, said["uri"], said["codec"], offset, size)
    try:
        text = storage.read_bytes(said["uri"], offset, size).decode()
        record, end, refused = json_window.parse(text.lstrip(), 0)
        if text.lstrip()[end:].strip(" \t\r\n,]"):
            refused = "the record there is another"
    except (FileNotFoundError, OutsideError, ConfigError) as error:
        refused = str(error) if isinstance(error, OutsideError | ConfigError) else "the file is gone"
    except (ValueError, RecursionError):
        refused = "no record is there any more: the file has changed"
    if refused:
        return replace(place, fault=refused)
    names = (record.get("id"), record.get("image")) if isinstance(record, dict) else (None, None)
    name, picture = (None if each is None else _words(each) for each in names)
    return replace(place, id=name, picture=picture, turns=_turns(record))


def _turns(record: object) -> tuple[str, ...]:
    """Return the first two turns of a record, who says it before each; none where it is laid out in no known way."""
    try:
        said = layouts.flat(next(layouts.units(record)), None).get("conversations")
    except (SampleError, StopIteration):
        return ()
    turns = [turn for turn in said[:2] if isinstance(turn, dict)] if isinstance(said, list) else []
    return tuple(f"{_words(turn.get('from'))}: {_words(turn.get('value'))}" for turn in turns)


def _words(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def as_text(journey: Journey) -> str:
    """Return the journey as lines for a terminal."""
    lines = _of_sample(journey.sample) if journey.sample else [journey.sample_id]
    lines += [line for record in journey.records for line in _of_record(record)]
    if not journey.sample and not journey.records:
        lines.append("  record     of a file that no last run of a mix names")
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


def _of_record(record: FileRecord) -> list[str]:
    place = f"{record.file} at byte {record.offset:,} +{record.bytes:,}"
    lines = [f"  record     {record.component} · {place} · {record.codec}"]
    if record.fault:
        return [*lines, f"  UNREAD     {record.fault}"]
    lines.append(f"  named      {'no id' if record.id is None else repr(record.id)[:_SHOWN]}")
    lines.append(f"  picture    {'none' if record.picture is None else repr(record.picture)[:_SHOWN]}")
    return lines + [f"  turn       {turn!r:.{_SHOWN}}" for turn in record.turns]


def _of_sample(sample: Row) -> list[str]:
    lines = []
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
    return lines + [f"  box        {_box(region)}" for region in sample["regions"] or []]


def _box(region: Row) -> str:
    boxes = " ".join(
        "[" + ", ".join(f"{box[key]:.3f}" for key in ("x0", "y0", "x1", "y1")) + "]" for box in region["boxes"]
    )
    return f"{region['phrase'] or '(no words)'}  {boxes}"


def _refused(row: Row) -> str:
    return f"REFUSED {row['error']}: {row['error_detail']}"


def _mixed(row: Row) -> str:
    where = " ".join(f"{name} {row[name]}" for name in ("step", "rank", "pack", "slot"))
    place = where if row["reason"] is None else f"left out: {row['reason']}"
    tokens = f"{row['n_text_tok']} + {row['n_img_tok']} tokens"
    return f"{row['mix']} · {row['component']} draw {row['draw']} · {place} · {tokens}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
