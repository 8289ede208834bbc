"""The plan is written first, read back, and never mixed with another."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Workshop

from curate import planning
from curate.catalog import load_catalog
from curate.errors import ConfigError
from curate.job import Pictures
from curate.layout import Layout
from curate.planning import Plan


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Ten rows in shards of four; no web server, nothing is fetched."""
    made = Workshop(tmp_path / "project", tmp_path / "root", tmp_path, "")
    made.write("tiny.tsv", "".join(f"http://x/{n}\tcaption {n}\n" for n in range(10)))
    catalog(made)
    return made


def catalog(workshop: Workshop, uri: str = "", rest: str = "shard_rows: 4") -> None:
    uri = uri or f"{workshop.folder}/tiny.tsv"
    workshop.write("catalogs/tiny.yaml", f"source: cc12m\nuri: {uri}\nlicence: CC0\n{rest}\n")


def make(workshop: Workshop, limit: int | None = None, pictures: Pictures | None = None) -> Plan:
    layout = Layout(str(workshop.root), "tiny")
    return planning.make(
        layout, load_catalog("tiny", workshop.project), workshop.project, pictures or Pictures(), limit
    )


def begin(workshop: Workshop, limit: int | None = None) -> Plan:
    """Plan, and commit a shard: from here on no other plan may take its place."""
    plan = make(workshop, limit)
    (workshop.root / "tiny/samples").mkdir()
    (workshop.root / "tiny/samples/00000.parquet").write_bytes(b"")
    return plan


def read(workshop: Workshop) -> Plan:
    return planning.read(Layout(str(workshop.root), "tiny"))


def test_the_plan_is_written_first_and_read_back(workshop: Workshop) -> None:
    plan = make(workshop)
    assert [(shard.first_row, shard.rows) for shard in plan.shards] == [(0, 4), (4, 4), (8, 2)]
    assert [path.name for path in (workshop.root / "tiny").iterdir()] == ["plan.json"]
    assert read(workshop) == plan
    before = (workshop.root / "tiny/plan.json").read_bytes()
    assert make(workshop) == plan
    assert (workshop.root / "tiny/plan.json").read_bytes() == before


def test_shards_cover_the_file_once(workshop: Workshop) -> None:
    plan = make(workshop)
    ends = [shard.offset + (shard.size or 0) for shard in plan.shards]
    assert [shard.offset for shard in plan.shards] == [0, *ends[:-1]]
    assert ends[-1] == (workshop.folder / "tiny.tsv").stat().st_size


@pytest.mark.parametrize(
    ("limit", "rows"), [(1, [1]), (4, [4]), (5, [4, 1]), (10, [4, 4, 2]), (10**9, [4, 4, 2])], ids=str
)
def test_a_limit_cuts(workshop: Workshop, limit: int, rows: list[int]) -> None:
    assert [shard.rows for shard in make(workshop, limit).shards] == rows


@pytest.mark.parametrize("limit", [None, 6, 3])
def test_a_plan_of_which_nothing_is_committed_is_replaced(workshop: Workshop, limit: int | None) -> None:
    make(workshop, 5)
    (workshop.root / "tiny/samples").mkdir()
    (workshop.root / "tiny/samples/._tmp-0.parquet").write_bytes(b"half")
    catalog(workshop, rest="shard_rows: 3")
    plan = make(workshop, limit, Pictures(quality=50))
    assert plan == read(workshop)
    assert plan.shards[0].rows == 3
    assert (plan.made_from["limit"], plan.made_from["pictures"]["quality"]) == (limit, 50)


def test_other_shards_are_refused(workshop: Workshop) -> None:
    begin(workshop)
    catalog(workshop, rest="shard_rows: 5")
    with pytest.raises(ConfigError, match="shard_rows was 4, now 5") as error:
        make(workshop)
    assert error.value.file.endswith("tiny/plan.json")


@pytest.mark.parametrize(("limit", "others"), [(6, (5, 4, 8, 7, None)), (8, (4, 7)), (None, (4, 8, 9))])
def test_another_limit_is_refused_where_shards_would_change(
    workshop: Workshop, limit: int | None, others: tuple[int | None, ...]
) -> None:
    begin(workshop, limit)
    before = (workshop.root / "tiny/plan.json").read_bytes()
    for other in others:
        with pytest.raises(ConfigError) as error:
            make(workshop, other)
        assert error.value.what.endswith(f"another plan: limit was {json.dumps(limit)}, now {json.dumps(other)}")
        assert error.value.file.endswith("tiny/plan.json")
        assert "shard of 4 rows" in error.value.hint
    assert make(workshop, limit) == read(workshop)
    assert (workshop.root / "tiny/plan.json").read_bytes() == before


