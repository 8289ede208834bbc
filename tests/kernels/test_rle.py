"""COCO's run-length strings, against real ones with their recorded area and box."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.kernels import rle

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SA1B = SHARED / "annotations/sa1b_format/openvinotoolkit__datumaro/tests/assets/segment_anything_dataset"
SAV = SHARED / "annotations/grounding/facebookresearch__segment-anything-2/sav_dataset/example"
COCO = SHARED / "annotations/coco/cocodataset__cocoapi"
PANOPTIC = SHARED / "photos_panoptic/cocodataset__panopticapi/sample_data/panoptic_coco_detection_format.json"

masks = st.tuples(st.integers(0, 9), st.integers(0, 9)).flatmap(lambda shape: arrays(np.bool_, shape))


def box_of(mask):
    ys, xs = np.nonzero(mask)
    if xs.size == 0:
        return (0, 0, 0, 0)
    return (xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1)


def check(counts, size_hw):
    mask = rle.decode(counts, size_hw)
    assert mask.shape == tuple(size_hw)
    assert mask.dtype == np.bool_
    assert rle.encode(mask) == counts
    assert rle.area(counts) == mask.sum()
    assert rle.bbox(counts, size_hw) == box_of(mask)
    return mask


def test_a_mask_by_hand():
    # Columns: 0 0 0 | 0 1 1 | 1 0 0 | 0 0 0: runs 4, 3, 5.
    mask = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [0, 1, 0, 0]], dtype=bool)
    assert rle.runs(rle.encode(mask)).tolist() == [4, 3, 5]
    assert rle.encode(mask) == "435"
    assert rle.bbox("435", (3, 4)) == (1, 0, 2, 3)


@given(masks)
def test_decode_undoes_encode(mask):
    counts = rle.encode(mask)
    assert np.array_equal(rle.decode(counts, mask.shape), mask)
    assert rle.area(counts) == mask.sum()
    assert rle.bbox(counts, mask.shape) == box_of(mask)


@given(st.lists(st.integers(0, 4000), min_size=2, max_size=12))
def test_long_runs_survive(lengths):
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    mask = flat.reshape(-1, 1)
    assert np.array_equal(rle.decode(rle.encode(mask), mask.shape), mask)


@pytest.mark.parametrize("counts", ["`", "o", "0\x7f", "é", " ", "ooooooooo0", "4\x00", "\ud800"])
def test_malformed_strings(counts):
    with pytest.raises(ValueError, match="run"):
        rle.decode(counts, (3, 4))


@pytest.mark.parametrize("counts", ["43", "436", "", "43O"])
def test_runs_that_do_not_fill_the_mask(counts):
    for call in (rle.decode, rle.bbox):
        with pytest.raises(ValueError, match=r"3x4|negative"):
            call(counts, (3, 4))


@given(st.text(max_size=12))
def test_noise_is_a_value_error(text):
    try:
        mask = rle.decode(text, (3, 4))
    except ValueError:
        return
    assert mask.shape == (3, 4)


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_sa1b_masks_have_their_recorded_area_and_box():
    for path in sorted(SA1B.glob("*.json")):
        for mask in json.loads(path.read_text())["annotations"]:
            segmentation = mask["segmentation"]
            check(segmentation["counts"], tuple(segmentation["size"]))
            assert rle.area(segmentation["counts"]) == mask["area"]
            assert list(rle.bbox(segmentation["counts"], tuple(segmentation["size"]))) == mask["bbox"]


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_panoptic_masks_have_their_recorded_area_and_box():
    found = json.loads(PANOPTIC.read_text())["annotations"]
    assert len(found) > 10
    for mask in found:
        segmentation = mask["segmentation"]
        check(segmentation["counts"], tuple(segmentation["size"]))
        assert rle.area(segmentation["counts"]) == mask["area"]
        assert list(rle.bbox(segmentation["counts"], tuple(segmentation["size"]))) == mask["bbox"]


@pytest.mark.skipif(not SHARED.exists(), reason="no shared data")
def test_coco_and_video_masks_survive_the_way_there_and_back():
    found = [
        m["segmentation"] for m in json.loads((COCO / "results/instances_val2014_fakesegm100_results.json").read_text())
    ][:100]
    for name in ("auto", "manual"):
        frames = json.loads((SAV / f"sav_000001_{name}.json").read_text())["masklet"]
        found += [m for frame in frames[::20] for m in frame]
    assert len(found) > 120
    for segmentation in found:
        check(segmentation["counts"], tuple(segmentation["size"]))
