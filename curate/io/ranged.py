"""A remote file as one stream of ranged reads: resumed after a cut, one block read ahead, never whole in memory.

HTTP is asked here and not by `storage.read_bytes`, which would take in the whole body of a server that ignores
ranges. Every answer states the size of the file, so one that changes meanwhile is found at the next block.
"""

import asyncio
import io
import random
import re
from collections.abc import Callable
from concurrent import futures
from threading import Event
from typing import TYPE_CHECKING, Any, BinaryIO

import aiohttp

from curate.errors import OutsideError, SampleError, ShardError
from curate.io import guard, storage
from curate.io.answers import retry_after_s

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK_BYTES = 8 << 20
"""Two blocks are held at most: the one that is consumed and the one that is read ahead."""
PROGRESS_BYTES = 64 << 10
"""A try that brought so much before it was cut counts as no failure."""
WAITS_S = (1.0, 4.0, 16.0, 64.0)
"""Between the tries at one place, give or take a half; there is one try more than waits."""
MAX_WAIT_S = 120.0
SILENCE_S = 60.0
"""A server that sends nothing for so long has hung up."""
RENEWALS = 3
"""How many new links one block may need."""

_TRY_S = 300.0
_CONNECT_S = 30.0
_BUFFER_BYTES = 256 << 10
_TRANSIENT = frozenset({408, 425, 429})
_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-[0-9]{1,18}|\*)/([0-9]{1,18})")
_HOPELESS = (aiohttp.InvalidURL, aiohttp.ClientConnectorCertificateError)


def open_read(uri: str, name: str = "", renew: Callable[[], str] | None = None, hint: str = "") -> BinaryIO:
    """Open a remote file for reading from its start to its end; close it to stop what is read ahead.

    `name` is what errors call the file. Where a link is refused or keeps failing, `renew` is asked for the link
    that stands in its place now; `hint` says what to do when that is still the same one.

    Raises, when it is read, ShardError for a file that is refused, absent, changed or cannot be read in ranges, and
    OutsideError for one that fails however often it is tried.
    """
    remote = _Remote(uri, name or uri.split("?")[0], renew, hint)
    return io.BufferedReader(_Stream(remote), buffer_size=_BUFFER_BYTES)


class _Refused(OutsideError):
    """The store will not serve this link, however often it is asked."""


