"""Names of pictures: each collection's own are known, an uncertain one is none, and nothing is raised."""

import pytest
from conftest import growth
from hypothesis import given
from hypothesis import strategies as st

from curate.grounding.picture_ids import is_mirrored, numbered, picture_id


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("000000123456.jpg", "coco:123456"),
        ("000000000009.jpg", "coco:9"),
        ("COCO_train2014_000000123456.jpg", "coco:123456"),
        ("COCO_train2014_000000581857_16.jpg", "coco:581857"),
        ("COCO_val2014_000000000042", "coco:42"),
        ("coco/train2017/000000123456.jpg", "coco:123456"),
        ("coco\\val2017\\000000123456.JPG", "coco:123456"),
        ("val2017/000000123456", "coco:123456"),
        ("coco_flip/train2014/COCO_train2014_000000123456.jpg", "coco:123456"),
        ("http://images.cocodataset.org/train2017/000000123456.jpg?x=1#y", "coco:123456"),
        ("panoptic/000000123456.png", "coco:123456"),
        ("VG_100K/2345.jpg", "vg:2345"),
        ("vg/VG_100K_2/2345.jpg", "vg:2345"),
        ("https://cs.stanford.edu/people/rak248/VG_100K_2/1.jpg", "vg:1"),
        ("gqa/images/2345.jpg", "vg:2345"),
        ("Visual7W/images/v7w_2345.jpg", "vg:2345"),
        ("flickr30k-images/36979.jpg", "flickr30k:36979"),
        ("playground/data/flickr30k/images/1000092795.jpg", "flickr30k:1000092795"),
        ("sa_123.jpg", "sa:123"),
        ("sa_000020/sa_223750", "sa:223750"),
    ],
)
def test_a_name_of_a_collection_is_known(name, known):
    assert picture_id(name) == known


@pytest.mark.parametrize(
    "name",
    [
        "",
        "123.jpg",
        "images/123.jpg",
        "gqa/images/n161313.jpg",
        "00453/004539375.jpg",
        "000000000000.jpg",
        "000012345678.jpg",
        "000000123456",
        "000000123456.txt",
        "http://example.com/pictures/000000123456.jpg",
        "http://example.com/?file=/train2017/000000123456.jpg",
        "COCO_train2014_123456.jpg",
        "COCO_train2014_900000123456.jpg",
        "VG_100K/02345.jpg",
        "VG_100K/n2345.jpg",
        "vg/2345.jpg",
        "sa_000020.tar",
        "sa_000020",
        "flickr30k/a.jpg",
        "VG_100K/²3.jpg",
        "VG_100K/٣٤.jpg",
        "sa_" + "9" * 5000 + ".jpg",
        "x" * 5000 + "/000000123456.jpg",
        "000000123456.jpg\n",
        "\ud800/000000.jpg",
    ],
)
def test_an_uncertain_name_is_none(name):
    assert picture_id(name) is None


@given(st.text(st.sampled_from("COsav7w_g0129/\\.?#:jp-k\n"), max_size=60) | st.text(max_size=40))
def test_whatever_the_name_the_id_is_plain_or_none(name):
    found = picture_id(name)
    assert found is None or numbered(found) == found


@pytest.mark.parametrize(
    ("value", "space", "known"),
    [
        (123456, "coco", "coco:123456"),
        ("000000123456", "coco", "coco:123456"),
        (" 2345 ", "vg", "vg:2345"),
        ("coco:5", "vg", "coco:5"),
        ("VG_100K/7.jpg", "coco", "vg:7"),
        (123456, None, None),
        ("2345", None, None),
        (True, "coco", None),
        (1.0, "coco", None),
        (0, "coco", None),
        (-5, "coco", None),
        pytest.param(10**5000, "coco", None, id="huge"),
        pytest.param("1" * 5000, "coco", None, id="long"),
        ("12345678901234", "coco", None),
        (None, "coco", None),
        ({"a": 1}, "coco", None),
    ],
)
def test_a_bare_number_needs_its_collection(value, space, known):
    assert numbered(value, space) == known


@pytest.mark.parametrize(
    ("name", "mirrored"),
    [
        ("coco_flip/train2014/a.jpg", True),
        ("data/vg_FLIP/1.jpg", True),
        ("coco/train2014/a_flip.jpg", False),
        ("coco_flip.jpg", False),
        ("flip/1.jpg", False),
        ("x" * 5000 + "_flip/1.jpg", False),
    ],
)
def test_a_folder_of_mirrored_pictures(name, mirrored):
    assert is_mirrored(name) is mirrored


@pytest.mark.parametrize("unit", ["COCO_", "/", "0", "?", "://", "sa_", "_flip/", "\\", "COCO_a2"])
def test_a_hostile_name_takes_linear_time(unit):
    def work(length):
        name = (unit * length)[:length]
        for _ in range(100):
            picture_id(name), is_mirrored(name), numbered(name, "coco")

    assert growth(work, 500) < 20
