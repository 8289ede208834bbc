"""COCO's instances files: read once and kept small, or written picture by picture.

Format: https://cocodataset.org/#format-data; `bbox` is x, y, width, height in pixels. Of outlines only that there was
one is kept: an annotation takes some 250 bytes of memory, whatever it takes in the file.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from curate.errors import ConfigError, SampleError
from curate.io import storage
from curate.io.json_window import Window

PARTS = ("images", "annotations", "categories")
_BEFORE = ("info", "licenses", "type")  # what may stand before the parts
_KEPT = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "iscrowd"),
    "categories": ("id", "name"),
}
_COPY_BYTES = 1 << 20
OUTLINE = "not kept"
"""Stands for the outline of an annotation."""

Json = dict[str, Any]
Key = int | str
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(slots=True)
class Instances:
    """One instances file: pictures and categories by their ids, annotations by the picture's."""

    images: dict[Key, Json] = field(default_factory=dict)
    categories: dict[Key, Json] = field(default_factory=dict)
    by_image: dict[Key, list[bytes]] = field(default_factory=dict)

    def take(self, part: str, record: Any) -> str:
        """Keep an element of one of PARTS; return what is wrong with it, or nothing."""
        if not isinstance(record, dict):
            return "not an object"
        small = {key: record[key] for key in _KEPT[part] if key in record}
        key = small.get("image_id" if part == "annotations" else "id")
        if not isinstance(key, int | str) or isinstance(key, bool):
            return "an id that is no number"
        if part == "annotations":
            if record.get("segmentation"):
                small["segmentation"] = OUTLINE
            self.by_image.setdefault(key, []).append(_dumps(small).encode("utf-8", "surrogatepass"))
            return ""
        known = self.images if part == "images" else self.categories
        if key in known:
            return f"the id {key!r} is given twice"
        known[key] = small
        return ""

    def of(self, image: Key) -> list[Json]:
        """Return the annotations of a picture, in order of the file."""
        return [json.loads(each) for each in self.by_image.get(image, ())]

    def records(self) -> Iterator[Json]:
        """Yield an instances object for each picture, with its categories; then those of no picture of the file."""
        for key in dict.fromkeys((*self.images, *self.by_image)):
            annotations = self.of(key)
            used = dict.fromkeys(each.get("category_id") for each in annotations if _is_key(each.get("category_id")))
            yield {
                "images": [self.images[key]] if key in self.images else [],
                "annotations": annotations,
                "categories": [self.categories[each] for each in used if each in self.categories],
            }


def is_instances(uri: str) -> bool:
    """Tell whether a file is one instances object: it begins with a list of its parts, or with its `info`."""
    with storage.open_read(uri) as file:
        window = Window(file, 0)
        if window.peek() != "{":
            return False
        window.take(1)
        name = window.value()[0] if window.peek() == '"' else None
        if not isinstance(name, str) or window.peek() != ":":
            return False
        window.take(1)
        return (name in PARTS and window.peek() == "[") or name in _BEFORE


def read(uri: str) -> Instances:
    """Return an instances file.

    Raises:
        ConfigError: it is no such file, or damaged (the message says where).
        FileNotFoundError, OutsideError: as `storage.open_read`.
    """
    found = Instances()
    with storage.open_read(uri) as file:
        window = Window(file, 0)
        _expect(window, "{", uri)
        while window.peek() != "}":
            name = _value(window, uri)
            _expect(window, ":", uri)
            if name in PARTS and window.peek() == "[":
                _expect(window, "[", uri)
                while window.peek() != "]":
                    offset = window.offset
                    wrong = found.take(name, _value(window, uri))
                    if wrong:
                        raise _bad(f"{name}: {wrong}", offset, uri)
                    if window.peek() != "]":
                        _expect(window, ",", uri)
                _expect(window, "]", uri)
            else:
                _value(window, uri)
            if window.peek() != "}":
                _expect(window, ",", uri)
        _expect(window, "}", uri)
        if window.peek():
            raise _bad("more text", window.offset, uri)
    return found


class InstancesWriter:
    """Joins instances objects of one picture each into one file, all ids counted anew from 1: the old are not kept.

    A context manager: the file has its name only after an end without error. Memory is that of the categories.
    """

    def __init__(self, uri: str) -> None:
        self._uri, self.count = uri, 0
        self._annotations = 0
        self._categories: dict[str, int] = {}
        self._files = ExitStack()
        self._folder = Path(self._files.enter_context(tempfile.TemporaryDirectory(prefix="curate-")))
        self._images_out = self._files.enter_context((self._folder / "images").open("xb"))
        self._annotations_out = self._files.enter_context((self._folder / "annotations").open("xb"))

    def __enter__(self) -> "InstancesWriter":
        return self

    def write(self, record: Json, text: str = "") -> None:
        """Write the picture of a record as `coco.encode` makes them, and its annotations; its `text` is not used."""
        (image,), names = record["images"], {each["id"]: each["name"] for each in record["categories"]}
        self.count += 1
        self._images_out.write(self._line({**image, "id": self.count}, self.count))
        for annotation in record["annotations"]:
            self._annotations += 1
            name = names[annotation["category_id"]]
            category = self._categories.setdefault(name, len(self._categories) + 1)
            numbered = {**annotation, "id": self._annotations, "image_id": self.count, "category_id": category}
            self._annotations_out.write(self._line(numbered, self._annotations))

    def _line(self, record: Json, number: int) -> bytes:
        try:
            data = json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can only escape
            data = json.dumps(record).encode()
        except (ValueError, TypeError, RecursionError) as error:
            raise SampleError("bad_json", f"picture {self.count} cannot be written: {error}") from None
        return (b",\n" if number > 1 else b"\n") + data

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._files:
            if kind is None:
                self._images_out.close()
                with (self._folder / "images").open("rb") as images, (self._folder / "whole").open("xb") as out:
                    self._annotations_out.close()
                    out.write(b'{"images": [')
                    _copy(images, out)
                    out.write(b'\n], "annotations": [')
                    with (self._folder / "annotations").open("rb") as annotations:
                        _copy(annotations, out)
                    names = [{"id": number, "name": name} for name, number in self._categories.items()]
                    out.write(b'\n], "categories": ' + json.dumps(names).encode() + b"}\n")
                storage.put_file(self._folder / "whole", self._uri)


def _copy(source: Any, out: Any) -> None:
    while block := source.read(_COPY_BYTES):
        out.write(block)


def _is_key(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _value(window: Window, uri: str) -> Any:
    window.peek()
    offset = window.offset
    value, error, _ = window.value()
    if error:
        raise _bad(error, offset, uri)
    return value


def _expect(window: Window, mark: str, uri: str) -> None:
    if window.peek() != mark:
        raise _bad(f"no {mark!r}", window.offset, uri)
    window.take(1)


def _bad(what: str, offset: int, uri: str) -> ConfigError:
    return ConfigError(f"no COCO instances file: {what}, at byte {offset}", file=uri)
