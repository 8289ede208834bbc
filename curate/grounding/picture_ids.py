"""Which picture of a known collection a name means: COCO, Visual Genome, Flickr30k, SA-1B.

Names as their publishers give them: cocodataset.org/#download (`train2017/000000123456.jpg`,
`COCO_train2014_000000123456.jpg`), RefCOCO's refs (lichengunc/refer: a number behind COCO's name), Visual Genome
(`VG_100K/2345.jpg`, `VG_100K_2`), GQA and Visual7W, whose numbers are Visual Genome's, Flickr30k (`36979.jpg`, the
number of the photo at Flickr) and SA-1B (`sa_123.jpg`). All-Seeing v2 mirrors pictures under the same file name in
a folder that ends in `_flip` (scripts_asmv2/flip_image.py of OpenGVLab/all-seeing).
"""

import re
from typing import Literal

Space = Literal["coco", "vg", "flickr30k", "sa"]
"""Collections whose pictures have numbers."""

SPACES: tuple[Space, ...] = ("coco", "vg", "flickr30k", "sa")

_LONGEST = 4096  # characters of a name that are looked at; a longer one names no picture
_SUFFIXES = ("jpg", "jpeg", "png", "webp")
_SLASHES = re.compile(r"[/\\]")
_QUERY = re.compile(r"[?#]")
_SPLIT = re.compile(r"(?:train|val|test|unlabeled)20(?:14|15|17)", re.IGNORECASE | re.ASCII)
_COCO = re.compile(r"COCO_[a-z]{3,9}20[0-9]{2}_0{6}([0-9]{6})(?:_[0-9]{1,6})?", re.IGNORECASE | re.ASCII)
_TWELVE = re.compile(r"0{6}([0-9]{6})")
_V7W = re.compile(r"v7w_([1-9][0-9]{0,6})")
_SA = re.compile(r"sa_([1-9][0-9]{0,8})")
_NUMBER = re.compile(r"[1-9][0-9]{0,10}")
_CANONICAL = re.compile(r"(?:coco|vg|flickr30k|sa):[1-9][0-9]{0,10}")
_VG_FOLDERS = ("vg_100k", "vg_100k_2")
_FLICKR_FOLDERS = ("flickr30k", "flickr30k-images", "flickr30k_images")


def picture_id(name: str) -> str | None:
    """Return the one id of a picture, such as `coco:123456`, from a file name, path, key or URL; None if unsure.

    A bare `123.jpg` is no certain name. Twelve digits that begin with six zeros are COCO's, in a URL only below one
    of COCO's folders. Zeros in front go. Whatever the name holds, nothing is raised.
    """
    if len(name) > _LONGEST:
        return None
    web = "://" in name
    parts = _SLASHES.split(_QUERY.split(name, maxsplit=1)[0] if web else name)
    stem, dot, suffix = parts[-1].rpartition(".")
    is_file = bool(dot) and suffix.lower() in _SUFFIXES
    if not is_file:
        stem = parts[-1]
    folders = [part.lower() for part in parts[:-1]]
    return _coco(stem, folders, is_file and not web) or _others(stem, folders)


def _coco(stem: str, folders: list[str], plain_file: bool) -> str | None:
    found = _COCO.fullmatch(stem)
    if found is None and (plain_file or any(_SPLIT.fullmatch(folder) for folder in folders)):
        found = _TWELVE.fullmatch(stem)
    return f"coco:{int(found[1])}" if found and int(found[1]) else None


def _others(stem: str, folders: list[str]) -> str | None:
    if found := _SA.fullmatch(stem):
        return f"sa:{found[1]}"
    if found := _V7W.fullmatch(stem):
        return f"vg:{found[1]}"
    if not _NUMBER.fullmatch(stem):
        return None
    if folders and (folders[-1] in _VG_FOLDERS or folders[-2:] == ["gqa", "images"]):
        return f"vg:{stem}"
    return f"flickr30k:{stem}" if any(folder in _FLICKR_FOLDERS for folder in folders) else None


def numbered(value: object, space: Space | None = None) -> str | None:
    """Return the id that a value of an id column means: `coco:5` itself, a name, or with `space` a bare number.

    COCO's zeros in front are allowed. None for anything else.
    """
    text = str(value).strip() if isinstance(value, int | str) and not _too_long(value) else ""
    if _CANONICAL.fullmatch(text):
        return text
    bare = text.lstrip("0")
    if space is not None and _NUMBER.fullmatch(bare):
        return f"{space}:{bare}"
    return picture_id(text)


def _too_long(value: int | str) -> bool:
    """Tell whether a value is no number or name; an int of thousands of digits cannot even be printed."""
    if isinstance(value, bool):
        return True
    return not -(10**12) < value < 10**12 if isinstance(value, int) else len(value) > _LONGEST


def is_mirrored(name: str) -> bool:
    """Tell whether a path lies below a folder of mirrored pictures: one that ends in `_flip`."""
    return len(name) <= _LONGEST and any(part.lower().endswith("_flip") for part in _SLASHES.split(name)[:-1])
