"""How well a sample's boxes agree with the masks that the source gave beside them: overlap, fill, stability.

The masks are read where SA-1B's source keeps them, in `source_meta` as
`{"annotations": [{"size": [height, width], "counts": COCO's compressed RLE, "predicted_iou", "stability_score"}]}`,
one for each region in order (https://github.com/facebookresearch/segment-anything#dataset). Nothing is measured
at ingest: the run lengths are small beside the picture, and what is kept whole can be measured again.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curate.kernels import boxes, rle
from curate.sample import Pixels
from curate.shards import Needs

VERSION = 1
NEEDS = Needs(cpus=0.5)
PICTURES = False
COLUMNS: dict[str, str] = {
    "mask_count": "masks that could be read and have one box, 0 or more",
    "bad_masks": "masks that cannot be read, are empty, or have no box of their own, 0 or more",
    "min_mask_iou": "smallest IoU of a box with the tight box of its mask, 0 to 1",
    "min_mask_fill": "smallest share of a box's area that its mask covers, 0 to 1 and above where a mask is larger",
    "min_predicted_iou": "lowest predicted_iou of the sample's masks, as the source gave it",
    "min_stability": "lowest stability_score of the sample's masks, as the source gave it",
}
"""All but the counts are NaN where the sample has no mask, or no mask with such a number."""

MAX_SIDE = 1 << 16
"""Longest side of a mask in pixels: more than any picture that is decoded."""


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to choose."""


def prepare(table: pa.Table, open_picture: Callable[[int], Pixels], options: Options) -> dict[str, Any]:
    """Return for each mask its row and measures as arrays (M,), and the number of rows; no picture is opened.

    The masks are measured here, row by row: they are many megabytes of text, and what comes of them is a few bytes.
    """
    row: list[int] = []
    measured: list[tuple[float, ...]] = []
    for place in range(table.num_rows):  # one at a time: the masks of a shard are hundreds of megabytes as Python text
        regions, meta, images = (table.column(name)[place].as_py() for name in ("regions", "source_meta", "images"))
        orientation = (images[0] or {}).get("exif_orientation") or 1 if images else 1
        for mask, region in _paired(_masks(meta), regions or ()):
            row.append(place)
            measured.append(_measured(mask, region, orientation))
    values = np.array(measured, np.float64).reshape(-1, 4)
    return {"rows": table.num_rows, "row": np.array(row, np.int64), "measured": values}


class Scorer:
    """Computes COLUMNS from what `prepare` made."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def score(self, payload: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
        """Return each of COLUMNS, shape (N,), aligned with the table's rows; counts are int64."""
        rows, row, measured = payload["rows"], payload["row"], payload["measured"]
        good = np.isfinite(measured[:, 0])
        out: dict[str, npt.NDArray[Any]] = {
            "mask_count": np.bincount(row[good], minlength=rows).astype(np.int64),
            "bad_masks": np.bincount(row[~good], minlength=rows).astype(np.int64),
        }
        names = ("min_mask_iou", "min_mask_fill", "min_predicted_iou", "min_stability")
        for name, values in zip(names, measured.T, strict=True):
            least = np.full(rows, np.nan)
            np.fmin.at(least, row, values)
            out[name] = least
        return out


def _masks(meta: Any) -> list[Any]:
    """Return the masks that a source said; none where it said nothing that can be read."""
    try:
        found = json.loads(meta or "{}")
    except (ValueError, RecursionError):
        return []
    masks = found.get("annotations") if isinstance(found, dict) else None
    return masks if isinstance(masks, list) else []


def _paired(masks: list[Any], regions: Any) -> list[tuple[Any, Any]]:
    """Pair masks and regions in order; where there are more of one, each stands alone. No masks, no pairs."""
    if not masks:
        return []
    longest = max(len(masks), len(regions))
    return [(masks[i] if i < len(masks) else None, regions[i] if i < len(regions) else None) for i in range(longest)]


def _measured(mask: Any, region: Any, orientation: int) -> tuple[float, ...]:
    """Return IoU, fill, predicted IoU, stability; NaN in the first two for a mask that is bad."""
    told = mask if isinstance(mask, dict) else {}
    said = (_number(told.get("predicted_iou")), _number(told.get("stability_score")))
    found: Any = (region or {}).get("boxes") or ()
    try:
        if len(found) != 1:
            raise ValueError("a mask has one box")
        box = boxes.as_boxes([[_number(found[0][name]) for name in ("x0", "y0", "x1", "y1")]])
        height, width = (_side(side) for side in told["size"])
        counts = told["counts"]
        x, y, wide, high = rle.bbox(counts, (height, width))
        covered = rle.area(counts)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return (math.nan, math.nan, *said)
    # A mask is of the raw picture; a stored box is of the upright one.
    tight = boxes.orient(boxes.normalise([[x, y, x + wide, y + high]], (width, height)), orientation)
    area = float(boxes.area(box)[0])
    if not covered or not boxes.is_well_formed(box)[0] or not 0.0 < area < math.inf:
        return (math.nan, math.nan, *said)
    fill = covered / (width * height) / area
    return (float(boxes.iou_matched(box, tight)[0]), fill, *said)


def _side(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_SIDE:
        raise ValueError("not a side in pixels")
    return value


def _number(value: Any) -> float:
    """Return a finite number, else NaN."""
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan
