"""Manifests and books: immutable records of an output, in which every row is accounted for."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from curate.errors import CurateError

SCHEMA = "curate.manifest/1"


class UnbalancedError(CurateError):
    """Rows were lost or doubled: a bug or damage, never to be passed over."""


@dataclass(frozen=True, slots=True)
class Books:
    """Rows of one output: read = ok + failed (by cause); ok = kept + dropped (by reason) + undecided.

    `undecided` rows lie in shards whose scorer or filter failed: neither kept nor dropped, yet not lost.
    """

    read: int
    ok: int
    failed: dict[str, int] = field(default_factory=dict)
    kept: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    undecided: int = 0

    def balance(self) -> None:
        """Check both equations.

        Raises:
            UnbalancedError: one does not hold; the message shows the figures.
        """
        if self.read != self.ok + sum(self.failed.values()):
            raise UnbalancedError(f"read {self.read} != ok {self.ok} + failed {sum(self.failed.values())}")
        if self.kept is not None and self.ok != self.kept + sum(self.dropped.values()) + self.undecided:
            dropped = sum(self.dropped.values())
            raise UnbalancedError(f"ok {self.ok} != kept {self.kept} + dropped {dropped} + undecided {self.undecided}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an output is: its plan, its books, the content digest of each shard, and what it was made from.

    `parents` maps the name of an input to the digest of its manifest; `facts` holds whatever else the output
    wants to state. `versions` is not part of the digest: the same content is the same output.
    """

    name: str
    plan: str
    books: Books
    shards: dict[str, str]
    parents: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return the manifest as JSON, keys in order."""
        return (json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, sort_keys=True) + "\n").encode()


def from_json(data: bytes) -> Manifest:
    """Read a manifest back.

    Raises:
        ValueError: not a manifest of this version.
    """
    found: Mapping[str, Any] = json.loads(data)
    if found.get("schema") != SCHEMA:
        raise ValueError(f"not a {SCHEMA}: {found.get('schema')!r}")
    values = {key: value for key, value in found.items() if key not in ("schema", "books")}
    return Manifest(**values, books=Books(**found["books"]))
