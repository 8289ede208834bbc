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
    model_validator,
)

from curate import recipes
from curate.errors import ConfigError
from curate.plugins import NAME, Project, find
from curate.yamlfile import Strict, read_all

MAX_EPOCHS = 1000
"""A mix that draws a sample more often is a mistake."""

MAX_PACK_TOKENS = 1 << 20
"""The packer keeps one list per token of room."""


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


class Export(Strict):
    """How a result is written: exporter, codec, file name, whether pictures are written beside it, under which names.

    Of phrases that overlap `phrases` says which are written; without it the codec chooses the longest.
    `layout: asv2` names pictures as their source does, below `playground/data`; without it they lie in `images`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    as_: Annotated[str, Field(alias="as")]
    codec: str = "asv2"
    file: Annotated[str, Field(pattern=r"^\w[\w.-]*$")] | None = None
    pictures: bool = True
    layout: Literal["asv2"] | None = None
    phrases: Literal["longest", "shortest", "best_score"] | None = None

    @field_validator("file")
    @classmethod
    def _not_ours(cls, value: str | None) -> str | None:
        if value in ("manifest.json", "images", "playground"):
            raise ValueError("is a name that the export needs itself")
        return value


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


Many = Annotated[float, Field(gt=0, le=MAX_EPOCHS, strict=False, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, strict=False, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, strict=False, allow_inf_nan=False)]


class Component(Strict):
    """One part of a mix: the curated samples of a job, `epochs` times over, `samples` of them, or a share of a budget.

    `from` may be a file of LLaVA-style records instead (.json, .jsonl), with `${VARIABLES}`: its texts are in the
    written form `codec`, its pictures below the folder `images`; both are the mix's own where they are not given.
    `weight` is its share of the budget, `max_epochs` and `family` bound it; `per_picture` is how many samples of one
    picture a pass draws at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    from_: Annotated[str, Field(alias="from")]
    derived: str | None = None
    codec: str | None = None
    images: str | None = None
    epochs: Many | None = None
    samples: Annotated[int, Field(ge=1)] | None = None
    weight: Weight | None = None
    max_epochs: Many | None = None
    family: str | None = None
    per_picture: Annotated[int, Field(ge=1)] | None = None

    def is_file(self) -> bool:
        """Tell whether it is a file of records, not a job."""
        return self.from_.endswith((".json", ".jsonl"))


class PictureFolders(Strict):
    """Where the pictures of a mix's files lie, and how many each folder below it should hold."""

    root: str
    folders: dict[str, Annotated[int, Field(ge=1)] | None] = Field(default_factory=dict)


class Budget(Strict):
    """How large the whole is, in tokens or samples, and how it is shared by those that name no count of their own.

    By weight, else by size to the power of `temperature`. `families` bounds what each family may take of it.
    """

    tokens: Annotated[int, Field(ge=1)] | None = None
    samples: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=4, strict=False, allow_inf_nan=False)] = 1.0
    families: dict[str, Share] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one(self) -> "Budget":
        if (self.tokens is None) == (self.samples is None):
            raise ValueError("give tokens or samples")
        return self


class Tokens(Strict):
    """How long a sample is: picture tokens of `model`, text of `tokenizer` under a chat template, `max` in all."""

    model: str = "llava-1.5-336"
    tokenizer: str = "clip"
    template: str = "vicuna_v1"
    max: Annotated[int, Field(ge=1)] = 2048


class Pack(Strict):
    """Packs of at most `length` tokens, and where they are given so many vision tiles and samples.

    Tokens of a sample count in multiples of `align`. `by` names the packers to try; by default all.
    """

    length: Annotated[int, Field(ge=1, le=MAX_PACK_TOKENS)] = 4096
    tiles: Annotated[int, Field(ge=1)] | None = None
    samples: Annotated[int, Field(ge=1)] | None = None
    align: Annotated[int, Field(ge=1)] = 1
    by: Annotated[tuple[str, ...], Field(strict=False)] | None = None


class Steps(Strict):
    """Global batches: `ranks` devices, each with `per_rank` packs a step.

    `curves` weighs components over the run: points of progress (0 to 1) and weight, straight lines between them.
    """

    ranks: Annotated[int, Field(ge=1)] = 1
    per_rank: Annotated[int, Field(ge=1)] = 1
    curves: dict[str, Annotated[tuple[tuple[float, float], ...], Field(strict=False)]] = Field(default_factory=dict)


class MixJob(Strict):
    """mix these components, in packs of balanced token length, and export thus.

    `mix` may name a recipe of another trainer instead, see `recipes`.
    """

    mix: dict[str, Component]
    pictures: PictureFolders | None = None
    budget: Budget | None = None
    tokens: Tokens = Tokens()
    pack: Pack = Pack()
    layout: Steps = Steps()
    export: Export | None = None
    seed: int = 0

    @field_validator("mix", mode="before")
    @classmethod
    def _recipe(cls, value: object) -> object:
        return recipes.components(value) if isinstance(value, str) else value

    @field_validator("mix")
    @classmethod
    def _some(cls, value: dict[str, Component]) -> dict[str, Component]:
        if not value:
            raise ValueError("a mix needs at least one component")
        return value


Job = CurateJob | MixJob


def jobs_below(job: MixJob) -> list[str]:
    """Return the jobs that a mix draws from, each once, in order."""
    return list(dict.fromkeys(component_job(each.from_) for each in job.mix.values() if not each.is_file()))


def component_job(reference: str) -> str:
    """Return the name of the job that a component draws from: `jobs/grit`, `jobs/grit.yaml` → `grit`."""
    return reference.removeprefix("jobs/").removesuffix(".yaml")


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
