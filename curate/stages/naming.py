"""What an exported picture is called: by its sample, or as its source calls it, as All-Seeing v2 lays out its data.

All-Seeing v2 names a picture relative to `playground/data` (README.md of OpenGVLab/all-seeing, all-seeing-v2), and
its mirror by the same file name below `coco_flip` (scripts_asmv2/flip_image.py).
"""

import hashlib
import json
from pathlib import PurePosixPath
from typing import Literal

from curate.sample import Sample

Layout = Literal["asv2"]
DATA = "playground/data"
"""The folder of an export that the names of pictures are relative to, in All-Seeing v2's layout."""

_KEYS = ("image", "file_name", "image_path")
"""Where in `source_meta` a source says what its picture is called."""
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_SHORT = {"hflip": "flip"}
_PART, _WHOLE = 150, 400
"""Characters that a part of a name, and a whole name, may have: with a suffix they fit every file system."""


class Names:
    """Gives each picture of one export its name, relative to the folder that readers are told.

    The same picture drawn twice has one name; another picture that would have a name already given gets its digest
    into it. Holds one entry for each name.
    """

    def __init__(self, layout: Layout | None) -> None:
        self._layout = layout
        self._given: dict[str, str] = {}

    @property
    def folder(self) -> str:
        """The folder of the export that the names are relative to; empty for the export's own."""
        return DATA if self._layout else ""

    def of(self, sample: Sample) -> str:
        """Return the name of a sample's first picture, which it must have."""
        image = sample.images[0]
        if self._layout is None:
            return f"images/{sample.dataset}/{image.member}"
        name = _source_name(sample) or f"{sample.dataset}/{image.member}"
        if sample.transforms and not sample.is_virtual():
            first, _, rest = name.partition("/")
            name = f"{first}_{'_'.join(_SHORT.get(step.name, step.name) for step in sample.transforms)}/{rest}"
        if self._given.setdefault(name.lower(), image.sha256) != image.sha256:
            path = PurePosixPath(name)
            tag = hashlib.blake2b(image.sha256.encode(), digest_size=6).hexdigest()
            name = str(path.with_name(f"{path.stem}-{tag}{path.suffix}"))
        return name


def _source_name(sample: Sample) -> str | None:
    """Return what the source calls a sample's picture, with at least one folder; None for what cannot be a path."""
    try:
        meta = json.loads(sample.source_meta)
    except (ValueError, RecursionError):
        meta = {}
    stated = [meta[key] for key in _KEYS if isinstance(meta, dict) and isinstance(meta.get(key), str)]
    for name in (*stated, sample.source_key):
        clean = name.removeprefix("./").removeprefix(f"{DATA}/")
        if _is_path(clean):
            return clean if "/" in clean else f"{sample.dataset}/{clean}"
    return None


def _is_path(name: str) -> bool:
    """Tell whether a name is a relative path of a picture that is safe on every file system."""
    return (
        name.isprintable()
        and len(name) <= _WHOLE
        and name.lower().endswith(_SUFFIXES)
        and not set(name) & set('\\:*?"<>|')
        and all(_is_part(part) for part in name.split("/"))
    )


def _is_part(part: str) -> bool:
    return 0 < len(part.encode("utf-8", "replace")) <= _PART and part.strip(" ") == part.strip(" .~") == part
