"""The reader of JSON files: the same records as json.loads, one at a time, whatever the file holds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import growth
from hypothesis import example, given
from hypothesis import strategies as st

from curate.errors import SampleError
from curate.io import json_stream, json_window
from curate.io.json_out import ArrayWriter
from curate.io.json_stream import records

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


def put(folder: Path, data: bytes | str, name: str = "in.json") -> str:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def read(folder: Path, data: bytes | str, name: str = "in.json") -> list[json_stream.Found]:
    found = list(records(put(folder, data, name)))
    assert [one.index for one in found] == list(range(len(found)))
    assert all((one.record is None) or (one.error is None) for one in found)
    assert all((one.text == "") is (one.error is not None) for one in found)
    return found


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks so small that every value is cut somewhere."""
    monkeypatch.setattr(json_window, "BLOCK_BYTES", 7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("json")


def laid_out(values: list, how: str) -> str:
    if how == "lines":
        return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    if how == "crlf":
        return "\r\n\r\n".join(json.dumps(value) for value in values)
    if how == "wide":
        return json.dumps(values, indent=3, ensure_ascii=False) + " \n"
    return json.dumps(values, ensure_ascii=how == "ascii")


@pytest.mark.parametrize("how", ["lines", "crlf", "wide", "ascii", "plain"])
@pytest.mark.parametrize("block", [3, 7, 64, 1 << 20])
@given(values=st.lists(JSON, min_size=1, max_size=5), bom=st.booleans())
@example(values=[12345678901, -0.5e-7, "é\U0001f600\u2028", [[]], {}], bom=True)
def test_the_same_records_as_json_loads(values, bom, how, block, folder):
    if how in ("lines", "crlf"):
        values = [{"r": value} for value in values]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_window, "BLOCK_BYTES", block)
        text = laid_out(values, how)
        data = (b"\xef\xbb\xbf" if bom else b"") + text.encode("utf-8", "surrogatepass")
        found = read(folder, data)
    assert [(one.error, one.record) for one in found] == [(None, value) for value in values]
    ends = [one.offset for one in found[1:]] + [len(data)]
    for one, end in zip(found, ends, strict=True):  # the offset is the record's first byte
        rest = data[one.offset : end].decode("utf-8", "surrogatepass")
        assert json.JSONDecoder().raw_decode(rest)[0] == one.record
        assert rest.startswith(one.text)
        assert json.loads(one.text) == one.record


@pytest.mark.parametrize("text", ["", " \n\t", "[]", " [ ] ", "\ufeff[]\n"])
def test_none(text, tmp_path):
    assert read(tmp_path, text) == []


def test_a_single_object_and_values_over_several_lines(tmp_path, small_blocks):
    one, two = {"a": [1, {"b": "x\ny"}]}, {"c": None}
    assert [r.record for r in read(tmp_path, json.dumps(one))] == [one]
    assert [r.record for r in read(tmp_path, json.dumps(one, indent=2))] == [one]
    assert [r.record for r in read(tmp_path, json.dumps(one, indent=2) + "\n" + json.dumps(two, indent=2))] == [
        one,
        two,
    ]


def test_a_broken_line_costs_itself_alone(tmp_path):
    lines = ['{"a": 1}', '{"a": ', '{"a": [', "rubbish", '{"a": "x', '{"a": 1} {"b": 2}', '{"a": 2}']
    found = read(tmp_path, "\n".join(lines))
    assert [one.record for one in found] == [{"a": 1}, None, None, None, None, None, {"a": 2}]
    assert "character 5" in found[1].error
    assert "more text" in found[5].error
    assert [one.offset for one in found] == [sum(len(line) + 1 for line in lines[:n]) for n in range(len(lines))]


@pytest.mark.parametrize("broken", ['{"a": ', '{"a": 1,', "rubbish", "}", '{"a"'])
def test_a_broken_first_line(broken, tmp_path):
    found = read(tmp_path, f'{broken}\n{{"a": 1}}\n{{"a": 2}}\n')
    assert [one.record for one in found] == [None, {"a": 1}, {"a": 2}]
    assert found[0].error


