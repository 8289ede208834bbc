import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from curate.augmenters import hflip, square_pad
from curate.errors import SampleError
from curate.io import images, turbo
from curate.io.redraw import Drawing
from curate.kernels.canvas import bare, lay_pixels
from curate.kernels.phash import hamming
from curate.sample import ImageRef

here = pytest.mark.skipif(not turbo.available(), reason="no libturbojpeg on this machine")


def scene(width, height):
    down, across = np.mgrid[0:height, 0:width]
    layers = [128 + 100 * np.sin(across / 17 + n) * np.cos(down / 23 - n) for n in range(3)]
    return Image.fromarray(np.stack(layers, axis=2).astype(np.uint8))


def stored(width, height, mode="RGB", form="jpeg", **options):
    out = io.BytesIO()
    scene(width, height).convert(mode).save(out, form, **options)
    data = out.getvalue()
    return data, ImageRef("m", 512, len(data), "", "0" * 16, form, width, height, width, height, 1)


def canvas(size, *steps):
    made = bare(size)
    for step in steps:
        made = step.redraw(made)
    return made


def psnr(one, two):
    error = np.square(one.astype(float) - two).mean()
    return 10 * np.log10(255**2 / max(error, 1e-9))


CHAINS = [(hflip,), (square_pad,), (square_pad, hflip), (hflip, square_pad)]


@here
@pytest.mark.parametrize("size", [(320, 240), (322, 240), (321, 239), (239, 322), (240, 321)])
@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_both_ways_show_the_same(size, chain, subsampling):
    data, image = stored(*size, quality=95, subsampling=subsampling)
    wanted = canvas(size, *chain)
    true = lay_pixels(images.decode(data), wanted)
    quick, plain = (Drawing(data, image, flip, 95).on(wanted) for flip in ("auto", "reencode"))
    for drawn in (quick, plain):
        assert images.decode(drawn.data).shape == true.shape
        assert drawn.size_wh == wanted.size_wh
    assert plain.way == "pixels"
    assert quick.way in ("lossless", "planes")
    assert psnr(images.decode(quick.data), true) > min(38, psnr(images.decode(plain.data), true) - 0.3)
    assert hamming(quick.phash(), plain.phash()) <= 4


@here
def test_lossless_where_the_width_allows():
    for width, way in ((320, "lossless"), (322, "planes")):
        assert Drawing(*stored(width, 64), "auto", 95).on(canvas((width, 64), hflip)).way == way


@here
def test_the_pad_has_its_colour_around_grey_too():
    data, image = stored(320, 241, "L", quality=95)
    made = images.decode(Drawing(data, image, "auto", 95).on(canvas((320, 241), square_pad)).data)
    assert np.abs(made[:20].astype(int) - square_pad.FILL_RGB).max() <= 2
    inside = made[39 : 39 + 241].astype(int)
    assert np.abs(inside[8:-8] - images.decode(data)[8:-8]).max() <= 12


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("flip", ["auto", "reencode"])
def test_what_a_canvas_shows_as_it_was_is_kept(form, flip):
    data, image = stored(64, 64, form=form)
    drawn = Drawing(data, image, flip, 95).on(canvas((64, 64), square_pad))
    assert (drawn.data, drawn.way, drawn.format) == (data, "kept", form)


@pytest.mark.parametrize("form", ["png", "webp"])
def test_other_forms_become_jpegs(form):
    data, image = stored(64, 48, form=form)
    drawn = Drawing(data, image, "auto", 95).on(canvas((64, 48), hflip))
    assert (drawn.way, drawn.format) == ("pixels", "jpeg")
    assert psnr(images.decode(drawn.data), images.decode(data)[:, ::-1]) > 30


def test_reencode_never_asks_the_library(monkeypatch):
    monkeypatch.setattr(turbo, "hflip", lambda data: pytest.fail("asked"))
    monkeypatch.setattr(turbo, "decode", lambda data: pytest.fail("asked"))
    drawn = Drawing(*stored(320, 64), "reencode", 95).on(canvas((320, 64), hflip))
    assert drawn.way == "pixels"


def test_without_the_library_auto_is_reencode(monkeypatch):
    monkeypatch.setattr(turbo, "_library", lambda: None)
    for chain in CHAINS:
        wanted = canvas((320, 240), *chain)
        one, two = (Drawing(*stored(320, 240), flip, 90).on(wanted) for flip in ("auto", "reencode"))
        assert one == two and one.phash() == two.phash()


@pytest.mark.parametrize("flip", ["auto", "reencode"])
def test_a_parent_is_read_once_for_all_canvases(flip, monkeypatch):
    calls = []
    for module, name in ((images, "decode"), (turbo, "decode")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda data, real=real, name=name: calls.append(name) or real(data))
    drawing = Drawing(*stored(322, 240), flip, 90)
    for chain in CHAINS:
        drawing.on(canvas((322, 240), *chain))
    assert len(calls) == 1


@pytest.mark.parametrize("flip", ["auto", "reencode"])
@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"no picture", stored(320, 240)[0][:2000]])
def test_hostile_bytes_end_in_a_sample_error(flip, data):
    image = stored(320, 240)[1]
    for chain in CHAINS:
        with pytest.raises(SampleError):
            Drawing(data, image, flip, 95).on(canvas((320, 240), *chain))


@pytest.mark.parametrize("flip", ["auto", "reencode"])
def test_a_picture_of_another_size_is_refused(flip):
    data, image = stored(100, 80)
    with pytest.raises(SampleError, match="corrupt"):
        Drawing(data, image, flip, 95).on(canvas((99, 80), square_pad))


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(CHAINS))
@settings(max_examples=60)
def test_any_size_is_drawn(width, height, chain):
    wanted = canvas((width, height), *chain)
    drawn = Drawing(*stored(width, height), "auto", 90).on(wanted)
    assert images.decode(drawn.data).shape == (*wanted.size_wh[::-1], 3)
