"""A mix on the page: every number is what the plan's own files say, and nothing that is lacking ends the page."""

import json
import random
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from report_world import World

from curate.report.alerts import mix_alerts
from curate.report.figures import PLOT_HEIGHT, PLOT_WIDTH
from curate.report.gates import gate
from curate.report.mixes import mixed
from curate.report.page import ReportOptions, write_report
from curate.report.questions import Questions
from curate.report.records import records
from curate.report.words import inert
from curate.views import open_root, report_query

REPORTS = ("components", "packs", "lengths", "fill", "balance", "steps", "drops")
ODD = "evil.name+1"
JOB = """
mix:
  llava: {{from: {folder}/llava.json, weight: 2}}
  {odd}: {{from: {folder}/text.json, weight: 1, max_epochs: 2}}
  refs: {{from: {folder}/refs.json, samples: 90}}
budget: {{samples: 700}}
gate: {{against: ["{folder}/bench<img>.csv", {folder}/other.csv], numbers: coco}}
pack: {{length: 1500, by: [best_fit_decreasing, subset_sum]}}
layout: {{ranks: 3, per_rank: 2}}
seed: {seed}
tokens: {{tokenizer: {folder}/tokenizer.json, max: 1500}}
"""


def record_of(number, words, picture=True):
    asked = {"from": "human", "value": f"{'<image>' if picture else 'alone:'} what is {number}"}
    turns = [asked, {"from": "gpt", "value": "thing " * words}]
    image = {"image": f"coco/train2017/{number:012d}.jpg"} if picture else {}
    return {"id": number, **image, "conversations": turns}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two plans of one mix, the older of another seed; of its candidates 20 are a benchmark's and 10 come twice."""
    world, dice = World(tmp_path_factory.mktemp("mixes")), random.Random(0)
    llava = [record_of(n, 1 + int(dice.expovariate(1 / 60))) for n in range(400)]
    broken = [{"id": 1}, record_of(9000, 3000)]
    files = {
        "llava": llava + broken,
        "text": [record_of(n, 1 + n, False) for n in range(100)],
        "refs": [*llava[100:110], *(record_of(n, 20) for n in range(1000, 1060))],
    }
    for name, rows in files.items():
        (world.folder / f"{name}.json").write_text(json.dumps(rows))
    listed = "\n".join(str(n) for n in range(1, 21))
    (world.folder / "bench<img>.csv").write_text(f"image_id\n{listed}\nnada\n")
    (world.folder / "other.csv").write_text("url\nhttps://x.example/1.jpg\n")
    world.tokenizer()
    for seed in (1, 0):
        world.job("mix", JOB.format(folder=world.folder, odd=json.dumps(ODD), seed=seed))
        assert world.run("mix").ok()
    return world


@pytest.fixture(scope="module")
def asked(world):
    warehouse = open_root(world.root, world.project)
    yield Questions(warehouse, world.project)
    warehouse.close()


@pytest.fixture(scope="module")
def told(world, asked):
    return records(world.root, asked)[0]


@pytest.fixture(scope="module")
def mix(told, asked):
    return mixed(told, asked)


@pytest.fixture(scope="module")
def plan(world, told):
    return pq.ParquetFile(f"{world.root}/mixes/mix/{told.digest}/packs.parquet").read().to_pylist()


@pytest.fixture(scope="module")
def html(world, tmp_path_factory):
    to = tmp_path_factory.mktemp("page") / "page.html"
    return Path(write_report(world.root, world.project, ReportOptions(), str(to)).uri).read_text()


def length(row):
    return row["n_text_tok"] + row["n_img_tok"]


def drawn(plan, component=None):
    return [row for row in plan if row["reason"] is None and component in (None, row["component"])]


@pytest.mark.parametrize("name", REPORTS)
def test_every_panel_is_a_report_that_runs_by_its_name(world, asked, told, name):
    sql = report_query(f"report_mix_{name}", world.project)
    answer = asked.warehouse.answer(sql)
    assert answer.columns[:2] == ("mix", "digest")
    assert {row[:2] for row in answer.rows} == {("mix", told.digest)}, "the older plan is told of too"


def test_what_was_wanted_and_what_came(mix, plan):
    by_name = {each.name: each for each in mix.components}
    evil = next(name for name in by_name if "evil" in name)
    # 700 draws less 90 are shared 2 to 1; two epochs of a hundred texts are fewer than a third.
    assert {name: (each.wanted, each.draws) for name, each in by_name.items()} == {
        "llava": (407, 410),
        evil: (203, 200),
        "refs": (90, 90),
    }
    for name, each in by_name.items():
        mine = drawn(plan, ODD if name == evil else name)
        assert each.text_tokens + each.image_tokens == sum(map(length, mine))
        assert each.samples == len({row["sample_id"] for row in mine})
        size = {"llava": 402, evil: 100, "refs": 70}[name]
        assert each.left_out_share == each.left_out / size
        assert each.wanted_tokens == round(each.wanted * np.mean(list(map(length, mine))))
    assert sum(each.share for each in by_name.values()) == pytest.approx(1)
    assert sum(each.wanted_share for each in by_name.values()) == pytest.approx(1)
    assert by_name["llava"].share > by_name["llava"].wanted_share and by_name[evil].share < by_name[evil].wanted_share