def test_a_limit_at_a_border_of_shards_grows(workshop: Workshop) -> None:
    plans = [begin(workshop, 4)]
    for limit, rows in ((8, [4, 4]), (9, [4, 4, 1])):
        plans.append(make(workshop, limit))
        assert [shard.rows for shard in plans[-1].shards] == rows
        assert plans[-1].shards[: len(plans[-2].shards)] == plans[-2].shards
        assert read(workshop) == plans[-1]
    assert len({plan.digest for plan in plans}) == 3
    with pytest.raises(ConfigError, match="limit was 9"):
        make(workshop)


@pytest.mark.parametrize("limit", [4, 8, 10, 1000])
def test_a_limit_grows_to_everything(workshop: Workshop, limit: int) -> None:
    begin(workshop, limit)
    whole = make(workshop)
    assert [shard.rows for shard in whole.shards] == [4, 4, 2]
    assert (read(workshop), whole.made_from["limit"]) == (whole, None)
    fresh = Workshop(workshop.folder, workshop.root.parent / "fresh", workshop.web, "")
    assert make(fresh).digest == whole.digest


def test_a_limit_that_grows_permits_nothing_else(workshop: Workshop) -> None:
    begin(workshop, 4)
    catalog(workshop, rest="shard_rows: 4\nrevision: two")
    with pytest.raises(ConfigError, match='revision was "", now "two"'):
        make(workshop, 8)


def test_a_draft_that_grows_writes_nothing(workshop: Workshop) -> None:
    begin(workshop, 4)
    before = (workshop.root / "tiny/plan.json").read_bytes()
    layout = Layout(str(workshop.root), "tiny")
    wanted = planning.draft(layout, load_catalog("tiny", workshop.project), workshop.project, Pictures(), 8)
    assert len(wanted.shards) == 2
    assert (workshop.root / "tiny/plan.json").read_bytes() == before


def test_another_input_is_refused(workshop: Workshop) -> None:
    begin(workshop)
    with (workshop.folder / "tiny.tsv").open("a") as file:
        file.write("http://x/11\tone more\n")
    with pytest.raises(ConfigError, match=r"files was .*tiny.tsv\", \d+, \"\w+\"\]\], now .*tiny.tsv"):
        make(workshop)


def test_another_file_is_refused(workshop: Workshop) -> None:
    begin(workshop)
    workshop.write("other.tsv", (workshop.folder / "tiny.tsv").read_text())
    catalog(workshop, uri=f"{workshop.folder}/other.tsv")
    with pytest.raises(ConfigError, match=r"files was .*tiny\.tsv.*now .*other\.tsv"):
        make(workshop)


@pytest.mark.parametrize("change", ["max_side", "min_side", "max_pixels", "quality"])
def test_other_pictures_are_refused(workshop: Workshop, change: str) -> None:
    begin(workshop)
    with pytest.raises(ConfigError, match=rf'pictures was {{"{change}": \d+}}, now {{"{change}": 50}}'):
        make(workshop, pictures=Pictures(**{change: 50}))


def test_another_revision_and_source_are_refused_together(workshop: Workshop) -> None:
    begin(workshop)
    text = (workshop.folder / "catalogs/tiny.yaml").read_text()
    workshop.write("catalogs/tiny.yaml", text.replace("cc12m", "grit") + "revision: two\n")
    with pytest.raises(ConfigError, match='source was "cc12m", now "grit"; revision was "", now "two"'):
        make(workshop)


def test_what_does_not_make_the_content_may_change(workshop: Workshop) -> None:
    plan = begin(workshop)
    catalog(workshop, rest="shard_rows: 4\nmin_success: 0.9\nrows: 7\nfetch: {timeout_s: 1}\n")
    assert make(workshop) == plan


def test_the_message_shows_the_difference_and_stays_short(workshop: Workshop) -> None:
    for number in range(50):
        workshop.write(f"parts/{number:02d}.tsv", "http://x/1\ta\n")
    catalog(workshop, uri=f"{workshop.folder}/parts/*.tsv")
    assert len(begin(workshop).shards) == 50
    workshop.write("parts/99.tsv", "http://x/1\ta\n")
    with pytest.raises(ConfigError) as error:
        make(workshop)
    assert "99.tsv" in error.value.what
    assert "01.tsv" not in error.value.what
    workshop.write("catalogs/tiny.yaml", f"source: cc12m\nuri: {workshop.folder}/tiny.tsv\nlicence: CC0\n")
    with pytest.raises(ConfigError) as error:
        make(workshop)
    assert len(error.value.what) < 700


