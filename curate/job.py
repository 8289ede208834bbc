"""What a file in jobs/ may say: one sentence, *from* a dataset or *mix* of such, with few and closed keys."""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    field_validator,
)

from curate.errors import ConfigError
from curate.export_job import Export
from curate.mix_job import MixJob
from curate.plugins import NAME, Project, find
from curate.yamlfile import Strict, read_all


def _value(value: object) -> object:
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("must be a text, a finite number, true or false")
    return value


Value = Annotated[bool | int | float | str, PlainValidator(_value)]
"""What an option or a parameter may be."""


class Pictures(Strict):
    """What is stored of a picture: sides in pixels, JPEG quality where it must be encoded again, how it shrinks."""

    max_side: Annotated[int, Field(ge=16)] | None = 2048
    short_side: Annotated[int, Field(ge=16)] | None = None
    min_side: Annotated[int, Field(ge=1)] = 1
    max_pixels: Annotated[int, Field(ge=1)] = 64_000_000
    quality: Annotated[int, Field(ge=1, le=100)] = 95
    decode: Literal["exact", "fast"] = "exact"


class Scoring(Strict):
    """One scorer by name, with the options that its file declares."""

    name: str
    options: dict[str, Value] = Field(default_factory=dict)


def _scoring(item: object) -> object:
    """Accept `clip_similarity` and `{clip_similarity: {model: tiny}}`."""
    if isinstance(item, str):
        return {"name": item}
    if isinstance(item, dict) and len(item) == 1:
        [(name, options)] = item.items()
        return {"name": name, "options": {} if options is None else options}
    if isinstance(item, Scoring):
        return item
    raise ValueError("must be a scorer's name, or one name with its options")


def _steps(chain: tuple[str, ...]) -> tuple[str, ...]:
    if not chain:
        raise ValueError("an augmentation needs at least one step")
    return chain


class Children(Strict):
    """How children are made: with pixels of their own or `virtual`, JPEGs mirrored the best way or alike everywhere.

    `flip: auto` uses libturbojpeg where the machine has it, so that bytes depend on the machine; `reencode` does not.
    """

    pixels: Literal["write", "virtual"] = "write"
    flip: Literal["auto", "reencode"] = "auto"


class CurateJob(Strict):
    """from a dataset, score with, keep by, augment so, export thus."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    from_: Annotated[str, Field(alias="from")]
    ingest: Pictures = Pictures()
    score: Annotated[tuple[Annotated[Scoring, BeforeValidator(_scoring)], ...], Field(strict=False)] = ()
    keep: dict[str, dict[str, Value]] = Field(default_factory=dict)
    augment: Annotated[tuple[Annotated[tuple[str, ...], AfterValidator(_steps)], ...], Field(strict=False)] = ()
    children: Children = Children()
    export: Export | None = None
    seed: int = 0

    @field_validator("augment", mode="before")
    @classmethod
    def _augment_forms(cls, value: object) -> object:
        """Accept `hflip` (one step) and `[square_pad, hflip]` (a chain that makes one child)."""
        if not isinstance(value, list):
            return value
        return tuple(
            (item,) if isinstance(item, str) else tuple(item) if isinstance(item, list) else item for item in value
        )

    @field_validator("keep", mode="before")
    @classmethod
    def _keep_forms(cls, value: object) -> object:
        """Accept `has_boxes:` with nothing after it for a filter without parameters."""
        if not isinstance(value, dict):
            return value
        return {key: {} if params is None else params for key, params in value.items()}


Job = CurateJob | MixJob


def job_path(name: str, project: Project, where: str = "") -> Path:
    """Return the file that `name` means: a path (`jobs/cc12m.yaml`), or a name of the project (`cc12m`).

    Raises:
        ConfigError: neither exists; the hint names the nearest.
    """
    path = Path(name)
    if path.suffix == ".yaml" and path.is_file():
        if not NAME.match(path.stem):
            raise ConfigError(
                f'"{path.stem}" cannot be the name of a job', hint="letters, digits, _ . - and no dot first"
            )
        return path
    if path.parent not in (Path(), Path("jobs")):
        raise ConfigError(f"no job at {name}", where=where, hint="a file, or the name of a job of the project")
    return find("jobs", path.name.removesuffix(".yaml"), project, where)


def read_job(path: Path) -> tuple[Job | None, list[ConfigError]]:
    """Read a job, and return it, or None with every mistake in its file."""
    return read_all(path, CurateJob, {"mix": MixJob})


def load_job(path: Path) -> Job:
    """Read a job.

    Raises:
        ConfigError: the first mistake in its file.
    """
    job, mistakes = read_job(path)
    if job is None:
        raise mistakes[0]
    return job
