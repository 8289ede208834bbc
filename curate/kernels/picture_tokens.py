"""Tokens and tiles of pictures, from width and height alone, as each family of models cuts them; numpy alone.

Every function takes widths and heights in pixels, (N,) int64, and returns (tokens, tiles), (N,) int64 each: the places
that a picture takes in the language model's sequence, and how often the vision tower runs (views of a fixed size), or
for the Qwen family its groups of 2 x 2 patches. A picture that the family's own code refuses has REFUSED of both.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]
Counts = tuple[Whole, Whole]

REFUSED = -1
MAX_ASPECT = 200
"""Longest side over shortest beyond which Qwen's smart_resize raises."""
CROWDED = 1.1
"""LLaVA-NeXT shrinks a grid whose side is more than this many times too long for anyres_max_N."""
VIDEO_FRAMES = 32
"""LLaVA-OneVision's frames_upbound: more frames than this are thinned out evenly."""
VIDEO_TOKENS = 14 * 14
"""Of one frame: a grid of 27 x 27 brought to ceil(27 / 2) a side."""


def fixed(width: Whole, tokens: int) -> Counts:
    """Return `tokens` for each picture of whatever size, seen in one view."""
    return np.full(width.shape, tokens, np.int64), np.full(width.shape, int(tokens > 0), np.int64)


def grids(side: int, across: int, down: int) -> tuple[tuple[int, int], ...]:
    """Return the canvases (width, height) in pixels that `(1x1),...,(ACROSSxDOWN)` means, in LLaVA-NeXT's order."""
    return tuple((side * i, side * j) for i in range(1, across + 1) for j in range(1, down + 1))


