"""Statistics of a sample's boxes: how many, how large, how far out of the frame, how often twice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate.kernels import boxes
from curate.sample import Pixels
from curate.shards import Needs

VERSION = 1
NEEDS = Needs(cpus=0.5)
PICTURES = False
COLUMNS: dict[str, str] = {
    "region_count": "regions (phrases) of the sample, 0 or more",
    "box_count": "boxes of the sample, 0 or more, malformed ones included",
    "inverted_boxes": "boxes with x1 <= x0, y1 <= y0 or a coordinate that is not finite, 0 or more",
    "min_box_area": "smallest box as a share of the picture, 0 to 1, after a cut to the frame",
    "max_box_area": "largest box as a share of the picture, 0 to 1, after a cut to the frame",
    "min_box_side_px": "shortest side of any box in pixels of the stored picture, after a cut to the frame",
    "max_out_of_frame": "largest share of a box's own area that lies outside the picture, 0 to 1",
    "max_duplicate_iou": "largest overlap (IoU) of two boxes of one phrase, 0 to 1; 0 where none has two",
    "min_box_score": "lowest score that the source gave to a region with boxes, in the source's unit",
    "max_box_aspect": "largest ratio of a box's longer to its shorter side in pixels, 1 or more",
}
"""All but the counts are over well-formed boxes, NaN where the sample has none (or no size, or no score)."""

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Options:
    """Nothing to choose."""


def prepare(table: pa.Table, open_picture: Callable[[int], Pixels], options: Options) -> dict[str, Any]:
    """Return the boxes of a samples table as arrays; no picture is opened.

    `size_wh` (N, 2) in pixels, NaN where unknown; `region_row` (R,) rising; `region_score` (R,);
    `region_phrase` (R,), equal where row, turn, span and phrase are; `box_region` (B,) rising; `xyxy` (B, 4).
    """
    region_row, regions = _flatten(table.column("regions"))
    box_region, corners = _flatten(_field(regions, "boxes"))
    xyxy = np.stack([_floats(_field(corners, name)) for name in ("x0", "y0", "x1", "y1")], axis=1)
    picture_row, pictures = _flatten(table.column("images"))
    size_wh = np.full((table.num_rows, 2), np.nan)
    rows, first = np.unique(picture_row, return_index=True)
    size_wh[rows] = np.stack([_floats(_field(pictures, side))[first] for side in ("width", "height")], axis=1)
    return {
        "size_wh": size_wh,
        "region_row": region_row,
        "region_score": _floats(_field(regions, "score")),
        "region_phrase": _same_phrase(region_row, regions),
        "box_region": box_region,
        "xyxy": xyxy,
    }


class Scorer:
    """Computes COLUMNS from what `prepare` made."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def score(self, payload: dict[str, Any]) -> dict[str, Array]:
        """Return each of COLUMNS, shape (N,), aligned with the table's rows; counts are int64."""
        size_wh, region_row, box_region = payload["size_wh"], payload["region_row"], payload["box_region"]
        rows, everything = len(size_wh), region_row[box_region]
        good = boxes.is_well_formed(payload["xyxy"])
        xyxy, row, region = payload["xyxy"][good], everything[good], box_region[good]
        cut = boxes.clip(xyxy)
        sides_px = (cut[:, 2:] - cut[:, :2]) * size_wh[row]
        whole_px = (xyxy[:, 2:] - xyxy[:, :2]) * size_wh[row]
        with np.errstate(divide="ignore", invalid="ignore"):  # a picture of 0 pixels has no aspect
            aspect = whole_px.max(axis=1) / whole_px.min(axis=1)
        twins = _twin_iou(xyxy, payload["region_phrase"][region])
        scores = payload["region_score"][np.unique(box_region)]
        score_row = region_row[np.unique(box_region)]
        scored = ~np.isnan(scores)
        area = boxes.area(cut)
        return {
            "region_count": np.bincount(region_row, minlength=rows).astype(np.int64),
            "box_count": np.bincount(everything, minlength=rows).astype(np.int64),
            "inverted_boxes": np.bincount(everything[~good], minlength=rows).astype(np.int64),
            "min_box_area": _per_row(np.minimum, area, row, rows),
            "max_box_area": _per_row(np.maximum, area, row, rows),
            "min_box_side_px": _per_row(np.minimum, sides_px.min(axis=1), row, rows),
            "max_out_of_frame": _per_row(np.maximum, boxes.out_of_frame(xyxy), row, rows),
            "max_duplicate_iou": _per_row(np.maximum, twins, row, rows),
            "min_box_score": _per_row(np.minimum, scores[scored], score_row[scored], rows),
            "max_box_aspect": _per_row(np.maximum, aspect, row, rows),
        }


def _flatten(lists: Any) -> tuple[Ints, Any]:
    """Return the values of a list column laid end to end, and the row of each, whatever was sliced or null."""
    array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    if isinstance(array, pa.ChunkedArray):  # a column of no chunks stays chunked in some versions
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.repeat(np.arange(len(lengths)), lengths), array.flatten()


def _field(structs: Any, name: str) -> Any:
    return pc.struct_field(structs, name)


def _floats(values: Any) -> npt.NDArray[np.float64]:
    """Return numbers as float64, null as NaN."""
    filled = pc.fill_null(values.cast(pa.float64()), float("nan"))
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.float64)


def _same_phrase(region_row: Ints, regions: Any) -> Ints:
    """Return one number per region, equal for regions of the same row, turn, span and words.

    Phrases of different spans may share a box, as nested phrases do; one phrase that lists a box twice is an
    error of the source, in one region or spread over several.
    """
    if not len(region_row):
        return np.zeros(0, np.int64)
    words = pc.fill_null(_field(regions, "phrase"), "").dictionary_encode().indices
    keys = [region_row, np.asarray(words.to_numpy(zero_copy_only=False), np.int64)]
    for name in ("turn", "start", "end"):
        keys.append(pc.fill_null(_field(regions, name), -1).to_numpy(zero_copy_only=False).astype(np.int64))
    return np.asarray(np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)[1], np.int64).reshape(-1)


def _twin_iou(xyxy: npt.NDArray[np.float64], phrase: Ints) -> npt.NDArray[np.float64]:
    order = np.argsort(phrase, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(phrase))]) if len(phrase) else [0]
    result = np.zeros(len(xyxy))
    result[order] = boxes.max_iou_within(xyxy[order], offsets)
    return result


def _per_row(best: np.ufunc, values: Array, row: Ints, rows: int) -> npt.NDArray[np.float64]:
    """Return the least or greatest of `values` in each row; `row` rises. NaN where a row has none."""
    result = np.full(rows, np.nan)
    present, first = np.unique(row, return_index=True)
    if len(present):
        result[present] = best.reduceat(values, first)
    return result
