"""What may be wrong with one record of LLaVA's form: its shape, its turns, its `<image>`, its tags and boxes.

A record is `{"id": ..., "image": ..., "conversations": [{"from": "human" | "gpt", "value": ...}, ...]}`
(haotian-liu/LLaVA, docs/Finetune_Custom_Data.md), or SVIT's, whose `conversations` are dialogues, each with its
turns in `content`, from `user` and `gpt` (BAAI-DCAI/Visual-Instruction-Tuning). Nothing here raises.
"""

from dataclasses import dataclass
from typing import Any

from curate.grounding.dialects import ANY, DIALECTS, Dialect
from curate.grounding.dialogue import IMAGE
from curate.grounding.lint_codec import ANY_SIGNS, Check, Decode, by_codec
from curate.grounding.lint_text import Boxes, Told, checker, plain_boxes

CODES = {
    "bad_json": "the record cannot be read; nothing of it is in --fix",
    "not_object": "the record is no JSON object",
    "no_turns": "no list of turns in `conversations`",
    "bad_turn": "a turn is no object with texts `from` and `value`",
    "odd_role": "a speaker whom trainers do not know",
    "turn_order": "human and gpt do not take turns, or gpt begins",
    "no_answer": "the last turn is a question",
    "empty_value": "a turn without words",
    "outer_space": "white space around a turn (--fix, but for indented text)",
    "image_missing": "a picture, but no <image> in the turns (--fix, where it has one picture)",
    "image_doubled": "more <image> than pictures (--fix, where it has one picture and they stand beside the words)",
    "image_few": "fewer <image> than pictures",
    "image_extra": "<image>, but no picture",
    "image_in_answer": "<image> in an answer",
    "bad_picture_name": "`image` is no text, or empty",
    "tag_unbalanced": "a tag that is never closed, or closes nothing",
    "tag_mismatch": "a tag closed by another's",
    "tag_half": "half a tag",
    "seg_count": "phrases and <seg> differ in number",
    "gd_count": "`gd_ls` does not have one entry for each <seg>",
    "box_form": "not boxes of four numbers",
    "box_range": "a box beyond the frame",
    "box_inverted": "corners the wrong way round: which was meant is not known, so never fixed",
    "box_frame": "a box that lies in the padding: it fits the picture, not the padded frame",
    "pred_unnamed": "a predicate's box that no phrase names",
    "pred_unpaired": "a predicate whose box lists do not pair up",
    "no_picture": "the picture is not under --images",
    "bad_image": "the path of the picture leaves --images",
    "id_repeated": "an id given again, to another picture or text",
    "record_repeated": "the same id, picture and turns once more",
}
"""Every code of a linter with what it means; a codec that reads the boxes adds codes of its own."""

