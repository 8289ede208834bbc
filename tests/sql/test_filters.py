from pathlib import Path

import duckdb
import pytest

FILTERS = Path(__file__).parents[2] / "sql" / "filters"
NAN = float("nan")
GOOD = (2, 0, 0.1, 0.5, 0.0, 0.0, 0.9)
STATS = (
    "box_count BIGINT, inverted_boxes BIGINT, min_box_area DOUBLE, max_box_area DOUBLE,"
    " max_out_of_frame DOUBLE, max_duplicate_iou DOUBLE, min_box_score DOUBLE"
)
LIMITS = {
    "min_area": 0.005,
    "max_area": 0.95,
    "min_score": 0.65,
    "max_out_of_frame": 0.1,
    "max_duplicate_iou": 0.9,
}


def decide(name, tables, **parameters):
    """tables: name -> (columns, rows); gives sample_id -> reason."""
    with duckdb.connect() as con:
        for table, (columns, rows) in tables.items():
            con.execute(f"CREATE TABLE {table} ({columns})")
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                con.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        text = (FILTERS / f"{name}.sql").read_text()
        (statement,) = con.extract_statements(text)
        assert statement.named_parameters == set(parameters)
        result = con.execute(text, parameters)
        assert [column[0] for column in result.description] == ["sample_id", "reason"]
        rows = result.fetchall()
    assert len(rows) == len(dict(rows)) == len(tables["samples"][1]), "one verdict for each sample"
    return dict(rows)


def samples(*names):
    return "sample_id VARCHAR", [(name,) for name in names]


def box_stats(**rows):
    return {
        "samples": samples(*rows, "absent"),
        "box_stats": (f"sample_id VARCHAR, {STATS}", [(name, *row) for name, row in rows.items()]),
    }


def changed(place, value):
    return (*GOOD[:place], value, *GOOD[place + 1 :])


def test_good_boxes():
    found = decide(
        "good_boxes",
        box_stats(
            good=GOOD,
            none=(0, 0, NAN, NAN, NAN, NAN, NAN),
            all_inverted=(1, 1, NAN, NAN, NAN, NAN, NAN),
            inverted=changed(1, 1),
            small=changed(2, 0.004),
            at_limit=(2, 0, 0.005, 0.95, 0.1, 0.9, 0.65),
            large=changed(3, 0.96),
            outside=changed(4, 0.2),
            twice=changed(5, 0.95),
            low=changed(6, 0.6),
            no_score=changed(6, NAN),
            null_score=changed(6, None),
        ),
        **LIMITS,
    )
    assert found == {
        "good": None,
        "none": None,
        "all_inverted": "box_inverted",
        "inverted": "box_inverted",
        "small": "box_too_small",
        "at_limit": None,
        "large": "box_too_large",
        "outside": "box_out_of_frame",
        "twice": "box_duplicate",
        "low": "box_score_low",
        "no_score": None,
        "null_score": None,
        "absent": "unscored",
    }


QUALITY = ("box_count", "whole_picture_boxes", "min_box_side_px", "max_box_aspect", "max_phrase_boxes")
QUALITY = (*QUALITY, "cross_phrase_pairs", "max_cross_phrase_iou")
MASKS = ("mask_count", "bad_masks", "min_mask_iou", "min_mask_fill", "min_stability", "min_predicted_iou")


def measured(relation, columns, **rows):
    kinds = ", ".join(f"{name} DOUBLE" for name in columns)
    return {
        "samples": samples(*rows, "absent"),
        relation: (f"sample_id VARCHAR, {kinds}", [(name, *row) for name, row in rows.items()]),
    }


def test_box_quality():
    found = decide(
        "box_quality",
        measured(
            "box_stats",
            QUALITY,
            good=(4, 0, 50, 2, 2, 0, 0.1),
            at_limit=(4, 1, 8, 20, 10, 2, 0.9),
            none=(0, 0, NAN, NAN, 0, 0, NAN),
            null=(0, 0, None, None, 0, 0, None),
            whole=(4, 2, 50, 2, 2, 0, 0.1),
            small=(4, 0, 7.9, 2, 2, 0, 0.1),
            thin=(4, 0, 50, 20.1, 2, 0, 0.1),
            many=(14, 0, 50, 2, 11, 0, 0.1),
            shared=(4, 0, 50, 2, 2, 3, 0.95),
            close=(4, 0, 50, 2, 2, 1, 0.95),
        ),
        max_whole=1,
        min_side=8,
        max_aspect=20,
        max_per_phrase=10,
        max_same_pairs=2,
        max_cross_iou=0.9,
    )
    assert found == {
        "good": None,
        "at_limit": None,
        "none": None,
        "null": None,
        "whole": "box_whole_picture",
        "small": "box_side_small",
        "thin": "box_thin",
        "many": "phrase_many_boxes",
        "shared": "phrases_share_boxes",
        "close": "phrases_share_box",
        "absent": "unscored",
    }


