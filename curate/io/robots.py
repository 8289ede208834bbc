"""robots.txt of every origin: asked once, kept for a day, obeyed (RFC 9309)."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from protego import Protego
from yarl import URL

from curate.errors import SampleError

MAX_BYTES = 512 * 1024
"""How much of a robots.txt is read; RFC 9309, 2.5 demands 500 KiB."""
KEPT_S = 24 * 3600.0
"""RFC 9309, 2.4: no longer than a day."""
FAILED_S = 300.0
MAX_ORIGINS = 20_000
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What an origin says: rules, none (everything is allowed), or why it could not be asked."""

    parsed: Protego | None = None
    failure: tuple[str, str] | None = None
    until: float = 0.0


Ask = Callable[[URL], Awaitable[tuple[str | None, str]]]
"""URL of a robots.txt → (None, its text) or (error code, detail); a code of 4xx means that there is none."""

_KEPT: OrderedDict[str, Rules] = OrderedDict()
"""Origin → rules: outlives the shard, since the next shard of this process meets many of the same hosts."""


class Robots:
    """Answers whether one user agent may fetch a URL; many URLs of an origin that come at once ask it once."""

    def __init__(self, user_agent: str, ask: Ask) -> None:
        self._token, self._ask = user_agent.split("/")[0].strip(), ask
        self._asking: dict[str, asyncio.Task[Rules]] = {}

    async def check(self, url: URL) -> None:
        """Return where `url` may be fetched.

        Raises:
            SampleError: `robots`, the origin's robots.txt forbids it; or why it could not be read: such a row may
                pass later (RFC 9309, 2.3.1.4: an unreachable robots.txt forbids everything for the time being).
        """
        origin = str(url.origin())
        rules = _kept(origin)
        if rules is None:
            # Not cancelled with the URL that happened to come first: others wait for it, too.
            if origin not in self._asking:
                self._asking[origin] = asyncio.get_running_loop().create_task(self._read(url.origin()))
            rules = await asyncio.shield(self._asking[origin])
        if rules.failure is not None:
            raise SampleError(rules.failure[0], f"robots.txt: {rules.failure[1]}")
        if rules.parsed is not None and not rules.parsed.can_fetch(str(url), self._token):
            raise SampleError("robots", f"{origin}/robots.txt does not allow {self._token} here")

    def close(self) -> None:
        """Let go of what is still being asked."""
        for task in self._asking.values():
            task.cancel()

    async def _read(self, origin: URL) -> Rules:
        try:
            async with asyncio.timeout(PATIENCE_S):
                code, text = await self._ask(origin / "robots.txt")
        except TimeoutError:
            code, text = "deadline", f"not complete after {PATIENCE_S:g} s"
        rules = _rules(code, text)
        _KEPT[str(origin)] = rules
        while len(_KEPT) > MAX_ORIGINS:
            _KEPT.popitem(last=False)
        return rules


def _kept(origin: str) -> Rules | None:
    rules = _KEPT.get(origin)
    return rules if rules is not None and rules.until > time.monotonic() else None


def _rules(code: str | None, text: str) -> Rules:
    until = time.monotonic() + KEPT_S
    if code is None:
        return Rules(Protego.parse(text), None, until)
    # "Unavailable", RFC 9309, 2.3.1.3: there is none, or it cannot be reached by following the rules.
    gone = code.startswith("http_4") and code != "http_429"
    if gone or code in ("too_many_redirects", "not_public", "bad_url", "http_302", "bad_response", "empty"):
        return Rules(None, None, until)
    return Rules(None, (code, text), time.monotonic() + FAILED_S)
