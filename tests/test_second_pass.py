"""`--retry`: what failed for a passing cause is fetched again, nothing else is, and the books still balance."""

import functools
import hashlib
import http.server
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest
from conftest import Quiet, Workshop

from curate.driver import Where
from curate.pipeline import Run, rehearse, run
from curate.results import RunResult
from curate.stages import refetch

JOB = "from: tiny\nscore: [box_stats]\nkeep: {unique_pictures: }\naugment: [[square_pad]]\n"


class Moody(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and counts; what is in `moods` answers with that status."""

    moods: ClassVar[dict[str, int]] = {}
    hits: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.hits[self.path] += 1
        if self.path in self.moods:
            self.send_error(self.moods[self.path])
        else:
            super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def shop(workshop: Workshop) -> Iterator[Workshop]:
    """Eight rows in two shards; the first shard has a 503, a 404 and two rows of one URL that is a 503, too."""
    Moody.moods, Moody.hits = {"/1.jpg": 503, "/2.jpg": 404, "/3.jpg": 503}, Counter()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Moody, directory=str(workshop.web)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    workshop.url = f"http://127.0.0.1:{server.server_address[1]}"
    workshop.captions(count=8, shard_rows=5, extra=f"{workshop.url}/3.jpg\ta dog on the right\n")
    lines = (workshop.folder / "tiny.tsv").read_text().splitlines()
    workshop.write("tiny.tsv", "\n".join([*lines[:4], lines[-1], *lines[4:-1]]) + "\n")
    catalog = workshop.folder / "catalogs/tiny.yaml"
    catalog.write_text(catalog.read_text().replace("timeout_s: 5", "attempts: 1, timeout_s: 20"))
    workshop.write("jobs/j.yaml", JOB)
    yield workshop
    server.shutdown()
    server.server_close()


def again(shop: Workshop, retry: bool = True) -> tuple[RunResult, Quiet]:
    quiet = Quiet()
    return run("j", Run(str(shop.root), shop.project, Where("inline"), None, retry), quiet), quiet


def rows(shop: Workshop, shard: int = 0) -> list[dict[str, Any]]:
    return list(pq.read_table(shop.root / f"tiny/samples/{shard:05d}.parquet").to_pylist())


def sound(shop: Workshop) -> None:
    for shard in (0, 1):
        tar = (shop.root / f"tiny/images/{shard:05d}.tar").read_bytes()
        for row in rows(shop, shard):
            for image in row["images"]:
                data = tar[image["offset"] : image["offset"] + image["size"]]
                assert hashlib.sha256(data).hexdigest() == image["sha256"]


def test_only_what_may_pass_is_fetched_again(shop: Workshop) -> None:
    first, _ = again(shop, retry=False)
    assert first.jobs[0].books[0].lost == {"http_404": 1, "http_503": 3}
    before, hits = rows(shop), Counter(Moody.hits)
    del Moody.moods["/3.jpg"]
    result, quiet = again(shop)
    assert quiet.notes == ["tiny: 3 rows in 1 shard(s) are fetched again: http_503 3"]
    new = {path: count - hits[path] for path, count in Moody.hits.items() if count > hits[path]}
    new.pop("/robots.txt", None)
    assert new == {"/1.jpg": 1, "/3.jpg": 1}
    assert result.ok()
    assert result.jobs[0].books[0].lost == {"http_404": 1, "http_503": 1}
    assert result.jobs[0].books[0].rows_out == 7
    after = rows(shop)
    assert [row["status"] for row in after] == ["ok", "failed", "failed", "ok", "ok"]
    assert after[0] == before[0] and after[2] == before[2]
    assert [row["attempts"] for row in after] == [1, 2, 1, 2, 2]
    assert after[3]["images"] == after[4]["images"]
    sound(shop)
    with tarfile.open(shop.root / "tiny/images/00000.tar") as tar:
        assert len(tar.getnames()) == 2


def test_the_scores_and_the_children_follow(shop: Workshop) -> None:
    again(shop, retry=False)
    Moody.moods = {"/2.jpg": 404}
    result, _ = again(shop)
    assert {books.stage: books.rows_out for books in result.jobs[0].books} == {
        "ingest": 8,
        "score box_stats": 8,
        "filter": 7,  # two rows have one picture
        "augment": 7,
    }


def test_twice_does_nothing_more(shop: Workshop) -> None:
    again(shop, retry=False)
    again(shop)
    samples = (shop.root / "tiny/samples/00000.parquet").read_bytes()
    digest = again(shop)[0].jobs[0].digest
    assert [row["attempts"] for row in rows(shop)] == [1, 3, 1, 3, 3]
    Moody.moods = {"/2.jpg": 404}
    again(shop)
    result, quiet = again(shop)
    assert quiet.notes == ["tiny: no row failed for a passing cause, nothing is fetched again"]
    assert result.shards_done == 0
    assert result.jobs[0].digest != digest
    assert samples != (shop.root / "tiny/samples/00000.parquet").read_bytes()


def test_a_run_without_retry_fetches_nothing_again(shop: Workshop) -> None:
    again(shop, retry=False)
    hits = Counter(Moody.hits)
    result, quiet = again(shop, retry=False)
    assert (Moody.hits, quiet.notes, result.shards_done) == (hits, [], 0)


def test_a_rehearsal_counts_what_would_be_fetched_again(shop: Workshop) -> None:
    again(shop, retry=False)
    hits = Counter(Moody.hits)
    asked = Run(str(shop.root), shop.project, Where("inline"), None, True)
    assert [row["again"] for row in rehearse("j", asked)] == [3]
    assert Moody.hits == hits


def test_killed_between_tar_and_table_the_old_table_holds(shop: Workshop) -> None:
    again(shop, retry=False)
    table: Path = shop.root / "tiny/samples/00000.parquet"
    old = table.read_bytes()
    Moody.moods = {}
    again(shop)
    table.write_bytes(old)  # as if the new table had never been written
    sound(shop)
    result, _ = again(shop)
    assert result.jobs[0].books[0].rows_out == 8
    sound(shop)
    with tarfile.open(shop.root / "tiny/images/00000.tar") as tar:
        assert len([name for name in tar.getnames() if name.endswith(".jpg")]) == 3


def test_a_shard_that_another_run_changed_is_not_written_over(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    again(shop, retry=False)
    Moody.moods = {"/2.jpg": 404}
    real = refetch.arrivals.fetch

    def meanwhile(*told: Any) -> None:
        monkeypatch.setattr(refetch.arrivals, "fetch", real)
        again(shop)
        real(*told)

    monkeypatch.setattr(refetch.arrivals, "fetch", meanwhile)
    result, _ = again(shop)
    assert [report.error for report in result.failed] == [
        "refetch: ShardError: another run changed this shard meanwhile; nothing was written, run again"
    ]
    sound(shop)
    assert [row["status"] for row in rows(shop)] == ["ok", "ok", "failed", "ok", "ok"]


def test_dead_links_that_stay_dead_ring_no_alarm(shop: Workshop) -> None:
    lines = "".join(f"http://127.0.1.{n % 9 + 1}:9/{n}.jpg\ta dog\n" for n in range(80))
    shop.write("tiny.tsv", (shop.folder / "tiny.tsv").read_text() + lines)
    catalog = shop.folder / "catalogs/tiny.yaml"
    hosts = ", ".join(f"127.0.1.{n + 1}" for n in range(9))
    text = catalog.read_text().replace("shard_rows: 5", "shard_rows: 100")
    catalog.write_text(text.replace("[127.0.0.1]", f"[127.0.0.1, {hosts}]"))
    again(shop, retry=False)
    Moody.moods = {}
    result, _ = again(shop)
    assert result.ok()
    assert result.jobs[0].books[0].lost.get("http_503") is None
