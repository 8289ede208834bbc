"""Every fault that the tiny world plants: where, how often, and what it means to have caught it."""

from dataclasses import dataclass

import numpy as np

FULL_WORLD = 2140
"""The number of scenes for which the counts of `FAULTS` are meant; another size scales them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault.

    `planted` says how many rows of which dataset have it. A row is caught when it failed with one of
    `errors`, or was dropped for one of `reasons`; where `kept` is true the row is sound after all, and caught
    means kept.
    """

    name: str
    what: str
    planted: tuple[tuple[str, int], ...]
    errors: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    kept: bool = False


FAULTS: tuple[Fault, ...] = (
    Fault("dead_link", "404 Not Found", (("cc12m", 12), ("grit", 8)), errors=("http_404",)),
    Fault("busy_once", "503 at the first request, then fine", (("cc12m", 8), ("grit", 5)), kept=True),
    Fault("slow_down_once", "429 with Retry-After: 1, then fine", (("cc12m", 6), ("grit", 4)), kept=True),
    Fault(
        "cut_transfer",
        "the connection closes half way through the body",
        (("cc12m", 8), ("grit", 5)),
        errors=("truncated_body",),
    ),
    Fault(
        "cut_file",
        "a JPEG file that ends half way",
        (("cc12m", 6), ("grit", 5)),
        errors=("truncated", "corrupt"),
    ),
    Fault(
        "html_page",
        "a web page under a picture's name",
        (("cc12m", 8), ("grit", 5)),
        errors=("not_image",),
    ),
    Fault("drip", "one byte a second", (("cc12m", 5),), errors=("deadline",)),
    Fault("flood", "a body without end, announced or not", (("cc12m", 6),), errors=("too_large",)),
    Fault(
        "private_redirect",
        "a redirect into a private network",
        (("cc12m", 6), ("grit", 4)),
        errors=("not_public",),
    ),
    Fault(
        "copied_picture",
        "the bytes of another row at another URL",
        (("cc12m", 12),),
        reasons=("duplicate_picture",),
    ),
    Fault("rotated", "upright only once its EXIF tag is obeyed", (("cc12m", 9), ("grit", 6)), kept=True),
    Fault(
        "wrong_caption",
        "the caption of quite another picture",
        (("cc12m", 16),),
        reasons=("clip_low",),
    ),
    Fault(
        "other_picture",
        "a picture of another shape than was annotated",
        (("grit", 5),),
        errors=("aspect_changed",),
    ),
    Fault(
        "off_box",
        "a box where the object is not",
        (("grit", 14),),
        reasons=("region_clip_low",),
    ),
    Fault(
        "tiny_box",
        "a box of three pixels",
        (("grit", 8),),
        reasons=("box_too_small", "region_clip_low"),
    ),
    Fault(
        "double_box",
        "the same box twice for one phrase",
        (("grit", 8),),
        reasons=("box_duplicate",),
    ),
    Fault(
        "outside_box",
        "a box that reaches out of the picture",
        (("grit", 8),),
        reasons=("box_out_of_frame", "region_clip_low"),
    ),
    Fault("broken_json", "an annotation that is not JSON", (("sa1b", 5),), errors=("bad_json",)),
    Fault("lost_json", "a picture without an annotation", (("sa1b", 5),), errors=("no_annotation",)),
    Fault(
        "cut_member",
        "a JPEG inside a tar that ends half way",
        (("sa1b", 5),),
        errors=("truncated", "corrupt"),
    ),
)


def assign(dataset: str, rows: int, scenes: int, rng: np.random.Generator) -> list[str]:
    """Return the fault of each of `rows` rows of a dataset ('' for none) in a world of `scenes` scenes."""
    names = [
        fault.name
        for fault in FAULTS
        for where, count in fault.planted
        if where == dataset
        for _ in range(max(1, round(count * scenes / FULL_WORLD)))
    ]
    # Half of a dataset, and the first row, stay sound: copies need originals.
    names = names[: rows // 2]
    places = 1 + rng.permutation(rows - 1)[: len(names)]
    faults = [""] * rows
    for place, name in zip(places.tolist(), names, strict=True):
        faults[place] = name
    return faults
