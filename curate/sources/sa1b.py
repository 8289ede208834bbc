"""SA-1B: tars of pictures, each with a JSON of masks beside it; the tars are named by a licence-gated list.

Format: https://github.com/facebookresearch/segment-anything#dataset
The list is a TSV with the columns `file_name` and `cdn_link`. Its links are signed, personal and expire, so a
shard is named `<list>#tar=<file_name>`: the link is looked up when the shard is read, and again when it is refused
half-way, so a renewed list resumes the same plan, and the same tar when its size is the same.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from curate.errors import ConfigError, SampleError, ShardError
from curate.io import ranged, storage, tars
from curate.sample import Region, SourceRow
from curate.shards import ShardInput

MAX_MEMBER_BYTES = 256 << 20
MAX_WAITING_BYTES = 512 << 20
"""How much of pictures and JSONs may wait for their other half; usually the two are neighbours."""
MAX_LIST_BYTES = 64 << 20
RENEWED = (".tsv",)
"""Files that may change between the runs of one plan: lists of links that expire."""
_MAX_BOX = 1000.0
"""In widths and heights of the picture, where boxes are from 0 to 1."""
_MARK = "#tar="
_PICTURES = (".jpg", ".jpeg")
_KEPT = ("id", "area", "predicted_iou", "stability_score")


def plan(uris: Sequence[str], shard_rows: int) -> Iterator[ShardInput]:
    """Yield one shard per tar, in the order given and listed; `shard_rows` does not matter, rows are unknown.

    Raises ConfigError for a list that is missing or malformed, and for two tars of one name.
    """
    seen: set[str] = set()
    for uri in uris:
        names = [uri] if _path(uri).endswith(".tar") else [f"{uri}{_MARK}{name}" for name in _links(uri)]
        for name in names:
            stem = _stem(name)
            if stem in seen:
                raise ConfigError(f"two tars are named {stem}", file=uri, hint="keys begin with the tar's name")
            seen.add(stem)
            yield ShardInput(name)


def rows(part: ShardInput) -> Iterator[SourceRow]:
    """Yield a row per picture or JSON stem, in the order in which pairs complete; key `<tar stem>/<stem>`.

    Each annotation is one Region without a phrase: its `bbox` (x, y, w, h in pixels) as normalised xyxy,
    score predicted_iou, tag `mask`; the RLE strings stand in `meta`. A second file of a name is passed over.
    Codes: `no_annotation`, `no_picture` (the other half is absent, or more than MAX_WAITING_BYTES away),
    `bad_json`, `too_large` (a file above MAX_MEMBER_BYTES). Raises, after the sound rows, ShardError for a broken or
    changed tar and for a link that has expired, OutsideError for a store that keeps failing.
    """
    stem = _stem(part.uri)
    try:
        with _open(part.uri) as stream:
            for name, data in _pairs(tars.tar_members(stream, (*_PICTURES, ".json"), MAX_MEMBER_BYTES)):
                # Some copies were packed with the folder that has the tar's own name.
                yield _row(f"{stem}/{name.removeprefix(stem + '/')}", data)
    except (FileNotFoundError, ConfigError) as error:
        raise ShardError(f"{part.uri}: cannot be opened: {error}") from error


@dataclass(frozen=True, slots=True)
class _Pair:
    """What was found under one stem; `cut` when it could not wait any longer, `large` when it was not read."""

    picture: bytes | None = None
    annotation: bytes | None = None
    cut: bool = False
    large: bool = False

    @property
    def size(self) -> int:
        return len(self.picture or b"") + len(self.annotation or b"")


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Halves that wait, oldest first, and the stems that are done with."""

    halves: dict[str, _Pair] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def add(self, stem: str, suffix: str, data: bytes) -> _Pair | None:
        """Return the pair that this file completes."""
        old = self.halves.pop(stem, _Pair())
        if suffix == ".json":
            pair = _Pair(old.picture, data if old.annotation is None else old.annotation)
        else:
            pair = _Pair(data if old.picture is None else old.picture, old.annotation)
        if pair.picture is None or pair.annotation is None:
            self.halves[stem] = pair
            return None
        self.done.add(stem)
        return pair

    def oldest(self) -> str:
        return next(iter(self.halves))


def _pairs(members: Iterator[tuple[str, bytes | None]]) -> Iterator[tuple[str, _Pair]]:
    """Yield (stem, pair) as pairs complete, then what stayed alone; memory is bounded."""
    waiting, held = _Waiting(), 0
    for name, data in members:
        stem, dot, suffix = name.rpartition(".")
        if stem in waiting.done:
            continue
        before = waiting.halves[stem].size if stem in waiting.halves else 0
        if data is None:
            waiting.halves.pop(stem, None)
            waiting.done.add(stem)
            held -= before
            yield stem, _Pair(large=True)
            continue
        pair = waiting.add(stem, dot + suffix, data)
        if pair is not None:
            held -= before
            yield stem, pair
            continue
        held += waiting.halves[stem].size - before
        while held > MAX_WAITING_BYTES:
            oldest = waiting.oldest()
            half = waiting.halves.pop(oldest)
            held -= half.size
            # Its other half may still come: it must not make a second row of the same key.
            waiting.done.add(oldest)
            yield oldest, _Pair(half.picture, half.annotation, cut=True)
    yield from waiting.halves.items()