def anyres(
    width: Whole, height: Whole, canvases: Iterable[tuple[int, int]], side: int, patches: int, most: int | None
) -> Counts:
    """Return the counts of single pictures under AnyRes with `spatial_unpad`.

    A base view, then the best canvas cut into tiles of `side` pixels with `patches` x `patches` tokens each, the rows
    and columns of padding taken off, shrunk where the grid has many more tokens than `most` tiles (`anyres_max_N`; None
    never shrinks), and one newline token after each row. Follows select_best_resolution (LLaVA-VL/LLaVA-NeXT
    llava/mm_utils.py) and prepare_inputs_labels_for_multimodal (llava/model/llava_arch.py) step by step, in float64.
    """
    canvas_width, canvas_height = _canvas(width, height, canvases)
    columns, rows = canvas_width // side, canvas_height // side
    wide, high = columns * patches, rows * patches
    flat = width / height > wide / high
    pad_rows = (high - (height * (wide / width)).astype(np.int64)) // 2
    pad_columns = (wide - (width * (high / height)).astype(np.int64)) // 2
    high, wide = np.where(flat, high - 2 * pad_rows, high), np.where(flat, wide, wide - 2 * pad_columns)
    if most is not None:
        times = np.sqrt(high * wide / (most * patches**2))
        crowded = times > CROWDED
        times = np.where(crowded, times, 1.0)
        high = np.where(crowded, (high // times).astype(np.int64), high)
        wide = np.where(crowded, (wide // times).astype(np.int64), wide)
    return patches**2 + high * (wide + 1), 1 + columns * rows


def _canvas(width: Whole, height: Whole, canvases: Iterable[tuple[int, int]]) -> Counts:
    """Return the canvas that keeps most of each picture; on a tie the one with less waste, then the first."""
    best = np.zeros(width.shape, np.int64)
    waste = np.full(width.shape, np.iinfo(np.int64).max)
    chosen_width, chosen_height = np.zeros_like(best), np.zeros_like(best)
    for wide, high in canvases:
        scale = np.minimum(wide / width, high / height)
        shrunk = (width * scale).astype(np.int64) * (height * scale).astype(np.int64)
        kept = np.minimum(shrunk, width * height)
        lost = wide * high - kept
        better = (kept > best) | ((kept == best) & (lost < waste))
        best, waste = np.where(better, kept, best), np.where(better, lost, waste)
        chosen_width, chosen_height = np.where(better, wide, chosen_width), np.where(better, high, chosen_height)
    return chosen_width, chosen_height


def padded(width: Whole, patches: int) -> Counts:
    """Return the counts of the pictures of a record with several: each padded to a square, one view, one newline."""
    return fixed(width, patches**2 + 1)


def video(frames: Whole) -> Counts:
    """Return LLaVA-OneVision's counts of videos of `frames` sampled frames each, with one newline for the video.

    Raises:
        ValueError: a video without frames.
    """
    if (frames < 1).any():
        raise ValueError("a video has one frame at least")
    seen = np.minimum(frames, VIDEO_FRAMES)
    return seen * VIDEO_TOKENS + 1, seen


def tiled(width: Whole, height: Whole, most: Whole, side: int = 448, tokens: int = 256) -> Counts:
    """Return InternVL's counts: at most `most` tiles, (N,), in the grid of the closest aspect ratio, a thumbnail where
    they are more than one, `tokens` for each, and 2 for `<img>` and `</img>`.

    Follows dynamic_preprocess and find_closest_aspect_ratio (OpenGVLab/InternVL internvl_chat, train/dataset.py): on a
    tie the later, larger grid wins where the picture has more than half of its pixels.
    """
    tiles = np.zeros(width.shape, np.int64)
    for limit in np.unique(most).tolist():
        group = most == limit
        tiles[group] = _closest(width[group], height[group], limit, side)
    tiles += tiles > 1
    return tiles * tokens + 2, tiles


def _closest(width: Whole, height: Whole, most: int, side: int) -> Whole:
    """Return how many tiles the grid has whose aspect ratio is closest."""
    # The set is built as InternVL builds it: grids of equal area stay in the set's own order, which decides ties.
    shapes = {(i, j) for n in range(1, most + 1) for i in range(1, n + 1) for j in range(1, n + 1) if i * j <= most}
    aspect, area = width / height, width * height
    nearest, tiles = np.full(width.shape, np.inf), np.ones(width.shape, np.int64)
    for across, down in sorted(shapes, key=lambda shape: shape[0] * shape[1]):
        away = np.abs(aspect - across / down)
        wins = (away < nearest) | ((away == nearest) & (area > 0.5 * side * side * across * down))
        nearest, tiles = np.minimum(away, nearest), np.where(wins, across * down, tiles)
    return tiles


def smart_resize(width: Whole, height: Whole, factor: int, least: int, most: int) -> Counts:
    """Return the (width, height) in pixels that Qwen's models see; REFUSED of both for an aspect above MAX_ASPECT.

    Multiples of `factor`, rounded half to even, with `least` to `most` pixels. Follows smart_resize (QwenLM/Qwen3-VL
    qwen-vl-utils, vision_process.py); a side never falls below `factor`. That of transformers 4.57 differs for
    sides of at most half a factor, which it rounds to 0 first.
    """
    refused = np.maximum(width, height) / np.minimum(width, height) > MAX_ASPECT
    area = width.astype(np.float64) * height
    wide, high = (np.maximum(factor, np.rint(side / factor) * factor) for side in (width, height))
    large, small = wide * high > most, wide * high < least
    shrink, grow = np.sqrt(area / most), np.sqrt(least / area)
    sides = []
    for side, rounded in ((width, wide), (height, high)):
        less = np.maximum(factor, np.floor(side / shrink / factor) * factor)
        more = np.ceil(side * grow / factor) * factor
        whole = np.select([refused, large, small], [np.float64(REFUSED), less, more], rounded)
        sides.append(whole.astype(np.int64))
    return sides[0], sides[1]


def resized(width: Whole, height: Whole, factor: int, least: int, most: int) -> Counts:
    """Return the Qwen family's counts: a token for each square of `factor` pixels, and 2 for start and end."""
    wide, high = smart_resize(width, height, factor, least, most)
    groups = (wide // factor) * (high // factor)
    refused = wide == REFUSED
    return np.where(refused, REFUSED, groups + 2), np.where(refused, REFUSED, groups)
