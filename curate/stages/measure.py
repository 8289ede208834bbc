"""Measure: how long each candidate of a mix is for one trainer, and why some cannot be drawn."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate import schema
from curate.errors import ConfigError, SampleError, nearest
from curate.grounding import conversation, dialogue, templates
from curate.grounding.resolve import Policy
from curate.grounding.templates import Segment
from curate.kernels import picture_tokens, token_count
from curate.sample import Sample

Whole = npt.NDArray[np.int64]
Count = Callable[[Sequence[Sequence[Segment]]], tuple[Whole, Whole]]
"""Prompts → (tokens of text, those of them that are learnt), (N,) each."""

METADATA = b"curate.tokens"
"""Key of the table's metadata under which the identity of the token model stands, as JSON."""


@dataclass(frozen=True, slots=True)
class TokenModel:
    """What a length is counted by: picture model, chat template, tokenizer, and the longest sample in tokens.

    `tokenizer` is the sha256 of its tokenizer.json, or the name of a built-in one.

    Raises:
        ConfigError: there is no such model or template.
    """

    model: str
    template: str
    tokenizer: str
    max_tokens: int

    def __post_init__(self) -> None:
        if self.model not in token_count.MODELS:
            hint = nearest(self.model, token_count.MODELS)
            raise ConfigError(f'unknown token model "{self.model}"', where="tokens.model", hint=hint)
        templates.template(self.template)

    def identity(self) -> dict[str, str | int]:
        """Return all that the counts depend on besides the samples and the codec: names, versions, tokenizer."""
        return {
            **asdict(self),
            "model_version": token_count.MODELS[self.model].version,
            "template_version": templates.template(self.template).version,
        }


def by_lengths(lengths: Callable[[Sequence[str]], list[int]]) -> Count:
    """Return a count for a tokenizer that only tells lengths (`clip`): a whole prompt at a time, answers by themselves.

    Not exact: such a tokenizer is not the trainer's own.
    """

    def count(prompts: Sequence[Sequence[Segment]]) -> tuple[Whole, Whole]:
        if not prompts:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        marks = lengths([""])[0]
        answers = [segment.text for prompt in prompts for segment in prompt if segment.is_label]
        owner = [number for number, prompt in enumerate(prompts) for segment in prompt if segment.is_label]
        text = np.array(lengths(["".join(segment.text for segment in prompt) for prompt in prompts]), np.int64)
        label = np.zeros(len(prompts), np.int64)
        if answers:
            np.add.at(label, np.array(owner, np.int64), np.array(lengths(answers), np.int64) - marks)
        return np.where([len(prompt) > 0 for prompt in prompts], text, 0), label

    return count


@dataclass(frozen=True, slots=True)
class Prompted:
    """One candidate before it is counted: its prompt or the reason for none, sizes in pixels, sha256 of a picture.

    `n_pairs` and `shown` are as in LENGTHS; None where it cannot be merged with others.
    """

    dataset: str
    sample_id: str
    prompt: tuple[Segment, ...]
    reason: str | None
    sizes_wh: tuple[tuple[int, int], ...]
    picture: str | None
    n_pairs: int | None = None
    shown: str | None = None


def prompted(sample: Sample, codec: ModuleType, template: templates.Template, policy: Policy | None) -> Prompted:
    """Return what the template makes of a sample as the codec writes it; of phrases that overlap those by `policy`."""
    prompt: tuple[Segment, ...] = ()
    reason, pairs = None, None
    try:
        turns = dialogue.turns_of(sample, codec.encode, policy)
        prompt, reason = (template.segments(turns, len(sample.images)), None) if turns else ((), "no_text")
        pairs = conversation.pairs(turns) if len(sample.images) == 1 else None
    except SampleError as error:
        reason = error.code
    sizes = tuple((image.width or 0, image.height or 0) for image in sample.images)
    picture = (sample.images[0].sha256 or None) if sample.images else None
    shown = None if pairs is None else _shown(sample)
    return Prompted(sample.dataset, sample.sample_id, prompt, reason, sizes, picture, pairs, shown)


def _shown(sample: Sample) -> str:
    """Return the size of a sample's picture, and how that is moved where the sample has no pixels of its own."""
    size = f"{sample.images[0].width}x{sample.images[0].height}"
    if not sample.is_virtual():
        return size
    return " ".join((size, *(f"{step.name}-{step.version}" for step in sample.transforms), str(sample.affine)))


def measured(
    candidates: pa.Table, codec: ModuleType, tokens: TokenModel, count: Count, policy: Policy | None = None
) -> pa.Table:
    """Return the lengths of a component's candidates, in their order, as `counted` does."""
    template = templates.template(tokens.template)
    return counted([prompted(each, codec, template, policy) for each in schema.from_table(candidates)], tokens, count)


def counted(candidates: Sequence[Prompted], tokens: TokenModel, count: Count) -> pa.Table:
    """Return the lengths of candidates; the identity of `tokens` is the table's metadata.

    Columns: dataset, sample_id, picture (sha256 of the first), shown and n_pairs (see LENGTHS), n_text_tok,
    n_label_tok (those learnt, ends of answers with them), n_img_tok, n_tiles (runs of the vision tower, or its groups
    of patches), n_images, cost (6 h s + s², token_count.cost), reason, which says why a candidate cannot be drawn:
    `no_text`, `too_long`, `no_label`, `picture_size`, `picture_refused`, what the template refuses (`image_count`,
    `turn_order`, `control_token`, `empty_turn`), or what the codec refuses to write. Such a one is counted, never cut;
    where it has no prompt, it has no tokens of text.
    """
    model = token_count.MODELS[tokens.model]
    reasons = [
        each.reason or ("picture_size" if any(min(size) < 1 for size in each.sizes_wh) else None) for each in candidates
    ]
    sizes = [
        (number, max(width, 1), max(height, 1))
        for number, each in enumerate(candidates)
        for width, height in each.sizes_wh
    ]
    text, label = count([each.prompt for each in candidates])
    owner, width, height = np.array(sizes, np.int64).reshape(-1, 3).T
    image, tiles = token_count.sample_tokens(model, width, height, owner, len(candidates))
    refused = image == picture_tokens.REFUSED
    image, tiles = np.where(refused, 0, image), np.where(refused, 0, tiles)
    for why, fault in (
        ("picture_refused", refused),
        ("no_label", label == 0),
        ("too_long", text + image > tokens.max_tokens),
    ):
        for number in np.flatnonzero(fault).tolist():
            reasons[number] = reasons[number] or why
    table = pa.table(
        {
            "dataset": pa.array([each.dataset for each in candidates], pa.string()),
            "sample_id": pa.array([each.sample_id for each in candidates], pa.string()),
            "picture": pa.array([each.picture for each in candidates], pa.string()),
            "shown": pa.array([each.shown for each in candidates], pa.string()),
            "n_pairs": pa.array([each.n_pairs for each in candidates], pa.int32()),
            "n_text_tok": pa.array(text, pa.int32()),
            "n_label_tok": pa.array(label, pa.int32()),
            "n_img_tok": pa.array(image, pa.int32()),
            "n_tiles": pa.array(tiles, pa.int32()),
            "n_images": pa.array(np.bincount(owner, minlength=len(candidates)), pa.int32()),
            "cost": pa.array(token_count.cost(model.hidden, text + image), pa.int64()),
            "reason": pa.array(reasons, pa.string()),
        }
    )
    return table.replace_schema_metadata({METADATA: json.dumps(tokens.identity(), sort_keys=True).encode()})
