"""The lengths of a mix's components, measured shard by shard on whatever runs the job, once for each way to measure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from curate import digests, schema
from curate.driver import Driver
from curate.errors import ShardError
from curate.grounding.resolve import Policy
from curate.io import caches, storage, tables
from curate.layout import lengths_folder
from curate.mix_job import Tokens
from curate.plugins import Project
from curate.shards import Phase, ShardTask, shard_name
from curate.stages import file_parts, foreign, lengths, measure
from curate.stages.candidates import Curated

PART_BYTES = 32 << 20
"""Of a file of others, measured at a time: some ten thousand records."""


@dataclass(frozen=True, slots=True)
class Measures:
    """How a mix measures: the codec in which samples are written, which phrases of those that overlap, and tokens.

    `pictures` tells how many a file's folder of pictures holds, where lengths depend on them: when that changes, the
    parts are measured again that lacked some.
    """

    codec: str
    phrases: Policy | None
    tokens: Tokens
    model: measure.TokenModel
    project: Project
    root: str
    driver: Driver
    pictures: Mapping[str, str]

    def of(self, job: str, digest: str, source: foreign.File | Curated) -> list[str]:
        """Return the files of the lengths of a job's or a file's candidates, in order; `digest` is of those.

        Raises:
            ShardError: a shard or a part could not be measured, or a file breaks off.
        """
        if isinstance(source, foreign.File):
            return self._of_file(digest, source)
        config = self._config(job, source.recipe, digest, [job, source.recipe])
        tasks = [ShardTask(job, shard, None, None) for shard in source.shards()]
        return self._run(config, partial(lengths.of_job, source), tasks)

    def _of_file(self, digest: str, file: foreign.File) -> list[str]:
        config = self._config(file.name, "", digest, [asdict(file)], self.pictures.get(file.images, ""))
        parts = file_parts.parts(file.uri, PART_BYTES)
        tasks = [ShardTask(file.name, number, None, part) for number, part in enumerate(parts)]
        opened = partial(lengths.of_file, file, self.project)
        found = self._run(config, opened, tasks)
        wrong = file_parts.recut(file.uri, parts, [file_parts.stretch(_records(each)) for each in found])
        if wrong:
            tasks = [replace(task, work=wrong.get(task.shard, task.work)) for task in tasks]
            found = self._run(config, opened, tasks, wrong)
        for each in found:
            _check_whole(file.uri, each)
        return found

    def _config(
        self, job: str, recipe: str, digest: str, how: Sequence[object], pictures: str = ""
    ) -> lengths.Measuring:
        key = digests.digest_of([digest, *how, (self.codec, self.phrases), self.model.identity(), lengths.VERSION])[:16]
        folder = lengths_folder(self.root, job, key)
        return lengths.Measuring(folder, job, recipe, self.codec, self.phrases, self.tokens, self.project, pictures)

    def _run(
        self,
        config: lengths.Measuring,
        opened: Callable[[lengths.Means], lengths.Batches],
        tasks: Sequence[ShardTask],
        again: Iterable[int] = (),
    ) -> list[str]:
        """Return the file of each task, measured where none stands yet, it is damaged or old, or asked for `again`."""
        names = set(storage.list_names(config.folder, ".parquet"))
        files = {task.shard: f"{shard_name(task.shard)}.parquet" for task in tasks}
        there = {shard: f"{config.folder}/{name}" for shard, name in files.items() if name in names}
        again = {*again, *(shard for shard, file in there.items() if not _is_current(file, config.pictures))}
        phase = Phase("measure", (), partial(lengths.build, config, opened))
        self.driver.run_all(phase, tasks, config.folder, again)
        return [f"{config.folder}/{name}" for name in files.values()]


def joined(files: Sequence[str]) -> pa.Table:
    """Return the lengths of all files as one table."""
    found = [tables.read_table(file, lengths.MEASURED) for file in files]
    return pa.concat_tables([schema.LENGTHS.empty_table().select(lengths.MEASURED), *found])


def _is_current(file: str, pictures: str) -> bool:
    """Tell whether a file of lengths has its footer and its columns, is of its place, and awaits no late pictures."""
    try:
        whole = set(lengths.MEASURED) <= set(tables.column_names(file))
        return whole and caches.stands(file) and tables.read_metadata(file).get(lengths.PICTURES, pictures) == pictures
    except ShardError:
        return False


def _check_whole(uri: str, lengths: str) -> None:
    """Raise ShardError where a part of a file says that nothing behind its damage can be read."""
    told = tables.read_table(lengths, ("reason", "record_offset"))
    broken = told.filter(pc.fill_null(pc.equal(told["reason"], foreign.BREAKS_OFF), False))
    for offset in broken["record_offset"].to_pylist():
        raise ShardError(f"{uri} breaks off at byte {offset:,}, what follows is not read: curate lint {uri} says why")


def _records(file: str) -> pa.Table:
    """Return where the records of a part lie."""
    return tables.read_table(file, ("record_offset", "record_bytes"))
