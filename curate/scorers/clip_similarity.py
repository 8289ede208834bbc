"""How well the words of a sample fit its picture: the cosine of their CLIP embeddings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from curate import models
from curate.errors import SampleError
from curate.io import images
from curate.sample import Pixels
from curate.shards import Needs

VERSION = 1
NEEDS = Needs(cpus=1, gpus=1)
PICTURES = True
COLUMNS = {
    "clip_similarity": "cosine of picture and text, -1 to 1; NaN without a text or a picture that opens",
}


@dataclass(frozen=True, slots=True)
class Options:
    """Which model measures: an open_clip architecture and its weights, or `tiny`, the toy that is shipped."""

    model: str = "ViT-B-32"
    checkpoint: str = "openai"


def prepare(table: pa.Table, open_picture: Callable[[int], Pixels], options: Options) -> dict[str, Any]:
    """Return the pictures (M, S, S, 3) and texts of the M rows that can be scored, and which `rows` they are.

    `table` has the columns of a samples table; `open_picture(row)` gives the upright pixels of a row or
    raises SampleError. The picture is squashed to the model's square, so that nothing that the text names
    is cut off.
    """
    side = models.image_size(options.model)
    texts = [
        said or _answers(turns)
        for said, turns in zip(table.column("text").to_pylist(), table.column("conversations").to_pylist(), strict=True)
    ]
    status = table.column("status").to_pylist()
    pictures: list[Pixels] = []
    rows: list[int] = []
    for row, text in enumerate(texts):
        if status[row] != "ok" or not text:
            continue
        try:
            pictures.append(images.resize(open_picture(row), (side, side)))
        except SampleError:
            continue
        rows.append(row)
    pixels = np.stack(pictures) if pictures else np.zeros((0, side, side, 3), dtype=np.uint8)
    return {"count": table.num_rows, "rows": rows, "pixels": pixels, "texts": [texts[row] for row in rows]}


def _answers(turns: list[dict[str, str]] | None) -> str:
    return " ".join(turn["value"] for turn in turns or [] if turn["role"] == "gpt")


class Scorer:
    """The half that holds the model."""

    def __init__(self, options: Options) -> None:
        self._clip = models.load(options.model, options.checkpoint)

    def score(self, payload: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return `clip_similarity`, float64 (N,), in the order of the table's rows."""
        seen, read = self._clip.images(payload["pixels"]), self._clip.texts(payload["texts"])
        similarity = np.full(payload["count"], np.nan)
        similarity[payload["rows"]] = np.einsum("nd,nd->n", seen, read, dtype=np.float64)
        return {"clip_similarity": similarity}
