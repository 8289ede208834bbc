"""A probe before the job: random rows, the expected yield with its interval, nothing kept."""

import json
from pathlib import Path

import pytest
from conftest import Workshop
from typer.testing import CliRunner

from curate.cli import app
from curate.errors import ConfigError
from curate.probe import probe_all, wilson
from curate.views import open_root, report_query


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    """Sixty rows in six shards; every third picture is gone."""
    workshop.captions(count=60, shard_rows=10)
    for number in range(0, 60, 3):
        (workshop.web / f"{number}.jpg").unlink()
    workshop.write("jobs/j.yaml", "from: tiny\n")
    return workshop


def test_every_row_gives_the_exact_share(shop: Workshop) -> None:
    [found] = probe_all("j", shop.project, 60)
    assert (found.drawn, found.ok, found.causes) == (60, 40, {"http_404": 20})
    assert found.low < 2 / 3 < found.high
    assert not shop.root.exists()


def test_a_few_rows_come_from_all_over(shop: Workshop) -> None:
    [found] = probe_all("j", shop.project, 30)
    assert found.drawn == 30
    assert 0 < found.ok < 30
    assert found.low < 2 / 3 < found.high
    assert found.picture_bytes == pytest.approx((shop.web / "1.jpg").stat().st_size, rel=0.2)


def test_more_rows_than_there_are(shop: Workshop) -> None:
    assert probe_all("j", shop.project, 1000)[0].drawn == 60


def test_a_mix_probes_what_it_draws_from(shop: Workshop) -> None:
    shop.write("jobs/m.yaml", "mix:\n  a: {from: jobs/j, epochs: 1}\npack: {length: 4096}\n")
    assert [found.dataset for found in probe_all("m", shop.project, 6)] == ["tiny"]


def test_a_yield_that_is_too_small_is_an_exit_code(shop: Workshop) -> None:
    catalog = shop.folder / "catalogs/tiny.yaml"
    catalog.write_text(catalog.read_text() + "min_success: 0.95\nrows: 60\n")
    words = ["check", "j", "--project", str(shop.folder), "--probe", "60"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)["probes"][0]["causes"] == {"http_404": 20}
    told = CliRunner().invoke(app, words).stdout
    assert "expected yield 66.7%" in told
    assert "40 of 60 rows" in told
    assert "min_success is 95%" in told


@pytest.mark.parametrize(("ok", "drawn", "low", "high"), [(0, 0, 0, 1), (0, 10, 0, 0.278), (40, 60, 0.541, 0.773)])
def test_the_interval_is_wilsons(ok: int, drawn: int, low: float, high: float) -> None:
    assert wilson(ok, drawn) == pytest.approx((low, high), abs=5e-4)


def test_the_yield_by_cause_host_and_hour(shop: Workshop) -> None:
    shop.run("j")
    answer = open_root(str(shop.root), shop.project).answer(report_query("yield", shop.project))
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    causes = {row["what"]: row["rows"] for row in rows if row["facet"] == "cause"}
    assert causes == {"ok": 40, "http_404": 20}
    for facet in ("host", "hour"):
        found = [row for row in rows if row["facet"] == facet]
        assert sum(row["rows"] for row in found) == 60
        assert {row["usual_cause"] for row in found} == {"http_404"}
        assert sum(row["ok"] for row in found) == 40
    with pytest.raises(ConfigError, match="unknown report"):
        report_query("yeild", shop.project)


def test_the_command_line_asks_a_report_by_name(shop: Workshop, tmp_path: Path) -> None:
    shop.run("j")
    words = ["sql", "--report", "yield", "--root", str(shop.root), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0
    assert {row["facet"] for row in json.loads(done.stdout)["rows"]} == {"cause", "host", "hour"}
