"""The alarm: when nothing is reached, a shard must not look like a dataset of dead links."""

import itertools
from collections import Counter

from curate.errors import AlarmError
from curate.io.turns import NETWORK


class Alarm:
    """Rings where `least` URLs of at least `hosts` hosts ended in NETWORK and not a single server was reached.

    One that answers, be it with a 404, shows that there is a network: what is dead then is the links, and the
    catalog's `min_success` judges them. While URLs are under way, up to `concurrency` of them, failures are counted in
    the order in which URLs were begun, as they come sooner than pictures, and so many more are waited for.
    """

    def __init__(self, concurrency: int, least: int = 60, hosts: int = 8) -> None:
        self._patience, self._least, self._enough = least + concurrency, least, hosts
        self._hosts: set[str] = set()
        self._failed: Counter[str] = Counter()
        self._reached = False
        self._begun = itertools.count()
        self._next = 0
        self._early: dict[int, tuple[str, str]] = {}

    def begin(self) -> int:
        """Return the number of a URL that is begun now, for `end`."""
        return next(self._begun)

    def end(self, number: int, host: str, code: str | None) -> None:
        """Count the end of a URL.

        Raises:
            AlarmError: nothing was reached so far.
        """
        if self._reached or code is None or code not in NETWORK:
            self._reached = True
            return
        self._early[number] = (host, code)
        while self._next in self._early:
            host, code = self._early.pop(self._next)
            self._next += 1
            self._hosts.add(host)
            self._failed[code] += 1
        self._ring(self._patience)

    def finish(self) -> None:
        """Say that all URLs ended.

        Raises:
            AlarmError: nothing was reached.
        """
        if not self._reached:
            self._ring(self._least)

    def _ring(self, least: int) -> None:
        failed = self._failed.total()
        if failed >= least and len(self._hosts) >= self._enough:
            causes = ", ".join(f"{cause} {count}" for cause, count in self._failed.most_common())
            raise AlarmError(
                f"alarm: all of {failed} URLs on {len(self._hosts)} hosts failed on the way ({causes}): "
                "is the network up, does the resolver answer? nothing of this shard is committed, run again"
            )
