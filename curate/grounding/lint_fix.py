"""Faults of a record that can be mended without knowing what was meant."""

from typing import Any

from curate.grounding.dialogue import IMAGE
from curate.grounding.lint_rules import dialogues, picture_names

_HUMAN = ("human", "user")


def mend(record: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the record with what is safe mended, and the code of each fault mended; the given one is not changed.

    Safe are: white space around a turn, `<image>` a second time or absent where there is exactly one picture
    (trainers move it to its turn's beginning, so its place says nothing). Not safe, and left: inverted corners (a
    flip or a typing error?), boxes beyond the frame or of another frame, tags, the order of turns, repeated ids.
    """
    mended: list[str] = []
    changed: dict[int, dict[str, Any]] = {}
    lists = [turns for path, turns in dialogues(record) if not path.endswith(".content")]
    turns = [turn for turn in lists[0] if _is_turn(turn)] if lists else []
    for turn in turns:
        stripped = turn["value"].strip()
        if stripped and stripped != turn["value"]:
            changed[id(turn)] = {**turn, "value": stripped}
            mended.append("outer_space")
    if turns and len(picture_names(record)) == 1:
        _one_image(turns, changed, mended)
    if not mended:
        return record, mended
    fixed = [changed.get(id(turn), turn) if isinstance(turn, dict) else turn for turn in lists[0]]
    return {**record, "conversations": fixed}, mended


def _one_image(turns: list[dict[str, Any]], changed: dict[int, dict[str, Any]], mended: list[str]) -> None:
    places = [turn for turn in turns if IMAGE in turn["value"]]
    if not places:
        first = turns[0]
        if first["from"] in _HUMAN and first["value"].strip():
            value = changed.get(id(first), first)["value"]
            changed[id(first)] = {**first, "value": f"{IMAGE}\n{value}"}
            mended.append("image_missing")
        return
    if sum(turn["value"].count(IMAGE) for turn in places) == 1 or places[0]["from"] not in _HUMAN:
        return
    cut: dict[int, dict[str, Any]] = {}
    for number, turn in enumerate(places):
        value = changed.get(id(turn), turn)["value"]
        head, mark, tail = value.partition(IMAGE) if number == 0 else ("", "", value)
        rest = tail.replace(f"\n{IMAGE}", "").replace(f"{IMAGE}\n", "").replace(IMAGE, "")
        if not (head + rest).strip():
            return  # nothing would be left to say
        cut[id(turn)] = {**turn, "value": (head + mark + rest).strip()}
    changed.update(cut)
    mended.append("image_doubled")


def _is_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and isinstance(turn.get("value"), str) and isinstance(turn.get("from"), str)
