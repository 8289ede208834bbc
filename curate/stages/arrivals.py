"""Rows on their way into a shard: read from the source, their pictures fetched, then drafted as samples."""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from curate import plugins
from curate.errors import SampleError
from curate.io.fetch import Fetched, FetchOptions, fetch_all
from curate.kernels import boxes
from curate.plugins import Project
from curate.sample import ImageRef, Region, Sample, SourceRow, sample_id
from curate.shards import ShardTask
from curate.stages.spool import Spool, Spooled

ASPECT_TOLERANCE = 0.03
"""How far the shape of a picture may stray from the one that was annotated before it is another picture."""


@dataclass(slots=True)
class Arrival:
    """Row `number` of a shard on its way, with its picture or the reason that there is none."""

    number: int
    source: SourceRow
    picture: Spooled | None = None
    error: tuple[str, str] | None = None
    fetched: Fetched | None = None


Places = list[tuple[str, int, int]]
"""Of the members of a tar, in order: name, offset and size of the data in bytes."""


def read(
    origin: tuple[str, Project], task: ShardTask, spool: Spool, wanted: Container[int] | None = None
) -> list[Arrival]:
    """Read the rows of a shard, or the wanted ones, from the source that `origin` names.

    A picture that the source itself carries goes to the spool at once, not to memory.
    """
    source = plugins.load("sources", *origin)
    arrivals: list[Arrival] = []
    keys: set[str] = set()
    for number, found in enumerate(islice(source.rows(task.work), task.rows)):
        arrival = Arrival(number, replace(found, picture=None), error=found.error)
        if found.key in keys:
            arrival.error = ("duplicate_key", f"another row of the shard has the key {found.key}")
            arrival.source = replace(arrival.source, key=f"{found.key}#{number}")
        keys.add(arrival.source.key)
        if wanted is not None and number not in wanted:
            continue
        if found.picture is not None and arrival.error is None:
            _put(arrival, found.picture, spool)
        arrivals.append(arrival)
    return arrivals


def fetch(options: FetchOptions, arrivals: Sequence[Arrival], spool: Spool) -> None:
    """Fetch each distinct URL once; rows that name the same URL share its picture."""
    wanting: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        if arrival.source.url is not None and arrival.error is None:
            wanting.setdefault(arrival.source.url, []).append(arrival)
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


def _put(arrival: Arrival, data: bytes, spool: Spool) -> None:
    try:
        arrival.picture = spool.put(data)
    except SampleError as error:
        arrival.error = (error.code, error.detail)


def lay_out(
    task: ShardTask,
    arrivals: Sequence[Arrival],
    spool: Spool,
    write: Callable[[Iterator[tuple[str, bytes]]], Places],
) -> list[Sample]:
    """Give the pictures, each distinct one once, in row order to `write`; return the samples that point to them."""
    drafts = [_draft(task, arrival) for arrival in arrivals]
    owners: dict[int, tuple[Sample, Spooled]] = {}
    for draft, arrival in zip(drafts, arrivals, strict=True):
        if draft.status == "ok" and arrival.picture is not None:
            owners.setdefault(arrival.picture.start, (draft, arrival.picture))

    def members() -> Iterator[tuple[str, bytes]]:
        for owner, picture in owners.values():
            yield f"{owner.sample_id}.{picture.stored.extension}", spool.get(picture)

    places = dict(zip(owners, write(members()), strict=True))
    return [
        replace(draft, images=(_image(arrival.picture, places[arrival.picture.start]),))
        if draft.status == "ok" and arrival.picture is not None
        else draft
        for draft, arrival in zip(drafts, arrivals, strict=True)
    ]


def _draft(task: ShardTask, arrival: Arrival) -> Sample:
    source, fetched = arrival.source, arrival.fetched
    sample = Sample(
        sample_id=sample_id(task.dataset, source.key),
        dataset=task.dataset,
        shard=task.shard,
        row=arrival.number,
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
        if arrival.error is not None:
            raise SampleError(*arrival.error)
        if arrival.picture is None:
            raise SampleError("no_picture", "the row names no URL and carries no picture")
        return replace(sample, regions=_upright(source, arrival.picture))
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
