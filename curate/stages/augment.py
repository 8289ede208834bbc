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
from typing import Any

import numpy as np
import pyarrow as pa

from curate import plugins, schema
from curate.errors import SampleError
from curate.io import images, storage, tables, tars
from curate.kernels.boxes import compose_affine
from curate.layout import Layout
from curate.plugins import Project
from curate.sample import Derived, ImageRef, Sample, Transform, child_id
from curate.shards import ShardReport, ShardTask
from curate.stages.commit import begin, tally
from curate.stages.decide import dropped_ids
from curate.stages.pictures import Pictures
from curate.stages.score import good_samples

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Augment:
    """What augmenting any shard of one dataset takes: each recipe is a chain of augmenters that makes one child.

    `decisions` is the digest of the verdicts that say which samples are kept.
    """

    layout: Layout
    project: Project
    decisions: str
    digest: str
    recipes: tuple[tuple[str, ...], ...]
    quality: int
    seed: int


def recipe_name(recipe: tuple[str, ...]) -> str:
    """Return the name of a chain: its augmenters joined by `+`."""
    return "+".join(recipe)


def build(config: Augment) -> Callable[[ShardTask, Any], ShardReport]:
    """Load the augmenters, and return the function that augments one shard."""
    steps = {name: plugins.load("augmenters", name, config.project) for recipe in config.recipes for name in recipe}
    return partial(_augment, config, steps)


def _augment(config: Augment, steps: dict[str, ModuleType], task: ShardTask, payload: Any) -> ShardReport:
    commit = begin(task, config.layout.augmented(config.digest, task.shard))
    dropped = dropped_ids(tables.read_table(config.layout.decisions(config.decisions, task.shard)))
    good = good_samples(config.layout, task.shard)
    table = good.filter(pa.array([name not in dropped for name in good["sample_id"].to_pylist()], pa.bool_()))
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
    config: Augment, steps: dict[str, ModuleType], table: pa.Table, pictures: Pictures, out: list[Sample]
) -> Iterator[tuple[str, bytes]]:
    """Yield the tar members of the children while their samples, and the refused ones, gather in `out`."""
    for row, parent in enumerate(schema.from_table(table)):
        pixels = None
        for recipe in config.recipes:
            child = replace(_named(config, parent, recipe, steps), row=len(out))
            try:
                pixels = pictures(row) if pixels is None else pixels
                made = _apply(config, steps, recipe, Derived(parent, pixels, IDENTITY))
            except SampleError as error:
                out.append(replace(child, status="refused", error=error.code, error_detail=error.detail[:500]))
                continue
            data = images.encode_jpeg(made.pixels, config.quality)
            image = _image(parent.images[0], made, data)
            words = made.sample
            out.append(
                replace(
                    child,
                    affine=made.affine,
                    images=(image,),
                    text=words.text,
                    conversations=words.conversations,
                    regions=words.regions,
                    relations=words.relations,
                )
            )
            yield f"{child.sample_id}.jpg", data


def _named(config: Augment, parent: Sample, recipe: tuple[str, ...], steps: dict[str, ModuleType]) -> Sample:
    """Return the child before anything is done: its identity, its parent and what is to be done."""
    params = json.dumps({"quality": config.quality, "seed": config.seed})
    transforms = tuple(Transform(name, steps[name].VERSION, params) for name in recipe)
    return replace(
        parent,
        sample_id=child_id(parent.sample_id, repr([astuple(step) for step in transforms])),
        parent_id=parent.sample_id,
        transforms=transforms,
        images=(),
    )


def _apply(config: Augment, steps: dict[str, ModuleType], recipe: tuple[str, ...], start: Derived) -> Derived:
    """Run the chain; the random generator depends on seed, sample and recipe alone."""
    key = hashlib.blake2b(f"{config.seed}\x00{start.sample.sample_id}\x00{recipe}".encode(), digest_size=8)
    rng = np.random.default_rng(int.from_bytes(key.digest(), "big"))
    here = start
    for name in recipe:
        step = steps[name].augment(here.sample, here.pixels, rng)
        here = Derived(step.sample, step.pixels, compose_affine(step.affine, here.affine))
    return here


def _image(parent: ImageRef, made: Derived, data: bytes) -> ImageRef:
    height, width = made.pixels.shape[:2]
    return ImageRef(
        member="",
        offset=0,
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        phash=images.perceptual_hash(made.pixels),
        format="jpeg",
        width=width,
        height=height,
        source_width=parent.width,
        source_height=parent.height,
        exif_orientation=1,
    )


def _placed(children: list[Sample], written: list[tuple[str, int, int]]) -> Iterator[Sample]:
    """Give each child that has pixels its place in the tar."""
    places = iter(written)
    for child in children:
        if child.status != "ok":
            yield child
        else:
            member, offset, size = next(places)
            yield replace(child, images=(replace(child.images[0], member=member, offset=offset, size=size),))
