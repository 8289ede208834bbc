"""How each trainer counts: token ids and the mask of what it learns, written down from its code, for comparison.

Nothing here knows of `templates`: prompts are built, tokenised and masked as the trainer does it, quirks included.
`ask(tokenizer, turns, pictures)` returns (tokens of text, tokens learnt); a picture's place counts as neither.
"""

from collections.abc import Callable

from tokenizers import Tokenizer

Turns = list[tuple[str, str]]
Counted = tuple[int, int]

PLACE = -200
LLAVA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions."
)
QWEN = "You are a helpful assistant."
LLAMA3 = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
INTERNVL = "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"


def called(tokenizer: Tokenizer, text: str) -> list[int]:
    """tokenizer(text).input_ids of transformers."""
    return list(tokenizer.encode(text).ids)


def bare(tokenizer: Tokenizer, text: str) -> list[int]:
    """What apply_chat_template gives: the template's own text, no token added."""
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def around_pictures(tokenizer: Tokenizer, prompt: str, bos: int | None) -> list[int]:
    """LLaVA's tokenizer_image_token."""
    chunks = [called(tokenizer, chunk) for chunk in prompt.split("<image>")]
    offset = int(bool(chunks[0]) and chunks[0][0] == bos)
    ids = chunks[0][:offset]
    for number, chunk in enumerate(chunks):
        ids += ([PLACE] if number else []) + chunk[offset:]
    return ids


def _moved(value: str, pictures: int, next_rule: bool) -> str:
    """preprocess_multimodal."""
    if not pictures or "<image>" not in value:
        return value
    if next_rule and (value.count("<image>") != 1 or value.startswith("<image>")):
        return value
    return ("<image>" + "\n" + value.replace("<image>", "").strip()).strip()


def _counted(ids: list[int], learnt: list[bool]) -> Counted:
    assert len(ids) == len(learnt)
    text = [take for token, take in zip(ids, learnt, strict=True) if token != PLACE]
    return len(text), sum(text)


def llava_v1(tokenizer: Tokenizer, turns: Turns, pictures: int) -> Counted:
    """LLaVA-1.5: the prompt of vicuna_v1, and preprocess_v1's mask by rounds; a mismatch masks everything."""
    turns = turns[1:] if turns[0][0] != "human" else turns
    prompt = LLAVA + " "
    for number, (role, value) in enumerate(turns):
        assert role == ("human", "gpt")[number % 2]
        name, end = ("USER", " ") if role == "human" else ("ASSISTANT", "</s>")
        value = _moved(value, pictures, next_rule=False)
        prompt += f"{name}: {value}{end}" if value else f"{name}:"
    bos = tokenizer.token_to_id("<s>")

    def ids_of(text: str) -> list[int]:
        return around_pictures(tokenizer, text, bos) if pictures else called(tokenizer, text)

    ids = ids_of(prompt)
    learnt = [True] * len(ids)
    reached = 1
    learnt[0] = False
    for part in prompt.split("</s>"):
        if part == "":
            break
        halves = part.split(" ASSISTANT: ")
        if len(halves) != 2:
            break
        asked = len(ids_of(halves[0] + " ASSISTANT: ")) - 2
        for place in range(reached, min(reached + asked, len(ids))):
            learnt[place] = False
        reached += len(ids_of(part))
    learnt[reached:] = [False] * (len(ids) - min(reached, len(ids)))
    if reached != len(ids):
        learnt = [False] * len(ids)
    return _counted(ids, learnt)


def llava_plain(tokenizer: Tokenizer, turns: Turns, pictures: int) -> Counted:
    """LLaVA's pretraining."""
    assert len(turns) == 2 and "<image>" in turns[0][1]
    bos = tokenizer.token_to_id("<s>")
    ids = around_pictures(tokenizer, "<image>" + _moved(turns[1][1], pictures, next_rule=False) + "\n", bos)
    masked = len(around_pictures(tokenizer, "<image>", bos))
    return _counted(ids, [place >= masked for place in range(len(ids))])


def _by_message(
    tokenizer: Tokenizer, system: str, messages: list[tuple[str, str]], head: str, tail: str, unmask: set[int]
) -> Counted:
    """The loop of preprocess_qwen and preprocess_llama3: one message at a time, `<image>` a special token."""
    ids = bare(tokenizer, system)
    learnt = [False] * len(ids)
    for role, value in messages:
        name = {"human": "user", "gpt": "assistant"}[role]
        encoded: list[int] = []
        for number, chunk in enumerate(f"{head.format(name)}{value}{tail}".split("<image>")):
            encoded += ([PLACE] if number else []) + bare(tokenizer, chunk)
        ids += encoded
        learnt += [role == "gpt"] * len(encoded)
    return _counted(ids, [take or token in unmask for token, take in zip(ids, learnt, strict=True)])


