"""Boxes by the million, in boxes a CPU second of one core: statistics, near-duplicates, and the whole scorer."""

import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from table import Row, publish

from curate import schema
from curate.kernels import box_facts, overlaps, ragged
from curate.scorers import box_stats

PICTURES = int(os.environ.get("PICTURES", "1000000"))
SCORED = int(os.environ.get("SCORED", "100000"))
SHARD_ROWS = 2000
ROUNDS = int(os.environ.get("ROUNDS", "3"))
MEANT = (3, 4, 5, 6)
"""Boxes of a picture, as in grounded captions: 3 to 6, equally often."""


def laid_out(pictures: int) -> tuple[np.ndarray, np.ndarray]:
    """Return corners (4, N) and offsets (pictures + 1,); one box in a hundred leaves the frame a little."""
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(rng.choice(MEANT, pictures))])
    total = int(offsets[-1])
    size = rng.random((2, total)) ** 2 * 0.9 + 0.02
    low = rng.random((2, total)) * (1 - size)
    low[0, rng.choice(total, total // 100, replace=False)] -= 0.01
    return np.concatenate([low, low + size]), offsets


def samples(corners: np.ndarray, offsets: np.ndarray) -> pa.Table:
    """Return a samples table of these boxes: two regions a picture, the second nested in the first one's words."""
    pictures, total = len(offsets) - 1, corners.shape[1]
    boxes = pa.StructArray.from_arrays([pa.array(column) for column in corners], fields=list(schema.BOX))
    first = offsets[:-1] + 2
    region_boxes = pa.array(np.append(np.stack([offsets[:-1], first], axis=1).ravel(), total).astype(np.int32))
    two = np.arange(2 * pictures) % 2
    values = {
        "phrase": pa.array(np.array(["a red bicycle by the wall", "the wall"])[two]),
        "turn": pa.nulls(2 * pictures, pa.int32()),
        "start": pa.array((two * 17).astype(np.int32)),
        "end": pa.array(np.full(2 * pictures, 25, np.int32)),
        "boxes": pa.ListArray.from_arrays(region_boxes, boxes),
        "score": pa.array(np.full(2 * pictures, 0.7)),
        "tags": pa.array([["noun_chunk"]]).take(pa.array(np.zeros(2 * pictures, np.int64))),
    }
    regions = pa.StructArray.from_arrays([values[field.name] for field in schema.REGION], fields=list(schema.REGION))
    size = {"width": 640, "height": 480}
    columns = [
        pa.array(np.full(pictures, size[field.name], np.int32))
        if field.name in size
        else pa.nulls(pictures, field.type)
        for field in schema.IMAGE
    ]
    images = pa.StructArray.from_arrays(columns, fields=list(schema.IMAGE))
    return pa.table(
        {
            "images": pa.ListArray.from_arrays(pa.array(np.arange(pictures + 1, dtype=np.int32)), images),
            "regions": pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * pictures + 1, 2, dtype=np.int32)), regions),
        }
    )


def scored(table: pa.Table, rows: int) -> None:
    """Flatten and score a table in shards of `rows`."""
    options = box_stats.Options()
    scorer = box_stats.Scorer(options)
    for start in range(0, table.num_rows, rows):
        payload = box_stats.prepare(table.slice(start, rows), lambda row: np.zeros((1, 1, 3), np.uint8), options)
        scorer.score(payload)


def main() -> None:
    """Interleave the rounds, compare medians; the floor is a sum over the same columns by plain numpy."""
    corners, offsets = laid_out(PICTURES)
    total, few = corners.shape[1], int(offsets[SCORED])
    columns = (corners[0], corners[1], corners[2], corners[3])
    table = samples(corners[:, :few].copy(), offsets[: SCORED + 1])
    cases: dict[str, tuple[int, Callable[[], object]]] = {
        "statistics": (total, lambda: box_facts.box_facts_of_columns(corners, 640.0, 480.0)),
        "near-duplicates": (total, lambda: overlaps.max_iou_of_columns(columns, offsets)),
        "by rows": (total, lambda: overlaps.near_duplicates(corners.T, offsets, 0.9)),
        "suppression": (total, lambda: overlaps.nms(corners.T, corners[0], offsets, 0.9)),
        "scorer, one table": (few, lambda: scored(table, SCORED)),
        f"scorer, shards of {SHARD_ROWS}": (few, lambda: scored(table, SHARD_ROWS)),
        "sum of columns": (total, lambda: [column.sum() for column in columns]),
        "gather of columns": (total, lambda: [ragged.gather(columns, each.order) for each in ragged.blocks(offsets)]),
    }
    speed: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(ROUNDS + 1):  # round 0 warms
        for name, (count, case) in cases.items():
            began = time.thread_time()
            case()
            if number:
                speed[name].append(count / (time.thread_time() - began) / 1e6)
        print(f"  round {number}", file=sys.stderr)
    middle = {name: statistics.median(rounds) for name, rounds in speed.items()}
    floor = middle["sum of columns"]
    goals = {"statistics": 20.0, "near-duplicates": 2.0}
    rows = []
    for name in list(cases)[:-2]:
        goal = goals.get(name)
        met = None if goal is None else middle[name] >= goal
        # The peer of what works on groups is the bare reading of them, laid out in blocks.
        peer = None if name == "statistics" else middle["gather of columns"]
        said = "" if goal is None else f">= {goal:g}"
        rows.append(Row(name, "speed", "M boxes/s", middle[name], peer, floor, said, met))
        rows.append(Row(name, "time, to a plain sum", "x", floor / middle[name], None, None, "", None))
    publish("boxes", rows)


if __name__ == "__main__":
    main()
