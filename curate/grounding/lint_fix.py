"""Faults of a record that can be mended without knowing what was meant."""

import re
from typing import Any

from curate.grounding.dialogue import IMAGE
from curate.grounding.lint_rules import dialogues, picture_names, videos

_HUMAN = ("human", "user")
_INDENTED = re.compile(r"(?:[^\S\n]*+\n)*+(?:\t|  | \t)")
"""Blanks before the first words that are an indentation: of code, of a list."""
_RUN = re.compile(rf"(?:[ \t]*+{IMAGE})++")
_BACK_RUN = re.compile(rf"(?:[ \t\r]*+{IMAGE[::-1]})++[ \t]*+")  # of a line read backwards


def mend(record: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the record with what is safe mended, and the code of each fault mended; the given one is not changed.

    Safe are: white space around a turn that is no indentation; `<image>` a second time or absent where there is
    exactly one picture and no video (trainers move it to its turn's beginning, so its place says nothing), but not
    in an answer or among the words, where it may be a word. Not safe, and left: inverted corners (a flip or a typing
    error?), boxes beyond the frame or of another frame, tags, the order of turns, repeated ids.
    """
    mended: list[str] = []
    changed: dict[int, dict[str, Any]] = {}
    lists = [turns for path, turns in dialogues(record) if not path.endswith(".content")]
    turns = [turn for turn in lists[0] if _is_turn(turn)] if lists else []
    for turn in turns:
        stripped = turn["value"].strip()
        if stripped and stripped != turn["value"] and not _INDENTED.match(turn["value"]):
            changed[id(turn)] = {**turn, "value": stripped}
            mended.append("outer_space")
    if turns and turns[0] is lists[0][0] and turns[0]["from"] in _HUMAN and _has_one_picture(record):
        _one_image(turns, changed, mended)
    if not mended:
        return record, mended
    fixed = [changed.get(id(turn), turn) if isinstance(turn, dict) else turn for turn in lists[0]]
    return {**record, "conversations": fixed}, mended


def _has_one_picture(record: dict[str, Any]) -> bool:
    names = picture_names(record)
    sound = len(names) == 1 and isinstance(names[0], str) and bool(names[0].strip())
    return sound and not videos(record) and not (record.get("image") and record.get("images"))


def _one_image(turns: list[dict[str, Any]], changed: dict[int, dict[str, Any]], mended: list[str]) -> None:
    places = [turn for turn in turns if IMAGE in turn["value"]]
    if not places:
        first = turns[0]
        if first["value"].strip():
            value = changed.get(id(first), first)["value"]
            changed[id(first)] = {**first, "value": f"{IMAGE}\n{value.rstrip()}"}
            mended += ["image_missing"] if value == value.rstrip() else ["image_missing", "outer_space"]
        return
    if sum(turn["value"].count(IMAGE) for turn in places) == 1 or any(turn["from"] not in _HUMAN for turn in places):
        return
    cut: dict[int, dict[str, Any]] = {}
    for number, turn in enumerate(places):
        value = _thinned(changed.get(id(turn), turn)["value"], number == 0)
        if value is None or not value.replace(IMAGE, "").strip() or _INDENTED.match(value):
            return  # a word would be lost, nothing would be left to say, or an indentation
        cut[id(turn)] = {**turn, "value": value.strip()}
    changed.update(cut)
    mended.append("image_doubled")


def _thinned(value: str, keep: bool) -> str | None:
    """Return a text without `<image>`, but for the first where `keep` is set; None where another is among the words.

    Those behind all words go, those beside the first, and those that have their line for themselves, with the line.
    """
    lines = value.split("\n")
    worded = [number for number, line in enumerate(lines) if line.replace(IMAGE, "").strip()]
    thinned: list[str] = []
    for number, line in enumerate(lines):
        if IMAGE not in line:
            thinned.append(line)
            continue
        if line.replace(IMAGE, "").strip():
            rest = _thinned_line(line, number == worded[0], number == worded[-1], keep)
            if rest is None:
                return None
            thinned.append(rest)
        elif keep:
            thinned.append(line.partition(IMAGE)[0] + IMAGE + line.rpartition(IMAGE)[2])
        keep = False
    return "\n".join(thinned)


def _thinned_line(line: str, first: bool, last: bool, keep: bool) -> str | None:
    """Return a line with words; one after a sentence's end, or before all words where one is kept, can be no word."""
    head = _RUN.match(line) if first else None
    tail = _BACK_RUN.match(line[::-1]) if last else None
    words = line[head.end() if head else 0 : len(line) - tail.end() if tail else None]
    if IMAGE in words or (head is not None and not keep) or (tail is not None and words[-1].isalnum()):
        return None
    if head is not None:
        return IMAGE + words
    return line[: line.find(IMAGE) + len(IMAGE)] if keep else words


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("value"), str) and isinstance(turn.get("from"), str)
