"""Several dialogues about one picture as one conversation: one `<image>`, then the turns of all of them.

LLaVA-1.5 trains so on VQA, RefCOCO and Visual Genome (Liu et al., arXiv 2310.03744, data of the second stage).
"""

from collections.abc import Sequence
from dataclasses import replace

from curate.errors import SampleError
from curate.grounding import trainable
from curate.grounding.dialogue import IMAGE
from curate.sample import Grounded, Record, Turn

_OPENING = f"{IMAGE}\n"
_INTERNVL = ("<IMG_CONTEXT>", "<img>", "</img>")
_MS_SWIFT = ("<ref-object>", "<bbox>", "<cot-process>", "<start-image>")
_RESERVED = ("</s>", *trainable.MEDIA, *trainable.CHATML, *_INTERNVL, *_MS_SWIFT)
"""What some trainer refuses in a text: it would refuse a whole conversation for it."""


def pairs(turns: Sequence[Turn]) -> int | None:
    """Return the pairs of question and answer in a dialogue about one picture, None where it must stay by itself.

    It can be joined with others where every trainer takes it, and the question with `<image>` says something besides.
    """
    try:
        trainable.check(turns, 1, _RESERVED)
    except SampleError:
        return None
    if any(turn.value.strip() == IMAGE for turn in turns):
        return None
    return len(turns) // 2


def joined(dialogues: Sequence[Sequence[Turn]]) -> tuple[Turn, ...]:
    """Return one conversation of dialogues for which `pairs` is not None, in order; `<image>` opens it, once."""
    turns = [replace(turn, value=_without(turn.value)) for dialogue in dialogues for turn in dialogue]
    return (replace(turns[0], value=_OPENING + turns[0].value), *turns[1:])


def merged(records: Sequence[Record], sample_id: str) -> Record:
    """Return one record of records about one picture, in order: the first's picture, the turns of all."""
    said = [_bare(each) for record in records for each in record.said]
    if said:
        said[0] = replaced(said[0], 0, 0, _OPENING)
    turns = joined([record.turns for record in records])
    return replace(records[0], sample_id=sample_id, turns=turns, said=tuple(said) if len(said) == len(turns) else ())


def _cut(text: str) -> tuple[int, int, str]:
    """Return what goes with `<image>`, (start, end), the blanks around it too, and the one blank that stays for them.

    Without a blank the words on both sides would be one, or even another `<image>`.
    """
    at = text.find(IMAGE)
    if at < 0:
        return 0, 0, ""
    start, end = len(text[:at].rstrip()), len(text) - len(text[at + len(IMAGE) :].lstrip())
    inside = start > 0 and end < len(text)
    return start, end, ("\n" if "\n" in text[start:end] else " ") if inside else ""


def _without(text: str) -> str:
    start, end, by = _cut(text)
    return text[:start] + by + text[end:]


def _bare(grounded: Grounded) -> Grounded:
    return replaced(grounded, *_cut(grounded.text)) if IMAGE in grounded.text else grounded


def replaced(grounded: Grounded, start: int, end: int, by: str) -> Grounded:
    """Return a text with `by` in place of its characters from `start` to `end`, and its spans where they went."""

    def moved(place: int | None) -> int | None:
        if place is None or place < start:
            return place
        return max(place, end) - end + start + len(by)

    regions = tuple(replace(each, start=moved(each.start), end=moved(each.end)) for each in grounded.regions)
    relations = tuple(replace(each, start=moved(each.start), end=moved(each.end)) for each in grounded.relations)
    return Grounded(grounded.text[:start] + by + grounded.text[end:], regions, relations)
