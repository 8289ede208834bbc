"""The pictures of a page: small JPEGs as data: URIs, within a budget of bytes."""

import base64
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from curate.errors import OutsideError, SampleError
from curate.io import images, storage
from curate.layout import Layout
from curate.sample import Sample

SIDE_PX = 256
QUALITY = 72
BUDGET_BYTES = 6_000_000
"""Of all data: URIs together; a picture that does not fit is left out and counted."""

_BLURRED_PX = 14


@dataclass(slots=True)
class Album:
    """Reads pictures under a root; counts what it took, what it left out, and the hosts they came from.

    With `blur` a picture is reduced to a few pixels before it enters the page: nothing is there to restore.
    """

    root: str
    blur: bool = False
    budget_bytes: int = BUDGET_BYTES
    taken: int = 0
    left_out: int = 0
    used_bytes: int = 0
    hosts: set[str] = field(default_factory=set)
    _known: dict[tuple[str, int], str | None] = field(default_factory=dict)

    def picture(self, sample: Sample, augmented: str = "") -> str | None:
        """Return the first picture of a sample as a data: URI, None where there is none to show.

        `augmented` is the digest of the augmentation that made the sample, empty for an original.
        """
        if not sample.images or sample.is_virtual():  # a virtual child has boxes, and no picture that they fit
            return None
        tar = Layout(self.root, sample.dataset).holder(sample, augmented)
        key = (tar, sample.images[0].offset)
        if key not in self._known:
            self._known[key] = self._read(tar, sample.images[0].offset, sample.images[0].size)
            if self._known[key] is not None and sample.url:
                self.hosts.add(host_of(sample.url))
        return self._known[key]

    def _read(self, tar: str, offset: int, size: int) -> str | None:
        try:
            data = storage.read_bytes(tar, offset, size)
            side, quality = (_BLURRED_PX, 60) if self.blur else (SIDE_PX, QUALITY)
            small = images.thumbnail_jpeg(data, side, quality)
        except (FileNotFoundError, SampleError, OutsideError):
            return None
        uri = f"data:image/jpeg;base64,{base64.b64encode(small).decode()}"
        if self.used_bytes + len(uri) > self.budget_bytes:
            self.left_out += 1
            return None
        self.used_bytes += len(uri)
        self.taken += 1
        return uri


def host_of(url: str) -> str:
    """Return the host of a URL, empty where it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
