"""Mix: measure the candidates of each component, draw from them exactly, and pack the draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pyarrow as pa

from curate import mixture, models, schema
from curate.errors import SampleError, ShardError
from curate.grounding import dialogue
from curate.io import texts
from curate.kernels import packing, token_count
from curate.sample import Sample, Turn

Lengths = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class Part:
    """One component as it will be drawn: its name, the job it comes from, and how much is wanted."""

    name: str
    job: str
    recipe: str
    epochs: float | None
    samples: int | None


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a mix is made by: token model and tokenizer, the longest sample, the pack, the seed."""

    model: str
    tokenizer: str
    max_tokens: int
    pack_tokens: int
    seed: int


def tokenizer(name: str) -> Lengths:
    """Return the function that counts the tokens of texts: `clip`, or the path of a tokenizer.json.

    Raises:
        ConfigError: there is no such file, or it does not load.
    """
    return _clip if name == "clip" else texts.tokenizer(name)


def _clip(lines: Sequence[str]) -> list[int]:
    return [int(length) for length in models.tokenize_lengths(list(lines))]


def measured(candidates: pa.Table, codec: ModuleType, recipe: Recipe, count: Lengths) -> pa.Table:
    """Return (dataset, sample_id, n_text_tok, n_img_tok, reason) of a component's candidates, in their order.

    Text is counted as the codec writes it, under vicuna_v1. `reason` says why a candidate cannot be drawn:
    `no_text`, `too_long`, or what the codec refuses to write; such a one is counted, never cut.
    """
    dialogues = [_dialogue(sample, codec) for sample in schema.from_table(candidates)]
    written = ["" if isinstance(turns, str) else dialogue.vicuna_v1(turns) for turns in dialogues]
    text = np.array(count(written), np.int64).reshape(-1)
    pictures = np.array([len(images or ()) for images in candidates["images"].to_pylist()], np.int64)
    image = token_count.picture_tokens(recipe.model, pictures)
    long = text + image > min(recipe.max_tokens, recipe.pack_tokens)
    reasons = [
        turns if isinstance(turns, str) else "too_long" if over else None
        for turns, over in zip(dialogues, long.tolist(), strict=True)
    ]
    return pa.table(
        {
            "dataset": candidates["dataset"],
            "sample_id": candidates["sample_id"],
            "n_text_tok": pa.array(text, pa.int32()),
            "n_img_tok": pa.array(image, pa.int32()),
            "reason": pa.array(reasons, pa.string()),
        }
    )


def _dialogue(sample: Sample, codec: ModuleType) -> tuple[Turn, ...] | str:
    """Return the turns of a sample as the codec writes them, or the reason that there are none."""
    try:
        return dialogue.turns_of(sample, codec.encode) or "no_text"
    except SampleError as error:
        return error.code


def drawn(part: Part, candidates: pa.Table, seed: int) -> pa.Table:
    """Return the draws of one component: rows of MIXED without packs; those with a reason once each, at the end.

    Raises:
        ShardError: the component has nothing to draw.
    """
    usable = candidates.filter(pa.compute.is_null(candidates["reason"]))
    left_out = candidates.filter(pa.compute.is_valid(candidates["reason"]))
    try:
        wanted = mixture.quota(usable.num_rows, part.epochs, part.samples)
    except ValueError as error:
        raise ShardError(f"mix.{part.name}: {error}; curate report shows what its job dropped") from error
    chosen = mixture.draws(usable["sample_id"].to_pylist(), wanted, seed)
    rows = pa.concat_tables([usable.take([draw.index for draw in chosen]), left_out])
    times = [draw.time for draw in chosen] + [0] * left_out.num_rows
    rows = rows.append_column("draw", pa.array(times, pa.int32()))
    for name, value in (("component", part.name), ("job", part.job), ("recipe", part.recipe)):
        rows = rows.append_column(name, pa.array([value] * rows.num_rows, pa.string()))
    return rows


def packed(draws: pa.Table, recipe: Recipe, mix: str, digest: str) -> tuple[pa.Table, dict[str, float]]:
    """Put the draws into packs; return the rows of MIXED in order of pack and slot, and what packing achieved."""
    fits = pa.compute.is_null(draws["reason"]).to_numpy(zero_copy_only=False)
    tokens = draws["n_text_tok"].to_numpy().astype(np.int64) + draws["n_img_tok"].to_numpy()
    found = packing.pack(tokens[fits], packing.Limits(recipe.pack_tokens), seed=recipe.seed)
    pack, slot = found.pack, found.slot
    full_pack, full_slot = np.full(draws.num_rows, -1, np.int64), np.full(draws.num_rows, -1, np.int64)
    full_pack[fits], full_slot[fits] = pack, slot
    columns = {
        **{name: draws[name] for name in draws.column_names},
        "mix": pa.array([mix] * draws.num_rows, pa.string()),
        "digest": pa.array([digest] * draws.num_rows, pa.string()),
        "pack": pa.array(full_pack, pa.int32(), mask=~fits),
        "slot": pa.array(full_slot, pa.int32(), mask=~fits),
    }
    table = pa.table([columns[name] for name in schema.MIXED.names], schema=schema.MIXED)
    total = int(tokens[fits].sum())
    facts = {
        "samples": int(fits.sum()),
        "tokens": total,
        "packs": found.packs,
        "least_packs": found.bound,
        "fill": total / (found.packs * recipe.pack_tokens) if found.packs else 0.0,
    }
    return table.sort_by([("pack", "ascending"), ("slot", "ascending")]), facts
