"""A job that curates one dataset: plan, ingest, score, decide, augment, then the manifests."""

import importlib.metadata
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from curate import __version__, planning, plugins
from curate.catalog import Catalog, load_catalog
from curate.digests import digest_of
from curate.driver import Driver
from curate.errors import ConfigError
from curate.io import storage
from curate.io.fetch import FetchOptions
from curate.io.images import Limits
from curate.io.records import read_json
from curate.io.warehouse import read_sql
from curate.job import CurateJob
from curate.layout import Layout, job_folder
from curate.manifest import Books, Manifest
from curate.plugins import Project
from curate.results import JobResult, StageBooks
from curate.shards import Phase, ShardTask, shard_name
from curate.stages import augment, decide, ingest, refetch, repeats, score
from curate.stages.commit import Committed, committed

Builder = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Curation:
    """One job on its way: what it says, and the driver that runs its phases."""

    name: str
    job: CurateJob
    project: Project
    layout: Layout
    driver: Driver

    def run(self, limit: int | None, retry: bool = False) -> JobResult:
        """Do what is not done yet, phase by phase, and account for every row.

        Rows whose picture is damaged are fetched again; with `retry` all that failed for a passing cause.

        Raises:
            ConfigError: the plan under the root is another one.
        """
        catalog = load_catalog(self.job.from_, self.project)
        plan = planning.make(self.layout, catalog, self.project, self.job.ingest, limit)
        everything = [ShardTask(self.layout.dataset, n, part.rows, part) for n, part in enumerate(plan.shards)]
        samples = self._told_apart(everything, self._ingest(everything, catalog, retry))
        if limit is None and len(samples) == len(everything):
            self._dataset_manifest(plan.digest, samples)
        tasks = [ShardTask(self.layout.dataset, n, books.rows, None) for n, books in samples.items()]
        corpus = {n: books.content for n, books in samples.items()}
        folders, scored = self._score(tasks, corpus)
        ready = [task for task in tasks if all(task.shard in books for books in scored.values())]
        digest, decided = self._decide(ready, folders, corpus)
        augmented, children = self._augment([task for task in ready if task.shard in decided], digest)
        complete = len(decided) == len(everything) and (not augmented or len(children) == len(everything))
        books = (
            _books(self.layout.dataset, "ingest", "ok", samples),
            *(_books(self.layout.dataset, f"score {name}", "scored", scored[name]) for name in scored),
            _books(self.layout.dataset, "filter", "kept", decided),
            *self._augment_books(children),
        )
        result = JobResult(
            self.name,
            "curate",
            self.layout.dataset,
            "",
            digest,
            augmented,
            complete,
            books,
            {"plan": plan.digest},
        )
        files = {"samples": samples, "decisions": decided, "augmented": children}
        return self._job_manifest(result, _contents(files))

    def _ingest(self, tasks: Sequence[ShardTask], catalog: Catalog, retry: bool) -> dict[int, Committed]:
        config = ingest.Ingest(
            layout=self.layout,
            source=catalog.source,
            project=self.project,
            pictures=Limits(**self.job.ingest.model_dump()),
            fetch=FetchOptions(**catalog.fetch.options()),
            min_success=catalog.min_success,
        )
        self._refetch(tasks, config, retry)
        phase = Phase("ingest", (), partial(ingest.build, config), needs=ingest.NEEDS)
        return self._run(phase, tasks, self.layout.samples)

    def _refetch(self, tasks: Sequence[ShardTask], config: ingest.Ingest, retry: bool) -> None:
        """Make the second pass over the committed shards that need one, and say before how many rows and why."""
        before = self._books_of(tasks, self.layout.samples, self.driver.listed(self.layout.samples()))
        wanted = {shard: refetch.curable(books, retry) for shard, books in before.items()}
        causes = sum(wanted.values(), Counter())
        if causes or retry:
            self.driver.listener.note(refetch.said(self.layout.dataset, causes, sum(map(bool, wanted.values()))))
        again = [replace(task, rows=before[task.shard].rows) for task in tasks if wanted.get(task.shard)]
        if again:
            build = partial(refetch.build, refetch.Refetch(config, frozenset(causes)))
            self.driver.run(Phase("refetch", (), build, needs=ingest.NEEDS), again, self.layout.samples(), wanted)

    def _told_apart(self, tasks: Sequence[ShardTask], samples: dict[int, Committed]) -> dict[int, Committed]:
        """Mark rows whose key an earlier shard has, unless the dataset's manifest says that this was seen to."""
        if self._stated().get("shards") == _contents({"samples": samples}):
            return samples
        repeated = repeats.repeated(self.layout, {shard: books.rows for shard, books in samples.items()})
        if not repeated:
            return samples
        rows = sum(map(len, repeated.values()))
        self.driver.listener.note(
            f"{self.layout.dataset}: {rows:,} rows in {len(repeated)} shard(s) have a key that an earlier shard has: "
            "they are left out as duplicate_key"
        )
        there = [task for task in tasks if task.shard in samples]
        again = [replace(task, rows=samples[task.shard].rows, work=repeated.get(task.shard)) for task in there]
        return self._run(Phase("keys", (), partial(repeats.build, self.layout)), again, self.layout.samples, repeated)

    def _stated(self) -> dict[str, Any]:
        """Return the dataset's manifest, empty where there is none."""
        there = storage.exists(self.layout.manifest)
        return read_json(self.layout.manifest) if there else {}

    def _score(
        self, tasks: Sequence[ShardTask], corpus: dict[int, str]
    ) -> tuple[list[tuple[str, str]], dict[str, dict[int, Committed]]]:
        """Run every scorer; return (relation, folder) of each, and its committed shards.

        Scores of samples that are not there any more, since their shard was made again, are made again.
        """
        folders: list[tuple[str, str]] = []
        done: dict[str, dict[int, Committed]] = {}
        for wanted in self.job.score:
            options = tuple(sorted(wanted.options.items()))
            config = score.Score(self.layout, wanted.name, options, self.project)
            module = plugins.load("scorers", wanted.name, self.project)
            folder = config.folder()
            build, prepare = partial(score.build, config), partial(score.prepare, config)
            place = partial(self.layout.scores, folder)
            phase = Phase(f"score {wanted.name}", (), build, prepare, module.NEEDS)
            before = self._books_of(tasks, place, self.driver.listed(place()))
            stale = {shard for shard, books in before.items() if books.of != corpus[shard]}
            done[wanted.name] = self._run(phase, tasks, place, stale)
            folders.append((wanted.name, folder))
        return folders, done

    def _decide(
        self, tasks: Sequence[ShardTask], folders: list[tuple[str, str]], corpus: dict[int, str]
    ) -> tuple[str, dict[int, Committed]]:
        """Run the filters. Their digest covers the corpus: another corpus may mean other duplicates."""
        filters = self._filters()
        digest = digest_of([[asdict(each) for each in filters], folders, sorted(corpus.items())])[:16]
        files = tuple(self.layout.samples(shard) for shard in sorted(corpus))
        config = decide.Decide(self.layout, digest, filters, tuple(folders), files)
        place = partial(self.layout.decisions, digest)
        return digest, self._phase("filter", tasks, place, partial(decide.build, config))

    def _filters(self) -> tuple[decide.Filter, ...]:
        """Return the job's filters as they will run; a job without any keeps everything."""
        wanted = self.job.keep or {"everything": {}}
        return tuple(
            decide.Filter(name, read_sql(plugins.find("filters", name, self.project)), tuple(sorted(values.items())))
            for name, values in wanted.items()
        )

    def _augment(self, tasks: Sequence[ShardTask], decisions: str) -> tuple[str, dict[int, Committed]]:
        """Derive the children; without recipes there are none, and the digest is empty."""
        recipes = self.job.augment
        if not recipes:
            return "", {}
        modules = {name: plugins.load("augmenters", name, self.project) for chain in recipes for name in chain}
        versions = {name: module.VERSION for name, module in sorted(modules.items())}
        children, quality = self.job.children, self.job.ingest.quality
        digest = digest_of([decisions, recipes, versions, quality, self.job.seed, children.model_dump()])[:16]
        config = augment.Augment(
            layout=self.layout,
            project=self.project,
            decisions=decisions,
            digest=digest,
            recipes=recipes,
            quality=quality,
            seed=self.job.seed,
            pixels=children.pixels,
            flip=children.flip,
        )
        place = partial(self.layout.augmented, digest)
        return digest, self._phase("augment", tasks, place, partial(augment.build, config))

    def _phase(
        self, name: str, tasks: Sequence[ShardTask], place: Callable[..., str], build: Builder
    ) -> dict[int, Committed]:
        return self._run(Phase(name, (), build), tasks, place)

    def _run(
        self, phase: Phase, tasks: Sequence[ShardTask], place: Callable[..., str], stale: Container[int] = ()
    ) -> dict[int, Committed]:
        """Run a phase over the shards that are not committed yet, and return the books of all that are then."""
        return self._books_of(tasks, place, self.driver.run(phase, tasks, place(), stale))

    def _books_of(
        self, tasks: Sequence[ShardTask], place: Callable[..., str], there: Container[int]
    ) -> dict[int, Committed]:
        return {task.shard: committed(place(task.shard)) for task in tasks if task.shard in there}

    def _augment_books(self, children: dict[int, Committed]) -> tuple[StageBooks, ...]:
        if not children:
            return ()
        total = _total(children)
        made = total.pop("children", 0)
        rows = made + sum(total.values())
        return (StageBooks(self.layout.dataset, "augment", rows, made, _causes(total)),)

    def _dataset_manifest(self, plan: str, samples: dict[int, Committed]) -> None:
        """Write the dataset's manifest, unless it says already what is there."""
        shards = _contents({"samples": samples})
        if self._stated().get("shards") == shards:
            return
        total = _total(samples)
        ok = total.pop("ok", 0)
        books = Books(read=sum(each.rows for each in samples.values()), ok=ok, failed=_causes(total))
        books.balance()
        manifest = Manifest(self.layout.dataset, plan, books, shards, versions=_versions())
        storage.write_bytes(self.layout.manifest, manifest.to_json())

    def _job_manifest(self, result: JobResult, contents: dict[str, str]) -> JobResult:
        """Write the manifest of what this job made, unless the very same was made before."""
        digest = digest_of([result.facts, result.decisions, result.augmented, contents])[:16]
        by_stage = {books.stage: books for books in result.books}
        read, kept = by_stage["ingest"], by_stage["filter"]
        undecided = read.rows_out - kept.rows_in
        books = Books(read.rows_in, read.rows_out, read.lost, kept.rows_out, kept.lost, undecided)
        books.balance()
        manifest = Manifest(
            name=self.name,
            plan=result.facts["plan"],
            books=books,
            shards=contents,
            facts={
                "dataset": self.layout.dataset,
                "decisions": result.decisions,
                "augmented": result.augmented,
                "complete": result.complete,
                "keep": self.job.keep,
                "filters": {each.name: each.sql for each in self._filters()},
                "stages": [asdict(each) for each in result.books],
            },
            versions=_versions(),
        )
        uri = f"{job_folder(self.layout.root, self.name)}/{digest}/manifest.json"
        if not storage.exists(uri):
            storage.write_bytes(uri, manifest.to_json())
        return JobResult(**{**{name: getattr(result, name) for name in JobResult.__slots__}, "digest": digest})


