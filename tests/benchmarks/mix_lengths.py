"""Token lengths like those of as_mix_4m, whose own histogram is not published: nine sources over CLIP's 576."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

PICTURE, TEMPLATE = 576, 35


@dataclass(frozen=True)
class Part:
    """A source: its share, the median and spread of its words' tokens (log-normal), whether it has pictures."""

    name: str
    share: float
    median: float
    sigma: float
    pictures: bool = True


PARTS = (
    Part("sharegpt", 0.01, 700, 0.9, False),
    Part("llava conversations", 0.12, 270, 0.6),
    Part("vqa", 0.18, 115, 0.6),
    Part("regions", 0.25, 140, 0.5),
    Part("refcoco", 0.12, 130, 0.5),
    Part("as-v2 relations", 0.04, 420, 0.6),
    Part("as-core", 0.18, 160, 0.7),
    Part("ocr", 0.08, 210, 0.8),
    Part("short text", 0.02, 90, 0.7, False),
)


def as_mix_like(count: int, seed: int = 0) -> tuple[Ints, Ints]:
    """Return lengths and sources, (N,) each: mean about 828 tokens, median 768, 95th percentile 1,239."""
    rng = np.random.default_rng(seed)
    source = rng.choice(len(PARTS), count, p=[part.share for part in PARTS])
    median, sigma = np.array([part.median for part in PARTS]), np.array([part.sigma for part in PARTS])
    words = np.exp(np.log(median)[source] + sigma[source] * rng.standard_normal(count)).astype(np.int64)
    pictures = np.array([PICTURE * part.pictures for part in PARTS])
    return words + TEMPLATE + pictures[source], source.astype(np.int64)


def tiled(count: int, seed: int = 0) -> tuple[Ints, Ints]:
    """Return tokens and vision tiles, (N,) each, of documents and charts cut into 1 to 13 tiles of 256 tokens."""
    rng = np.random.default_rng(seed)
    tiles = np.minimum(rng.geometric(0.18, count), 13)
    return tiles * 256 + np.exp(rng.normal(4.6, 0.8, count)).astype(np.int64) + TEMPLATE, tiles.astype(np.int64)
