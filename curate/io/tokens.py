"""The door to tokenizers for prompts: how many tokens a prompt has, and how many of them a trainer learns."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from curate.errors import ConfigError
from curate.grounding.templates import Segment, Template

Whole = npt.NDArray[np.int64]
Span = tuple[int, int]

BATCH_CHARACTERS = 1 << 20
"""Characters that are tokenised at a time: an encoding holds some 150 bytes for each of its tokens."""
FEW_SPANS = 4
"""Up to so many places are looked up one by one, each in time linear in the tokens; more of them in one pass."""


class TokenCounter:
    """Counts under one tokenizer and one template; `digest` is the sha256 of the tokenizer's file."""

    def __init__(self, data: bytes, template: Template, where: str) -> None:
        try:
            self._tokenizer = Tokenizer.from_buffer(data)
        except Exception as error:  # the library raises bare Exception
            raise ConfigError(f"the tokenizer at {where} does not load: {error}", where="tokens.tokenizer") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._starts = self._tokenizer.num_special_tokens_to_add(False) if template.starts else 0
        self.digest = hashlib.sha256(data).hexdigest()
        for mark in template.marks:
            if len(self._ids(mark)) != 1:
                raise ConfigError(
                    f'the tokenizer at {where} has no token "{mark}", which the template {template.name} needs',
                    where="tokens.template",
                    hint="the tokenizer and the template of the same model",
                )
        self._unmasked = [self._ids(mark)[0] for mark in template.unmasked if len(self._ids(mark)) == 1]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def __call__(self, prompts: Sequence[Sequence[Segment]]) -> tuple[Whole, Whole]:
        """Return the tokens of text and those of them that are learnt, (N,) each; places of pictures count as none.

        The text between two pictures is tokenised as one piece, as LLaVA's tokenizer_image_token does.
        """
        text, label = np.zeros(len(prompts), np.int64), np.zeros(len(prompts), np.int64)
        text += self._starts * np.array([len(prompt) > 0 for prompt in prompts], np.int64)
        for batch in _batches(prompts):
            pieces = list(dict.fromkeys(piece for _, piece, _ in batch))  # each once: prompts open alike
            encodings = self._tokenizer.encode_batch(pieces, add_special_tokens=False)
            found = dict(zip(pieces, encodings, strict=True))
            for number, piece, spans in batch:
                text[number] += len(found[piece])
                label[number] += self._learnt(found[piece], len(piece), spans)
        return text, label

    def _learnt(self, encoding: Encoding, length: int, spans: list[Span]) -> int:
        edges = _edges(encoding, length, spans)
        learnt = sum(end - start for start, end in edges)
        if self._unmasked:
            ids = encoding.ids
            learnt += sum(ids.count(token) for token in self._unmasked)
            learnt -= sum(ids[start:end].count(token) for token in self._unmasked for start, end in edges)
        return learnt


def counter(path: str, template: Template) -> TokenCounter:
    """Return the counter of a Hugging Face `tokenizer.json`; its truncation and padding are switched off.

    Raises:
        ConfigError: there is no such file, it does not load, or it lacks a token that the template needs.
    """
    if not Path(path).is_file():
        raise ConfigError(f"no tokenizer at {path}", where="tokens.tokenizer", hint='"clip", or a tokenizer.json')
    return TokenCounter(Path(path).read_bytes(), template, path)


def _batches(prompts: Sequence[Sequence[Segment]]) -> Iterator[list[tuple[int, str, list[Span]]]]:
    """Yield (number of the prompt, text, spans to learn) of the pieces between pictures, some at a time."""
    batch: list[tuple[int, str, list[Span]]] = []
    held = 0
    for number, prompt in enumerate(prompts):
        for piece, spans in _pieces(prompt):
            batch.append((number, piece, spans))
            held += len(piece)
        if held >= BATCH_CHARACTERS:
            yield batch
            batch, held = [], 0
    yield batch


def _pieces(prompt: Sequence[Segment]) -> Iterator[tuple[str, list[Span]]]:
    """Yield the text between pictures with the character spans in it that are learnt, neighbours as one."""
    parts: list[str] = []
    spans: list[Span] = []
    length = 0
    for segment in prompt:
        if segment.is_picture:
            yield "".join(parts), spans
            parts, spans, length = [], [], 0
            continue
        end = length + len(segment.text)
        if segment.is_label and spans and spans[-1][1] == length:
            spans[-1] = (spans[-1][0], end)
        elif segment.is_label:
            spans.append((length, end))
        parts.append(segment.text)
        length = end
    yield "".join(parts), spans


def _edges(encoding: Encoding, length: int, spans: list[Span]) -> list[Span]:
    """Return the tokens (first, one past the last) whose first characters lie in each span of characters."""
    places = [place for span in spans for place in span]
    few = len(spans) <= FEW_SPANS
    found = [_token(encoding, place, length) for place in places] if few else []
    if not few or None in found:  # many spans, or a character that the tokenizer drops
        starts = np.array([start for start, _ in encoding.offsets], np.int64)
        found = [0 if place == 0 else int(np.searchsorted(starts, place)) for place in places]
    whole = [place for place in found if place is not None]
    return list(zip(whole[::2], whole[1::2], strict=True))


def _token(encoding: Encoding, place: int, length: int) -> int | None:
    """Return the first token that begins at character `place` or later, or None where no token has that character."""
    if place == 0:
        return 0
    if place == length:
        return len(encoding)
    token: int | None = encoding.char_to_token(place)
    if token is None:
        return None
    began = encoding.token_to_chars(token)
    return token + 1 if began is not None and began[0] < place else token
