import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.sample import ImageRef, Sample, Transform
from curate.stages.naming import DATA, Names

IMAGE = ImageRef("abc.jpg", 512, 9, "5a" * 32, "", "jpeg", 4, 4, 4, 4, 1)
COCO = "coco/train2014/COCO_train2014_000000581857.jpg"


def sample(**changes):
    return replace(Sample("abc", "refcoco", 0, 0, "k", images=(IMAGE,)), **changes)


def child(*steps, **changes):
    own = replace(IMAGE, member="kid.jpg", sha256="6b" * 32)
    made = sample(sample_id="kid", transforms=tuple(Transform(step, 1) for step in steps), images=(own,))
    return replace(made, source_meta=json.dumps({"image": COCO}), **changes)


def test_without_a_layout_nothing_changes():
    assert Names(None).of(sample(source_key=COCO)) == "images/refcoco/abc.jpg"
    assert Names(None).folder == ""


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"source_meta": json.dumps({"image": COCO})}, COCO),
        ({"source_meta": json.dumps({"file_name": "x.png"})}, "refcoco/x.png"),
        ({"source_meta": json.dumps({"image": f"./{COCO}"})}, COCO),
        ({"source_meta": json.dumps({"image": f"{DATA}/{COCO}"})}, COCO),
        ({"source_key": COCO}, COCO),
        ({"source_key": "12"}, "refcoco/abc.jpg"),
        ({"source_meta": "{"}, "refcoco/abc.jpg"),
        ({"source_meta": "[" * 100_000}, "refcoco/abc.jpg"),
        ({"source_meta": json.dumps([COCO])}, "refcoco/abc.jpg"),
        ({"source_meta": json.dumps({"image": 3})}, "refcoco/abc.jpg"),
    ],
)
def test_a_picture_is_called_as_its_source_calls_it(changes, name):
    names = Names("asv2")
    assert names.of(sample(**changes)) == name
    assert names.folder == "playground/data"


@pytest.mark.parametrize(
    "image",
    [
        *("../a.jpg", "a/../../b.jpg", "/etc/a.jpg", "a//b.jpg", "s3://b/a.jpg", "a\\b.jpg", "a\n.jpg", "a\0.jpg"),
        *("~/a.jpg", "a/.hidden.jpg", " a.jpg", "a /b.jpg", "CON:.jpg", "x" * 500 + ".jpg", "ä" * 100 + ".jpg"),
        *("a.exe", "", ".jpg", "a/b./c.jpg", "\ud800.jpg", "\u202egpj.jpg"),
    ],
)
def test_a_name_that_is_no_safe_path_is_not_used(image):
    assert Names("asv2").of(sample(source_meta=json.dumps({"image": image}))) == "refcoco/abc.jpg"


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_name_leaves_the_folder(image, key):
    name = Names("asv2").of(sample(source_meta=json.dumps({"image": image + ".jpg"}), source_key=key + ".png"))
    parts = name.split("/")
    assert len(parts) > 1 and not {"", ".", ".."} & set(parts) and "\\" not in name and "\0" not in name


@pytest.mark.parametrize(
    ("steps", "folder"),
    [
        (("hflip",), "coco_flip"),
        (("square_pad",), "coco_square_pad"),
        (("square_pad", "hflip"), "coco_square_pad_flip"),
    ],
)
def test_children_stand_beside_their_parents(steps, folder):
    assert Names("asv2").of(child(*steps)) == f"{folder}/train2014/COCO_train2014_000000581857.jpg"


def test_a_virtual_child_has_its_parents_name():
    virtual = child("hflip", images=(IMAGE,))
    assert virtual.is_virtual()
    assert Names("asv2").of(virtual) == COCO


def test_one_name_is_one_picture():
    names = Names("asv2")
    first, again = sample(source_key=COCO), sample(source_key=COCO, sample_id="other")
    other = sample(source_key=COCO.upper().replace(".JPG", ".jpg"), images=(replace(IMAGE, sha256="00" * 32),))
    assert names.of(first) == names.of(again) == COCO
    third = names.of(other)
    assert third.lower() != COCO.lower() and third.endswith(".jpg")
    assert names.of(other) == third
