"""How records of other people's files are laid out: their parts, their one picture, the markers in their texts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from curate.errors import SampleError
from curate.grounding import dialogue
from curate.io.sizes import Size, Sizes

Json = dict[str, Any]

VG_FOLDERS = ("VG_100K", "VG_100K_2")
"""Where Visual Genome's pictures lie, and so SVIT's."""

_LEADING = re.compile(r"(?:\s*+<image>\s*+)++")
_ROLES = {"user": "human", "human": "human", "gpt": "gpt", "assistant": "gpt"}
_NAMES = ("image", "file_name", "filename")
_MOST_PX = 1 << 31
ASPECT_TOLERANCE = 0.03
"""Largest difference of two shapes that are the same, as ingest has it."""


class Refused(SampleError):
    """A record that is kept aside: code, detail, and the place in it, such as `conversations[3].value`."""

    def __init__(self, code: str, detail: str, path: str = "") -> None:
        super().__init__(code, detail)
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.code, self.detail, self.path)


def units(record: Any) -> Iterator[Json]:
    """Yield the parts of a record that are recast one by one: the entries of SVIT's, else the record itself.

    An entry's id is its record's, or its picture's, with its number; the only entry of a record with an id has that.
    Raises Refused `bad_record` for what is no object.
    """
    if not isinstance(record, dict):
        raise Refused("bad_record", f"not an object but {type(record).__name__}")
    entries = record.get("conversations")
    if not _is_nested(record):
        yield record
    elif isinstance(entries, list):
        for number, entry in enumerate(entries):
            own = record.get("id", record["image_id"])
            name = own if "id" in record and len(entries) == 1 else f"{own}-{number}"
            yield {**record, "id": name, "conversations": [entry]}


def _is_nested(record: Json) -> bool:
    """Tell whether a record is laid out as SVIT's original files."""
    entries = record.get("conversations")
    if "image_id" not in record or not isinstance(entries, list):
        return False
    return any(isinstance(entry, dict) and "content" in entry for entry in entries)


def flat(unit: Json, sizes: Sizes | None) -> Json:
    """Return an entry of SVIT's original as a dialogue of LLaVA's; other records as they are.

    Where neither the record nor `sizes` tell the picture's path, the dialogue has its `image_id` and no path.
    """
    if not _is_nested(unit):
        return unit
    entry, number = unit["conversations"][0], unit["image_id"]
    content = entry.get("content") if isinstance(entry, dict) else None
    if not isinstance(content, list) or not content:
        raise Refused("bad_record", "no list of turns", "conversations[0].content")
    if not isinstance(number, int | str) or isinstance(number, bool):
        raise Refused("bad_record", "an image_id that is no number", "image_id")
    turns = []
    for place, turn in enumerate(content):
        path = f"conversations[0].content[{place}]"
        role = turn.get("from") if isinstance(turn, dict) else None
        if not isinstance(role, str) or role.lower() not in _ROLES or not isinstance(turn.get("value"), str):
            raise Refused("bad_record", "a turn without a known role and a text", path)
        turns.append({"from": _ROLES[role.lower()], "value": turn["value"]})
    image = name_of(unit) or _vg(number, sizes)
    if image is not None and dialogue.IMAGE not in turns[0]["value"] and turns[0]["from"] == "human":
        turns[0]["value"] = f"{dialogue.IMAGE}\n{turns[0]['value']}"
    rest = {key: value for key, value in unit.items() if key not in ("id", "image_id", "image", "conversations")}
    more = {key: value for key, value in entry.items() if key != "content"}
    told = {"image": image} if image is not None else {"image_id": number}
    return {"id": unit.get("id", str(number)), **told, **rest, **more, "conversations": turns}


def _vg(number: int | str, sizes: Sizes | None) -> str | None:
    """Return where a picture of Visual Genome lies under the folder of pictures; None where that is not known."""
    name = f"{number}.jpg"
    if sizes is None:
        return None
    for folder in VG_FOLDERS:
        try:
            sizes.of(f"{folder}/{name}")
        except SampleError as error:
            if error.code != "no_picture":
                raise Refused(error.code, error.detail, "image_id") from error
        else:
            return f"{folder}/{name}"
    raise Refused("no_picture", f"no {name!r} in {' or '.join(VG_FOLDERS)}", "image_id")


