"""Lengths of one shard of a mix's component: counted by what its token settings name, written as a sidecar."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from curate import models, plugins, schema
from curate.catalog import expand
from curate.grounding import templates
from curate.grounding.resolve import Policy
from curate.io import caches, tokens
from curate.mix_job import Tokens
from curate.plugins import Project
from curate.shards import ShardReport, ShardTask, shard_name
from curate.stages import foreign, measure
from curate.stages.candidates import Curated

Batches = Callable[[ShardTask], Iterable[pa.Table]]
"""A shard → the lengths of its candidates, some at a time, as `measure.counted` gives them."""


@dataclass(frozen=True, slots=True)
class Means:
    """What measuring takes once it is loaded: the codec and policy of overlaps, the token model, and its counter."""

    codec: ModuleType
    phrases: Policy | None
    model: measure.TokenModel
    count: measure.Count


@dataclass(frozen=True, slots=True)
class Measuring:
    """Where the lengths of one component go, and how they are measured; `job` and `recipe` label them.

    `pictures` is what its folder holds as far as lengths depend on that, "" where they do not.
    """

    folder: str
    job: str
    recipe: str
    codec: str
    phrases: Policy | None
    tokens: Tokens
    project: Project
    pictures: str = ""


def build(config: Measuring, opened: Callable[[Means], Batches]) -> Callable[[ShardTask, Any], ShardReport]:
    """Load what measuring takes, and return the function that measures one shard of what `opened` reads."""
    codec = plugins.load("codecs", config.codec, config.project)
    model = token_model(config.tokens)
    return partial(_measure, config, model, opened(Means(codec, config.phrases, model, counter(config.tokens))))


def of_job(source: Curated, means: Means) -> Batches:
    """Return what measures a shard of a job's samples."""

    def measured(task: ShardTask) -> Iterator[pa.Table]:
        for rows in source.samples(task.shard):
            yield measure.measured(rows, means.codec, means.model, means.count, means.phrases)

    return measured


def of_file(file: foreign.File, project: Project, means: Means) -> Batches:
    """Return what measures a part of a file of others; a shard's work is its `file_parts.Part`."""
    reading = foreign.Reading(file, plugins.load("codecs", file.codec, project), means.codec)
    return lambda task: foreign.measured(reading, means.model, means.count, task.work)


def _measure(
    config: Measuring, model: measure.TokenModel, batches: Batches, task: ShardTask, payload: Any
) -> ShardReport:
    started = time.monotonic()
    table = sidecar(batches(task), config.job, config.recipe, config.codec, model)
    waits = config.pictures and not AWAITING.isdisjoint(table["reason"].unique().to_pylist())
    said = {PICTURES: config.pictures} if waits else {}
    caches.write(f"{config.folder}/{shard_name(task.shard)}.parquet", table, said)
    seconds = time.monotonic() - started
    return ShardReport(task.dataset, task.shard, True, table.num_rows, {"measured": table.num_rows}, seconds)


LABELS = ("job", "recipe", "codec", "model", "template", "tokenizer")
"""Columns of LENGTHS that say what was measured, and how; the others are what came of it."""

MEASURED = tuple(name for name in schema.LENGTHS.names if name not in LABELS)

VERSION = 2
"""Changes with the columns of LENGTHS."""

PICTURES = "curate.pictures"
"""Key of the footer under which a part that has records AWAITING says what the folder of pictures held."""

AWAITING = frozenset({"no_picture", "no_size", "empty", "not_image", "truncated", "corrupt", "too_many_pixels"})
"""Reasons that pictures which come later may take away."""

BUILT_IN = "clip"
"""The one tokenizer that needs no file: open_clip's own."""


def token_model(wanted: Tokens) -> measure.TokenModel:
    """Return the token model, its tokenizer by content.

    Raises:
        ConfigError: an unknown model or template, or a tokenizer that does not load.
    """
    path = _path(wanted)
    name = BUILT_IN if path == BUILT_IN else _file(wanted, path).digest
    return measure.TokenModel(wanted.model, wanted.template, name, wanted.max)


def counter(wanted: Tokens) -> measure.Count:
    """Return what counts prompts by the tokenizer: `clip`, or the path of a tokenizer.json, with `${VARIABLES}`.

    Raises:
        ConfigError: as `token_model` does.
    """
    path = _path(wanted)
    return measure.by_lengths(_clip) if path == BUILT_IN else _file(wanted, path)


def sidecar(batches: Iterable[pa.Table], job: str, recipe: str, codec: str, model: measure.TokenModel) -> pa.Table:
    """Return what `measure.measured` found of a job's samples as rows of LENGTHS, labelled by what was measured how."""
    named = {"job": job, "recipe": recipe, "codec": codec, **_words(model)}
    found = [schema.LENGTHS.empty_table()]
    for table in batches:
        for name, value in named.items():
            words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(table.num_rows, np.int8)), [value])
            table = table.append_column(name, words)
        for name in set(schema.LENGTHS.names) - set(table.column_names):
            table = table.append_column(name, pa.nulls(table.num_rows))
        found.append(table.select(schema.LENGTHS.names).cast(schema.LENGTHS))
    words = json.dumps(model.identity(), sort_keys=True).encode()
    return pa.concat_tables(found).replace_schema_metadata({measure.METADATA: words})


def _words(model: measure.TokenModel) -> dict[str, str]:
    return {"model": model.model, "template": model.template, "tokenizer": model.tokenizer}


def _path(wanted: Tokens) -> str:
    return expand(wanted.tokenizer, "", "tokens.tokenizer")


def _file(wanted: Tokens, path: str) -> tokens.TokenCounter:
    return tokens.counter(path, templates.template(wanted.template))


def _clip(lines: Sequence[str]) -> list[int]:
    return [int(length) for length in models.tokenize_lengths(list(lines))]
