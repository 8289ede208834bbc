"""HTTP download of many URLs: one total deadline, a byte cap, public addresses only, polite to every host."""

import asyncio
import os
import ssl
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from yarl import URL

from curate import __version__
from curate.errors import SampleError
from curate.io.answers import forbids, retry_after_s, unpacked
from curate.io.guard import Guard, join, parse

_PASSING = frozenset({"dns", "connect", "deadline", "truncated_body", "http_408", "http_425", "http_429"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DNS_THREADS = 32
_FIRST_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How to fetch. `timeout_s` is the total for one URL: redirects, retries and waits included.

    `max_bytes` bounds one body. `allow_hosts` names what may be reached although it is not public, as
    `host` or `host:port`. `per_host` and `concurrency` bound the requests under way.
    """

    timeout_s: float = 20.0
    max_bytes: int = 32 * 1024 * 1024
    attempts: int = 3
    concurrency: int = 64
    per_host: int = 16
    max_redirects: int = 5
    allow_hosts: tuple[str, ...] = ()
    user_agent: str = f"curate/{__version__} (+dataset curation)"


@dataclass(frozen=True, slots=True)
class Fetched:
    """How one URL ended: a body, or a stable error code with free text.

    Codes: `bad_url` `not_public` `dns` `connect` `tls` `deadline` `http_<status>` `too_many_redirects`
    `opt_out` `too_large` `truncated_body` `empty` `bad_response`. `fetched_at` is UTC, ISO 8601, seconds.
    """

    body: bytes | None
    error: str | None
    detail: str | None
    attempts: int
    fetched_at: str
    status: int | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How one attempt ended."""

    code: str | None
    detail: str | None = None
    body: bytes | None = None
    status: int | None = None
    retry_after_s: float | None = None


def may_pass(code: str) -> bool:
    """Tell whether a later attempt might cure this error code."""
    return code in _PASSING or (len(code) == 8 and code.startswith("http_5"))


def fetch_all(urls: Sequence[str], options: FetchOptions, on_done: Callable[[int, Fetched], None]) -> None:
    """Fetch every URL and call `on_done(index, fetched)` once for each, in any order.

    `on_done` may block: it runs in as many threads as there are cores, so it must be safe to call from
    several at once. A body is dropped when its call returns; never more than `concurrency` are held. What
    `on_done` raises stops the rest and is raised here; no URL, however bad, raises.
    """
    threads = ThreadPoolExecutor(os.cpu_count() or 1, "on-done")
    lookups = ThreadPoolExecutor(min(options.concurrency, _DNS_THREADS), "dns")
    try:
        asyncio.run(_fetch_all(_Turns(urls, options.per_host), options, on_done, (threads, lookups)))
    finally:
        threads.shutdown(wait=True, cancel_futures=True)
        lookups.shutdown(wait=False, cancel_futures=True)  # a lookup that hangs must not hold up the shard


class _Turns:
    """Whose turn it is: hosts one after another, and at most `per_host` turns of one host held at once.

    Whoever takes a turn gives the host back; it goes to the end while the host has URLs left. So no slot is
    ever spent on waiting for a busy host, and when no host is ready, nothing is left that a worker could do.
    """

    def __init__(self, urls: Sequence[str], per_host: int) -> None:
        self._urls = urls
        self._left: dict[str, deque[int]] = {}
        for index, text in enumerate(urls):
            self._left.setdefault(_host(text), deque()).append(index)
        self._ready = deque(host for turn in range(per_host) for host, left in self._left.items() if len(left) > turn)

    def take(self) -> tuple[str, int, str] | None:
        """Return (host, index, URL), or None when every URL is done or under way."""
        while self._ready:
            host = self._ready.popleft()
            if self._left[host]:
                index = self._left[host].popleft()
                return host, index, self._urls[index]
        return None

    def give_back(self, host: str) -> None:
        self._ready.append(host)


def _host(text: str) -> str:
    try:
        return (parse(text).host or "").lower()
    except SampleError:
        return ""


async def _fetch_all(
    turns: _Turns,
    options: FetchOptions,
    on_done: Callable[[int, Fetched], None],
    pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor],
) -> None:
    threads, lookups = pools
    guard = Guard(options.allow_hosts, lookups)
    connector = aiohttp.TCPConnector(
        resolver=guard, limit=options.concurrency, limit_per_host=options.per_host, ttl_dns_cache=None
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        # Nothing is unpacked on the way in: a few bytes could become gigabytes.
        headers={
            "User-Agent": options.user_agent,
            "Accept": "image/*,*/*;q=0.5",
            "Accept-Encoding": "identity",
        },
        auto_decompress=False,
    )

    async def finish(index: int, text: str) -> None:
        fetched = await _fetch(session, guard, options, text)
        await asyncio.get_running_loop().run_in_executor(threads, on_done, index, fetched)

    async def work() -> None:
        while turn := turns.take():
            host, index, text = turn
            await finish(index, text)  # a call of its own, so that the body dies with it
            turns.give_back(host)

    async with session:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(options.concurrency):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None


async def _fetch(session: aiohttp.ClientSession, guard: Guard, options: FetchOptions, text: str) -> Fetched:
    """Make attempts until one ends for good or the deadline comes."""
    now = asyncio.get_running_loop().time
    deadline = now() + options.timeout_s
    outcome, attempt = _Outcome("deadline"), 0
    try:
        url = parse(text)
        async with asyncio.timeout_at(deadline):
            while attempt < options.attempts:
                attempt += 1
                # A server that does not answer gets half of what is left, the last time all of it.
                left = deadline - now()
                patience = left if attempt == options.attempts else left / 2
                outcome = await _attempt(session, guard, options, (url, now() + patience))
                wait = _wait_s(text, attempt, outcome.retry_after_s)
                if outcome.code is None or not may_pass(outcome.code) or now() + wait >= deadline:
                    break
                if attempt < options.attempts:
                    await asyncio.sleep(wait)
    except TimeoutError:
        before = f"; before that {outcome.code}" if attempt > 1 else ""
        outcome = _Outcome("deadline", f"not complete after {options.timeout_s:g} s{before}")
    except SampleError as error:
        outcome = _Outcome(error.code, error.detail)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return Fetched(outcome.body, outcome.code, outcome.detail, attempt, at, outcome.status)


def _wait_s(text: str, attempt: int, retry_after_s: float | None) -> float:
    """Return the seconds to wait after an attempt; the jitter comes from the URL, so runs repeat."""
    jitter = zlib.crc32(f"{text} {attempt}".encode("utf-8", "surrogatepass")) / 2**32
    if retry_after_s is not None:
        return retry_after_s + 0.2 * jitter
    return float(_FIRST_WAIT_S * 2 ** (attempt - 1) * (0.5 + jitter))


async def _attempt(
    session: aiohttp.ClientSession, guard: Guard, options: FetchOptions, target: tuple[URL, float]
) -> _Outcome:
    """Make one attempt at (URL, loop time until which to wait for the answer) and name what went wrong."""
    try:
        return await _follow(session, guard, options, target)
    except SampleError as error:
        return _Outcome(error.code, error.detail)
    except Exception as error:  # a hostile answer must not end the shard, whatever it sets off
        return _Outcome(_code(error), f"{type(error).__name__}: {error}"[:300])


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


async def _follow(
    session: aiohttp.ClientSession, guard: Guard, options: FetchOptions, target: tuple[URL, float]
) -> _Outcome:
    """Ask, and go on asking where redirects lead, every hop checked like the first."""
    url, until = target
    connect_s = 0.8 * (until - asyncio.get_running_loop().time())
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=max(connect_s, 0.01))
    for _ in range(options.max_redirects + 1):
        guard.check(url)
        async with asyncio.timeout_at(until):
            response = await session.get(url, allow_redirects=False, timeout=timeout)
        async with response:
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return await _read(response, options)
            url = join(url, location)
    return _Outcome("too_many_redirects", f"more than {options.max_redirects}")


async def _read(response: aiohttp.ClientResponse, options: FetchOptions) -> _Outcome:
    status, headers = response.status, response.headers
    if not 200 <= status < 300:
        wait = retry_after_s(headers.get("Retry-After", ""))
        return _Outcome(f"http_{status}", response.reason, status=status, retry_after_s=wait)
    if forbids(headers.getall("X-Robots-Tag", []), options.user_agent):
        return _Outcome("opt_out", headers.get("X-Robots-Tag"), status=status)
    if (response.content_length or 0) > options.max_bytes:
        return _Outcome("too_large", f"announces {response.content_length} bytes", status=status)
    chunks, size = [], 0
    try:
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > options.max_bytes:
                return _Outcome("too_large", f"more than {options.max_bytes} bytes", status=status)
    except (aiohttp.ClientError, OSError) as error:
        return _Outcome("truncated_body", f"after {size} bytes: {error}"[:300], status=status)
    body = b"".join(chunks)
    try:
        body = unpacked(body, headers.get("Content-Encoding", ""), options.max_bytes)
    except SampleError as error:
        return _Outcome(error.code, error.detail, status=status)
    return _Outcome(None, body=body, status=status) if body else _Outcome("empty", status=status)
