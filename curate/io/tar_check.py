"""Whether a tar of pictures still holds what its table says: every header, every picture, the end mark."""

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from curate.io import storage
from curate.io.tar_growth import Place, extend_tar, member_start
from curate.io.tars import BLOCK, END, header, safe_name
from curate.sample import ImageRef, Sample

_FAR = 1 << 44
"""No tar of ours has so many bytes: an offset or a size beyond is damage of the table."""


@dataclass(frozen=True, slots=True)
class Tar:
    """What was found: pictures that the table points to, the rows whose picture is damaged, a fault of the frame."""

    pictures: int
    damaged: frozenset[int]
    fault: str | None


def examined(uri: str, samples: Iterable[Sample]) -> Tar:
    """Hold a tar to the digests of its table; raises OutsideError where the store cannot be read."""
    owners: dict[Place, tuple[ImageRef, set[int]]] = {}
    impossible: set[int] = set()
    for sample in samples:
        for image in sample.images:
            if not (0 < image.offset < _FAR and 0 <= image.size < _FAR) or safe_name(image.member) != image.member:
                impossible.add(sample.row)
                continue
            owners.setdefault((image.member, image.offset, image.size), (image, set()))[1].add(sample.row)
    pictures = len(owners) + len(impossible)
    if not owners:
        return Tar(pictures, frozenset(impossible), None)
    damaged = impossible
    fault: str | None = None
    try:
        with storage.open_read(uri) as tar:
            for place in sorted(owners, key=lambda place: place[1]):
                image, rows = owners[place]
                framed, data = _member(tar, place)
                fault = fault or (None if framed else f"the header of {place[0]} is damaged")
                if hashlib.sha256(data).hexdigest() != image.sha256:
                    damaged |= rows
            end = tar.read(len(END) + 1)
            fault = fault or (None if end == END else "it does not end with the mark of a tar")
    except (FileNotFoundError, IsADirectoryError):
        every = impossible.union(*(rows for _, rows in owners.values()))
        return Tar(pictures, frozenset(every), "the tar is missing")
    return Tar(pictures, frozenset(damaged), fault)


def reframed(uri: str, samples: Iterable[Sample]) -> None:
    """Write a tar anew from its pictures, which must be sound; they stay at their offsets."""
    places = {(image.member, image.offset, image.size) for sample in samples for image in sample.images}
    with tempfile.TemporaryDirectory(prefix="curate-") as folder:
        path = Path(folder) / "images.tar"
        with storage.open_read(uri) as old:
            extend_tar(path, old, sorted(places, key=lambda place: place[1]), ())
        storage.put_file(path, uri)


def _member(tar: BinaryIO, place: Place) -> tuple[bool, bytes]:
    """Return whether the header is as it was written, and the data."""
    name, offset, size = place
    tar.seek(member_start(place))
    block = tar.read(offset - member_start(place))
    data = tar.read(size)
    tar.read(-size % BLOCK)
    return block == header(name, size), data
