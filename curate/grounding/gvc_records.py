"""The published files of LLaVA-Grounding's grounded visual chat: which records are valid, and what they say.

A record of grounded_visual_chat_data.json has `id` (the picture's, twelve digits), `conversations` and `gd_ls`; its ids
are those of COCO annotations in another file. The rules are those of UX-Decoder/LLaVA-Grounding
scripts/data_process/{utils,combine_detail_data,combine_conversation_data,make_coco_instruct_data}.py, first commit.
"""

import json
import re
from collections.abc import Mapping, Sequence

from curate.errors import SampleError

_TAGS = ("g_s", "g_e", "seg")
# As published "<g_s> <seg>"; nothing but blanks between the three is as empty.
_EMPTY = re.compile(r"<g_s>\s*+(?:<g_e>\s*+)?+<seg>")


def reasons(record: Mapping[str, object], annotations: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """Return why a record of grounded_visual_chat_data.json is not valid; nothing where it is.

    `annotations` are COCO's (`id`, `bbox`, `image_id`), of this picture or of more. The rules are those that the
    published data was filtered by: `no_gd_ls` (missing, null or empty), `all_null`, `not_asked` (no question holds
    "with grounding"), `please_provide` (an answer holds "Please provide"), `count_g_s` `count_g_e` `count_seg`
    (in all answers together, another number than gd_ls has entries), `empty_phrase`, `foreign_id` (an id of another
    picture, or of none). `bad_record`: not a record at all; `q_gd_ls`: questions are grounded, not answers.
    """
    turns, named = _turns(record), record.get("gd_ls") or []
    if turns is None or not isinstance(named, list):
        return ("bad_record",)
    if record.get("q_gd_ls") is not None:
        return ("q_gd_ls",)
    known = _of_picture(record, annotations)
    answers = [value for role, value in turns if role == "gpt"]
    questions = [value for role, value in turns if role == "human"]
    rules = {
        "no_gd_ls": not named,
        "all_null": bool(named) and all(entry is None for entry in named),
        "not_asked": not any("with grounding" in question for question in questions),
        "please_provide": any("Please provide" in answer for answer in answers),
        **{f"count_{tag}": sum(answer.count(f"<{tag}>") for answer in answers) != len(named) for tag in _TAGS},
        "empty_phrase": any(_EMPTY.search(answer) for answer in answers),
        "foreign_id": not all(entry is None or _known(entry, known) for entry in named),
    }
    return tuple(reason for reason, broken in rules.items() if broken)


def _known(entry: object, known: Mapping[int, object]) -> bool:
    return isinstance(entry, list) and all(isinstance(number, int) and number in known for number in entry)


def _turns(record: Mapping[str, object]) -> list[tuple[object, str]] | None:
    """Return role and words of each turn; None where they are not turns."""
    turns = record.get("conversations")
    found = []
    for turn in turns if isinstance(turns, list) else [None]:
        if not isinstance(turn, dict) or not isinstance(turn.get("value"), str):
            return None
        found.append((turn.get("from"), turn["value"]))
    return found


def from_record(record: Mapping[str, object], annotations: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """Return for each answer of a valid record the JSON text that `codecs.gvc` reads, in order.

    Each answer takes as many entries of `gd_ls` as it has `<seg>`, and the annotations that they name. Raises
    SampleError `bad_gvc` with the `reasons` where there are any.
    """
    broken = reasons(record, annotations)
    if broken:
        raise SampleError("bad_gvc", f"not a valid record: {', '.join(broken)}")
    named = record["gd_ls"]
    boxes, rest, texts = _of_picture(record, annotations), iter(named if isinstance(named, list) else []), []
    for value in [value for role, value in _turns(record) or [] if role == "gpt"]:
        own = [next(rest) for _ in range(value.count("<seg>"))]
        ids = dict.fromkeys(number for entry in own if entry for number in entry)
        listed = [{"id": number, "bbox": boxes[number]} for number in ids]
        texts.append(json.dumps({"value": value, "gd_ls": own, "annotations": listed}, ensure_ascii=False))
    return tuple(texts)


def _of_picture(record: Mapping[str, object], annotations: Sequence[Mapping[str, object]]) -> dict[int, object]:
    """Return id → bbox of the annotations that name no picture, or the record's, whose `id` is a padded number."""
    name = str(record.get("id"))
    own = int(name) if name.isascii() and name.isdecimal() and len(name) < 20 else None
    found = {}
    for annotation in annotations:
        number = annotation.get("id")
        if isinstance(number, int) and annotation.get("image_id", own) == own:
            found[number] = annotation.get("bbox")
    return found
