"""The linter of files: places, counts, repeats, pictures, the mended file, the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from curate import lint
from curate.errors import ConfigError
from curate.plugins import Project

CURATE = Path(sys.executable).parent / "curate"
HERE = Project(".")


def record(answer="A dog.", question="<image>\nWhat?", **more):
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"id": "7", "image": "a.jpg", "conversations": turns, **more}


def put(folder: Path, rows: list, name="in.json") -> str:
    path = folder / name
    lines = name.endswith(".jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) if lines else json.dumps(rows), encoding="utf-8")
    return str(path)


def named(rows):
    return [{**row, "id": f"n{place}"} for place, row in enumerate(rows)]


def codes(found):
    return [(line.record, line.code) for line in found.lines]


BAD = "<ref>a</ref><box>[[9, 2, 3, 4]]</box>"


@pytest.mark.parametrize("name", ["in.json", "in.jsonl"])
def test_faults_by_place(name, tmp_path):
    file = put(tmp_path, named([record(), record(BAD), record(f"{BAD} {BAD} <ref>"), record()]), name)
    found = lint.lint(file, HERE)
    assert (found.dialect, found.records, found.faults, found.faulty) == ("asv2", 4, 4, 2)
    assert codes(found) == [(1, "box_inverted"), (2, "box_inverted"), (2, "box_inverted"), (2, "tag_unbalanced")]
    assert found.codes == {"box_inverted": {"faults": 3, "records": 2}, "tag_unbalanced": {"faults": 1, "records": 1}}
    lines = lint.as_text(found).splitlines()
    assert lines[0].startswith(f"{file}:record 1 id n1 at $.conversations[1].value:char 12  box_inverted  corners")
    assert "box_inverted\t3\t2\t0\tcorners" in lint.as_text(found)
    assert lines[-1].startswith("4 records, boxes as asv2: 4 faults in 2 records")


def test_the_limit_tells_fewer_and_counts_all(tmp_path):
    found = lint.lint(put(tmp_path, named([record(BAD)] * 9)), HERE, limit=4)
    assert (found.faults, len(found.lines)) == (9, 4)
    assert "… and 5 more" in lint.as_text(found)


def test_the_form_is_told_or_named(tmp_path):
    file = put(tmp_path, named([record("dog [0.5, 0.2, 0.3, 0.4]")]))
    assert codes(lint.lint(file, HERE)) == [(0, "box_inverted")]
    assert codes(lint.lint(file, HERE, "asv2")) == []
    with pytest.raises(ConfigError, match='unknown form of boxes "asv3"'):
        lint.lint(file, HERE, "asv3")


def test_a_form_that_only_its_codec_reads(tmp_path):
    text = "<phrase>a dog</phrase><object><patch_index_0044></object>"
    found = lint.lint(put(tmp_path, named([record(text)])), HERE)
    assert found.dialect == "kosmos2"
    assert codes(found) == [(0, "bad_kosmos2")]


def test_a_users_own_codec(tmp_path):
    (tmp_path / "plugins/codecs").mkdir(parents=True)
    (tmp_path / "plugins/codecs/mine.py").write_text(
        "from curate.errors import SampleError\nFRAME, HOLDS, TOLERANCE = 'none', frozenset(), 0.0\n"
        "encode = uncoded = None\ndef decode(text, width, height):\n"
        "    if '[bad' in text: raise SampleError('bad_mine', 'no')\n"
    )
    file = put(tmp_path, named([record("[good]"), record("[bad]")]))
    assert codes(lint.lint(file, Project(str(tmp_path)), "mine")) == [(1, "bad_mine")]


def test_what_cannot_be_read_is_a_fault(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text(f'{json.dumps(record())}\n{{"a": NaN}}\n[1]\n{{"id": 1, "id": 2}}\n{{"id"\n')
    found = lint.lint(str(path), HERE)
    assert codes(found) == [(1, "bad_json"), (2, "not_object"), (3, "bad_json"), (4, "bad_json")]
    path.write_text("")
    assert (lint.lint(str(path), HERE).records, lint.lint(str(path), HERE).faults) == (0, 0)
    with pytest.raises(ConfigError, match="no such file"):
        lint.lint(str(tmp_path / "none.json"), HERE)


def test_repeated_ids(tmp_path):
    rows = [
        record(id="a"),
        record(id="b"),
        record("Another answer.", id="a"),  # LLaVA's own way: one picture, another dialogue
        record("A third answer.", id="a", image="b.jpg"),
        record(id="b"),
        {"id": "t", "conversations": record(question="Why?")["conversations"]},
        {"id": "t", "conversations": record(question="How?")["conversations"]},
        record(id=1),
        record(id="1"),
        *[{"image": "a.jpg", "conversations": record()["conversations"]}] * 2,
    ]
    found = lint.lint(put(tmp_path, rows), HERE)
    assert codes(found) == [(3, "id_repeated"), (4, "record_repeated"), (6, "id_repeated")]
    assert [line.what.split(",")[0] for line in found.lines] == ["as record 0", "as record 1", "as record 5"]


def test_pictures(tmp_path):
    (tmp_path / "sub").mkdir()
    Image.new("RGB", (64, 32)).save(tmp_path / "sub/wide.png")
    Image.new("RGB", (32, 32)).save(tmp_path / "square.jpg")
    (tmp_path / "text.jpg").write_text("no picture")
    high = "<ref>a</ref><box>[[10, 10, 900, 990]]</box>"
    rows = named([
        record(high, image="sub/wide.png"),
        record("<ref>a</ref><box>[[0, 250, 999, 748]]</box>", image="sub/wide.png"),
        record(high, image="square.jpg"),
        record(image="none.jpg"),
        record(image="../in.json"),
        record(image="text.jpg"),
        record(question="<image>\n<image>\nWhat?", image=["square.jpg", "none.jpg"]),
        {"conversations": record(question="Why?")["conversations"]},
    ])  # fmt: skip
    file = put(tmp_path, rows)
    assert lint.lint(file, HERE).faults == 0
    found = lint.lint(file, HERE, images=str(tmp_path))
    assert codes(found) == [
        (0, "box_frame"), (3, "no_picture"), (4, "bad_image"), (5, "not_image"), (6, "no_picture"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["out.json", "out.jsonl"])
def test_what_is_safe_is_mended(name, tmp_path):
    rows = named(
        [
            record(),
            record(question="What?"),
            record(question="<image>\nWhat? <image>"),
            record(" A dog.\n"),
            record(BAD),
        ]
    )
    source, target = put(tmp_path, [*rows, [1]]), tmp_path / name
    found = lint.lint(source, HERE, fix=str(target))
    assert dict(found.fixed) == {"image_missing": 1, "image_doubled": 1, "outer_space": 1}
    text = target.read_text()
    written = json.loads(text) if name == "out.json" else [json.loads(line) for line in text.splitlines()]
    whole = [record(), record(), record(question="<image>\nWhat?"), record(), record(BAD)]
    assert written == [*named(whole), [1]]
    assert [code for _, code in codes(lint.lint(str(target), HERE))] == ["box_inverted", "not_object"]
    assert "wrote 6 records" in lint.as_text(found)


def test_unreadable_records_are_left_out_of_the_mended_file(tmp_path):
    source = tmp_path / "in.jsonl"
    bare, plain = (json.dumps(record(answer, width=1.5)).replace("1.5", "1e999") for answer in (" A dog.", "A dog."))
    source.write_text(f'{json.dumps(record())}\n{{"a": \n{bare}\n{plain}\n')
    found = lint.lint(str(source), HERE, fix=str(tmp_path / "out.json"))
    assert (found.left_out, dict(found.fixed)) == (1, {})
    # What gets a mend but cannot be written anew is written as it stands.
    assert (tmp_path / "out.json").read_text() == f"[\n{json.dumps(record())},\n{bare},\n{plain}\n]\n"
    source.write_text(f"[{bare},\n{json.dumps(record(width=1.5), indent=1).replace('1.5', '1e999')}]")
    assert lint.lint(str(source), HERE, fix=str(tmp_path / "two.jsonl")).left_out == 0
    rows = [json.loads(line) for line in (tmp_path / "two.jsonl").read_text().splitlines()]
    assert [row["width"] for row in rows] == [float("inf")] * 2


def test_the_file_itself_is_not_written_over(tmp_path):
    file = put(tmp_path, [record()])
    (tmp_path / "link.json").symlink_to(file)
    (tmp_path / "hard.json").hardlink_to(file)
    (tmp_path / "sub").mkdir()
    spelled = [f"{tmp_path}/{name}" for name in ("link.json", "hard.json", "sub/../in.json", "./in.json")]
    for target in (file, *spelled, f"file://{file}"):
        with pytest.raises(ConfigError, match="--fix would"):
            lint.lint(file, HERE, fix=target, force=True)
    assert lint._same("s3://bucket/a/in.json", "s3://bucket/a//./in.json")
    assert not lint._same("s3://bucket/a/in.json", "s3://other/a/in.json")
    assert json.loads(Path(file).read_text()) == [record()]


def test_a_file_that_is_there_is_not_written_over(tmp_path):
    file, there = put(tmp_path, [record()]), tmp_path / "out.json"
    there.write_text("mine")
    with pytest.raises(ConfigError, match="already"):
        lint.lint(file, HERE, fix=str(there))
    assert there.read_text() == "mine"
    lint.lint(file, HERE, fix=str(there), force=True)
    assert json.loads(there.read_text()) == [record()]


def test_repeats_of_any_earlier_record(tmp_path):
    rows = [record(answer, id="r") for answer in ("one", "two", "two", "one", "three")]
    rows += [record(id=-1), record(id=-2), record("two ", id="r"), record("two ", id="r")]
    found = lint.lint(put(tmp_path, rows), HERE)
    told = [(line.record, line.code, line.what) for line in found.lines if line.code != "outer_space"]
    assert told == [
        (2, "record_repeated", "as record 1"),
        (3, "record_repeated", "as record 0"),
        (8, "record_repeated", "as record 7"),
    ]
    assert (found.faults, found.faulty) == (5, 4)  # a record of two faults counts once


def test_the_frame_is_told_by_a_stated_size(tmp_path):
    tall = "<ref>a</ref><box>[[10, 10, 900, 990]]</box>"
    rows = named([record(tall, width=640, height=480), record(tall, width=500, height=500), record(f"{tall} {tall}")])
    rows.append({**record(tall, width=0, height=480), "id": "x"})
    file = put(tmp_path, rows)
    found = lint.lint(file, HERE)
    assert (codes(found), found.unframed) == ([(0, "box_frame")], 3)
    assert "frame of 3 boxes not checked: give --images" in lint.as_text(found)
    assert lint.lint(put(tmp_path, rows[:2]), HERE).unframed == 0
    assert lint.lint(put(tmp_path, rows), HERE, "internvl").unframed == 0
    Image.new("RGB", (100, 100)).save(tmp_path / "a.jpg")  # the picture itself knows better
    assert lint.lint(put(tmp_path, rows), HERE, images=str(tmp_path)).faults == 0


def test_tags_are_told_where_no_form_is(tmp_path):
    found = lint.lint(put(tmp_path, [record("<ref>" * 100)]), HERE)
    assert (found.dialect, found.codes) == (None, {"tag_unbalanced": {"faults": 100, "records": 1}})


@pytest.mark.parametrize("dialect, sound", [("florence2", "dog<loc_1><loc_2><loc_3><loc_4>"), ("paligemma", None)])
def test_questions_beside_location_tokens(dialect, sound, tmp_path):
    sound = sound or "<loc0001><loc0002><loc0003><loc0004> dog"
    rows = named([record(sound, "<image>\nDescribe."), record(sound + "<loc", "<image>\nDescribe.")])
    found = lint.lint(put(tmp_path, rows), HERE)
    assert (found.dialect, codes(found)) == (dialect, [(1, f"bad_{dialect}")])


@pytest.mark.parametrize("dialect", ["grit", "odvg", "coco"])
def test_forms_of_whole_records_are_not_linted(dialect, tmp_path):
    with pytest.raises(ConfigError, match="not linted") as error:
        lint.lint(put(tmp_path, [record()]), HERE, dialect)
    assert "curate convert" in error.value.hint
    assert "--dry-run" in error.value.hint


def test_files_of_another_form_are_told_in_one_line(tmp_path):
    rows = [{"instruction": "Say.", "output": "So."}] * 300
    found = lint.lint(put(tmp_path, rows), HERE)
    assert (found.faults, found.faulty, found.strange, found.lines) == (300, 300, 300, [])
    text = lint.as_text(found)
    assert text.splitlines()[0] == "300 records are not in LLaVA's form (no conversations)"
    assert "more (--limit)" not in text
    found = lint.lint(put(tmp_path, [rows[0], record(BAD, id="a"), rows[0], record(id="b")]), HERE)
    assert codes(found) == [(0, "no_turns"), (1, "box_inverted"), (2, "no_turns")]
    assert "not in LLaVA's form" not in lint.as_text(found)


def test_memory_does_not_grow_with_the_file(tmp_path):
    code = (
        "import sys\nfrom curate import lint\nfrom curate.plugins import Project\n"
        "found = lint.lint(sys.argv[1], Project('.'))\n"
        "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(found.records, found.faults, peak)"
    )
    peaks = []
    for times in (1, 10):
        rows = [
            record("<ref>a</ref><box>[[1, 2, 3, 4]]</box> " + "word " * 400 + ".", id=str(n))
            for n in range(1500 * times)
        ]
        path = put(tmp_path, [*rows, record(BAD, id="x")])
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        count, faults, peak = map(int, done.stdout.split())
        assert (count, faults) == (len(rows) + 1, 1)
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 14 << 10, peaks  # KiB; the larger file is 29 MB larger


@pytest.mark.parametrize(
    "name, faults",
    [
        ("haotian-liu__LLaVA/playground/data/eval/scienceqa/llava_test_CQM-A.json", set()),
        ("lm-sys__FastChat/data/dummy_conversation.json", set()),
        ("hiyouga__LLaMA-Factory/data/glaive_toolcall_en_demo.json", {"odd_role"}),  # function_call, observation
        ("hiyouga__LLaMA-Factory/data/mllm_demo.json", {"no_turns"}),  # messages, of another form
        ("hiyouga__LLaMA-Factory/data/v1_sft_demo.jsonl", {"no_turns"}),
    ],
)
def test_released_files(name, faults, shared):
    found = lint.lint(str(shared / "conversations" / name), HERE)
    assert set(found.codes) == faults
    assert found.records > 5


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(CURATE), *words], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def test_the_command(tmp_path):
    put(tmp_path, named([record(), record(BAD)]))
    done = run("lint", "in.json", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("in.json:record 1 id n1 at $.conversations[1].value:char 12  box_inverted  ")
    assert done.stderr == ""
    body = json.loads(run("lint", "in.json", "--json", "--limit", "0", cwd=tmp_path).stdout)
    assert (body["schema"], body["faults"], body["lines"]) == ("curate.lint/1", 1, [])
    put(tmp_path, named([record()]))
    done = run("lint", "in.json", "--fix", "sub/out.json", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "sub/out.json").is_file()) == (0, True)
    assert run("lint", "in.json", "--fix", "sub/out.json", cwd=tmp_path).returncode == 2
    assert run("lint", "none.json", cwd=tmp_path).returncode == 2


def test_the_command_that_converts(tmp_path):
    Image.new("RGB", (64, 32)).save(tmp_path / "a.jpg")
    put(tmp_path, [record("<ref>a dog</ref><box>[[0, 250, 999, 748]]</box> runs.")])
    words = ("in.json", "--from", "asv2", "--to", "qwen_vl", "-o", "out.json", "--images", ".")
    done = run("convert", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "out.json").read_text())
    assert row["conversations"][1]["value"].startswith("<ref>a dog</ref><box>(0,")
    assert run("convert", *words, cwd=tmp_path).returncode == 2  # it is there already
    assert run("convert", "in.json", "--from", "nothing", "--to", "asv2", "-o", "x.json", cwd=tmp_path).returncode == 2
    body = json.loads(run("convert", *words[:6], "x.json", "--dry-run", "--json", cwd=tmp_path).stdout)
    assert body["schema"] == "curate.convert/1"
    assert not (tmp_path / "x.json").exists()
