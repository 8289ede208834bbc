"""The door to tokenizers: how many tokens a text has, by a tokenizer.json."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from curate.errors import ConfigError


def tokenizer(path: str) -> Callable[[Sequence[str]], list[int]]:
    """Return the function that counts tokens with a Hugging Face `tokenizer.json`, its special tokens included.

    Raises:
        ConfigError: there is no such file, or it does not load.
    """
    if not Path(path).is_file():
        raise ConfigError(f"no tokenizer at {path}", where="tokens.tokenizer", hint='"clip", or a tokenizer.json')
    try:
        loaded = Tokenizer.from_file(path)
    except Exception as error:  # the library raises bare Exception
        raise ConfigError(f"the tokenizer at {path} does not load: {error}", where="tokens.tokenizer") from error

    def count(lines: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in loaded.encode_batch(list(lines))]

    return count