def next_qwen(tokenizer: Tokenizer, turns: Turns, pictures: int) -> Counted:
    """LLaVA-NeXT, preprocess_qwen; without a picture `<image>` is plain text there, which the tests do not send."""
    turns = turns[1:] if turns[0][0] != "human" else turns
    unmask = {bare(tokenizer, text)[0] for text in ("\n", "<|im_start|>", "<|im_end|>")}
    messages = [(role, _moved(value, pictures, next_rule=True)) for role, value in turns]
    system = f"<|im_start|>system\n{QWEN}<|im_end|>\n"
    return _by_message(tokenizer, system, messages, "<|im_start|>{}\n", "<|im_end|>\n", unmask)


def next_llama3(tokenizer: Tokenizer, turns: Turns, pictures: int) -> Counted:
    """LLaVA-NeXT, preprocess_llama3; its "\\n\\n" is no key of a byte-level vocabulary and unmasks nothing."""
    turns = turns[1:] if turns[0][0] != "human" else turns
    names = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    unmask = {tokenizer.token_to_id(name) for name in names}
    messages = [(role, _moved(value, pictures, next_rule=True).strip()) for role, value in turns]
    head = "<|start_header_id|>{}<|end_header_id|>\n\n"
    system = "<|begin_of_text|>" + head.format("system") + LLAMA3 + "<|eot_id|>"
    return _by_message(tokenizer, system, messages, head, "<|eot_id|>", unmask)


def qwen_data(tokenizer: Tokenizer, turns: Turns, pictures: int) -> Counted:
    """Qwen's finetuning of 2 and 2.5 (data_qwen.py): three tokens of an answer are its header."""
    turns = turns[1:] if turns[0][0] != "human" else turns
    ids = bare(tokenizer, f"<|im_start|>system\n{QWEN}<|im_end|>\n")
    learnt = [False] * len(ids)
    for role, value in turns:
        name = {"human": "user", "gpt": "assistant"}[role]
        text = f"<|im_start|>{name}\n{value}<|im_end|>\n"
        encoded: list[int] = []
        for number, chunk in enumerate(text.split("<image>") if role == "human" else [text]):
            encoded += ([PLACE] if number else []) + bare(tokenizer, chunk)
        ids += encoded
        learnt += [False] * len(encoded) if role == "human" else [False] * 3 + [True] * (len(encoded) - 3)
    return _counted(ids, learnt)


def _qwen_processor(system: str) -> Callable[[Tokenizer, Turns, int], Counted]:
    def ask(tokenizer: Tokenizer, turns: Turns, pictures: int) -> Counted:
        chunks = [system]
        for role, value in turns:
            chunks[-1] += f"<|im_start|>{'user' if role == 'human' else 'assistant'}\n"
            if role == "human":
                for number, part in enumerate(value.split("<image>")):
                    if number:
                        chunks.append("")
                    chunks[-1] += part.strip()
            else:
                chunks[-1] += value
            chunks[-1] += "<|im_end|>\n"
        ids: list[int] = []
        for number, chunk in enumerate(chunks):
            ids += ([PLACE] if number else []) + bare(tokenizer, chunk)
        start, end = (tokenizer.token_to_id(mark) for mark in ("<|im_start|>", "<|im_end|>"))
        (assistant,) = bare(tokenizer, "assistant")
        learnt = [False] * len(ids)
        for place in range(1, len(ids)):
            if ids[place] == assistant and ids[place - 1] == start:
                first = place + 2
                last = ids.index(end, first)
                learnt[first : last + 2] = [True] * (last + 2 - first)
        return _counted(ids, learnt)

    return ask


def internvl(tokenizer: Tokenizer, turns: Turns, pictures: int) -> Counted:
    """InternVL 2.5, preprocess_internvl2_5."""
    if pictures == 1 and "<image>" not in turns[0][1]:
        turns = [(turns[0][0], "<image>\n" + turns[0][1]), *turns[1:]]
    ignored = len(called(tokenizer, "<|im_start|>assistant\n"))
    ids = called(tokenizer, f"<|im_start|>system\n{INTERNVL}<|im_end|>\n")
    learnt = [False] * len(ids)
    for role, value in turns:
        text = f"<|im_start|>{'user' if role == 'human' else 'assistant'}\n{value}<|im_end|>\n"
        encoded: list[int] = []
        for number, chunk in enumerate(text.split("<image>") if role == "human" and pictures else [text]):
            encoded += ([PLACE] if number else []) + called(tokenizer, chunk)
        ids += encoded
        if role == "human":
            learnt += [False] * len(encoded)
        else:
            learnt += [False] * ignored + [True] * (len(encoded) - ignored - 1) + [False]
    return _counted(ids, learnt)


TRAINERS: dict[str, Callable[[Tokenizer, Turns, int], Counted]] = {
    "vicuna_v1": llava_v1,
    "plain": llava_plain,
    "qwen_1_5": next_qwen,
    "llama3": next_llama3,
    "chatml": qwen_data,
    "qwen2.5-vl": _qwen_processor(f"<|im_start|>system\n{QWEN}<|im_end|>\n"),
    "qwen3-vl": _qwen_processor(""),
    "internvl2_5": internvl,
}
