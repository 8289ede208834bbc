"""Every mistake in a job is found before anything runs, at its place, with the nearest name; sound jobs have none."""

import json
from pathlib import Path

import pytest
from conftest import Workshop

from curate.check_warnings import warnings
from curate.checks import check, loaded
from curate.errors import ConfigError
from curate.io import json_stream
from curate.plugins import Project, load, names
from curate.sample import Grounded, Region

SHIPPED = Project("/nowhere")
GOOD_BOXES = "{min_area: 0, max_area: 1, min_score: 0, max_out_of_frame: 1, max_duplicate_iou: 1}"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """No web server: nothing is fetched here."""
    return Workshop(tmp_path / "project", tmp_path / "root", tmp_path, "")


def said(workshop: Workshop, text: str, name: str = "mine") -> list[ConfigError]:
    workshop.write(f"jobs/{name}.yaml", text)
    workshop.write("catalogs/tiny.yaml", "source: cc12m\nuri: /x.tsv\nlicence: CC0\n")
    workshop.write("jobs/flipped.yaml", "from: tiny\naugment: [hflip, [square_pad, hflip]]\n")
    return check(name, workshop.project)


@pytest.mark.parametrize("name", names("jobs", SHIPPED))
def test_shipped_jobs_have_no_mistakes(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CURATE_WORLD", str(tmp_path))
    monkeypatch.setenv("SA1B_LINKS", str(tmp_path / "links.tsv"))
    assert check(name, SHIPPED) == []


@pytest.mark.parametrize(
    ("text", "where", "what", "near"),
    [
        ("from: tinny", "from", "unknown dataset", "tiny"),
        ("from: tiny\nscore: [box_stat]", "score[0]", "unknown scorer", "box_stats"),
        ("from: tiny\nscore: [box_stats, ../x]", "score[1]", "unknown scorer", ""),
        ("from: tiny\nscore: [box_stats, box_stats]", "score", "twice", ""),
        ("from: tiny\nscore: [clip_similarity: {modell: x}]", "score[0].clip_similarity.modell", "no option", "model"),
        ("from: tiny\nscore: [clip_similarity: {model: 3}]", "score[0].clip_similarity.model", "must be str", ""),
        ("from: tiny\nkeep: {has_box: }", "keep.has_box", "unknown filter", "has_boxes"),
        (
            "from: tiny\nscore: [clip_similarity]\nkeep: {aligned: }",
            "keep.aligned",
            'needs the parameter "min_clip"',
            "",
        ),
        ("from: tiny\nkeep: {everything: {low: 1}}", "keep.everything.low", 'no parameter "low"', ""),
        ("from: tiny\nkeep: {aligned: {min_clip: 0.3}}", "keep.aligned", 'scores of "clip_similarity"', "score:"),
        (f"from: tiny\nkeep: {{good_boxes: {GOOD_BOXES}}}", "keep.good_boxes", 'scores of "box_stats"', ""),
        ("from: tiny\naugment: [hflop]", "augment[0]", "unknown augmenter", "hflip"),
        ("from: tiny\naugment: [hflip, [square_pad, flip]]", "augment[1]", "unknown augmenter", "hflip"),
        ("from: tiny\naugment: [hflip, hflip]", "augment", "twice", ""),
        ("from: tiny\naugment: [hflip, [hflip]]", "augment", "twice", ""),
        ("from: tiny\nexport: {as: llava}", "export.as", "unknown exporter", "llava_json"),
        ("from: tiny\nexport: {as: llava_json, codec: asv}", "export.codec", "unknown codec", "asv2"),
        ("mix: {a: {from: flipedd}}", "mix.a.from", "unknown job", "flipped"),
        ("mix: {a: {from: flipped, epochs: 1, samples: 3}}", "mix.a", "not both", ""),
        ("mix: {a: {from: flipped, derived: hflop}}", "mix.a.derived", "derives nothing", "hflip"),
        ("mix: {a: {from: flipped, derived: square_pad}}", "mix.a.derived", "derives nothing", "square_pad+hflip"),
        ("mix: {a: {from: mine}}", "mix.a.from", "draws from itself", ""),
        ("mix: {a: {from: flipped}}\ntokens: {model: llava}", "tokens.model", "unknown token model", "llava-1.5-336"),
        ("mix: {a: {from: flipped}}\ntokens: {tokenizer: /no.json}", "tokens.tokenizer", "no tokenizer at", "clip"),
        ("mix: {a: {from: flipped}}\npack: {length: 100}", "pack.length", "cannot hold", ""),
        ("mix: {a: {from: flipped}}\nexport: {as: web}", "export.as", "unknown exporter", "webdataset"),
    ],
)
def test_a_mistake_is_named(workshop: Workshop, text: str, where: str, what: str, near: str) -> None:
    found = [each for each in said(workshop, text) if each.where == where]
    assert len(found) == 1, said(workshop, text)
    assert what in found[0].what
    assert near in found[0].hint
    assert "jobs/mine.yaml:" in found[0].file


def test_a_boolean_is_no_number(workshop: Workshop) -> None:
    workshop.write(
        "plugins/scorers/own.py",
        '"""Own."""\nfrom dataclasses import dataclass\n'
        "VERSION, COLUMNS, NEEDS, prepare, Scorer = 1, {}, None, None, None\n"
        "@dataclass\nclass Options:\n    size: int = 1\n    rate: float = 1.0\n    fast: bool = False\n",
    )
    assert said(workshop, "from: tiny\nscore: [own: {size: 2, rate: 1, fast: true}]") == []
    found = said(workshop, "from: tiny\nscore: [own: {size: true, rate: false, fast: 1}]")
    assert [each.where for each in found] == ["score[0].own.size", "score[0].own.rate", "score[0].own.fast"]


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("selec sample_id from samples", "syntax error"),
        ("select sample_id, null as reason from samples; select 1", "exactly one SELECT"),
        ("delete from samples", "exactly one SELECT"),
        ("copy samples to '/tmp/x.csv'", "exactly one SELECT"),
        ("", "exactly one SELECT"),
        ("-- nothing at all", "exactly one SELECT"),
    ],
)
def test_sql_that_is_no_filter(workshop: Workshop, sql: str, what: str) -> None:
    workshop.write("sql/filters/own.sql", sql)
    [found] = said(workshop, "from: tiny\nkeep: {own: }")
    assert found.file == str(workshop.folder / "sql/filters/own.sql")
    assert found.where == f"read by {workshop.folder}/jobs/mine.yaml, keep.own"
    assert what in found.what


