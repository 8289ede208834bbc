"""Tokenizers in the form of tokenizer.json, made from the files that their owners publish, for tests and benchmarks."""

import base64
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_TOKENS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
        if byte < 128:
            return value, place


def _fields(data: bytes) -> list[tuple[int, Any]]:
    """Return the (number, value) pairs of a protobuf message."""
    found: list[tuple[int, Any]] = []
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        if key & 7 == 0:
            value, place = _varint(data, place)
            found.append((key >> 3, value))
            continue
        size = {1: 8, 5: 4}.get(key & 7)
        if size is None:
            size, place = _varint(data, place)
        found.append((key >> 3, data[place : place + size]))
        place += size
    return found


def llama(model: Path) -> Tokenizer:
    """Return a sentencepiece BPE model (Llama-2, Mistral) as transformers' converter writes it, "legacy" spaces too."""
    pieces: list[dict[int, Any]] = [
        dict(_fields(value)) for number, value in _fields(model.read_bytes()) if number == 1
    ]
    words = [piece[1].decode() for piece in pieces]
    scores = [struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0 for piece in pieces]
    ids = {word: number for number, word in enumerate(words)}
    merges = []
    for word, score in zip(words, scores, strict=True):
        halves = [(word[:cut], word[cut:]) for cut in range(1, len(word)) if word[:cut] in ids and word[cut:] in ids]
        merges += [(score, *half) for half in sorted(halves, key=lambda half: (ids[half[0]], ids[half[1]]))]
    merges.sort(key=lambda merge: -merge[0])
    made = Tokenizer(
        models.BPE(
            ids, [(left, right) for _, left, right in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    )
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    made.add_special_tokens([AddedToken(word, normalized=False) for word in ("<unk>", "<s>", "</s>")])
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", ids["<s>"])]
    )
    return made


def _letters() -> dict[int, str]:
    """Return the visible character of each byte in a byte-level vocabulary (GPT-2)."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in kept]
    return {byte: chr(byte) for byte in kept} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}


def _parts(word: bytes, ranks: dict[bytes, int], below: int) -> list[bytes]:
    parts = [word[place : place + 1] for place in range(len(word))]
    while len(parts) > 2:
        joins = [(ranks.get(a + b, below), place) for place, (a, b) in enumerate(pairwise(parts))]
        rank, place = min(joins)
        if rank >= below:
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def qwen(ranks_file: Path) -> Tokenizer:
    """Return a tiktoken vocabulary (Qwen) as a byte-level BPE that splits as Qwen does, with the tokens of ChatML."""
    lines = [line.split() for line in ranks_file.read_bytes().splitlines() if line]
    ranks = {base64.b64decode(word): int(rank) for word, rank in lines}
    letter = _letters()
    ids = {"".join(letter[byte] for byte in word): rank for word, rank in ranks.items()}
    merges = []
    for word, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(word) > 1:
            left, right = _parts(word, ranks, rank)
            merges.append(("".join(letter[b] for b in left), "".join(letter[b] for b in right)))
    made = Tokenizer(models.BPE(ids, merges))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    special = ("<|endoftext|>", *CHATML_TOKENS)
    made.add_special_tokens([AddedToken(word, normalized=False) for word in special])
    return made


def gpt2(file: Path, special: tuple[str, ...]) -> Tokenizer:
    """Return GPT-2's own tokenizer.json with further special tokens, as Llama-3 has them."""
    made = Tokenizer.from_file(str(file))
    made.no_truncation()  # the file cuts at 50 tokens; transformers switches that off at each call
    made.add_special_tokens([AddedToken(word, normalized=False) for word in special])
    return made
