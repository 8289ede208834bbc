"""A sample: one picture (or several) with its text, its regions and where it came from.

Boxes are float64, normalised to [0, 1], xyxy, of the stored upright picture. Spans are Python character
offsets into `text` (turn is None) or into `conversations[turn].value`, end exclusive.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Box = tuple[float, float, float, float]
Pixels = npt.NDArray[np.uint8]
"""RGB picture, shape (height, width, 3)."""


@dataclass(frozen=True, slots=True)
class Region:
    """A phrase and the boxes that it names; `start` and `end` are None for a phrase outside the text."""

    phrase: str
    boxes: tuple[Box, ...]
    turn: int | None = None
    start: int | None = None
    end: int | None = None
    score: float | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """A predicate between boxes; `subjects` and `objects` index the boxes of all regions laid end to end."""

    predicate: str
    subjects: tuple[int, ...]
    objects: tuple[int, ...]
    turn: int | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a dialogue; `role` is `human` or `gpt`."""

    role: str
    value: str


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Where a stored picture lies in its tar, and what it was: sizes in pixels, sha256 and phash in hex."""

    member: str
    offset: int
    size: int
    sha256: str
    phash: str
    format: str
    width: int
    height: int
    source_width: int
    source_height: int
    exif_orientation: int


@dataclass(frozen=True, slots=True)
class Transform:
    """One step that made a derived sample: augmenter name, its version, its parameters as JSON."""

    name: str
    version: int
    params: str = "{}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a samples table (`schema.py` writes it)."""

    sample_id: str
    dataset: str
    shard: int
    row: int
    source_key: str
    status: str = "ok"
    error: str | None = None
    error_detail: str | None = None
    parent_id: str | None = None
    transforms: tuple[Transform, ...] = ()
    affine: tuple[float, ...] | None = None
    url: str | None = None
    attempts: int | None = None
    fetched_at: str | None = None
    images: tuple[ImageRef, ...] = ()
    text: str | None = None
    conversations: tuple[Turn, ...] = ()
    regions: tuple[Region, ...] = ()
    relations: tuple[Relation, ...] = ()
    source_meta: str = "{}"


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row as a source reads it, before its picture is fetched and made upright.

    `url` is set where the picture must be fetched, `picture` where the source carries the bytes itself.
    `declared_wh` is the picture size in pixels that the annotations were made on, when the source states it.
    `error` (code, detail) marks a row that the source could not understand; it is recorded as failed.
    """

    key: str
    url: str | None = None
    picture: bytes | None = None
    declared_wh: tuple[int, int] | None = None
    text: str | None = None
    conversations: tuple[Turn, ...] = ()
    regions: tuple[Region, ...] = ()
    relations: tuple[Relation, ...] = ()
    meta: str = "{}"
    error: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Grounded:
    """A text without any dialect's tags, its phrases with boxes, its predicates: what a codec reads and writes."""

    text: str
    regions: tuple[Region, ...] = ()
    relations: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class Derived:
    """What an augmenter makes: the sample with new words and boxes, its pixels, and the way there.

    `affine` is (a, b, c, d, e, f): x' = a x + b y + c, y' = d x + e y + f, pixels of the parent to pixels of
    the child, where a pixel's left edge is x and its right edge x + 1.
    """

    sample: Sample
    pixels: Pixels
    affine: tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Record:
    """What an exporter writes: a dialogue in one model's written form, and its picture.

    `image` is the picture's path relative to the export's folder, `picture` its bytes; both are None for a
    sample without a picture, `picture` alone where pictures are not written.
    """

    sample_id: str
    component: str
    turns: tuple[Turn, ...]
    image: str | None
    picture: bytes | None
    width: int
    height: int


def sample_id(dataset: str, key: str) -> str:
    """Return the 128-bit identity, in hex, of a source row: the same in every run and on every machine."""
    return hashlib.blake2b(f"{dataset}\x00{key}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def child_id(parent_id: str, recipe: str) -> str:
    """Return the identity of the sample that `recipe` derives from `parent_id`."""
    return sample_id(parent_id, f"child\x00{recipe}")