DAMAGE: list[Callable[[str], str]] = [
    lambda text: "",
    lambda text: text[: len(text) // 2],
    lambda text: "[]",
    lambda text: "null",
    lambda text: "{}",
    lambda text: text.replace('"rows": 4', '"rows": 5', 1),
    lambda text: text.replace('"first_row"', '"last_row"', 1),
    lambda text: text.replace('"shards"', '"shard"', 1),
    lambda text: text.replace('"limit": null', '"limit": 3', 1),
    lambda text: json.dumps({**json.loads(text), "digest": "0"}),
    lambda text: json.dumps({key: value for key, value in json.loads(text).items() if key != "digest"}),
    lambda text: json.dumps({**json.loads(text), "shards": "abc"}),
    lambda text: json.dumps({**json.loads(text), "made_from": [1]}),
    lambda text: "\x00\ud800",
]


def damaged(workshop: Workshop, damage: Callable[[str], str]) -> None:
    path = workshop.root / "tiny/plan.json"
    after = damage(path.read_text())
    assert after != path.read_text()
    path.write_bytes(after.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_plan_is_named(workshop: Workshop, damage: Callable[[str], str]) -> None:
    begin(workshop)
    damaged(workshop, damage)
    for attempt in (make, read):
        with pytest.raises(ConfigError, match="damaged") as error:
            attempt(workshop)
        assert error.value.file.endswith("plan.json")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_plan_of_which_nothing_is_committed_is_made_anew(
    workshop: Workshop, damage: Callable[[str], str]
) -> None:
    plan = make(workshop)
    damaged(workshop, damage)
    with pytest.raises(ConfigError, match="damaged"):
        read(workshop)
    assert make(workshop) == plan == read(workshop)


def test_no_plan(workshop: Workshop) -> None:
    with pytest.raises(ConfigError, match="has no plan"):
        read(workshop)


@pytest.mark.parametrize("uri", ["absent.tsv", "absent-*.tsv", "absent/*/x.tsv", ".", "x[12].tsv"])
def test_missing_input_is_named_and_nothing_is_written(workshop: Workshop, uri: str) -> None:
    catalog(workshop, uri=f"{workshop.folder}/{uri}")
    with pytest.raises(ConfigError, match="nothing at") as error:
        make(workshop)
    assert error.value.file == "catalogs/tiny.yaml"
    assert not workshop.root.exists()


def test_an_empty_input_is_named(workshop: Workshop) -> None:
    workshop.write("tiny.tsv", "")
    with pytest.raises(ConfigError, match="has no rows"):
        make(workshop)
    assert not workshop.root.exists()


def test_patterns_and_lists_keep_their_order(workshop: Workshop) -> None:
    for name in ("b1", "b2", "a1"):
        workshop.write(f"{name}.tsv", "http://x/1\ta\n")
    catalog(workshop, uri=f"['{workshop.folder}/b*.tsv', '{workshop.folder}/a1.tsv']")
    assert [Path(shard.uri).stem for shard in make(workshop).shards] == ["b1", "b2", "a1"]


@pytest.mark.parametrize("uri", ["tiny.tsv", "./tiny.tsv", "'*.tsv'", "[tiny.tsv]", "${CURATE_TEST_NAME:-tiny}.tsv"])
def test_a_relative_uri_starts_at_the_projects_folder(
    workshop: Workshop, uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.tsv").write_text("http://x/1\tanother\n")
    monkeypatch.chdir(tmp_path)
    catalog(workshop, uri=uri)
    plan = make(workshop)
    assert len(plan.shards) == 3
    assert {shard.uri for shard in plan.shards} == {f"{workshop.folder}/tiny.tsv"}


def test_a_relative_uri_of_nothing_says_where_it_looked(workshop: Workshop) -> None:
    catalog(workshop, uri="data/absent.tsv")
    with pytest.raises(ConfigError, match=f"nothing at {workshop.folder}/data/absent.tsv"):
        make(workshop)


def test_a_uri_with_a_protocol_is_no_relative_path(workshop: Workshop) -> None:
    catalog(workshop, uri=f"file://{workshop.folder}/tiny.tsv")
    assert [shard.uri for shard in make(workshop).shards] == [f"file://{workshop.folder}/tiny.tsv"] * 3


def test_a_variable_in_the_uri(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog(workshop, uri="${CURATE_TEST_WORLD}/tiny.tsv")
    monkeypatch.delenv("CURATE_TEST_WORLD", raising=False)
    with pytest.raises(ConfigError, match="CURATE_TEST_WORLD is not set"):
        make(workshop)
    monkeypatch.setenv("CURATE_TEST_WORLD", str(workshop.folder))
    assert len(make(workshop).shards) == 3
