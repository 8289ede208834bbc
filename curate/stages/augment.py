"""Augment one shard: derive children of its kept samples, pixels, boxes and words together."""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from curate import plugins, schema
from curate.errors import SampleError
from curate.io import storage, tars
from curate.io.redraw import SUFFIXES, Drawing, Drawn, Flip
from curate.kernels.affine import IDENTITY
from curate.kernels.boxes import Affine, compose_affine
from curate.kernels.canvas import Canvas, bare
from curate.layout import Layout
from curate.plugins import Project
from curate.sample import Derived, ImageRef, Notes, Sample, Transform, child_id
from curate.shards import ShardReport, ShardTask
from curate.stages.commit import begin, tally
from curate.stages.decide import kept_samples
from curate.stages.pictures import Pictures

Steps = dict[str, ModuleType]


@dataclass(frozen=True, slots=True)
class Augment:
    """What augmenting any shard of one dataset takes: each recipe is a chain of augmenters that makes one child.

    `decisions` is the digest of the verdicts that say which samples are kept. `pixels` is "virtual" for children
    without pixels of their own, `flip` "reencode" for the same bytes on every machine.
    """

    layout: Layout
    project: Project
    decisions: str
    digest: str
    recipes: tuple[tuple[str, ...], ...]
    quality: int
    seed: int
    pixels: Literal["write", "virtual"] = "write"
    flip: Flip = "auto"


@dataclass(frozen=True, slots=True)
class _Made:
    """A child's words and boxes, the way to its pixels, what each step noted, and its picture unless virtual."""

    words: Sample
    affine: Affine
    notes: list[dict[str, Any]]
    drawn: Drawn | None


def recipe_name(recipe: tuple[str, ...]) -> str:
    """Return the name of a chain: its augmenters joined by `+`."""
    return "+".join(recipe)


def lays(step: ModuleType) -> bool:
    """Tell whether an augmenter only lays a picture on a canvas, and says so: it defines `redraw` and `relabel`."""
    return hasattr(step, "redraw") and hasattr(step, "relabel")


def build(config: Augment) -> Callable[[ShardTask, Any], ShardReport]:
    """Load the augmenters, and return the function that augments one shard."""
    steps = {name: plugins.load("augmenters", name, config.project) for recipe in config.recipes for name in recipe}
    return partial(_augment, config, steps)


def _augment(config: Augment, steps: Steps, task: ShardTask, payload: Any) -> ShardReport:
    commit = begin(task, config.layout.augmented(config.digest, task.shard))
    table = kept_samples(config.layout, config.decisions, task.shard)
    children: list[Sample] = []
    with tempfile.TemporaryDirectory(prefix="curate-") as folder:
        tar = Path(folder) / "images.tar"
        with Pictures(config.layout.images(task.shard), table) as pictures:
            written = tars.write_tar(tar, _children(config, steps, table, pictures, children))
        storage.put_file(tar, config.layout.augmented_images(config.digest, task.shard))
    rows = schema.to_table(_placed(children, written))
    rows = rows.append_column("digest", pa.array([config.digest] * rows.num_rows, pa.string()))
    names = ["+".join(step.name for step in child.transforms) for child in children]
    rows = rows.append_column("recipe", pa.array(names, pa.string()))
    refused = Counter(child.error or "unknown" for child in children if child.status != "ok")
    return commit.write(rows, table.num_rows, tally("children", len(children), "refused", refused))


def _children(
    config: Augment, steps: Steps, table: pa.Table, pictures: Pictures, out: list[Sample]
) -> Iterator[tuple[str, bytes]]:
    """Yield the tar members of the children while their samples, and the refused ones, gather in `out`."""
    for row, parent in enumerate(schema.from_table(table)):
        drawing: Drawing | None = None

        def opened(row: int = row, parent: Sample = parent) -> Drawing:
            nonlocal drawing
            if drawing is None:
                if not parent.images:
                    raise SampleError("empty", "no picture")
                drawing = Drawing(pictures.data(row), parent.images[0], config.flip, config.quality)
            return drawing

        for recipe in config.recipes:
            child = replace(_named(config, parent, recipe, steps), row=len(out))
            try:
                made = _made(config, steps, recipe, parent, opened)
            except SampleError as error:
                out.append(replace(child, status="refused", error=error.code, error_detail=error.detail[:500]))
                continue
            words, drawn = made.words, made.drawn
            out.append(
                replace(
                    child,
                    transforms=_noted(child.transforms, made.notes),
                    affine=made.affine,
                    images=(_image(parent.images[0], drawn) if drawn else parent.images[0],),
                    text=words.text,
                    conversations=words.conversations,
                    regions=words.regions,
                    relations=words.relations,
                )
            )
            if drawn:
                yield f"{child.sample_id}.{SUFFIXES[drawn.format]}", drawn.data


