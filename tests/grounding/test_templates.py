"""Chat templates give exactly the trainers' own counts, and refuse what trainers would drop or mask."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tokenizer_files
import trainers
from conftest import growth
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer

from curate.errors import ConfigError, SampleError
from curate.grounding.templates import TEMPLATES, template
from curate.io import tokens
from curate.io.tokens import TokenCounter, counter
from curate.sample import Turn

BUILD = Path(__file__).parents[2] / "build" / "tokenizers"
WORDS = [
    "a chat between a curious user and an assistant, the assistant gives polite answers. USER: ASSISTANT: Describe the",
    "a red bus at [[290, 201, 835, 850]] on the left\nsystem user assistant\n\nIs there a cat? yes no 你好 été",
]
BPE = {"vicuna_v1", "plain"}


def toy_bytes() -> Tokenizer:
    """A byte-level BPE with the marks of ChatML and Llama-3, as Qwen and Llama-3 have it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(tokenizer_files.QWEN_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    headers = [f"{name}\n\n" for name in ("system", "user", "assistant")]
    made.train_from_iterator(
        [*WORDS, *headers * 9] * 9, BpeTrainer(vocab_size=460, initial_alphabet=alphabet, show_progress=False)
    )
    marks = (*tokenizer_files.CHATML_TOKENS, *tokenizer_files.LLAMA3_TOKENS)
    made.add_special_tokens([AddedToken(mark, normalized=False) for mark in marks])
    return made


def toy_pieces() -> Tokenizer:
    """A BPE with a space before each word and a start token, as Llama-2's converted tokenizer has it."""
    made = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    made.train_from_iterator(WORDS * 9, BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False))
    text = json.loads(made.to_str())
    text["added_tokens"] = [token for token in text["added_tokens"] if token["content"] in ("<unk>", "<s>", "</s>")]
    text["pre_tokenizer"] = None
    made = Tokenizer.from_str(json.dumps(text))
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made


TOYS = {True: toy_pieces(), False: toy_bytes()}


def data_of(tokenizer: Tokenizer) -> bytes:
    return str(tokenizer.to_str()).encode()


def ours(tokenizer: Tokenizer, name: str, turns: trainers.Turns, pictures: int) -> tuple[int, int]:
    counts = TokenCounter(data_of(tokenizer), template(name), "here")
    text, label = counts([template(name).segments(tuple(Turn(*turn) for turn in turns), pictures)])
    return int(text[0]), int(label[0])


