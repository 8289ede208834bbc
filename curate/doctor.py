"""Whether a root still holds what was written: every table, picture and record is read and held to its digest.

What is damaged is set aside as NAME.damaged, or marked as such in its table, so that the next run makes it again;
sound pictures are never given up.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import pyarrow as pa

from curate import digests, planning, schema
from curate.errors import ConfigError, OutsideError, ShardError
from curate.io import storage, tables
from curate.io.records import EXPORTED, MANIFEST, read_json
from curate.io.tar_check import Tar, examined, reframed
from curate.layout import PACKS, Layout, facts_folder, looks_folder, merged_file, sound_root
from curate.mixes import strays
from curate.sample import Sample
from curate.shards import ShardTask
from curate.stages.commit import begin, committed, tally
from curate.stages.looks import LOOKS
from curate.stages.refetch import DAMAGED

TABLES = ("*/scores/*/*.parquet", "*/decisions/*/*.parquet")
RECORDS: dict[str, Mapping[str, type]] = {
    "*/manifest.json": {"shards": dict},
    "jobs/*/*/manifest.json": {"facts": dict},
    "mixes/*/*/manifest.json": MANIFEST,
    "exports/*/*/manifest.json": EXPORTED,
    "runs/*/*.json": {},
}
CACHES = (
    (strays.LENGTHS, ("dataset", "sample_id", "n_text_tok", "n_img_tok", "reason")),
    (merged_file("", "*", "*"), ("dataset", "sample_id", "members")),
    (f"{facts_folder('', '*', '*')}/*.parquet", ("place", "ids", "words")),
    (f"{looks_folder('', '*', '*')}/*.parquet", tuple(LOOKS.names)),
    (strays.STEPS, ("step", "packs", "tokens", "cost")),
)
"""Tables below a root that carry no digest of their own, and columns that each has had in every version."""
REMADE = "set aside; the next run makes it again"
STRAY = "set aside; nothing reads it"
GONE = "the next run makes it again"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written: where, what is wrong, and what comes of it.

    `rerun`: it is the next run of the job that makes it good.
    """

    uri: str
    what: str
    then: str
    rerun: bool = True


