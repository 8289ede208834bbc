"""The gate of one mix: its lists of benchmarks, what is known of the candidates, and what may still be drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import digests
from curate.catalog import expand
from curate.driver import Driver
from curate.errors import ShardError
from curate.io import storage, tables
from curate.io.image_data import id_joins
from curate.io.warehouse import Warehouse
from curate.layout import facts_file, looks_folder
from curate.mix_job import LISTS, Gate
from curate.plugins import Project
from curate.shards import Phase, shard_name
from curate.stages import foreign, gate, looks, mix
from curate.stages.candidates import Curated
from curate.stages.drawn import Drawn
from curate.stages.eval_lists import EvalList, eval_list_of_dataset, eval_list_of_file
from curate.stages.facts import FACTS, facts_of, pictures_of, with_looks

Source = tuple[str, foreign.File | Curated]
"""What a component is drawn from: its digest, and where it lies."""


@dataclass(frozen=True)
class Gating:
    """The gate `said` of the mix `name`, over the root that `warehouse` shows.

    `pictures` tells how many a file's folder of pictures holds, where they are looked at.
    """

    name: str
    said: Gate
    project: Project
    root: str
    warehouse: Warehouse
    driver: Driver
    pictures: Mapping[str, str]

    @cached_property
    def lists(self) -> tuple[EvalList, ...]:
        """The benchmarks' lists.

        Raises:
            ConfigError: a dataset that was never ingested, a file that is not there or tells no picture.
        """
        return tuple(self._list(place, each) for place, each in enumerate(self.said.against))

    def made_of(self) -> dict[str, str]:
        """Return name → digest of the lists, by content."""
        return {f"gate {each.name}": digests.content_digest(each.table) for each in self.lists}

    def passed(
        self, candidates: Mapping[mix.Part, pa.Table], sources: Mapping[str, Source | Drawn]
    ) -> tuple[dict[mix.Part, pa.Table], dict[str, Any]]:
        """Return the candidates with the gate's reasons, and what it found, as the manifest tells it.

        `sources` has, by component, the digest of what it is drawn from, and where that lies. Of draws of another mix
        the samples are judged, each once: repeats of one are no duplicates.
        """
        facts = {part.name: self._facts(part, sources[part.name]) for part in candidates}
        gone = {part.name: pc.is_valid(table["reason"]).to_numpy() for part, table in candidates.items()}
        nested = {name: each for name, each in sources.items() if isinstance(each, Drawn)}
        gone |= {name: each.gone(gone[name]) for name, each in nested.items()}
        rules = gate.Rules(
            by=self.said.by,
            near=self.said.near,
            mirror=self.said.mirror,
            duplicates=self.said.duplicates,
            near_duplicates=self.said.near_duplicates,
            same_picture=self.said.same_picture,
        )
        joins = id_joins(self._expanded(self.said.joins, "gate.joins")) if self.said.joins else None
        found = gate.gated(facts, self.lists, rules, self.project, joins, gone)
        reasons = {**found.reasons, **{name: each.verdicts(found.reasons[name]) for name, each in nested.items()}}
        kept = {part: _with_reasons(table, reasons[part.name]) for part, table in candidates.items()}
        lists = {each.name: {"rows": each.rows, "unusable": each.unusable} for each in self.lists}
        return kept, {"report": found.report.to_pylist(), "known": found.known, "lists": lists}

    def _list(self, place: int, said: str) -> EvalList:
        if not said.endswith(LISTS):
            return eval_list_of_dataset(self.warehouse, said, self.project)
        return eval_list_of_file(self._expanded(said, f"gate.against[{place}]"), ids=self.said.numbers)

    def _facts(self, part: mix.Part, source: Source | Drawn) -> pa.Table:
        """Return FACTS of a component's candidates; of draws of another mix, of their samples."""
        if isinstance(source, Drawn):
            found = [self._stored(leaf.job, leaf.recipe, leaf.digest, leaf.source) for leaf in source.leaves]
            facts = pa.concat_tables([FACTS.empty_table(), *found]).take(pa.array(source.samples))
        else:
            facts = self._stored(part.job, part.recipe, *source)
        return facts.set_column(0, "place", pa.array(np.arange(facts.num_rows)))

    def _stored(self, job: str, recipe: str, digest: str, source: foreign.File | Curated) -> pa.Table:
        """Return FACTS of all samples of a job or a file, from where they stand already if they do."""
        key = digests.digest_of([digest, recipe, gate.VERSION])[:16]
        path = facts_file(self.root, source.name if isinstance(source, foreign.File) else job, key)
        if not storage.exists(path):
            found = [facts_of(batch, self.project, self.warehouse) for batch in source.all_samples()]
            tables.write_table(path, pa.concat_tables([FACTS.empty_table(), *found]), {})
        facts = tables.read_table(path)
        return with_looks(facts, self._looks(source, digest, facts)) if self._sees(source) else facts

    def _sees(self, source: foreign.File | Curated) -> TypeGuard[foreign.File]:
        """Tell whether the source is a file whose pictures are there, and are to be looked at."""
        if not isinstance(source, foreign.File) or not looks_at_pictures(self.said):
            return False
        return self.pictures.get(source.images, "0") != "0"

    def _looks(self, file: foreign.File, digest: str, facts: pa.Table) -> pa.Table:
        """Return LOOKS of a file's pictures, looked at anew when their folder holds more or fewer.

        Raises:
            ShardError: some could not be looked at.
        """
        key = digests.digest_of([digest, file.images, self.pictures[file.images], looks.AT_ONCE])[:16]
        folder = looks_folder(self.root, file.name, key)
        tasks = looks.tasks(file.name, pictures_of(facts))
        done = self.driver.run(Phase("look", (), partial(looks.build, file.images, folder)), tasks, folder)
        if len(done) < len(tasks):
            said = next((each.error for each in self.driver.failed if each.dataset == file.name), None)
            raise ShardError(f"{file.name}: pictures under {file.images} could not be looked at: {said}")
        found = [tables.read_table(f"{folder}/{shard_name(task.shard)}.parquet", looks.LOOKS.names) for task in tasks]
        return pa.concat_tables([looks.LOOKS.empty_table(), *found])

    def _expanded(self, text: str, where: str) -> str:
        return expand(text, f"jobs/{self.name}.yaml", where)


def looks_at_pictures(said: Gate | None) -> bool:
    """Tell whether a gate reads the pictures of others' files: those are known by their bytes in no other way."""
    return said is not None and not {"sha256", "phash"}.isdisjoint(said.by)


def _with_reasons(table: pa.Table, reasons: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index("reason"), "reason", pc.coalesce(table["reason"], reasons))
