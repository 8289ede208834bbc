"""A mix of more candidates than one machine holds: counted slice by slice, planned at once, placed slice by slice."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import digests
from curate.driver import Driver
from curate.errors import ShardError
from curate.io import storage, tables
from curate.kernels import placement, token_count
from curate.kernels.packing import Limits, Packing, unit_of
from curate.layout import placed_file
from curate.mix_job import MixJob
from curate.quotas import Budget, Wish, quotas
from curate.shards import Phase, ShardTask
from curate.stages import mix, place
from curate.stages.loads import Loads

ROWS = 100_000_000
"""Candidates from which on a mix is placed whatever its packers are; 1 GB of the driver's memory holds some million."""


LINE = 2048
"""Units of a pack that lengths are told apart by: of 4,096 tokens two, which costs 0.06 % of them."""


def is_wanted(job: MixJob, rows: int) -> bool:
    """Tell whether a mix of so many candidates is placed."""
    return rows >= ROWS or job.pack.by == (placement.NAME,)


@dataclass(frozen=True, slots=True)
class Made:
    """A plan that is written: its draws, candidates left out by reason, what it achieves, and digests of its files."""

    samples: int
    dropped: dict[str, int]
    facts: dict[str, Any]
    contents: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Placing:
    """The mix `name` on its way into `folder`; `hidden` is the width of the model that costs are counted for."""

    name: str
    digest: str
    recipe: mix.Recipe
    budget: Budget | None
    hidden: int
    folder: str
    driver: Driver

    def run(self, files: Mapping[mix.Part, Sequence[str]]) -> Made:
        """Count, plan and place the candidates whose lengths are in `files`, by component.

        Raises:
            ShardError: a component has nothing to draw or too little, or a slice could not be placed.
        """
        limits = self.recipe.limits
        files = dict(sorted(files.items(), key=lambda each: each[0].name))  # the order in the recipe says nothing
        slices = [each for number, part in enumerate(files) for each in place.slices(part, number, files[part])]
        found = [place.census(each, limits) for each in slices]
        shelves = self._planned(list(files), slices, found, limits)
        before = np.zeros_like(shelves.have)
        tasks = []
        for number, (each, counted) in enumerate(zip(slices, found, strict=True)):
            here = place.Slice(each.part, each.component, each.files, tuple(before[each.component].tolist()))
            tasks.append(ShardTask(self.name, number, None, here))
            np.add.at(before[each.component], shelves.klass(counted.sizes), counted.counts)
        config = place.Placing(self.folder, self.name, self.digest, limits, shelves)
        done = self.driver.run(Phase("place", (), partial(place.build, config)), tasks, f"{self.folder}/packs")
        if len(done) < len(tasks):
            said = next((each.error for each in self.driver.failed if each.dataset == self.name), None)
            raise ShardError(f"{len(tasks) - len(done)} of {len(tasks)} slices could not be placed: {said}")
        return self._told([placed_file(self.folder, task.shard) for task in tasks], shelves)

    def _planned(
        self, parts: list[mix.Part], slices: list[place.Slice], found: list[place.Census], limits: Limits
    ) -> placement.Shelves:
        room = place.capacity(limits)
        counts = [(each.component, one.sizes, one.counts) for each, one in zip(slices, found, strict=True)]
        whole = placement.histogram(counts, len(parts), len(room))
        tokens = np.zeros(len(parts), np.int64)
        np.add.at(tokens, [each.component for each in slices], [one.tokens for one in found])
        sizes = whole.counts.sum(axis=1).tolist()
        wishes = [
            Wish(part.name, size, held, part.epochs, part.samples, part.weight, part.max_epochs, part.family)
            for part, size, held in zip(parts, sizes, tokens.tolist(), strict=True)
        ]
        try:
            wanted = quotas(wishes, self.budget)
        except ValueError as error:
            raise ShardError(f"{self.name}: {error}; curate report shows what was left out") from error
        cost = token_count.cost(self.hidden, whole.sizes[:, 0] * limits.align).astype(np.float64)
        steps = (self.recipe.ranks, self.recipe.per_rank)
        draws = np.array([wanted[part.name] for part in parts], np.int64)
        return placement.shelved(whole, draws, room, unit_of(whole.sizes, room, LINE), cost, steps, self.recipe.seed)

    def _told(self, files: list[str], shelves: placement.Shelves) -> Made:
        """Sum what stands in the files; write the steps beside them."""
        batch = shelves.ranks * shelves.per_rank
        loads = Loads(-(-shelves.plan.total // batch), shelves.ranks)
        dropped: Counter[str] = Counter()
        contents, sums = {}, [mix.COMPONENTS.empty_table()]
        for number, file in enumerate(files):
            rows = tables.read_table(file)
            loads.add(rows)
            sums.append(mix.components(rows))
            contents[f"packs/{number:05d}"] = digests.columns_digest(rows)
            for told in rows["reason"].drop_null().value_counts().to_pylist():
                dropped[told["values"]] += told["counts"]
        by_component = (
            pa.concat_tables(sums)
            .group_by("component")
            .aggregate([(name, "sum") for name in mix.COMPONENTS.names[1:]])
            .rename_columns(mix.COMPONENTS.names)
            .sort_by("component")
        )
        steps = loads.table(self.name, self.digest)
        tables.write_table(f"{self.folder}/steps.parquet", steps, {"curate.mix": self.digest})
        samples, total = (pc.sum(by_component[name]).as_py() or 0 for name in ("samples", "tokens"))
        there = storage.list_names(f"{self.folder}/packs", ".parquet")
        if samples != shelves.draws().sum() or len(there) != len(files):
            raise ShardError(f"slices of another run are among these: remove {self.folder}/packs and run again")
        bound = max(shelves.bound, -(-total // self.recipe.limits.tokens))
        none = np.zeros(0, np.int64)
        found = Packing(none, none, placement.NAME, {placement.NAME: shelves.plan.total}, bound)
        facts = mix.achieved(found, samples, total, self.recipe) | loads.balance(batch)
        components = {row.pop("component"): row for row in by_component.to_pylist()}
        facts |= {"near_pictures": 0, "components": components, "rows": samples, "gate": {}}
        return Made(samples, dict(sorted(dropped.items())), facts, contents)
