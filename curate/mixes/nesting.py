"""A component that is a mix itself: what that mix draws, measured for the one that draws from it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curate.layout import Layout, mix_folder
from curate.mixes.measuring import Measures, joined
from curate.mixes.merging import Merging
from curate.mixes.plan_rows import sound_files
from curate.results import JobResult
from curate.stages import drawn, foreign, merge, mix
from curate.stages.candidates import Curated
from curate.stages.drawn import Drawn, Leaf, Origin, Shown
from curate.stages.merge import Groups


@dataclass(frozen=True, slots=True)
class Nesting:
    """How one mix measures what others draw; `before` are the results of all jobs below it, those below others too."""

    measures: Measures
    merging: Merging
    before: tuple[JobResult, ...]

    def drawn(self, name: str, made: JobResult) -> Drawn:
        """Return the draws of the plan that was `made` as candidates of the component `name`.

        Lengths are measured where the samples lie at last, or found where they stand already. Conversations stay as
        they are merged, and are counted anew where that mix counts otherwise.

        Raises:
            OutsideError: a sample is not there any more.
            ShardError: some of a job or a file could not be measured, or the plan is not what was packed.
        """
        plan = drawn.draws(sound_files(f"{mix_folder(self.measures.root, made.job)}/{made.digest}"))
        parts = drawn.origins(plan, made.facts["files"])
        leaves = [self._leaf(name, origin, made) for origin, _ in parts]
        tables, shown, draws, samples = [], [], 0, 0
        for leaf, (_, rows) in zip(leaves, parts, strict=True):
            lengths = joined(leaf.lengths)
            mine = plan.take(pa.array(rows))
            shows = drawn.shown(mine, lengths, leaf.job)
            tables.append(self._measured(leaf, mine, lengths, shows, self._counts_alike(made)))
            shown.append(Shown(shows.owner + draws, shows.row + samples))
            draws, samples = draws + mine.num_rows, samples + lengths.num_rows
        number = np.repeat(np.arange(len(parts)), [rows.size for _, rows in parts])
        order = np.concatenate([rows for _, rows in parts])
        again, repeats = drawn.numbered(plan.take(pa.array(order)), number)
        words = [pa.array([getattr(leaf, each) for leaf in leaves], pa.string()) for each in ("job", "recipe")]
        labels = [each.dictionary_encode().take(pa.array(number)) for each in words]
        table = pa.concat_tables(tables)
        for column, values in zip(mix.NESTED, (*labels, pa.array(again), pa.array(repeats)), strict=True):
            table = table.append_column(column, values)
        owner, row = (np.concatenate([getattr(each, which) for each in shown]) for which in ("owner", "row"))
        return Drawn(table, tuple(leaves), Shown(owner, row))

    def _leaf(self, name: str, origin: Origin, made: JobResult) -> Leaf:
        if origin.is_file:
            told = f"{name}/{origin.name}", made.facts["sha256"][origin.name]
            return self._measured_leaf(*told, "", foreign.File(**made.facts["files"][origin.name]))
        (job,) = (each for each in self.before if each.job == origin.name)
        layout = Layout(self.measures.root, job.dataset)
        source = Curated(layout, job.decisions, job.augmented, origin.recipe)
        return self._measured_leaf(job.job, job.digest, origin.recipe, source)

    def _measured_leaf(self, job: str, digest: str, recipe: str, source: foreign.File | Curated) -> Leaf:
        return Leaf(job, recipe, digest, source, tuple(self.measures.of(job, digest, source)))

    def _counts_alike(self, made: JobResult) -> bool:
        """Tell whether the lengths in a plan are what this mix would measure."""
        said = [made.facts.get(each) for each in ("tokens_model", "written", "phrases")]
        return "phrases" in made.facts and said == [
            self.measures.model.identity(),
            self.measures.codec,
            self.measures.phrases,
        ]

    def _measured(self, leaf: Leaf, draws: pa.Table, samples: pa.Table, shows: Shown, is_counted: bool) -> pa.Table:
        """Return draws as rows of `merge.CANDIDATES`, in order; `is_counted` where conversations in them are."""
        told, groups, which = drawn.conversations(draws, samples, shows)
        if told.num_rows and not is_counted:
            told = self._counted(leaf, told, samples, groups)
        place = np.where(which < 0, shows.first(), samples.num_rows + which)
        return pa.concat_tables([merge.replaced(samples), told]).take(pa.array(place))

    def _counted(self, leaf: Leaf, told: pa.Table, samples: pa.Table, groups: Groups) -> pa.Table:
        """Return conversations counted anew; one of a sample that cannot be drawn has that one's reason, and is not."""
        reasons = samples["reason"].take(pa.array(groups.rows)).to_pylist()
        whys = {number: why for number, why in zip(groups.number.tolist(), reasons, strict=True) if why is not None}
        refused = np.isin(np.arange(told.num_rows), list(whys))
        left = told.filter(pa.array(refused))
        why = pa.array([whys[number] for number in np.flatnonzero(refused).tolist()], pa.string())
        left = left.set_column(left.column_names.index("reason"), "reason", why)
        sound = groups.where(~refused)
        if not sound.rows.size:
            return left
        counted = self.merging.counted(leaf.job, leaf.recipe, leaf.source, samples, sound)
        order = np.argsort(np.argsort(~refused, kind="stable"))
        return pa.concat_tables([left, counted]).take(pa.array(order))