_ROLES = {"human": 0, "user": 0, "gpt": 1}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: its code, the place in the record as a JSON path, the character of the text, what is wrong."""

    code: str
    path: str
    char: int | None
    what: str


_BETWEEN = "\n<\n"
"""Stands between turns that are looked at together: no tag reaches over it."""

Size = tuple[int, int]
Turns = tuple[str, list[Any]]
"""JSON path of a list of turns, and the list."""


class Rules:
    """The rules for one form of boxes: one of DIALECTS, or any that `decode` of a codec reads; None: no known form.

    What `decode` refuses is a fault where no finer rule told one; a text without any of `signs` is not given to it.
    """

    def __init__(self, dialect: str | None, decode: Decode | None = None, signs: str = ANY_SIGNS) -> None:
        self.form: Dialect | None = DIALECTS.get(dialect) if dialect else ANY
        self.unframed = 0
        """Boxes of the square pad that no picture's size was known for."""
        self._signs = signs
        self._padded = self.form is not None and self.form.frame == "square_pad"
        first = checker(self.form) if self.form else None
        last = self._codec = by_codec(decode, signs, dialect or "", self._padded) if decode else None
        self._check = _both(first, last, self.form.name if self.form else "") if first and last else first or last

    def faults(self, record: Any, size: Size | None = None) -> list[Fault]:
        """Return the faults of a record, in order of place; `size` is its picture's width and height in pixels."""
        if not isinstance(record, dict):
            return [Fault("not_object", "$", None, f"the record is {_kind(record)}")]
        if self._is_sound(record, size):
            return []
        found: list[Fault] = []
        names = picture_names(record)
        if any(not isinstance(name, str) or not name.strip() for name in names):
            found.append(Fault("bad_picture_name", "$.image", None, f"{names[0]!r:.80} names no picture"))
        known, tokens, all_turns = Boxes(size), 0, dialogues(record)
        for path, turns in all_turns:
            tokens += self._dialogue(path, turns, known, found)
        if not all_turns:
            other = next((key for key in ("messages", "instruction", "text") if key in record), None)
            seen = f"; `{other}` is of another form" if other else ""
            found.append(Fault("no_turns", "$.conversations", None, f"no list of turns{seen}"))
        elif all_turns[0][0] == "$.conversations":
            _images(len(names), tokens, videos(record), found)
        if self.form is not None and self.form.name == "gvc":
            _grounding_list(record, found)
        if self._padded and size is None:
            self.unframed += known.count
        return found

    def _is_sound(self, record: dict[str, Any], size: Size | None) -> bool:
        """Tell at once whether a record is sound, as most are; False says nothing."""
        turns, picture = record.get("conversations"), record.get("image")
        if type(turns) is not list or not (picture is None or (type(picture) is str and picture.strip())):
            return False
        try:
            values = [turn["value"] for turn in turns]
            text = _BETWEEN.join(values)
            if [turn["from"] for turn in turns] != ["human", "gpt"] * (len(turns) // 2) or "images" in record:
                return False
        except (TypeError, KeyError):
            return False
        images = text.count(IMAGE)
        if not all(values) or [value.strip() for value in values] != values or images != (picture is not None):
            return False
        if not values or (images and IMAGE not in values[0]) or "gd_ls" in record:
            return False
        if self.form is None:
            words = text.replace(IMAGE, "").replace(_BETWEEN, "\n")
            return self._check is None or not any(sign in words for sign in self._signs)
        boxes = plain_boxes(text, self.form, images + len(values) - 1)
        if boxes and self._padded:
            if size is None:
                self.unframed += boxes
            elif self._codec is not None and size[0] != size[1]:
                known = Boxes(size)
                return not any(self._codec(value, known) for value in values)
        return boxes is not None

    def _dialogue(self, path: str, turns: list[Any], known: Boxes, found: list[Fault]) -> int:
        """Add the faults of a dialogue; return how many `<image>` it has."""
        tokens, expected, ordered, check = 0, 0, True, self._check
        for number, turn in enumerate(turns):
            value = turn.get("value") if isinstance(turn, dict) else None
            role = turn.get("from") if isinstance(turn, dict) else None
            if not isinstance(value, str) or not isinstance(role, str):
                found.append(Fault("bad_turn", f"{path}[{number}]", None, "no object with texts `from` and `value`"))
                ordered = False
                continue
            speaker = _ROLES.get(role)
            if speaker is None:
                found.append(Fault("odd_role", f"{path}[{number}].from", None, f"{role[:40]!r} speaks"))
                ordered = False
            elif speaker != expected and ordered:
                told = "begins" if number == 0 else "speaks again"
                found.append(Fault("turn_order", f"{path}[{number}].from", None, f"{role!r} {told}"))
                ordered = False
            expected = 1 - expected
            stripped = value.strip()
            if not stripped:
                found.append(Fault("empty_value", f"{path}[{number}].value", None, "no words"))
                continue
            if len(stripped) != len(value):
                at = 0 if value[0].isspace() else len(value.rstrip())
                found.append(Fault("outer_space", f"{path}[{number}].value", at, "white space around the words"))
            if "<" in value and (count := value.count(IMAGE)):
                tokens += count
                if speaker == 1:
                    at = value.find(IMAGE)
                    found.append(Fault("image_in_answer", f"{path}[{number}].value", at, "<image> in an answer"))
            if check is not None and ("<" in value or "[" in value):
                told_all = check(value, known)
                found += [Fault(code, f"{path}[{number}].value", at, what) for code, at, what in told_all]
        if ordered and turns and expected == 1:
            found.append(Fault("no_answer", f"{path}[{len(turns) - 1}]", None, "the last turn is a question"))
        return tokens


def dialogues(record: dict[str, Any]) -> list[Turns]:
    """Return the lists of turns of a record that are not empty: one of LLaVA's form, several of SVIT's."""
    entries = record.get("conversations")
    if not isinstance(entries, list) or not entries:
        return []
    if not isinstance(entries[0], dict) or "content" not in entries[0]:
        return [("$.conversations", entries)]
    found: list[Turns] = []
    for number, entry in enumerate(entries):
        turns = entry.get("content") if isinstance(entry, dict) else None
        found.append((f"$.conversations[{number}].content", turns if isinstance(turns, list) else [entry]))
    return found


def picture_names(record: dict[str, Any]) -> list[Any]:
    """Return what a record names its pictures: one in `image`, or several in a list, there or in `images`."""
    named = record.get("image", record.get("images"))
    return [] if named is None else list(named) if isinstance(named, list) else [named]


def videos(record: dict[str, Any]) -> int:
    """Return how many videos a record names, which `<image>` stands for too in files of LLaVA-NeXT's."""
    named = [record[key] for key in ("video", "videos") if record.get(key)]
    return sum(len(each) if isinstance(each, list) else 1 for each in named)


def _images(pictures: int, tokens: int, films: int, found: list[Fault]) -> None:
    where = "$.conversations"
    if not pictures:
        if tokens and not films:
            found.append(Fault("image_extra", where, None, f"{tokens} <image>, but no picture"))
    elif not tokens:
        found.append(Fault("image_missing", where, None, f"{pictures} picture(s), but no <image>"))
    elif tokens > pictures + films:
        found.append(Fault("image_doubled", where, None, f"{tokens} <image> for {pictures + films} picture(s)"))
    elif tokens < pictures:
        found.append(Fault("image_few", where, None, f"{tokens} <image> for {pictures} pictures"))


def _grounding_list(record: dict[str, Any], found: list[Fault]) -> None:
    grounded = record.get("gd_ls")
    if not isinstance(grounded, list):
        return
    texts = [turn.get("value") for _, turns in dialogues(record) for turn in turns if isinstance(turn, dict)]
    segments = sum(text.count("<seg>") for text in texts if isinstance(text, str))
    if segments != len(grounded):
        found.append(Fault("gd_count", "$.gd_ls", None, f"{len(grounded)} entries for {segments} <seg>"))


_TAGS = frozenset({"tag_unbalanced", "tag_mismatch", "tag_half"})
_PASSED = {"pink": _TAGS, "shikra": _TAGS}
"""Faults that a form's codec takes for words."""


def _both(first: Check, last: Check, form: str) -> Check:
    """Return a check by finer rules, then by the codec where nothing that it refuses was told."""
    passed = _PASSED.get(form, frozenset()) | {"pred_unnamed"}

    def check(text: str, known: Boxes) -> list[Told]:
        known.sure = False
        told = first(text, known)
        if (known.sure and known.size is None) or any(code not in passed for code, _, _ in told):
            return told
        return [*told, *last(text, known)]

    return check


def _kind(value: Any) -> str:
    kinds = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
