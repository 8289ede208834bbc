"""Train the toy CLIP that is shipped for the demo, and measure it on scenes that it never saw."""

import argparse
import json
import logging
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from curate import models
from curate.demo import scenes
from curate.io import images
from curate.sample import Pixels
from curate.scorers.region_similarity import crop

TRAINING_SEEDS = 1_000_000_000
HELD_OUT_SEEDS = 2_000_000_000
"""First seeds of the scenes to learn from and to measure on; the demo's worlds end below both."""
NOTHING = "a plain background"
"""What a box with nothing in it is called, so that it is learnt to be none of the phrases."""

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Views:
    """What the model sees of one scene: the whole, every object, and nothing where there is room for it."""

    scene: scenes.Scene
    whole: Pixels
    crops: tuple[Pixels, ...]
    empty: Pixels | None


def views(seed: int, side: int) -> Views:
    """Return the views of one scene, squashed to `side` pixels just as the scorers do."""
    scene = scenes.scene(seed)
    pixels = scenes.draw(scene)
    nowhere = scenes.empty_box(scene, 0, np.random.default_rng((seed, 2)))
    cut = [_cut(pixels, thing.box_px, side) for thing in scene.objects]
    empty = _cut(pixels, nowhere, side) if nowhere else None
    return Views(scene, images.resize(pixels, (side, side)), tuple(cut), empty)


def _cut(pixels: Pixels, box: scenes.PixelBox, side: int) -> Pixels:
    height, width = pixels.shape[:2]
    part = crop(pixels, (box[0] / width, box[1] / height, box[2] / width, box[3] / height))
    if part is None:
        raise ValueError(f"box {box} shows nothing")
    return images.resize(part, (side, side))


def _many(first_seed: int, count: int, side: int) -> list[Views]:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(views, range(first_seed, first_seed + count), [side] * count, chunksize=64))


def pairs(seen: Iterable[Views], seed: int) -> tuple[models.Pictures, list[str]]:
    """Return pictures (N, S, S, 3) and texts: of each scene the whole, one object, at times nothing."""
    rng = np.random.default_rng(seed)
    pictures, texts = [], []
    for view in seen:
        index = int(rng.integers(len(view.crops)))
        pictures += [view.whole, view.crops[index]]
        texts += [view.scene.caption, view.scene.objects[index].phrase]
        if view.empty is not None and rng.random() < 0.3:
            pictures.append(view.empty)
            texts.append(NOTHING)
    return np.stack(pictures), texts


def auc(right: Scores, wrong: Scores) -> float:
    """Return the chance that a right pair scores higher than a wrong one (ties are not expected)."""
    ranks = np.argsort(np.argsort(np.concatenate([right, wrong]))) + 1
    best = len(right) * (len(right) + 1) / 2
    return float((ranks[: len(right)].sum() - best) / (len(right) * len(wrong)))


def _summary(right: Scores, wrong: Scores, loose: Scores) -> dict[str, float]:
    # Keep 99.5 % of the right pairs at the least; where there is room below them, go half way down.
    low, high = float(np.quantile(right, 0.005)), float(np.quantile(wrong, 0.9999))
    threshold = round(min(low, (low + high) / 2), 3)
    return {
        "auc": auc(right, wrong),
        "auc_any_other": auc(right, loose),
        "threshold": threshold,
        "right_kept": float((right >= threshold).mean()),
        "wrong_rejected": float((wrong < threshold).mean()),
        "right_min": float(right.min()),
        "right_median": float(np.median(right)),
        "wrong_median": float(np.median(wrong)),
        "wrong_max": float(wrong.max()),
    }


def measure(clip: models.Clip, seen: list[Views]) -> dict[str, dict[str, float]]:
    """Return how well captions and crops are told apart; a wrong caption shares no colour with the scene."""
    captions = clip.texts([view.scene.caption for view in seen])
    wholes = clip.images(np.stack([view.whole for view in seen]))
    cosine = (wholes @ captions.T).astype(np.float64)
    colours = [{thing.colour for thing in view.scene.objects} for view in seen]
    foreign = np.array([[one.isdisjoint(other) for other in colours] for one in colours])
    other = ~np.eye(len(seen), dtype=np.bool_)
    names = sorted({thing.phrase for view in seen for thing in view.scene.objects})
    read = clip.texts(names)
    crops = clip.images(np.stack([part for view in seen for part in view.crops]))
    of_crop = np.array([names.index(thing.phrase) for view in seen for thing in view.scene.objects])
    fits = (crops @ read.T).astype(np.float64)
    is_right = of_crop[:, None] == np.arange(len(names))[None, :]
    nothing = clip.images(np.stack([view.empty for view in seen if view.empty is not None]))
    off = (nothing @ read.T).astype(np.float64).ravel()
    return {
        "captions": _summary(cosine[~other], cosine[foreign], cosine[other]),
        "crops": _summary(fits[is_right], off, fits[~is_right]),
    }


def main() -> None:
    """Train, write the weights and `metrics.json` beside the config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=models.TINY)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--scenes", type=int, default=9_000)
    parser.add_argument("--steps", type=int, default=600)
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    log = logging.getLogger(__name__)
    # This script's words, not those of open_clip.
    log.setLevel(logging.INFO)
    started, side = time.monotonic(), models.image_size("tiny")
    pictures, texts = pairs(_many(TRAINING_SEEDS, arguments.scenes, side), arguments.seed)
    log.info("%d pairs after %.0f s", len(texts), time.monotonic() - started)

    def told(step: int, loss: float) -> None:
        if step % 50 == 0:
            log.info("step %d, loss %.3f, %.0f s", step, loss, time.monotonic() - started)

    options = models.Training(arguments.steps, learning_rate=2e-3, seed=arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    weights = arguments.out / "weights.safetensors"
    models.train(str(models.TINY / "config.json"), pictures, texts, options, weights, told)
    clip = models.load(str(models.TINY / "config.json"), str(weights))
    metrics = {
        "seed": arguments.seed,
        "training_scenes": arguments.scenes,
        "steps": arguments.steps,
        "held_out_scenes": 1000,
        **measure(clip, _many(HELD_OUT_SEEDS, 1000, side)),
    }
    (arguments.out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    log.info("done after %.0f s: %s", time.monotonic() - started, json.dumps(metrics))


if __name__ == "__main__":
    main()
