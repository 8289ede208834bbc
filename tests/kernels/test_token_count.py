"""Picture tokens of named models."""

import numpy as np
import pytest

from curate.kernels.token_count import PICTURE_TOKENS, picture_tokens


def test_llava_sees_a_grid_of_24_patches() -> None:
    assert PICTURE_TOKENS["llava-1.5-336"] == (336 // 14) ** 2
    assert picture_tokens("llava-1.5-336", np.array([0, 1, 3])).tolist() == [0, 576, 1728]


def test_text_only_has_none() -> None:
    assert picture_tokens("text-only", np.array([2, 0])).tolist() == [0, 0]


def test_no_samples_have_no_tokens() -> None:
    assert picture_tokens("text-only", np.zeros(0, np.int64)).shape == (0,)


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(KeyError):
        picture_tokens("gpt-5", np.array([1]))