def test_the_share_that_is_left_out_stands_beside_the_count(html, mix, told, asked):
    llava = next(each for each in mix.components if each.name == "llava")
    assert llava.left_out > 2 and 0.01 < llava.left_out_share < 0.1
    assert f'{llava.left_out}<br><small class="muted">{100 * llava.left_out_share:.1f} %</small>' in html
    older = replace(told, facts={key: value for key, value in told.facts.items() if key != "candidates"})
    assert {each.left_out_share for each in mixed(older, asked).components} == {None}


@pytest.mark.parametrize(
    ("parts", "rest", "wanted"),
    [
        ("epochs: 0.5", "", 201),
        ("max_epochs: 3", "budget: {tokens: 100000}\n", 148),
        ("epochs: 1.0", "budget: {samples: 401}\n", None),
    ],
)
def test_wanted_is_what_the_recipe_says_before_anything_is_left_out(world, tmp_path, parts, rest, wanted):
    lone, folder = World(tmp_path), world.folder
    other = f"  more: {{from: {folder}/text.json}}\n" if wanted is None else ""
    tokens = f"tokens: {{tokenizer: {folder}/tokenizer.json, max: 1500}}\n"
    tokens += "pack: {length: 1500, by: [best_fit_decreasing]}\n"
    lone.job("lone", f"mix:\n  llava: {{from: {folder}/llava.json, {parts}}}\n{other}{rest}{tokens}")
    said = lone.run("lone").jobs[-1].facts["components"]["llava"]
    assert said.get("wanted") == wanted and said["left_out"] == 2


