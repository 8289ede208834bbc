"""The plan is written first, read back, and never mixed with another."""

import json
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


def test_other_shards_are_refused(workshop: Workshop) -> None:
    make(workshop)
    catalog(workshop, rest="shard_rows: 5")
    with pytest.raises(ConfigError, match="shard_rows was 4, now 5") as error:
        make(workshop)
    assert error.value.file.endswith("tiny/plan.json")


def test_another_limit_is_refused(workshop: Workshop) -> None:
    make(workshop, 6)
    for limit in (5, None):
        with pytest.raises(ConfigError, match=r"limit was 6, now (5|null)"):
            make(workshop, limit)
    assert make(workshop, 6) == read(workshop)


def test_another_input_is_refused(workshop: Workshop) -> None:
    make(workshop)
    with (workshop.folder / "tiny.tsv").open("a") as file:
        file.write("http://x/11\tone more\n")
    with pytest.raises(ConfigError, match=r"files was .*tiny.tsv\", \d+\]\], now .*tiny.tsv"):
        make(workshop)


def test_another_file_is_refused(workshop: Workshop) -> None:
    make(workshop)
    workshop.write("other.tsv", (workshop.folder / "tiny.tsv").read_text())
    catalog(workshop, uri=f"{workshop.folder}/other.tsv")
    with pytest.raises(ConfigError, match=r"files was .*tiny\.tsv.*now .*other\.tsv"):
        make(workshop)


@pytest.mark.parametrize("change", ["max_side", "min_side", "max_pixels", "quality"])
def test_other_pictures_are_refused(workshop: Workshop, change: str) -> None:
    make(workshop)
    with pytest.raises(ConfigError, match=rf'pictures was {{"{change}": \d+}}, now {{"{change}": 50}}'):
        make(workshop, pictures=Pictures(**{change: 50}))


def test_another_revision_and_source_are_refused_together(workshop: Workshop) -> None:
    make(workshop)
    text = (workshop.folder / "catalogs/tiny.yaml").read_text()
    workshop.write("catalogs/tiny.yaml", text.replace("cc12m", "grit") + "revision: two\n")
    with pytest.raises(ConfigError, match='source was "cc12m", now "grit"; revision was "", now "two"'):
        make(workshop)


def test_what_does_not_make_the_content_may_change(workshop: Workshop) -> None:
    plan = make(workshop)
    catalog(workshop, rest="shard_rows: 4\nmin_success: 0.9\nrows: 7\nfetch: {timeout_s: 1}\n")
    assert make(workshop) == plan


def test_the_message_shows_the_difference_and_stays_short(workshop: Workshop) -> None:
    for number in range(50):
        workshop.write(f"parts/{number:02d}.tsv", "http://x/1\ta\n")
    catalog(workshop, uri=f"{workshop.folder}/parts/*.tsv")
    assert len(make(workshop).shards) == 50
    workshop.write("parts/99.tsv", "http://x/1\ta\n")
    with pytest.raises(ConfigError) as error:
        make(workshop)
    assert "99.tsv" in error.value.what
    assert "01.tsv" not in error.value.what
    workshop.write("catalogs/tiny.yaml", f"source: cc12m\nuri: {workshop.folder}/tiny.tsv\nlicence: CC0\n")
    with pytest.raises(ConfigError) as error:
        make(workshop)
    assert len(error.value.what) < 700


@pytest.mark.parametrize(
    "damage",
    [
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
    ],
)
def test_a_damaged_plan_is_named(workshop: Workshop, damage: object) -> None:
    make(workshop)
    path = workshop.root / "tiny/plan.json"
    after = damage(path.read_text())  # type: ignore[operator]
    assert after != path.read_text()
    path.write_text(after)
    for attempt in (make, read):
        with pytest.raises(ConfigError, match="damaged") as error:
            attempt(workshop)
        assert error.value.file.endswith("plan.json")


def test_a_plan_that_is_not_text_is_damaged(workshop: Workshop) -> None:
    make(workshop)
    (workshop.root / "tiny/plan.json").write_bytes(b"\xff\x00")
    with pytest.raises(ConfigError, match="damaged"):
        make(workshop)


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


def test_a_variable_in_the_uri(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog(workshop, uri="${CURATE_TEST_WORLD}/tiny.tsv")
    monkeypatch.delenv("CURATE_TEST_WORLD", raising=False)
    with pytest.raises(ConfigError, match="CURATE_TEST_WORLD is not set"):
        make(workshop)
    monkeypatch.setenv("CURATE_TEST_WORLD", str(workshop.folder))
    assert len(make(workshop).shards) == 3
