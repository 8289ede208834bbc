"""What the last run of each job says of itself: its books, its settings, its failures."""

import json
from dataclasses import dataclass, field
from typing import Any

from curate.errors import ConfigError
from curate.io import storage
from curate.layout import job_folder, mix_folder, runs_folder
from curate.report.questions import Questions, Row
from curate.results import StageBooks

_NAMED = ("run", "job", "kind", "dataset", "digest", "decisions", "augmented", "complete")


@dataclass(frozen=True, slots=True)
class Record:
    """The last run of one job. `ended` is False where the run was cut off before its record was written."""

    run: str
    job: str
    kind: str
    dataset: str
    digest: str
    decisions: str
    augmented: str
    complete: bool
    ended: bool
    seconds: float | None
    books: tuple[StageBooks, ...]
    failed: tuple[str, ...]
    keep: dict[str, dict[str, Any]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    plan: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    def stage(self, name: str) -> StageBooks:
        """Return one row of the funnel; zeros where the stage did not run."""
        found = [books for books in self.books if books.stage == name]
        return found[0] if found else StageBooks(self.dataset, name, 0, 0, {})

    @property
    def read(self) -> int:
        """Source rows."""
        return self.stage("ingest").rows_in

    @property
    def ok(self) -> int:
        """Rows with a picture that opens."""
        return self.stage("ingest").rows_out

    @property
    def kept(self) -> int:
        """Samples that every filter kept."""
        return self.stage("filter").rows_out

    @property
    def undecided(self) -> int:
        """Samples that no filter has seen, because their shard failed on the way."""
        return self.ok - self.stage("filter").rows_in

    @property
    def balanced(self) -> bool:
        """Whether every row read is kept, dropped, failed, or waits in a shard that failed."""
        return self.undecided >= 0 and all(books.balanced() for books in self.books)


def records(root: str, questions: Questions, job: str | None = None) -> list[Record]:
    """Return the last run of each job under a root, mixes last.

    Raises:
        ConfigError: nothing has run under the root, or the job has not.
    """
    rows = questions.rows("report_runs", {"job": job})
    if not rows:
        missing = f'job "{job}" has not run' if job else "no job has run"
        raise ConfigError(f"{missing} under {root}", hint="curate run JOB --root URL")
    return [_record(root, row) for row in rows]


def _record(root: str, row: Row) -> Record:
    """Take the books from the run's own record: a manifest that stood before is not written again."""
    folder = {"curate": job_folder, "mix": mix_folder}[row["kind"]](root, row["job"])
    manifest = _json(f"{folder}/{row['digest']}/manifest.json")
    run = _json(f"{runs_folder(root)}/{row['run']}/run.json")
    result: dict[str, Any] = next((each for each in run.get("jobs", []) if each["job"] == row["job"]), {})
    facts = manifest.get("facts", {})
    books = result.get("books") or facts.get("stages") or []
    mine = {row["dataset"], row["job"]}
    failed = [each for each in run.get("failed", []) if each["dataset"] in mine]
    return Record(
        **{name: row[name] for name in _NAMED},
        ended=bool(run),
        seconds=run.get("seconds"),
        books=tuple(StageBooks(**each) for each in books),
        failed=tuple(f"{each['dataset']}-{each['shard']:05d}  {each['error']}" for each in failed),
        keep=facts.get("keep", {}),
        facts={**facts, **result.get("facts", {})},
        plan=manifest.get("plan", ""),
        versions=manifest.get("versions", {}),
    )


def _json(uri: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(storage.read_bytes(uri))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ConfigError(f"a record is damaged: {error}", file=uri) from error
    return found