@dataclass(frozen=True, slots=True)
class Examination:
    """What a root was found to be: how much was read, and every fault."""

    root: str
    tables: int
    pictures: int
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Doctor:
    """Goes through a root; with `mend` it sets aside and marks what it finds, else it only looks."""

    root: str
    mend: bool
    tell: Callable[[str], None]
    tables: int = 0
    pictures: int = 0

    def examine(self) -> Examination:
        """Read everything under the root.

        Raises:
            ConfigError: nothing was curated there.
            OutsideError: the store cannot be read just now, which is no damage.
        """
        base = sound_root(self.root)
        plans = storage.glob(f"{base}/*/plan.json")
        caches = [(uri, columns) for pattern, columns in CACHES for uri in storage.glob(f"{base}{pattern}")]
        if not plans and not caches and not storage.glob(f"{base}{strays.MANIFESTS}"):
            raise ConfigError(f"nothing curated under {self.root}", hint="curate run JOB --root URL, or curate demo")
        findings = [*self._records(base)]
        for plan in plans:
            findings += self._dataset(Layout(base, plan.rsplit("/", 2)[1]))
        for pattern in TABLES:
            for uri in storage.glob(f"{base}/{pattern}"):
                findings += self._table(uri)
        for uri in storage.glob(f"{base}/*/augmented/*/*.parquet"):
            findings += self._derived(uri)
        findings += [Finding(uri, "gone", GONE) for uri in strays.gone(base)]
        for uri, columns in caches:
            findings += self._cache(uri, columns)
        findings += [self._aside(uri, what) for uri, what in strays.strangers(base)]
        for pattern in PACKS:
            for uri in storage.glob(f"{base}/mixes/*/*/{pattern}"):
                findings += self._packs(uri, uri.rsplit("/", pattern.count("/") + 1)[0])
        return Examination(self.root, self.tables, self.pictures, tuple(findings))

    def _records(self, base: str) -> Iterator[Finding]:
        for pattern, fields in RECORDS.items():
            for uri in storage.glob(f"{base}/{pattern}"):
                try:
                    read_json(uri, fields)
                except OutsideError as error:
                    yield self._aside(uri, str(error))

    def _dataset(self, layout: Layout) -> Iterator[Finding]:
        self.tell(layout.dataset)
        try:
            plan = planning.read(layout)
        except ConfigError as error:
            yield Finding(layout.plan, error.what, "put it back from a copy, or begin again under another root", False)
            return
        names = [name for name in storage.list_names(layout.samples(), ".parquet") if name[:-8].isdigit()]
        for name in names:
            yield from self._shard(layout, int(name.removesuffix(".parquet")))
        if storage.exists(layout.manifest):
            for shard in sorted(set(range(len(plan.shards))) - {int(PurePosixPath(name).stem) for name in names}):
                yield Finding(layout.samples(shard), "missing", GONE)

    def _shard(self, layout: Layout, shard: int) -> Iterator[Finding]:
        """Examine the samples of a shard and the tar that they point into."""
        uri = layout.samples(shard)
        try:
            samples = _samples(self._read(uri))
        except ShardError as error:
            yield self._aside(uri, str(error))
            return
        if any(sample.shard != shard for sample in samples):
            yield self._aside(uri, "copied from another shard")
            return
        tar = examined(layout.images(shard), samples)
        self.pictures += tar.pictures
        if tar.damaged:
            yield self._marked(layout, shard, samples, tar)
        elif tar.fault:
            if self.mend:
                reframed(layout.images(shard), samples)
            yield Finding(layout.images(shard), tar.fault, "written anew, every picture is sound", False)

    def _marked(self, layout: Layout, shard: int, samples: Sequence[Sample], tar: Tar) -> Finding:
        """Mark the rows of damaged pictures as failed: the next run tries those again, and those alone."""
        uri, error = layout.samples(shard), "the stored picture is not what was stored"
        if self.mend:
            self._keep(uri)
            after = [
                replace(sample, status="failed", error=DAMAGED, error_detail=error, images=())
                if sample.row in tar.damaged
                else sample
                for sample in samples
            ]
            failed = Counter(sample.error or "unknown" for sample in after if sample.status != "ok")
            commit = begin(ShardTask(layout.dataset, shard, len(after), None), uri)
            commit.write(schema.to_table(after), len(after), tally("ok", len(after), "failed", failed))
        what = f"{len(tar.damaged)} of {tar.pictures} pictures are damaged{f' ({tar.fault})' if tar.fault else ''}"
        return Finding(layout.images(shard), what, "marked; the next run fetches these rows again")

    def _table(self, uri: str) -> Iterator[Finding]:
        try:
            self._read(uri)
        except ShardError as error:
            yield self._aside(uri, str(error))

    def _derived(self, uri: str) -> Iterator[Finding]:
        """Examine derived samples and their tar; they are made from others, so both are made again."""
        try:
            children = _samples(self._read(uri))
        except ShardError as error:
            yield self._aside(uri, str(error))
            return
        own = [child for child in children if not child.is_virtual()]
        tar = examined(f"{uri.removesuffix('.parquet')}.tar", own)
        self.pictures += tar.pictures
        if tar.damaged or tar.fault:
            yield self._aside(uri, f"{len(tar.damaged)} of {tar.pictures} derived pictures are damaged")

    def _cache(self, uri: str, columns: Sequence[str]) -> Iterator[Finding]:
        """Examine a table that is no shard's commit: its pages have checksums, and columns that must be there."""
        self.tables += 1
        try:
            found = tables.read_through(uri)
            lacking = [name for name in columns if name not in found]
            fault = f"no column {', '.join(lacking)}" if lacking else ""
        except ShardError as error:
            fault = str(error)
        if fault:
            yield self._aside(uri, fault)

    def _packs(self, uri: str, folder: str) -> Iterator[Finding]:
        """Examine rows of a mix: its manifest names them by digest; without one the mix is not done, or made again."""
        shards = strays.shards(folder)
        self.tables += 1
        if shards is None:
            return
        name = uri.removeprefix(f"{folder}/").removesuffix(".parquet")
        if name not in shards:
            yield self._aside(uri, "a slice of another run, its manifest does not name it", STRAY, False)
            return
        try:
            found = tables.columns_digest(uri)
            fault = "not the packs of its manifest" if found != shards[name] else ""
        except (ShardError, TypeError) as error:
            fault = str(error)
        if fault:
            yield self._aside(uri, fault)

    def _read(self, uri: str) -> pa.Table:
        """Return a committed table.

        Raises:
            ShardError: it is broken, or its content is not that of its commit.
        """
        self.tables += 1
        books, table = committed(uri), tables.read_table(uri)
        if digests.content_digest(table) != books.content:
            raise ShardError("its content is not what was committed")
        return table

    def _aside(self, uri: str, what: str, then: str = REMADE, rerun: bool = True) -> Finding:
        if self.mend:
            self._keep(uri)
            storage.remove(uri)
        return Finding(uri, what.removeprefix(f"{uri}: "), then, rerun)

    def _keep(self, uri: str) -> None:
        names = (f"{uri}.damaged{f'-{number}' if number else ''}" for number in itertools.count())
        storage.write_bytes(next(name for name in names if not storage.exists(name)), storage.read_bytes(uri))


def _samples(table: pa.Table) -> list[Sample]:
    """Return the samples of a table.

    Raises:
        ShardError: its columns are not those of samples.
    """
    names = [name for name in table.column_names if name in schema.SAMPLES.names]
    try:
        return list(schema.from_table(table.select(names)))
    except (KeyError, TypeError, ValueError) as error:
        raise ShardError(f"not a table of samples: {error!r}") from error