def test_sql_that_is_not_text_is_named_by_its_file(workshop: Workshop) -> None:
    workshop.write("sql/filters/own.sql", "").write_bytes(b"select '\xff'")
    [found] = said(workshop, "from: tiny\nkeep: {own: }")
    assert "not UTF-8" in found.what
    assert found.file == str(workshop.folder / "sql/filters/own.sql")
    assert found.where.endswith("jobs/mine.yaml, keep.own")


def test_what_a_filter_is_given_is_a_mistake_of_the_job(workshop: Workshop) -> None:
    workshop.write("sql/filters/own.sql", "select sample_id, if($low > 1, 'x', null) as reason from samples")
    [found] = said(workshop, "from: tiny\nkeep: {own: }")
    assert (found.where, found.file) == ("keep.own", f"{workshop.folder}/jobs/mine.yaml:2")


def test_scores_are_seen_behind_any_punctuation_but_not_in_comments_and_texts(workshop: Workshop) -> None:
    workshop.write("sql/filters/own.sql", "select sample_id, null as reason from samples where exists (from box_stats)")
    [found] = said(workshop, "from: tiny\nkeep: {own: }")
    assert 'scores of "box_stats"' in found.what
    workshop.write(
        "sql/filters/own.sql",
        "-- like box_stats here\n/* and box_stats\n there */\n"
        "select sample_id, 'see box_stats, it''s' as reason from samples",
    )
    assert said(workshop, "from: tiny\nkeep: {own: }") == []


