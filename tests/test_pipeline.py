"""Whole runs in one process: funnel, books, resume, new thresholds, failed shards, Ctrl-C, mixes and exports."""

import dataclasses
import hashlib
import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import Quiet, Workshop
from tokenizers import Tokenizer, models, pre_tokenizers

from curate import pipeline
from curate.driver import Where
from curate.errors import ConfigError, ShardError
from curate.export_job import Export
from curate.exporting import export_last
from curate.results import RunResult, StageBooks
from curate.sample import Sample
from curate.shards import ShardReport
from curate.stages import ingest
from curate.telling import funnel
from curate.views import open_root

SCORER = '''"""How often a caption says very."""
from dataclasses import dataclass
from curate.shards import Needs
VERSION, NEEDS = 1, Needs()
COLUMNS = {"number": "how often it says very; NaN without a dog"}

@dataclass(frozen=True)
class Options:
    shift: float = 0.0

def prepare(table, open_picture, options):
    words = [(text or "").split() for text in table["text"].to_pylist()]
    return [float(w.count("very")) if "dog" in w else float("nan") for w in words]

class Scorer:
    def __init__(self, options):
        self.shift = options.shift

    def score(self, payload):
        return {"number": [value + self.shift for value in payload]}
'''
FILTER = """select sample_id, case when n.number is null or isnan(n.number) then 'unscored'
when n.number < $low then 'number_low' end as reason from samples left join numbered as n using (sample_id)"""


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    """Twelve captions in three shards, a scorer that reads their number, a filter on it, a job that mirrors."""
    captions(workshop)
    workshop.write("plugins/scorers/numbered.py", SCORER)
    workshop.write("sql/filters/from_number.sql", FILTER)
    job(workshop)
    return workshop


def captions(shop: Workshop, extra: str = "") -> None:
    """Caption n says `very` n times, and left, which mirrors; digits would not."""
    shop.captions()
    lines = "".join(f"{shop.url}/{n}.jpg\ta {'very ' * n}red dog on the left\n" for n in range(12))
    shop.write("tiny.tsv", lines + extra)


def job(shop: Workshop, low: float = 3, rest: str = "augment: [hflip]\n") -> None:
    shop.write("jobs/mine.yaml", f"from: tiny\nscore: [numbered]\nkeep: {{from_number: {{low: {low}}}}}\n{rest}")


