"""Room for pictures in memory: what one may take is known from its header, and waits until there is so much."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from curate.errors import SampleError


class Room:
    """So many bytes, shared by all threads of a process."""

    def __init__(self, size: int) -> None:
        self.size, self._taken = size, 0
        self._turn, self._changed = threading.Lock(), threading.Condition()

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Hold `size` bytes meanwhile, once they are there.

        Raises:
            SampleError: `too_many_pixels`, there is never so much.
        """
        if size > self.size:
            raise SampleError("too_many_pixels", f"takes {size >> 20} MB of memory, {self.size >> 20} are allowed")
        with self._turn, self._changed:  # in turn: a large one is not passed by small ones for ever
            self._changed.wait_for(lambda: self._taken + size <= self.size)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify()
