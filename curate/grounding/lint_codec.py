"""What a form's codec refuses, as faults of a text: the rule behind all finer ones, so that nothing slips through."""

import json
import re
from collections.abc import Callable

from curate.errors import SampleError
from curate.grounding.dialogue import IMAGE
from curate.grounding.lint_text import Boxes, Told

Decode = Callable[[str, int, int], object]
Check = Callable[[str, Boxes], list[Told]]

ANY_SIGNS = "<["
"""Characters that boxes of every known form begin with; for a codec that tells no SIGNS."""

_PROBE = (1000, 1000)
"""A size in pixels where the picture's own is not known; a square, which has no padding."""
_AT = " at character "
_LEADING = re.compile(rf"(?:\s*+{IMAGE})++\s*+")
_TRAILING = re.compile(rf"(?:\s*+{IMAGE[::-1]})++\s*+")  # of the text read backwards


def by_codec(decode: Decode, signs: str, form: str, padded: bool) -> Check:
    """Return a check that lets a codec read a text; it tells the first fault alone, at the place that the codec names.

    A text without any of `signs` is plain words. `<image>` before and behind the words is none of theirs. Of GVC,
    whose written form is a JSON object, the text is the object's `value`. `padded`: the form's frame is the square
    pad, so what is refused for the picture's own size alone lies in the padding, `box_frame`.
    """

    def refusal(words: str, size: tuple[int, int]) -> SampleError | None:
        try:
            decode(words, *size)
        except SampleError as error:
            return error
        return None

    def check(text: str, known: Boxes) -> list[Told]:
        begin, end = 0, len(text)
        if IMAGE in text:
            words = text.replace(IMAGE, "")
            begin, end = _between(text)
        else:
            words = text
        if not any(sign in words for sign in signs):
            return []
        words = text[begin:end]
        words = json.dumps({"value": words}) if form == "gvc" else words
        error = refusal(words, known.size or _PROBE)
        if error is None:
            return []
        framed = padded and known.size is not None and refusal(words, _PROBE) is None
        code = "box_frame" if framed else error.code
        what, mark, place = error.detail.rpartition(_AT)
        return [(code, begin + int(place), what) if mark and place.isdecimal() else (code, None, error.detail)]

    return check


def _between(text: str) -> tuple[int, int]:
    """Return where the words begin and end between the `<image>` before and behind them."""
    leading = _LEADING.match(text)
    begin = leading.end() if leading else 0
    trailing = _TRAILING.match(text[: begin - 1 if begin else None : -1])
    return begin, len(text) - (trailing.end() if trailing else 0)
