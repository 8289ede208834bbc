"""The merging of one mix: what its components' samples say, read again where they become one conversation."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate import digests, plugins, schema
from curate.errors import SampleError
from curate.grounding import dialogue
from curate.grounding.resolve import Policy
from curate.grounding.templates import template
from curate.io import storage, tables
from curate.io.warehouse import Warehouse, read_sql
from curate.kernels import token_count
from curate.layout import merged_file
from curate.mix_job import Tokens
from curate.plugins import Project
from curate.stages import foreign, lengths, measure, merge, mix
from curate.stages.candidates import Curated
from curate.stages.merge import Groups, Member

_MEMBERS = pa.schema([("sample_id", pa.string()), ("conversation", pa.int64()), ("place", pa.int64())])


@dataclass(frozen=True)
class Merging:
    """How one mix merges, over the root that `warehouse` shows.

    `written` is the codec in which lengths are measured and which of overlapping phrases it writes, `room` the tokens
    of a conversation at most.
    """

    project: Project
    root: str
    warehouse: Warehouse
    tokens: Tokens
    written: tuple[str, Policy | None]
    room: int
    seed: int

    def passed(
        self, part: mix.Part, candidates: pa.Table, digest: str, source: foreign.File | Curated
    ) -> tuple[pa.Table, dict[str, int]]:
        """Return a component's candidates, those of one picture as conversations, and how many became how many.

        `candidates` has the columns of LENGTHS that are no labels; `digest` is of what it is drawn from, `source` where
        that lies.

        Raises:
            OutsideError: a member is not there any more.
        """
        if part.merge is None:
            return merge.replaced(candidates), {}
        file = source if isinstance(source, foreign.File) else None
        groups = merge.grouped(candidates, part.merge, self.room, self._shared, self.seed)
        wanted = _wanted(candidates, groups)
        how = [asdict(file)] if file else [part.job, part.recipe]
        said = [digest, *how, merge.VERSION, self.written, self._model.identity(), self.room]
        key = digests.digest_of([*said, digests.columns_digest(wanted)])[:16]
        path = merged_file(self.root, part.name if file else part.job, key)
        if not storage.exists(path):
            read = self._read(part.job, part.recipe, candidates, source)
            found = merge.fitted(candidates, groups, self.room, self._model, self._count, read)
            tables.write_table(path, found, {})
        conversations = tables.read_table(path)
        members = pc.sum(pc.list_value_length(conversations["members"])).as_py() or 0
        return merge.replaced(candidates, conversations), {"merged": members, "conversations": conversations.num_rows}

    def counted(
        self, job: str, recipe: str, source: foreign.File | Curated, samples: pa.Table, groups: Groups
    ) -> pa.Table:
        """Return conversations of samples as they are, with their lengths: rows of `merge.CANDIDATES` in order.

        `samples` are all of the job or the file, as in LENGTHS; those that are members have no reason.

        Raises:
            OutsideError: a member is not there any more.
        """
        return merge.counted(samples, groups, self._model, self._count, self._read(job, recipe, samples, source))

    @cached_property
    def _model(self) -> measure.TokenModel:
        return lengths.token_model(self.tokens)

    @cached_property
    def _count(self) -> measure.Count:
        return lengths.counter(self.tokens)

    @cached_property
    def _shared(self) -> int:
        return merge.shared_tokens(template(self.tokens.template), self._count)

    def _read(self, job: str, recipe: str, candidates: pa.Table, source: foreign.File | Curated) -> merge.Read:
        if isinstance(source, foreign.File):
            return self._of_file(source, candidates)
        return self._of_job(job, recipe, candidates)

    def _of_job(self, job: str, recipe: str, candidates: pa.Table) -> merge.Read:
        """Return what reads the samples of a job, in the order of their conversations."""
        sql = read_sql(plugins.files(self.project, "sql/merge", ".sql")["members"])
        codec = plugins.load("codecs", self.written[0], self.project)

        def read(groups: Groups) -> Iterator[Member]:
            self.warehouse.add("members", _wanted(candidates, groups), _MEMBERS)
            for rows in self.warehouse.batches(sql, {"job": job, "recipe": recipe}):
                numbers = rows["conversation"].to_pylist()
                for number, sample in zip(numbers, schema.from_table(rows), strict=True):
                    turns = dialogue.turns_of(sample, codec.encode, self.written[1])
                    yield Member(number, turns, (sample.images[0].width, sample.images[0].height))

        return read

    def _of_file(self, file: foreign.File, candidates: pa.Table) -> merge.Read:
        """Return what reads the records of a file, one by one at their places."""
        reader, writer = (plugins.load("codecs", name, self.project) for name in (file.codec, self.written[0]))
        reading, sized = foreign.Reading(file, reader, writer), token_count.MODELS[self.tokens.model].sized

        def read(groups: Groups) -> Iterator[Member]:
            rows = candidates.select(["record_offset", "record_bytes"]).take(pa.array(groups.rows))
            places = zip(groups.number.tolist(), *(column.to_pylist() for column in rows.columns), strict=True)
            for number, offset, size in places:
                try:
                    told = reading.dialogue(reading.at(offset, size), sized)
                except SampleError:  # its picture is gone since it was measured
                    yield Member(number, (), (1, 1))
                else:
                    yield Member(number, told.turns, (told.pictures[0].width, told.pictures[0].height))

        return read


def _wanted(candidates: pa.Table, groups: Groups) -> pa.Table:
    """Return the members of conversations in order: `sample_id`, `conversation`, `place`."""
    place = np.arange(groups.rows.size) - groups.starts()[groups.number]
    ids = candidates["sample_id"].take(pa.array(groups.rows))
    return pa.table([ids, groups.number, place], schema=_MEMBERS)