def test_damage_in_an_array_ends_the_reading(tmp_path, small_blocks):
    found = read(tmp_path, '[{"a": 1}, {"a": bad}, {"a": 3}]')
    assert [one.record for one in found] == [{"a": 1}, None]
    assert "byte 17;" in found[1].error
    for text, what in (
        ('[{"a": 1}, {"a": "x', "the file ends inside a record"),
        ('[{"a": 1}, ', "the file ends inside a record"),
        ('[{"a": 1}', "the file ends before the array does"),
        ('[{"a": 1} {"a": 2}]', "'{' stands where"),
        ('[{"a": 1}]]', "after the array's end, at byte 10"),
        ('[{"a": 1},]', "not JSON"),
    ):
        found = read(tmp_path, text)
        assert [one.record for one in found] == [{"a": 1}, None], text
        assert what in found[1].error


@pytest.mark.parametrize("how", ["[{}]", "{}"])
@pytest.mark.parametrize(
    "bad, what",
    [
        ('{"a": NaN}', "NaN"),
        ('{"a": [1, -Infinity]}', "-Infinity"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' is given twice"),
        ('{"a": ' + "9" * 5000 + "}", "thousands of digits"),
        ('{"a": ' + "[" * 5000 + "1" + "]" * 5000 + "}", "too deep"),
        ('{"a": ' + '{"k\\"]":' * 5000 + "1" + "}" * 5000 + "}", "too deep"),
    ],
)
@pytest.mark.parametrize("block", [7, 1 << 20])
def test_refused_and_stepped_over(how, bad, what, block, tmp_path, monkeypatch):
    monkeypatch.setattr(json_window, "BLOCK_BYTES", block)
    values = ['{"a": 0}', bad, '{"a": 2}']
    text = "[" + ", ".join(values) + "]" if how == "[{}]" else "\n".join(values)
    found = read(tmp_path, text)
    assert [one.record for one in found] == [{"a": 0}, None, {"a": 2}]
    assert what in found[1].error


def test_bytes_that_are_not_utf8(tmp_path, small_blocks):
    for text in (
        b'[{"a": "\xc3\xa9"}, {"a": "\xff\xc3"}, {"a": "\xc3\xa9"}]',
        b'{"a": "\xc3\xa9"}\n{"a": "\xff"}\n{"a": "\xc3\xa9"}',
    ):
        found = read(tmp_path, text)
        assert [one.record for one in found] == [{"a": "é"}, None, {"a": "é"}]
        assert "not UTF-8 at byte 7 of the record" in found[1].error
    assert "UTF-8" in read(tmp_path, b'["abc\xc3')[0].error or "ends" in read(tmp_path, b'["abc\xc3')[0].error


@pytest.mark.parametrize(
    "data", ['[{"a": 1}]'.encode("utf-16"), '[{"a": 1}]'.encode("utf-32-be"), b"\x1f\x8b\x08\0abc", b"PK\3\4"]
)
def test_other_files(data, tmp_path):
    found = read(tmp_path, data)
    assert len(found) == 1
    assert "not UTF-8 text" in found[0].error


def test_half_a_surrogate_pair_is_json(tmp_path):
    assert read(tmp_path, r'["\ud800", "\ud83d\ude00"]')[0].record == "\ud800"


@pytest.mark.parametrize("how", ["array", "lines"])
def test_a_record_that_is_too_large_is_stepped_over(how, tmp_path, monkeypatch):
    monkeypatch.setattr(json_window, "MAX_RECORD_BYTES", 5000)
    monkeypatch.setattr(json_stream, "MAX_RECORD_BYTES", 5000)
    monkeypatch.setattr(json_window, "BLOCK_BYTES", 100)
    values = [{"a": 0}, {"a": 'x"]}\\' * 3000, "b": [{}]}, {"a": "é" * 2000}, {"a": 3}]
    found = read(tmp_path, laid_out(values, "lines" if how == "lines" else "plain"))
    assert [one.record for one in found] == [{"a": 0}, None, {"a": "é" * 2000}, {"a": 3}]
    assert "above" in found[1].error
    assert "not found" not in found[1].error


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(records(str(tmp_path / "none.json")))


@given(data=st.binary(max_size=60) | st.text(alphabet='[]{}",:\\ \n1ae.-é', max_size=60).map(str.encode))
@example(data=b'"\\')
@example(data=b"[1\xc3")
def test_any_bytes_end(data, folder):
    for block in (3, 1 << 20):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_window, "BLOCK_BYTES", block)
            found = read(folder, data)
        try:
            whole = json.loads(data.decode())
        except (ValueError, RecursionError):
            continue
        values = whole if isinstance(whole, list) else [whole]
        for one, value in zip(found, values, strict=True):
            assert one.error or one.record == value


