import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from curate.kernels import boxes

unit = st.floats(0, 1, allow_nan=False)
box = st.tuples(unit, unit, unit, unit).map(lambda b: (*np.minimum(b[:2], b[2:]), *np.maximum(b[:2], b[2:])))
some_boxes = st.lists(box, max_size=8).map(boxes.as_boxes)
size = st.tuples(st.integers(1, 5000), st.integers(1, 5000))


def slow_iou(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def test_empty_is_first_class():
    for function in (boxes.xywh_to_xyxy, boxes.xyxy_to_xywh, boxes.clip, boxes.hflip):
        assert function([]).shape == (0, 4)
    assert boxes.normalise([], (3, 4)).shape == (0, 4)
    assert boxes.orient([], 6).shape == (0, 4)
    assert boxes.square_pad([], (3, 4)).shape == (0, 4)
    assert boxes.apply_affine([], (1, 0, 0, 0, 1, 0)).shape == (0, 4)
    assert boxes.area([]).shape == boxes.out_of_frame([]).shape == boxes.is_well_formed([]).shape == (0,)
    assert boxes.iou_pairwise([], [[0, 0, 1, 1]]).shape == (0, 1)


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="shape"):
        boxes.area([[1, 2, 3]])
    with pytest.raises(ValueError, match="shape"):
        boxes.normalise([[1, 2, 3, 4]], [2])


def test_known_values():
    assert boxes.xywh_to_xyxy([[1, 2, 3, 4]]).tolist() == [[1, 2, 4, 6]]
    assert boxes.normalise([[64, 48, 640, 480]], (640, 480)).tolist() == [[0.1, 0.1, 1, 1]]
    two = boxes.normalise([[1, 1, 2, 2], [1, 1, 2, 2]], [[2, 4], [4, 2]])
    assert two.tolist() == [[0.5, 0.25, 1, 0.5], [0.25, 0.5, 0.5, 1]]
    assert boxes.area([[0, 0, 2, 3], [2, 0, 0, 3]]).tolist() == [6, 0]
    assert boxes.out_of_frame([[-0.5, 0, 0.5, 1], [0, 0, 1, 1], [2, 2, 3, 3]]).tolist() == [0.5, 0, 1]
    assert boxes.containment([[0, 0, 1, 1]], [[0, 0, 0.5, 1]]).tolist() == [0.5]
    assert boxes.containment_pairwise([[0, 0, 1, 1], [1, 1, 1, 1]], [[0, 0, 0.5, 1]]).tolist() == [[0.5], [0]]
    assert boxes.iou_matched([[0, 0, 2, 1]], [[1, 0, 3, 1]])[0] == pytest.approx(1 / 3)
    assert boxes.is_well_formed([[0, 0, 1, 1], [0, 0, 0, 1], [0, np.nan, 1, 1], [0, 0, np.inf, 1]]).tolist() == [
        True,
        False,
        False,
        False,
    ]
    assert np.isnan(boxes.area([[0, 0, np.nan, 1]])[0])


@given(some_boxes, some_boxes)
def test_iou_agrees_with_the_plain_form(a, b):
    table = boxes.iou_pairwise(a, b)
    assert table.shape == (len(a), len(b))
    for i, one in enumerate(a):
        for j, two in enumerate(b):
            assert table[i, j] == pytest.approx(slow_iou(one, two))
            assert boxes.iou_matched([one], [two])[0] == table[i, j]


@given(some_boxes, some_boxes)
def test_containment_of_all_pairs_is_that_of_each(a, b):
    table = boxes.containment_pairwise(a, b)
    assert table.shape == (len(a), len(b))
    for i, one in enumerate(a):
        for j, two in enumerate(b):
            assert table[i, j] == boxes.containment([one], [two])[0]


@given(some_boxes)
def test_flipping_twice_changes_nothing(xyxy):
    np.testing.assert_allclose(boxes.hflip(boxes.hflip(xyxy)), xyxy, rtol=0, atol=2**-53)
    grid = np.round(xyxy * 2**53) / 2**53
    assert (boxes.hflip(boxes.hflip(grid)) == grid).all()


@given(some_boxes, size)
def test_pads_and_frames_undo_each_other(xyxy, size_wh):
    back = boxes.normalise(boxes.denormalise(xyxy, size_wh), size_wh)
    np.testing.assert_allclose(back, xyxy, atol=1e-12)
    padded = boxes.square_pad(xyxy, size_wh)
    assert ((padded >= -1e-12) & (padded <= 1 + 1e-12)).all()
    np.testing.assert_allclose(boxes.square_unpad(padded, size_wh), xyxy, atol=1e-9)


def test_square_pad_floors_its_offset():
    assert boxes.square_offsets((501, 300)) == (0, 100, 501)
    assert boxes.square_offsets((4, 4)) == (0, 0, 4)
    assert boxes.square_pad([[0, 0, 1, 1]], (480, 640)).tolist() == [[0.125, 0, 0.875, 1]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_moves_boxes_as_pillow_moves_pixels(orientation):
    width, height, raw = 8, 5, (1, 2, 3, 5)
    pixels = np.zeros((height, width), np.uint8)
    pixels[raw[1] : raw[3], raw[0] : raw[2]] = 255
    picture = Image.fromarray(pixels)
    picture.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(picture))
    ys, xs = np.nonzero(upright)
    expected = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    moved = boxes.orient(boxes.normalise([raw], (width, height)), orientation)
    np.testing.assert_allclose(boxes.denormalise(moved, upright.shape[::-1])[0], expected)


def test_an_unknown_orientation_is_upright():
    assert boxes.orient([[0.1, 0.2, 0.3, 0.4]], 0).tolist() == [[0.1, 0.2, 0.3, 0.4]]


def test_affines():
    pad, mirror = (1, 0, 0, 0, 1, 80), (-1, 0, 640, 0, 1, 0)
    both = boxes.compose_affine(mirror, pad)
    raw = [[10, 20, 30, 40]]
    assert boxes.apply_affine(raw, both).tolist() == [[610, 100, 630, 120]]
    assert boxes.apply_affine(boxes.apply_affine(raw, pad), mirror).tolist() == [[610, 100, 630, 120]]
    back = boxes.apply_affine(boxes.apply_affine(raw, both), boxes.invert_affine(both))
    np.testing.assert_allclose(back, raw)
    assert boxes.apply_affine([[1, 2, 3, 5]], (0, -1, 0, 1, 0, 0)).tolist() == [[-5, 1, -2, 3]]
    with pytest.raises(ValueError, match="undone"):
        boxes.invert_affine((1, 0, 0, 1, 0, 0))


nonzero = st.floats(0.1, 10) | st.floats(-10, -0.1)


@given(some_boxes, nonzero, nonzero, st.floats(-99, 99), st.floats(-99, 99))
@settings(max_examples=50)
def test_scaling_affines_undo(xyxy, a, e, c, f):
    affine = (a, 0.0, c, 0.0, e, f)
    back = boxes.apply_affine(boxes.apply_affine(xyxy, affine), boxes.invert_affine(affine))
    np.testing.assert_allclose(back, xyxy, atol=1e-9)
    np.testing.assert_allclose(boxes.compose_affine(boxes.invert_affine(affine), affine), (1, 0, 0, 0, 1, 0), atol=1e-9)
