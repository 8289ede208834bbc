"""A job that mixes: measure the components, draw, pack, lay out, and freeze the plan with its manifest."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from curate import digests, inventory, mix_facts, placing
from curate.catalog import expand
from curate.digests import digest_of
from curate.driver import Driver
from curate.export_job import Export
from curate.gating import Gating, looks_at_pictures
from curate.grounding.resolve import Policy
from curate.io import folders, storage, tables
from curate.io.records import read_json
from curate.io.warehouse import Warehouse
from curate.kernels.packing import Limits
from curate.kernels.token_count import MODELS
from curate.layout import Layout, mix_folder
from curate.manifest import Books, Manifest
from curate.measuring import Measures, joined
from curate.merging import Merging
from curate.mix_checks import unplaceable
from curate.mix_job import Component, MixJob, component_job, jobs_below
from curate.nesting import Nesting
from curate.plugins import Project
from curate.quotas import Budget
from curate.results import JobResult, StageBooks
from curate.shards import ShardReport
from curate.stages import foreign, lengths, measure, mix
from curate.stages.candidates import Curated
from curate.stages.drawn import Leaf
from curate.stages.export import codec_of
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
        done = storage.exists(f"{folder}/manifest.json")
        if done:
            shards = read_json(f"{folder}/manifest.json")["shards"]
            done = all(storage.exists(f"{folder}/{name}.parquet") for name in ("steps", *shards))
        if not done:
            jobs = (part for part in self._parts if part not in self._mixes)
            files = {part: self._measures.of(part.job, *self._source(part)) for part in jobs}
            counts = {part.name: sum(map(tables.parquet_rows, each)) for part, each in files.items()}
            counts |= {part.name: made.facts["samples"] for part, made in self._mixes.items()}
            rows = sum(counts.values())
            made = self._placed(folder, files) if placing.is_wanted(self.job, rows) else self._packed(folder, files)
            self._commit(folder, made, counts)
        else:
            self.driver.listener.phase("mix", self.name, 1, 1, None)
        return self._result(read_json(f"{folder}/manifest.json"))

    @cached_property
    def digest(self) -> str:
        """What names the plan: the recipe, the seed, the token model, and what is drawn from, by content.

        With a gate the order of components counts too: of duplicates the first one's stays.
        """
        said = [self.job.model_dump(exclude={"export", "pictures"}), list(self.job.mix) if self.job.gate else ()]
        return digest_of([said, self._written, self._tokens.identity(), sorted(self._made_of.items())])[:16]

    @cached_property
    def _made_of(self) -> dict[str, str]:
        """Name → digest of the jobs and of the files that are drawn from; a file may be called as a job is.

        Pictures of files count where it depends on them which records can be drawn.
        """
        jobs = {parent.job: parent.digest for parent in self._direct}
        files = {f"file {name}": foreign.digest(file.uri) for name, file in self._files.items()}
        pictures = {
            f"pictures of {name}": self._pictures[file.images]
            for name, file in self._all_files.items()
            if file.images in self._pictures
        }
        return jobs | files | pictures | (self._gate.made_of() if self._gate else {})

    @cached_property
    def _direct(self) -> list[JobResult]:
        """The jobs that components name, of all that ran before: those below them are in their digests."""
        return [parent for parent in self.parents if parent.job in jobs_below(self.job)]

    @cached_property
    def _mixes(self) -> dict[mix.Part, JobResult]:
        """Component → what it draws from, where that is a mix."""
        made = {parent.job: parent for parent in self._direct if parent.kind == "mix"}
        return {part: made[part.job] for part in self._parts if part.name not in self._files and part.job in made}

    @cached_property
    def _warehouse(self) -> Warehouse:
        return open_root(self.root, self.project, empty=True)

    @cached_property
    def _gate(self) -> Gating | None:
        said = self.job.gate
        if said is None:
            return None
        return Gating(self.name, said, self.project, self.root, self._warehouse, self.driver, self._pictures)

    @cached_property
    def _parts(self) -> tuple[mix.Part, ...]:
        return tuple(_part(name, component) for name, component in self.job.mix.items())

    @cached_property
    def _budget(self) -> Budget | None:
        return Budget(**self.job.budget.model_dump()) if self.job.budget else None

    @cached_property
    def _recipe(self) -> mix.Recipe:
        pack, layout = self.job.pack, self.job.layout
        limits = Limits(pack.length, pack.tiles, pack.samples, pack.align)
        return mix.Recipe(limits, pack.by, **layout.model_dump(), seed=self.job.seed)

    @cached_property
    def _written(self) -> tuple[str, Policy | None]:
        """The codec in which lengths are measured, and which of overlapping phrases it writes."""
        export = self.job.export or Export.model_validate({"as": "llava_json"})
        return codec_of(export, self.project), export.phrases

    @cached_property
    def _tokens(self) -> measure.TokenModel:
        return lengths.token_model(self.job.tokens)

    @cached_property
    def _measures(self) -> Measures:
        said = (*self._written, self.job.tokens, self._tokens)
        return Measures(*said, self.project, self.root, self.driver, self._pictures)

    @cached_property
    def _files(self) -> dict[str, foreign.File]:
        """Component → its file, where it is one."""
        root = self.job.pictures.root if self.job.pictures else None
        return {
            name: foreign.File(
                name,
                self._expanded(part.from_, f"mix.{name}.from"),
                part.codec or self._written[0],
                self._expanded(part.images or root, f"mix.{name}.images"),
            )
            for name, part in self.job.mix.items()
            if part.is_file()
        }

    @cached_property
    def _pictures(self) -> dict[str, str]:
        """Folder of a file's pictures → how many there are, where they are looked at."""
        seen = MODELS[self.job.tokens.model].sized or looks_at_pictures(self.job.gate)
        asked = {file.images for file in self._all_files.values() if seen or file.codec != self._written[0]}
        return {images: str(folders.count_pictures(images) or 0) for images in asked - {""}}

    def _expanded(self, text: str | None, where: str) -> str:
        return expand(text or "", f"jobs/{self.name}.yaml", where)

    def _placed(self, folder: str, files: Mapping[mix.Part, Sequence[str]]) -> placing.Made:
        """Place slice by slice; what only a look at all candidates can do is refused.

        Raises:
            ConfigError: the mix asks for that.
        """
        for error in unplaceable(Path(f"jobs/{self.name}.yaml"), self.job, [part.name for part in self._mixes]):
            raise error
        hidden = MODELS[self.job.tokens.model].hidden
        return placing.Placing(self.name, self.digest, self._recipe, self._budget, hidden, folder, self.driver).run(
            files
        )

    def _packed(self, folder: str, files: Mapping[mix.Part, Sequence[str]]) -> placing.Made:
        """Draw, pack and lay out in this process's memory."""
        recipe = self._recipe
        nesting = Nesting(self._measures, self._merging, self.parents)
        nested = {part: nesting.drawn(part.name, made) for part, made in self._mixes.items()}
        found = {part: nested[part].table if part in nested else joined(files[part]) for part in self._parts}
        candidates = {part: mix.without_room(table, recipe.limits) for part, table in found.items()}
        gated: dict[str, Any] = {}
        if self._gate:
            leaves = {part: Leaf(part.job, part.recipe, *self._source(part), tuple(files[part])) for part in files}
            sources = {part.name: nested[part] if part in nested else leaves[part] for part in candidates}
            candidates, gated = self._gate.passed(candidates, sources)
        started = time.monotonic()
        self.driver.listener.phase("mix", self.name, 1, 0, None)
        candidates, merged = self._merged(candidates)
        mix_facts.check_some(candidates)
        draws = mix.drawn(candidates, self._budget, recipe.seed)
        packed, facts = mix.planned(draws, recipe, self.name, self.digest)
        loads = Loads(facts["steps"], recipe.ranks)
        loads.add(packed)
        steps = loads.table(self.name, self.digest)
        tables.write_table(f"{folder}/steps.parquet", steps, {"curate.mix": self.digest})
        tables.write_table(f"{folder}/packs.parquet", packed, {"curate.mix": self.digest})
        components = mix_facts.components(mix.components(packed), mix_facts.wanted(candidates, self._budget), merged)
        facts |= loads.balance(recipe.ranks * recipe.per_rank)
        facts |= {"components": components, "rows": mix.sample_rows(packed), "gate": gated}
        rows = sum(table.num_rows for table in found.values())
        self.driver.listener.shard(ShardReport(self.name, 0, True, rows, seconds=time.monotonic() - started))
        return placing.Made(
            facts["samples"], mix_facts.dropped(packed), facts, {"packs": digests.columns_digest(packed)}
        )

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
                "files": {name: asdict(file) for name, file in self._all_files.items()},
                "sha256": {name: self._made_of[f"file {name}"] for name in self._files} | self._below("sha256"),
                "written": self._written[0],
                "phrases": self._written[1],
            },
        )
        manifest.books.balance()
        storage.write_bytes(f"{folder}/manifest.json", manifest.to_json())

    @cached_property
    def _merging(self) -> Merging:
        pack = self.job.pack
        room = min(self.job.tokens.max, pack.length // pack.align * pack.align)
        return Merging(self.project, self.root, self._warehouse, self.job.tokens, self._written, room, self.job.seed)

    def _merged(
        self, candidates: Mapping[mix.Part, pa.Table]
    ) -> tuple[dict[mix.Part, pa.Table], dict[str, dict[str, int]]]:
        """Return the candidates, those of one picture as conversations, and by component how many became how many."""
        out, told = dict(candidates), {part.name: dict[str, int]() for part in candidates}
        for part in (part for part in candidates if part not in self._mixes):
            out[part], told[part.name] = self._merging.passed(part, candidates[part], *self._source(part))
        return out, told

    def _source(self, part: mix.Part) -> tuple[str, foreign.File | Curated]:
        """Return the digest of what a component is drawn from, and where that lies."""
        if file := self._files.get(part.name):
            return self._made_of[f"file {part.name}"], file
        (made,) = (parent for parent in self.parents if parent.job == part.job)
        layout = Layout(self.root, made.dataset)
        return made.digest, Curated(layout, made.decisions, made.augmented, part.recipe)

    @cached_property
    def _all_files(self) -> dict[str, foreign.File]:
        """Component → its file, and those of mixes below, see `_below`."""
        return self._files | {name: foreign.File(**said) for name, said in self._below("files").items()}

    def _below(self, fact: str) -> dict[str, Any]:
        """Return what the mixes below say of each of their files, by component and file: `outer/inner`."""
        made = {part.name: made.facts[fact].items() for part, made in self._mixes.items()}
        return {f"{name}/{file}": said for name, files in made.items() for file, said in files}

    def _result(self, manifest: dict[str, Any]) -> JobResult:
        books = manifest["books"]
        rows = StageBooks(self.name, "mix", books["ok"], books["kept"], books["dropped"])
        complete = all(parent.complete for parent in self._direct)
        facts = manifest["facts"] | {"files": {name: asdict(file) for name, file in self._all_files.items()}}
        return JobResult(self.name, "mix", "", self.digest, "", "", complete, (rows,), facts)


def _part(name: str, component: Component) -> mix.Part:
    said = component.model_dump(exclude={"from_", "derived", "codec", "images"})
    job = component.from_ if component.is_file() else component_job(component.from_)
    return mix.Part(name, job, component.derived or "", **said)
