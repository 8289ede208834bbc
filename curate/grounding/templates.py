"""Chat templates: the segments of text that a trainer makes of a dialogue, and which of them it learns from.

Each follows one trainer's code, its mask included, so that counting tokens needs no trainer: the text of all segments
in a row is what is tokenised, piece by piece between pictures; a token is learnt where its first character lies in a
segment with `is_label`. Sources: haotian-liu/LLaVA and LLaVA-VL/LLaVA-NeXT (llava/conversation.py, train/train.py),
OpenGVLab/InternVL (internvl/conversation.py, train/dataset.py), QwenLM/Qwen3-VL (qwen-vl-finetune, data_qwen.py and
data_processor.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from curate.errors import ConfigError, SampleError, nearest
from curate.grounding.dialogue import IMAGE
from curate.sample import Turn

VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the user's questions."
)
QWEN_SYSTEM = "You are a helpful assistant."
LLAMA3_SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
INTERNVL_SYSTEM = (
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
)

_CHATML = ("<|im_start|>", "<|im_end|>")
_LLAMA3 = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_ROLES = {"human": "user", "gpt": "assistant"}


class Segment(NamedTuple):
    """A piece of a prompt. A picture's segment is its place alone: it has no text, and is tokenised as nothing."""

    text: str
    is_label: bool = False
    is_picture: bool = False


PICTURE = Segment("", is_picture=True)

Write = Callable[[tuple[Turn, ...], int], Iterator[Segment]]


@dataclass(frozen=True, slots=True)
class Template:
    """How one trainer writes dialogues.

    `marks` must be single tokens of the tokenizer; no turn may hold one of them or of `separators`, for they would
    end it early. Tokens of `unmasked` are learnt wherever they stand. `starts`: the tokenizer's own start token opens
    the prompt. `version` changes with what `write` returns.
    """

    name: str
    version: int
    write: Write
    marks: tuple[str, ...] = ()
    separators: tuple[str, ...] = ()
    unmasked: tuple[str, ...] = ()
    starts: bool = False

    def segments(self, turns: tuple[Turn, ...], pictures: int) -> tuple[Segment, ...]:
        """Return the segments of a dialogue about `pictures` pictures; without any, `<image>` is text like any other.

        Raises:
            SampleError: `control_token`, a turn holds a mark or separator; `turn_order`, the trainer refuses the roles;
                `empty_turn`; `image_count`, another number of `<image>` than of pictures.
        """
        for number, turn in enumerate(turns):
            if turn.role not in _ROLES:
                raise SampleError("turn_order", f'turn {number} is by "{turn.role[:40]}"')
            self._check(number, turn.value)
        found = tuple(segment for segment in self.write(turns, pictures) if segment.text or segment.is_picture)
        places = sum(segment.is_picture for segment in found)
        if places != pictures:
            raise SampleError("image_count", f"{places} {IMAGE} for {pictures} pictures")
        return found

    def _check(self, number: int, value: str) -> None:
        """Refuse a turn with a mark or separator, also one that only appears once `<image>` or outer space is gone."""
        texts = [f" {value.strip()} "]
        if IMAGE in value:
            texts.append(f" {value.replace(IMAGE, '').strip()} ")
        for mark in (*self.marks, *self.separators):
            if any(mark in text for text in texts):
                at = max(value.find(mark), 0)
                raise SampleError("control_token", f'turn {number} has "{mark}" at character {at}')


