"""A sample: one picture (or several) with its text, its regions and where it came from.

Boxes are float64, normalised to [0, 1], xyxy, of the stored upright picture. Spans are Python character
offsets into `text` (turn is None) or into `conversations[turn].value`, end exclusive.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Box = tuple[float, float, float, float]
Pixels = npt.NDArray[np.uint8]
"""RGB picture, shape (height, width, 3)."""
Notes = Mapping[str, bool | int | float | str]
"""What a step decided on its way, as JSON can hold it: kept in the child's transform."""


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

    def is_virtual(self) -> bool:
        """Tell whether this is a child without pixels of its own: its picture is the parent's, still to be moved."""
        return bool(self.transforms and self.images) and self.images[0].member.rpartition(".")[0] != self.sample_id


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
    notes: Notes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placed:
    """How a trainer makes a virtual child's picture of its parent's: move by `affine` onto `size_wh` of `fill`.

    `affine` is as in Derived, `fill` an RGB colour, `steps` the names of the augmenters in order.
    """

    affine: tuple[float, ...]
    size_wh: tuple[int, int]
    fill: tuple[int, int, int]
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attached:
    """A picture of a record: its path relative to `Record.folder`, its bytes where they are written, size in pixels.

    Width and height are 0 where they are not known, of a picture that is not written.
    """

    image: str
    picture: bytes | None
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Record:
    """What an exporter writes: a dialogue in one model's written form, and its picture.

    `image` is the picture's path relative to the export's folder, `picture` its bytes; both are None for a
    sample without a picture, `picture` alone where pictures are not written. With `transform` the picture is the
    parent's, and the words and boxes are of what it becomes; `width` and `height` are of that. `folder` is where in
    the export's folder pictures lie, when `image` is relative to that instead. `others` are a sample's further
    pictures. `said` is what the turns say without any written form, one for each; `length` in tokens, pictures
    included, and the number of the `pack` are known for samples of a mix. Pictures that are none of the export's stay
    `elsewhere`: an absolute folder, or one of a store, to which `image` is relative then; "" where it is not known.
    """

    sample_id: str
    component: str
    turns: tuple[Turn, ...]
    image: str | None
    picture: bytes | None
    width: int
    height: int
    transform: Placed | None = None
    folder: str = ""
    others: tuple[Attached, ...] = ()
    said: tuple[Grounded, ...] = ()
    length: int | None = None
    pack: int | None = None
    elsewhere: str = ""

    def attached(self) -> tuple[Attached, ...]:
        """Return the pictures in order."""
        if self.image is None:
            return self.others
        return (Attached(self.image, self.picture, self.width, self.height), *self.others)


def sample_id(dataset: str, key: str) -> str:
    """Return the 128-bit identity, in hex, of a source row: the same in every run and on every machine."""
    return hashlib.blake2b(f"{dataset}\x00{key}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def child_id(parent_id: str, recipe: str) -> str:
    """Return the identity of the sample that `recipe` derives from `parent_id`."""
    return sample_id(parent_id, f"child\x00{recipe}")
