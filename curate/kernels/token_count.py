"""Token models: what a picture costs a named model, and what a sample costs its language model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from curate.kernels import picture_tokens as kinds
from curate.kernels.picture_tokens import REFUSED, Counts, Whole

PICTURE_TOKENS = {"llava-1.5-336": 576, "text-only": 0}
"""Models whose pictures all cost the same → tokens per picture. CLIP ViT-L/14 at 336 px: (336 / 14)² = 576."""

LLAVA_NEXT_CANVASES = ((336, 672), (672, 336), (672, 672), (1008, 336), (336, 1008))
"""image_grid_pinpoints of LLaVA-1.6 (LLaVA-VL/LLaVA-NeXT, its released configurations)."""

_ONEVISION = kinds.grids(384, 6, 6)
_FINETUNE = (16 * 28 * 28, 576 * 28 * 28)
"""Least and most pixels that Qwen's own finetuning sets (QwenLM/Qwen3-VL qwen-vl-finetune, train/argument.py)."""

Count = Callable[[Whole, Whole, Whole], Counts]
"""(widths, heights, pictures in the same sample), (M,) each, → (tokens, tiles), (M,) each."""


@dataclass(frozen=True, slots=True)
class PictureModel:
    """One way of cutting pictures.

    `version` changes with what `count` returns; `hidden` is the width of the language model, for the modelled cost;
    `blank_tiles` is how many tiles the vision tower sees for a sample without pictures (trainers feed it a blank one).
    Without `sized` all pictures cost the same.
    """

    version: int
    hidden: int
    blank_tiles: int
    count: Count
    sized: bool = True


def _fixed(tokens: int) -> Count:
    return lambda width, height, together: kinds.fixed(width, tokens)


def _anyres(canvases: tuple[tuple[int, int], ...], side: int, patches: int, most: int | None) -> Count:
    def count(width: Whole, height: Whole, together: Whole) -> Counts:
        alone = kinds.anyres(width, height, canvases, side, patches, most)
        several = kinds.padded(width, patches)
        return np.where(together > 1, several[0], alone[0]), np.where(together > 1, several[1], alone[1])

    return count


def _tiled(most: int) -> Count:
    return lambda width, height, together: kinds.tiled(width, height, np.maximum(1, most // together))


def _resized(factor: int, least: int, most: int) -> Count:
    return lambda width, height, together: kinds.resized(width, height, factor, least, most)


MODELS = {
    "text-only": PictureModel(1, 4096, 0, _fixed(0), sized=False),
    "llava-1.5-336": PictureModel(1, 5120, 1, _fixed(576), sized=False),
    "llava-next-336": PictureModel(1, 4096, 1, _anyres(LLAVA_NEXT_CANVASES, 336, 24, None)),
    "llava-onevision": PictureModel(1, 3584, 1, _anyres(_ONEVISION, 384, 27, 9)),
    "llava-onevision-max4": PictureModel(1, 3584, 1, _anyres(_ONEVISION, 384, 27, 4)),
    "internvl2.5": PictureModel(1, 4096, 1, _tiled(12)),
    "internvl2.5-max6": PictureModel(1, 4096, 1, _tiled(6)),
    "internvl2.5-max24": PictureModel(1, 4096, 1, _tiled(24)),
    "qwen2-vl": PictureModel(1, 3584, 0, _resized(28, 4 * 28 * 28, 16384 * 28 * 28)),
    "qwen2.5-vl": PictureModel(1, 3584, 0, _resized(28, 4 * 28 * 28, 16384 * 28 * 28)),
    "qwen2.5-vl-finetune": PictureModel(1, 3584, 0, _resized(28, *_FINETUNE)),
    "qwen3-vl": PictureModel(1, 4096, 0, _resized(32, 64 * 32 * 32, 16384 * 32 * 32)),
    "qwen3-vl-finetune": PictureModel(1, 4096, 0, _resized(32, *_FINETUNE)),
}
"""Name → model. 13B of LLaVA-1.5 and All-Seeing v2; 8B of LLaVA-NeXT, InternVL and Qwen3-VL; 7B of the others.

Pixel limits of the Qwen family are those of the released preprocessor_config.json, or of `-finetune`.
"""


def picture_tokens(model: str, pictures: Whole) -> Whole:
    """Return the picture tokens, (N,), of samples with `pictures` pictures each, (N,), where all cost the same.

    Raises:
        KeyError: no such model.
    """
    return pictures * PICTURE_TOKENS[model]


def sample_tokens(model: PictureModel, width: Whole, height: Whole, owner: Whole, samples: int) -> Counts:
    """Return (tokens, tiles), (samples,) each, of samples with any number of pictures.

    Args:
        width: pixels of each picture, (M,).
        height: likewise.
        owner: the sample that each picture belongs to, (M,), in 0 ... samples - 1.

    A sample with a picture that the model refuses has REFUSED of both.

    Raises:
        ValueError: a picture without pixels.
    """
    if (width < 1).any() or (height < 1).any():
        raise ValueError("a picture has one pixel at least")
    together = np.bincount(owner, minlength=samples).astype(np.int64)
    each = model.count(width, height, together[owner])
    total = []
    for count in each:
        sums = np.zeros(samples, np.int64)
        np.add.at(sums, owner, count)
        total.append(sums)
    total[1][together == 0] = model.blank_tiles
    refused = owner[each[0] == REFUSED]
    total[0][refused] = total[1][refused] = REFUSED
    return total[0], total[1]


def cost(hidden: int, tokens: Whole) -> Whole:
    """Return the modelled cost, 6 h s + s², (N,), of sequences of s tokens in a model of width h.

    The unit is 4 h floating-point operations of one decoder layer's forward pass, which takes 24 s h² + 4 s² h in all:
    the load by which volcengine/verl (utils/seqlen_balancing.py) balances ranks. The vision tower is not in it.
    """
    return tokens * (6 * hidden + tokens)
