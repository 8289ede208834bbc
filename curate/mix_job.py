"""What a file in jobs/ that mixes may say: components, budget, gate, token model, packs and steps."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from curate import recipes
from curate.export_job import Export
from curate.yamlfile import Strict

MAX_EPOCHS = 1000
"""A mix that draws a sample more often is a mistake."""

COMPONENT = r"\w[\w.+-]{0,99}"
"""Names of components are names of folders below the root, too."""

LISTS = (".json", ".jsonl", ".csv", ".tsv", ".parquet")
"""Endings of what is a file that lists a benchmark's pictures, not an ingested dataset."""

MAX_PACK_TOKENS = 1 << 20
"""The packer keeps one list per token of room."""

MAX_BATCH = 1 << 20
"""Packs of one step: more are a slip of the keys."""

Many = Annotated[float, Field(gt=0, le=MAX_EPOCHS, strict=False, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, strict=False, allow_inf_nan=False)]
Point = Annotated[tuple[Share, Annotated[float, Field(ge=0, le=1e9, strict=False)]], Field(strict=False)]
"""Progress and weight."""
Weight = Annotated[float, Field(ge=0, strict=False, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**15)]


class Component(Strict):
    """One part of a mix: the curated samples of a job, `epochs` times over, `samples` of them, or a share of a budget.

    `from` may be a file of LLaVA-style records instead (.json, .jsonl), with `${VARIABLES}`: its texts are in the
    written form `codec`, its pictures below the folder `images`; both are the mix's own where they are not given. Or
    it is another mix: then each draw of that mix's plan is one of the component's samples, repeats and conversations
    as they are, measured by the tokens of this one; it has no `derived`, `codec`, `images` or `merge`.
    `weight` is its share of the budget, `max_epochs` and `family` bound it, `max_epochs` also `samples`; `per_picture`
    is how many samples of one picture a pass draws at most. With `merge` samples of one picture are one conversation of
    at most so many pairs of question and answer, and each conversation one of the component's samples: that is what the
    others count.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    from_: Annotated[str, Field(alias="from")]
    derived: str | None = None
    codec: str | None = None
    images: str | None = None
    epochs: Many | None = None
    samples: Count | None = None
    weight: Weight | None = None
    max_epochs: Many | None = None
    family: str | None = None
    per_picture: Count | None = None
    merge: Annotated[int, Field(ge=2, le=10_000)] | None = None

    def is_file(self) -> bool:
        """Tell whether it is a file of records, not a job or a mix."""
        return self.from_.endswith((".json", ".jsonl"))


class Gate(Strict):
    """What may not be drawn: pictures of benchmarks (`against`), and what is in the mix already.

    `against` names ingested datasets, or files that list pictures. A picture is known `by` its number in COCO, VG,
    Flickr30k or SA-1B, URL, bytes, or a perceptual hash that differs in `near` bits at most (`mirror` where it is
    mirrored; null compares none). `numbers` says of which collection bare numbers in files are, `joins` is Visual
    Genome's image_data.json, which says which of its pictures are COCO's. Of duplicates the first component's stays.
    """

    against: Annotated[tuple[str, ...], Field(strict=False)] = ()
    by: Annotated[tuple[Literal["picture_id", "url", "sha256", "phash"], ...], Field(strict=False)] = (
        "picture_id",
        "url",
        "sha256",
        "phash",
    )
    near: Annotated[int, Field(ge=0, le=8)] | None = 4
    mirror: Annotated[int, Field(ge=0, le=8)] | None = 8
    duplicates: bool = True
    near_duplicates: bool = True
    same_picture: Literal["keep", "drop"] = "keep"
    numbers: Literal["coco", "vg", "flickr30k", "sa"] | None = None
    joins: str | None = None

    def reads_pictures(self) -> bool:
        """Tell whether the pictures of others' files are read: they are known by their bytes in no other way."""
        return not {"sha256", "phash"}.isdisjoint(self.by)


class PictureFolders(Strict):
    """Where the pictures of a mix's files lie, and how many each folder below it should hold."""

    root: str
    folders: dict[str, Annotated[int, Field(ge=1)] | None] = Field(default_factory=dict)


class Budget(Strict):
    """How large the whole is, in tokens or samples, and how it is shared by those that name no count of their own.

    By weight, else by size to the power of `temperature`. `families` bounds what each family may take of it.
    """

    tokens: Count | None = None
    samples: Count | None = None
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
    max: Count = 2048


class Pack(Strict):
    """Packs of at most `length` tokens, and where they are given so many vision tiles and samples.

    Tokens of a sample count in multiples of `align`. `by` names the packers to try; by default all.
    """

    length: Annotated[int, Field(ge=1, le=MAX_PACK_TOKENS)] = 4096
    tiles: Annotated[int, Field(ge=1, le=MAX_PACK_TOKENS)] | None = None
    samples: Annotated[int, Field(ge=1, le=MAX_PACK_TOKENS)] | None = None
    align: Annotated[int, Field(ge=1, le=MAX_PACK_TOKENS)] = 1
    by: Annotated[tuple[str, ...], Field(strict=False)] | None = None


class Steps(Strict):
    """Global batches: `ranks` devices, each with `per_rank` packs a step.

    `curves` weighs components over the run: points of progress (0 to 1) and weight, straight lines between them.
    Samples of one picture stand `apart` so many steps where that is possible.
    """

    ranks: Annotated[int, Field(ge=1, le=1 << 20)] = 1
    per_rank: Annotated[int, Field(ge=1, le=1 << 16)] = 1
    apart: Annotated[int, Field(ge=0, le=100_000)] = 0
    curves: dict[str, Annotated[tuple[Point, ...], Field(strict=False)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sound(self) -> "Steps":
        if self.ranks * self.per_rank > MAX_BATCH:
            raise ValueError(f"{self.ranks * self.per_rank:,} packs in a step, more than {MAX_BATCH:,}")
        return self


class MixJob(Strict):
    """mix these components, in packs of balanced token length, and export thus.

    `mix` may name a recipe of another trainer instead, see `recipes`.
    """

    mix: dict[str, Component]
    pictures: PictureFolders | None = None
    gate: Gate | None = None
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
        for name in value:
            if not re.fullmatch(COMPONENT, name):
                raise ValueError(
                    f"{name!r} cannot name a component: letters, digits and . _ - + after one of the first"
                )
        return value


def jobs_below(job: MixJob) -> list[str]:
    """Return the jobs that a mix draws from, each once, in order."""
    return list(dict.fromkeys(component_job(each.from_) for each in job.mix.values() if not each.is_file()))


def component_job(reference: str) -> str:
    """Return the name of the job that a component draws from: `jobs/grit`, `./jobs/grit.yaml` → `grit`."""
    return str(PurePosixPath(reference)).removeprefix("jobs/").removesuffix(".yaml")