def test_masks_agree():
    found = decide(
        "masks_agree",
        measured(
            "mask_agreement",
            MASKS,
            good=(3, 0, 0.99, 0.6, 0.97, 0.9),
            at_limit=(3, 0, 0.9, 0.05, 0.95, 0.88),
            none=(0, 0, NAN, NAN, NAN, NAN),
            null=(0, 0, None, None, None, None),
            bad=(2, 1, 0.99, 0.6, 0.97, 0.9),
            apart=(3, 0, 0.89, 0.6, 0.97, 0.9),
            thin=(3, 0, 0.99, 0.04, 0.97, 0.9),
            unstable=(3, 0, 0.99, 0.6, 0.94, 0.9),
            doubtful=(3, 0, 0.99, 0.6, 0.97, 0.87),
        ),
        min_mask_iou=0.9,
        min_mask_fill=0.05,
        min_stability=0.95,
        min_predicted_iou=0.88,
    )
    assert found == {
        "good": None,
        "at_limit": None,
        "none": None,
        "null": None,
        "bad": "mask_unreadable",
        "apart": "mask_apart",
        "thin": "mask_thin",
        "unstable": "mask_unstable",
        "doubtful": "mask_doubtful",
        "absent": "unscored",
    }


def test_has_boxes():
    found = decide("has_boxes", box_stats(some=GOOD, none=(0, 0, NAN, NAN, NAN, NAN, NAN)))
    assert found == {"some": None, "none": "no_boxes", "absent": "unscored"}


@pytest.mark.parametrize(
    ("name", "column", "parameter", "reason", "undefined"),
    [
        ("aligned", "clip_similarity", "min_clip", "clip_low", "unscored"),
        ("regions_aligned", "min_region_similarity", "min_region", "region_clip_low", None),
    ],
)
def test_similarity(name, column, parameter, reason, undefined):
    relation = "clip_similarity" if name == "aligned" else "region_similarity"
    rows = [("high", 0.3), ("at", 0.28), ("low", 0.27), ("nan", NAN), ("null", None)]
    found = decide(
        name,
        {
            "samples": samples(*(row[0] for row in rows), "absent"),
            relation: (f"sample_id VARCHAR, {column} DOUBLE", rows),
        },
        **{parameter: 0.28},
    )
    assert found == {
        "high": None,
        "at": None,
        "low": reason,
        "nan": undefined,
        "null": undefined,
        "absent": "unscored",
    }


def test_unique_pictures():
    columns = "sample_id VARCHAR, shard INTEGER, row INTEGER, images STRUCT(sha256 VARCHAR)[], status VARCHAR"
    corpus = [
        ("0_failed", 0, 1, [{"sha256": "own"}], "failed"),
        ("z_first", 0, 10, [{"sha256": "same"}], "ok"),
        ("a_later", 1, 2, [{"sha256": "same"}], "ok"),
        ("b_later", 1, 3, [{"sha256": "same"}], "ok"),
        ("own", 1, 4, [{"sha256": "own"}], "ok"),
        ("own_later", 2, 0, [{"sha256": "own"}], "ok"),
        ("bare", 1, 5, [], "ok"),
        ("null", 1, 6, None, "ok"),
    ]
    shard = [row for row in corpus if row[1] == 1]
    found = decide("unique_pictures", {"samples": (columns, shard), "corpus": (columns, corpus)})
    assert found == {
        "a_later": "duplicate_picture",
        "b_later": "duplicate_picture",
        "own": None,
        "bare": None,
        "null": None,
    }
    first = [row for row in corpus if row[1:] == (0, 10, [{"sha256": "same"}], "ok")]
    assert decide("unique_pictures", {"samples": (columns, first), "corpus": (columns, corpus)}) == {"z_first": None}
