"""The gate of one mix: its lists of benchmarks, what is known of the candidates, and what may still be drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import PurePosixPath
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import digests
from curate.catalog import expand
from curate.driver import Driver
from curate.io import caches, storage, tables
from curate.io.image_data import id_joins
from curate.io.warehouse import Warehouse
from curate.layout import facts_folder, looks_folder
from curate.mix_job import LISTS, Gate
from curate.plugins import Project
from curate.shards import Phase, ShardTask, shard_name
from curate.stages import foreign, gate, looks, mix, recognise
from curate.stages.candidates import Curated
from curate.stages.drawn import Drawn, Leaf
from curate.stages.eval_lists import EvalList, eval_list_of_dataset, eval_list_of_file
from curate.stages.facts import FACTS, pictures_of, with_looks


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
        """The benchmarks' lists; how many of their rows tell no picture is noted.

        Raises:
            ConfigError: a dataset that was never ingested, a file that is not there or tells no picture.
        """
        found = tuple(self._list(place, each) for place, each in enumerate(self.said.against))
        for each in found:
            if each.unusable:
                self.driver.listener.note(
                    f"gate: {each.unusable:,} of {each.rows:,} rows of {each.name} tell no picture"
                )
        return found

    def made_of(self) -> dict[str, str]:
        """Return name → digest of the lists, by content."""
        lists = {f"gate {each.name}": digests.content_digest(each.table) for each in self.lists}
        return lists | ({"gate joins": foreign.digest(self._joins)} if self._joins else {})

    def passed(
        self, candidates: Mapping[mix.Part, pa.Table], sources: Mapping[str, Leaf | Drawn]
    ) -> tuple[dict[mix.Part, pa.Table], dict[str, Any]]:
        """Return the candidates with the gate's reasons, and what it found, as the manifest tells it.

        `sources` has, by component, what it is drawn from. Of draws of another mix the samples are judged, each once:
        repeats of one are no duplicates.

        Raises:
            ShardError: some candidates or pictures could not be looked at.
        """
        facts = {part.name: self._facts(sources[part.name]) for part in candidates}
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
        joins = id_joins(self._joins) if self._joins else None
        found = gate.gated(facts, self.lists, rules, self.project, joins, gone)
        reasons = {**found.reasons, **{name: each.verdicts(found.reasons[name]) for name, each in nested.items()}}
        kept = {part: _with_reasons(table, reasons[part.name]) for part, table in candidates.items()}
        lists = {each.name: {"rows": each.rows, "unusable": each.unusable} for each in self.lists}
        return kept, {"report": found.report.to_pylist(), "known": found.known, "lists": lists}

    def _list(self, place: int, said: str) -> EvalList:
        if not said.endswith(LISTS):
            return eval_list_of_dataset(self.warehouse, said, self.project)
        return eval_list_of_file(self._expanded(said, f"gate.against[{place}]"), ids=self.said.numbers)

    def _facts(self, source: Leaf | Drawn) -> pa.Table:
        """Return FACTS of a component's candidates; of draws of another mix, of their samples."""
        if isinstance(source, Drawn):
            found = [self._of_all(leaf) for leaf in source.leaves]
            facts = pa.concat_tables([FACTS.empty_table(), *found]).take(pa.array(source.samples))
        else:
            facts = self._of_all(source)
        return facts.set_column(0, "place", pa.array(np.arange(facts.num_rows)))

    def _of_all(self, leaf: Leaf) -> pa.Table:
        """Return FACTS of all samples of a job or a file."""
        source = leaf.source
        name = source.name if isinstance(source, foreign.File) else leaf.job
        tasks = [ShardTask(name, _shard_of(uri), tables.parquet_rows(uri), uri) for uri in leaf.lengths]
        key = digests.digest_of([leaf.digest, leaf.recipe, gate.VERSION, [task.rows for task in tasks]])[:16]
        folder = facts_folder(self.root, name, key)
        build = partial(recognise.build, recognise.Recognising(folder, source, self.project))
        facts = self._run(Phase("recognise", (), build), tasks, folder, FACTS)
        if not self._sees(source):
            return facts
        key = digests.digest_of([leaf.digest, source.images, self.pictures[source.images], looks.AT_ONCE])[:16]
        folder = looks_folder(self.root, name, key)
        build = partial(looks.build, source.images, folder)
        seen = self._run(Phase("look", (), build), looks.tasks(name, pictures_of(facts)), folder, looks.LOOKS)
        return with_looks(facts, seen)

    def _run(self, phase: Phase, tasks: Sequence[ShardTask], folder: str, schema: pa.Schema) -> pa.Table:
        """Return what a phase wrote of all tasks, those of earlier runs too, in their order.

        Raises:
            ShardError: one failed.
        """
        names = {f"{shard_name(task.shard)}.parquet": task.shard for task in tasks}
        there = [name for name in storage.list_names(folder, ".parquet") if name in names]
        strange = {names[name] for name in there if not caches.stands(f"{folder}/{name}")}
        self.driver.run_all(phase, tasks, folder, strange)
        found = [tables.read_table(f"{folder}/{shard_name(task.shard)}.parquet", schema.names) for task in tasks]
        return pa.concat_tables([schema.empty_table(), *found])

    def _sees(self, source: foreign.File | Curated) -> TypeGuard[foreign.File]:
        """Tell whether the source is a file whose pictures are there, and are to be looked at."""
        if not isinstance(source, foreign.File) or not self.said.reads_pictures():
            return False
        return self.pictures.get(source.images, "0") != "0"

    @cached_property
    def _joins(self) -> str:
        return self._expanded(self.said.joins or "", "gate.joins")

    def _expanded(self, text: str, where: str) -> str:
        return expand(text, f"jobs/{self.name}.yaml", where)


def _shard_of(uri: str) -> int:
    return int(PurePosixPath(uri).stem)


def _with_reasons(table: pa.Table, reasons: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index("reason"), "reason", pc.coalesce(table["reason"], reasons))
