"""Dialogues: the turns that a trainer sees of a sample, and the text that a chat template makes of them."""

from collections.abc import Callable, Mapping

from curate.grounding.resolve import Policy, writing
from curate.sample import Grounded, Region, Relation, Sample, Turn

CAPTION = "Provide a one-sentence caption for the provided image."
"""LLaVA-1.5's own prompt for captions (haotian-liu/LLaVA, TextCaps)."""

GROUNDED = "Describe the image briefly, and give the bounding box of each object that you mention."
"""Ours: no prompt is published for grounded web captions."""

IMAGE = "<image>"

_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the user's questions."
)
"""System prompt of vicuna_v1 (lm-sys/FastChat, haotian-liu/LLaVA llava/conversation.py)."""

Write = Callable[[Grounded, int, int], str]


def turns_of(sample: Sample, write: Write, policy: Policy | None = None) -> tuple[Turn, ...]:
    """Return the turns of a sample, each grounded by `write` (a codec's encode); none where there are no words.

    Of phrases that nest or overlap `policy` says which are written; without one the codec chooses. A caption
    becomes the answer to a question; `<image>` opens the first human turn of a sample with a picture.
    """
    write = writing(write, policy)
    width, height = (sample.images[0].width, sample.images[0].height) if sample.images else (1, 1)
    if sample.conversations:
        grounded = _grounded(sample, {number: turn.value for number, turn in enumerate(sample.conversations)})
        written = [
            Turn(turn.role, write(each, width, height))
            for turn, each in zip(sample.conversations, grounded, strict=True)
        ]
    elif sample.text and sample.text.strip():
        (caption,) = _grounded(sample, {None: sample.text})
        question = GROUNDED if caption.regions else CAPTION
        written = [Turn("human", question), Turn("gpt", write(caption, width, height))]
    else:
        return ()
    return tuple(_with_image(written) if sample.images else written)


def _grounded(sample: Sample, texts: Mapping[int | None, str]) -> list[Grounded]:
    """Return the text of each turn, None for a caption's, with its own regions.

    Relations, which index all boxes, go along only with all regions.
    """
    regions: dict[int | None, list[Region]] = {turn: [] for turn in texts}
    relations: dict[int | None, list[Relation]] = {turn: [] for turn in texts}
    for region in sample.regions:
        if region.start is not None and region.turn in regions:
            regions[region.turn].append(region)
    for relation in sample.relations:
        if relation.turn in relations:
            relations[relation.turn].append(relation)
    whole = len(sample.regions)
    return [
        Grounded(text, tuple(regions[turn]), tuple(relations[turn]) if len(regions[turn]) == whole else ())
        for turn, text in texts.items()
    ]


def _with_image(turns: list[Turn]) -> list[Turn]:
    if any(IMAGE in turn.value for turn in turns) or turns[0].role != "human":
        return turns
    return [Turn("human", f"{IMAGE}\n{turns[0].value}"), *turns[1:]]


def vicuna_v1(turns: tuple[Turn, ...]) -> str:
    """Return the text that vicuna_v1 makes of the turns, without the picture's place holder."""
    parts = [_VICUNA]
    for turn in turns:
        value = turn.value.replace(IMAGE, "").strip()
        parts.append(f" USER: {value}" if turn.role == "human" else f" ASSISTANT: {value}</s>")
    return "".join(parts)
