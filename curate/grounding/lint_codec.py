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
"""A size in pixels where the picture's own is not known."""
_AT = " at character "
_LEADING = re.compile(rf"(?:\s*+{IMAGE})++\s*+")
_TRAILING = re.compile(rf"(?:\s*+{IMAGE[::-1]})++\s*+")  # of the text read backwards


def by_codec(decode: Decode, signs: str, form: str) -> Check:
    """Return a check that lets a codec read a text; it tells the first fault alone, at the place that the codec names.

    A text without any of `signs` is plain words. `<image>` before and behind the words is none of theirs. Of GVC,
    whose written form is a JSON object, the text is the object's `value`.
    """

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
        try:
            decode(json.dumps({"value": words}) if form == "gvc" else words, *(known.size or _PROBE))
        except SampleError as error:
            what, mark, place = error.detail.rpartition(_AT)
            if mark and place.isdecimal():
                return [(error.code, begin + int(place), what)]
            return [(error.code, None, error.detail)]
        return []

    return check


def _between(text: str) -> tuple[int, int]:
    """Return where the words begin and end between the `<image>` before and behind them."""
    leading = _LEADING.match(text)
    begin = leading.end() if leading else 0
    trailing = _TRAILING.match(text[:begin - 1 if begin else None:-1])
    return begin, len(text) - (trailing.end() if trailing else 0)
