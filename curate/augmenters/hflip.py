"""A picture mirrored left to right, with its boxes and its words."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from curate.errors import SampleError
from curate.grounding.flip_words import flipped
from curate.kernels import boxes
from curate.kernels.canvas import Canvas, bare, lay_pixels
from curate.sample import Derived, Grounded, Notes, Pixels, Region, Relation, Sample

VERSION: int = 3


def redraw(canvas: Canvas) -> Canvas:
    """Return the canvas mirrored."""
    return canvas.flip()


def relabel(sample: Sample, size_wh: tuple[int, int]) -> tuple[Sample, Notes]:
    """Return the sample with mirrored boxes and words, and `swapped`: how many words changed.

    x0' = 1 - x1, x1' = 1 - x0; left and right change places in `text` and in every turn, spans with them. Twice is
    the identity. `size_wh` is not used.

    Raises SampleError: what `flip_words` refuses (`flip_text`, `flip_directional`, `flip_unclear` ...),
    `bad_span` for a turn that does not exist, `several_pictures` as boxes belong to one picture only.
    """
    if len(sample.images) > 1:
        raise SampleError("several_pictures", f"{len(sample.images)} pictures, boxes of one")
    words, swapped = _flip_text(sample)
    return _mirror_boxes(words), {"swapped": swapped}


def augment(sample: Sample, pixels: Pixels, rng: np.random.Generator) -> Derived:
    """Return the mirrored picture with its boxes and words; `rng` is not used.

    `pixels` is (height, width, 3). Identity, transforms, affine and images of the sample are the caller's to set.
    Raises SampleError as `relabel` does.
    """
    canvas = redraw(bare((pixels.shape[1], pixels.shape[0])))
    words, notes = relabel(sample, canvas.picture_wh)
    return Derived(words, lay_pixels(pixels, canvas), canvas.affine, notes)


def _mirror_boxes(sample: Sample) -> Sample:
    regions = tuple(
        replace(region, boxes=tuple((a, b, c, d) for a, b, c, d in boxes.hflip(region.boxes).tolist()))
        for region in sample.regions
    )
    return replace(sample, regions=regions)


def _flip_text(sample: Sample) -> tuple[Sample, int]:
    texts: dict[int | None, str] = {None: sample.text or ""}
    texts.update((i, turn.value) for i, turn in enumerate(sample.conversations))
    region_places = _by_turn(sample.regions, texts)
    relation_places = _by_turn(sample.relations, texts)
    regions, relations = list(sample.regions), list(sample.relations)
    swapped = 0
    for turn, text in texts.items():
        mirrored, count = flipped(
            Grounded(
                text,
                tuple(sample.regions[i] for i in region_places[turn]),
                tuple(sample.relations[i] for i in relation_places[turn]),
            )
        )
        swapped += count
        texts[turn] = mirrored.text
        for i, region in zip(region_places[turn], mirrored.regions, strict=True):
            regions[i] = region
        for i, relation in zip(relation_places[turn], mirrored.relations, strict=True):
            relations[i] = relation
    turns = tuple(replace(turn, value=texts[i]) for i, turn in enumerate(sample.conversations))
    text_after = None if sample.text is None else texts[None]
    words = replace(sample, text=text_after, conversations=turns, regions=tuple(regions), relations=tuple(relations))
    return words, swapped


def _by_turn(spans: Sequence[Region | Relation], texts: dict[int | None, str]) -> dict[int | None, list[int]]:
    places: dict[int | None, list[int]] = {turn: [] for turn in texts}
    for i, span in enumerate(spans):
        if span.turn not in places:
            raise SampleError("bad_span", f"turn {span.turn} of {len(texts) - 1}")
        places[span.turn].append(i)
    return places
