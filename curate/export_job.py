"""What `export:` of a job may say: for which trainer a result is written, and how."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator

from curate.yamlfile import Strict


class Export(Strict):
    """How a result is written: exporter, codec, file name, whether pictures are written beside it, under which names.

    Without `codec` boxes are written in the form that the exporter's trainer is used to. Of phrases that overlap
    `phrases` says which are written; without it the codec chooses the longest. `layout: asv2` names pictures as their
    source does, below `playground/data`; without it they lie in `images`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)
    as_: Annotated[str, Field(alias="as")]
    codec: str | None = None
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