@pytest.mark.parametrize(
    "piece, lead", [('{"a":\n', ""), ("[", "["), (" ", "["), ('"\\', "["), ("1,", "["), ("[1,\n", '{"a"\n'), ("9", "[")]
)
def test_time_is_linear(piece, lead, tmp_path):
    def work(size: int) -> None:
        found = list(records(put(tmp_path, lead + piece * (size // len(piece)))))
        assert found[-1].error or piece == "1,"

    assert growth(work, 40_000) < 20


def test_the_test_suite_of_parsers(shared, tmp_path):
    paths = sorted((shared / "hostile_text").rglob("test_parsing/*.json"))
    assert paths or pytest.skip("no test suite")
    for path in paths:
        found = list(records(str(path)))
        failed = not found or any(one.error for one in found)
        if path.name.startswith("y_") and "duplicated" not in path.name:
            assert not failed or path.read_bytes().strip(b" \n[]") == b"", path.name
        if path.name.startswith("n_") and path.name not in ("n_structure_no_data.json", "n_single_space.json"):
            assert failed, path.name


@pytest.mark.parametrize("how", ["array", "lines"])
def test_memory_is_that_of_a_block(how, tmp_path):
    """Ten times the file, the same memory."""
    code = (
        "import sys\nfrom curate.io.json_stream import records\n"
        "count = sum(one.error is None for one in records(sys.argv[1]))\n"
        "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(count, peak)"
    )
    peaks = []
    for times in (1, 10):
        record = json.dumps({"a": "x" * 4000, "b": ["é" * 100] * 3}, ensure_ascii=False)
        rows = [record] * 1000 * times
        path = put(tmp_path, "[" + ",\n".join(rows) + "]" if how == "array" else "\n".join(rows))
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        count, peak = map(int, done.stdout.split())
        assert count == len(rows)
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 12 << 10, peaks  # KiB; the larger file is 45 MB larger


@pytest.mark.parametrize("name", ["out.json", "out.jsonl"])
@given(values=st.lists(JSON.filter(lambda value: value != []), max_size=4))
@example(values=["\ud800", {"é": "\u2028\n"}])
def test_written_records_are_read_back(values, name, folder):
    values = [{"r": value} for value in values]
    target = folder / name
    with ArrayWriter(str(target)) as writer:
        for value in values:
            writer.write(value)
    assert writer.count == len(values)
    assert [one.record for one in records(str(target))] == values
    text = target.read_text(encoding="utf-8")
    whole = json.loads(text) if name.endswith(".json") else [json.loads(line) for line in text.split("\n")[:-1]]
    assert whole == values


def test_a_file_that_is_not_finished_has_no_name(tmp_path):
    target = tmp_path / "sub" / "out.json"
    with ArrayWriter(str(target)) as writer:
        writer.write(1)
        assert not target.exists()
    assert target.read_bytes() == b"[\n1\n]\n"
    with pytest.raises(KeyError), ArrayWriter(str(target)) as writer:
        writer.write(2)
        raise KeyError
    assert target.read_bytes() == b"[\n1\n]\n"
    assert [path.name for path in target.parent.iterdir()] == ["out.json"]


@pytest.mark.parametrize("text", ['{"a":\t1.50}', '{"a":\n1.50}', '{"a":\r1.50}', ""])
def test_a_text_is_written_where_it_is_one_line(text, tmp_path):
    with ArrayWriter(str(tmp_path / "o.jsonl")) as writer:
        writer.write({"a": 1.5}, text)
    kept = "\t" in text
    assert (tmp_path / "o.jsonl").read_text() == (text if kept else '{"a": 1.5}') + "\n"


@pytest.mark.parametrize("value", [float("nan"), [float("-inf")], {"a": {1, 2}}, {"a": b""}])
def test_what_is_no_json_is_not_written(value, tmp_path):
    with ArrayWriter(str(tmp_path / "o.json")) as writer:
        writer.write(1)
        with pytest.raises(SampleError, match="bad_json"):
            writer.write(value)
        writer.write(2)
    assert json.loads((tmp_path / "o.json").read_text()) == [1, 2]


def test_writing_elsewhere(tmp_path):
    uri = f"memory://{tmp_path.name}/o.json"
    with ArrayWriter(uri) as writer:
        writer.write({"a": 1})
    assert [one.record for one in records(uri)] == [{"a": 1}]