def _named(config: Augment, parent: Sample, recipe: tuple[str, ...], steps: Steps) -> Sample:
    """Return the child before anything is done: its identity, its parent and what is to be done.

    The identity rests on what was asked for, not on how this machine does it.
    """
    asked = {"quality": config.quality, "seed": config.seed, "pixels": config.pixels, "flip": config.flip}
    transforms = tuple(Transform(name, steps[name].VERSION, json.dumps(asked)) for name in recipe)
    return replace(
        parent,
        sample_id=child_id(parent.sample_id, repr([astuple(step) for step in transforms])),
        parent_id=parent.sample_id,
        transforms=transforms,
        images=(),
    )


def _made(
    config: Augment, steps: Steps, recipe: tuple[str, ...], parent: Sample, opened: Callable[[], Drawing]
) -> _Made:
    """Run a chain: words first, as a refused child needs no pixels; on one canvas where every step lays pictures."""
    chain = [steps[name] for name in recipe]
    if not all(map(lays, chain)):
        if config.pixels == "virtual":
            raise SampleError("not_virtual", f"{recipe_name(recipe)} makes pixels that no affine describes")
        return _run(config, steps, recipe, parent, opened())
    if not parent.images:
        raise SampleError("empty", "no picture")
    canvas, words, notes = bare((parent.images[0].width, parent.images[0].height)), parent, []
    for step in chain:
        words, noted = step.relabel(words, canvas.size_wh)
        canvas = step.redraw(canvas)
        notes.append({**noted})
    drawn = None if config.pixels == "virtual" else opened().on(canvas)
    told = _told(canvas, drawn)
    return _Made(words, canvas.affine, [{**told, **noted} for noted in notes], drawn)


def _told(canvas: Canvas, drawn: Drawn | None) -> dict[str, Any]:
    """Return what a transform says of the pixels: the way they were made, or how to make them."""
    return {"way": drawn.way} if drawn else {"size": list(canvas.size_wh), "fill": list(canvas.fill)}


def _run(config: Augment, steps: Steps, recipe: tuple[str, ...], parent: Sample, drawing: Drawing) -> _Made:
    """Run a chain on pixels; the random generator depends on seed, sample and recipe alone."""
    key = hashlib.blake2b(f"{config.seed}\x00{parent.sample_id}\x00{recipe}".encode(), digest_size=8)
    rng = np.random.default_rng(int.from_bytes(key.digest(), "big"))
    here = Derived(parent, drawing.pixels(), IDENTITY)
    notes: list[Notes] = []
    for name in recipe:
        step = steps[name].augment(here.sample, here.pixels, rng)
        here = Derived(step.sample, step.pixels, compose_affine(step.affine, here.affine))
        notes.append(step.notes)
    drawn = drawing.encoded(here.pixels)
    return _Made(here.sample, here.affine, [{"way": drawn.way, **noted} for noted in notes], drawn)


def _noted(transforms: tuple[Transform, ...], notes: list[dict[str, Any]]) -> tuple[Transform, ...]:
    """Return the transforms with what came of them, beside what was asked for."""
    return tuple(
        replace(step, params=json.dumps({**json.loads(step.params), **noted}))
        for step, noted in zip(transforms, notes, strict=True)
    )


def _image(parent: ImageRef, drawn: Drawn) -> ImageRef:
    return ImageRef(
        member="",
        offset=0,
        size=len(drawn.data),
        sha256=hashlib.sha256(drawn.data).hexdigest(),
        phash=drawn.phash(),
        format=drawn.format,
        width=drawn.size_wh[0],
        height=drawn.size_wh[1],
        source_width=parent.width,
        source_height=parent.height,
        exif_orientation=1,
    )


def _placed(children: list[Sample], written: list[tuple[str, int, int]]) -> Iterator[Sample]:
    """Give each child that has pixels of its own its place in the tar."""
    places = iter(written)
    for child in children:
        if child.status != "ok" or child.images[0].member:
            yield child
        else:
            member, offset, size = next(places)
            yield replace(child, images=(replace(child.images[0], member=member, offset=offset, size=size),))
