"""Numbers become geometry: nothing overflows, nothing divides by zero, a filter's SQL says what it compares."""

from dataclasses import replace

import pytest

from curate.io.warehouse import read_sql
from curate.plugins import Project, find
from curate.report.alerts import MOST, alerts
from curate.report.figures import BAND_HEIGHT, FUNNEL_WIDTH, PLOT_WIDTH, funnel, plot, steps
from curate.report.panels import shares
from curate.report.records import Record
from curate.report.thresholds import BINS, Spread, Threshold, thresholds
from curate.results import StageBooks

NOTHING = Record("r", "j", "curate", "d", "", "", "", True, True, 1.0, (), ())
BUSY = replace(
    NOTHING,
    books=(
        StageBooks("d", "ingest", 2000, 1500, {"http_404": 450, "deadline": 49, "not_image": 1}),
        StageBooks("d", "score clip_similarity", 1500, 1500, {}),
        StageBooks("d", "filter", 1500, 900, {f"reason_{n}": 100 - n for n in range(4)} | {"big": 206}),
        StageBooks("d", "augment", 1800, 1500, {"flip_text": 300}),
    ),
)
LIMIT = Threshold("aligned", "clip_similarity", "clip_similarity", "<", "min_clip", 0.3, "clip_low")
EVEN = Spread(LIMIT, 0.1, 0.5, (0.1, 0.5), False, 0.01, 400, 0, 9, 8, (5,) * BINS, (5,) * BINS)


@pytest.mark.parametrize("record", [NOTHING, BUSY, replace(BUSY, books=BUSY.books[:1])])
def test_a_funnel_stays_in_its_frame(record):
    drawn = funnel(steps(record))
    assert all(0 <= node.x <= FUNNEL_WIDTH and 0 <= node.height <= BAND_HEIGHT for node in drawn.nodes)
    assert all(0 < loss.y < drawn.height and loss.width <= 28 for loss in drawn.losses)
    assert "nan" not in repr(drawn) and "inf" not in repr(drawn)


def test_a_funnel_adds_up():
    drawn = funnel(steps(BUSY))
    assert [(node.name, node.count) for node in drawn.nodes] == [
        ("read", 2000),
        ("with a picture", 1500),
        ("kept", 900),
        ("children", 1500),
    ]
    lost = {status: sum(x.count for x in drawn.losses if x.status == status) for status in ("failed", "dropped")}
    assert lost == {"failed": 500 + 300, "dropped": 600}
    assert drawn.losses[0].reason == "http_404" and drawn.losses[0].share == 450 / 2000


def test_many_reasons_are_summed_up_and_one_row_of_a_million_is_seen():
    lost = {f"r{n:02}": 1 for n in range(30)}
    drawn = funnel(steps(replace(NOTHING, books=(StageBooks("d", "ingest", 1_000_030, 1_000_000, lost),))))
    assert drawn.losses[5].reason == "25 more reasons" and drawn.losses[5].count == 25
    assert all(band.path for band in drawn.bands)
    assert drawn.nodes[1].height >= 1


def test_undecided_samples_are_lost_too():
    record = replace(BUSY, books=(*BUSY.books[:2], StageBooks("d", "filter", 1000, 1000, {})))
    assert [(loss.reason, loss.count) for loss in funnel(steps(record)).losses if loss.status == "dropped"] == [
        ("undecided", 500)
    ]


@pytest.mark.parametrize("sign,left", [("<", True), (">", False)])
def test_a_plot_shades_what_its_threshold_drops(sign, left):
    drawn = plot(replace(EVEN, threshold=replace(LIMIT, sign=sign)))
    assert drawn.line == pytest.approx(PLOT_WIDTH / 2)
    assert (drawn.shade_x == 0) is left
    assert len(drawn.bars) == BINS


def test_alerts_are_few_and_gravest_first():
    record = replace(BUSY, failed=("d-00001  boom",), complete=False, ended=False)
    found = alerts(
        record, [EVEN, replace(EVEN, just_over=90)], [{"host": "x", "failed": 400, "asked": 500}] * 2, "again"
    )
    assert len(found) == MOST
    assert [alert.status for alert in found] == sorted(
        (alert.status for alert in found), key=["failed", "dropped", "review"].index
    )
    assert found[0].command == "again"


def test_a_calm_run_has_no_alerts():
    assert alerts(NOTHING, [EVEN], [], "again") == []


def test_a_filters_own_sql_says_what_it_compares():
    columns = {
        "clip_similarity": ["sample_id", "scores", "clip_similarity"],
        "box_stats": ["sample_id", "scores", "box_count", "min_box_area", "max_box_area"],
        "samples": ["sample_id", "width"],
    }
    keep = {
        "aligned": {"min_clip": 0.28},
        "good_boxes": {"min_area": 0.01, "max_area": 0.9, "min_score": "x"},
        "gone": {"a": 1},
        "everything": {},
    }
    filters = {name: read_sql(find("filters", name, Project("/nowhere"))) for name in ("aligned", "good_boxes")}
    found = thresholds(keep, filters, columns)
    assert [(t.relation, t.column, t.sign, t.value, t.reason) for t in found] == [
        ("clip_similarity", "clip_similarity", "<", 0.28, "clip_low"),
        ("box_stats", "min_box_area", "<", 0.01, "box_too_small"),
        ("box_stats", "max_box_area", ">", 0.9, "box_too_large"),
    ]


def test_own_filters_in_any_style():
    sql = (
        "-- s.score < $commented\nselect sample_id, case when S.SCORE is null then 'none'\n"
        "when s.score <= $low or s.score>$high then 'out' when s.area < $x * 2 then 'odd' end as reason from t s"
    )
    found = thresholds(
        {"mine": {"low": 1, "high": 2.5, "x": 3, "commented": 4}},
        {"mine": sql, "other": "select s.score < $low from t s"},
        {"t": ["sample_id", "scores", "score", "area"]},
    )
    assert [(t.sign, t.value, t.reason) for t in found] == [("<=", 1.0, ""), (">", 2.5, "out")]


def test_a_record_without_the_sql_of_its_filters_gives_no_threshold():
    assert thresholds({"aligned": {"min_clip": 0.28}}, {}, {"t": ["sample_id", "scores", "clip_similarity"]}) == []


@pytest.mark.parametrize("pictures,reasons", [(48, 4), (48, 0), (3, 2), (0, 5), (200, 1)])
def test_pictures_are_shared_out(pictures, reasons):
    contact, each = shares(pictures, reasons)
    assert 2 * contact + reasons * each <= pictures
