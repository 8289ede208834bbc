"""A frozen plan read step by step: any step in constant time, on any number of ranks that divides the planned one.

plan = Packs("curated/mixes/demo/3f9a…")
for step in range(resumed_at, plan.steps):
    for pack in plan.packs(step, rank, world):
        ...
"""

from itertools import groupby
from typing import Any

from curate.errors import ConfigError
from curate.io import tables
from curate.io.records import read_json
from curate.mixes.plan_rows import slices

COLUMNS = ("component", "job", "recipe", "dataset", "sample_id", "members", "draw", "rank", "pack", "slot", "offset")
TOKENS = ("n_text_tok", "n_label_tok", "n_img_tok", "n_tiles", "n_images", "cost")
Row = dict[str, Any]


class Packs:
    """The plan in one folder `mixes/MIX/DIGEST`, local or in a store. Raises ShardError where it has no rows."""

    def __init__(self, folder: str) -> None:
        self._folder = folder.rstrip("/")
        facts = read_json(f"{self._folder}/manifest.json")["facts"]
        self.steps: int = facts["steps"]
        self.ranks: int = facts["ranks"]
        self._slices = slices(self._folder)

    def packs(self, step: int, rank: int = 0, world: int | None = None) -> list[list[Row]]:
        """Return the packs of one rank in one step, each a list of rows of MIXED in order of slots.

        A step holds the same packs on every number of ranks; on fewer than planned each does the work of several,
        one after another.

        Raises:
            ConfigError: no such step or rank, or a `world` that does not divide the planned ranks.
        """
        world = self.ranks if world is None else world
        if world < 1 or self.ranks % world:
            raise ConfigError(f"{world} ranks do not divide the {self.ranks} of the plan", hint="a divisor of them")
        if not 0 <= rank < world or not 0 <= step < self.steps:
            raise ConfigError(f"no rank {rank} of {world} or no step {step} of {self.steps}")
        share = self.ranks // world
        rows = [row for row in self._rows(step) if row["rank"] // share == rank]
        return [list(group) for _, group in groupby(rows, key=lambda row: (row["rank"], row["pack"]))]

    def _rows(self, step: int) -> list[Row]:
        columns = (*COLUMNS, *TOKENS)
        if self._slices:
            slices = (f"{self._folder}/packs/{name}" for name in self._slices)
            found = [row for uri in slices for row in tables.rows_where(uri, "step", step, columns)]
            return sorted(found, key=lambda row: (row["rank"], row["pack"], row["slot"]))
        (place,) = tables.iter_rows(f"{self._folder}/steps.parquet", step, 1, ("first_row", "rows"))
        return list(tables.iter_rows(f"{self._folder}/packs.parquet", place["first_row"], place["rows"], columns))
