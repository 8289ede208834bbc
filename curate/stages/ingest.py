"""Ingest one shard: read its rows, fetch their pictures, make them upright, commit the tar and then the table."""

import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from curate import plugins, schema
from curate.errors import SampleError, ShardError
from curate.io import images, storage, tars
from curate.io.fetch import Fetched, FetchOptions, fetch_all
from curate.kernels import boxes
from curate.layout import Layout
from curate.plugins import Project
from curate.sample import ImageRef, Region, Sample, SourceRow, sample_id
from curate.shards import Needs, ShardReport, ShardTask
from curate.stages.commit import begin, tally
from curate.stages.spool import Spool, Spooled

NEEDS = Needs(cpus=0.5)
"""Half a CPU: a shard spends its end waiting for its slowest hosts, and another one can decode meanwhile."""

ASPECT_TOLERANCE = 0.03
"""How far the shape of a picture may stray from the one that was annotated before it is another picture."""


@dataclass(frozen=True, slots=True)
class Ingest:
    """What ingesting any shard of one dataset takes; `task.work` is the shard's ShardInput."""

    layout: Layout
    source: str
    project: Project
    pictures: images.Limits
    fetch: FetchOptions
    min_success: float


@dataclass(slots=True)
class _Row:
    """One source row on its way, with its picture or the reason that there is none."""

    source: SourceRow
    picture: Spooled | None = None
    error: tuple[str, str] | None = None
    fetched: Fetched | None = None


def build(config: Ingest) -> Callable[[ShardTask, Any], ShardReport]:
    """Return the function that ingests one shard of a dataset."""
    return partial(_ingest, config)


def _ingest(config: Ingest, task: ShardTask, payload: Any) -> ShardReport:
    commit = begin(task, config.layout.samples(task.shard))
    with tempfile.TemporaryDirectory(prefix="curate-") as folder:
        with Spool(Path(folder) / "spool", config.pictures) as spool:
            rows = _read(config, task, spool)
            _fetch(config.fetch, rows, spool)
            samples = _lay_out(task, rows, spool, Path(folder) / "images.tar")
        failed = _judge(samples, config.min_success)
        storage.put_file(Path(folder) / "images.tar", config.layout.images(task.shard))
    return commit.write(schema.to_table(samples), len(samples), tally("ok", len(samples), "failed", failed))


def _read(config: Ingest, task: ShardTask, spool: Spool) -> list[_Row]:
    """Read the rows; a picture that the source itself carries goes to the spool at once, not to memory."""
    source = plugins.load("sources", config.source, config.project)
    rows: list[_Row] = []
    keys: set[str] = set()
    for found in islice(source.rows(task.work), task.rows):
        row = _Row(replace(found, picture=None), error=found.error)
        if found.key in keys:
            row.error = ("duplicate_key", f"another row of the shard has the key {found.key}")
            row.source = replace(row.source, key=f"{found.key}#{len(rows)}")
        keys.add(row.source.key)
        if found.picture is not None and row.error is None:
            _put(row, found.picture, spool)
        rows.append(row)
    return rows


def _fetch(options: FetchOptions, rows: list[_Row], spool: Spool) -> None:
    """Fetch each distinct URL once; rows that name the same URL share its picture."""
    wanting: dict[str, list[_Row]] = {}
    for row in rows:
        if row.source.url is not None and row.error is None:
            wanting.setdefault(row.source.url, []).append(row)
    urls = list(wanting)

    def arrived(index: int, fetched: Fetched) -> None:
        first, *others = wanting[urls[index]]
        first.fetched = replace(fetched, body=None)
        if fetched.body is None:
            first.error = (fetched.error or "fetch", fetched.detail or "")
        else:
            _put(first, fetched.body, spool)
        for other in others:
            other.fetched, other.error, other.picture = first.fetched, first.error, first.picture

    fetch_all(urls, options, arrived)


def _put(row: _Row, data: bytes, spool: Spool) -> None:
    try:
        row.picture = spool.put(data)
    except SampleError as error:
        row.error = (error.code, error.detail)


