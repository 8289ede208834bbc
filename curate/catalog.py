"""What a file in catalogs/ may say: one dataset, where it is, how it is read and what to expect of it."""

import os
import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from curate.errors import ConfigError
from curate.plugins import Project, find
from curate.yamlfile import Strict, read_model

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
RESERVED = frozenset({"jobs", "mixes", "lengths", "gates", "runs", "exports", "world"})
"""Folder names of a root that no dataset may take."""


class Fetch(Strict):
    """How politely and how patiently pictures are downloaded; seconds and bytes."""

    timeout_s: Annotated[float, Field(gt=0, le=86_400)] = 20.0
    max_bytes: Annotated[int, Field(gt=0, le=2**34)] = 32 * 2**20
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 64
    per_host: Annotated[int, Field(ge=1, le=10_000)] = 16
    allow_hosts: Annotated[tuple[str, ...], Field(strict=False)] = ()
    per_host_rate: Annotated[float, Field(gt=0)] | None = None
    host_failures: Annotated[int, Field(ge=0)] = 8
    user_agent: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[!-~]+ [ -~]*(@|https?://)[ -~]+$")] | None = None
    robots: Literal["respect", "ignore"] = "respect"
    robots_reason: str = ""

    @model_validator(mode="after")
    def _ignored_for_a_reason(self) -> "Fetch":
        if self.robots == "ignore" and not self.robots_reason.strip():
            raise ValueError("robots: ignore needs a robots_reason, such as the owner's permission")
        return self

    def options(self) -> dict[str, Any]:
        """Return what `io.fetch.FetchOptions` takes."""
        return self.model_dump(exclude={"robots_reason"}, exclude_none=True)


class Catalog(Strict):
    """One dataset. `rows` and `min_success` are what its publishers and past downloads lead one to expect."""

    source: str
    uri: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False, min_length=1)]
    revision: str = ""
    licence: str
    citation: str = ""
    homepage: str = ""
    rows: Annotated[int, Field(ge=0)] | None = None
    min_success: Annotated[float, Field(ge=0, le=1)] = 0.0
    shard_rows: Annotated[int, Field(ge=1, le=100_000)] = 1000
    fetch: Fetch = Fetch()

    @field_validator("uri", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


def load_catalog(name: str, project: Project, where: str = "") -> Catalog:
    """Read catalogs/NAME.yaml.

    Raises:
        ConfigError: no such dataset, or a mistake in its file.
    """
    if name in RESERVED:
        raise ConfigError(f'"{name}" cannot be the name of a dataset', where=where)
    path = find("datasets", name, project, where)
    return read_model(path, Catalog)


def expand(text: str, file: str, where: str = "uri") -> str:
    """Replace ${NAME} and ${NAME:-default} by the environment's values; `file` and `where` tell where it stands.

    Raises:
        ConfigError: a variable is not set and has no default.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        found = os.environ.get(name, default)
        if found is None:
            raise ConfigError(
                f"the environment variable {name} is not set",
                file=file,
                where=where,
                hint=f"export {name}=... and run again",
            )
        return found

    return _VARIABLE.sub(value, text)
