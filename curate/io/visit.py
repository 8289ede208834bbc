"""One visit to a URL: follow its redirects, every hop checked like the first, and read what comes, bounded."""

import asyncio
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp
from yarl import URL

from curate.errors import OutsideError, SampleError
from curate.io.answers import forbids, retry_after_s, unpacked
from curate.io.guard import Guard, join
from curate.io.robots import MAX_BYTES as ROBOTS_BYTES
from curate.io.robots import Robots

IN_MEMORY_BYTES = 1 << 20
"""A body beyond this goes on in a temporary file: sixty-four at once must not fill the memory."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Body = tempfile.SpooledTemporaryFile[bytes]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one visit ended: with a body, or with a stable code and free text; `status` is the last that was heard."""

    code: str | None
    detail: str | None = None
    body: Body | None = None
    status: int | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """What every visit goes with; `robots` is asked about each hop but the first.

    `cut` is for robots.txt: a body beyond `max_bytes` is taken up to there, else it ends as `too_large`, and
    X-Robots-Tag, which speaks of what may be indexed, is no reason not to read the rules.
    """

    session: aiohttp.ClientSession
    guard: Guard
    user_agent: str
    max_bytes: int
    max_redirects: int
    cut: bool = False
    robots: Robots | None = None

    async def visit(self, url: URL, until: float) -> Outcome:
        """Visit a URL and follow where it leads; `until` is the loop time until which to wait for each answer.

        Raises:
            OutsideError: the disk takes no more. Of the web nothing raises.
        """
        connect_s = 0.8 * (until - asyncio.get_running_loop().time())
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=max(connect_s, 0.01))
        status = None
        try:
            for hop in range(self.max_redirects + 1):
                self.guard.check(url)
                if hop and self.robots is not None:
                    await self.robots.check(url)
                async with asyncio.timeout_at(until):
                    response = await self.session.get(url, allow_redirects=False, timeout=timeout)
                async with response:
                    location, status = response.headers.get("Location"), response.status
                    if status not in _REDIRECTS or location is None:
                        return await self._read(response)
                    url = join(url, location)
        except SampleError as error:
            return Outcome(error.code, error.detail, status=status)
        except OutsideError:
            raise
        except Exception as error:  # a hostile answer must not end the shard, whatever it sets off
            return Outcome(_code(error), f"{type(error).__name__}: {error}"[:300], status=status)
        return Outcome("too_many_redirects", f"more than {self.max_redirects}", status=status)

    async def _read(self, response: aiohttp.ClientResponse) -> Outcome:
        status, headers = response.status, response.headers
        if not 200 <= status < 300:
            wait = retry_after_s(headers.get("Retry-After", ""))
            return Outcome(f"http_{status}", response.reason, status=status, retry_after_s=wait)
        if not self.cut and forbids(headers.getall("X-Robots-Tag", []), self.user_agent):
            return Outcome("opt_out", headers.get("X-Robots-Tag"), status=status)
        if (response.content_length or 0) > self.max_bytes and not self.cut:
            return Outcome("too_large", f"announces {response.content_length} bytes", status=status)
        body = Body(IN_MEMORY_BYTES, prefix="curate-")
        try:
            async for chunk in response.content.iter_any():
                with _disk():
                    body.write(chunk)
                if body.tell() > self.max_bytes:
                    if self.cut:
                        break
                    return Outcome("too_large", f"more than {self.max_bytes} bytes", status=status)
        except (aiohttp.ClientError, OSError) as error:
            return Outcome("truncated_body", f"after {body.tell()} bytes: {error}"[:300], status=status)
        if headers.get("Content-Encoding"):
            try:
                body = _unpacked(body, headers["Content-Encoding"], self.max_bytes)
            except SampleError as error:
                return Outcome(error.code, error.detail, status=status)
        return Outcome(None, body=body, status=status) if body.tell() else Outcome("empty", status=status)


async def ask_robots(visitor: Visitor, url: URL) -> tuple[str | None, str]:
    """Fetch a robots.txt, once more where that may help; see `robots.Ask`. What goes beyond the cap is not read."""
    outcome = Outcome("connect")
    for wait_s in (0.0, 0.5, 1.5):
        await asyncio.sleep(wait_s)
        outcome = await visitor.visit(url, asyncio.get_running_loop().time() + 5)
        if outcome.code not in ("dns", "connect", "deadline", "truncated_body"):
            break
    if outcome.body is not None:
        return None, taken(outcome.body)[:ROBOTS_BYTES].decode("utf-8-sig", "replace")
    return outcome.code, outcome.detail or ""


def taken(body: Body) -> bytes:
    """Return the bytes of a body, and let go of its file."""
    with _disk(), body:
        body.seek(0)
        return body.read()


@contextmanager
def _disk() -> Iterator[None]:
    """Tell the own disk's errors from the web's.

    Raises:
        OutsideError: the disk refused; the row is not to blame.
    """
    try:
        yield
    except OSError as error:
        raise OutsideError(f"a picture on its way does not fit {tempfile.gettempdir()}: {error}") from error


def _unpacked(body: Body, encoding: str, max_bytes: int) -> Body:
    # One at a time, since nothing here waits: that bounds the memory.
    plain = Body(IN_MEMORY_BYTES, prefix="curate-")
    whole = unpacked(taken(body), encoding, max_bytes)
    with _disk():
        plain.write(whole)
    return plain


def _code(error: Exception) -> str:
    if type(error) is TimeoutError:  # ours, not aiohttp's for a connection that does not come about
        return "deadline"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "dns"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls"
    if isinstance(error, aiohttp.InvalidURL):
        return "bad_url"
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return "connect"
    return "bad_response"
