"""Things that share any of several keys are one: numbers for such groups."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]


def linked(count: int, keys: Sequence[Places]) -> Places:
    """Return for each of `count` things, shape (n,), the lowest place that it is linked with, its own if none.

    Each of `keys` has shape (n,) too; things of equal key are linked, and so is what is linked with either; below 0
    is no key. The lowest label spreads and chains are cut short as in Zhang, Azad, Buluç, "Parallel algorithms for
    finding connected components using linear algebra", 2020: a long chain takes few rounds. Raises ValueError for
    keys of another length.
    """
    if any(len(key) != count for key in keys):
        raise ValueError(f"keys of {sorted({len(key) for key in keys})} entries for {count} things")
    label = np.arange(count)
    shared = [(np.flatnonzero(key >= 0), np.unique(key[key >= 0], return_inverse=True)[1]) for key in keys]
    while True:
        before = label.copy()
        for places, group in shared:
            lowest = np.full(int(group.max(initial=-1)) + 1, count)
            np.minimum.at(lowest, group, label[places])
            np.minimum.at(label, label[places], lowest[group])
            label[places] = np.minimum(label[places], lowest[group])
        label = label[label]
        if np.array_equal(label, before):
            return label
