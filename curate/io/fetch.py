"""HTTP download of many URLs: one total deadline, a byte cap, public addresses only, polite to every host."""

import asyncio
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import aiohttp
from yarl import URL

from curate import __version__
from curate.errors import SampleError
from curate.io.alarm import Alarm
from curate.io.guard import Guard, parse
from curate.io.robots import MAX_BYTES as ROBOTS_BYTES
from curate.io.robots import Robots
from curate.io.turns import Turn, Turns
from curate.io.visit import Body, Outcome, Visitor, ask_robots, taken

_PASSING = frozenset({"dns", "connect", "deadline", "host_down", "truncated_body", "http_408", "http_425", "http_429"})
_DNS_THREADS = 32
_FIRST_WAIT_S = 0.5
_HANDS = 2
"""Threads that take bodies: shards run side by side, so that a machine of many cores needs no more in each."""


@dataclass(frozen=True, slots=True)
class FetchOptions:
    """How to fetch. `timeout_s` is the total for one URL: redirects, retries and waits included.

    `max_bytes` bounds one body. `allow_hosts` names what may be reached although it is not public, as
    `host` or `host:port`. `per_host` and `concurrency` bound the URLs under way, `per_host_rate` those begun
    in a second at one host. A host is given up after `host_failures` URLs in a row that did not reach it; 0: never.
    `robots` is `respect` or `ignore`. `alarm` stops all when nothing at all is reached: not for URLs that failed so
    before.
    """

    timeout_s: float = 20.0
    max_bytes: int = 32 * 1024 * 1024
    attempts: int = 3
    concurrency: int = 64
    per_host: int = 16
    max_redirects: int = 5
    allow_hosts: tuple[str, ...] = ()
    user_agent: str = f"curate/{__version__} (+dataset curation)"
    per_host_rate: float | None = None
    host_failures: int = 8
    robots: str = "respect"
    alarm: bool = True


@dataclass(frozen=True, slots=True)
class Fetched:
    """How one URL ended: a body, or a stable error code with free text.

    Codes: `bad_url` `not_public` `dns` `connect` `tls` `deadline` `http_<status>` `too_many_redirects`
    `opt_out` `robots` `host_down` `too_large` `truncated_body` `empty` `bad_response`. `fetched_at` is UTC,
    ISO 8601, seconds.
    """

    body: bytes | None
    error: str | None
    detail: str | None
    attempts: int
    fetched_at: str
    status: int | None


def may_pass(code: str) -> bool:
    """Tell whether a later attempt might cure this error code."""
    return code in _PASSING or (len(code) == 8 and code.startswith("http_5"))


def fetch_all(urls: Sequence[str], options: FetchOptions, on_done: Callable[[int, Fetched], None]) -> None:
    """Fetch every URL and call `on_done(index, fetched)` once for each, in any order.

    `on_done` may block: it runs in two threads, so it must be safe to call from both at once. A body is dropped
    when its call returns; large ones wait for theirs on disk. What `on_done` raises stops the rest and is raised
    here; no URL, however bad, raises. AlarmError: nothing is reached. OutsideError: the disk is full.
    """
    threads = ThreadPoolExecutor(_HANDS, "on-done")
    lookups = ThreadPoolExecutor(min(options.concurrency, _DNS_THREADS), "dns")
    try:
        knock = options.robots == "respect"
        turns = Turns(urls, _host, options.per_host, options.per_host_rate, options.host_failures, knock)
        asyncio.run(_fetch_all(turns, options, on_done, (threads, lookups)))
    finally:
        threads.shutdown(wait=True, cancel_futures=True)
        lookups.shutdown(wait=False, cancel_futures=True)  # a lookup that hangs must not hold up the shard


def _host(text: str) -> str:
    try:
        return (_parsed(text).host or "").lower()
    except SampleError:
        return ""


def _parsed(text: str) -> URL:
    """Read a URL as `guard.parse` does; SampleError `bad_url` also for `http://[]@`, over which yarl stumbles."""
    try:
        return parse(text)
    except IndexError as error:
        raise SampleError("bad_url", f"{text[:200]!r}: no host between the brackets") from error


