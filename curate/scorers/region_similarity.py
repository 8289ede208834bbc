"""How well each phrase fits what is inside its boxes: cosines of CLIP embeddings, crop by crop."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curate import models
from curate.errors import SampleError
from curate.io import images
from curate.sample import Box, Pixels
from curate.shards import Needs

VERSION = 1
NEEDS = Needs(cpus=1, gpus=1)
PICTURES = True
COLUMNS = {
    "min_region_similarity": "cosine of the worst fitting box and its phrase, -1 to 1; NaN without boxes",
    "mean_region_similarity": "mean cosine of the boxes and their phrases, -1 to 1; NaN without boxes",
}
MAX_BOXES = 32
"""Boxes scored per picture: the first ones, in the order of the regions. It bounds a payload."""
MARGIN = 0.1
"""What a crop shows around its box, on every side, as a fraction of the box's own side."""
MIN_SIDE_PX = 2


@dataclass(frozen=True, slots=True)
class Options:
    """Which model measures: an open_clip architecture and its weights, or `tiny`, the toy that is shipped."""

    model: str = "ViT-B-32"
    checkpoint: str = "openai"


def prepare(table: pa.Table, open_picture: Callable[[int], Pixels], options: Options) -> dict[str, Any]:
    """Return the M crops of all pictures, (M, S, S, 3), with the phrase and the table row of each.

    `table` has the columns of a samples table; `open_picture(row)` gives the upright pixels of a row or
    raises SampleError. Boxes of which less than 2 pixels lie inside the picture are left out.
    """
    side = models.image_size(options.model)
    status, regions = table.column("status").to_pylist(), table.column("regions").to_pylist()
    crops: list[Pixels] = []
    phrases: list[str] = []
    rows: list[int] = []
    for row in range(table.num_rows):
        wanted = list(_boxes(regions[row] or []))[:MAX_BOXES]
        if status[row] != "ok" or not wanted:
            continue
        try:
            picture = open_picture(row)
        except SampleError:
            continue
        for phrase, box in wanted:
            part = crop(picture, box)
            if part is not None:
                crops.append(images.resize(part, (side, side)))
                phrases.append(phrase)
                rows.append(row)
    pixels = np.stack(crops) if crops else np.zeros((0, side, side, 3), dtype=np.uint8)
    return {"count": table.num_rows, "rows": rows, "pixels": pixels, "texts": phrases}


def _boxes(regions: list[dict[str, Any]]) -> Iterator[tuple[str, Box]]:
    for region in regions:
        if region["phrase"]:
            for box in region["boxes"]:
                yield region["phrase"], (box["x0"], box["y0"], box["x1"], box["y1"])


def crop(pixels: Pixels, box: Box) -> Pixels | None:
    """Return what a normalised box (x0, y0, x1, y1) and its margin show, or None when that is too little."""
    height, width = pixels.shape[:2]
    x0, x1 = (min(max(x, 0.0), 1.0) * width for x in (box[0], box[2]))
    y0, y1 = (min(max(y, 0.0), 1.0) * height for y in (box[1], box[3]))
    # Written so that NaN, too, counts as too little.
    if not (x1 - x0 >= MIN_SIDE_PX and y1 - y0 >= MIN_SIDE_PX):
        return None
    dx, dy = MARGIN * (x1 - x0), MARGIN * (y1 - y0)
    left, top = max(0, math.floor(x0 - dx)), max(0, math.floor(y0 - dy))
    return pixels[top : math.ceil(y1 + dy), left : math.ceil(x1 + dx)]


class Scorer:
    """The half that holds the model."""

    def __init__(self, options: Options) -> None:
        self._clip = models.load(options.model, options.checkpoint)

    def score(self, payload: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return both columns, float64 (N,), in the order of the table's rows."""
        # The same phrase names boxes in many pictures: each is read once.
        phrases, which = np.unique(np.array(payload["texts"], dtype=np.str_), return_inverse=True)
        seen, read = self._clip.images(payload["pixels"]), self._clip.texts(phrases.tolist())
        cosine = np.einsum("md,md->m", seen, read[which], dtype=np.float64)
        rows, count = np.array(payload["rows"], dtype=np.int64), payload["count"]
        lowest = np.full(count, np.inf)
        np.minimum.at(lowest, rows, cosine)
        boxes = np.bincount(rows, minlength=count)
        total = np.bincount(rows, weights=cosine, minlength=count)
        none = boxes == 0
        return {
            "min_region_similarity": np.where(none, np.nan, lowest),
            "mean_region_similarity": np.where(none, np.nan, total / np.maximum(boxes, 1)),
        }
