"""Ids that records were given before: which of them repeat a record, and which another record's id.

LLaVA's own files give one picture's id to several dialogues; that is no fault.
"""

from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.grounding.lint_rules import Fault, dialogues, picture_names

_FIELDS = ("id", "picture", "words", "record")
_Places = npt.NDArray[np.int64]


class Ids:
    """Remembers of each record with an id 33 bytes: digests of its id, pictures and turns, its place, its faults."""

    def __init__(self) -> None:
        self._seen = {name: array("q") for name in _FIELDS}
        self._faulty = array("b")

    def add(self, index: int, record: dict[str, Any], faulty: bool) -> None:
        """Remember the record at `index` of the file; one without an id is left."""
        name = record.get("id")
        if not isinstance(name, str | int) or isinstance(name, bool):
            return
        pictures, seen = picture_names(record), self._seen
        try:
            words = hash(tuple([turn.get("value") for _, turns in dialogues(record) for turn in turns]))
        except (TypeError, AttributeError):  # not turns
            words = hash(repr(record.get("conversations")))
        seen["id"].append(hash(f"{type(name).__name__} {name}"))
        seen["picture"].append(hash(str(pictures)) | 1 if pictures else 0)
        seen["words"].append(words)
        seen["record"].append(index)
        self._faulty.append(faulty)

    def repeats(self) -> Iterator[tuple[int, Fault, bool]]:
        """Yield the place of each record that has an id again, in order, the fault, and whether it had another.

        `record_repeated`: any earlier record has its id, pictures and turns. `id_repeated`: the id's first record is
        of another picture, or either has none.
        """
        if not self._faulty:
            return
        ids, pictures, words, record = (np.frombuffer(self._seen[name], np.int64) for name in _FIELDS)
        # Records of one id come together, in them those of one picture and the same turns; each in the file's order.
        order = np.lexsort((words, pictures, ids))
        twin = _firsts(order, ids, pictures, words)
        first = _firsts(np.argsort(ids, kind="stable"), ids)
        place = np.arange(len(ids))
        whole = twin != place
        wrong = whole | ((first != place) & ((pictures != pictures[first]) | (pictures == 0)))
        for at in np.flatnonzero(wrong).tolist():
            other = int(record[twin[at] if whole[at] else first[at]])
            code = "record_repeated" if whole[at] else "id_repeated"
            what = f"as record {other}" + ("" if whole[at] else ", which is another")
            yield int(record[at]), Fault(code, "$.id", None, what), bool(self._faulty[at])


def _firsts(order: _Places, *keys: _Places) -> _Places:
    """Return for each place the first place with the same keys; `order` sorts the places by them, stably."""
    new = np.zeros(len(order), bool)
    new[0] = True
    for key in keys:
        ranked = key[order]
        new[1:] |= ranked[1:] != ranked[:-1]
    starts = np.flatnonzero(new)
    found = np.empty(len(order), np.int64)
    found[order] = order[np.repeat(starts, np.diff(np.append(starts, len(order))))]
    return found
