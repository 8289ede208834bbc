"""The alarm: when nearly everything fails for want of a network, a shard must not look like a dataset of dead links."""

import itertools
from collections import Counter

from curate.errors import AlarmError
from curate.io.turns import NETWORK


class Alarm:
    """Counts how URLs end; rings once `least` of them, of at least `hosts` hosts, ended, `share` of them in NETWORK.

    They are counted in the order in which they were begun: failures come sooner than pictures, and would else be
    nearly all that ended so far, though half of the web answers.
    """

    def __init__(self, least: int = 60, hosts: int = 8, share: float = 0.97) -> None:
        self._least, self._enough, self._share = least, hosts, share
        self._hosts: set[str] = set()
        self._ended = 0
        self._failed: Counter[str] = Counter()
        self._begun = itertools.count()
        self._next = 0
        self._early: dict[int, tuple[str, str | None]] = {}

    def begin(self) -> int:
        """Return the number of a URL that is begun now, for `end`."""
        return next(self._begun)

    def end(self, number: int, host: str, code: str | None) -> None:
        """Count the end of a URL once all that were begun before it ended, too; raises as `note` does."""
        self._early[number] = (host, code)
        while self._next in self._early:
            self._next += 1
            self.note(*self._early.pop(self._next - 1))

    def note(self, host: str, code: str | None) -> None:
        """Count the end of the next URL.

        Raises:
            AlarmError: nearly all of them failed before a server said anything.
        """
        self._ended += 1
        self._hosts.add(host)
        if code is not None and code in NETWORK:
            self._failed[code] += 1
        failed = self._failed.total()
        if self._ended >= self._least and len(self._hosts) >= self._enough and failed >= self._share * self._ended:
            causes = ", ".join(f"{cause} {count}" for cause, count in self._failed.most_common())
            raise AlarmError(
                f"alarm: {failed} of {self._ended} URLs on {len(self._hosts)} hosts failed on the way ({causes}): "
                "is the network up, does the resolver answer? nothing of this shard is committed, run again"
            )
