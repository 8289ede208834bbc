"""What a file in jobs/ may say: one sentence, *from* a dataset or *mix* of such, with few and closed keys."""

from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, field_validator

from curate.errors import ConfigError
from curate.plugins import Project, find
from curate.yamlfile import Strict, read_all

Value = bool | int | float | str


class Pictures(Strict):
    """What is stored of a picture: sides in pixels, JPEG quality where it must be encoded again."""

    max_side: Annotated[int, Field(ge=16)] | None = 2048
    min_side: Annotated[int, Field(ge=1)] = 1
    max_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    quality: Annotated[int, Field(ge=1, le=100)] = 95


class Scoring(Strict):
    """One scorer by name, with the options that its file declares."""

    name: str
    options: dict[str, Value] = Field(default_factory=dict)


class Export(Strict):
    """How a result is written: exporter, codec, file name, and whether pictures are written beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    as_: Annotated[str, Field(alias="as")]
    codec: str = "asv2"
    file: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None
    pictures: bool = True


class CurateJob(Strict):
    """from a dataset, score with, keep by, augment so, export thus."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    from_: Annotated[str, Field(alias="from")]
    ingest: Pictures = Pictures()
    score: Annotated[tuple[Scoring, ...], Field(strict=False)] = ()
    keep: dict[str, dict[str, Value]] = Field(default_factory=dict)
    augment: Annotated[tuple[tuple[str, ...], ...], Field(strict=False)] = ()
    export: Export | None = None
    seed: int = 0

    @field_validator("score", mode="before")
    @classmethod
    def _score_forms(cls, value: object) -> object:
        """Accept `clip_similarity` and `{clip_similarity: {model: tiny}}`."""
        return [_scoring(item) for item in value] if isinstance(value, list) else value

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
        return {key: params or {} for key, params in value.items()} if isinstance(value, dict) else value


class Component(Strict):
    """One part of a mix: the curated samples of a job, `epochs` times over or `samples` of them exactly."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    from_: Annotated[str, Field(alias="from")]
    derived: str | None = None
    epochs: Annotated[float, Field(gt=0, strict=False)] | None = None
    samples: Annotated[int, Field(ge=1)] | None = None


class Tokens(Strict):
    """How long a sample is: picture tokens of `model`, text tokens of `tokenizer`, at most `max` together."""

    model: str = "llava-1.5-336"
    tokenizer: str = "clip"
    max: Annotated[int, Field(ge=1)] = 2048


class Pack(Strict):
    """Packs of at most `length` tokens."""

    length: Annotated[int, Field(ge=1)] = 4096


class MixJob(Strict):
    """mix these components, in packs of balanced token length, and export thus."""

    mix: dict[str, Component]
    tokens: Tokens = Tokens()
    pack: Pack = Pack()
    export: Export | None = None
    seed: int = 0

    @field_validator("mix")
    @classmethod
    def _some(cls, value: dict[str, Component]) -> dict[str, Component]:
        if not value:
            raise ValueError("a mix needs at least one component")
        return value


Job = CurateJob | MixJob


def _scoring(item: object) -> object:
    if isinstance(item, str):
        return {"name": item}
    if isinstance(item, dict) and len(item) == 1:
        [(name, options)] = item.items()
        return {"name": name, "options": options or {}}
    return item


def job_path(name: str, project: Project, where: str = "") -> Path:
    """Return the file that `name` means: a path (`jobs/cc12m.yaml`), or a name of the project (`cc12m`).

    Raises:
        ConfigError: neither exists; the hint names the nearest.
    """
    if Path(name).suffix == ".yaml" and Path(name).is_file():
        return Path(name)
    return find("jobs", Path(name).stem, project, where)


def read_job(path: Path) -> tuple[Job | None, list[ConfigError]]:
    """Read a job, and return it, or None with every mistake in its file."""
    mixes = any(line.startswith("mix:") for line in _lines(path))
    return read_all(path, MixJob) if mixes else read_all(path, CurateJob)


def load_job(path: Path) -> Job:
    """Read a job.

    Raises:
        ConfigError: the first mistake in its file.
    """
    job, mistakes = read_job(path)
    if job is None:
        raise mistakes[0]
    return job


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
