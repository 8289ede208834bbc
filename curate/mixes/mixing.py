"""A job that mixes: measure the components, draw, pack, lay out, and freeze the plan with its manifest."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate import digests
from curate.digests import digest_of
from curate.driver import Driver
from curate.errors import ShardError
from curate.io import storage, tables
from curate.io.records import MANIFEST, read_json, write_json
from curate.io.warehouse import Warehouse
from curate.kernels.packing import Limits
from curate.kernels.token_count import MODELS
from curate.layout import mix_folder
from curate.manifest import Books, Manifest
from curate.mix_job import MixJob
from curate.mixes import inventory, placing, tally
from curate.mixes.components import Components
from curate.mixes.gating import Gating
from curate.mixes.measuring import Measures, joined
from curate.mixes.merging import Merging
from curate.mixes.mix_checks import unplaceable
from curate.mixes.nesting import Nesting
from curate.plugins import Project
from curate.quotas import Budget
from curate.results import JobResult, StageBooks
from curate.shards import ShardReport
from curate.stages import lengths, measure, mix
from curate.stages.drawn import Leaf
from curate.stages.loads import Loads
from curate.views import open_root


@dataclass(frozen=True)
class Mixing:
    """One mix on its way: what it says, and the results of the jobs that it draws from."""

    name: str
    job: MixJob
    project: Project
    root: str
    parents: tuple[JobResult, ...]
    driver: Driver

    def run(self) -> JobResult:
        """Draw, pack and lay out, unless the very same plan stands already.

        Raises:
            ConfigError: a file of records is not there.
            ShardError: a component has nothing to draw, or too little for what it must give.
        """
        for error in inventory.missing(inventory.files(self.name, self.job)):
            raise error
        folder = f"{mix_folder(self.root, self.name)}/{self.digest}"
        if self._stands(folder):
            self.driver.listener.phase("mix", self.name, 1, 1, None)
            self.driver.resumed += 1
            self._moved(folder)
        else:
            self._make(folder)
            self.driver.done += 1
        return self._result(read_json(f"{folder}/manifest.json", MANIFEST))

    def _stands(self, folder: str) -> bool:
        """Tell whether the plan is written, with all of its files."""
        if not storage.exists(f"{folder}/manifest.json"):
            return False
        shards = read_json(f"{folder}/manifest.json", MANIFEST)["shards"]
        return all(storage.exists(f"{folder}/{name}.parquet") for name in ("steps", *shards))

    def _make(self, folder: str) -> None:
        jobs = (part for part in self._from.parts if part not in self._from.mixes)
        files = {part: self._measures.of(part.job, *self._from.source(part)) for part in jobs}
        counts = {part.name: sum(map(tables.parquet_rows, each)) for part, each in files.items()}
        counts |= {part.name: made.facts["samples"] for part, made in self._from.mixes.items()}
        is_placed = placing.is_wanted(self.job, sum(counts.values()))
        self._commit(folder, self._placed(folder, files) if is_placed else self._packed(folder, files), counts)

    def _moved(self, folder: str) -> None:
        """Write where files and pictures lie now into the manifest of a plan that does not depend on that."""
        manifest = read_json(f"{folder}/manifest.json", MANIFEST)
        files = {name: asdict(file) for name, file in self._from.all_files.items()}
        if manifest["facts"].get("files") != files:
            told = {**manifest, "facts": {**manifest["facts"], "files": files}}
            write_json(f"{folder}/manifest.json", told)

    @cached_property
    def digest(self) -> str:
        """What names the plan: the recipe, the seed, the token model, and what is drawn from, by content.

        With a gate the order of components counts too: of duplicates the first one's stays.
        """
        said = [self.job.model_dump(exclude={"export", "pictures"}), list(self.job.mix) if self.job.gate else ()]
        return digest_of([said, self._from.written, self._tokens.identity(), sorted(self._made_of.items())])[:16]

    @cached_property
    def _made_of(self) -> dict[str, str]:
        """Name → digest of all that the plan is made of."""
        return self._from.digests | (self._gate.made_of() if self._gate else {})

    @cached_property
    def _from(self) -> Components:
        return Components(self.name, self.job, self.project, self.root, self.parents)

    @cached_property
    def _warehouse(self) -> Warehouse:
        return open_root(self.root, self.project, empty=True)

    @cached_property
    def _gate(self) -> Gating | None:
        said = self.job.gate
        if said is None:
            return None
        return Gating(self.name, said, self.project, self.root, self._warehouse, self.driver, self._from.pictures)

    @cached_property
    def _budget(self) -> Budget | None:
        return Budget(**self.job.budget.model_dump()) if self.job.budget else None

    @cached_property
    def _recipe(self) -> mix.Recipe:
        pack, layout = self.job.pack, self.job.layout
        limits = Limits(pack.length, pack.tiles, pack.samples, pack.align)
        return mix.Recipe(limits, pack.by, **layout.model_dump(), seed=self.job.seed)

    @cached_property
    def _tokens(self) -> measure.TokenModel:
        return lengths.token_model(self.job.tokens)

    @cached_property
    def _measures(self) -> Measures:
        said = (*self._from.written, self.job.tokens, self._tokens)
        return Measures(*said, self.project, self.root, self.driver, self._from.pictures)

    def _placed(self, folder: str, files: Mapping[mix.Part, Sequence[str]]) -> placing.Made:
        """Place slice by slice; what only a look at all candidates can do is refused.

        Raises:
            ConfigError: the mix asks for that.
        """
        for error in unplaceable(Path(f"jobs/{self.name}.yaml"), self.job, [part.name for part in self._from.mixes]):
            raise error
        hidden = MODELS[self.job.tokens.model].hidden
        return placing.Placing(self.name, self.digest, self._recipe, self._budget, hidden, folder, self.driver).run(
            files
        )

    def _packed(self, folder: str, files: Mapping[mix.Part, Sequence[str]]) -> placing.Made:
        """Draw, pack and lay out in this process's memory."""
        recipe = self._recipe
        nesting = Nesting(self._measures, self._merging, self.parents)
        nested = {part: nesting.drawn(part.name, made) for part, made in self._from.mixes.items()}
        found = {part: nested[part].table if part in nested else joined(files[part]) for part in self._from.parts}
        candidates = {part: mix.without_room(table, recipe.limits) for part, table in found.items()}
        gated: dict[str, Any] = {}
        if self._gate:
            leaves = {part: Leaf(part.job, part.recipe, *self._from.source(part), tuple(files[part])) for part in files}
            sources = {part.name: nested[part] if part in nested else leaves[part] for part in candidates}
            candidates, gated = self._gate.passed(candidates, sources)
        started = time.monotonic()
        self.driver.listener.phase("mix", self.name, 1, 0, None)
        candidates, merged = self._merged(candidates)
        try:
            tally.check_some(candidates)
            draws = mix.drawn(candidates, self._budget, recipe.seed)
        except ShardError as error:
            raise ShardError(f"{self.name}: {error}") from error
        packed, facts = mix.planned(draws, recipe, self.name, self.digest)
        loads = Loads(facts["steps"], recipe.ranks)
        loads.add(packed)
        steps = loads.table(self.name, self.digest)
        tables.write_table(f"{folder}/steps.parquet", steps, {"curate.mix": self.digest})
        tables.write_table(f"{folder}/packs.parquet", packed, {"curate.mix": self.digest})
        drawn = tally.drawn(mix.components(packed), tally.wanted(candidates, self._budget), merged)
        facts |= loads.balance(recipe.ranks * recipe.per_rank)
        facts |= {"components": drawn, "rows": mix.sample_rows(packed), "gate": gated}
        rows = sum(table.num_rows for table in found.values())
        self.driver.listener.shard(ShardReport(self.name, 0, True, rows, seconds=time.monotonic() - started))
        return placing.Made(facts["samples"], tally.dropped(packed), facts, {"packs": digests.columns_digest(packed)})

    def _commit(self, folder: str, made: placing.Made, candidates: Mapping[str, int]) -> None:
        """Write the manifest, by whose appearance the plan stands, once every candidate is accounted for.

        `candidates` counts those of each component, before any is left out, bounded or merged.
        """
        read = made.samples + sum(made.dropped.values())
        manifest = Manifest(
            name=self.name,
            plan=self.digest,
            books=Books(read, read, {}, made.samples, made.dropped),
            shards=dict(made.contents),
            parents=self._made_of,
            facts={
                **made.facts,
                "candidates": dict(candidates),
                "tokens_model": self._tokens.identity(),
                "files": {name: asdict(file) for name, file in self._from.all_files.items()},
                "sha256": self._from.sha256,
                "written": self._from.written[0],
                "phrases": self._from.written[1],
            },
        )
        manifest.books.balance()
        storage.write_bytes(f"{folder}/manifest.json", manifest.to_json())

    @cached_property
    def _merging(self) -> Merging:
        pack = self.job.pack
        room = min(self.job.tokens.max, pack.length // pack.align * pack.align)
        return Merging(
            self.project, self.root, self._warehouse, self.job.tokens, self._from.written, room, self.job.seed
        )

    def _merged(
        self, candidates: Mapping[mix.Part, pa.Table]
    ) -> tuple[dict[mix.Part, pa.Table], dict[str, dict[str, int]]]:
        """Return the candidates, those of one picture as conversations, and by component how many became how many."""
        out, told = dict(candidates), {part.name: dict[str, int]() for part in candidates}
        for part in (part for part in candidates if part not in self._from.mixes):
            out[part], told[part.name] = self._merging.passed(part, candidates[part], *self._from.source(part))
        return out, told

    def _result(self, manifest: dict[str, Any]) -> JobResult:
        books = manifest["books"]
        rows = StageBooks(self.name, "mix", books["ok"], books["kept"], books["dropped"])
        complete = all(parent.complete for parent in self._from.jobs)
        return JobResult(self.name, "mix", "", self.digest, "", "", complete, (rows,), manifest["facts"])
