import json

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import coco
from curate.errors import SampleError
from curate.sample import Grounded, Region

# The form of cocodataset.org's instances files. The first box is annotation 503662 of instances_val2017, picture
# 448263 of 320 x 240 pixels (cocodataset/cocoapi, PythonAPI/extra/samples); area is that of the box, as there is
# no outline, and ids count within the record.
OFFICIAL = (
    '{"images": [{"id": 1, "file_name": "", "width": 320, "height": 240}], '
    '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [80.0, 6.49, 223.89, 223.36], '
    '"area": 50008.0704, "iscrowd": 0}, {"id": 2, "image_id": 1, "category_id": 2, '
    '"bbox": [0.5, 200.0, 10.25, 40.0], "area": 410.0, "iscrowd": 0}], '
    '"categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "a \\"red\\" tie"}]}'
)

sides = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
boxes = st.tuples(sides, sides).map(lambda b: (b[0][0], b[1][0], b[0][1], b[1][1]))
sizes = st.sampled_from([(1, 7), (640, 480), (333, 1000)])
regions = st.tuples(st.text(max_size=5), st.lists(boxes, max_size=3))


def record(bbox=(1, 2, 3, 4), image=(), annotation=(), **changes):
    plain = {
        "images": [{"id": 7, "width": 10, "height": 8, **dict(image)}],
        "annotations": [{"id": 9, "image_id": 7, "category_id": 3, "bbox": bbox, **dict(annotation)}],
        "categories": [{"id": 3, "name": "é"}],
    }
    return json.dumps({**plain, **changes}, ensure_ascii=False)


def test_the_published_form():
    grounded = coco.decode(OFFICIAL, 320, 240)
    assert [region.phrase for region in grounded.regions] == ["person", 'a "red" tie']
    assert grounded.regions[0].boxes[0] == pytest.approx((80 / 320, 6.49 / 240, 303.89 / 320, 229.85 / 240), abs=1e-12)
    assert coco.encode(grounded, 320, 240) == OFFICIAL


def test_regions_of_one_phrase_are_one_category():
    one, two = (0, 0, 0.5, 1), (0.5, 0.25, 1, 1)
    grounded = Grounded(
        "a dog, a cat, a dog",
        (
            Region("a dog", (one,), start=0, end=5),
            Region("a cat", (two, one), start=7, end=12),
            Region("a dog", (two,), start=14, end=19),
            Region("", (one,), start=3, end=3),
            Region("none", ()),
        ),
    )
    assert coco.uncoded(grounded) == (3, 4)
    read = coco.decode(coco.encode(grounded, 8, 4), 8, 4)
    assert read == Grounded("", (Region("a dog", (one, two)), Region("a cat", (two, one))))


@given(st.lists(regions, max_size=6), sizes)
@settings(max_examples=60)
def test_what_is_written_comes_back(drawn, size):
    grounded = Grounded("", tuple(Region(phrase, tuple(some)) for phrase, some in drawn))
    written = coco.encode(grounded, *size)
    read = coco.decode(written, *size)
    told = {}
    for i, region in enumerate(grounded.regions):
        if i not in coco.uncoded(grounded):
            told.setdefault(region.phrase, []).extend(region.boxes)
    assert [region.phrase for region in read.regions] == list(told)
    for region, some in zip(read.regions, told.values(), strict=True):
        for old, new in zip(some, region.boxes, strict=True):
            assert max(abs(a - b) for a, b in zip(old, new, strict=True)) <= coco.TOLERANCE / min(size)
    again = coco.encode(read, *size)
    assert coco.decode(again, *size) == read
    if len(told) == len(drawn):
        assert again == written


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("nul", "nul"),
        ("7", "7"),
        (record(images=[]), "[]"),
        (record(images=[5]), "5"),
        (record(image={"height": 0}), "0}"),
        (record(annotation={"image_id": 8}), '8, "cat'),
        (record(annotation={"category_id": 4}), '4, "bbox'),
        (record(annotation={"category_id": [4]}), "[4]"),
        (record(annotations=[[]]), "[]]"),
        (record(categories=[{"id": 3, "name": ""}]), '{"id": 3'),
        (record(categories=[{"id": 3, "name": "a"}, {"id": 3, "name": "b"}]), '{"id": 3, "name": "b"'),
        (record((1, 2, 3)), "[1, 2"),
        (record((1, 2, 3, "4")), '"4"'),
        (record((1, 2, float("nan"), 4)), "NaN"),
        (record((1, 2, float("inf"), 4)), "Infinity"),
        (record((1, 2, 10**4000, 4)), "10000"),
        (record((1, 2, -3, 4)), "[1, 2"),
        (record((1, 2, 9.6, 4)), "[1, 2"),
        (record((-0.6, 2, 3, 4)), "[-0.6"),
        (record((10.3, 2, 0.4, 4)), "[10.3"),
    ],
)
def test_malformed_records_are_named_with_their_place(text, at):
    with pytest.raises(SampleError) as caught:
        coco.decode(text, 10, 8)
    assert caught.value.code == "bad_coco"
    assert caught.value.detail.endswith(f"at character {text.index(at)}")
    assert len(caught.value.detail) < 200


