"""Lengths: which counter a mix's token settings name, and the sidecar in which a component's lengths stand."""

import json
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from curate import models, schema
from curate.catalog import expand
from curate.grounding import templates
from curate.io import tokens
from curate.mix_job import Tokens
from curate.stages import measure

LABELS = ("job", "recipe", "codec", "model", "template", "tokenizer")
"""Columns of LENGTHS that say what was measured, and how; the others are what came of it."""

VERSION = 2
"""Changes with the columns of LENGTHS."""

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
