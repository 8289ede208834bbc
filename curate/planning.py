"""The plan of a dataset: its ordered shards, made once, written first, and never mixed with another."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from curate import plugins
from curate.catalog import Catalog, expand
from curate.digests import digest_of
from curate.errors import ConfigError
from curate.io import storage
from curate.job import Pictures
from curate.layout import Layout
from curate.plugins import Project
from curate.shards import ShardInput

SCHEMA = "curate.plan/1"
STAMP_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Plan:
    """The shards of a dataset in order; `made_from` is everything that decided them and their content."""

    shards: tuple[ShardInput, ...]
    made_from: dict[str, Any]

    @property
    def digest(self) -> str:
        """The identity of the plan."""
        return digest_of([self.made_from, [asdict(shard) for shard in self.shards]])


def make(layout: Layout, catalog: Catalog, project: Project, pictures: Pictures, limit: int | None) -> Plan:
    """Return the plan of a dataset: the one that stands under the root, or a new one, written first.

    A standing plan grows with its limit: its shards stay as they are, more follow.

    Raises:
        ConfigError: the standing plan was made from something else (the message names what changed), or there
            is nothing to plan.
    """
    plan = draft(layout, catalog, project, pictures, limit)
    if _written(layout) != plan.digest:
        body = {"schema": SCHEMA, "digest": plan.digest, "made_from": plan.made_from}
        shards = [asdict(shard) for shard in plan.shards]
        storage.write_bytes(layout.plan, json.dumps({**body, "shards": shards}, indent=1).encode())
    return plan


def draft(layout: Layout, catalog: Catalog, project: Project, pictures: Pictures, limit: int | None) -> Plan:
    """Return what `make` would, and write nothing.

    Raises:
        ConfigError: as `make` does.
    """
    uris = _files(catalog, layout.dataset, project)
    source = plugins.load("sources", catalog.source, project)
    renewed: tuple[str, ...] = getattr(source, "RENEWED", ())
    made_from: dict[str, Any] = {
        "source": catalog.source,
        "files": [[uri, *_stamp(uri, renewed)] for uri in uris],
        "revision": catalog.revision,
        "shard_rows": catalog.shard_rows,
        "limit": limit,
        "pictures": pictures.model_dump(),
    }
    standing = _standing(layout, made_from)
    if standing is not None and standing.made_from["limit"] == limit:
        return standing
    plan = Plan(tuple(_limited(source.plan(uris, catalog.shard_rows), limit)), made_from)
    if not plan.shards:
        raise ConfigError(f"{layout.dataset} has no rows", hint=f"looked in {', '.join(uris)}")
    if standing is not None and plan.shards[: len(standing.shards)] != standing.shards:
        was, now = _brief(standing.made_from["limit"]), _brief(limit)
        raise ConfigError(
            f"{layout.dataset} was begun with another plan: limit was {was}, now {now}",
            file=layout.plan,
            hint=f"a limit grows where it ended a shard of {catalog.shard_rows} rows; else give another --root",
        )
    return plan


def read(layout: Layout) -> Plan:
    """Return the standing plan of a dataset.

    Raises:
        ConfigError: there is none, or it is damaged.
    """
    try:
        found = json.loads(storage.read_bytes(layout.plan))
        plan = Plan(tuple(ShardInput(**shard) for shard in found["shards"]), found["made_from"])
    except FileNotFoundError as error:
        raise ConfigError(f"{layout.dataset} has no plan", file=layout.plan, hint="curate run a job on it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"the plan is damaged: {error!r}", file=layout.plan) from error
    if plan.digest != found.get("digest"):
        raise ConfigError("the plan is damaged: its digest does not fit", file=layout.plan)
    return plan


def _written(layout: Layout) -> str | None:
    """Return the digest of the plan under the root; None where there is none that can be read."""
    try:
        return read(layout).digest
    except ConfigError:
        return None


def _standing(layout: Layout, made_from: dict[str, Any]) -> Plan | None:
    """Return the plan under the root; None where there is none, or where no shard of it is committed yet.

    Raises:
        ConfigError: it was made from something else than `made_from`, the limit apart.
    """
    if not storage.list_names(layout.samples(), ".parquet"):
        return None
    plan = read(layout)  # shards without the plan that made them are damage, never a fresh start
    wanted = json.loads(json.dumps(made_from))
    changed = [key for key in wanted if key != "limit" and wanted[key] != plan.made_from.get(key)]
    if changed:
        pairs = {key: _difference(plan.made_from.get(key), wanted[key]) for key in changed}
        said = "; ".join(f"{key} was {_brief(was)}, now {_brief(now)}" for key, (was, now) in pairs.items())
        raise ConfigError(
            f"{layout.dataset} was begun with another plan: {said}",
            file=layout.plan,
            hint="put the old value back, or give another --root; plans are never mixed",
        )
    return plan


def _difference(was: Any, now: Any) -> tuple[Any, Any]:
    """Leave out what two mappings or two lists have in common."""
    if isinstance(was, dict) and isinstance(now, dict):
        changed = [key for key in {**was, **now} if was.get(key) != now.get(key)]
        return {key: was.get(key) for key in changed}, {key: now.get(key) for key in changed}
    if isinstance(was, list) and isinstance(now, list):
        return [item for item in was if item not in now], [item for item in now if item not in was]
    return was, now


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _files(catalog: Catalog, dataset: str, project: Project) -> Sequence[str]:
    """Return the files of a dataset, patterns expanded, in order; a relative path starts at the project's folder.

    Raises:
        ConfigError: a pattern or a local path finds nothing.
    """
    found: list[str] = []
    for template in catalog.uri:
        uri = expand(template, f"catalogs/{dataset}.yaml")
        uri = uri if "://" in uri else str(Path(project.folder) / uri)
        matches = storage.glob(uri) if any(sign in uri.split("?")[0] for sign in "*[") else [uri]
        local = storage.local_path(uri)
        if not matches or (local is not None and len(matches) == 1 and matches[0] == uri and not local.is_file()):
            raise ConfigError(f"nothing at {uri}", file=f"catalogs/{dataset}.yaml", where="uri")
        found += matches
    return found


def _stamp(uri: str, renewed: tuple[str, ...]) -> tuple[int, str] | tuple[()]:
    """Return a local file's size and the digest of its first and last bytes: a changed input must not pass.

    Nothing for lists of links, which are renewed while the data stay, and for files elsewhere.
    """
    if storage.local_path(uri) is None or uri.endswith(renewed):
        return ()
    size = storage.size(uri)
    ends = storage.read_bytes(uri, 0, STAMP_BYTES) + storage.read_bytes(uri, max(0, size - STAMP_BYTES), STAMP_BYTES)
    return size, hashlib.blake2b(ends, digest_size=8).hexdigest()


def _limited(shards: Iterator[ShardInput], limit: int | None) -> Iterator[ShardInput]:
    """Cut a plan after `limit` rows; a shard of unknown length is taken to hold them all."""
    left = limit
    for shard in shards:
        if left is None:
            yield shard
            continue
        if left <= 0:
            return
        rows = left if shard.rows is None else min(shard.rows, left)
        yield shard if rows == shard.rows else replace(shard, rows=rows)
        left -= rows