def files(root: Path, below: str = "") -> dict[str, tuple[str, int]]:
    """Every file but the records of runs: name → digest of its bytes, time of its last change."""
    return {
        str(path.relative_to(root)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted((root / below).rglob("*"))
        if path.is_file() and "runs" not in path.relative_to(root).parts
    }


def stages(result: RunResult, name: str = "mine") -> dict[str, StageBooks]:
    return {books.stage: books for one in result.jobs if one.job == name for books in one.books}


def rows(root: Path, pattern: str) -> list[dict[str, Any]]:
    return [row for path in sorted(root.glob(pattern)) for row in pq.ParquetFile(path).read().to_pylist()]


def small_tokenizer(shop: Workshop) -> Path:
    made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    path = shop.folder / "tokenizer.json"
    made.save(str(path))
    return path


def mix(shop: Workshop, parts: str, limit: int = 2048, pack: int = 4096, rest: str = "") -> None:
    tokens = f"tokens: {{model: llava-1.5-336, tokenizer: {small_tokenizer(shop)}, max: {limit}}}\n"
    shop.write("jobs/mixed.yaml", f"mix:\n{parts}{tokens}pack: {{length: {pack}}}\n{rest}")


def test_funnel_and_books(shop: Workshop) -> None:
    captions(shop, extra=f"{shop.url}/gone.jpg\ta dog\n{shop.url}/tiny\tno tab no picture\nbad row\n")
    (shop.web / "tiny").write_bytes(b"not a picture")
    result = shop.run("mine")
    assert result.ok()
    assert (result.shards_done, result.shards_resumed, result.failed) == (4 * 4, 0, ())
    books = stages(result)
    assert list(books) == ["ingest", "score numbered", "filter", "augment"]
    read = books["ingest"]
    assert (read.rows_in, read.rows_out, sum(read.lost.values())) == (15, 12, 3)
    assert read.lost["http_404"] == read.lost["bad_row"] == 1
    assert (books["filter"].rows_in, books["filter"].rows_out, books["filter"].lost) == (12, 9, {"number_low": 3})
    assert (books["augment"].rows_in, books["augment"].rows_out, books["augment"].lost) == (9, 9, {})
    assert all(each.balanced() for each in books.values())
    dataset = json.loads((shop.root / "tiny/manifest.json").read_bytes())
    counted = {"read": 15, "ok": 12, "failed": read.lost}
    assert dataset["books"] == {**counted, "kept": None, "dropped": {}, "undecided": 0}
    [mine] = (shop.root / "jobs/mine").glob("*/manifest.json")
    assert mine.parent.name == result.jobs[0].digest
    body = json.loads(mine.read_bytes())
    assert body["books"] == {**counted, "kept": 9, "dropped": {"number_low": 3}, "undecided": 0}
    assert body["facts"]["filters"] == {"from_number": FILTER}
    assert body["facts"]["complete"] is True
    record = json.loads((shop.root / f"runs/{result.run}/run.json").read_bytes())
    assert (record["schema"], record["run"], record["shards_done"]) == ("curate.run/1", result.run, 16)


def test_the_mirrored_children_have_mirrored_words_and_their_parent(shop: Workshop) -> None:
    shop.run("mine")
    parents = {row["sample_id"]: row for row in rows(shop.root, "tiny/samples/*.parquet")}
    children = rows(shop.root, "tiny/augmented/*/*.parquet")
    assert len(children) == 9
    for child in children:
        assert child["status"] == "ok"
        assert child["text"] == parents[child["parent_id"]]["text"].replace("left", "right")
        assert child["affine"] == [-1.0, 0.0, 64.0, 0.0, 1.0, 0.0]


def test_resume_does_nothing(shop: Workshop) -> None:
    first = shop.run("mine")
    before = files(shop.root)
    for path in shop.web.iterdir():
        path.unlink()
    second = shop.run("mine")
    assert files(shop.root) == before
    assert (second.shards_done, second.shards_resumed, second.ok()) == (0, first.shards_done, True)
    assert second.jobs == first.jobs
    assert second.run != first.run


def test_a_new_threshold_stands_beside_the_old_one(shop: Workshop) -> None:
    first = shop.run("mine")
    before = files(shop.root)
    job(shop, low=6)
    second = shop.run("mine")
    after = files(shop.root)
    assert {name: after[name] for name in before} == before
    assert stages(second)["filter"].rows_out == 6
    new = {name.split("/")[1] for name in after.keys() - before.keys() if name.startswith("tiny/")}
    assert new == {"decisions", "augmented"}
    assert len(list((shop.root / "tiny/decisions").iterdir())) == 2
    assert len(list((shop.root / "jobs/mine").iterdir())) == 2
    job(shop, low=3)
    third = shop.run("mine")
    assert files(shop.root) == after
    assert third.jobs == first.jobs


def test_another_option_of_a_scorer_stands_beside_the_old_one(shop: Workshop) -> None:
    shop.run("mine")
    before = files(shop.root)
    shop.write("jobs/mine.yaml", "from: tiny\nscore: [numbered: {shift: -6.0}]\nkeep: {from_number: {low: 3}}\n")
    assert stages(shop.run("mine"))["filter"].rows_out == 3
    assert files(shop.root).items() >= before.items()
    assert len(list((shop.root / "tiny/scores").iterdir())) == 2


def broken_shard(shop: Workshop) -> dict[str, bytes]:
    """Take the pictures of shard 1 off the web, and return them."""
    taken = {f"{n}.jpg": (shop.web / f"{n}.jpg").read_bytes() for n in range(4, 8)}
    for name in taken:
        (shop.web / name).unlink()
    catalog = shop.folder / "catalogs/tiny.yaml"
    catalog.write_text(catalog.read_text() + "min_success: 1.0\n")
    return taken


def assert_one_shard_failed(shop: Workshop, result: RunResult) -> None:
    assert not result.ok()
    [failed] = result.failed
    assert (failed.dataset, failed.shard) == ("tiny", 1)
    assert failed.error is not None
    assert "0 of 4 rows ok, min_success is 1: http_404 4" in failed.error
    assert sorted(path.name for path in (shop.root / "tiny/samples").iterdir()) == ["00000.parquet", "00002.parquet"]
    assert sorted(path.name for path in (shop.root / "tiny/images").iterdir()) == ["00000.tar", "00002.tar"]
    assert not (shop.root / "tiny/manifest.json").exists()
    assert result.jobs[0].complete is False
    assert stages(result)["filter"].rows_out == 5


def test_a_shard_below_min_success_is_named_and_not_committed_and_resumes_with_another_min_success(
    shop: Workshop,
) -> None:
    broken_shard(shop)
    assert_one_shard_failed(shop, shop.run("mine"))
    before = files(shop.root)
    catalog = shop.folder / "catalogs/tiny.yaml"
    catalog.write_text(catalog.read_text().replace("min_success: 1.0", "min_success: 0.0"))
    result = shop.run("mine")
    assert result.ok()
    assert stages(result)["ingest"].lost == {"http_404": 4}
    assert stages(result)["filter"].rows_out == 5
    assert files(shop.root).items() >= before.items()
    assert (shop.root / "tiny/manifest.json").exists()


def test_a_shard_below_min_success_is_tried_again_when_its_hosts_are_back(shop: Workshop) -> None:
    taken = broken_shard(shop)
    assert_one_shard_failed(shop, shop.run("mine"))
    assert_one_shard_failed(shop, shop.run("mine"))
    for name, data in taken.items():
        (shop.web / name).write_bytes(data)
    result = shop.run("mine")
    assert result.ok()
    assert stages(result)["filter"].rows_out == 9
    assert stages(result)["ingest"].rows_out == 12


class Interrupting(Quiet):
    """Presses Ctrl-C after so many shards."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def shard(self, report: ShardReport) -> None:
        super().shard(report)
        if len(self.reports) == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [1, 5, 9, 12])
def test_ctrl_c_leaves_what_resumes_to_the_same_content(shop: Workshop, after: int) -> None:
    asked = pipeline.Run(str(shop.root), shop.project, Where("inline"))
    with pytest.raises(KeyboardInterrupt):
        pipeline.run("mine", asked, Interrupting(after))
    assert not list(shop.root.glob("**/._tmp*"))
    left = files(shop.root)
    resumed = shop.run("mine")
    assert resumed.ok()
    assert (resumed.shards_done, resumed.shards_resumed) == (12 - after, after)
    assert files(shop.root).items() >= left.items()
    clean = dataclasses.replace(shop, root=shop.root.parent / "clean")
    whole = clean.run("mine")
    assert whole.jobs == resumed.jobs
    for pattern in ("tiny/plan.json", "tiny/manifest.json", "jobs/mine/*/manifest.json", "tiny/**/*.tar"):
        ours, theirs = (
            {str(path.relative_to(root)): path.read_bytes() for path in root.glob(pattern)}
            for root in (shop.root, clean.root)
        )
        assert ours
        assert ours == theirs


@pytest.mark.parametrize(
    ("rows", "dead", "share", "refused"),
    [
        (4, 4, 0.5, False),  # four throws of a coin
        (4, 1, 0.9, False),
        (12, 12, 0.5, True),
        (12, 1, 1.0, True),  # all is all: no slack
        (1, 1, 1.0, True),
        (12, 12, 0.0, False),
        (100, 35, 0.7, False),
        (100, 40, 0.7, True),
    ],
)
def test_a_share_is_judged_by_what_so_few_rows_can_tell(rows: int, dead: int, share: float, refused: bool) -> None:
    good = Sample(sample_id="s", dataset="d", shard=0, row=0, source_key="k")
    samples = [dataclasses.replace(good, status="failed", error="http_404")] * dead + [good] * (rows - dead)
    if refused:
        with pytest.raises(ShardError, match=rf"{rows - dead} of {rows} rows ok, min_success is {share:g}: http_404"):
            ingest._judge(samples, share)
    else:
        assert ingest._judge(samples, share) == {"http_404": dead}


def test_a_shard_of_addresses_that_are_not_public_names_the_way_out(shop: Workshop) -> None:
    shop.captions(shard_rows=12)
    catalog = shop.folder / "catalogs/tiny.yaml"
    kept = "fetch: {timeout_s: 5, allow_hosts: [127.0.0.1]}\n"
    catalog.write_text(catalog.read_text().replace(kept, "min_success: 0.5\n"))
    [failed] = shop.run("mine").failed
    assert failed.error is not None
    assert "0 of 12 rows ok, min_success is 0.5: not_public 12; fetch.allow_hosts" in failed.error


def test_a_limit_grows_and_only_the_whole_dataset_has_a_manifest(shop: Workshop) -> None:
    asked = pipeline.Run(str(shop.root), shop.project, Where("inline"), 8)
    first = shop.run("mine", limit=4)
    before = files(shop.root, "tiny/samples") | files(shop.root, "tiny/images") | files(shop.root, "tiny/scores")
    assert (first.ok(), first.shards_done) == (True, 4)
    assert [(row["shards"], row["done"], row["rows"]) for row in pipeline.rehearse("mine", asked)] == [(2, 1, 8)]
    second = shop.run("mine", limit=8)
    # The samples and their scores stay; what is a duplicate depends on all samples, so filters run again.
    assert (second.ok(), second.shards_resumed, second.shards_done) == (True, 2, 6)
    assert stages(second)["filter"].rows_out == 5
    assert not (shop.root / "tiny/manifest.json").exists()
    whole = shop.run("mine")
    assert (whole.ok(), whole.shards_resumed) == (True, 4)
    assert files(shop.root).items() >= before.items()
    manifest = json.loads((shop.root / "tiny/manifest.json").read_bytes())
    assert (manifest["books"]["read"], manifest["plan"]) == (12, json.loads(plan_of(shop))["digest"])
    clean = dataclasses.replace(shop, root=shop.root.parent / "clean")
    assert clean.run("mine").jobs == whole.jobs
    assert plan_of(clean) == plan_of(shop)


def plan_of(shop: Workshop) -> bytes:
    return (shop.root / "tiny/plan.json").read_bytes()


def test_a_run_with_a_limit_that_takes_everything_writes_no_manifest_of_the_dataset(shop: Workshop) -> None:
    assert shop.run("mine", limit=1000).ok()
    assert not (shop.root / "tiny/manifest.json").exists()
    again = shop.run("mine")
    assert (again.ok(), again.shards_done) == (True, 0)
    assert (shop.root / "tiny/manifest.json").exists()


def test_a_plan_of_which_no_shard_came_through_gives_way_to_another(shop: Workshop) -> None:
    taken = {path.name: path.read_bytes() for path in shop.web.iterdir()}
    for name in taken:
        (shop.web / name).unlink()
    catalog = shop.folder / "catalogs/tiny.yaml"
    catalog.write_text(catalog.read_text() + "min_success: 1.0\n")
    assert len(shop.run("mine").failed) == 3
    for name, data in taken.items():
        (shop.web / name).write_bytes(data)
    catalog.write_text(catalog.read_text().replace("shard_rows: 4", "shard_rows: 6"))
    result = shop.run("mine")
    assert result.ok()
    assert sorted(path.name for path in (shop.root / "tiny/samples").iterdir()) == ["00000.parquet", "00001.parquet"]


def test_a_limit_takes_the_first_rows_and_is_part_of_the_plan(shop: Workshop) -> None:
    result = shop.run("mine", limit=6)
    assert result.ok()
    assert stages(result)["ingest"].rows_in == 6
    assert [row["row"] for row in rows(shop.root, "tiny/samples/*.parquet")] == [0, 1, 2, 3, 0, 1]
    before = files(shop.root)
    for limit in (None, 5):
        with pytest.raises(ConfigError, match="limit was 6"):
            shop.run("mine", limit=limit)
    assert files(shop.root) == before


def test_a_job_without_filters_keeps_everything(shop: Workshop) -> None:
    shop.write("jobs/plain.yaml", "from: tiny\n")
    result = shop.run("plain")
    assert result.ok()
    assert list(stages(result, "plain")) == ["ingest", "filter"]
    assert stages(result, "plain")["filter"].rows_out == 12


def test_a_job_that_keeps_nothing_has_balanced_books(shop: Workshop) -> None:
    job(shop, low=1000)
    result = shop.run("mine")
    assert result.ok()
    assert stages(result)["filter"].lost == {"number_low": 12}
    assert (stages(result)["augment"].rows_in, stages(result)["augment"].rows_out) == (0, 0)


def test_a_dataset_whose_every_picture_is_gone_has_balanced_books(shop: Workshop) -> None:
    for path in shop.web.iterdir():
        path.unlink()
    result = shop.run("mine")
    assert result.ok()
    assert stages(result)["ingest"].lost == {"http_404": 12}
    assert json.loads((shop.root / "tiny/manifest.json").read_bytes())["books"]["ok"] == 0


def test_two_jobs_share_what_they_have_in_common(shop: Workshop) -> None:
    shop.run("mine")
    before = files(shop.root)
    shop.write("jobs/plain.yaml", "from: tiny\nscore: [numbered]\n")
    result = shop.run("plain")
    assert (result.shards_resumed, result.shards_done) == (6, 3)
    assert files(shop.root).items() >= before.items()


def test_nothing_runs_where_the_job_is_wrong(shop: Workshop) -> None:
    shop.write("jobs/wrong.yaml", "from: tiny\nscore: [numbred]\n")
    with pytest.raises(ConfigError, match="unknown scorer"):
        shop.run("wrong")
    with pytest.raises(ConfigError, match='unknown runner "dask"'):
        shop.run("mine", where=Where("dask"))
    assert not shop.root.exists()


def test_a_scorer_that_breaks_on_one_shard_costs_that_shard_alone(shop: Workshop) -> None:
    bad = SCORER.replace("words = [", "assert table['shard'][0].as_py() != 1, 'no'\n    words = [")
    shop.write("plugins/scorers/numbered.py", bad)
    result = shop.run("mine")
    assert not result.ok()
    assert [(each.shard, "score numbered: AssertionError" in (each.error or "")) for each in result.failed] == [
        (1, True)
    ]
    assert stages(result)["filter"].rows_in == 8
    assert result.jobs[0].complete is False
    [path] = (shop.root / "jobs/mine").glob("*/manifest.json")
    books = json.loads(path.read_bytes())["books"]
    assert books == {"read": 12, "ok": 12, "failed": {}, "kept": 5, "dropped": {"number_low": 3}, "undecided": 4}
    [told] = [line for line in funnel(result).split("\n") if line.startswith("books mine:")]
    assert "+ failed 0 + undecided 4   balanced, but INCOMPLETE" in told
    assert kept_by_shard(shop) == {(0, False): 3, (0, True): 1, (1, None): 4, (2, True): 4}


def kept_by_shard(shop: Workshop, job: str = "mine") -> dict[tuple[int, bool | None], int]:
    query = f"select shard, kept, count(*) from outcomes where job = '{job}' group by all"
    with_views = open_root(str(shop.root), shop.project)
    return {(shard, kept): count for shard, kept, count in with_views.answer(query).rows}


def test_a_filter_that_breaks_on_one_shard_leaves_it_undecided(shop: Workshop) -> None:
    captions(shop, extra=f"{shop.url}/gone.jpg\ta dog\n")
    broken = "select sample_id, case when shard = 1 then error('no') when $low > 9 then '' end as reason from samples"
    shop.write("sql/filters/from_number.sql", broken)
    result = shop.run("mine")
    assert [(each.shard, (each.error or "").startswith("filter")) for each in result.failed] == [(1, True)]
    [path] = (shop.root / "jobs/mine").glob("*/manifest.json")
    books = json.loads(path.read_bytes())["books"]
    assert books == {"read": 13, "ok": 12, "failed": {"http_404": 1}, "kept": 8, "dropped": {}, "undecided": 4}
    # A row that failed is not kept, whatever else happened.
    assert kept_by_shard(shop) == {(0, True): 4, (1, None): 4, (2, True): 4, (3, False): 1}


def test_an_incomplete_job_is_exported_only_when_asked_for_in_part(shop: Workshop) -> None:
    taken = broken_shard(shop)
    job(shop, rest="export: {as: llava_json, codec: plain}\n")
    assert "export" not in shop.run("mine").jobs[0].facts
    asked = pipeline.Run(str(shop.root), shop.project, Where("inline"))
    wanted = Export(as_="llava_json", codec="plain")
    with pytest.raises(ShardError, match=r'shards of "mine" are missing.*--partial'):
        export_last("mine", wanted, asked.project, asked.root)
    assert not (shop.root / "exports").exists()
    part, manifest = export_last("mine", wanted, asked.project, asked.root, partial=True)
    assert manifest["records"] == 5
    for name, data in taken.items():
        (shop.web / name).write_bytes(data)
    export = shop.run("mine").jobs[0].facts["export"]
    assert export["records"] == 9
    assert export["folder"] != part
    assert export_last("mine", wanted, asked.project, asked.root) == (export["folder"], manifest_of(export["folder"]))


def manifest_of(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "manifest.json").read_bytes())
    return found


def test_a_mix_of_an_incomplete_job_is_incomplete_and_not_exported(shop: Workshop) -> None:
    broken_shard(shop)
    mix(shop, "  a: {from: mine}\n", rest="export: {as: llava_json, codec: plain}\n")
    result = shop.run("mixed")
    assert [one.complete for one in result.jobs] == [False, False]
    assert "export" not in result.jobs[-1].facts
    asked = pipeline.Run(str(shop.root), shop.project, Where("inline"))
    with pytest.raises(ShardError, match='shards of "mixed" are missing'):
        export_last("mixed", Export(as_="llava_json", codec="plain"), asked.project, asked.root)
    assert not (shop.root / "exports").exists()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select sample_id, null as reason from samples limit 1", "gave 1 verdicts for 4 samples"),
        ("select sample_id, null as reason from samples union all from (select sample_id, 'x' from samples)", "gave 8"),
        ("select 'other' as sample_id, null as reason from samples", "verdicts for 4 samples"),
    ],
)
def test_a_filter_must_give_each_sample_one_verdict(shop: Workshop, sql: str, said: str) -> None:
    shop.write("sql/filters/from_number.sql", f"-- $low\n{sql.replace('null', 'case when $low > 9 then null end')}")
    result = shop.run("mine")
    assert not result.ok()
    assert all(said in (each.error or "") for each in result.failed)
    assert len(result.failed) == 3


def test_plain_duckdb_reads_the_root(shop: Workshop) -> None:
    captions(shop, extra=f"{shop.url}/gone.jpg\tx\n{shop.url}/too.jpg\ty\n")
    shop.run("mine")
    query = f"select status, error, count(*) from read_parquet('{shop.root}/*/samples/*.parquet') group by all"
    found = duckdb.connect().sql(f"{query} order by all").fetchall()
    assert found == [("failed", "http_404", 2), ("ok", None, 12)]


def assert_tar_matches(tar: Path, table: Path) -> int:
    data = tar.read_bytes()
    with tarfile.open(tar) as opened:
        members = {member.name: member for member in opened.getmembers()}
    assert all((each.mtime, each.uid, each.gid) == (0, 0, 0) for each in members.values())
    named = set()
    for row in pq.ParquetFile(table).read().to_pylist():
        assert bool(row["images"]) == (row["status"] == "ok")
        for image in row["images"]:
            member = members[image["member"]]
            assert (member.offset_data, member.size) == (image["offset"], image["size"])
            stored = data[image["offset"] : image["offset"] + image["size"]]
            assert hashlib.sha256(stored).hexdigest() == image["sha256"]
            named.add(image["member"])
    assert named == set(members)
    return len(named)


def test_every_row_says_where_its_picture_lies(shop: Workshop) -> None:
    captions(shop, extra=f"{shop.url}/gone.jpg\tx\n")
    shop.run("mine")
    tars = sorted((shop.root / "tiny/images").glob("*.tar"))
    assert sum(assert_tar_matches(tar, shop.root / f"tiny/samples/{tar.stem}.parquet") for tar in tars) == 12
    derived = sorted((shop.root / "tiny/augmented").glob("*/*.tar"))
    assert sum(assert_tar_matches(tar, tar.with_suffix(".parquet")) for tar in derived) == 9


def test_rows_of_one_url_in_a_shard_share_a_member(shop: Workshop) -> None:
    again = "".join(f"{shop.url}/{n}.jpg\tnumber 5{n}\n" for n in (0, 0, 1))
    captions(shop, extra=again)
    shop.run("mine")
    last = rows(shop.root, "tiny/samples/00003.parquet")
    places = [(row["images"][0]["member"], row["images"][0]["offset"]) for row in last]
    assert places[0] == places[1] != places[2]
    assert len({row["sample_id"] for row in last}) == 3
    assert assert_tar_matches(shop.root / "tiny/images/00003.tar", shop.root / "tiny/samples/00003.parquet") == 2


def test_a_mix_is_exact_and_accounts_for_what_it_leaves_out(shop: Workshop) -> None:
    hostile = f"{shop.url}/0.jpg\ta {'word ' * 200}\n{shop.url}/1.jpg\t   \n{shop.url}/2.jpg\ta <ref>dog\n"
    captions(shop, extra=hostile)
    shop.write("jobs/all.yaml", "from: tiny\naugment: [hflip]\n")
    parts = "  once: {from: jobs/all.yaml, epochs: 1.5}\n  flip: {from: all, derived: hflip, samples: 30}\n"
    mix(shop, parts, limit=700, pack=1400)
    result = shop.run("mixed")
    assert result.ok()
    assert [one.job for one in result.jobs] == ["all", "mixed"]
    facts = result.jobs[-1].facts
    drawn = rows(shop.root, "mixes/mixed/*/packs.parquet")
    once = [row for row in drawn if row["component"] == "once" and row["reason"] is None]
    assert len(once) == 18
    assert sorted(Counter(row["sample_id"] for row in once).values()) == [1] * 6 + [2] * 6
    left = Counter(row["reason"] for row in drawn if row["component"] == "once" and row["reason"])
    assert left == {"too_long": 1, "no_text": 1, "reserved_tag": 1}
    flip = [row for row in drawn if row["component"] == "flip" and row["reason"] is None]
    assert len(flip) == 30
    assert {row["recipe"] for row in flip} == {"hflip"}
    assert (
        max(Counter(row["sample_id"] for row in flip).values())
        - min(Counter(row["sample_id"] for row in flip).values())
        <= 1
    )
    loads: Counter[int] = Counter()
    for row in (*once, *flip):
        assert row["n_img_tok"] == 576
        assert 576 < row["n_img_tok"] + row["n_text_tok"] <= 700
        loads[row["pack"]] += row["n_img_tok"] + row["n_text_tok"]
    assert max(loads.values()) <= 1400
    assert sorted(loads) == list(range(facts["packs"]))
    assert (facts["samples"], facts["tokens"]) == (48, sum(loads.values()))
    assert stages(result, "mixed")["mix"].balanced()
    before = files(shop.root)
    again = shop.run("mixed")
    assert files(shop.root) == before
    assert again.jobs == result.jobs


def test_another_seed_is_another_mix(shop: Workshop) -> None:
    mix(shop, "  a: {from: mine, samples: 4}\n", rest="seed: 1\n")
    one = shop.run("mixed")
    mix(shop, "  a: {from: mine, samples: 4}\n", rest="seed: 2\n")
    two = shop.run("mixed")
    assert one.jobs[-1].digest != two.jobs[-1].digest
    assert len(list((shop.root / "mixes/mixed").iterdir())) == 2


def test_a_component_with_nothing_to_draw_is_named(shop: Workshop) -> None:
    job(shop, low=1000)
    mix(shop, "  a: {from: mine}\n")
    with pytest.raises(ShardError, match="a has no samples"):
        shop.run("mixed")


def test_llava_json_is_sound_and_its_pictures_are_there(shop: Workshop) -> None:
    parts = "  a: {from: mine, epochs: 2}\n  b: {from: mine, derived: hflip}\n"
    mix(shop, parts, rest="export: {as: llava_json, codec: asv2, file: train.json}\n")
    result = shop.run("mixed")
    export = result.jobs[-1].facts["export"]
    assert (export["records"], export["left_out"]) == (27, {})
    folder = Path(export["folder"])
    records = json.loads((folder / "train.json").read_text(encoding="utf-8"))
    assert len(records) == 27
    stored = {row["images"][0]["member"]: row["images"][0]["sha256"] for row in everything(shop)}
    for record in records:
        assert [turn["from"] for turn in record["conversations"]] == ["human", "gpt"]
        assert record["conversations"][0]["value"].startswith("<image>\n")
        data = (folder / record["image"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == stored[record["image"].removeprefix("images/tiny/")]
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert (manifest["files"], manifest["picture_files"]) == (["train.json"], 18)


def everything(shop: Workshop) -> Iterator[dict[str, Any]]:
    yield from rows(shop.root, "tiny/samples/*.parquet")
    yield from rows(shop.root, "tiny/augmented/*/*.parquet")


def test_webdataset_is_read_by_the_library(shop: Workshop) -> None:
    webdataset = pytest.importorskip("webdataset")
    mix(shop, "  a: {from: mine, epochs: 2}\n", rest="export: {as: webdataset, codec: plain}\n")
    folder = Path(shop.run("mixed").jobs[-1].facts["export"]["folder"])
    tars = sorted(str(path) for path in folder.glob("*.tar"))
    found = list(webdataset.WebDataset(tars, shardshuffle=False).decode("rgb8"))
    assert len({one["__key__"] for one in found}) == len(found) == 18
    assert all(one["jpg"].shape == (48, 64, 3) for one in found)
    assert all(one["json"]["conversations"][1]["value"].startswith("a very very very ") for one in found)


@pytest.mark.parametrize("as_", ["llava_json", "webdataset"])
def test_export_last_writes_what_the_last_run_kept(shop: Workshop, as_: str) -> None:
    shop.run("mine")
    asked = pipeline.Run(str(shop.root), shop.project, Where("inline"))
    wanted = Export(as_=as_, codec="plain", pictures=False)
    folder, manifest = export_last("jobs/mine.yaml", wanted, asked.project, asked.root)
    assert (manifest["records"], manifest["left_out"], manifest["pictures"]) == (18, {}, False)
    assert not list(Path(folder).rglob("*.jpg"))
    before = files(shop.root)
    assert export_last("mine", wanted, asked.project, asked.root) == (folder, manifest)
    assert files(shop.root) == before
    job(shop, low=10)
    shop.run("mine")
    newer, manifest = export_last("mine", wanted, asked.project, asked.root)
    assert newer != folder
    assert manifest["records"] == 4
    assert files(shop.root).items() >= before.items()


def test_export_last_refuses_what_never_ran_and_what_is_unknown(shop: Workshop) -> None:
    shop.run("mine")
    asked = pipeline.Run(str(shop.root), shop.project, Where("inline"))
    with pytest.raises(ConfigError, match='"min" has no run') as error:
        export_last("min", Export(as_="llava_json"), asked.project, asked.root)
    assert "mine" in error.value.hint
    with pytest.raises(ConfigError, match="unknown exporter"):
        export_last("mine", Export(as_="llava"), asked.project, asked.root)
    with pytest.raises(ConfigError, match="unknown codec"):
        export_last("mine", Export(as_="llava_json", codec="x"), asked.project, asked.root)
    assert not (shop.root / "exports").exists()


def test_a_text_with_the_codecs_own_tags_is_left_out_of_an_export_and_counted(shop: Workshop) -> None:
    captions(shop, extra=f"{shop.url}/0.jpg\tvery very very dog <box>[[0, 0, 1, 1]]</box>\n")
    job(shop, rest="export: {as: llava_json, codec: asv2}\n")
    result = shop.run("mine")
    assert result.jobs[0].facts["export"]["left_out"] == {"reserved_tag": 1}
    assert result.jobs[0].facts["export"]["records"] == 9
