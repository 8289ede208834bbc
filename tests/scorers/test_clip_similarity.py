import pickle

import numpy as np
import pytest

from curate import schema
from curate.demo.scenes import draw, scene
from curate.demo.train_clip import HELD_OUT_SEEDS, auc
from curate.errors import SampleError
from curate.sample import Pixels, Sample, Turn
from curate.scorers import clip_similarity
from curate.scorers.clip_similarity import Options, Scorer, prepare

# Beyond the scenes on which the thresholds were chosen.
FIRST = HELD_OUT_SEEDS + 500_000
TINY = Options(model="tiny")


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer(TINY)


def sample(row: int, text: str | None, **rest: object) -> Sample:
    return Sample(f"{row:032x}", "toy", 0, row, str(row), text=text, **rest)  # type: ignore[arg-type]


def test_right_captions_score_higher_than_wrong_ones(scorer: Scorer) -> None:
    found = [scene(FIRST + index) for index in range(400)]
    right = schema.to_table([sample(row, one.caption) for row, one in enumerate(found)])
    wrong = schema.to_table([sample(row, found[row - 1].caption) for row in range(len(found))])
    drawn = [draw(one) for one in found]
    scores = [scorer.score(prepare(table, drawn.__getitem__, TINY))["clip_similarity"] for table in (right, wrong)]
    assert scores[0].shape == (400,) and scores[0].dtype == np.float64
    # The caption of any other scene, some of which share objects with this one.
    assert auc(*scores) >= 0.95


def test_rows_that_cannot_be_scored_are_nan(scorer: Scorer) -> None:
    opened = []

    def open_picture(row: int) -> Pixels:
        opened.append(row)
        if row == 1:
            raise SampleError("truncated")
        return draw(scene(FIRST + row))

    table = schema.to_table(
        [
            sample(0, scene(FIRST).caption),
            sample(1, "a picture that does not open"),
            sample(2, None),
            sample(3, "", status="failed", error="http_404"),
            sample(4, None, conversations=(Turn("human", "What is it?"), Turn("gpt", "a red circle"))),
        ]
    )
    payload = pickle.loads(pickle.dumps(prepare(table, open_picture, TINY)))
    assert opened == [0, 1, 4]
    assert payload["texts"] == [scene(FIRST).caption, "a red circle"]
    measured = scorer.score(payload)
    assert set(measured) == set(clip_similarity.COLUMNS)
    assert np.isnan(measured["clip_similarity"]).tolist() == [False, True, True, True, False]


def test_an_empty_table(scorer: Scorer) -> None:
    payload = prepare(schema.to_table([]), lambda row: draw(scene(row)), TINY)
    assert scorer.score(payload)["clip_similarity"].shape == (0,)
