"""A job that mixes: measure the components, draw, pack, and freeze the packs with their manifest."""

import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from curate import plugins, schema
from curate.io import storage, tables
from curate.io.records import read_json
from curate.io.warehouse import Warehouse, read_sql
from curate.job import MixJob, component_job
from curate.layout import mix_folder
from curate.manifest import Books, Manifest
from curate.plugins import Project, sql_report
from curate.results import JobResult, Listener, StageBooks
from curate.schema import digest_of
from curate.shards import ShardReport
from curate.stages import mix
from curate.views import open_root


@dataclass(frozen=True, slots=True)
class Mixing:
    """One mix on its way: what it says, and the results of the jobs that it draws from."""

    name: str
    job: MixJob
    project: Project
    root: str
    parents: tuple[JobResult, ...]

    def run(self, listener: Listener) -> JobResult:
        """Draw and pack, unless the very same packs stand already.

        Raises:
            ConfigError: a component has nothing to draw.
        """
        codec = self.job.export.codec if self.job.export else "asv2"
        said = self.job.model_dump(exclude={"export"})
        digest = digest_of([said, codec, sorted((parent.job, parent.digest) for parent in self.parents)])[:16]
        folder = f"{mix_folder(self.root, self.name)}/{digest}"
        done = all(storage.exists(f"{folder}/{name}") for name in ("packs.parquet", "manifest.json"))
        listener.phase("mix", self.name, 1, int(done), None)
        if not done:
            started = time.monotonic()
            draws = self._build(codec, digest, folder)
            listener.shard(ShardReport(self.name, 0, True, draws, seconds=time.monotonic() - started))
        return self._result(digest, read_json(f"{folder}/manifest.json"))

    def _build(self, codec: str, digest: str, folder: str) -> int:
        """Measure, draw, pack and commit; return the number of draws."""
        tokens = self.job.tokens
        recipe = mix.Recipe(tokens.model, tokens.tokenizer, tokens.max, self.job.pack.length, self.job.seed)
        count, module = mix.tokenizer(tokens.tokenizer), plugins.load("codecs", codec, self.project)
        warehouse = open_root(self.root, self.project)
        draws = []
        for name, component in self.job.mix.items():
            part = mix.Part(
                name, component_job(component.from_), component.derived or "", component.epochs, component.samples
            )
            candidates = mix.measured(self._candidates(warehouse, part), module, recipe, count)
            draws.append(mix.drawn(part, candidates, self.job.seed))
        warehouse.close()
        packed, facts = mix.packed(pa.concat_tables(draws), recipe, self.name, digest)
        tables.write_table(f"{folder}/packs.parquet", packed, {"curate.mix": digest})
        manifest = Manifest(
            name=self.name,
            plan=digest,
            books=_books(packed),
            shards={"packs": schema.content_digest(packed)},
            parents={parent.job: parent.digest for parent in self.parents},
            facts={**facts, "tokens_model": tokens.model_dump(), "components": _components(packed)},
        )
        manifest.books.balance()
        storage.write_bytes(f"{folder}/manifest.json", manifest.to_json())
        return int(packed.num_rows)

    def _candidates(self, warehouse: Warehouse, part: mix.Part) -> pa.Table:
        sql = read_sql(sql_report("component", self.project))
        return warehouse.table(sql, {"job": part.job, "recipe": part.recipe})

    def _result(self, digest: str, manifest: dict[str, Any]) -> JobResult:
        books = manifest["books"]
        rows = StageBooks(self.name, "mix", books["ok"], books["kept"], books["dropped"])
        complete = all(parent.complete for parent in self.parents)
        return JobResult(self.name, "mix", "", digest, "", "", complete, (rows,), manifest["facts"])


def _books(packed: pa.Table) -> Books:
    reasons = [reason for reason in packed["reason"].to_pylist() if reason is not None]
    dropped = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    return Books(packed.num_rows, packed.num_rows, {}, packed.num_rows - len(reasons), dropped)


def _components(packed: pa.Table) -> dict[str, dict[str, int]]:
    """Return component → samples drawn, their tokens, and how many candidates were left out."""
    out: dict[str, dict[str, int]] = {}
    columns = (packed[name].to_pylist() for name in ("component", "n_text_tok", "n_img_tok", "reason"))
    for component, text, image, reason in zip(*columns, strict=True):
        row = out.setdefault(component, {"samples": 0, "tokens": 0, "left_out": 0})
        row["left_out" if reason else "samples"] += 1
        row["tokens"] += 0 if reason else text + image
    return dict(sorted(out.items()))
