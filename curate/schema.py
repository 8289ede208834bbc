"""The samples table: one Arrow schema for every source, and the way between rows and samples."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import pyarrow as pa

from curate import sample_columns
from curate.sample import ImageRef, Region, Relation, Sample, Transform, Turn

VERSION = 1

BOX = pa.struct([(name, pa.float64()) for name in ("x0", "y0", "x1", "y1")])

IMAGE = pa.struct(
    [
        ("member", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.string()),
        ("phash", pa.string()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("source_width", pa.int32()),
        ("source_height", pa.int32()),
        ("exif_orientation", pa.int8()),
    ]
)

REGION = pa.struct(
    [
        ("phrase", pa.string()),
        ("turn", pa.int32()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("boxes", pa.list_(BOX)),
        ("score", pa.float64()),
        ("tags", pa.list_(pa.string())),
    ]
)

RELATION = pa.struct(
    [
        ("predicate", pa.string()),
        ("turn", pa.int32()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("subjects", pa.list_(pa.int32())),
        ("objects", pa.list_(pa.int32())),
    ]
)

SAMPLES = pa.schema(
    [
        ("sample_id", pa.string()),
        ("dataset", pa.string()),
        ("shard", pa.int32()),
        ("row", pa.int32()),
        ("source_key", pa.string()),
        ("parent_id", pa.string()),
        (
            "transforms",
            pa.list_(pa.struct([("name", pa.string()), ("version", pa.int32()), ("params", pa.string())])),
        ),
        ("affine", pa.list_(pa.float64(), 6)),
        ("status", pa.string()),
        ("error", pa.string()),
        ("error_detail", pa.string()),
        ("url", pa.string()),
        ("attempts", pa.int32()),
        ("fetched_at", pa.string()),
        ("images", pa.list_(IMAGE)),
        ("text", pa.string()),
        ("conversations", pa.list_(pa.struct([("role", pa.string()), ("value", pa.string())]))),
        ("regions", pa.list_(REGION)),
        ("relations", pa.list_(RELATION)),
        ("source_meta", pa.string()),
    ]
)

VERDICTS = pa.schema(
    [
        ("dataset", pa.string()),
        ("digest", pa.string()),
        ("sample_id", pa.string()),
        ("filter", pa.string()),
        ("place", pa.int32()),
        ("reason", pa.string()),
    ]
)
"""One row per sample and filter; `place` is the filter's place in the job, a null reason means kept."""

CHILDREN = SAMPLES.append(pa.field("digest", pa.string())).append(pa.field("recipe", pa.string()))
"""Derived samples: the samples schema with the augmentation's digest and the recipe's name."""

WORD = pa.dictionary(pa.int32(), pa.string())
"""A word that many rows have in common."""

_COUNTS = [
    *((name, pa.int32()) for name in ("n_text_tok", "n_label_tok", "n_img_tok", "n_tiles", "n_images")),
    ("cost", pa.int64()),
]
_PLACE = [(name, pa.int64()) for name in ("record_offset", "record_bytes")]

MEMBERS = pa.schema(
    [
        ("members", pa.list_(pa.string())),
        ("member_offsets", pa.list_(pa.int64())),
        ("member_bytes", pa.list_(pa.int64())),
    ]
)
"""The ids of the samples that are merged in one draw, in order of their turns, and where each lies in its file; null
of what is not merged."""

MIXED = pa.schema(
    [
        ("mix", WORD),
        ("digest", WORD),
        ("component", WORD),
        ("job", WORD),
        ("dataset", WORD),
        ("sample_id", pa.string()),
        ("recipe", WORD),
        ("draw", pa.int32()),
        *_COUNTS,
        *((name, pa.int32()) for name in ("step", "rank", "pack", "slot", "offset")),
        *_PLACE,
        *MEMBERS,
        ("reason", pa.string()),
    ]
)
"""One row per draw of a mix, in order of step, rank, pack and slot; null where `reason` says why it is left out.

`offset` is the token of the pack that the draw begins at; `record_offset` and `record_bytes` are where a record of a
file lies that is itself a component, `job` is then that file. Draws of another mix tell the job or the file, as
`component/its component`, that they are from at last, and `draw` tells all of one sample apart.
"""