def test_several_mistakes_are_all_named(workshop: Workshop) -> None:
    found = said(
        workshop,
        "from: nowhere\nscore: [box_stat]\nkeep: {has_boxs: , aligned: {min: 1}}\naugment: [flop]\n"
        "export: {as: x, codec: y}\n",
    )
    assert {each.where for each in found} == {
        "from", "score[0]", "keep.has_boxs", "keep.aligned", "keep.aligned.min", "augment[0]",
        "export.as", "export.codec",
    }  # fmt: skip


def test_mistakes_of_the_jobs_that_a_mix_draws_from_are_named_in_their_own_file(workshop: Workshop) -> None:
    workshop.write("jobs/bad.yaml", "from: tiny\nscore: [nothing_like_it]\n")
    [found] = said(workshop, "mix: {a: {from: jobs/bad}}")
    assert found.file.endswith("jobs/bad.yaml:2")


def test_a_mix_of_a_mix(workshop: Workshop) -> None:
    workshop.write("jobs/inner.yaml", "mix: {a: {from: flipped}}\n")
    assert said(workshop, "mix: {b: {from: inner}}") == []
    workshop.write("jobs/inner.yaml", "mix: {a: {from: flipped, derived: hflop}}\n")
    [found] = said(workshop, "mix: {b: {from: inner}, c: {from: inner}, d: {from: jobs/inner.yaml}}")
    assert "jobs/inner.yaml" in found.file


def test_a_job_that_is_absent_from_a_mix_is_told_once_for_each_place(workshop: Workshop) -> None:
    workshop.write("jobs/inner.yaml", "mix: {a: {from: nope}}\n")
    found = said(workshop, "mix: {a: {from: jobs/nope}, b: {from: nope}, c: {from: inner}}")
    assert [(each.what, each.where, Path(each.file).name.split(":")[0]) for each in found] == [
        ('unknown job "nope"', "mix.a.from", "mine.yaml"),
        ('unknown job "nope"', "mix.b.from", "mine.yaml"),
        ('unknown job "nope"', "mix.a.from", "inner.yaml"),
    ]


def test_a_recipe_is_no_component(workshop: Workshop) -> None:
    recipe = workshop.write("rec/next.yaml", "datasets: [{json_path: a.json}]\n")
    [found] = said(workshop, f"mix: {{a: {{from: {recipe}}}}}")
    assert (found.where, found.hint) == ("mix.a.from", f"a recipe is the whole of a mix:  mix: {recipe}")
    for other in ("datasets: 3\n", "a: [\n"):
        workshop.write("rec/next.yaml", other)
        [found] = said(workshop, f"mix: {{a: {{from: {recipe}}}}}")
        assert "a file, or the name of a job" in found.hint


def test_a_mistake_in_a_recipe_names_it_once(workshop: Workshop) -> None:
    recipe = workshop.write("rec/twice.yaml", "datasets: [{json_path: a.json}]\ndatasets: [{json_path: b.json}]\n")
    [found] = said(workshop, f"mix: {recipe}")
    assert found.what == f"{recipe}: the key 'datasets' is given twice"
    recipe = workshop.write("rec/none.yaml", "datasets: 3\n")
    [found] = said(workshop, f"mix: {recipe}")
    assert found.what.endswith(f"(got {str(recipe)!r:.60})")


def test_a_circle_of_mixes_ends(workshop: Workshop) -> None:
    workshop.write("jobs/other.yaml", "mix: {a: {from: mine}}\n")
    assert any("draws from itself" in each.what for each in said(workshop, "mix: {b: {from: other}}"))


def test_a_component_may_be_named_in_three_ways(workshop: Workshop) -> None:
    text = "mix: {a: {from: flipped}, b: {from: jobs/flipped, derived: hflip}, c: {from: jobs/flipped.yaml}}"
    assert said(workshop, text) == []


def test_a_catalog_with_a_mistake_is_named_in_its_own_file(workshop: Workshop) -> None:
    workshop.write("catalogs/bad.yaml", "source: cc12m\nuri: x\nlicense: CC0\n")
    found = said(workshop, "from: bad\n")
    assert found
    assert "catalogs/bad.yaml" in found[0].file