def test_lengths_are_counted_in_bins(mix, plan, asked, told):
    rows = asked.of_mix("report_mix_lengths", told.job, told.digest)
    width = 2048 // 32
    for name in ("llava", ODD, "refs"):
        mine = drawn(plan, name)
        expected = Counter((length(row) - 1) // width * width + 1 for row in mine)
        assert {row["tokens_from"]: row["draws"] for row in rows if row["component"] == name} == expected
        shown = mix.lengths[[each.name for each in mix.components].index(name if name != ODD else inert(ODD))]
        assert shown.draws == len(mine) and shown.mean == pytest.approx(np.mean(list(map(length, mine))))
        assert shown.labels == pytest.approx(sum(row["n_label_tok"] for row in mine) / sum(map(length, mine)))
        middle = sorted(map(length, mine))[(len(mine) - 1) // 2]
        assert shown.median[0] <= middle <= shown.median[1]
        assert all(x >= 0 and x + w <= PLOT_WIDTH and y >= 0 and y + h <= PLOT_HEIGHT for x, y, w, h in shown.bars)


def test_packs_by_how_full_they_are(mix, plan):
    tokens = Counter()
    for row in drawn(plan):
        tokens[row["pack"]] += length(row)
    ends = {"100 %": (1500, 1501), "99.9 – 100 %": (1498.5, 1500), "99 – 99.9 %": (1485, 1498.5), "0 – 50 %": (0, 750)}
    shown = {each.label: each.packs for each in mix.fills}
    for label, (low, high) in ends.items():
        assert shown[label] == sum(low <= each < high for each in tokens.values()), label
    assert sum(shown.values()) == len(tokens) == mix.packs
    assert mix.fill == pytest.approx(sum(tokens.values()) / (1500 * len(tokens)))
    assert mix.of_ceiling == pytest.approx(mix.least_packs / mix.packs)
    assert sorted(name for name, _ in mix.packers) == ["best fit decreasing", "subset sum"]
    assert dict(mix.packers)[mix.packer] == mix.packs == min(packs for _, packs in mix.packers)


def test_the_balance_of_steps(world, mix, plan, told):
    steps = max(row["step"] for row in drawn(plan)) + 1
    for name, strip in zip(("tokens", "cost"), mix.balance.strips, strict=True):
        loads = np.zeros((steps, 3))
        for row in drawn(plan):
            loads[row["step"], row["rank"]] += length(row) if name == "tokens" else row["cost"]
        whole = loads[: mix.packs // 6]
        ratios = np.sort(whole.max(axis=1) / whole.mean(axis=1))
        assert mix.balance.steps == len(ratios)
        assert (strip.name, strip.most) == (name, pytest.approx(ratios[-1]))
        assert strip.p50 == pytest.approx(ratios[(len(ratios) - 1) // 2])
        assert strip.p99 == pytest.approx(ratios[int(np.ceil(0.99 * len(ratios))) - 1])
        assert strip.mean == told.facts["token_balance" if name == "tokens" else "cost_balance"]
        assert strip.mean == pytest.approx(ratios.mean())


def test_what_is_left_out_by_reason_and_component(mix, plan):
    expected = Counter((row["component"], row["reason"]) for row in plan if row["reason"])
    assert set(expected) == {
        ("llava", "contaminated"),
        ("llava", "bad_record"),
        ("llava", "too_long"),
        ("refs", "duplicate"),
    }
    shown = {
        (name, reason): count
        for name, counts, _ in mix.drops.rows
        for reason, count in zip(mix.drops.reasons, counts, strict=True)
        if count
    }
    assert shown == expected and mix.drops.total == sum(expected.values()) == mix.left_out == 32
    assert mix.drops.reasons[0] == "contaminated" and mix.drops.totals[0] == 20


def test_what_the_gate_found_and_could_not_see(mix):
    [found] = mix.gate.found
    assert (found.component, found.benchmark, found.samples) == ("llava", "bench<img>", 20)
    assert dict(zip(mix.gate.ways, found.by, strict=True)) == {"picture_id": 20}
    [twins] = mix.gate.twins
    assert (twins.component, twins.reason, twins.of, twins.samples) == ("refs", "duplicate", "llava", 10)
    assert {each.name: (each.rows, each.unusable) for each in mix.gate.lists} == {
        "bench<img>": (21, 1),
        "other": (1, 0),
    }
    said = " ".join(mix.gate.sentences)
    assert "No candidate was found to show a picture of other." in said
    assert "By url nothing can be found in any component: no candidate there has a URL." in said
    assert "1 of the 21 rows of bench<img> name no picture" in said
    assert "By picture_id" not in said and mix.gate.unknown == (), "a component without pictures is no blind one"


def test_alerts(told, mix):
    def said(facts=None, **changes):
        found = mix_alerts(replace(told, facts=facts or {}), replace(mix, **changes), "advise", "again")
        return {alert.sentence: alert for alert in found}

    calm = {"left_out": 0, "gate": gate({"gate": {}}), "fill": 0.992, "ceiling": 1.0}
    assert said(**calm) == {}
    assert said({"cost_balance": 1.02, "near_pictures": 0}, **calm) == {}
    [loose] = said(**{**calm, "fill": 0.985}).values()
    assert loose.number == "98.5 %" and "of what any packing could fill" in loose.sentence
    [low] = said(**{**calm, "fill": 0.88, "ceiling": 0.8846}).values()
    assert low.number == "88.0 %" and low.command == "advise"
    [uneven] = said({"cost_balance": 1.0301}, **calm).values()
    assert uneven.number == "1.030" and uneven.link == "balance"
    [near] = said({"near_pictures": 2}, **calm).values()
    assert near.number == "2" and "too few steps" in near.sentence
    found = said(**{**calm, "gate": mix.gate})
    assert [(alert.number, alert.status) for alert in found.values()] == [("1", "review"), ("20", "review")]
    assert found["of the 21 rows of the benchmark bench<img> name no picture"].link == "gate"
    assert "candidates show pictures of benchmarks and stayed out: bench<img> 20" in found
    unknown = replace(mix.gate, found=(), lists=(), unknown=("a", "b"))
    assert next(iter(said(**{**calm, "gate": unknown}))).endswith("could be recognised: a, b")


def test_the_page_says_it(html, mix):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert "407 410" in text and "wanted " in text and "of what any packing could fill" in text
    assert f"{mix.balance.strips[1].p99:.4f}" in text and "whole step" in text
    assert "20 candidates show pictures of benchmarks" in text and "bench&lt;img&gt;" in text
    assert "<img>" not in html and "<b onclick" not in html and "\u202e" not in html
    for svg in re.findall(r"<svg[^>]*>", html):
        assert "aria-" in svg or "<svg width" in svg, svg
    links = re.findall(r'href="#([^"]+)"', html)
    assert links and all(f'id="{link}"' in html for link in links)


@pytest.mark.parametrize("value", [None, "x", [1], {"a": None}, {"a": {}}, float("nan")])
def test_facts_that_are_not_what_they_should_be(told, asked, value):
    for name in [*told.facts, "gate.known", "gate.lists", "gate.report"]:
        outer, _, inner = name.partition(".")
        facts = {**told.facts, outer: {**told.facts["gate"], inner: value} if inner else value}
        found = mixed(replace(told, facts=facts), asked)
        assert mix_alerts(replace(told, facts=facts), found, "", "") is not None


def test_an_older_plan_is_shown_as_far_as_it_goes(world, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(world.root, root)
    gone = ["n_label_tok", "n_tiles", "n_images", "cost", "step", "rank", "offset", "record_offset", "record_bytes"]
    for folder in (root / "mixes/mix").iterdir():
        (folder / "steps.parquet").unlink()
        table = pq.ParquetFile(folder / "packs.parquet").read()
        pq.write_table(table.drop_columns(gone), folder / "packs.parquet")
        manifest = json.loads((folder / "manifest.json").read_text())
        few = ("samples", "tokens", "packs", "least_packs", "fill")
        manifest["facts"] = {name: manifest["facts"][name] for name in few}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    for run in (root / "runs").iterdir():
        (run / "run.json").unlink()
    made = write_report(str(root), world.project, ReportOptions())
    html = Path(made.uri).read_text()
    assert "The plan says nothing of its steps." in html and "made before there were any" in html
    assert "packs of 1,500 tokens" in html and "nan" not in html and "learnt</span>" not in html
