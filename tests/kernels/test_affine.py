import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from curate import schema
from curate.augmenters import square_pad
from curate.io.warehouse import Warehouse
from curate.kernels import affine, boxes
from curate.kernels.canvas import bare
from curate.plugins import shipped
from curate.sample import ImageRef, Sample

sides = st.integers(1, 4000)
orientations = st.integers(1, 8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_what_a_viewer_does(orientation):
    raw = np.arange(15, dtype=np.uint8).reshape(3, 5)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(raw)
    picture.getexif().update(exif)
    upright = np.asarray(ImageOps.exif_transpose(picture))
    assert affine.upright_size((5, 3), orientation) == upright.shape[::-1]
    way = affine.of_orientation((5, 3), orientation)
    for y in range(3):
        for x in range(5):
            [[across, down]] = affine.apply_points([[x + 0.5, y + 0.5]], way)
            assert upright[int(down), int(across)] == raw[y, x]


@given(orientations, st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=3), sides, sides)
def test_points_and_boxes_agree_on_an_orientation(orientation, some, width, height):
    moved = boxes.apply_affine(
        boxes.denormalise(some, (width, height)), affine.of_orientation((width, height), orientation)
    )
    turned = boxes.denormalise(boxes.orient(some, orientation), affine.upright_size((width, height), orientation))
    ordered = np.concatenate([np.minimum(turned[:, :2], turned[:, 2:]), np.maximum(turned[:, :2], turned[:, 2:])], 1)
    np.testing.assert_allclose(moved, ordered, atol=1e-8)


def whole_way(source, orientation, stored, flip):
    canvas = square_pad.redraw(bare(stored))
    return boxes.compose_affine(
        (canvas.flip() if flip else canvas).affine, affine.of_stored(source, orientation, stored)
    )


@given(sides, sides, orientations, sides, sides, st.booleans(), st.floats(0, 1), st.floats(0, 1))
def test_there_and_back_is_within_half_a_pixel(width, height, orientation, wide, high, flip, x, y):
    way = whole_way((width, height), orientation, (wide, high), flip)
    point = np.array([[x * width, y * height]])
    there = affine.apply_points(point, way)
    back = affine.apply_points(there, boxes.invert_affine(way))
    assert np.abs(back - point).max() < 1e-6
    side = max(wide, high)
    assert (there >= -1e-6).all() and (there <= side + 1e-6).all()


@given(sides, sides, orientations, st.booleans(), st.floats(0, 1), st.floats(0, 1))
def test_whole_pixels_come_back_within_half_a_pixel(width, height, orientation, flip, x, y):
    stored = affine.upright_size((width, height), orientation)
    way = whole_way((width, height), orientation, stored, flip)
    point = np.array([[x * width, y * height]])
    rounded = np.rint(affine.apply_points(point, way))
    assert np.abs(affine.apply_points(rounded, boxes.invert_affine(way)) - point).max() <= 0.5 + 1e-9


@given(sides, sides, st.lists(st.tuples(*[st.floats(0, 1)] * 4), min_size=1, max_size=4))
def test_unpad_undoes_pad(width, height, some):
    back = boxes.square_unpad(boxes.square_pad(some, (width, height)), (width, height))
    off = boxes.denormalise(back, (width, height)) - boxes.denormalise(some, (width, height))
    assert np.abs(off).max() < 1e-6
    side = max(width, height)
    rounded = np.rint(boxes.denormalise(boxes.square_pad(some, (width, height)), (side, side))) / side
    off = boxes.denormalise(boxes.square_unpad(rounded, (width, height)), (width, height))
    assert np.abs(off - boxes.denormalise(some, (width, height))).max() <= 0.5 + 1e-9


@given(st.floats(1, 5000), st.floats(0, 5000))
def test_flip_is_its_own_inverse(width, x):
    way = affine.of_flip(width)
    assert boxes.invert_affine(way) == way
    assert abs(affine.apply_points(affine.apply_points([[x, 1.0]], way), way)[0, 0] - x) < 1e-9


def test_a_side_below_one_is_refused():
    for wrong in ((0, 4), (4, -1)):
        with pytest.raises(ValueError, match="cannot become"):
            affine.of_resize(wrong, (1, 1))


def test_points_have_two_columns():
    assert affine.apply_points([], affine.IDENTITY).shape == (0, 2)
    with pytest.raises(ValueError, match="shape"):
        affine.apply_points([[1.0, 2.0, 3.0]], affine.IDENTITY)


def test_the_view_says_the_same():
    parents, children, wanted = [], [], {}
    for orientation in range(1, 9):
        source, stored = (640, 480), affine.upright_size((320, 200), orientation)
        image = ImageRef("m.jpg", 0, 1, "", "", "jpeg", *stored, *source, orientation)
        parents.append(Sample(f"p{orientation}", "d", 0, orientation, "k", images=(image,)))
        way = affine.of_stored(source, orientation, stored)
        wanted[f"p{orientation}"] = way
        canvas = square_pad.redraw(bare(stored)).flip()
        child = Sample(f"c{orientation}", "d", 0, 0, "k", parent_id=f"p{orientation}", affine=canvas.affine)
        children.append(child)
        wanted[child.sample_id] = boxes.compose_affine(canvas.affine, way)
    kids = schema.to_table(children)
    kids = kids.append_column("digest", pa.array(["x"] * 8)).append_column("recipe", pa.array(["r"] * 8))
    warehouse = Warehouse(threads=1)
    warehouse.add("all_samples", schema.to_table(parents), schema.SAMPLES)
    warehouse.add("children", kids, schema.CHILDREN)
    warehouse.view("affines", (shipped() / "sql/views/affines.sql").read_text())
    rows = warehouse.table("select * from affines", {}).to_pylist()
    warehouse.close()
    assert len(rows) == 16
    for row in rows:
        way = wanted[row["sample_id"]]
        np.testing.assert_allclose([row[name] for name in "abcdef"], way, atol=1e-9)
        np.testing.assert_allclose([row[f"inverse_{name}"] for name in "abcdef"], boxes.invert_affine(way), atol=1e-9)