def test_a_catalog_with_an_unknown_source(workshop: Workshop) -> None:
    workshop.write("catalogs/bad.yaml", "source: cc12\nuri: x\nlicence: CC0\n")
    [found] = said(workshop, "from: bad\n")
    assert "unknown source" in found.what
    assert "cc12m" in found.hint


def warned(workshop: Workshop, name: str = "mine") -> list[str]:
    return [each.what for each in warnings(name, workshop.project)]


def test_variables_that_are_not_set_are_warnings(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("A", "B", "C", "D"):
        monkeypatch.delenv(f"CURATE_TEST_{name}", raising=False)
    for name, uri in {
        "one": "'${CURATE_TEST_A}/x.tsv'",
        "two": "['/x.tsv', '${CURATE_TEST_B}', '${CURATE_TEST_C:-no}', '${CURATE_TEST_D}']",
    }.items():
        workshop.write(f"catalogs/{name}.yaml", f"source: cc12m\nuri: {uri}\nlicence: CC0\n")
        workshop.write(f"jobs/{name}.yaml", f"from: {name}\n")
    assert said(workshop, "mix: {a: {from: two}, b: {from: jobs/one.yaml}, c: {from: two}, d: {from: flipped}}") == []
    [first, *rest] = warnings("mine", workshop.project)
    assert first.what == "the environment variable CURATE_TEST_A is not set"
    assert (first.file, first.where, "export CURATE_TEST_A" in first.hint) == ("catalogs/one.yaml", "uri", True)
    assert rest[0].what == "the environment variable CURATE_TEST_B is not set"
    monkeypatch.setenv("CURATE_TEST_A", "/data")
    assert warned(workshop, "one") == []
    for name in ("B", "D"):
        monkeypatch.setenv(f"CURATE_TEST_{name}", "/data")
    assert warned(workshop) == []


@pytest.mark.parametrize("text", ["from: nowhere\n", "from: bad\n", "from: [1]\n", "form: tiny\n", "mix: 3\n", "- x\n"])
def test_what_is_a_mistake_is_no_warning_as_well(workshop: Workshop, text: str) -> None:
    workshop.write("catalogs/bad.yaml", "source: cc12m\nuri: x\nlicense: CC0\n")
    assert said(workshop, text)
    assert warned(workshop) == []


@pytest.mark.parametrize("below", ["mine", "other", "absent"])
def test_warnings_of_a_mix_that_goes_nowhere_or_in_circles_end(workshop: Workshop, below: str) -> None:
    workshop.write("jobs/other.yaml", "mix: {a: {from: mine}, b: {from: other}}\n")
    assert said(workshop, f"mix: {{a: {{from: {below}}}}}")
    assert warned(workshop) == []


def test_a_job_that_is_absent(workshop: Workshop) -> None:
    [found] = check("demoo", workshop.project)
    assert "unknown job" in found.what
    assert "demo" in found.hint


BOX = ((0.02, 0.1, 0.75, 0.9), (0.3, 0.4, 0.55, 0.95), (0.1, 0.2, 0.31, 0.4))


def records(codec: str, count: int = 5) -> str:
    """Return a file of records as JSON, `count` of them with a box each as a codec writes it."""
    encode = load("codecs", codec, SHIPPED).encode
    regions = [Region("red dog", (BOX[n % 3],), start=2, end=9) for n in range(count)]
    said = [encode(Grounded("a red dog", (region,)), 640, 480) for region in regions]
    turns = [[{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": text}] for text in said]
    return json.dumps([{"image": "1.jpg", "conversations": each} for each in turns])


FORMS = ("asv2", "asv2_unpadded", "internvl", "llava", "shikra", "svit", "qwen_vl", "qwen2_vl", "kosmos2", "florence2")


@pytest.mark.parametrize("form", FORMS)
def test_a_file_in_another_form_is_a_warning(workshop: Workshop, form: str) -> None:
    file = workshop.write("theirs.json", records(form))
    alike = ("asv2", "asv2_unpadded", "internvl")
    silent = alike if form in alike else (form,)
    for other in (*FORMS, "plain"):
        text = f"mix: {{a: {{from: {file}}}}}\nexport: {{as: llava_json, codec: {other}}}"
        assert said(workshop, text) == []
        found = warnings("mine", workshop.project)
        assert len(found) == (other not in silent), (form, other)
        for each in found:
            like = silent[0]
            assert each.what == f"its records look like {like}, and are read as {other}"
            assert (each.where, each.hint.startswith(f"codec: {like}")) == ("mix.a", True)
            assert each.file.endswith("jobs/mine.yaml:1")
    said(workshop, f"mix: {{a: {{from: {file}, codec: {form}}}, b: {{from: {file}, codec: plain}}}}")
    assert warned(workshop) == []


def test_numbers_filled_with_zeros_are_none_of_internvls(workshop: Workshop) -> None:
    texts = [f"a <ref>dog</ref><box>[[{n:03d}, 045, 700, 800]]</box>" for n in range(5)]
    for other, form in (("[[", "internvl"), ("[[7, 100, 200, 300], [", None)):
        lines = [{"conversations": [{"from": "gpt", "value": text.replace("[[", other)}]} for text in texts]
        file = workshop.write("theirs.jsonl", "\n".join(map(json.dumps, lines)))
        said(workshop, f"mix: {{a: {{from: {file}}}}}\nexport: {{as: internvl}}")
        found = warnings("mine", workshop.project)
        assert [each.hint for each in found] == (["codec: asv2 or asv2_unpadded"] if form else [])


def test_a_recipes_files_are_looked_at_and_those_of_mixes_below(workshop: Workshop) -> None:
    file = workshop.write("theirs.json", records("qwen_vl"))
    recipe = workshop.write("next.yaml", f"datasets: [{{json_path: {file}}}]\n")
    workshop.write("jobs/below.yaml", f"mix: {recipe}\nexport: {{as: llava_next}}\n")
    assert said(workshop, "mix: {a: {from: below}}") == []
    [found] = warnings("mine", workshop.project)
    assert found.what == "its records look like qwen_vl, and are read as llava"
    assert (found.where, found.hint) == ("mix.theirs", "codec: qwen_vl")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"conversations": 3}',
        '[{"conversations": [3, {"value": 4}, {"from": "gpt"}]}, 7, null]',
        "\x00\x01",
        records("llava", 1)[:-1] + "," + records("qwen_vl", 1)[1:],
        json.dumps([{"conversations": [{"from": "gpt", "value": "<box>(1,2),(3"}]}] * 9),
        json.dumps([{"conversations": [{"from": "gpt", "value": "see <loc>https://x</loc> or [0.1, 2]"}]}] * 9),
        json.dumps([{"conversations": [{"from": "gpt", "value": "words alone"}]}] * 400) + "\n" + records("llava"),
        json.dumps([{"conversations": [{"from": "gpt", "value": "<box>" * 10**5}]}] * 3),
    ],
)
def test_a_file_whose_form_is_not_sure_is_none(workshop: Workshop, text: str) -> None:
    file = workshop.write("theirs.json", text)
    parts = f"a: {{from: {file}}}, b: {{from: /gone.json}}, c: {{from: '${{NO_VARIABLE}}.json'}}"
    assert said(workshop, f"mix: {{{parts}}}") == []
    assert warned(workshop) == []


def test_of_a_large_file_the_beginning_is_read(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    file = workshop.write("theirs.json", records("llava", 1000))
    read = []
    found = json_stream.records
    monkeypatch.setattr(json_stream, "records", lambda uri: (read.append(each) or each for each in found(uri)))
    said(workshop, f"mix: {{a: {{from: {file}}}}}")
    assert len(warned(workshop)) == 1
    assert len(read) == 300


def test_loaded_raises_the_first(workshop: Workshop) -> None:
    said(workshop, "from: tiny\naugment: [x]\n")
    with pytest.raises(ConfigError, match="unknown augmenter"):
        loaded("mine", workshop.project)
    assert loaded("flipped", workshop.project)[0].stem == "flipped"