def apart(value: str) -> tuple[str, str, str]:
    """Return the markers of pictures before a text, the text, and those after it, with the space between."""
    if dialogue.IMAGE not in value:
        return "", value, ""
    leading = _LEADING.match(value)
    begin = leading.end() if leading else 0
    end, bare = len(value), _bare_end(value, begin, len(value))
    while value.endswith(dialogue.IMAGE, begin, bare):
        end = bare = _bare_end(value, begin, bare - len(dialogue.IMAGE))
    return value[:begin], value[begin:end], value[end:]


def _bare_end(value: str, begin: int, end: int) -> int:
    while end > begin and value[end - 1].isspace():
        end -= 1
    return end


def name_of(record: Json) -> str | None:
    """Return the path of a record's one picture, as it is written there."""
    for place in (record, _coco_image(record)):
        for key in _NAMES:
            found = place.get(key)
            if isinstance(found, list) and len(found) == 1:
                found = found[0]
            if isinstance(found, str) and found:
                return found
    return None


def id_of(record: Json) -> int | str | None:
    """Return the id of a record, or of its one picture."""
    for found in (record.get("id"), _coco_image(record).get("id")):
        if isinstance(found, int | str) and not isinstance(found, bool):
            return found
    return None


def stated(record: Json) -> Size | None:
    """Return the width and height in pixels that a record states."""
    for place in (record, _coco_image(record)):
        width, height = _side(place.get("width")), _side(place.get("height"))
        if width and height:
            return width, height
    return None


def _same_shape(one_wh: Size, other_wh: Size) -> bool:
    left, right = one_wh[0] * other_wh[1], other_wh[0] * one_wh[1]
    return abs(left - right) <= ASPECT_TOLERANCE * max(left, right)


def _side(value: Any) -> int:
    whole = type(value) in (int, float) and 1 <= value < _MOST_PX and value % 1 == 0
    return int(value) if whole else 0


def named(made: Json, record: Json, size: Size | None) -> Json:
    """Return a record made of another with its id, its picture and that picture's size, where it tells none."""
    name, number = name_of(record), id_of(record)
    told: Json = {} if number is None else {"id": number}
    if isinstance(record.get("key"), str):
        told["key"] = record["key"]
    if "filename" in made:
        made["filename"] = name or ""
    elif image := _coco_image(made):
        image["file_name"] = name or ""
        return {**told, **made}
    elif name is not None:
        told["image"] = name
    if size is not None:
        told |= {"width": size[0], "height": size[1]}
    return {**told, **made}


def _coco_image(record: Json) -> Json:
    """Return the picture of a COCO object of one picture, else nothing."""
    images = record.get("images")
    single = isinstance(images, list) and len(images) == 1 and isinstance(images[0], dict)
    return images[0] if isinstance(images, list) and single else {}


@dataclass(slots=True)
class Picture:
    """The picture of a record: its size is looked up at most once, and only when it is asked for."""

    record: Json
    sizes: Sizes | None
    known: Size | None = None

    def __post_init__(self) -> None:
        if self.sizes is None and not self._several():
            self.known = stated(self.record)

    @property
    def nowhere(self) -> bool:
        """Whether the record is of no picture at all."""
        return self.known is None and name_of(self.record) is None and not self._several()

    @property
    def unsized(self) -> bool:
        """Whether it is one picture, and nothing tells how large."""
        return self.known is None and self.sizes is None and not self._several()

    def size(self, annotated: Size | None = None) -> Size:
        """Return width and height in pixels, of the picture itself where it is at hand.

        `annotated`: what the boxes were drawn on, else what the record states. Raises SampleError `no_size` or
        `several_pictures` where the size cannot be told, `aspect_changed` where the picture has another shape than
        the annotated one, turned pictures among them; and what `Sizes.of` raises.
        """
        if self.known is None:
            if self._several():
                raise SampleError("several_pictures", f"boxes beside {len(self.record['image'])} pictures")
            name = name_of(self.record)
            found = told = annotated or stated(self.record)
            if name is not None and self.sizes is not None:
                found = self.sizes.of(name)
                if told is not None and not _same_shape(told, found):
                    raise SampleError("aspect_changed", f"annotated {told}, the picture is {found}")
            if found is None:
                raise SampleError("no_size", "boxes, but the picture's size is not known: give --images")
            self.known = found
        return self.known

    def _several(self) -> bool:
        names = self.record.get("image")
        return isinstance(names, list) and len(names) > 1