def _contents(files: dict[str, dict[int, Committed]]) -> dict[str, str]:
    """Return kind/shard → content digest of every file that a job's result rests on."""
    return {
        f"{kind}/{shard_name(shard)}": each.content
        for kind, shards in files.items()
        for shard, each in sorted(shards.items())
    }


def _total(shards: dict[int, Committed]) -> Counter[str]:
    total: Counter[str] = Counter({"ok": 0, "kept": 0, "scored": 0, "children": 0})
    for each in shards.values():
        total.update(each.counts)
    return Counter({key: count for key, count in total.items() if count})


def _causes(counts: Counter[str]) -> dict[str, int]:
    """Return cause → count from `failed:http_404`-like keys."""
    return {key.split(":", 1)[1]: count for key, count in sorted(counts.items()) if ":" in key}


def _books(dataset: str, stage: str, out: str, shards: dict[int, Committed]) -> StageBooks:
    total = _total(shards)
    books = StageBooks(dataset, stage, sum(each.rows for each in shards.values()), total[out], _causes(total))
    if not books.balanced():
        raise ConfigError(f"the books of {dataset} {stage} do not balance: {books}")
    return books


def _versions() -> dict[str, str]:
    named = ("pyarrow", "pillow", "duckdb", "numpy")
    return {"curate": __version__, **{name: importlib.metadata.version(name) for name in named}}
