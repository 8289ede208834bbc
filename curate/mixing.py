"""A job that mixes: measure the components, draw, pack, lay out, and freeze the plan with its manifest."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate import inventory, plugins, schema
from curate.catalog import expand
from curate.export_job import Export
from curate.gating import Gating
from curate.grounding.resolve import Policy
from curate.io import storage, tables
from curate.io.records import read_json
from curate.io.warehouse import Warehouse, read_sql
from curate.kernels.packing import Limits
from curate.layout import measured_file, mix_folder
from curate.manifest import Books, Manifest
from curate.merging import Merging
from curate.mix_job import Component, MixJob, component_job
from curate.plugins import Project, sql_report
from curate.quotas import Budget, Wish, quotas
from curate.results import JobResult, Listener, StageBooks
from curate.schema import digest_of
from curate.shards import ShardReport
from curate.stages import foreign, lengths, measure, mix
from curate.stages.export import codec_of
from curate.views import open_root


@dataclass(frozen=True)
class Mixing:
    """One mix on its way: what it says, and the results of the jobs that it draws from."""

    name: str
    job: MixJob
    project: Project
    root: str
    parents: tuple[JobResult, ...]

    def run(self, listener: Listener) -> JobResult:
        """Draw, pack and lay out, unless the very same plan stands already.

        Raises:
            ConfigError: a file of records is not there.
            ShardError: a component has nothing to draw, or too little for what it must give.
        """
        for error in inventory.missing(inventory.inventory(self.name, self.job)):
            raise error
        folder = f"{mix_folder(self.root, self.name)}/{self.digest}"
        done = all(storage.exists(f"{folder}/{name}") for name in ("steps.parquet", "packs.parquet", "manifest.json"))
        listener.phase("mix", self.name, 1, int(done), None)
        if not done:
            started = time.monotonic()
            draws = self._build(folder)
            listener.shard(ShardReport(self.name, 0, True, draws, seconds=time.monotonic() - started))
        return self._result(read_json(f"{folder}/manifest.json"))

    @cached_property
    def digest(self) -> str:
        """What names the plan: the recipe, the seed, the token model, and what is drawn from, by content."""
        said = self.job.model_dump(exclude={"export", "pictures"})
        return digest_of([said, self._written, self._tokens.identity(), sorted(self._made_of.items())])[:16]

    @cached_property
    def _made_of(self) -> dict[str, str]:
        """Name → digest of the jobs and of the files that are drawn from."""
        jobs = {parent.job: parent.digest for parent in self.parents}
        files = {name: foreign.digest(file.uri) for name, file in self._files.items()}
        return {**jobs, **files, **(self._gate.made_of() if self._gate else {})}

    @cached_property
    def _warehouse(self) -> Warehouse:
        return open_root(self.root, self.project, empty=True)

    @cached_property
    def _gate(self) -> Gating | None:
        said = self.job.gate
        return Gating(self.name, said, self.project, self.root, self._warehouse) if said else None

    @cached_property
    def _written(self) -> tuple[str, Policy | None]:
        """The codec in which lengths are measured, and which of overlapping phrases it writes."""
        export = self.job.export or Export.model_validate({"as": "llava_json"})
        return codec_of(export, self.project), export.phrases

    @cached_property
    def _tokens(self) -> measure.TokenModel:
        return lengths.token_model(self.job.tokens)

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

    def _expanded(self, text: str | None, where: str) -> str:
        return expand(text or "", f"jobs/{self.name}.yaml", where)

    def _build(self, folder: str) -> int:
        """Measure, draw, pack, lay out and commit; return the number of draws."""
        job = self.job
        limits = Limits(job.pack.length, job.pack.tiles, job.pack.samples, job.pack.align)
        recipe = mix.Recipe(limits, job.pack.by, **job.layout.model_dump(), seed=job.seed)
        parts = [_part(name, component) for name, component in job.mix.items()]
        candidates = {part: mix.without_room(self._measured(part), limits) for part in parts}
        gated: dict[str, Any] = {}
        if self._gate:
            candidates, gated = self._gate.passed(candidates, {part.name: self._source(part) for part in parts})
        candidates, merged = self._merged(candidates, limits)
        budget = Budget(**job.budget.model_dump()) if job.budget else None
        draws = mix.drawn(candidates, budget, job.seed)
        packed, facts = mix.planned(draws, recipe, self.name, self.digest)
        tables.write_table(f"{folder}/steps.parquet", mix.steps_of(packed, recipe), {"curate.mix": self.digest})
        tables.write_table(f"{folder}/packs.parquet", packed, {"curate.mix": self.digest})
        manifest = Manifest(
            name=self.name,
            plan=self.digest,
            books=_books(packed),
            shards={"packs": schema.columns_digest(packed)},
            parents=self._made_of,
            facts={
                **facts,
                "tokens_model": self._tokens.identity(),
                "components": _components(packed, _wanted(candidates, budget), merged),
                "rows": mix.sample_rows(packed),
                "gate": gated,
                "files": {name: asdict(file) for name, file in self._files.items()},
            },
        )
        manifest.books.balance()
        storage.write_bytes(f"{folder}/manifest.json", manifest.to_json())
        return int(packed.num_rows)

    def _merged(
        self, candidates: Mapping[mix.Part, pa.Table], limits: Limits
    ) -> tuple[dict[mix.Part, pa.Table], dict[str, dict[str, int]]]:
        """Return the candidates, those of one picture as conversations, and by component how many became how many."""
        room = min(self.job.tokens.max, limits.tokens // limits.align * limits.align)
        merging = Merging(self.project, self.root, self._warehouse, self.job.tokens, self._written, room, self.job.seed)
        passed = {part: merging.passed(part, table, *self._source(part)) for part, table in candidates.items()}
        return {part: table for part, (table, _) in passed.items()}, {
            part.name: told for part, (_, told) in passed.items()
        }

    def _source(self, part: mix.Part) -> tuple[str, foreign.File | None]:
        """Return the digest of what a component is drawn from, and its file where it is one."""
        file = self._files.get(part.name)
        return self._made_of[part.name if file else part.job], file

    def _measured(self, part: mix.Part) -> pa.Table:
        """Return the lengths of a component's candidates, from where they stand already if they do."""
        source, file = self._source(part)
        how = [asdict(file)] if file else [part.job, part.recipe]
        key = digest_of([source, *how, self._written, self._tokens.identity(), lengths.VERSION])[:16]
        path = measured_file(self.root, part.name if file else part.job, key)
        if not storage.exists(path):
            codec, count = plugins.load("codecs", self._written[0], self.project), lengths.counter(self.job.tokens)
            found = (
                foreign.measured(foreign.Reading(file, self._reader(file), codec), self._tokens, count)
                if file
                else self._of_job(part, codec, count)
            )
            table = lengths.sidecar(found, part.job, part.recipe, self._written[0], self._tokens)
            tables.write_table(path, table, {})
        return tables.read_table(path, [name for name in schema.LENGTHS.names if name not in lengths.LABELS])

    def _of_job(self, part: mix.Part, codec: ModuleType, count: measure.Count) -> Iterator[pa.Table]:
        sql = read_sql(sql_report("component", self.project))
        for rows in self._warehouse.batches(sql, {"job": part.job, "recipe": part.recipe}):
            yield measure.measured(rows, codec, self._tokens, count, self._written[1])

    def _reader(self, file: foreign.File) -> ModuleType:
        return plugins.load("codecs", file.codec, self.project)

    def _result(self, manifest: dict[str, Any]) -> JobResult:
        books = manifest["books"]
        rows = StageBooks(self.name, "mix", books["ok"], books["kept"], books["dropped"])
        complete = all(parent.complete for parent in self.parents)
        return JobResult(self.name, "mix", "", self.digest, "", "", complete, (rows,), manifest["facts"])


