"""robots.txt of every origin: asked once, kept for a day, obeyed (RFC 9309)."""

import asyncio
import re
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
MAX_KEPT_CHARS = 8 << 20
"""Of the rules of all origins together; parsed they take about fifteen times as much memory."""
PATIENCE_S = 10.0
_AGENT = re.compile(r"user[- ]?agent\s*[:\s]\s*([^\s/]*)", re.IGNORECASE)
_RULE = re.compile(r"(allow|di\w{4,9})\s*[:\s]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rules:
    """What an origin says: rules, none (everything is allowed), or why it could not be asked."""

    parsed: Protego | None = None
    failure: tuple[str, str] | None = None
    until: float = 0.0
    size: int = 0


Ask = Callable[[URL], Awaitable[tuple[str | None, str]]]
"""URL of a robots.txt → (None, its text) or (error code, detail); a code of 4xx means that there is none."""


class Kept:
    """Rules by origin and product token; the oldest give way where there are too many or they are too long."""

    def __init__(self) -> None:
        self._rules: OrderedDict[tuple[str, str], Rules] = OrderedDict()
        self._chars = 0

    def get(self, key: tuple[str, str]) -> Rules | None:
        """Return what is known and not too old."""
        rules = self._rules.get(key)
        return rules if rules is not None and rules.until > time.monotonic() else None

    def put(self, key: tuple[str, str], rules: Rules) -> None:
        """Keep the rules of an origin instead of those it had."""
        before = self._rules.pop(key, None)
        self._rules[key] = rules
        self._chars += rules.size - (before.size if before else 0)
        while len(self._rules) > 1 and (len(self._rules) > MAX_ORIGINS or self._chars > MAX_KEPT_CHARS):
            self._chars -= self._rules.popitem(last=False)[1].size

    def __len__(self) -> int:
        return len(self._rules)


KEPT = Kept()
"""Outlives the shard, since the next shard of this process meets many of the same hosts."""


class Robots:
    """Answers whether one user agent may fetch a URL; many URLs of an origin that come at once ask it once."""

    def __init__(self, user_agent: str, ask: Ask) -> None:
        self._token, self._ask = user_agent.split("/")[0].strip().lower(), ask
        self._asking: dict[str, asyncio.Task[Rules]] = {}

    async def check(self, url: URL) -> None:
        """Return where `url` may be fetched.

        Raises:
            SampleError: `robots`, the origin's robots.txt forbids it; or why it could not be read: such a row may
                pass later (RFC 9309, 2.3.1.4: an unreachable robots.txt forbids everything for the time being).
        """
        origin = str(url.origin()).lower()
        rules = KEPT.get((origin, self._token))
        if rules is None:
            # Not cancelled with the URL that happened to come first: others wait for it, too.
            if origin not in self._asking:
                self._asking[origin] = asyncio.get_running_loop().create_task(self._read(url.origin()))
            rules = await asyncio.shield(self._asking[origin])
        if rules.failure is not None:
            raise SampleError(rules.failure[0], f"robots.txt: {rules.failure[1]}")
        # A server may take `/a/../b` for `/b`: neither spelling may be forbidden.
        spelled = {str(url), str(URL(str(url)))}
        if rules.parsed is not None and not all(rules.parsed.can_fetch(each, self._token) for each in spelled):
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
        rules = _rules(code, text, self._token)
        KEPT.put((str(origin), self._token), rules)
        self._asking.pop(str(origin), None)
        return rules


def _rules(code: str | None, text: str, token: str) -> Rules:
    now = time.monotonic()
    if code is None:
        short = groups(text, token)
        return Rules(Protego.parse(short) if short else None, None, now + KEPT_S, len(short))
    if code == "not_public":  # another catalog of this process may allow that host
        return Rules()
    # "Unavailable", RFC 9309, 2.3.1.3: there is none, or it cannot be reached by following the rules.
    gone = code.startswith(("http_3", "http_4")) and code != "http_429"
    if gone or code in ("too_many_redirects", "bad_url", "bad_response", "empty"):
        return Rules(None, None, now + KEPT_S)
    return Rules(None, (code, text), now + FAILED_S)


def groups(text: str, token: str) -> str:
    """Return the rules of a robots.txt that speak to `token` (lower case) or to everyone; RFC 9309, 2.2.1.

    The others are left out before parsing: many names for many rules would fill the memory. A group ends where a
    name follows a rule; no other line ends it.
    """
    kept: list[str] = []
    ruled = ours = False
    for line in (raw.partition("#")[0].strip() for raw in text.splitlines()):
        if named := _AGENT.match(line):
            name = named[1].lower()
            name = name if name == "*" else name.replace("*", "")
            mine = name in ("*", token)
            ours, ruled = mine or (ours and not ruled), False
            if mine:
                kept.append(f"User-agent: {name}")
        elif _RULE.match(line):
            ruled = True
            if ours:
                kept.append(line)
    return "\n".join(kept)
