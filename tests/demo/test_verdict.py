from typing import Any

import pyarrow as pa

from curate.demo.verdict import Verdict, all_caught, judge
from curate.demo.world import TRUTH


def planted(name: str, fault: str, twin: str | None = None, dataset: str = "cc12m") -> dict[str, Any]:
    key, url = (name, None) if dataset == "sa1b" else (None, name)
    return {"dataset": dataset, "source_key": key, "url": url, "fault": fault, "twin": twin, "width": 40, "height": 30}


def ended(name: str, end: str, dataset: str = "cc12m") -> dict[str, Any]:
    """`end` is kept, !error or a drop reason."""
    return {
        "dataset": dataset,
        "source_key": name,
        "url": None if dataset == "sa1b" else name,
        "width": 40,
        "height": 30,
        "status": "failed" if end.startswith("!") else "ok",
        "error": end[1:] if end.startswith("!") else None,
        "reason": None if end == "kept" or end.startswith("!") else end,
        "kept": end == "kept",
    }


def run(truth: list[dict[str, Any]], outcomes: list[dict[str, Any]]) -> dict[str, Verdict]:
    found = judge(pa.Table.from_pylist(truth, schema=TRUTH), pa.Table.from_pylist(outcomes))
    return {verdict.fault: verdict for verdict in found}


def test_caught_missed_recovered_and_lost() -> None:
    truth = [
        planted("a", "dead_link"),
        planted("b", "dead_link"),
        planted("c", "busy_once"),
        planted("d", "wrong_caption"),
        planted("e", ""),
        planted("f", ""),
        planted("sa_000000/sa_1", "broken_json", dataset="sa1b"),
        planted("g", "busy_once"),
    ]
    outcomes = [
        ended("a", "!http_404"),
        ended("b", "!deadline"),
        ended("c", "kept"),
        ended("d", "clip_low"),
        ended("e", "kept"),
        ended("f", "clip_low"),
        ended("sa_000000/sa_1", "!bad_json", "sa1b"),
        ended("g", "!http_503"),
    ]
    found = run(truth, outcomes)
    assert found["dead_link"] == Verdict("dead_link", 2, 1, 0, "http_404 1, deadline 1")
    assert found["busy_once"] == Verdict("busy_once", 2, 1, 1, "kept 1, http_503 1")
    assert found["wrong_caption"].missed == 0 and found["broken_json"].missed == 0
    assert found["healthy"] == Verdict("healthy", 2, 1, 1, "kept 1, clip_low 1")
    assert not all_caught(found.values())


def test_one_of_two_copies_has_to_go_and_either_will_do() -> None:
    truth = [planted("one", ""), planted("two", "copied_picture", twin="one"), planted("x", "")]
    for first, second, caught in [
        ("kept", "duplicate_picture", 1),
        ("duplicate_picture", "kept", 1),
        ("kept", "kept", 0),
        ("duplicate_picture", "duplicate_picture", 0),
        ("kept", "clip_low", 0),
        ("!http_404", "kept", 0),
    ]:
        found = run(truth, [ended("one", first), ended("two", second), ended("x", "kept")])
        assert found["copied_picture"].caught == caught, (first, second)
        # The original is judged with its copy, not as a healthy row.
        assert found["healthy"].planted == 1
        assert all_caught(found.values()) == bool(caught)


def test_a_row_without_an_outcome_is_missed() -> None:
    found = run([planted("a", "dead_link"), planted("b", "")], [ended("c", "kept")])
    assert found["dead_link"].missed == 1 and found["dead_link"].how == "absent 1"
    assert found["healthy"].wrongly_dropped == 1


def test_what_is_kept_lying_on_its_side_is_missed() -> None:
    sideways = {**ended("a", "kept"), "width": 30, "height": 40}
    found = run([planted("a", "rotated"), planted("b", "rotated")], [sideways, ended("b", "kept")])
    assert (found["rotated"].caught, found["rotated"].wrongly_dropped) == (1, 1)
