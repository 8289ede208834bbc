"""Plots and tables of a mix from hand-made answers: ranges, stretches of steps, reasons, what a gate could not see."""

import re

import pyarrow as pa

from curate import schema
from curate.io.warehouse import Warehouse
from curate.plugins import Project
from curate.report.gates import MOST_REASONS, drops, gate
from curate.report.mix_plots import STRIP_HEIGHT, balance, fill
from curate.report.questions import Questions
from curate.views import RUNS


def test_the_ceiling_is_marked_where_it_lies():
    rows = [{"tokens": tokens, "packs": 1} for tokens in (1000, 999, 990, 989, 500, 499, 0)]
    ranges = fill(rows, 1000, 0.8846)
    assert [each.packs for each in ranges] == [1, 1, 1, 1, 0, 0, 1, 2]
    assert [each.label for each in ranges if each.ceiling] == ["75 – 90 %"]
    assert not any(each.ceiling for each in fill(rows, 1000, 0.0)) and fill(rows, 0, 0.5) == ()


def test_a_last_step_that_lacks_packs_is_no_unevenness():
    """Of 450 steps the greatest ratio is 1.5, of one; that of the last would be 2, but it has three packs of four."""
    loads = [(100, 75 if step == 100 else 60 if step % 3 == 1 else 50, 4) for step in range(450)] + [(60, 60, 3)]
    steps = [
        {"mix": "m", "digest": "d", "step": step, "packs": packs, "tokens": all_, "busiest_tokens": most}
        for step, (all_, most, packs) in enumerate(loads)
    ]
    steps = [{**row, "cost": 0, "busiest_cost": 0} for row in steps]
    warehouse = Warehouse()
    run = {"run": "r", "job": "m", "kind": "mix", "digest": "d", "latest": True}
    placed = [{"mix": "m", "digest": "d", "rank": rank} for rank in (0, 1, None)]
    for name, rows, columns in (("steps", steps, schema.STEPS), ("runs", [run], RUNS), ("mixed", placed, schema.MIXED)):
        warehouse.add(name, pa.Table.from_pylist(rows, columns), columns)
    questions = Questions(warehouse, Project("/nowhere"))
    [total] = questions.of_mix("report_mix_steps", "m", "d")
    told_of = {name: total[f"tokens_{name}"] for name in ("p50", "p99", "max")}
    assert (total["ranks"], total["steps"], told_of) == (2, 450, {"p50": 1.0, "p99": 1.2, "max": 1.5})
    rows = questions.of_mix("report_mix_balance", "m", "d")
    assert (
        len(rows) == 150 and {row["steps"] for row in rows} == {3} and [row["first_step"] for row in rows[:2]] == [0, 3]
    )
    assert [row["tokens_max"] for row in rows if row["first_step"] in (99, 102)] == [1.5, 1.2]
    assert (rows[0]["tokens_median"], rows[0]["tokens_max"]) == (1.0, 1.2)
    shown = balance(rows, [total], {})
    assert [each.name for each in shown.strips] == ["tokens"] and shown.strips[0].mean == 0.0
    warehouse.close()


def test_many_steps_are_taken_together_and_stay_in_the_frame():
    names = ("tokens_median", "tokens_max", "cost_median", "cost_max")
    rows = [
        {"steps": 7, **dict.fromkeys(names[:2], 1.0 + n / 100), "cost_median": 1.0, "cost_max": None} for n in (0, 9)
    ]
    total = {"ranks": 4, "steps": 14, **{f"tokens_{p}": 1.09 for p in ("p50", "p99", "max")}, "cost_max": None}
    drawn = balance(rows, [total], {"ranks": 4, "token_balance": 1.01})
    assert drawn.stretch == 7 and [each.name for each in drawn.strips] == ["tokens"]
    assert drawn.strips[0].mean == 1.01 and drawn.strips[0].top == 1.09
    heights = [float(each) for each in re.findall(r"V([\d.-]+)", drawn.strips[0].medians)]
    assert min(heights) == 0 and max(heights) == STRIP_HEIGHT
    assert balance(rows, [total], {"ranks": 1}).strips == balance([], [], {}).strips == ()


def test_rare_reasons_are_taken_together():
    rows = [{"component": f"c{n % 2}", "reason": f"r{n:02}", "candidates": 30 - n} for n in range(12)]
    found = drops(rows)
    assert len(found.reasons) == MOST_REASONS and found.reasons[-1] == "5 more reasons"
    assert found.total == sum(found.totals) == sum(total for *_, total in found.rows) == sum(30 - n for n in range(12))
    assert drops([]).total == 0


def test_no_gate_is_told_from_an_old_plan_and_from_one_without_benchmarks():
    known = {"known": {"a": {"url": 0, "phash": 3}, "b": {"url": 2, "phash": 0}}, "report": []}
    assert "made before" in gate({}).sentences[0] and "No gate was set" in gate({"gate": {}}).sentences[0]
    alone = gate({"gate": {**known, "lists": {}}})
    assert alone.sentences == ("No benchmark was named: the gate looked for duplicates alone.",)
    lists = {"lists": {"coco": {"rows": 9, "unusable": 0}}}
    assert gate({"gate": {**known, **lists}}).sentences[1:] == (
        "By url nothing can be found in a: no candidate there has a URL.",
        "By phash nothing can be found in b: no candidate there has a picture that could be hashed.",
    )
    blind = {**lists, "known": {"a": {"url": 0, "phash": 0}}}
    assert gate({"gate": blind}).unknown == ("a",) and gate({"gate": blind}, {"a"}).unknown == ()
