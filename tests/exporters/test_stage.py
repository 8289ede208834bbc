"""The stage hands an exporter what a sample says, its pictures, its length and pack; a policy chooses the phrases."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from exported import jpeg

from curate import plugins, schema
from curate.io import tars
from curate.layout import Layout
from curate.plugins import Project
from curate.sample import ImageRef, Record, Region, Relation, Sample, Turn
from curate.stages.export import Exported, Writing, export

PROJECT = Project(str(plugins.shipped()))
CODEC = plugins.load("codecs", "internvl", PROJECT)
BOX, OTHER = (0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0)
NESTED = (
    Region("the red bus", (BOX,), start=0, end=11, score=0.1),
    Region("bus", (OTHER,), start=8, end=11, score=0.9),
    Region("nothing", (BOX,)),
)


class Held:
    """An exporter that keeps what it is given."""

    records: list[Record]

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        Held.records = []

    def write(self, record: Record) -> None:
        Held.records.append(record)
        (self.folder / "deep/er").mkdir(parents=True, exist_ok=True)
        (self.folder / f"deep/er/{len(Held.records)}.jpg").write_bytes(record.picture or b"")

    def close(self) -> tuple[str, ...]:
        (self.folder / self.name).write_text("all")
        return (self.name,)


def holding() -> ModuleType:
    module = ModuleType("held")
    module.Exporter, module.GROUNDED = Held, True  # type: ignore[attr-defined]
    return module


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = Path(Layout(str(tmp_path), "t").images(0))
    path.parent.mkdir(parents=True)
    tars.write_tar(path, [("a.jpg", jpeg(0)), ("b.png", jpeg(1, (32, 16)))])
    return tmp_path


def images(root: Path) -> tuple[ImageRef, ...]:
    data = Path(Layout(str(root), "t").images(0)).read_bytes()
    found = []
    for number, (member, size) in enumerate((("a.jpg", (64, 48)), ("b.png", (32, 16)))):
        picture = jpeg(number, size)
        sha = hashlib.sha256(picture).hexdigest()
        at = data.index(picture)
        found.append(ImageRef(member, at, len(picture), sha, "00", "jpeg", *size, *size, 1))
    return tuple(found)


def exported(root: Path, samples: list[Sample], policy: Any = None, **columns: Any) -> tuple[list[Record], Exported]:
    def rows() -> Iterator[dict[str, Any]]:
        for one in schema.from_table(schema.to_table(samples)):
            yield {"sample": one, "component": "part", "augmented": None, **columns}

    writing = Writing(holding(), CODEC, "x.json", True, None, policy)
    told = export(str(root), rows(), writing, str(root / "out"))
    return Held.records, told


def sample(root: Path, pictures: int = 1, **changes: Any) -> Sample:
    return Sample("s1", "t", 0, 0, "k", images=images(root)[:pictures], **changes)


def test_a_captions_words_are_the_answer(root: Path) -> None:
    [record], _ = exported(root, [sample(root, text="the red bus", regions=NESTED)])
    question, answer = record.said
    assert question.text == record.turns[0].value
    assert question.text.startswith("<image>\n")
    assert answer.text == "the red bus"
    assert [region.phrase for region in answer.regions] == ["the red bus", "bus"]
    assert record.turns[1].value.count("<ref>") == 1


@pytest.mark.parametrize(
    ("policy", "phrase"),
    [("longest", "the red bus"), ("shortest", "bus"), ("best_score", "bus"), (None, "the red bus")],
)
def test_a_policy_chooses_the_phrases_of_the_form_and_of_what_is_said(root: Path, policy: Any, phrase: str) -> None:
    [record], _ = exported(root, [sample(root, text="the red bus", regions=NESTED)], policy)
    assert f"<ref>{phrase}</ref>" in record.turns[1].value
    assert policy is None or [region.phrase for region in record.said[1].regions] == [phrase]


def test_spans_move_with_the_pictures_mark(root: Path) -> None:
    talk = (Turn("human", "is the red bus late?"), Turn("gpt", "the red bus is"))
    regions = (
        Region("the red bus", (BOX,), turn=0, start=3, end=14),
        Region("the red bus", (OTHER,), turn=1, start=0, end=11),
    )
    relations = (Relation("late", (0,), (1,), turn=0, start=15, end=19),)
    [record], _ = exported(root, [sample(root, conversations=talk, regions=regions, relations=relations)])
    assert [one.text for one in record.said] == ["<image>\nis the red bus late?", "the red bus is"]
    for one in record.said:
        [region] = one.regions
        assert one.text[region.start : region.end] == region.phrase
    assert [turn.value.count("<ref>the red bus</ref>") for turn in record.turns] == [1, 1]


def test_words_that_place_the_picture_themselves_stay(root: Path) -> None:
    talk = (Turn("human", "what is <image>?"), Turn("gpt", "the red bus"))
    regions = (Region("bus", (BOX,), turn=1, start=8, end=11),)
    [record], _ = exported(root, [sample(root, conversations=talk, regions=regions)])
    assert [one.text for one in record.said] == ["what is <image>?", "the red bus"]
    assert record.said[1].regions[0].start == 8


def test_a_sample_without_pictures_has_no_mark(root: Path) -> None:
    talk = (Turn("human", "hello"), Turn("gpt", "hi"))
    [record], _ = exported(root, [sample(root, 0, conversations=talk)])
    assert (record.image, record.attached(), record.said[0].text) == (None, (), "hello")


def test_further_pictures_go_along(root: Path) -> None:
    talk = (Turn("human", "<image><image>which?"), Turn("gpt", "the first"))
    [record], told = exported(root, [sample(root, 2, conversations=talk)])
    one, two = record.attached()
    assert (one.image, two.image) == ("images/t/a.jpg", "images/t/b.png")
    assert (one.picture, two.picture) == (jpeg(0), jpeg(1, (32, 16)))
    assert (two.width, two.height) == (32, 16)
    assert told.records == 1


def test_length_and_pack_are_of_mixes_alone(root: Path) -> None:
    one = sample(root, text="the red bus")
    [record], _ = exported(root, [one], length=700, pack=3)
    assert (record.length, record.pack) == (700, 3)
    [record], _ = exported(root, [one])
    assert (record.length, record.pack) == (None, None)


def test_pictures_are_put_and_counted_one_by_one(root: Path) -> None:
    _, told = exported(root, [sample(root, text="the red bus")] * 3)
    assert (told.files, told.picture_files, told.records) == (("x.json",), 3, 3)
    found = {str(path.relative_to(root / "out")) for path in (root / "out").rglob("*") if path.is_file()}
    assert found == {"x.json", "deep/er/1.jpg", "deep/er/2.jpg", "deep/er/3.jpg"}
