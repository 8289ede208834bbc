"""Pictures on local disk, in order of arrival, until all of a shard have come and can be laid out in row order."""

import hashlib
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from curate.io import images


@dataclass(frozen=True, slots=True)
class Spooled:
    """A picture made upright and bounded; its bytes lie in the spool at `start`, `size` of them, not in `stored`."""

    stored: images.Stored
    sha256: str
    start: int
    size: int


class Spool:
    """An append-only file that several threads may write and one may read afterwards."""

    def __init__(self, path: Path, limits: images.Limits) -> None:
        self._file, self._lock, self._limits = path.open("w+b"), threading.Lock(), limits

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def put(self, data: bytes) -> Spooled:
        """Make a picture upright and bounded, and keep it.

        Raises:
            SampleError: the bytes are no picture that may be stored.
        """
        stored = images.store(data, self._limits)
        with self._lock:
            start = self._file.seek(0, 2)
            self._file.write(stored.data)
        sha256 = hashlib.sha256(stored.data).hexdigest()
        return Spooled(replace(stored, data=b""), sha256, start, len(stored.data))

    def get(self, picture: Spooled) -> bytes:
        """Return the bytes of a picture."""
        with self._lock:
            self._file.seek(picture.start)
            return self._file.read(picture.size)
