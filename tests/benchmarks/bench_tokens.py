"""Tokens a second on one core: prompts written, tokenised and masked, and the bare tokenizer on the same text."""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from table import Row, publish
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer

from curate import schema
from curate.codecs import plain
from curate.grounding.templates import template
from curate.io.tokens import TokenCounter
from curate.kernels.token_count import MODELS, sample_tokens
from curate.sample import ImageRef, Sample, Turn
from curate.stages.measure import TokenModel, measured

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SHARED = Path(__file__).parents[3] / "shared" / "data"
SAMPLES, PICTURES = 3000, 200_000
LEAST = 0.8
CASES = (("vicuna_v1", "llama"), ("qwen_1_5", "qwen"), ("chatml", "qwen"), ("internvl2_5", "qwen"))


CHATML = ("<|im_start|>", "<|im_end|>", "</s>")


def dialogues() -> list[tuple[Turn, ...]]:
    """Return real dialogues where there are some, else drawn ones; each about one picture."""
    path = SHARED / "conversations/haotian-liu__LLaVA/playground/data/eval/scienceqa/llava_test_CQM-A.json"
    talk = SHARED / "conversations/lm-sys__FastChat/data/dummy_conversation.json"
    if path.exists() and talk.exists():
        rows = json.loads(path.read_text())[: SAMPLES - 500] + json.loads(talk.read_text())
        pairs = [[(turn["from"], turn["value"]) for turn in row["conversations"]] for row in rows]
    else:
        rng = np.random.default_rng(0)
        words = np.array(
            ["a", "red", "bus", "on", "the", "left", "of", "two", "people", "[[290,", "201,", "835,", "850]]"]
        )
        pairs = [
            [(role, " ".join(rng.choice(words, 60))) for _ in range(1 + number % 3) for role in ("human", "gpt")]
            for number in range(SAMPLES)
        ]
    even = [turns for turns in pairs if len(turns) % 2 == 0]
    return [
        tuple(
            Turn(role, "<image>\n" * (number == 0) + value.replace("<image>", ""))
            for number, (role, value) in enumerate(turns)
        )
        for turns in even
    ]


def tokenizer(kind: str, texts: list[str]) -> Tokenizer:
    """Return the real tokenizer, or one trained on the texts."""
    folder = SHARED / "tokenizers"
    sys.path.append(str(Path(__file__).parents[1] / "grounding"))
    import tokenizer_files

    if folder.exists() and kind == "llama":
        return tokenizer_files.llama(folder / "karpathy__llama2.c" / "tokenizer.model")
    if folder.exists():
        return tokenizer_files.qwen(folder / "x1ngzai__Qwen-VL-Chat-Int4" / "qwen.tiktoken")
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train_from_iterator(texts, BpeTrainer(vocab_size=2000, show_progress=False))
    made.add_special_tokens([AddedToken(mark, normalized=False) for mark in CHATML])
    return made


def timed(cases: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the CPU seconds of each case: interleaved rounds, medians."""
    spent: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(ROUNDS + 1):  # round 0 warms
        for name, case in cases.items():
            began = time.process_time()
            case()
            if number:
                spent[name].append(time.process_time() - began)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def text_rows() -> list[Row]:
    """Compare ours with the bare tokenizer for each template."""
    talks = dialogues()
    texts = [turn.value for turns in talks for turn in turns]
    made = {kind: tokenizer(kind, texts) for kind in ("llama", "qwen")}
    image = ImageRef("m", 0, 1, "", "", "jpeg", 640, 480, 640, 480, 1)
    samples = [
        Sample(f"{number:032x}", "bench", 0, number, "", images=(image,), conversations=turns)
        for number, turns in enumerate(talks)
    ]
    table = schema.to_table(samples)
    rows = []
    for name, kind in CASES:
        chat, bare = template(name), made[kind]
        count = TokenCounter(str(bare.to_str()).encode(), chat, kind)
        tokens = TokenModel("llava-1.5-336", name, count.digest, 1 << 20)
        pieces = []
        for turns in talks:
            written = "".join("\0" if part.is_picture else part.text for part in chat.segments(turns, 1))
            pieces += written.split("\0")
        cases: dict[str, Callable[[], object]] = {
            "ours": lambda talks=talks, chat=chat, count=count: count([chat.segments(turns, 1) for turns in talks]),
            "bare": lambda bare=bare, pieces=pieces: _bare(bare, pieces),
            "table": lambda tokens=tokens, count=count: measured(table, plain, tokens, count),
        }
        total = int(_bare(bare, pieces))
        cost = timed(cases)
        ours, peer, whole = (total / cost[case] / 1e6 for case in ("ours", "bare", "table"))
        case = f"{name}, {kind}"
        rows += [
            Row(case, "tokens a CPU second", "million", ours, peer, None, "", None),
            Row(case, "of the bare tokenizer", "", ours / peer, None, None, f">= {LEAST}", ours / peer >= LEAST),
            Row(case, "from table to table", "million", whole, peer, None, "", None),
        ]
    return rows


def _bare(bare: Tokenizer, pieces: list[str]) -> int:
    return sum(len(found) for found in bare.encode_batch(pieces, add_special_tokens=False))


def picture_rows() -> list[Row]:
    """How many pictures a second each family's arithmetic counts."""
    rng = np.random.default_rng(0)
    width, height = rng.integers(64, 4000, (2, PICTURES))
    owner = np.arange(PICTURES)
    rows = []
    for name in ("llava-1.5-336", "llava-onevision", "internvl2.5", "qwen2.5-vl"):
        cost = timed({name: lambda name=name: sample_tokens(MODELS[name], width, height, owner, PICTURES)})
        rows.append(Row(name, "pictures a CPU second", "million", PICTURES / cost[name] / 1e6, None, None, "", None))
    return rows


if __name__ == "__main__":
    os.environ["RAYON_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "false"  # read at the first batch
    publish("tokens", [*text_rows(), *picture_rows()])