def _lay_out(task: ShardTask, rows: list[_Row], spool: Spool, tar: Path) -> list[Sample]:
    """Write the tar in row order, each distinct picture once, and return the samples that point into it."""
    drafts = [_sample(task, number, row) for number, row in enumerate(rows)]
    owners: dict[int, tuple[Sample, Spooled]] = {}
    for draft, row in zip(drafts, rows, strict=True):
        if draft.status == "ok" and row.picture is not None:
            owners.setdefault(row.picture.start, (draft, row.picture))

    def members() -> Iterator[tuple[str, bytes]]:
        for owner, picture in owners.values():
            yield f"{owner.sample_id}.{picture.stored.extension}", spool.get(picture)

    places = dict(zip(owners, tars.write_tar(tar, members()), strict=True))
    return [
        replace(draft, images=(_image(row.picture, places[row.picture.start]),))
        if draft.status == "ok" and row.picture is not None
        else draft
        for draft, row in zip(drafts, rows, strict=True)
    ]


def _sample(task: ShardTask, number: int, row: _Row) -> Sample:
    source, fetched = row.source, row.fetched
    sample = Sample(
        sample_id=sample_id(task.dataset, source.key),
        dataset=task.dataset,
        shard=task.shard,
        row=number,
        source_key=source.key,
        url=source.url,
        attempts=fetched.attempts if fetched else None,
        fetched_at=fetched.fetched_at if fetched else None,
        text=source.text,
        conversations=source.conversations,
        regions=source.regions,
        relations=source.relations,
        source_meta=source.meta,
    )
    try:
        if row.error is not None:
            raise SampleError(*row.error)
        if row.picture is None:
            raise SampleError("no_picture", "the row names no URL and carries no picture")
        return replace(sample, regions=_upright(source, row.picture))
    except SampleError as error:
        return replace(sample, status="failed", error=error.code, error_detail=error.detail[:500])


def _upright(source: SourceRow, picture: Spooled) -> tuple[Region, ...]:
    """Return the regions in the frame of the upright picture.

    Boxes turn with the picture when the annotators evidently saw it unturned: the size they declare has the
    shape of the raw picture and not of the upright one.

    Raises:
        SampleError: `aspect_changed`, the picture has neither shape, so it is not the one that was annotated.
    """
    declared, stored = source.declared_wh, picture.stored
    if declared is None or not source.regions or _same_shape(declared, (stored.width, stored.height)):
        return source.regions
    raw_wh = (stored.source_width, stored.source_height)
    if not _same_shape(declared, raw_wh):
        raise SampleError("aspect_changed", f"annotated {declared}, fetched {raw_wh}")
    return tuple(replace(region, boxes=_turned(region, stored.exif_orientation)) for region in source.regions)


def _turned(region: Region, orientation: int) -> tuple[tuple[float, float, float, float], ...]:
    turned = boxes.orient(np.array(region.boxes, float).reshape(-1, 4), orientation)
    return tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in turned.tolist())


def _same_shape(one_wh: tuple[int, int], other_wh: tuple[int, int]) -> bool:
    left, right = one_wh[0] * other_wh[1], other_wh[0] * one_wh[1]
    return abs(left - right) <= ASPECT_TOLERANCE * max(left, right)


def _image(picture: Spooled, place: tuple[str, int, int]) -> ImageRef:
    member, offset, size = place
    stored = picture.stored
    return ImageRef(
        member=member,
        offset=offset,
        size=size,
        sha256=picture.sha256,
        phash=stored.phash,
        format=stored.format,
        width=stored.width,
        height=stored.height,
        source_width=stored.source_width,
        source_height=stored.source_height,
        exif_orientation=stored.exif_orientation,
    )


def _judge(samples: list[Sample], min_success: float) -> Counter[str]:
    """Count the failures by cause.

    A share is judged by its error: two standard deviations below `min_success`, so that a shard of a few rows is
    not refused for one dead link.

    Raises:
        ShardError: too few rows succeeded; nothing was committed, so the next run tries the shard again.
    """
    failed = Counter(sample.error or "unknown" for sample in samples if sample.status != "ok")
    ok = len(samples) - failed.total()
    deviation = math.sqrt(len(samples) * min_success * (1 - min_success))
    if ok < min_success * len(samples) - 2 * deviation:
        causes = ", ".join(f"{code} {count}" for code, count in failed.most_common(3))
        hint = "; fetch.allow_hosts in the catalog lets them through" if failed["not_public"] else ""
        raise ShardError(f"{ok} of {len(samples)} rows ok, min_success is {min_success:g}: {causes}{hint}")
    return failed
