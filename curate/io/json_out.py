"""Records into one JSON file, one at a time: an array with a record in each line, or JSON Lines."""

import json
import secrets
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from curate.errors import SampleError
from curate.io import storage

_BUFFER_BYTES = 1 << 17

_plain = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_escaped = json.JSONEncoder(allow_nan=False).encode


class ArrayWriter:
    """Writes records to `uri`, an array, or JSON Lines where `lines` is set or the name ends with .jsonl or .ndjson.

    A context manager: the file has its name only after an end without error; what stood there until then stays.
    """

    def __init__(self, uri: str, lines: bool | None = None) -> None:
        self._uri, self.count = uri, 0
        self._lines = uri.endswith((".jsonl", ".ndjson")) if lines is None else lines
        beside = storage.local_path(uri)
        if beside is not None:
            beside.resolve().parent.mkdir(parents=True, exist_ok=True)
        folder = beside.resolve().parent if beside is not None else Path(tempfile.gettempdir())
        self._temporary = folder / f"{storage.TEMP_PREFIX}-{secrets.token_hex(8)}"
        self._file = self._temporary.open("xb", _BUFFER_BYTES)

    def __enter__(self) -> "ArrayWriter":
        return self

    def write(self, record: Any, text: str = "") -> None:
        """Write one record; `text`, where it is given and in one line, is the record as JSON and written as it is.

        Raises:
            SampleError: `bad_json`, it cannot be written as JSON: NaN, inf, nested too deep, no JSON type.
        """
        data = line_of(record, self.count, text)
        if self._lines:
            self._file.write(data + b"\n")
        else:
            self._file.write((b",\n" if self.count else b"[\n") + data)
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and not self._lines:
                self._file.write(b"\n]\n" if self.count else b"[]\n")
            self._file.close()
            if kind is None:
                storage.put_file(self._temporary, self._uri)
        finally:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


def line_of(record: Any, number: int, text: str = "") -> bytes:
    """Return a record, the `number`-th, as one line of JSON; arguments and errors are those of `ArrayWriter.write`."""
    if text and "\n" not in text and "\r" not in text:
        return text.encode()
    try:
        try:
            return _plain(record).encode()
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can only escape
            return _escaped(record).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise SampleError("bad_json", f"record {number} cannot be written: {error}") from None
