import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels.affine import IDENTITY, of_flip, of_pad
from curate.kernels.boxes import compose_affine
from curate.kernels.canvas import bare, lay_pixels, lay_planes, mirrored, ycc

sides = st.integers(1, 30)
moves = st.lists(st.one_of(st.just("flip"), st.tuples(*[st.integers(0, 5)] * 4)), max_size=4)
FILL = (10, 200, 30)


def laid(size, steps):
    canvas, affine, pictures = bare(size), IDENTITY, []
    for step in steps:
        if step == "flip":
            affine = compose_affine(of_flip(canvas.size_wh[0]), affine)
            canvas = canvas.flip()
        else:
            left, top, right, bottom = step
            wide, high = canvas.size_wh
            affine = compose_affine(of_pad(left, top), affine)
            canvas = canvas.pad((wide + left + right, high + top + bottom), (left, top), FILL)
        pictures.append(step)
    return canvas, affine


def slowly(pixels, steps, fill):
    for step in steps:
        if step == "flip":
            pixels = pixels[:, ::-1]
        else:
            left, top, right, bottom = step
            high, wide = pixels.shape[:2]
            more = np.empty((high + top + bottom, wide + left + right, *pixels.shape[2:]), np.uint8)
            more[:] = fill
            more[top : top + high, left : left + wide] = pixels
            pixels = more
    return pixels


def noise(*shape):
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, np.uint8)


@given(sides, sides, moves)
def test_one_canvas_is_as_good_as_many_steps(width, height, steps):
    canvas, affine = laid((width, height), steps)
    assert canvas.affine == affine
    pixels = noise(height, width, 3)
    before = pixels.copy()
    made = lay_pixels(pixels, canvas)
    assert (made == slowly(pixels, steps, FILL)).all()
    assert (pixels == before).all()


@given(sides, sides, moves)
def test_a_plane_of_whole_samples_is_laid_as_pixels_are(width, height, steps):
    canvas, _ = laid((width, height), steps)
    plane = noise(height, width)
    wanted = slowly(plane, steps, ycc(FILL)[0])
    assert (lay_planes((plane,), (1, 1), canvas)[0] == wanted).all()


@given(sides, sides, moves, st.sampled_from([(1, 1), (2, 1), (2, 2), (1, 2), (4, 1)]))
@settings(max_examples=60)
def test_chroma_is_the_mean_of_what_lies_under_a_sample(width, height, steps, step):
    canvas, _ = laid((width, height), steps)
    across, down = step
    chroma = noise(-(-height // down), -(-width // across))
    fine = chroma.repeat(down, axis=0).repeat(across, axis=1)[:height, :width]
    wanted = slowly(fine, steps, ycc(FILL)[1])
    more = [(0, -side % each) for side, each in zip(wanted.shape, (down, across), strict=True)]
    wanted = np.pad(wanted, more, mode="edge").astype(int)
    rows, columns = wanted.shape[0] // down, wanted.shape[1] // across
    total = wanted.reshape(rows, down, columns, across).sum(axis=(1, 3))
    made = lay_planes((noise(height, width), chroma, chroma), step, canvas)
    assert (made[1] == (total + down * across // 2) // (down * across)).all()


@given(st.integers(1, 40), st.integers(1, 9))
def test_mirrored_twice_is_the_identity(width, height):
    plane = noise(height, width)
    once = mirrored(plane)
    assert (once == plane[:, ::-1]).all()
    assert (mirrored(once) == plane).all()
    assert (mirrored(plane[:, ::-1]) == plane).all()


def test_colours_as_jfif_has_them():
    assert ycc((0, 0, 0)) == (0, 128, 128)
    assert ycc((255, 255, 255)) == (255, 128, 128)
    assert ycc((122, 116, 104)) == (116, 121, 132)
    assert ycc((255, 0, 0)) == (76, 85, 255)
    assert ycc((0, 0, 255)) == (29, 255, 107)


def test_untouched_is_the_same_object():
    pixels = noise(4, 4, 3)
    assert lay_pixels(pixels, bare((4, 4)).flip().flip()) is pixels


def test_two_fills_are_refused():
    canvas = bare((4, 4)).pad((6, 6), (1, 1), (0, 0, 0))
    with pytest.raises(ValueError, match="one fill"):
        canvas.pad((8, 8), (1, 1), (9, 9, 9))