STEPS = pa.schema(
    [
        ("mix", pa.string()),
        ("digest", pa.string()),
        ("step", pa.int32()),
        ("first_row", pa.int64()),
        ("rows", pa.int32()),
        ("packs", pa.int32()),
        *((name, pa.int64()) for name in ("tokens", "busiest_tokens", "cost", "busiest_cost")),
    ]
)
"""One row per step of a plan: its rows in the plan's file, and the load of all ranks and of the busiest of them."""

LABEL = pa.dictionary(pa.int8(), pa.string())
"""One word for all rows of a file."""

LENGTHS = pa.schema(
    [
        *((name, LABEL) for name in ("job", "recipe", "codec", "model", "template", "tokenizer")),
        ("dataset", pa.string()),
        ("sample_id", pa.string()),
        ("picture", pa.string()),
        ("shown", pa.string()),
        ("n_pairs", pa.int32()),
        *_COUNTS,
        *_PLACE,
        ("reason", pa.string()),
    ]
)
"""One row per sample of a job, written form and token model; `picture` is the sha256 of the first picture.

`shown` is its size and how it was moved, `n_pairs` the pairs of question and answer: null where it cannot be merged.
"""


_SURROGATE = re.compile("[\ud800-\udfff]")
"""Replaced one for one, pairs too, so that the spans of regions stay where they are."""


def _row(sample: Sample) -> dict[str, Any]:
    row = {field.name: getattr(sample, field.name) for field in fields(sample)}
    row["transforms"] = [asdict(step) for step in sample.transforms]
    row["affine"] = None if sample.affine is None else list(sample.affine)
    row["images"] = [asdict(image) for image in sample.images]
    row["conversations"] = [asdict(turn) for turn in sample.conversations]
    row["regions"] = [
        {
            **asdict(region),
            "boxes": [dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)) for box in region.boxes],
        }
        for region in sample.regions
    ]
    row["relations"] = [asdict(relation) for relation in sample.relations]
    return row


def to_table(samples: Iterable[Sample]) -> pa.Table:
    """Return the samples as a table of schema SAMPLES; surrogates in text become U+FFFD."""
    rows = [_row(sample) for sample in samples]
    try:
        return pa.Table.from_pylist(rows, schema=SAMPLES)
    except UnicodeEncodeError:
        return pa.Table.from_pylist([_clean(row) for row in rows], schema=SAMPLES)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def from_row(row: Mapping[str, Any]) -> Sample:
    """Return the sample that one row (as `Table.to_pylist` gives it) describes; unknown columns are ignored."""
    values = {field.name: row[field.name] for field in fields(Sample)}
    values["transforms"] = tuple(Transform(**step) for step in row["transforms"] or ())
    values["affine"] = None if row["affine"] is None else tuple(row["affine"])
    values["images"] = tuple(ImageRef(**image) for image in row["images"] or ())
    values["conversations"] = tuple(Turn(**turn) for turn in row["conversations"] or ())
    values["regions"] = tuple(
        Region(
            **{
                **region,
                "boxes": tuple((b["x0"], b["y0"], b["x1"], b["y1"]) for b in region["boxes"] or ()),
                "tags": tuple(region["tags"] or ()),
            }
        )
        for region in row["regions"] or ()
    )
    values["relations"] = tuple(
        Relation(**{**relation, "subjects": tuple(relation["subjects"]), "objects": tuple(relation["objects"])})
        for relation in row["relations"] or ()
    )
    return Sample(**values)


def from_table(table: pa.Table) -> Iterator[Sample]:
    """Yield the samples of a table in order; see `sample_columns.samples`."""
    return sample_columns.samples(table)
