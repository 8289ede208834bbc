"""Places to cut files of records: where records begin, and what a wrong one would look like."""

import json
from pathlib import Path
from typing import Any

import pytest

from curate.io.json_cuts import cuts
from curate.io.json_stream import records


def record(number: int, **rest: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": f"ä, {{}}, [] {number}"}, {"from": "gpt", "value": "x" * (number % 40)}]
    return {"id": number, "conversations": turns, **rest}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("lines", [True, False])
def test_records_begin_at_the_cuts(tmp_path: Path, lines: bool, indent: int | None) -> None:
    told = [record(number) for number in range(300)]
    path = tmp_path / "some.json"
    one_by_one = "\n".join(json.dumps(each, ensure_ascii=False) for each in told)
    path.write_text(one_by_one if lines else json.dumps(told, ensure_ascii=False, indent=indent))
    begins = [found.offset for found in records(str(path))]
    found = cuts(str(path), 1000, "conversations")
    assert found[0] == 0
    assert len(found) >= path.stat().st_size // 1000 - 1
    assert set(found[1:]) <= set(begins)
    rest = list(records(str(path), found[7]))
    assert [each.offset for each in rest] == [begin for begin in begins if begin >= found[7]]
    assert [each.record for each in rest] == told[-len(rest) :]


def test_values_laid_out_over_lines_are_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text("\n".join(json.dumps(record(number), indent=2) for number in range(50)))
    assert cuts(str(path), 500, "conversations") == [0]


@pytest.mark.parametrize("text", ["", "[]", "[1, 2]", "[" + "},{" * 5000, '["' + "},{" * 5000 + '"]', "[" * 9000])
def test_nothing_to_cut(tmp_path: Path, text: str) -> None:
    path = tmp_path / "some.json"
    path.write_text(text)
    assert cuts(str(path), 100, "conversations") == [0]
