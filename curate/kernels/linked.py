"""Things that share a key are one: numbers for such groups."""

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]


def linked(count: int, things: Places, keys: Places) -> Places:
    """Return for each of `count` things, shape (n,), the lowest thing that it is linked with, itself if with none.

    Thing `things[i]` has the key `keys[i]` (from 0 up, in any order); both have shape (m,), and a thing may have
    several. Things with a key in common are linked, and so is whatever is linked with either. The lowest label spreads
    and chains are cut short as in Zhang, Azad, Buluç, "Parallel algorithms for finding connected components using
    linear algebra", 2020: a long chain takes few rounds. Raises ValueError for arrays of unequal length.
    """
    if len(things) != len(keys):
        raise ValueError(f"{len(keys)} keys of {len(things)} things")
    label = np.arange(count)
    groups = int(keys.max(initial=-1)) + 1
    while True:
        before = label.copy()
        lowest = np.full(groups, count)
        np.minimum.at(lowest, keys, label[things])
        np.minimum.at(label, label[things], lowest[keys])
        label = label[label]
        if np.array_equal(label, before):
            return label
