"""What every trainer needs of a record: questions and answers in turn, text that has a form, a mark for each picture.

LLaVA asserts the order of roles (haotian-liu/LLaVA llava/train/train.py, preprocess_v1), LLaMA-Factory skips what
breaks it (hiyouga/LLaMA-Factory src/llamafactory/data/converter.py), Qwen-VL raises for marks and pictures that do not
agree (QwenLM/Qwen3-VL qwen-vl-finetune/qwenvl/data/data_processor.py). What they would fail on, or leave out without a
word, is refused here, with its reason.
"""

import re
from collections.abc import Sequence

from curate.errors import SampleError
from curate.sample import Attached, Record, Turn

IMAGE = "<image>"
MEDIA = ("<video>", "<audio>")
"""Marks of what a sample never has; trainers that know them count them as they count `<image>`."""

CHATML = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
"""Tokens of Qwen-VL's prompts: in a text they would end a turn early, or stand for pictures that are not there."""

_ROLES = ("human", "gpt")
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}+")
_USUAL_PATH = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*+/)++[A-Za-z0-9_-][A-Za-z0-9_.-]*+")
_SURE_LENGTH, _PART_BYTES, _PATH_BYTES = 250, 255, 1000
"""Characters that fit every file system; bytes that a part of a path, and a path below another folder, may have."""


def check_record(record: Record, reserved: Sequence[str] = (), virtual: bool = False) -> None:
    """Raise SampleError for a record that cannot be trained on, or whose names are not safe.

    Codes, besides those of `check`: `bad_id` (not ASCII letters, digits, `_` and `-`), `bad_text` (a component that has
    no UTF-8), `virtual` (a picture still to be moved, where the form cannot say so), `bad_path` (a picture outside the
    export's folder, in none of its own, or that no file system takes), `bad_size`, `empty_picture` (no bytes).
    """
    if not _ID.fullmatch(record.sample_id):
        raise SampleError("bad_id", repr(record.sample_id[:80]))
    if not record.component.isascii():
        _check_text("component", record.component)
    if record.transform is not None and not virtual:
        raise SampleError("virtual", "the picture is its parent's, still to be moved")
    pictures = record.attached()
    for each in pictures:
        _check_picture(each, f"{record.folder}/{each.image}" if record.folder else each.image)
    check(record.turns, len(pictures), reserved)


def check(turns: Sequence[Turn], pictures: int, reserved: Sequence[str] = ()) -> None:
    """Raise SampleError for a dialogue that cannot be trained on.

    Codes, with the turn (from 0) and, of texts, the position in characters: `turn_order` (not human and gpt in turn,
    or no answer at the end), `empty_turn`, `bad_text` (half a surrogate pair, which has no UTF-8),
    `image_count` (`<image>` in an answer, or not as often as there are pictures), `reserved_tag` (one of `reserved`).
    """
    marks = 0
    for number, turn in enumerate(turns):
        value = turn.value
        if turn.role != _ROLES[number % 2]:
            raise SampleError("turn_order", f"turn {number} is of {turn.role!r}")
        if not value or value.isspace():
            raise SampleError("empty_turn", f"turn {number}")
        if not value.isascii():
            _check_text(f"turn {number}", value)
        if "<" in value:
            for tag in reserved:
                if tag in value:
                    raise SampleError("reserved_tag", f"turn {number}: {tag} at character {value.index(tag)}")
            here = value.count(IMAGE)
            if here and number % 2:
                raise SampleError("image_count", f"turn {number}: {IMAGE} in an answer at {value.index(IMAGE)}")
            marks += here
    if not turns or len(turns) % 2:
        raise SampleError("turn_order", f"{len(turns)} turns: no answer at the end")
    if marks != pictures:
        raise SampleError("image_count", f"{marks} times {IMAGE}, {pictures} pictures")


def _check_text(what: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise SampleError("bad_text", f"{what}: half a surrogate pair at character {error.start}") from None


def _check_picture(picture: Attached, path: str) -> None:
    if not (len(path) <= _SURE_LENGTH and _USUAL_PATH.fullmatch(path)) and not _is_safe(path, picture.picture is None):
        raise SampleError("bad_path", repr(path[:200]))
    is_unknown = picture.picture is None and picture.width == picture.height == 0
    if (picture.width < 1 or picture.height < 1) and not is_unknown:
        raise SampleError("bad_size", f"a picture of {picture.width} x {picture.height} pixels")
    if picture.picture is not None and not picture.picture:
        raise SampleError("empty_picture", path)


def _is_safe(path: str, elsewhere: bool) -> bool:
    """Tell whether a path stays below its folder on every file system, and unless it is `elsewhere` in one of its own.

    What is written beside the trainer's own files could have the name of one.
    """
    if not path.isprintable() or set(path) & set('\\:*?"<>|') or len(path) > _PATH_BYTES:
        return False
    parts = path.split("/")
    sound = all(part not in ("", ".", "..") and len(part.encode()) <= _PART_BYTES for part in parts)
    return sound and (elsewhere or len(parts) > 1) and len(path.encode()) <= _PATH_BYTES