class _Busy(OutsideError):
    """The server asks to come back later."""

    def __init__(self, what: str, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(what)


class _Stream(io.RawIOBase):
    """Blocks as io.BufferedReader wants them."""

    def __init__(self, remote: "_Remote") -> None:
        self._remote = remote
        self._thread = futures.ThreadPoolExecutor(1, "ranged")
        self._block = memoryview(b"")
        self._end = 0
        self._next = self._thread.submit(remote.block, 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        target = memoryview(buffer).cast("B")
        if not self._block:
            self._turn()
        size = min(len(target), len(self._block))
        target[:size] = self._block[:size]
        self._block = self._block[size:]
        return size

    def close(self) -> None:
        if not self.closed:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._remote.stop()
        super().close()

    def _turn(self) -> None:
        """Go on to the next block and have the one after it read."""
        self._block = memoryview(b"")
        block = self._next.result()
        if block:
            self._end += len(block)
            self._next = self._thread.submit(self._remote.block, self._end)
        self._block = memoryview(block)


class _Remote:
    """Where a file lies now, and how a block of it is had in spite of cuts; used by one thread, stopped by another."""

    def __init__(self, uri: str, name: str, renew: Callable[[], str] | None, hint: str) -> None:
        self._uri, self._name, self._renew, self._hint = uri, name, renew, hint
        self._size: int | None = None
        self._sized = ""
        self._block_bytes = self._piece = BLOCK_BYTES
        self._stopped = Event()
        self._answer: futures.Future[None] | None = None

    def stop(self) -> None:
        """End what is under way; from now on every block is refused."""
        self._stopped.set()
        if self._answer is not None:
            self._answer.cancel()

    def block(self, start: int) -> bytearray:
        """Return the block that begins at `start`: shorter at the end of the file, empty behind it.

        What came before a cut is kept and the rest asked for, in smaller pieces where nothing came.
        """
        block = bytearray()
        failures = renewals = 0
        while left := self._left(start + len(block), self._block_bytes - len(block)):
            before = len(block)
            try:
                self._ask(start + before, min(left, self._piece), block)
                failures = 0
            except _Refused as error:
                renewals += 1
                if renewals > RENEWALS or not self._renewed():
                    raise self._expired(error) from error
            except OutsideError as error:
                failures = 0 if len(block) - before >= PROGRESS_BYTES else failures + 1
                if failures > len(WAITS_S):
                    renewals += 1
                    if renewals > RENEWALS or not self._renewed():
                        where = f"{failures} tries at byte {start + len(block):,}"
                        raise OutsideError(f"{self._name}: gave up after {where}: {error}") from error
                    failures = 0
                elif failures:
                    if not isinstance(error, _Busy):
                        self._piece = max(self._piece // 4, min(PROGRESS_BYTES, self._block_bytes))
                    self._pause(WAITS_S[failures - 1], error)
        self._piece = min(2 * self._piece, self._block_bytes)
        return block

    def _left(self, at: int, size: int) -> int:
        return size if self._size is None else max(0, min(size, self._size - at))

    def _pause(self, wait_s: float, error: OutsideError) -> None:
        asked_s = error.wait_s if isinstance(error, _Busy) else 0.0
        if self._stopped.wait(min(MAX_WAIT_S, max(asked_s, wait_s * random.uniform(0.5, 1.5)))):
            raise ShardError(f"{self._name}: closed while it was read")

    def _renewed(self) -> bool:
        """Tell whether there is another link by now, and turn to it."""
        link = self._renew() if self._renew is not None else self._uri
        changed = link != self._uri
        self._uri = link
        return changed

    def _expired(self, error: OutsideError) -> ShardError:
        if self._renew is None:
            return ShardError(f"{self._name}: {error}")
        return ShardError(f"{self._name}: the link has expired ({error}){': ' if self._hint else ''}{self._hint}")

    def _state(self, size: int) -> None:
        """Take note of the size that the store states; it is the same from the first answer to the last."""
        if self._size is not None and size != self._size:
            raise ShardError(f"{self._name}: changed while it was read: of {self._size:,} bytes before, {size:,} now")
        self._size = size

    def _ask(self, at: int, size: int, into: bytearray) -> None:
        """Add `size` bytes from `at` on, or up to the end of the file; OutsideError after what came before a cut."""
        if self._stopped.is_set():
            raise ShardError(f"{self._name}: closed while it was read")
        before = len(into)
        if self._uri.startswith(("http://", "https://")):
            self._ask_server(at, size, into)
        else:
            self._ask_store(at, size, into)
        if len(into) - before < self._left(at, size):
            raise OutsideError(f"cut after {len(into) - before:,} of {size:,} bytes")

    def _ask_store(self, at: int, size: int, into: bytearray) -> None:
        try:
            if self._sized != self._uri:
                self._state(storage.size(self._uri))
                self._sized = self._uri
            wanted = self._left(at, size)
            try:
                data = storage.read_bytes(self._uri, at, wanted)
            except OutsideError:
                # A range behind the end of a file that has shrunk is an error of each store's own.
                self._state(storage.size(self._uri))
                raise
            if len(data) < wanted or at + wanted == self._size:
                self._state(storage.size(self._uri))
            into += data
        except FileNotFoundError as error:
            raise _Refused("there is no such file") from error
        except OutsideError as error:
            if isinstance(error.__cause__, PermissionError):
                raise _Refused(str(error.__cause__)) from error
            raise

    def _ask_server(self, at: int, size: int, into: bytearray) -> None:
        filesystem = storage.filesystem(self._uri)
        answer = asyncio.run_coroutine_threadsafe(self._get(filesystem, at, size, into), filesystem.loop)
        self._answer = answer
        if self._stopped.is_set():
            answer.cancel()
        try:
            answer.result()
        except futures.CancelledError:
            raise ShardError(f"{self._name}: closed while it was read") from None
        except (SampleError, *_HOPELESS) as error:
            raise ShardError(f"{self._name}: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise OutsideError(f"{type(error).__name__}: {error}") from error
        finally:
            self._answer = None

    async def _get(self, filesystem: Any, at: int, size: int, into: bytearray) -> None:
        session: aiohttp.ClientSession = await filesystem.set_session()
        options = dict(filesystem.kwargs)
        # Of a packed answer no range could be told.
        ranged = {"Range": f"bytes={at}-{at + size - 1}", "Accept-Encoding": "identity"}
        options["headers"] = {**options.get("headers", {}), **ranged}
        options["timeout"] = aiohttp.ClientTimeout(total=_TRY_S, sock_connect=_CONNECT_S, sock_read=SILENCE_S)
        async with session.get(guard.parse(self._uri), **options) as answer:
            self._state(self._total(answer, at))
            room = self._left(at, size) if answer.status == 206 else 0
            async for chunk in answer.content.iter_any():
                into += chunk[:room]
                room -= len(chunk)
                if room <= 0:
                    break

    def _total(self, answer: aiohttp.ClientResponse, at: int) -> int:
        """Return the size of the file that an answer states; raise what its status means."""
        status, said = answer.status, f"HTTP {answer.status} {answer.reason or ''}".rstrip()
        if status == 200:
            raise ShardError(f"{self._name}: the server ignores ranges; download the file and name its path instead")
        if status >= 500 or status in _TRANSIENT:
            raise _Busy(said, retry_after_s(answer.headers.get("Retry-After", "")) or 0.0)
        if status not in (206, 416):
            raise _Refused(said)
        stated = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
        packed = answer.headers.get("Content-Encoding", "identity") not in ("identity", "")
        if stated is None or packed or (status == 206 and stated[1] != str(at)):
            given = answer.headers.get("Content-Range", "no Content-Range")
            raise ShardError(f"{self._name}: not the range from byte {at:,} that was asked for: {said}, {given[:100]}")
        return int(stated[2])
