import math

import numpy as np
import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels import boxes, overlaps, ragged

grid = st.integers(0, 8).map(lambda value: value / 8)  # a coarse grid: equal boxes and touching edges are common
box = st.tuples(*[grid] * 4) | st.tuples(grid, grid, st.just(0.9), st.just(0.95))
groups = st.lists(st.lists(box, max_size=7), max_size=7)


def laid(found):
    flat = boxes.as_boxes([b for group in found for b in group])
    return flat, np.concatenate([[0], np.cumsum([len(group) for group in found])]).astype(int)


def shared(a, b):
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def area(a):
    return max(0.0, a[2] - a[0]) * max(0.0, a[3] - a[1])


def iou(a, b):
    union = area(a) + area(b) - shared(a, b)
    return shared(a, b) / union if union > 0 else 0.0


@given(groups, st.integers(1, 20))
def test_the_largest_overlap_agrees_with_the_plain_form(found, at_once):
    flat, offsets = laid(found)
    expected = [
        max((iou(one, two) for j, two in enumerate(group) if j != i), default=0.0)
        for group in found
        for i, one in enumerate(group)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged.blocks, "__defaults__", (1, at_once))  # borders of blocks fall everywhere
        np.testing.assert_allclose(overlaps.max_iou_within(flat, offsets), np.array(expected, float), atol=1e-15)
        columns = overlaps.as_columns(flat)
        np.testing.assert_array_equal(
            overlaps.max_iou_of_columns(columns, offsets), overlaps.max_iou_within(flat, offsets)
        )


@given(groups, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_near_duplicates_agree_with_the_plain_form(found, least):
    pairs, largest = overlaps.near_duplicates(*laid(found), least)
    for place, group in enumerate(found):
        each = [iou(one, two) for i, one in enumerate(group) for two in group[:i]]
        assert pairs[place] == sum(value >= least for value in each)
        assert largest[place] == pytest.approx(max(each, default=0.0), abs=1e-15)


@given(groups)
def test_containment_agrees_with_the_plain_form(found):
    expected = [
        max((shared(one, two) / area(one) for j, two in enumerate(group) if j != i and area(one) > 0), default=0.0)
        for group in found
        for i, one in enumerate(group)
    ]
    np.testing.assert_allclose(overlaps.max_containment_within(*laid(found)), np.array(expected, float), atol=1e-15)


scored = st.lists(st.lists(st.tuples(box, st.sampled_from([0.1, 0.5, 0.9, math.nan])), max_size=7), max_size=6)


@given(scored, st.sampled_from([0.0, 0.3, 0.5, 1.0]))
@settings(max_examples=60)
def test_suppression_agrees_with_the_plain_form(found, limit):
    flat, offsets = laid([[b for b, _ in group] for group in found])
    expected = []
    for group in found:
        best_first = sorted(range(len(group)), key=lambda i: (math.isnan(group[i][1]), -group[i][1], i))
        kept = []
        for i in sorted(best_first, key=best_first.index):
            if all(iou(group[i][0], group[j][0]) <= limit for j in kept):
                kept.append(i)
        expected += [i in kept for i in range(len(group))]
    scores = [score for group in found for _, score in group]
    assert overlaps.nms(flat, scores, offsets, limit).tolist() == expected


def test_suppression_by_hand():
    left, near, right = (0, 0, 1, 1), (0, 0, 1, 0.9), (2, 2, 3, 3)
    assert overlaps.nms([left, near, right], [0.5, 0.6, 0.1], [0, 3], 0.5).tolist() == [False, True, True]
    assert overlaps.nms([left, near, right], [0.5, 0.5, 0.1], [0, 3], 0.5).tolist() == [True, False, True]
    assert overlaps.nms([left, near, right], [0.5, 0.6, 0.1], [0, 1, 3], 0.5).tolist() == [True] * 3
    assert overlaps.nms([left, near], [math.nan, 0.1], [0, 2], 0.5).tolist() == [False, True]
    # What was dropped drops nothing: the middle one touches both, the ends do not touch.
    chain = [(0, 0, 2, 1), (1, 0, 3, 1), (2, 0, 4, 1)]
    assert overlaps.nms(chain, [3, 2, 1], [0, 3], 0.3).tolist() == [True, False, True]


def test_ties_go_by_index_in_large_groups_too():
    rng = np.random.default_rng(0)
    for size in (20, 100, 300, 1000):
        scores = rng.integers(0, 3, size)
        kept = overlaps.nms([(0, 0, 1, 1)] * size, scores, [0, size], 0.5)
        assert np.flatnonzero(kept).tolist() == [int(np.flatnonzero(scores == 2)[0])]


def test_empty_groups_and_wrong_offsets():
    assert overlaps.max_iou_within([], [0]).shape == overlaps.max_iou_within([], [0, 0, 0]).shape == (0,)
    assert overlaps.near_duplicates([], [0, 0, 0], 0.5)[0].tolist() == [0, 0]
    assert overlaps.nms([], [], [0], 0.5).shape == (0,)
    one = [[0, 0, 1, 1]]
    for offsets in ([0, 2], [1], [], [0, 2, 1], [0, -1, 1], [[0, 1]]):
        with pytest.raises(ValueError, match="offsets"):
            overlaps.max_iou_within(one, offsets)
    with pytest.raises(ValueError, match="scores"):
        overlaps.nms(one, [1, 2], [0, 1], 0.5)


def test_what_is_not_finite_stays_in_its_group():
    found = overlaps.max_iou_within([[0, 0, 1, 1], [0, 0, math.nan, 1], [0, 0, 1, 1], [0, 0, 1, 1]], [0, 2, 4])
    assert np.isnan(found[:2]).all()
    assert found[2:].tolist() == [1, 1]
    assert overlaps.nms([[0, 0, 1, 1], [0, 0, math.inf, 1]], [1, 2], [0, 2], 0.5).tolist() == [True, True]


def test_groups_larger_than_a_block():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((1500, 2, 2)), axis=1).reshape(-1, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged.blocks, "__defaults__", (1, 100))
        found = overlaps.max_iou_within(corners, [0, 700, 1500])
    for start, end in ((0, 700), (700, 1500)):
        table = boxes.iou_pairwise(corners[start:end], corners[start:end])
        np.fill_diagonal(table, 0)
        np.testing.assert_allclose(found[start:end], table.max(axis=1), atol=1e-15)


@given(st.lists(st.integers(0, 6), max_size=20), st.integers(1, 3), st.integers(1, 12))
def test_blocks_hold_each_group_once(sizes, least, at_once):
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    seen = []
    for block in ragged.blocks(offsets, least, at_once):
        assert block.order.size <= at_once or len(block.groups) == 1
        for place, group in enumerate(block.groups.tolist()):
            assert block.order[:, place].tolist() == list(range(offsets[group], offsets[group + 1]))
            seen.append(group)
    assert sorted(seen) == [group for group, size in enumerate(sizes) if size >= least]


def test_a_group_of_more_than_sixteen_bits():
    offsets = np.array([0, 40_000, 40_001, 40_003])
    assert [block.groups.tolist() for block in ragged.blocks(offsets)] == [[1], [2], [0]]


def test_time_grows_with_the_pictures():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((320_000, 2, 2)), axis=1).reshape(-1, 4)
    assert growth(lambda rows: overlaps.max_iou_within(corners[:rows], np.arange(0, rows + 1, 4)), 40_000) < 16
