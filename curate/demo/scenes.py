"""Scenes of simple shapes whose words, boxes and masks are known exactly, each drawn from one seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from curate.sample import Pixels

Mask = npt.NDArray[np.bool_]
PixelBox = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, the far edges exclusive."""

Colour = tuple[int, int, int]
Plane = npt.NDArray[np.float32]

COLOURS: dict[str, Colour] = {
    "red": (215, 25, 30),
    "green": (20, 140, 50),
    "blue": (25, 55, 215),
    "yellow": (245, 220, 25),
    "purple": (125, 30, 165),
    "orange": (250, 125, 10),
    "black": (15, 15, 18),
    "white": (252, 252, 252),
}
STAR_INNER = 0.42
"""Radius of a star's inner corners, where its tips lie at 1."""


def _star(u: Plane, v: Plane) -> Mask:
    fifth = np.pi / 5
    angle = np.abs((np.arctan2(u, -v) + fifth) % (2 * fifth) - fifth)
    radius = np.hypot(u, v)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    inner_x, inner_y = STAR_INNER * np.cos(fifth), STAR_INNER * np.sin(fifth)
    inside: Mask = (inner_x - 1) * y - inner_y * (x - 1) >= 0
    return inside


# u runs to the right and v down, both from -1 to 1 over the object's cell.
SHAPES: dict[str, Callable[[Plane, Plane], Mask]] = {
    "circle": lambda u, v: u * u + v * v <= 1,
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) <= 1,
    "triangle": lambda u, v: np.abs(u) <= (v + 1) / 2,
    "star": _star,
    "ring": lambda u, v: np.abs(u * u + v * v - 0.65) <= 0.35,
    "cross": lambda u, v: np.minimum(np.abs(u), np.abs(v)) <= 0.33,
}


