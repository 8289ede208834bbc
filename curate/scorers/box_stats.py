"""Statistics of a sample's boxes: how many, how large, how far out of the frame, how often twice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate.kernels.box_facts import box_facts
from curate.kernels.overlaps import iou_apart, measured_block
from curate.kernels.ragged import Block, blocks
from curate.sample import Pixels
from curate.shards import Needs

VERSION = 2
NEEDS = Needs(cpus=0.5)
PICTURES = False
COLUMNS: dict[str, str] = {
    "region_count": "regions (phrases) of the sample, 0 or more",
    "box_count": "boxes of the sample, 0 or more, malformed ones included",
    "inverted_boxes": "boxes with x1 <= x0, y1 <= y0 or a coordinate that is not finite, 0 or more",
    "whole_picture_boxes": "boxes that cover at least `whole_share` of the picture, 0 or more",
    "max_phrase_boxes": "most boxes of one region, 0 or more",
    "min_box_area": "smallest box as a share of the picture, 0 to 1, after a cut to the frame",
    "max_box_area": "largest box as a share of the picture, 0 to 1, after a cut to the frame",
    "min_box_side_px": "shortest side of any box in pixels of the stored picture, after a cut to the frame",
    "max_out_of_frame": "largest share of a box's own area that lies outside the picture, 0 to 1",
    "max_duplicate_iou": "largest overlap (IoU) of two boxes of one phrase, 0 to 1; 0 where none has two",
    "max_cross_phrase_iou": "largest IoU of two boxes of phrases whose spans do not overlap, 0 to 1",
    "cross_phrase_pairs": "pairs of boxes of such phrases with an IoU of at least `duplicate_iou`, 0 or more",
    "min_box_score": "lowest score that the source gave to a region with boxes, in the source's unit",
    "max_box_aspect": "largest ratio of a box's longer to its shorter side in pixels, 1 or more",
}
"""All but the counts are over well-formed boxes, NaN where the sample has none (or no size, or no score)."""

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CORNERS = ("x0", "y0", "x1", "y1")
_COUNTS = frozenset(name for name in COLUMNS if name.endswith(("_count", "_boxes", "_pairs")))
_LINE = 1 << 32
"""Room on one number line for the places of one turn."""


@dataclass(frozen=True, slots=True)
class Options:
    """From which share of the picture a box says nothing, and from which IoU two boxes are the same. Both are ours."""

    whole_share: float = 0.95
    duplicate_iou: float = 0.9


def prepare(table: pa.Table, open_picture: Callable[[int], Pixels], options: Options) -> dict[str, Any]:
    """Return the boxes of a samples table as arrays; no picture is opened.

    `width` and `height` (N,) in pixels, NaN where unknown; `row_regions` (N + 1,) and `region_boxes` (R + 1,) are
    offsets; `region_score` (R,); `start` and `end` (R,) say where a phrase stands: both are equal for regions of
    one row, turn and span, `end` is negative for one without a span, `start` then the same for the same words;
    `corners` are four columns (B,).
    """
    row_regions, regions = _flatten(table.column("regions"))
    region_boxes, corners = _flatten(_field(regions, "boxes"))
    row_pictures, pictures = _flatten(table.column("images"))
    pictured = np.flatnonzero(np.diff(row_pictures))
    sizes = []
    for side in ("width", "height"):
        size = np.full(table.num_rows, np.nan)
        size[pictured] = _floats(_field(pictures, side))[row_pictures[pictured]]
        sizes.append(size)
    start, end = _places(regions)
    return {
        "width": sizes[0],
        "height": sizes[1],
        "row_regions": row_regions,
        "region_boxes": region_boxes,
        "region_score": _floats(_field(regions, "score")),
        "start": start,
        "end": end,
        "corners": tuple(_floats(_field(corners, name)) for name in _CORNERS),
    }


class Scorer:
    """Computes COLUMNS from what `prepare` made."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def score(self, payload: dict[str, Any]) -> dict[str, Array]:
        """Return each of COLUMNS, shape (N,), aligned with the table's rows; counts are int64."""
        rows = len(payload["width"])
        out: dict[str, Array] = {
            name: np.zeros(rows, np.int64) if name in _COUNTS else np.full(rows, np.nan) for name in COLUMNS
        }
        row_regions, region_boxes = payload["row_regions"], payload["region_boxes"]
        per_region, row_boxes = np.diff(region_boxes), region_boxes[row_regions]
        out["region_count"], out["box_count"] = np.diff(row_regions), np.diff(row_boxes)
        score = np.where(per_region > 0, payload["region_score"], np.nan)
        for block in blocks(row_regions):
            out["max_phrase_boxes"][block.groups] = per_region[block.order].max(axis=0)
            out["min_box_score"][block.groups] = np.fmin.reduce(score[block.order], axis=0)
        box_region = np.repeat(np.arange(len(per_region)), per_region)
        with np.errstate(invalid="ignore", over="ignore"):
            for block in blocks(row_boxes):
                self._boxes(payload, block, box_region, out)
        return out

    def _boxes(self, payload: dict[str, Any], block: Block, box_region: Ints, out: dict[str, Array]) -> None:
        """Fill the columns of the rows of a block, rows with the same number of boxes."""
        rows, measured = block.groups, measured_block(payload["corners"], block.order)
        facts = box_facts(measured[:4], payload["width"][rows], payload["height"][rows])
        all_sound = bool(facts.sound.all())
        if not all_sound:
            out["inverted_boxes"][rows] = _counted(~facts.sound)
        out["whole_picture_boxes"][rows] = _counted(facts.area >= self._options.whole_share)
        # fmin and fmax pass over the NaN of boxes that are not sound.
        out["min_box_area"][rows] = np.fmin.reduce(facts.area, axis=0)
        out["max_box_area"][rows] = np.fmax.reduce(facts.area, axis=0)
        out["min_box_side_px"][rows] = np.fmin.reduce(facts.short_px, axis=0)
        out["max_out_of_frame"][rows] = np.fmax.reduce(facts.outside, axis=0)
        out["max_box_aspect"][rows] = np.fmax.reduce(facts.aspect, axis=0)
        alone = np.where(facts.sound.any(axis=0), 0.0, np.nan)
        twins, others, pairs = alone.copy(), alone.copy(), np.zeros(len(rows), np.int64)
        if len(block.order) > 1:
            usable = facts.sound & np.isfinite(measured[4])
            if not usable.all():
                measured[:, ~usable] = 0.0  # without area: overlaps nothing
            region = box_region[block.order]
            start, end = payload["start"][region], payload["end"][region]
            for apart, iou in iou_apart(measured):
                one, two = (start[:-apart], end[:-apart]), (start[apart:], end[apart:])
                same = (one[0] == two[0]) & (one[1] == two[1])
                np.maximum(twins, np.where(same, iou, 0.0).max(axis=0), out=twins)
                same |= (one[0] < two[1]) & (two[0] < one[1])
                np.copyto(iou, 0.0, where=same)
                np.maximum(others, iou.max(axis=0), out=others)
                pairs += _counted(iou >= self._options.duplicate_iou)
        out["max_duplicate_iou"][rows], out["max_cross_phrase_iou"][rows] = twins, others
        out["cross_phrase_pairs"][rows] = pairs


