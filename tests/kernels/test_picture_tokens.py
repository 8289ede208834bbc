"""Pictures cost what each family's own code makes of their width and height."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels import picture_tokens as kinds
from curate.kernels.token_count import LLAVA_NEXT_CANVASES

ONEVISION = kinds.grids(384, 6, 6)
PUBLISHED = """
336x336 1485 2; 385x384 1512 3; 640x480 2929 5; 480x640 2943 5; 500x375 1728 3; 1024x768 4725 7; 768x1024 4744 7;
1920x1080 7269 16; 1080x1920 7317 16; 2304x2304 7371 37; 4000x3000 7309 31; 2250x1500 7329 25; 3000x500 5130 7;
50x2000 1701 7
"""
"""Size, tokens and views that LLaVA-NeXT's own functions give under anyres_max_9 with SigLIP at 384 pixels."""
SIDE = st.one_of(st.integers(1, 40), st.integers(1, 5000), st.integers(1, 2**31 - 1), st.sampled_from([448, 336, 384]))
SIZES = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=6)


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def one(counts: tuple[np.ndarray, np.ndarray]) -> tuple[int, int]:
    return int(counts[0][0]), int(counts[1][0])


def anyres_of_one(
    width: int, height: int, canvases: tuple[tuple[int, int], ...], side: int, patches: int, most: int | None
) -> tuple[int, int]:
    """LLaVA-NeXT in plain numbers: select_best_resolution, unpad_image, anyres_max_N."""
    best, kept_most, lost_least = (0, 0), 0, math.inf
    for wide, high in canvases:
        scale = min(wide / width, high / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        lost = wide * high - kept
        if kept > kept_most or (kept == kept_most and lost < lost_least):
            best, kept_most, lost_least = (wide, high), kept, lost
    columns, rows = best[0] // side, best[1] // side
    wide, high = columns * patches, rows * patches
    if width / height > wide / high:
        cut = (high - int(height * (wide / width))) // 2
        high -= 2 * cut
    else:
        cut = (wide - int(width * (high / height))) // 2
        wide -= 2 * cut
    if most is not None:
        times = math.sqrt(high * wide / (most * patches**2))
        if times > 1.1:
            high, wide = int(high // times), int(wide // times)
    return patches**2 + high * wide + high, 1 + columns * rows


def tiles_of_one(width: int, height: int, most: int) -> int:
    """InternVL in plain numbers: dynamic_preprocess with use_thumbnail."""
    shapes = {
        (i, j) for n in range(1, most + 1) for i in range(1, n + 1) for j in range(1, n + 1) if 1 <= i * j <= most
    }
    best, nearest = (1, 1), math.inf
    for shape in sorted(shapes, key=lambda shape: shape[0] * shape[1]):
        away = abs(width / height - shape[0] / shape[1])
        if away < nearest:
            nearest, best = away, shape
        elif away == nearest and width * height > 0.5 * 448 * 448 * shape[0] * shape[1]:
            best = shape
    tiles = best[0] * best[1]
    return tiles + 1 if tiles > 1 else tiles


def resized_of_one(width: int, height: int, factor: int, least: int, most: int) -> tuple[int, int]:
    """Qwen in plain numbers: smart_resize."""
    if max(width, height) / min(width, height) > 200:
        return -1, -1
    high, wide = (max(factor, round(side / factor) * factor) for side in (height, width))
    if high * wide > most:
        beta = math.sqrt((height * width) / most)
        high, wide = (max(factor, math.floor(side / beta / factor) * factor) for side in (height, width))
    elif high * wide < least:
        beta = math.sqrt(least / (height * width))
        high, wide = (math.ceil(side * beta / factor) * factor for side in (height, width))
    return wide, high


@pytest.mark.parametrize("line", [line.strip() for line in PUBLISHED.split(";")])
def test_anyres_as_published(line: str) -> None:
    size, tokens, views = line.split()
    width, height = (int(side) for side in size.split("x"))
    found = one(kinds.anyres(whole(width), whole(height), ONEVISION, 384, 27, 9))
    assert found == (int(tokens), int(views))


@pytest.mark.parametrize(("canvases", "side", "patches"), [(ONEVISION, 384, 27), (LLAVA_NEXT_CANVASES, 336, 24)])
@pytest.mark.parametrize("most", [None, 1, 4, 9])
@settings(max_examples=40)
@given(sizes=SIZES)
def test_anyres_follows_the_plain_numbers(
    canvases: tuple[tuple[int, int], ...],
    side: int,
    patches: int,
    most: int | None,
    sizes: list[tuple[int, int]],
) -> None:
    width, height = np.array(sizes, np.int64).T
    tokens, views = kinds.anyres(width, height, canvases, side, patches, most)
    expected = [anyres_of_one(*size, canvases, side, patches, most) for size in sizes]
    assert list(zip(tokens.tolist(), views.tolist(), strict=True)) == expected


def test_canvases_in_the_order_of_llava_next() -> None:
    assert kinds.grids(384, 2, 2) == ((384, 384), (384, 768), (768, 384), (768, 768))
    assert len(ONEVISION) == 36


def test_pictures_of_a_record_with_several_have_one_view_and_one_newline() -> None:
    assert one(kinds.padded(whole(5), 27)) == (730, 1)


def test_video_as_published() -> None:
    tokens, views = kinds.video(whole(1, 32, 500))
    assert tokens.tolist() == [197, 6273, 6273]
    assert views.tolist() == [1, 32, 32]
    with pytest.raises(ValueError, match="one frame"):
        kinds.video(whole(4, 0))


@pytest.mark.parametrize("most", [1, 6, 12, 24, 40])
@settings(max_examples=40)
@given(sizes=SIZES)
def test_tiles_follow_the_plain_numbers(most: int, sizes: list[tuple[int, int]]) -> None:
    width, height = np.array(sizes, np.int64).T
    tokens, tiles = kinds.tiled(width, height, np.full(len(sizes), most))
    assert tiles.tolist() == [tiles_of_one(*size, most) for size in sizes]
    assert tokens.tolist() == [256 * count + 2 for count in tiles.tolist()]


@pytest.mark.parametrize(
    ("size", "most", "tiles"),
    [
        ((448, 448), 12, 1),  # 1 x 1; 2 x 2 ties, and the picture has half of its pixels: not more
        ((634, 634), 12, 5),  # 401,956 pixels are more than half of 2 x 2, less than half of 3 x 3
        ((633, 633), 12, 1),  # 400,689 are not
        ((951, 951), 12, 10),  # 3 x 3
        ((640, 480), 12, 13),  # 4 x 3 and the thumbnail
        ((640, 480), 6, 2 * 3 + 1),  # 3 x 2: |4/3 - 3/2| = 1/6 is less than |4/3 - 1| = 1/3
        ((100, 1), 6, 7),
    ],
)
def test_a_tie_of_aspects_goes_by_area(size: tuple[int, int], most: int, tiles: int) -> None:
    assert one(kinds.tiled(whole(size[0]), whole(size[1]), whole(most))) == (256 * tiles + 2, tiles)


def test_every_record_has_its_own_limit_of_tiles() -> None:
    _, tiles = kinds.tiled(whole(640, 640, 640), whole(480, 480, 480), whole(12, 1, 6))
    assert tiles.tolist() == [13, 1, 7]


@pytest.mark.parametrize(
    ("factor", "least", "most"), [(28, 3136, 12_845_056), (28, 12_544, 451_584), (32, 65_536, 16_777_216)]
)
@settings(max_examples=60)
@given(sizes=SIZES)
def test_smart_resize_follows_the_plain_numbers(
    factor: int, least: int, most: int, sizes: list[tuple[int, int]]
) -> None:
    width, height = np.array(sizes, np.int64).T
    wide, high = kinds.smart_resize(width, height, factor, least, most)
    assert list(zip(wide.tolist(), high.tolist(), strict=True)) == [
        resized_of_one(*size, factor, least, most) for size in sizes
    ]


@pytest.mark.parametrize(("side", "rounded"), [(42, 56), (70, 56), (98, 112), (126, 112), (14 * 9, 112)])
def test_smart_resize_rounds_half_to_even(side: int, rounded: int) -> None:
    wide, high = kinds.smart_resize(whole(side), whole(560), 28, 3136, 10**7)
    assert (int(wide[0]), int(high[0])) == (rounded, 560)


def test_resized_as_published() -> None:
    assert one(kinds.resized(whole(640), whole(480), 28, 3136, 12_845_056)) == (391 + 2, 391)


def test_an_aspect_of_200_is_seen_and_above_is_refused() -> None:
    tokens, groups = kinds.resized(whole(5600, 5601, 1), whole(28, 28, 201), 28, 3136, 12_845_056)
    assert tokens.tolist() == [202, -1, -1]
    assert groups.tolist() == [200, -1, -1]
