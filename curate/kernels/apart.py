"""An order in which one picture does not come back for some steps."""

import heapq
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]


def apart(order: Places, picture: Places, steps: int, batch: int) -> tuple[Places, int]:
    """Return the draws of `order` so that two of one picture stand `steps` * `batch` places apart or more.

    `order` holds draws, shape (n,), and `picture[draw]` the number of a draw's picture, below 0 for none. The number
    is that of draws that still stand nearer than that behind the last of their picture. What comes too soon waits
    until its picture may come again; what then finds no room before the end is called earlier in the same way, from
    the end on; all else keeps its order. Where that is not enough but another order is, the pictures with the most
    draws left go first, and the old order decides among equals; so none is too near wherever none needs be. A
    picture with more draws than there is room for stays as it is. The same input gives the same order.

    Raises ValueError for negative `steps` or a `batch` below 1.
    """
    if steps < 0 or batch < 1:
        raise ValueError(f"{steps} steps of {batch}")
    gap, shown = steps * batch, _repeated(picture[order], steps * batch)
    places, left = np.arange(len(order)), too_near(shown, gap)
    ways: list[Callable[[], Places]] = [
        lambda: _deferred(shown, gap),
        lambda: _reversed(places, shown, gap),
        lambda: _spread(shown, gap),
    ]
    for way in ways[: 3 if _has_room(shown, gap) else 2]:
        if left:
            moved = way()
            still = too_near(shown[moved], gap)
            places, left = (moved, still) if still < left else (places, left)
    return order[places], too_near(picture[order[places]], gap)


def too_near(shown: Places, gap: int) -> int:
    """Return how many of the pictures shown, shape (n,), come again within `gap` places; below 0 is none."""
    places = np.flatnonzero(shown >= 0)
    places = places[np.argsort(shown[places], kind="stable")]
    again = shown[places[1:]] == shown[places[:-1]]
    return int((again & (np.diff(places) < gap)).sum())


def _repeated(shown: Places, gap: int) -> Places:
    """Return the pictures, -1 for those that come but once, or too often for this room."""
    _, where, counts = np.unique(shown, return_inverse=True, return_counts=True)
    movable = (counts > 1) & ((counts - 1) * gap < len(shown))
    return np.where(movable[where] & (shown >= 0), shown, -1)


def _has_room(shown: Places, gap: int) -> bool:
    """Tell whether any order keeps all apart: those with the most draws need a gap behind each but the last."""
    counts = np.unique(shown[shown >= 0], return_counts=True)[1]
    most = int(counts.max(initial=0))
    return most == 0 or (most - 1) * gap + int((counts == most).sum()) <= len(shown)


def _deferred(shown: Places, gap: int) -> Places:
    """Return the places in the order in which each comes as soon as it may."""
    free: dict[int, int] = {}  # picture → the first place where it may come again
    passed: dict[int, deque[int]] = {}  # picture → its places that were passed over, never none
    waiting: list[tuple[int, int]] = []  # (free, picture) of those, one each
    out: list[int] = []

    def come() -> None:
        number = heapq.heappop(waiting)[1]
        queue = passed[number]
        free[number] = len(out) + gap
        out.append(queue.popleft())
        if queue:
            heapq.heappush(waiting, (free[number], number))
        else:
            del passed[number]

    for place, number in enumerate(shown.tolist()):
        while waiting and waiting[0][0] <= len(out):
            come()
        if number < 0:
            out.append(place)
        elif number in passed:
            passed[number].append(place)
        elif free.get(number, 0) <= len(out):
            free[number] = len(out) + gap
            out.append(place)
        else:
            passed[number] = deque((place,))
            heapq.heappush(waiting, (free[number], number))
    while waiting:
        come()
    return np.array(out, np.int64)


def _reversed(places: Places, shown: Places, gap: int) -> Places:
    """Return an order of places again deferred, from its end to its beginning."""
    backwards = places[::-1]
    return backwards[_deferred(shown[backwards], gap)][::-1]


def _spread(shown: Places, gap: int) -> Places:
    """Return the places in an order that takes, of the pictures that may come, the one with the most draws left.

    That keeps all apart wherever any order does; what comes but once fills the room between.
    """
    rest: dict[int, deque[int]] = {}
    for place, number in enumerate(shown.tolist()):
        rest.setdefault(number, deque()).append(place)
    filling = iter(rest.pop(-1, ()))
    ready = [(-len(places), places[0], number) for number, places in rest.items()]
    heapq.heapify(ready)
    resting: deque[tuple[int, int]] = deque()  # (free, picture), soonest first
    out: list[int] = []
    while ready or resting or len(out) < len(shown):
        while resting and resting[0][0] <= len(out):
            number = resting.popleft()[1]
            heapq.heappush(ready, (-len(rest[number]), rest[number][0], number))
        if ready:
            number = heapq.heappop(ready)[2]
            if len(rest[number]) > 1:
                resting.append((len(out) + gap, number))
            out.append(rest[number].popleft())
        elif (filler := next(filling, None)) is not None:
            out.append(filler)
        else:  # nothing may come: it was not to be had
            number = resting.popleft()[1]
            heapq.heappush(ready, (-len(rest[number]), rest[number][0], number))
    return np.array(out, np.int64)
