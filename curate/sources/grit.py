"""GRiT: Parquet rows of a caption whose noun chunks and referring expressions carry boxes.

Format: https://github.com/microsoft/unilm/tree/master/kosmos-2 and https://huggingface.co/datasets/zzliang/GRIT
An entry of `noun_chunks` or `ref_exps` is seven numbers, all stored as float64:
[char start, char end, x0, y0, x1, y1, score]; characters of the caption, end exclusive; box in 0..1 of width
and height; score is GLIP's confidence.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from curate.errors import ConfigError, SampleError, ShardError
from curate.io import tables
from curate.sample import Box, Region, SourceRow
from curate.shards import ShardInput

_REQUIRED = ("id", "url", "caption", "noun_chunks")
_META = ("key", "clip_similarity_vitb32", "clip_similarity_vitl14")
_COLUMNS = (*_REQUIRED, "width", "height", "ref_exps", *_META)
_TEXTS = ("url", "caption")
_LISTS = ("noun_chunks", "ref_exps")
_LIST_KINDS = ("list of list of number", "list of list of null", "list of null", "null")
_MAX_BOX = 1000.0
"""Boxes reach over the edge of their picture, but not by a thousand pictures."""


def plan(uris: Sequence[str], shard_rows: int) -> Iterator[ShardInput]:
    """Yield ranges of `shard_rows` rows, cut at the end of each file; reads footers only.

    Raises ConfigError for a missing file or one without GRiT's columns, ShardError for a broken one.
    """
    for uri in uris:
        try:
            missing = sorted(set(_REQUIRED) - set(tables.column_names(uri)))
            total = tables.parquet_rows(uri)
        except FileNotFoundError:
            raise ConfigError("no such file", file=uri) from None
        if missing:
            raise ConfigError(f"not a GRiT file: no column {', '.join(missing)}", file=uri)
        for first in range(0, total, shard_rows):
            yield ShardInput(uri, first, min(shard_rows, total - first))


def rows(part: ShardInput) -> Iterator[SourceRow]:
    """Yield the rows of a shard; key is the `id` column.

    Entries with one span become one Region, boxes in order and as given (not clipped, repeats kept), its
    score the least of theirs, tagged `noun_chunk` or `ref_exp`. A referring expression with the span and
    the boxes of a noun chunk adds nothing and is left out. One bad entry fails its row: the books show it.
    Codes: `bad_row` (no id, url or caption, or one that is too long), `bad_text` (not UTF-8), `bad_region` (not
    seven finite numbers, a box far outside the picture, a span outside the caption, or too many entries).
    Raises ShardError for a broken file and for a column of another type.
    """
    stem = PurePosixPath(part.uri).stem
    try:
        _check_kinds(part.uri)
        count = tables.parquet_rows(part.uri) - part.first_row if part.rows is None else part.rows
        for index, record in enumerate(tables.iter_rows(part.uri, part.first_row, count, _COLUMNS)):
            key = record["id"]
            try:
                yield _row(record)
            except SampleError as error:
                name = str(key) if isinstance(key, str | bytes | int | float) else f"{stem}:{part.first_row + index}"
                yield SourceRow(name, error=(error.code, error.detail))
    except FileNotFoundError:
        raise ShardError(f"{part.uri}: the file is gone") from None


def _check_kinds(uri: str) -> None:
    for name, kind in tables.column_kinds(uri).items():
        wanted = ("text", "null") if name in _TEXTS else _LIST_KINDS if name in _LISTS else ("text", "number", "null")
        if name in _COLUMNS and kind not in wanted:
            raise ShardError(f"{uri}: not GRiT: column {name} holds {kind}, not {wanted[0]}")


def _row(record: dict[str, Any]) -> SourceRow:
    for name in ("id", "url", "caption"):
        if isinstance(record[name], tables.TooLong):
            raise SampleError("bad_row", f"{name} of {record[name].size} bytes")
    for name in ("id", "url", "caption"):
        if isinstance(record[name], bytes):
            raise SampleError("bad_text", f"{name} is not UTF-8")
        if record[name] is None or record[name] == "":
            raise SampleError("bad_row", f"no {name}")
    caption = record["caption"]
    chunks = _regions(caption, record["noun_chunks"], "noun_chunk")
    known = {(region.start, region.end, region.boxes) for region in chunks}
    expressions = _regions(caption, record["ref_exps"], "ref_exp")
    return SourceRow(
        key=str(record["id"]),
        url=record["url"],
        declared_wh=_size(record["width"], record["height"]),
        text=caption,
        regions=chunks + tuple(r for r in expressions if (r.start, r.end, r.boxes) not in known),
        meta=json.dumps({name: _plain(record[name]) for name in _META}, sort_keys=True),
    )


def _regions(caption: str, entries: Any, tag: str) -> tuple[Region, ...]:
    """Group the entries by span, spans in order of appearance."""
    spans: dict[tuple[int, int], list[tuple[Box, float]]] = {}
    if isinstance(entries, tables.TooLong):
        raise SampleError("bad_region", f"{tag}: {entries.size} entries, or far more than seven numbers in them")
    for index, entry in enumerate(entries or ()):
        start, end, *rest = _entry(entry, len(caption), f"{tag}[{index}]")
        box: Box = (rest[0], rest[1], rest[2], rest[3])
        spans.setdefault((int(start), int(end)), []).append((box, rest[4]))
    return tuple(
        Region(
            phrase=caption[start:end],
            boxes=tuple(box for box, _ in boxes),
            start=start,
            end=end,
            score=min(score for _, score in boxes),
            tags=(tag,),
        )
        for (start, end), boxes in spans.items()
    )


def _entry(entry: Any, length: int, place: str) -> list[float]:
    """Return the seven numbers of an entry that can be trusted."""
    if not isinstance(entry, list) or len(entry) != 7:
        raise SampleError("bad_region", f"{place}: not seven numbers")
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in entry):
        raise SampleError("bad_region", f"{place}: not all finite numbers")
    if max(map(abs, entry[2:6])) > _MAX_BOX:
        raise SampleError("bad_region", f"{place}: a box far outside the picture")
    start, end = entry[0], entry[1]
    if start != int(start) or end != int(end) or not 0 <= start < end <= length:
        raise SampleError("bad_region", f"{place}: span {start:g}..{end:g} of a caption of {length} characters")
    return [float(value) for value in entry]


def _size(width: Any, height: Any) -> tuple[int, int] | None:
    known = isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0
    return (width, height) if known else None


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: NaN and undecodable text become null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float) else None
