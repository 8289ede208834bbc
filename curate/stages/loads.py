"""What each rank has to do in each step of a plan, summed over its rows wherever they lie."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate import schema

Ints = npt.NDArray[np.int64]

COLUMNS = ("step", "rank", "slot", "n_text_tok", "n_img_tok", "cost")


class Loads:
    """Sums over rows of MIXED, given table by table, of so many steps on so many ranks."""

    def __init__(self, steps: int, ranks: int) -> None:
        self._ranks = ranks
        self._rows, self._packs = np.zeros(steps, np.int64), np.zeros(steps, np.int64)
        self._tokens, self._cost = np.zeros(steps * ranks, np.int64), np.zeros(steps * ranks, np.int64)

    def add(self, rows: pa.Table) -> None:
        """Add rows that have COLUMNS; those without a step count for nothing."""
        placed = rows.select(COLUMNS).filter(pc.is_valid(rows["step"]))
        step, rank, slot, text, image, cost = (np.asarray(placed[name], np.int64) for name in COLUMNS)
        np.add.at(self._rows, step, 1)
        np.add.at(self._packs, step, slot == 0)
        np.add.at(self._tokens, step * self._ranks + rank, text + image)
        np.add.at(self._cost, step * self._ranks + rank, cost)

    def table(self, mix: str, digest: str) -> pa.Table:
        """Return the rows of STEPS: where each step lies among the rows in order, and how its ranks are loaded."""
        steps = len(self._rows)
        tokens, cost = self._tokens.reshape(steps, self._ranks), self._cost.reshape(steps, self._ranks)
        columns = {
            "mix": pa.array([mix] * steps, pa.string()),
            "digest": pa.array([digest] * steps, pa.string()),
            "step": np.arange(steps),
            "first_row": np.cumsum(self._rows) - self._rows,
            "rows": self._rows,
            "packs": self._packs,
            "tokens": tokens.sum(axis=1),
            "busiest_tokens": tokens.max(axis=1, initial=0),
            "cost": cost.sum(axis=1),
            "busiest_cost": cost.max(axis=1, initial=0),
        }
        return pa.table(columns).cast(schema.STEPS)

    def balance(self, packs: int) -> dict[str, float]:
        """Return the mean over steps of so many packs of the busiest rank's load over the mean one's; 1.0 for none."""
        whole = self._packs == packs
        told = {}
        for name, load in (("token_balance", self._tokens), ("cost_balance", self._cost)):
            each = load.reshape(len(whole), self._ranks)[whole]
            told[name] = float((each.max(axis=1) / each.mean(axis=1)).mean()) if len(each) else 1.0
        return told