def _question_first(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return the turns without an opening answer, as LLaVA leaves it out."""
    return turns[1:] if turns and turns[0].role == "gpt" else turns


def _in_place(text: str, is_label: bool = False) -> Iterator[Segment]:
    """Yield the text with a picture at each `<image>`."""
    for number, piece in enumerate(text.split(IMAGE)):
        if number:
            yield PICTURE
        yield Segment(piece, is_label)


def _to_front(text: str, pictures: int, only_one: bool) -> str:
    """Return the turn with one `<image>` before all else, as preprocess_multimodal does.

    With `only_one` (LLaVA-NeXT) only where there is one and it stands elsewhere; else (LLaVA-1.5) always.
    """
    if not pictures or IMAGE not in text or (only_one and (text.count(IMAGE) > 1 or text.startswith(IMAGE))):
        return text
    return f"{IMAGE}\n{text.replace(IMAGE, '').strip()}".strip()


def _written(text: str, pictures: int, is_label: bool = False) -> Iterator[Segment]:
    return _in_place(text, is_label) if pictures else iter((Segment(text, is_label),))


def _vicuna_v1(turns: tuple[Turn, ...], pictures: int) -> Iterator[Segment]:
    """LLaVA-1.5, preprocess_v1: learns each answer with its `</s>`. What would make it mask all is refused."""
    kept = _question_first(turns)
    if not kept or [turn.role for turn in kept] != [*_ROLES] * (len(kept) // 2):
        raise SampleError("turn_order", "vicuna_v1 needs question and answer in turn")
    yield Segment(f"{VICUNA_SYSTEM} ")
    for number, turn in enumerate(kept):
        value = _to_front(turn.value, pictures, only_one=False)
        if not value:
            raise SampleError("empty_turn", f"turn {number + len(turns) - len(kept)}")
        if turn.role == "human":
            yield from (Segment("USER: "), *_written(value, pictures), Segment(" ASSISTANT:"))
        else:
            yield from (Segment(" ", True), *_written(value, pictures, True), Segment("</s>", True))


def _plain(turns: tuple[Turn, ...], pictures: int) -> Iterator[Segment]:
    """LLaVA's pretraining, preprocess_plain: the picture, then the caption with its line end, which is all learnt."""
    if len(turns) != 2:
        raise SampleError("turn_order", f"plain needs 2 turns, not {len(turns)}")
    if IMAGE not in turns[0].value:
        raise SampleError("image_count", f"plain needs {IMAGE} in the first turn")
    yield PICTURE
    yield from (*_in_place(_to_front(turns[1].value, pictures, only_one=False), True), Segment("\n", True))


def _qwen_1_5(turns: tuple[Turn, ...], pictures: int) -> Iterator[Segment]:
    """LLaVA-NeXT and LLaVA-OneVision, preprocess_qwen: learns answers with their header, and marks and line ends."""
    yield Segment(f"<|im_start|>system\n{QWEN_SYSTEM}<|im_end|>\n")
    for turn in _question_first(turns):
        learnt, value = turn.role == "gpt", _to_front(turn.value, pictures, only_one=True)
        yield Segment(f"<|im_start|>{_ROLES[turn.role]}\n", learnt)
        yield from (*_written(value, pictures, learnt), Segment("<|im_end|>\n", learnt))


def _llama3(turns: tuple[Turn, ...], pictures: int) -> Iterator[Segment]:
    """LLaVA-NeXT, preprocess_llama3: learns answers with their header, and marks wherever they stand."""
    yield Segment(f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{LLAMA3_SYSTEM}<|eot_id|>")
    for turn in _question_first(turns):
        learnt, value = turn.role == "gpt", _to_front(turn.value, pictures, only_one=True).strip()
        yield Segment(f"<|start_header_id|>{_ROLES[turn.role]}<|end_header_id|>\n\n", learnt)
        yield from (*_written(value, pictures, learnt), Segment("<|eot_id|>", learnt))


def _chatml(turns: tuple[Turn, ...], pictures: int) -> Iterator[Segment]:
    """Qwen's finetuning of 2 and 2.5, data_qwen.py: learns each answer with its mark and line end."""
    yield Segment(f"<|im_start|>system\n{QWEN_SYSTEM}<|im_end|>\n")
    for turn in _question_first(turns):
        yield Segment(f"<|im_start|>{_ROLES[turn.role]}\n")
        if turn.role == "human":
            yield from (*_in_place(turn.value), Segment("<|im_end|>\n"))
        else:
            yield Segment(f"{turn.value}<|im_end|>\n", True)


def _processor(system: str) -> Write:
    """Qwen's finetuning by the model's processor, data_processor.py: each text between pictures is stripped."""

    def write(turns: tuple[Turn, ...], pictures: int) -> Iterator[Segment]:
        """Qwen's finetuning by the model's processor: texts between pictures are stripped, answers learnt whole."""
        yield Segment(system)
        for turn in turns:
            yield Segment(f"<|im_start|>{_ROLES[turn.role]}\n")
            if turn.role == "human":
                for segment in _in_place(turn.value):
                    yield segment if segment.is_picture else Segment(segment.text.strip())
                yield Segment("<|im_end|>\n")
            else:
                yield Segment(f"{turn.value}<|im_end|>\n", True)

    return write


def _internvl2_5(turns: tuple[Turn, ...], pictures: int) -> Iterator[Segment]:
    """InternVL 2.5 and 3, preprocess_internvl2_5: learns each answer with its mark, not with its line end."""
    yield Segment(f"<|im_start|>system\n{INTERNVL_SYSTEM}<|im_end|>\n")
    for number, turn in enumerate(turns):
        yield Segment(f"<|im_start|>{_ROLES[turn.role]}\n")
        if turn.role == "human":
            if pictures == 1 and number == 0 and IMAGE not in turn.value:
                yield from (PICTURE, Segment("\n"))
            yield from (*_written(turn.value, pictures), Segment("<|im_end|>\n"))
        else:
            yield from (Segment(f"{turn.value}<|im_end|>", True), Segment("\n"))


_VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_SYSTEM = f"<|im_start|>system\n{QWEN_SYSTEM}<|im_end|>\n"

TEMPLATES = {
    template.name: template
    for template in (
        Template("vicuna_v1", 1, _vicuna_v1, marks=("</s>",), separators=(" ASSISTANT: ",), starts=True),
        Template("plain", 1, _plain, starts=True),
        Template("qwen_1_5", 1, _qwen_1_5, marks=_CHATML, unmasked=(*_CHATML, "\n")),
        Template("llama3", 1, _llama3, marks=_LLAMA3, unmasked=_LLAMA3),
        Template("chatml", 1, _chatml, marks=_CHATML, separators=_VISION),
        Template("qwen2.5-vl", 1, _processor(_SYSTEM), marks=_CHATML, separators=(*_VISION, "<video>")),
        Template("qwen3-vl", 1, _processor(""), marks=_CHATML, separators=(*_VISION, "<video>")),
        Template(
            "internvl2_5", 1, _internvl2_5, marks=_CHATML, separators=("<img>", "</img>", "<IMG_CONTEXT>"), starts=True
        ),
    )
}
"""Name → template."""


def template(name: str) -> Template:
    """Return the template of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in TEMPLATES:
        raise ConfigError(f'unknown chat template "{name}"', where="tokens.template", hint=nearest(name, TEMPLATES))
    return TEMPLATES[name]
