"""COCO's instances form, of one picture: a JSON object of images, annotations with boxes, and categories.

Format: https://cocodataset.org/#format-data (object detection): a `bbox` is [x, y, width, height] in pixels from
the top left corner; `category_id` names a category. Here each phrase is a category, numbered in order of
appearance, and each box of a region one annotation. Ids begin with 1 and count within the record: what joins
records must number them anew. `file_name` is empty, as a codec does not know it.

What the form cannot hold: the text and where in it a phrase stands, scores, tags, relations, and which of two
regions of one phrase had a box.
"""

from typing import Any

from curate.grounding import json_record
from curate.grounding.json_record import PX_TOLERANCE, Path, Record
from curate.sample import Box, Grounded, Region

FRAME = "original"
"""Coordinates are pixels of the picture."""

HOLDS = frozenset({"phrases"})
"""What comes back besides the boxes; regions of one phrase come back as one."""

TOLERANCE = PX_TOLERANCE + 1e-9
"""Largest error of a coordinate as a share of the picture: half a thousandth of a pixel, in a picture of one
pixel; a 640th of it for 640."""


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the record of a picture of width x height pixels, corners rounded to a thousandth.

    Boxes are cut to the picture. Raises SampleError: `bad_box` for a coordinate that is not finite or corners the
    wrong way round, `bad_size`.
    """
    json_record.check_size(width, height)
    categories: dict[str, int] = {}
    annotations: list[str] = []
    for region in grounded.regions:
        for box in region.boxes:
            x0, y0, x1, y1 = json_record.thousandths(box, width, height)
            if region.phrase:
                category = categories.setdefault(region.phrase, len(categories) + 1)
                wide, high = x1 - x0, y1 - y0
                annotations.append(
                    f'{{"id": {len(annotations) + 1}, "image_id": 1, "category_id": {category}, '
                    f'"bbox": [{x0 / 1000}, {y0 / 1000}, {wide / 1000}, {high / 1000}], '
                    f'"area": {wide * high / 1e6}, "iscrowd": 0}}'
                )
    named = [f'{{"id": {number}, "name": {json_record.quoted(name)}}}' for name, number in categories.items()]
    return (
        f'{{"images": [{{"id": 1, "file_name": "", "width": {width}, "height": {height}}}], '
        f'"annotations": [{", ".join(annotations)}], "categories": [{", ".join(named)}]}}'
    )


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of regions that the record leaves out: without a box or without a phrase."""
    return tuple(i for i, region in enumerate(grounded.regions) if not region.boxes or not region.phrase)


def decode(text: str, width: int, height: int) -> Grounded:
    """Return a region for each category that has boxes, in order of their first; the text is empty.

    Pixels are of the size that the record itself states. A box half a pixel over the edge is cut to the
    picture. Linear in the text's length.

    Raises SampleError `bad_coco`, with the position in characters: no such object, other than one image, a box
    that is not four finite numbers, of negative size or outside the picture, an unknown image or category.
    """
    json_record.check_size(width, height)
    record = json_record.load(text, "bad_coco")
    images = record.listed(record.value.get("images"), ("images",))
    if len(images) != 1:
        raise record.bad(f"{len(images)} images in a record of one", ("images",))
    image = record.object(images[0], ("images", 0))
    size = record.size(image, ("images", 0))
    names = _categories(record)
    boxes: dict[str, list[Box]] = {}
    for index, value in enumerate(record.listed(record.value.get("annotations"), ("annotations",))):
        path: Path = ("annotations", index)
        annotation = record.object(value, path)
        if annotation.get("image_id") != image.get("id"):
            raise record.bad("of another image", (*path, "image_id"))
        name = names.get(_id(record, annotation.get("category_id"), (*path, "category_id")))
        if name is None:
            raise record.bad("an unknown category", (*path, "category_id"))
        x0, y0, wide, high = record.numbers(annotation.get("bbox"), 4, (*path, "bbox"))
        corners: list[float] = [x0, y0, x0 + wide, y0 + high]
        boxes.setdefault(name, []).append(record.px_share(corners, (*path, "bbox"), size))
    return Grounded("", tuple(Region(name, tuple(some)) for name, some in boxes.items()))


def _categories(record: Record) -> dict[int, str]:
    names: dict[int, str] = {}
    for index, value in enumerate(record.listed(record.value.get("categories"), ("categories",))):
        category = record.object(value, ("categories", index))
        number = _id(record, category.get("id"), ("categories", index, "id"))
        name = record.string(category.get("name"), ("categories", index, "name"))
        if not name or number in names:
            raise record.bad("no name, or the number of another", ("categories", index))
        names[number] = name
    return names


def _id(record: Record, value: Any, path: Path) -> int:
    if type(value) is not int:
        raise record.bad("not a whole number", path)
    return value
