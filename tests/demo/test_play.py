"""The demo, small: every planted fault is caught, nothing sound is lost, and a second time there is nothing to do."""

from pathlib import Path
from typing import Any

import pytest

from curate.demo import play
from curate.driver import Where
from curate.errors import ConfigError

SCENES = 300


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, play.Played]:
    root = tmp_path_factory.mktemp("demo")
    return root, play.play(str(root), Where("inline"), SCENES, _Silent())


class _Silent:
    def phase(self, *told: Any) -> None:
        pass

    def shard(self, report: Any) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def test_every_planted_fault_is_caught(played: tuple[Path, play.Played]) -> None:
    _, outcome = played
    assert outcome.ok
    assert [verdict for verdict in outcome.verdicts if verdict.missed] == []
    faults = {verdict.fault for verdict in outcome.verdicts}
    assert {"drip", "flood", "private_redirect", "rotated", "wrong_caption", "off_box", "copied_picture"} <= faults
    assert sum(verdict.planted for verdict in outcome.verdicts) >= SCENES - 5  # originals of copies count with them


def test_books_balance_over_all_rows(played: tuple[Path, play.Played]) -> None:
    _, outcome = played
    jobs = {job.job: job for result in outcome.runs for job in result.jobs}
    assert jobs.keys() == {"demo_sa1b", "demo_captions", "demo_grit", "demo"}
    assert sum(jobs[name].books[0].rows_in for name in ("demo_sa1b", "demo_captions", "demo_grit")) == SCENES
    assert all(books.balanced() for job in jobs.values() for books in job.books)
    assert jobs["demo"].facts["export"]["records"] == jobs["demo"].facts["samples"] > SCENES


def test_a_second_time_nothing_is_done(played: tuple[Path, play.Played]) -> None:
    root, _ = played
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and "runs" not in path.parts}
    again = play.play(str(root), Where("inline"), SCENES, _Silent())
    assert again.ok
    assert sum(result.shards_done for result in again.runs) == 0
    after = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file() and "runs" not in path.parts}
    assert after == before


def test_another_size_is_refused(played: tuple[Path, play.Played]) -> None:
    with pytest.raises(ConfigError, match="holds 300 scenes, not 400"):
        play.play(str(played[0]), Where("inline"), 400, _Silent())