@dataclass(frozen=True, slots=True)
class Thing:
    """One object: `box_px` is tight around its pixels, `cell_px` is the box that its shape was drawn into."""

    shape: str
    colour: str
    cell_px: PixelBox
    box_px: PixelBox

    @property
    def phrase(self) -> str:
        """Return the noun phrase, such as `an orange star`."""
        return f"{'an' if self.colour[0] in 'aeiou' else 'a'} {self.colour} {self.shape}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture still to be drawn, and all that is true of it.

    `phrases` holds (start, end, object index): character offsets into `caption`, end exclusive. No two
    objects of a scene have the same phrase.
    """

    seed: int
    width: int
    height: int
    objects: tuple[Thing, ...]
    caption: str
    phrases: tuple[tuple[int, int, int], ...]


def scene(seed: int) -> Scene:
    """Return the scene of `seed`: 2 to 4 objects apart from one another, 240-640 px wide, 180-640 px high."""
    rng = np.random.default_rng((seed, 0))
    width = int(rng.integers(240, 641))
    aspect = rng.choice([4 / 3, 3 / 2, 16 / 9, 5 / 4, 1.0, 3 / 4, 2 / 3])
    height = int(np.clip(round(width / aspect), 180, 640))
    cells = _cells(rng, width, height)
    names = rng.permutation(len(COLOURS) * len(SHAPES))[: len(cells)]
    things = []
    for name, cell in zip(names.tolist(), cells, strict=True):
        shape, colour = list(SHAPES)[name // len(COLOURS)], list(COLOURS)[name % len(COLOURS)]
        things.append(Thing(shape, colour, cell, _tight(shape, cell)))
    caption, phrases = _caption(rng, things)
    return Scene(seed, width, height, tuple(things), caption, phrases)


def _cells(rng: np.random.Generator, width: int, height: int) -> list[PixelBox]:
    wanted = int(rng.integers(2, 5))
    side, gap = min(width, height), 0.05 * min(width, height)
    cells: list[PixelBox] = []
    for _ in range(400):
        if len(cells) == wanted:
            break
        size = rng.uniform(0.2, 0.36 if wanted < 4 else 0.3) * side
        w, h = (int(size * stretch) for stretch in rng.uniform(0.88, 1.12, 2))
        x, y = int(rng.integers(2, width - w - 2)), int(rng.integers(2, height - h - 2))
        cell = (x, y, x + w, y + h)
        if not any(overlaps(cell, other, gap) for other in cells):
            cells.append(cell)
    return cells


def overlaps(one: PixelBox, other: PixelBox, gap: float = 0.0) -> bool:
    """Tell whether two boxes overlap, or come nearer to each other than `gap` pixels."""
    return one[0] < other[2] + gap and other[0] < one[2] + gap and one[1] < other[3] + gap and other[1] < one[3] + gap


def empty_box(of: Scene, index: int, rng: np.random.Generator) -> PixelBox | None:
    """Return a box as large as that of object `index` where there is nothing, or None when none is found."""
    x0, y0, x1, y1 = of.objects[index].box_px
    w, h = x1 - x0, y1 - y0
    for _ in range(200):
        x, y = int(rng.integers(0, of.width - w + 1)), int(rng.integers(0, of.height - h + 1))
        box = (x, y, x + w, y + h)
        # A scorer looks at a margin of 10 % around the box: that must be empty as well.
        if not any(overlaps(box, thing.box_px, 0.15 * max(w, h)) for thing in of.objects):
            return box
    return None


def _cell_mask(shape: str, cell: PixelBox) -> Mask:
    w, h = cell[2] - cell[0], cell[3] - cell[1]
    u = ((np.arange(w, dtype=np.float32) + 0.5) * (2 / w) - 1)[None, :]
    v = ((np.arange(h, dtype=np.float32) + 0.5) * (2 / h) - 1)[:, None]
    return SHAPES[shape](u, v)


def _tight(shape: str, cell: PixelBox) -> PixelBox:
    mask = _cell_mask(shape, cell)
    xs, ys = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = cell[:2]
    return x + int(xs[0]), y + int(ys[0]), x + int(xs[-1]) + 1, y + int(ys[-1]) + 1


def masks(of: Scene) -> list[Mask]:
    """Return the mask of each object, shape (height, width), true where the object is seen."""
    out = []
    for thing in of.objects:
        x0, y0, x1, y1 = thing.cell_px
        mask = np.zeros((of.height, of.width), dtype=np.bool_)
        mask[y0:y1, x0:x1] = _cell_mask(thing.shape, thing.cell_px)
        out.append(mask)
    return out


def draw(of: Scene) -> Pixels:
    """Return the picture, uint8, shape (height, width, 3)."""
    rng = np.random.default_rng((of.seed, 1))
    pixels = _background(rng, of.width, of.height)
    for thing in of.objects:
        x0, y0, x1, y1 = thing.cell_px
        colour = np.array(COLOURS[thing.colour]) + rng.integers(-10, 11, 3)
        pixels[y0:y1, x0:x1][_cell_mask(thing.shape, thing.cell_px)] = np.clip(colour, 0, 255)
    return pixels


def _background(rng: np.random.Generator, width: int, height: int) -> Pixels:
    x, y = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    step, turn = rng.uniform(9, 40), rng.uniform(0, 2 * np.pi)
    texture = int(rng.integers(0, 5))
    if texture == 0:
        light = np.zeros((height, width), dtype=np.float32)
    elif texture == 1:
        light = 15 * np.cos(turn) * (2 * x / width - 1) + 15 * np.sin(turn) * (2 * y / height - 1)
    elif texture == 2:
        # sin(p + q) from one row and one column: two sines a line, not one a pixel.
        p, q = x * np.float32(np.cos(turn) * 6.28 / step), y * np.float32(np.sin(turn) * 6.28 / step)
        light = 12 * np.sin(p) * np.cos(q) + 12 * np.cos(p) * np.sin(q)
    elif texture == 3:
        light = 10 * np.where((x // step).astype(np.int16) + (y // step).astype(np.int16) & 1, 1, -1)
    else:
        light = 14 * np.sin(x * np.float32(4 / step) + turn) * np.sin(y * np.float32(4 / step))
    grain = rng.integers(-3, 4, (64, 64), dtype=np.int8)
    shade = light.astype(np.int8) + np.tile(grain, (height // 64 + 1, width // 64 + 1))[:height, :width]
    # Muted: the colours that a phrase can name stay far from every background.
    base = (rng.integers(115, 196) + rng.integers(-22, 23, 3)).astype(np.uint8)
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    for channel in range(3):
        # Bytes wrap around, so adding a negative shade as a large byte subtracts it.
        np.add(shade.view(np.uint8), base[channel], out=pixels[:, :, channel])
    return pixels


def _relation(one: Thing, other: Thing) -> str:
    across = (one.box_px[0] + one.box_px[2]) - (other.box_px[0] + other.box_px[2])
    down = (one.box_px[1] + one.box_px[3]) - (other.box_px[1] + other.box_px[3])
    if abs(across) >= abs(down):
        return "to the left of" if across < 0 else "to the right of"
    return "above" if down < 0 else "below"


def _caption(rng: np.random.Generator, things: list[Thing]) -> tuple[str, tuple[tuple[int, int, int], ...]]:
    template = int(rng.integers(0, 4))
    parts: list[str | int] = []
    if template == 0:
        parts.append("a picture of ")
    if template == 3:
        order = sorted(range(len(things)), key=lambda index: things[index].box_px[0])
        parts += [order[0], " on the left"]
        for index in order[1:-1]:
            parts += [", ", index]
        parts += [" and ", order[-1], " on the right"]
    else:
        parts.append(0)
        for index in range(1, len(things)):
            joint = f" {_relation(things[index - 1], things[index])} "
            parts += [" and " if template == 2 and index == 2 else joint, index]
    return _spans(parts, things)


def _spans(parts: list[str | int], things: list[Thing]) -> tuple[str, tuple[tuple[int, int, int], ...]]:
    caption, phrases = "", []
    for part in parts:
        if isinstance(part, int):
            phrase = things[part].phrase
            phrases.append((len(caption), len(caption) + len(phrase), part))
            caption += phrase
        else:
            caption += part
    return caption, tuple(phrases)
