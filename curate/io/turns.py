"""Whose turn it is among the hosts: never too many requests at once, never too soon, none to a host that is down."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

NETWORK = frozenset({"dns", "connect", "tls", "deadline", "host_down"})
"""Ends of a URL that say nothing of the URL: the host, or the way to it, is down."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One URL that may be fetched now; `down` says that its host is given up and nothing is to be asked."""

    host: str
    index: int
    url: str
    down: bool


class Turns:
    """Hosts one after another, at most `per_host` turns of one host held at once, `per_host_rate` begun a second.

    Whoever takes a turn gives it back with the code that its URL ended with; the host goes to the end while it has
    URLs left. So no slot is ever spent on waiting for a busy host, and when no host is ready or will be, nothing is
    left that a worker could do. After `host_failures` URLs in a row that ended in NETWORK a host is given up;
    0 gives none up. With `knock` a host has one turn until it answered: one that is silent holds no more slots.
    """

    def __init__(
        self,
        urls: Sequence[str],
        host_of: Callable[[str], str],
        per_host: int,
        per_host_rate: float | None = None,
        host_failures: int = 0,
        knock: bool = False,
    ) -> None:
        self._urls, self._limit = urls, host_failures
        self._pause_s = 1.0 / per_host_rate if per_host_rate else 0.0
        self._left: dict[str, deque[int]] = {}
        for index, text in enumerate(urls):
            self._left.setdefault(host_of(text), deque()).append(index)
        first = 1 if knock else per_host
        self._ready = deque(host for turn in range(first) for host, left in self._left.items() if len(left) > turn)
        more = {host: min(per_host, len(left)) - first for host, left in self._left.items()}
        self._silent = {host: count for host, count in more.items() if count > 0}
        """Hosts that did not answer yet, and how many turns they then have beside their first."""
        self._stirred = asyncio.Event()
        self._resting: list[tuple[float, int, str]] = []  # a heap of (until when, number, host)
        self._number = itertools.count()
        self._next: dict[str, float] = {}
        self._failed: dict[str, int] = {}

    async def take(self) -> Turn | None:
        """Return the next turn, after a rest where no host may be asked yet; None when nothing is left to take."""
        now = asyncio.get_running_loop().time
        while True:
            while self._resting and self._resting[0][0] <= now():
                self._ready.append(heapq.heappop(self._resting)[2])
            while self._ready:
                turn = self._turn(self._ready.popleft(), now())
                if turn is not None:
                    return turn
            if not self._resting and not self._silent:
                return None
            self._stirred.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._resting[0][0] if self._resting else None):
                    await self._stirred.wait()

    def answered(self, host: str) -> None:
        """Say that a host answers, so that it may have all its turns."""
        if more := self._silent.pop(host, 0):
            self._ready.extend([host] * more)
            self._stirred.set()

    def give_back(self, turn: Turn, code: str | None) -> None:
        """Say how the URL of a turn ended, and let the host have its turn again."""
        self._failed[turn.host] = self._failed.get(turn.host, 0) + 1 if code in NETWORK else 0
        self._ready.append(turn.host)
        if code not in NETWORK:
            self.answered(turn.host)

    def _turn(self, host: str, now: float) -> Turn | None:
        if not self._left[host]:
            return None
        down = 0 < self._limit <= self._failed.get(host, 0)
        if not down and self._pause_s:
            may = self._next.get(host, now)
            if may > now:
                heapq.heappush(self._resting, (may, next(self._number), host))
                return None
            self._next[host] = now + self._pause_s
        index = self._left[host].popleft()
        if not self._left[host] and self._silent.pop(host, 0):
            self._stirred.set()  # nothing is left to wait for
        return Turn(host, index, self._urls[index], down)