def test_half_a_pixel_over_the_edge_is_cut():
    (region,) = coco.decode(record((-0.5, 2, 10.75, 6.25)), 10, 8).regions
    assert region.boxes == ((0, 0.25, 1, 1),)
    (region,) = coco.decode(record((10.25, 2, 0.125, 1)), 10, 8).regions
    assert region.boxes == ((1, 0.25, 1, 0.375),)


def test_pixels_are_of_the_size_that_the_record_states():
    assert coco.decode(record(), 5, 4) == coco.decode(record(), 10, 8)


def test_what_cannot_be_written_is_refused():
    for box in ((0, 0, float("nan"), 1), (0, float("-inf"), 1, 1), (1, 0, 0, 1)):
        with pytest.raises(SampleError, match="bad_box"):
            coco.encode(Grounded("", (Region("a", (box,)),)), 4, 3)
    with pytest.raises(SampleError, match="bad_size"):
        coco.encode(Grounded(""), 4, 0)
    assert '"bbox": [0.0, 0.0, 4.0, 3.0]' in coco.encode(Grounded("", (Region("a", ((-1, 0, 2, 1),)),)), 4, 3)


@pytest.mark.parametrize("unit", ["<ref>", '\\"'])
def test_reading_a_long_name_is_linear(unit):
    head, tail = record().split("é")
    assert growth(lambda size: coco.decode(head + unit * (size // len(unit)) + tail, 4, 3), 2_500_000 // 8) < 24


@pytest.mark.parametrize("last", ["[1, 2, 3, 4]", "[1, 2, 3]"])
def test_reading_many_boxes_is_linear(last):
    first = json.loads(record())["annotations"][0]

    def read(count):
        try:
            coco.decode(record(annotations=[first] * count + [{**first, "bbox": json.loads(last)}]), 10, 8)
        except SampleError as error:
            assert error.code == "bad_coco"

    assert growth(read, 1_000) < 24


def test_a_real_file(shared):
    path = shared / "annotations/coco/cocodataset__cocoapi/PythonAPI/extra/samples/instances_val2017_1img-sample.json"
    text = path.read_text(encoding="utf-8")
    real = json.loads(text)
    image = real["images"][0]
    size = image["width"], image["height"]
    grounded = coco.decode(text, *size)
    names = {category["id"]: category["name"] for category in real["categories"]}
    found = [(region.phrase, box) for region in grounded.regions for box in region.boxes]
    assert len(found) == len(real["annotations"]) == 16
    for annotation in real["annotations"]:
        x, y, wide, high = annotation["bbox"]
        box = (x / size[0], y / size[1], (x + wide) / size[0], (y + high) / size[1])
        assert any(
            name == names[annotation["category_id"]] and near == pytest.approx(box, abs=1e-12) for name, near in found
        )
    written = json.loads(coco.encode(grounded, *size))
    back = sorted(annotation["bbox"] for annotation in written["annotations"])
    for one, two in zip(back, sorted(annotation["bbox"] for annotation in real["annotations"]), strict=True):
        assert one == pytest.approx(two, abs=1e-9)