async def _fetch_all(
    turns: Turns,
    options: FetchOptions,
    on_done: Callable[[int, Fetched], None],
    pools: tuple[ThreadPoolExecutor, ThreadPoolExecutor],
) -> None:
    threads, lookups = pools
    guard, alarm = Guard(options.allow_hosts, lookups), Alarm(options.concurrency)
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
    clerk = Visitor(session, guard, options.user_agent, ROBOTS_BYTES, options.max_redirects, cut=True)
    robots = Robots(options.user_agent, partial(ask_robots, clerk)) if options.robots == "respect" else None
    visitor = replace(clerk, max_bytes=options.max_bytes, cut=False, robots=robots)

    async def finish(turn: Turn) -> str | None:
        number, answered = alarm.begin(), partial(turns.answered, turn.host)
        fetched, body = (_given_up(), None) if turn.down else await _fetch(visitor, options, turn.url, answered)
        # Where a status came the host is there: the one that it led to is not.
        code = fetched.error if fetched.status is None else None
        if options.alarm:
            alarm.end(number, turn.host, code)
        await asyncio.get_running_loop().run_in_executor(threads, _hand_over, turn.index, fetched, body, on_done)
        return code

    async def work() -> None:
        while turn := await turns.take():
            turns.give_back(turn, await finish(turn))  # a call of its own, so that the body dies with it

    async with session:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(options.concurrency):
                    group.create_task(work())
            if options.alarm:
                alarm.finish()
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            if robots is not None:
                robots.close()


def _hand_over(index: int, fetched: Fetched, body: Body | None, on_done: Callable[[int, Fetched], None]) -> None:
    """Read a body back, in the thread that uses it: no more are whole in memory than there are threads."""
    on_done(index, fetched if body is None else replace(fetched, body=taken(body)))


async def _fetch(
    visitor: Visitor, options: FetchOptions, text: str, answered: Callable[[], None]
) -> tuple[Fetched, Body | None]:
    """Make attempts until one ends for good or the deadline comes; call `answered` once robots.txt allows them."""
    now = asyncio.get_running_loop().time
    deadline = now() + options.timeout_s
    outcome, attempt = Outcome("deadline"), 0
    try:
        url = _parsed(text)
        async with asyncio.timeout_at(deadline):
            if visitor.robots is not None:
                await visitor.robots.check(url)
                answered()
            while attempt < options.attempts:
                attempt += 1
                # A server that does not answer gets half of what is left, the last time all of it.
                left = deadline - now()
                patience = left if attempt == options.attempts else left / 2
                outcome = await visitor.visit(url, now() + patience)
                wait = _wait_s(text, attempt, outcome.retry_after_s)
                if outcome.code is None or not may_pass(outcome.code) or now() + wait >= deadline:
                    break
                if attempt < options.attempts:
                    await asyncio.sleep(wait)
    except TimeoutError:
        what = "" if attempt else "robots.txt: "
        before = f"; before that {outcome.code}" if attempt > 1 else ""
        detail = f"{what}not complete after {options.timeout_s:g} s{before}"
        outcome = Outcome("deadline", detail, status=outcome.status)
    except SampleError as error:
        outcome = Outcome(error.code, error.detail)
    return Fetched(None, outcome.code, outcome.detail, attempt, _now(), outcome.status), outcome.body


def _given_up() -> Fetched:
    return Fetched(None, "host_down", "the host was given up after failures in a row", 0, _now(), None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _wait_s(text: str, attempt: int, retry_after_s: float | None) -> float:
    """Return the seconds to wait after an attempt; the jitter comes from the URL, so runs repeat."""
    jitter = zlib.crc32(f"{text} {attempt}".encode("utf-8", "surrogatepass")) / 2**32
    if retry_after_s is not None:
        return retry_after_s + 0.2 * jitter
    return float(_FIRST_WAIT_S * 2 ** (attempt - 1) * (0.5 + jitter))