def _part(name: str, component: Component) -> mix.Part:
    said = component.model_dump(exclude={"from_", "derived", "codec", "images"})
    job = component.from_ if component.is_file() else component_job(component.from_)
    return mix.Part(name, job, component.derived or "", **said)


def _books(packed: pa.Table) -> Books:
    told = packed["reason"].drop_null().value_counts().to_pylist()
    dropped = {each["values"]: each["counts"] for each in sorted(told, key=lambda each: str(each["values"]))}
    return Books(packed.num_rows, packed.num_rows, {}, packed.num_rows - sum(dropped.values()), dropped)


def _wanted(candidates: Mapping[mix.Part, pa.Table], budget: Budget | None) -> dict[str, int]:
    """Return component → the draws that the recipe asks for, as if no candidate were left out and no bound held."""
    wishes = []
    for part, table in candidates.items():
        usable = table.select(["n_text_tok", "n_img_tok"]).filter(pc.is_null(table["reason"]))
        tokens = pc.sum(pc.add(usable["n_text_tok"], usable["n_img_tok"])).as_py() or 0
        counted = budget is None or part.epochs is not None or part.samples is not None
        size = table.num_rows if counted else usable.num_rows
        tokens = round(tokens / max(usable.num_rows, 1) * size)
        wishes.append(Wish(part.name, size, tokens, part.epochs, part.samples, part.weight))
    try:
        return quotas(wishes, budget and replace(budget, families=None))
    except ValueError:  # all candidates together would outgrow the budget
        return {}


def _components(
    packed: pa.Table, wanted: Mapping[str, int], merged: Mapping[str, dict[str, int]]
) -> dict[str, dict[str, int]]:
    """Return component → samples wanted (where that is known) and drawn, their tokens, candidates left out, and where
    it merges the candidates merged and the conversations that they became.
    """
    fits = pc.is_null(packed["reason"])
    tokens = pc.if_else(fits, pc.add(packed["n_text_tok"], packed["n_img_tok"]), 0)
    table = pa.table({"component": packed["component"], "fits": pc.cast(fits, pa.int64()), "tokens": tokens})
    sums = table.group_by("component").aggregate([("fits", "sum"), ("tokens", "sum"), ("fits", "count")]).to_pylist()
    return {
        row["component"]: {
            **({"wanted": wanted[row["component"]]} if row["component"] in wanted else {}),
            "samples": row["fits_sum"],
            "tokens": row["tokens_sum"],
            "left_out": row["fits_count"] - row["fits_sum"],
            **merged[row["component"]],
        }
        for row in sorted(sums, key=lambda row: str(row["component"]))
    }
