"""A window that moves over a JSON text and gives its values one by one, however large the text is."""

import codecs
import json
import re
from itertools import pairwise
from typing import Any, BinaryIO

MAX_RECORD_BYTES = 64 << 20
"""A larger record is told as an error and stepped over."""
BLOCK_BYTES = 1 << 20
UNREAD = "what follows is not read"
"""Ends what is said of damage that costs all that stands behind it."""

_WHITE = " \t\r\n"
_SPACE = re.compile(r"[ \t\r\n]*+")
_OUTSIDE = re.compile(r'["\[\]{}]')  # what matters between strings, and inside one
_INSIDE = re.compile(r'["\\]')
_NO_UTF8 = re.compile("[\udc80-\udcff]")
_LONGEST_WORD = 16
"""No word of JSON (-Infinity, an escape, an exponent) is longer: what ends nearer to the end may be cut."""


class _Refused(Exception):
    """A value that JSON does not have, or that would lose something."""


def parse(text: str, at: int) -> tuple[Any, int, str | None]:
    """Return the value that begins at character `at`, its end, and why it is refused (then the value is None).

    Raises json.JSONDecodeError or RecursionError where no end is found.
    """
    try:
        value, end = _STRICT.raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except _Refused as error:
        return None, _LENIENT.raw_decode(text, at)[1], str(error)
    except ValueError:  # Python refuses to read integers of thousands of digits
        return None, _LENIENT.raw_decode(text, at)[1], "a number of thousands of digits"
    return value, end, None


class Window:
    """Part of a text: `text[at]` is the file's byte `offset`. A block is read at a time, more for a long value."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self.text, self.at = "", 0
        self._counted, self._offset, self._begun = 0, offset, 0
        self._file, self._read, self._ended = file, offset, False
        self._decoder: Any = codecs.getincrementaldecoder("utf-8")()
        self._foul = False

    @property
    def offset(self) -> int:
        """The byte of the file at which `text[at]` begins; counted only when it is asked for."""
        if self.at > self._counted:
            apart = self.at - self._counted
            self._offset += apart if self.text.isascii() else len(self._encoded(self._counted, self.at))
            self._counted = self.at
        return self._offset

    def peek(self) -> str:
        """Step over white space and return the character that follows, "" at the end of the file."""
        for _ in range(2):  # mostly there is one blank, or none
            mark = self.text[self.at : self.at + 1]
            if mark and mark not in _WHITE:
                return mark
            self.at += len(mark)
        while True:
            found = _SPACE.match(self.text, self.at)
            self.take((found.end() if found else self.at) - self.at)
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.drop():
                return ""

    def take(self, count: int) -> None:
        """Step over `count` characters."""
        self.at += count

    def drop(self) -> bool:
        """Forget what was read and read on; False at the end of the file."""
        self.take(len(self.text) - self.at)
        return self._more()

    def last(self) -> str:
        """Return the text of the value that was read last; nothing else was read since."""
        return self.text[self._begun : self.at]

    def value(self) -> tuple[Any, str | None, bool]:
        """Return the value that begins here, the error in its place, and whether the window stands behind it."""
        while True:
            try:
                value, end, refused = parse(self.text, self.at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos > len(self.text) - _LONGEST_WORD
                if not cut or self._ended:
                    place = self.offset + len(self._encoded(self.at, error.pos))
                    ends = "the file ends inside a record; " if cut else ""
                    return None, f"{ends}not JSON: {error.msg} at byte {place}; {UNREAD}", False
            except RecursionError:
                return self._skip("nested too deep")
            else:
                if end <= len(self.text) - _LONGEST_WORD or self._ended:
                    return self._found(value, end, refused)
            if self._read - self.offset > MAX_RECORD_BYTES:
                return self._skip(f"a record above {MAX_RECORD_BYTES >> 20} MiB")
            self._ended = not self._more()

    def _found(self, value: Any, end: int, refused: str | None) -> tuple[Any, str | None, bool]:
        if self._foul and (foul := _NO_UTF8.search(self.text, self.at, end)):
            refused = f"not UTF-8 at byte {len(self._encoded(self.at, foul.start()))} of the record"
        self._begun, self.at = self.at, end
        return (None if refused else value), refused, True

    def _more(self) -> bool:
        """Read on behind what is not taken yet; False at the end of the file."""
        data = self._file.read(min(max(BLOCK_BYTES, self._read - self.offset), MAX_RECORD_BYTES))
        self._counted = 0
        self._read += len(data)
        try:
            text = self._decoder.decode(data, not data)
        except UnicodeDecodeError:
            self._decoder.errors, self._foul = "surrogateescape", True
            text = self._decoder.decode(data, not data)
        self.text, self.at = self.text[self.at :] + text, 0
        return bool(data or text)

    def _skip(self, error: str) -> tuple[Any, str | None, bool]:
        """Step over a value by its brackets and quotes, in the memory of a block."""
        depth, quoted = 0, False
        while True:
            found = (_INSIDE if quoted else _OUTSIDE).search(self.text, self.at)
            if found is None:
                if (depth == 0 and not quoted) or not self.drop():
                    return None, f"{error}; its end is not found, {UNREAD}", False
                continue
            self.take(found.end() - self.at)
            mark = found[0]
            if mark == "\\":
                if self.at == len(self.text):
                    self.drop()
                self.take(min(1, len(self.text) - self.at))
            elif mark == '"':
                quoted = not quoted
            else:
                depth += 1 if mark in "[{" else -1
            if depth <= 0 and not quoted:
                return None, error, True

    def _encoded(self, start: int, end: int) -> bytes:
        return self.text[start:end].encode("utf-8", "surrogateescape")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = sorted(key for key, _ in pairs)
        twice = next(a for a, b in pairwise(keys) if a == b)
        raise _Refused(f"the key {twice[:80]!r} is given twice")
    return found


def _constant(word: str) -> None:
    raise _Refused(f"{word}, which JSON does not have")


def _nothing(word: str) -> None:
    return None


_STRICT = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)
_LENIENT = json.JSONDecoder(parse_int=_nothing, parse_float=_nothing)
"""Finds the end of a value that is refused."""
