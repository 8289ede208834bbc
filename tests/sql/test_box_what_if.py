import itertools
import math
from pathlib import Path

import duckdb
import numpy as np
import pytest

from curate.scorers.box_stats import COLUMNS

REPORT = (Path(__file__).parents[2] / "sql/reports/box_what_if.sql").read_text()
NAN = float("nan")
MEASURES = {  # limit -> (column, the filter drops what is below it)
    "min_area": ("min_box_area", True),
    "max_area": ("max_box_area", False),
    "min_score": ("min_box_score", True),
    "max_out_of_frame": ("max_out_of_frame", False),
    "max_duplicate_iou": ("max_duplicate_iou", False),
    "max_cross_iou": ("max_cross_phrase_iou", False),
    "max_whole": ("whole_picture_boxes", False),
    "min_side": ("min_box_side_px", True),
    "max_aspect": ("max_box_aspect", False),
}
WHOLE = {"region_count", "box_count", "inverted_boxes", "whole_picture_boxes", "max_phrase_boxes", "cross_phrase_pairs"}


def ask(rows, without=(), failed=()):
    """rows: (dataset, sample_id, measures or None where it was not scored); gives the rows of the report."""
    columns = [name for name in COLUMNS if name not in without]
    kinds = ", ".join(f"{name} {'BIGINT' if name in WHOLE else 'DOUBLE'}" for name in columns)
    with duckdb.connect() as con:
        con.execute("CREATE TABLE all_samples (dataset VARCHAR, sample_id VARCHAR, status VARCHAR)")
        con.execute(f"CREATE TABLE box_stats (sample_id VARCHAR, scores VARCHAR, {kinds})")
        for dataset, name, measures in rows:
            con.execute(
                "INSERT INTO all_samples VALUES (?, ?, ?)", [dataset, name, "failed" if name in failed else "ok"]
            )
            if measures is not None:
                values = [measures.get(column) for column in columns]
                marks = ", ".join("?" * len(values))
                con.execute(f"INSERT INTO box_stats VALUES (?, 'box_stats-v2', {marks})", [name, *values])
        cursor = con.execute(REPORT)
        names = [item[0] for item in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def world(count, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        measures = {name: float(rng.random()) for name in COLUMNS} | {name: 0 for name in WHOLE}
        measures["min_box_area"] = float(rng.choice([0.0004, 0.001, 0.003, 0.005, 0.2, NAN]))
        measures["min_box_side_px"], measures["max_box_aspect"] = float(rng.integers(1, 99)), float(rng.integers(1, 30))
        measures["max_out_of_frame"] = float(rng.choice([0.0, 0.005, 0.01, 0.03, 0.5, NAN]))
        measures["whole_picture_boxes"] = int(rng.integers(0, 4))
        measures["inverted_boxes"] = int(rng.random() < 0.1)
        measures["min_box_score"] = [None, NAN, 0.65, 0.7, 0.9][number % 5]
        rows.append((["one", "two"][number % 2], f"s{number}", measures))
    return rows


def passes(measures, row):
    """Tell whether a sample stays at the limits of a row, as the filters say it."""
    if measures["inverted_boxes"]:
        return False
    for name, (column, below) in MEASURES.items():
        limit, value = row[name], measures[column]
        if limit is None or value is None or math.isnan(value):
            continue
        if value < limit if below else value > limit:
            return False
    return True


def test_every_setting_counts_what_the_filters_would_keep():
    rows = world(60)
    found = ask(rows)
    assert {row["kind"] for row in found} == {"none", "alone", "joint"}
    for row in found:
        mine = [measures for dataset, _, measures in rows if dataset == row["dataset"]]
        kept = sum(passes(measures, row) for measures in mine)
        assert (row["kept"], row["samples"]) == (kept, len(mine)), row
        assert row["share"] == pytest.approx(kept / len(mine), abs=1e-4)


def test_the_grid_is_whole_and_each_setting_stands_once():
    found = [row for row in ask(world(10)) if row["dataset"] == "one"]
    settings = [(row["kind"], *(row[name] for name in MEASURES)) for row in found]
    assert len(set(settings)) == len(settings)
    joint = [row for row in found if row["kind"] == "joint"]
    steps = [{row[name] for row in joint} for name in list(MEASURES)[:5]]
    assert len(joint) == len(list(itertools.product(*steps))) == 243
    alone = [row for row in found if row["kind"] == "alone"]
    assert all(sum(row[name] is not None for name in MEASURES) == 1 for row in alone)
    assert {name for row in alone for name in MEASURES if row[name] is not None} == set(MEASURES)


def test_without_scores_or_samples_there_are_no_rows():
    assert ask([]) == []
    assert ask([("one", "a", None)]) == []


def test_failed_and_unscored_samples_do_not_count_and_a_second_set_of_options_counts_once():
    good = dict.fromkeys(COLUMNS, 0.0) | dict.fromkeys(WHOLE, 0)
    found = ask([("one", "a", good), ("one", "b", None), ("one", "c", good), ("one", "c", good)], failed=("d",))
    assert found[0]["kind"] == "none"
    assert ask([("one", "a", good), ("one", "d", good)], failed=("d",))[0]["samples"] == 1


def test_scores_of_an_older_version_have_fewer_columns():
    found = ask(world(20), without=("max_cross_phrase_iou", "whole_picture_boxes", "max_phrase_boxes"))
    sound = {row["dataset"]: row["kept"] for row in found if row["kind"] == "none"}
    for row in found:
        if row["max_cross_iou"] is not None or row["max_whole"] is not None:
            assert row["kept"] == sound[row["dataset"]]


def test_samples_without_boxes_stay():
    empty = dict.fromkeys(COLUMNS, NAN) | dict.fromkeys(WHOLE, 0)
    assert {row["kept"] for row in ask([("one", "a", empty)])} == {1}
