"""Named token models, and what a sample costs."""

import numpy as np
import pytest

from curate.kernels.token_count import (
    MODELS,
    PICTURE_TOKENS,
    REFUSED,
    cost,
    picture_tokens,
    sample_tokens,
)


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def measured(name: str, *samples: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return (tokens, tiles) of samples, each a list of (width, height)."""
    owner = [number for number, sizes in enumerate(samples) for _ in sizes]
    sides = np.array([size for sizes in samples for size in sizes], np.int64).reshape(-1, 2)
    tokens, tiles = sample_tokens(MODELS[name], sides[:, 0], sides[:, 1], whole(*owner), len(samples))
    return list(zip(tokens.tolist(), tiles.tolist(), strict=True))


def test_llava_sees_a_grid_of_24_patches() -> None:
    assert PICTURE_TOKENS["llava-1.5-336"] == (336 // 14) ** 2
    assert picture_tokens("llava-1.5-336", np.array([0, 1, 3])).tolist() == [0, 576, 1728]


def test_text_only_has_none() -> None:
    assert picture_tokens("text-only", np.array([2, 0])).tolist() == [0, 0]


def test_no_samples_have_no_tokens() -> None:
    assert picture_tokens("text-only", np.zeros(0, np.int64)).shape == (0,)
    assert measured("llava-onevision") == []


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(KeyError):
        picture_tokens("gpt-5", np.array([1]))


@pytest.mark.parametrize("name", PICTURE_TOKENS)
def test_models_whose_pictures_cost_the_same_agree_with_the_table(name: str) -> None:
    assert [tokens for tokens, _ in measured(name, [(9, 9)], [(1, 999), (640, 480)], [])] == [
        PICTURE_TOKENS[name],
        2 * PICTURE_TOKENS[name],
        0,
    ]


VGA = (640, 480)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("text-only", [(0, 0), (0, 0), (0, 0)]),
        ("llava-1.5-336", [(576, 1), (1152, 2), (0, 1)]),
        ("llava-next-336", [(576 + 36 * 49, 5), (1154, 2), (0, 1)]),
        ("llava-onevision", [(2929, 5), (1460, 2), (0, 1)]),
        ("internvl2.5", [(256 * 13 + 2, 13), (2 * (256 * 7 + 2), 14), (0, 1)]),
        ("internvl2.5-max6", [(256 * 7 + 2, 7), (2 * (256 + 2), 2), (0, 1)]),
        ("qwen2-vl", [(393, 391), (786, 782), (0, 0)]),
        ("qwen2.5-vl", [(393, 391), (786, 782), (0, 0)]),
        ("qwen3-vl", [(20 * 15 + 2, 300), (604, 600), (0, 0)]),
    ],
)
def test_a_picture_two_and_none(name: str, expected: list[tuple[int, int]]) -> None:
    assert measured(name, [VGA], [VGA, VGA], []) == expected


def test_finetuning_of_qwen_sees_fewer_pixels() -> None:
    assert measured("qwen2.5-vl-finetune", [(4000, 3000)])[0][0] <= 576 + 2
    assert measured("qwen2.5-vl", [(4000, 3000)])[0][0] > 10_000
    assert measured("qwen3-vl", [(32, 32)]) == [(64 + 2, 64)]


def test_a_sample_with_a_refused_picture_is_refused_whole() -> None:
    found = measured("qwen2-vl", [VGA, (5000, 10)], [VGA], [(10, 5000), (10, 5000)])
    assert found == [(REFUSED, REFUSED), (393, 391), (REFUSED, REFUSED)]


def test_pictures_may_come_in_any_order() -> None:
    tokens, tiles = sample_tokens(MODELS["qwen2-vl"], whole(640, 56, 640), whole(480, 56, 480), whole(2, 0, 2), 3)
    assert tokens.tolist() == [6, 0, 786]
    assert tiles.tolist() == [4, 0, 782]


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-3, 5)])
def test_a_picture_without_pixels_is_a_mistake(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="one pixel"):
        measured("llava-1.5-336", [size])


@pytest.mark.parametrize("name", MODELS)
def test_the_largest_picture_of_arrow_is_counted(name: str) -> None:
    huge = 2**31 - 1
    for size in ((huge, huge), (huge, 1), (1, huge), (1, 1)):
        tokens, tiles = measured(name, [size])[0]
        assert -1 <= tokens < 20_000 and -1 <= tiles < 20_000


def test_cost_is_linear_and_square() -> None:
    assert cost(5120, whole(0, 1, 830)).tolist() == [0, 6 * 5120 + 1, 6 * 5120 * 830 + 830**2]
    assert cost(4096, whole(10**6)).dtype == np.int64
