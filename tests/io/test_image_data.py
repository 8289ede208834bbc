"""Visual Genome's image_data.json: pairs of numbers are read, all else is let go or refused."""

import json

import pytest

from curate.errors import ConfigError
from curate.io.image_data import id_joins


def test_pairs_are_read(tmp_path):
    records = [
        {"image_id": 2345, "coco_id": 123, "flickr_id": 99, "width": 800, "url": "https://x/VG_100K/2345.jpg"},
        {"image_id": 2346, "coco_id": None, "flickr_id": 77},
        {"image_id": 2347, "coco_id": None, "flickr_id": None},
        {"id": 2348, "coco_id": "456"},
        {"image_id": 10**30, "coco_id": 1},
        {"image_id": True, "coco_id": 1},
        {"image_id": 2349, "coco_id": -3},
        {"image_id": [1], "coco_id": {}},
        7,
        None,
    ]
    path = tmp_path / "image_data.json"
    path.write_text(json.dumps(records))
    assert id_joins(str(path)) == {"vg:2345": "coco:123", "vg:2346": "flickr30k:77", "vg:2348": "coco:456"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '[{"image_id": 1}]', '[{"image_id": 1, "coco_id": 2}, {', "[" * 100_000, "\x1f\x8b"]
)
def test_a_file_without_pairs_is_refused(tmp_path, text):
    path = tmp_path / "image_data.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        id_joins(str(path))
    assert refused.value.file == str(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        id_joins(str(tmp_path / "none.json"))