def _counted(flags: npt.NDArray[np.bool_]) -> Ints | int:
    """Return how many of each row's flags are set; most often none is at all."""
    return np.add.reduce(flags, axis=0, dtype=np.int64) if flags.any() else 0


def _flatten(lists: Any) -> tuple[Ints, Any]:
    """Return the values of a list column laid end to end, and the offsets of the rows, whatever was sliced or null."""
    array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    if isinstance(array, pa.ChunkedArray):  # a column of no chunks stays chunked in some versions
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    if array.null_count == 0:
        offsets = array.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
        return offsets - (offsets[0] if len(offsets) else 0), array.flatten()
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), array.flatten()


def _field(structs: Any, name: str) -> Any:
    return pc.struct_field(structs, name)


def _floats(values: Any) -> Floats:
    """Return numbers as float64, null as NaN; no copy where there is nothing to change."""
    filled = values.cast(pa.float64())
    filled = pc.fill_null(filled, float("nan")) if filled.null_count else filled
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.float64)


def _places(regions: Any) -> tuple[Ints, Ints]:
    """Return start and end of each region's span on one number line, on which turns stand apart.

    Phrases of different spans may share a box, as nested phrases do; one phrase that lists a box twice is an
    error of the source, in one region or spread over several. Without a span the words tell phrases apart.
    """
    turn = (_whole(_field(regions, "turn"), -1) + 1) * _LINE
    start, end = _field(regions, "start"), _field(regions, "end")
    first, last = turn + _whole(start, 0), turn + _whole(end, 0)
    if start.null_count or end.null_count:
        bare = ~np.asarray(pc.and_(start.is_valid(), end.is_valid()).to_numpy(zero_copy_only=False))
        words = pc.fill_null(_field(regions, "phrase").filter(pa.array(bare)), "").dictionary_encode().indices
        first[bare] = turn[bare] + words.to_numpy(zero_copy_only=False)
        last[bare] = -1
    return first, last


def _whole(values: Any, missing: int) -> Ints:
    filled = pc.fill_null(values, missing) if values.null_count else values
    return np.asarray(filled.to_numpy(zero_copy_only=False), np.int64)