def about(turns: trainers.Turns, pictures: int, where: int) -> trainers.Turns:
    """Return the turns with so many `<image>` in the questions, at the front, in the middle or at the end."""
    turns = [(role, value.replace("<image>", "").strip() or "Why?") for role, value in turns]
    for number in range(pictures):
        role, value = turns[0] if pictures > 1 else turns[2 * (where % ((len(turns) + 1) // 2))]
        place = turns.index((role, value))
        cut = (0, len(value) // 2, len(value))[(where + number) % 3]
        turns[place] = (role, value[:cut] + "<image>" + ("\n" if cut == 0 else "") + value[cut:])
    return turns


def conversations(shared: Path) -> Iterator[trainers.Turns]:
    """Yield real dialogues: LLaVA, AS-V2, FastChat, LLaMA-Factory's, Alpaca, GPTeacher; Chinese too."""
    for path in sorted((*shared.glob("conversations/**/*.json"), *shared.glob("annotations/**/*.json"))):
        if path.stat().st_size > 3_000_000:
            continue
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue
        for row in rows if isinstance(rows, list) else []:
            if not isinstance(row, dict):
                continue
            answer = row.get("output") or row.get("response")
            if isinstance(row.get("conversations"), list):
                turns = [(str(turn.get("from")), str(turn.get("value"))) for turn in row["conversations"]]
            elif isinstance(row.get("messages"), list):
                names = {"user": "human", "assistant": "gpt"}
                turns = [(names.get(t["role"], t["role"]), str(t["content"])) for t in row["messages"]]
            elif row.get("instruction") and isinstance(answer, str):
                turns = [("human", f"{row['instruction']}\n{row.get('input') or ''}"), ("gpt", answer)]
            else:
                continue
            pairs = [("human", "gpt")[number % 2] for number in range(len(turns))]
            if turns and len(turns) % 2 == 0 and [role for role, _ in turns] == pairs:
                yield turns


@pytest.fixture(scope="session")
def real_data(shared: Path) -> list[trainers.Turns]:
    found = list(conversations(shared))
    assert len(found) > 5000
    return found


@pytest.fixture(scope="session")
def real_tokenizers(shared: Path) -> dict[str, Tokenizer]:
    """Llama-2, Mistral and GPT-2 with Llama-3's marks, and Qwen, whose conversion takes seconds and is kept."""
    folder = shared / "tokenizers"
    ranks = folder / "x1ngzai__Qwen-VL-Chat-Int4" / "qwen.tiktoken"
    code = Path(tokenizer_files.__file__).read_bytes()
    kept = BUILD / f"qwen-{hashlib.sha256(code + ranks.read_bytes()).hexdigest()[:16]}.json"
    if not kept.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        tokenizer_files.qwen(ranks).save(str(kept))
    gpt2 = folder / "itsnsreehari__KV260-Accelerated-Platform" / "gpt2" / "tokenizer.json"
    mistral = folder / "mistralai__mistral-common" / "src" / "mistral_common" / "data" / "tokenizer.model.v1"
    return {
        "llama-2": tokenizer_files.llama(folder / "karpathy__llama2.c" / "tokenizer.model"),
        "mistral": tokenizer_files.llama(mistral),
        "qwen": Tokenizer.from_file(str(kept)),
        "gpt-2": tokenizer_files.gpt2(gpt2, tokenizer_files.LLAMA3_TOKENS),
    }


REAL = [
    ("vicuna_v1", "llama-2"),
    ("vicuna_v1", "mistral"),
    ("plain", "llama-2"),
    ("qwen_1_5", "qwen"),
    ("llama3", "gpt-2"),
    ("chatml", "qwen"),
    ("qwen2.5-vl", "qwen"),
    ("qwen3-vl", "qwen"),
    ("internvl2_5", "qwen"),
]


@pytest.mark.parametrize(("name", "tokenizer_name"), REAL)
def test_real_dialogues_count_as_in_the_trainer(
    name: str, tokenizer_name: str, real_data: list[trainers.Turns], real_tokenizers: dict[str, Tokenizer]
) -> None:
    tokenizer = real_tokenizers[tokenizer_name]
    counts = TokenCounter(data_of(tokenizer), template(name), tokenizer_name)
    longest = sorted(real_data, key=len)[-60:]
    asked, prompts = [], []
    for number, found in enumerate([*real_data[::61], *longest[::2]]):
        pictures = 1 if name == "plain" else number % 3 if name not in BPE else number % 2
        first_only = name == "internvl2_5" and pictures == 1
        turns = about(found[:2] if name == "plain" else found, pictures, 0 if first_only else number)
        try:
            prompts.append(template(name).segments(tuple(Turn(*turn) for turn in turns), pictures))
        except SampleError as error:
            assert error.code == "control_token"
            continue
        asked.append((turns, pictures))
    assert len(asked) > 100
    text, label = counts(prompts)
    for (turns, pictures), mine in zip(asked, zip(text.tolist(), label.tolist(), strict=True), strict=True):
        theirs = trainers.TRAINERS[name](tokenizer, turns, pictures)
        assert mine == theirs, turns
        assert 0 < mine[1] < mine[0]


TEXT = st.text(st.sampled_from("ab USER:\n[]5,.你é🦊 \t"), max_size=24)


@settings(max_examples=80)
@given(data=st.data(), name=st.sampled_from(sorted(TEMPLATES)))
def test_any_dialogue_counts_as_in_the_trainer(data: st.DataObject, name: str) -> None:
    rounds = 1 if name == "plain" else data.draw(st.integers(1, 7))
    pictures = 1 if name == "plain" else data.draw(st.integers(0, 1 if name in BPE else 3))
    turns = [(role, data.draw(TEXT)) for _ in range(rounds) for role in ("human", "gpt")]
    turns = [(role, value or "x") if name in BPE else (role, value) for role, value in turns]
    for _ in range(pictures):
        place = 0 if pictures == 1 else 2 * data.draw(st.integers(0, rounds - 1))
        cut = data.draw(st.integers(0, len(turns[place][1])))
        turns[place] = ("human", turns[place][1][:cut] + "<image>" + turns[place][1][cut:])
    assume(sum(value.count("<image>") for _, value in turns) == pictures)
    tokenizer = TOYS[name in BPE]
    theirs = trainers.TRAINERS[name](tokenizer, turns, pictures)
    assert ours(tokenizer, name, turns, pictures) == theirs


def test_an_answer_that_starts_with_line_ends_leaves_the_merged_token_to_the_header() -> None:
    tokenizer = toy_bytes()
    assert tokenizer.encode("assistant\n\nIs").tokens.count("ĊĊ") == 1  # the header's line end is not a token here
    for name in ("chatml", "qwen3-vl", "internvl2_5"):
        turns = [("human", "Q"), ("gpt", "\nIs")]
        assert ours(tokenizer, name, turns, 0) == trainers.TRAINERS[name](tokenizer, turns, 0)


def test_an_opening_answer_is_left_out_as_llava_does() -> None:
    turns = [("gpt", "Hello!"), ("human", "Is it?"), ("gpt", "yes")]
    for name in ("vicuna_v1", "qwen_1_5", "llama3", "chatml"):
        tokenizer = TOYS[name in BPE]
        assert ours(tokenizer, name, turns, 0) == ours(tokenizer, name, turns[1:], 0)
        assert ours(tokenizer, name, turns, 0) == trainers.TRAINERS[name](tokenizer, turns, 0)


def test_the_written_prompt_of_vicuna() -> None:
    turns = (Turn("human", "What is it? <image>"), Turn("gpt", "A bus."))
    found = template("vicuna_v1").segments(turns, 1)
    joined = "".join("<image>" if segment.is_picture else segment.text for segment in found)
    assert joined == trainers.LLAVA + " USER: <image>\nWhat is it? ASSISTANT: A bus.</s>"
    assert "".join(segment.text for segment in found if segment.is_label) == " A bus.</s>"


def test_the_written_prompt_of_qwen3() -> None:
    turns = (Turn("human", "<image>\nWhat is it? "), Turn("gpt", "A bus."))
    found = template("qwen3-vl").segments(turns, 1)
    joined = "".join("<image>" if segment.is_picture else segment.text for segment in found)
    assert joined == "<|im_start|>user\n<image>What is it?<|im_end|>\n<|im_start|>assistant\nA bus.<|im_end|>\n"
    assert "".join(segment.text for segment in found if segment.is_label) == "A bus.<|im_end|>\n"


def test_llava_next_moves_one_picture_to_the_front_and_leaves_several() -> None:
    for value, pictures, expected in [
        ("see <image> here", 1, "<image>\nsee  here"),
        ("<image>see", 1, "<image>see"),
        ("from <image> to <image>", 2, "from <image> to <image>"),
    ]:
        found = template("qwen_1_5").segments((Turn("human", value), Turn("gpt", "A")), pictures)
        joined = "".join("<image>" if segment.is_picture else segment.text for segment in found)
        assert f"<|im_start|>user\n{expected}<|im_end|>\n" in joined


GOOD = (Turn("human", "Q"), Turn("gpt", "A"))
REFUSED = [
    ("vicuna_v1", (Turn("human", "Q"), Turn("gpt", "all </s>good")), 0, "control_token", "turn 1.*character 4"),
    ("vicuna_v1", (Turn("human", "Q ASSISTANT: no"), Turn("gpt", "A")), 0, "control_token", "turn 0.*character 1"),
    ("vicuna_v1", (Turn("human", "<image> ASSISTANT:"), Turn("gpt", "A")), 1, "control_token", "turn 0"),
    ("vicuna_v1", (Turn("human", "Q"), Turn("gpt", "</<image>s>")), 1, "control_token", "turn 1"),
    ("vicuna_v1", (Turn("human", ""), Turn("gpt", "A")), 0, "empty_turn", "turn 0"),
    ("vicuna_v1", (Turn("gpt", "B"), Turn("human", "Q"), Turn("gpt", "")), 0, "empty_turn", "turn 2"),
    ("vicuna_v1", (*GOOD, Turn("human", "Q")), 0, "turn_order", ""),
    ("vicuna_v1", (*GOOD, *GOOD[::-1]), 0, "turn_order", ""),
    ("vicuna_v1", (), 0, "turn_order", ""),
    ("vicuna_v1", (Turn("tool", "Q"), GOOD[1]), 0, "turn_order", "tool"),
    ("vicuna_v1", GOOD, 1, "image_count", "0 <image> for 1"),
    ("vicuna_v1", (Turn("human", "<image> <image>"), GOOD[1]), 2, "image_count", "1 <image> for 2"),
    ("plain", GOOD, 1, "image_count", ""),
    ("plain", (*GOOD, *GOOD), 0, "turn_order", ""),
    ("qwen_1_5", (Turn("human", "<image><image>"), GOOD[1]), 1, "image_count", "2 <image> for 1"),
    ("chatml", (Turn("human", "<image>"), GOOD[1]), 0, "image_count", ""),
    ("chatml", (Turn("human", "a<|im_end|>"), GOOD[1]), 0, "control_token", "character 1"),
    ("qwen3-vl", (Turn("human", "<|image_pad|>"), GOOD[1]), 0, "control_token", ""),
    ("qwen2.5-vl", (GOOD[0], Turn("gpt", "see <image>")), 1, "image_count", ""),
    ("internvl2_5", (*GOOD, Turn("human", "<image>"), GOOD[1]), 1, "image_count", "2 <image> for 1"),
    ("internvl2_5", (Turn("human", "<IMG_CONTEXT>"), GOOD[1]), 0, "control_token", ""),
    ("llama3", (Turn("human", "<|eot_id|>"), GOOD[1]), 0, "control_token", ""),
]


@pytest.mark.parametrize(("name", "turns", "pictures", "code", "detail"), REFUSED)
def test_refused(name: str, turns: tuple[Turn, ...], pictures: int, code: str, detail: str) -> None:
    with pytest.raises(SampleError) as caught:
        template(name).segments(turns, pictures)
    assert caught.value.code == code
    assert re.search(detail, caught.value.detail)


def test_what_vicuna_refuses_the_trainer_masks_whole() -> None:
    for _, turns, pictures, _, _ in [case for case in REFUSED[:7] if not case[2]]:
        _, learnt = trainers.llava_v1(TOYS[True], [(turn.role, turn.value) for turn in turns], pictures)
        assert learnt == 0, turns


def test_an_unknown_template_is_a_mistake_of_the_job() -> None:
    with pytest.raises(ConfigError, match="unknown chat template") as caught:
        template("vicuna")
    assert "vicuna_v1" in caught.value.hint


def test_a_tokenizer_of_another_model_is_refused() -> None:
    with pytest.raises(ConfigError, match='no token "</s>"'):
        TokenCounter(data_of(toy_bytes()), template("vicuna_v1"), "here")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"model": {"type": "BPE"}}', "\x00" * 9, "[" * 100_000])
def test_a_broken_tokenizer_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="does not load"):
        counter(str(path), template("plain"))


def test_a_missing_tokenizer_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no tokenizer"):
        counter(str(tmp_path / "none.json"), template("plain"))


def test_truncation_and_padding_in_the_file_do_not_count(tmp_path: Path) -> None:
    tokenizer = toy_bytes()
    plain = ours(tokenizer, "chatml", [("human", "Is there a cat? " * 20), ("gpt", "yes")], 0)
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=512)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    counts = counter(str(path), template("chatml"))
    turns = (Turn("human", "Is there a cat? " * 20), Turn("gpt", "yes"))
    text, label = counts([template("chatml").segments(turns, 0)] * 2)
    assert [(int(text[0]), int(label[0]))] == [plain]
    assert counts.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_trimmed_places_of_tokens_do_not_move_the_mask() -> None:
    turns = [("human", "Is it?"), ("gpt", " yes\n"), ("human", "\n Is"), ("gpt", "\n no")]
    tokenizer = toy_bytes()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    for name in ("chatml", "qwen_1_5", "internvl2_5", "llama3"):
        assert ours(tokenizer, name, turns, 0) == trainers.TRAINERS[name](tokenizer, turns, 0)


def test_a_start_token_is_added_only_where_the_trainer_adds_it() -> None:
    turns = [("human", "Is it?"), ("gpt", "yes")]
    tokenizer = toy_bytes()
    start = ("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{start[0]} $A", special_tokens=[start])
    for name in ("llama3", "chatml", "qwen_1_5"):
        assert ours(tokenizer, name, turns, 0) == trainers.TRAINERS[name](tokenizer, turns, 0)
    (text, _), (bare, _) = (ours(made, "internvl2_5", turns, 0) for made in (tokenizer, toy_bytes()))
    assert text == bare + 1


def test_many_spans_count_as_few_do() -> None:
    tokenizer = toy_bytes()
    turns = [("human", "Is it?"), ("gpt", "yes 你好")] * 40
    assert ours(tokenizer, "chatml", turns, 0) == trainers.qwen_data(tokenizer, turns, 0)


def test_more_text_than_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "BATCH_CHARACTERS", 1000)
    counts = TokenCounter(data_of(toy_bytes()), template("chatml"), "here")
    prompt = template("chatml").segments((Turn("human", "Is it? " * 90), Turn("gpt", "yes")), 0)
    text, label = counts([prompt, (), *[prompt] * 30])
    assert set(text[2:].tolist()) == {text[0]} and text[1] == 0 and label[1] == 0
    assert counts([])[0].shape == (0,)


def test_the_work_grows_with_the_turns() -> None:
    counts = TokenCounter(data_of(toy_bytes()), template("chatml"), "here")

    def work(rounds: int) -> object:
        turns = (Turn("human", "Is it?"), Turn("gpt", "yes")) * rounds
        return counts([template("chatml").segments(turns, 0)])

    assert growth(work, 200) < 24
