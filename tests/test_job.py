"""A file in jobs/: its short forms, its closed keys, and every way to get it wrong."""

from pathlib import Path

import pytest

from curate.errors import ConfigError
from curate.job import CurateJob, job_path, load_job, read_job
from curate.mix_job import MixJob
from curate.plugins import Project

MIX = "mix: {a: {from: jobs/a}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "job.yaml"


def mistakes(file: Path, text: str) -> list[ConfigError]:
    file.write_text(text)
    job, said = read_job(file)
    assert (job is None) == bool(said)
    return said


def curated(file: Path, text: str) -> CurateJob:
    file.write_text(text)
    job = load_job(file)
    assert isinstance(job, CurateJob)
    return job


def test_short_forms(file: Path) -> None:
    job = curated(
        file,
        "from: x\nscore: [a, {b: {model: tiny}}, {c: }]\nkeep: {f: , g: {low: 1, high: 2.5}}\n"
        "augment: [hflip, [square_pad, hflip]]\nexport: {as: llava_json, codec: plain}\n",
    )
    assert [(each.name, each.options) for each in job.score] == [("a", {}), ("b", {"model": "tiny"}), ("c", {})]
    assert job.keep == {"f": {}, "g": {"low": 1, "high": 2.5}}
    assert job.augment == (("hflip",), ("square_pad", "hflip"))
    assert job.export is not None
    assert (job.export.as_, job.export.codec, job.export.pictures) == ("llava_json", "plain", True)


def test_defaults(file: Path) -> None:
    job = curated(file, "from: x\n")
    assert (job.score, job.keep, job.augment, job.export, job.seed) == ((), {}, (), None, 0)
    file.write_text(MIX)
    mix = load_job(file)
    assert isinstance(mix, MixJob)
    assert (mix.tokens.max, mix.pack.length, mix.mix["a"].epochs, mix.mix["a"].samples) == (2048, 4096, None, None)


@pytest.mark.parametrize("switch", ["false", "0", "''", "[]", "3", "word"])
def test_a_filter_or_a_scorer_is_not_switched_off_by_a_value(file: Path, switch: str) -> None:
    assert [said.where for said in mistakes(file, f"from: x\nkeep: {{has_boxes: {switch}}}\n")] == ["keep.has_boxes"]
    [said] = mistakes(file, f"from: x\nscore: [{{box_stats: {switch}}}]\n")
    assert said.where.startswith("score[0]")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("from: x\nkeeep: {}\n", "keeep"),
        ("from: x\nfilter: []\n", "filter"),
        ("from: [x]\n", "from"),
        ("from: 3\n", "from"),
        ("from: x\nseed: 1.5\n", "seed"),
        ("from: x\nseed: true\n", "seed"),
        ("from: x\nscore: clip\n", "score"),
        ("from: x\nscore: [[a]]\n", "score[0]"),
        ("from: x\nscore: [3]\n", "score[0]"),
        ("from: x\nscore: [{a: {}, b: {}}]\n", "score[0]"),
        ("from: x\nscore: [a, {b: {model: [1]}}]\n", "score[1].options.model"),
        ("from: x\nkeep: [aligned]\n", "keep"),
        ("from: x\nkeep: {aligned: {min_clip: {}}}\n", "keep.aligned.min_clip"),
        ("from: x\naugment: hflip\n", "augment"),
        ("from: x\naugment: [3]\n", "augment[0]"),
        ("from: x\naugment: [[3]]\n", "augment[0][0]"),
        ("from: x\naugment: [[]]\n", "augment[0]"),
        ("from: x\ningest: {max_sid: 100}\n", "ingest.max_sid"),
        ("from: x\ningest: {max_side: 1}\n", "ingest.max_side"),
        ("from: x\ningest: {quality: 101}\n", "ingest.quality"),
        ("from: x\nexport: {codec: asv2}\n", "export"),
        ("from: x\nexport: {as: a, file: ../../etc/passwd}\n", "export.file"),
        ("from: x\nexport: {as: a, file: a/b}\n", "export.file"),
        ("from: x\nexport: {as: a, file: ..}\n", "export.file"),
        ("from: x\nexport: {as: a, file: manifest.json}\n", "export.file"),
        ("from: x\nexport: {as: a, pictures: maybe}\n", "export.pictures"),
        ("mix: {}\n", "mix"),
        ("mix: [a]\n", "mix"),
        ("mix: {a: jobs/a}\n", "mix.a"),
        ("mix: {a: {form: jobs/a, from: b}}\n", "mix.a.form"),
        ("mix: {a: {from: b, epochs: 0}}\n", "mix.a.epochs"),
        ("mix: {a: {from: b, epochs: .nan}}\n", "mix.a.epochs"),
        ("mix: {a: {from: b, epochs: .inf}}\n", "mix.a.epochs"),
        ("mix: {a: {from: b, samples: -1}}\n", "mix.a.samples"),
        ("mix: {a: {from: b, samples: 1.5}}\n", "mix.a.samples"),
        (MIX + "pack: {length: 0}\n", "pack.length"),
        (MIX + "pack: {length: 1000000000000}\n", "pack.length"),
        (MIX + "tokens: {max: 0}\n", "tokens.max"),
        (MIX + "tokens: {modell: x}\n", "tokens.modell"),
        (MIX + "score: [a]\n", "score"),
    ],
)
def test_a_mistake_is_named_once_at_its_place(file: Path, text: str, where: str) -> None:
    assert [said.where for said in mistakes(file, text)] == [where]


def test_the_missing_dataset_is_named(file: Path) -> None:
    [said] = mistakes(file, "score: []\n")
    assert 'the key "from" is missing' in said.what
    [said] = mistakes(file, "mix: {a: {epochs: 1}}\n")
    assert 'the key "from" is missing' in said.what
    assert said.where == "mix.a"


def test_the_hint_knows_the_written_name_of_a_key(file: Path) -> None:
    [said] = mistakes(file, "from: x\nexport: {as: a, codecs: plain}\n")
    assert "codec" in said.hint
    said_all = mistakes(file, "form: x\n")
    assert any("from" in said.hint and "from_" not in said.hint for said in said_all)


def test_load_job_raises_the_first_mistake(file: Path) -> None:
    file.write_text("from: 3\nx: 1\n")
    with pytest.raises(ConfigError, match="-->"):
        load_job(file)


def test_a_job_is_found_by_file_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobs").mkdir()
    own = tmp_path / "jobs" / "mine.yaml"
    own.write_text("from: x\n")
    project = Project(str(tmp_path))
    assert job_path(str(own), project) == own
    for name in ("mine", "mine.yaml", "jobs/mine", "jobs/mine.yaml"):
        assert job_path(name, project) == own
    assert job_path("jobs/cc12m.yaml", project).name == "cc12m.yaml"
    with pytest.raises(ConfigError, match="unknown job") as error:
        job_path("jobs/mime.yaml", project)
    assert "mine" in error.value.hint


@pytest.mark.parametrize(
    "name", ["my-jobs/cc12m.yaml", "/nowhere/jobs/cc12m.yaml", "../cc12m", "../../jobs/cc12m.yaml"]
)
def test_a_path_that_is_absent_is_not_taken_for_a_shipped_job_of_that_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"no job at|unknown job"):
        job_path(name, Project(str(tmp_path)))
