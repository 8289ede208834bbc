"""The pictures of one shard, opened by row: ranged reads of its tar, in place."""

from types import TracebackType
from typing import BinaryIO

import pyarrow as pa

from curate.io import images, storage
from curate.io.records import sound
from curate.sample import Pixels


class Pictures:
    """Callable: row index of `table` → upright RGB pixels of the row's first picture.

    Raises on call:
        SampleError: the row has no picture, or its bytes do not decode.
        OutsideError: the tar no longer holds what was stored.
    """

    def __init__(self, tar_uri: str, table: pa.Table) -> None:
        self._images = table.column("images").to_pylist()
        self._uri = tar_uri
        self._tar: BinaryIO | None = storage.open_read(tar_uri) if any(self._images) else None

    def __enter__(self) -> "Pictures":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tar is not None:
            self._tar.close()

    def data(self, row: int) -> bytes:
        """Return the stored bytes of a row's first picture; empty when there is none."""
        if not self._images[row] or self._tar is None:
            return b""
        first = self._images[row][0]
        self._tar.seek(first["offset"])
        return sound(self._tar.read(first["size"]), first["sha256"], f"{self._uri} at {first['offset']}")

    def __call__(self, row: int) -> Pixels:
        return images.decode(self.data(row))