def _row(key: str, pair: _Pair) -> SourceRow:
    if pair.large:
        return SourceRow(key, error=("too_large", f"a file of more than {MAX_MEMBER_BYTES} bytes"))
    where = f"not within {MAX_WAITING_BYTES} bytes" if pair.cut else "not in the tar"
    if pair.annotation is None:
        return SourceRow(key, error=("no_annotation", f"JSON {where}"))
    if pair.picture is None:
        return SourceRow(key, error=("no_picture", f"JPEG {where}"))
    try:
        size_wh, regions, meta = _annotation(pair.annotation)
    except SampleError as error:
        return SourceRow(key, picture=pair.picture, error=(error.code, error.detail))
    return SourceRow(key, picture=pair.picture, declared_wh=size_wh, regions=regions, meta=meta)


def _annotation(data: bytes) -> tuple[tuple[int, int], tuple[Region, ...], str]:
    """Return the picture's (width, height), a Region per mask, and the meta JSON."""
    try:
        record = json.loads(data)
        image, masks = record["image"], record["annotations"]
        size_wh = (int(image["width"]), int(image["height"]))
        if min(size_wh) < 1:
            raise SampleError("bad_json", f"a picture of {size_wh[0]}x{size_wh[1]}")
        regions = tuple(_region(mask, size_wh) for mask in masks)
        meta = {"image_id": image.get("image_id"), "annotations": [_kept(mask) for mask in masks]}
        return size_wh, regions, json.dumps(meta, allow_nan=False)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise SampleError("bad_json", f"{type(error).__name__}: {error}"[:200]) from error


def _region(mask: Any, size_wh: tuple[int, int]) -> Region:
    x, y, w, h = (float(value) for value in mask["bbox"])
    width, height = size_wh
    box = (x / width, y / height, (x + w) / width, (y + h) / height)
    # NaN compares as false, hence not "any above".
    if not all(abs(value) <= _MAX_BOX for value in box):
        raise ValueError("bbox is not finite, or far outside the picture")
    score = mask.get("predicted_iou")
    if score is not None and (isinstance(score, bool | str) or not math.isfinite(score)):
        raise ValueError("predicted_iou is not a finite number")
    return Region("", (box,), score=None if score is None else float(score), tags=("mask",))


def _kept(mask: Any) -> dict[str, Any]:
    """Return what a mask says beyond its box; `size` is (height, width), `counts` COCO's compressed RLE."""
    rle = mask.get("segmentation") or {}
    kept = {name: mask.get(name) for name in _KEPT}
    return {**kept, "size": rle.get("size"), "counts": rle.get("counts")}


def _links(uri: str) -> dict[str, str]:
    """Return file name -> link of a list."""
    hint = "a TSV with the header file_name<tab>cdn_link, as the licence page gives it"
    try:
        data = storage.read_bytes(uri, 0, MAX_LIST_BYTES)
        lines = data.decode("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise ConfigError("no such list of links", file=uri, hint=hint) from None
    except UnicodeDecodeError:
        raise ConfigError("the list of links is not text", file=uri, hint=hint) from None
    header = lines[0].split("\t") if lines else []
    if "file_name" not in header or "cdn_link" not in header:
        raise ConfigError("not a list of links", file=uri, where="line 1", hint=hint)
    name_at, link_at = header.index("file_name"), header.index("cdn_link")
    links: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if not line.strip():
            continue
        if len(cells) != len(header) or not cells[name_at].strip() or not cells[link_at].strip():
            raise ConfigError(f"{len(cells)} cells", file=uri, where=f"line {number}", hint=hint)
        if cells[name_at].strip() in links:
            raise ConfigError(f"{cells[name_at]} is listed twice", file=uri, where=f"line {number}")
        links[cells[name_at].strip()] = cells[link_at].strip()
    # The released list also names a few files that are not tars (checksums, the licence).
    return {name: link for name, link in links.items() if name.endswith(".tar")}


def _open(uri: str) -> BinaryIO:
    """Open a tar: on a disk as it is, elsewhere as a stream that asks for its link again when that is refused."""
    link = _resolve(uri)
    if storage.local_path(link) is not None:
        return storage.open_read(link)
    source, mark, _ = uri.rpartition(_MARK)
    if not mark:
        return ranged.open_read(link)
    hint = f"put a fresh list at {source} and run again; committed shards are kept"
    return ranged.open_read(link, uri, partial(_resolve, uri), hint)


def _resolve(uri: str) -> str:
    """Return where the tar lies now."""
    source, mark, name = uri.rpartition(_MARK)
    if not mark:
        return uri
    links = _links(source)
    if name not in links:
        raise ShardError(f"{source}: no longer lists {name}")
    return links[name]


def _path(uri: str) -> str:
    return urlsplit(uri).path if uri.startswith(("http://", "https://")) else uri


def _stem(uri: str) -> str:
    return PurePosixPath(_path(uri.rpartition(_MARK)[2])).stem
