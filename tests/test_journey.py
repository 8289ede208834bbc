"""A sample's journey tells everything that the root knows of it, and nothing that a terminal would obey."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import Workshop
from tokenizers import Tokenizer, models, pre_tokenizers

from curate.errors import ConfigError
from curate.journey import as_text, explain
from curate.sample import sample_id

SCORER = '''"""Words."""
from dataclasses import dataclass
from curate.shards import Needs
VERSION, NEEDS, COLUMNS = 1, Needs(), {"words": "number of words"}

@dataclass(frozen=True)
class Options: ...

def prepare(table, open_picture, options):
    return [float(len(text.split())) for text in table["text"].to_pylist()]

class Scorer:
    def __init__(self, options): ...

    def score(self, payload):
        return {"words": payload}
'''
FILTER = (
    "select sample_id, case when words < $low then 'few_words' end as reason from samples join wordy using (sample_id)"
)


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    urls = workshop.pictures(2)
    workshop.captions(count=2)
    workshop.write("tiny.tsv", f"{urls[0]}\ta red dog on the left\n{urls[1]}\tdog\n{workshop.url}/gone.jpg\tgone\n")
    workshop.write("plugins/scorers/wordy.py", SCORER)
    workshop.write("sql/filters/wordy_enough.sql", FILTER)
    workshop.write("jobs/mine.yaml", "from: tiny\nscore: [wordy]\nkeep: {wordy_enough: {low: 3}}\naugment: [hflip]\n")
    made = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.save(str(workshop.folder / "tokenizer.json"))
    tokens = f"tokens: {{model: text-only, tokenizer: {workshop.folder}/tokenizer.json}}\n"
    workshop.write("jobs/mixed.yaml", f"mix: {{part: {{from: mine, epochs: 2}}}}\n{tokens}")
    workshop.run("mixed")
    return workshop


def test_journeys(shop: Workshop) -> None:
    kept, dropped, failed = (sample_id("tiny", f"tiny:{row}") for row in range(3))
    found = explain(str(shop.root), shop.project, kept)
    assert found.sample["text"] == "a red dog on the left"
    assert found.scores["wordy"]["words"] == 6.0
    assert [(row["job"], row["filter"], row["reason"]) for row in found.verdicts] == [("mine", "wordy_enough", None)]
    assert [(row["recipe"], row["text"]) for row in found.children] == [("hflip", "a red dog on the right")]
    assert [(row["mix"], row["draw"]) for row in found.mixes] == [("mixed", 0), ("mixed", 1)]
    text = as_text(found)
    for said in (
        kept,
        "tiny:0",
        "64×48 jpeg",
        "/0.jpg",
        "words 6",
        "wordy_enough → kept",
        "child      hflip",
        "pack 0",
    ):
        assert said in text
    found = explain(str(shop.root), shop.project, dropped)
    assert "wordy_enough → few_words" in as_text(found)
    assert (found.children, found.mixes) == ((), ())
    found = explain(str(shop.root), shop.project, failed)
    assert "FAILED     http_404" in as_text(found)
    assert (found.scores, found.verdicts) == ({}, ())


def test_a_child_knows_its_parent_and_a_beginning_is_enough(shop: Workshop) -> None:
    parent = sample_id("tiny", "tiny:0")
    child = explain(str(shop.root), shop.project, parent).children[0]["sample_id"]
    found = explain(str(shop.root), shop.project, child[:12])
    assert found.sample["sample_id"] == child
    assert f"derived    from {parent} by hflip" in as_text(found)


def test_none_and_several_are_refused(shop: Workshop) -> None:
    with pytest.raises(ConfigError, match="no sample begins"):
        explain(str(shop.root), shop.project, "zz' or true --")
    with pytest.raises(ConfigError, match="no sample begins"):
        explain(str(shop.root), shop.project, "%")
    with pytest.raises(ConfigError, match="several samples begin") as error:
        explain(str(shop.root), shop.project, "")
    assert sample_id("tiny", "tiny:0") in error.value.hint


def test_an_empty_root_is_refused(tmp_path: Path, workshop: Workshop) -> None:
    with pytest.raises(ConfigError, match="nothing curated under"):
        explain(str(tmp_path / "absent"), workshop.project, "a")


TURN = {"from": "human", "value": "<image>\nwhat is it"}


def theirs(shop: Workshop, name: str, answers: list[str], part: str = "") -> list[dict[str, Any]]:
    """Mix a file of records, one of each answer, and return the rows of its lengths."""
    rows = [
        {"id": f"{name}-{n}", "image": f"{n // 3}.jpg", "conversations": [TURN, {"from": "gpt", "value": answer}]}
        for n, answer in enumerate(answers)
    ]
    shop.write(f"{name}.json", json.dumps(rows))
    tokens = f"tokens: {{tokenizer: {shop.folder}/tokenizer.json}}\n"
    said = f"mix: {{{name}: {{from: {shop.folder}/{name}.json, images: {shop.folder}{part}}}}}\n"
    shop.write(f"jobs/of_{name}.yaml", said + tokens)
    shop.run(f"of_{name}")
    [lengths] = shop.root.glob(f"lengths/{name}/*/00000.parquet")
    return list(pq.ParquetFile(lengths).read().to_pylist())


@pytest.fixture
def files(workshop: Workshop) -> Workshop:
    workshop.folder.mkdir(exist_ok=True)
    workshop.tokenizer()
    return workshop


def test_a_record_of_a_file_is_read_where_it_lies(files: Workshop) -> None:
    row = theirs(files, "vqa", ["a dog", "a cat", "naïve \x1b[31m", "a bird"], ", epochs: 2")[2]
    found = explain(str(files.root), files.project, row["sample_id"][:10])
    assert (found.sample, found.children, found.verdicts) == (None, (), ())
    [record] = found.records
    file = (files.folder / "vqa.json").read_bytes()
    assert file[record.offset :].startswith(b'{"id": "vqa-2"')
    assert file[record.offset + record.bytes :].startswith(b'{"id": "vqa-3"')
    assert (record.component, record.file, record.codec) == ("vqa", f"{files.folder}/vqa.json", "asv2")
    assert (record.id, record.picture) == ("vqa-2", "0.jpg")
    assert record.turns == ("human: <image>\nwhat is it", "gpt: naïve \x1b[31m")
    assert [(place["mix"], place["draw"]) for place in found.mixes] == [("of_vqa", 0), ("of_vqa", 1)]
    assert all(None not in (place["step"], place["rank"], place["pack"], place["slot"]) for place in found.mixes)
    text = as_text(found)
    assert f"vqa.json at byte {record.offset} +{record.bytes} · asv2" in text
    assert "step 0 rank 0 pack 0 slot" in text
    assert r"naïve \x1b[31m" in text and "\x1b" not in text


def test_records_that_are_merged_or_not_drawn_are_found(files: Workshop) -> None:
    for row in theirs(files, "merged", ["one", "two", "three"], ", merge: 3"):
        found = explain(str(files.root), files.project, row["sample_id"])
        assert [record.offset for record in found.records] == [row["record_offset"]]
        assert [place["mix"] for place in found.mixes] == ["of_merged"]
    rows = theirs(files, "some", [f"a thing {n}" for n in range(9)], ", samples: 2")
    all_found = [explain(str(files.root), files.project, row["sample_id"]) for row in rows]
    assert [found.records[0].id for found in all_found] == [f"some-{n}" for n in range(9)]
    assert sum(bool(found.mixes) for found in all_found) == 2


def shorter(text: str) -> str:
    return text.replace(" and a dog" * 20, "")


HOSTILE = [
    (lambda text: shorter(text).replace('"some-0"', '{"\\u202e": [1e999, "\\ud800\\u001b[2J"]}'), "named"),
    (lambda text: shorter(text).replace('"0.jpg"', "[null, 3]"), "[null, 3]"),
    (lambda text: text.replace("conversations", "conversation?"), "picture"),
    (lambda text: "[" + "[" * len(text), "UNREAD     no record is there any more"),
    (lambda text: "[" + "\udcff" * len(text), "UNREAD     no record is there any more"),
    (lambda text: '[1, {"a": "b"}, ' + "3, " * len(text), "UNREAD     the record there is another"),
    (lambda text: "", "UNREAD     no record is there any more"),
    (None, "UNREAD     the file is gone"),
]


@pytest.mark.parametrize(("change", "says"), HOSTILE)
def test_a_file_that_changed_since_is_told_as_it_is(
    files: Workshop, change: Callable[[str], str] | None, says: str
) -> None:
    row = theirs(files, "some", ["a dog" + " and a dog" * 30])[0]
    path = files.folder / "some.json"
    if change:
        path.write_text(change(path.read_text()), errors="surrogateescape")
    else:
        path.unlink()
    text = as_text(explain(str(files.root), files.project, row["sample_id"]))
    assert says in text
    assert "some.json at byte 1 +" in text and "of_some · some draw 0" in text
    assert all(line.isprintable() for line in text.splitlines())


def test_a_record_of_which_only_the_name_is_known(files: Workshop) -> None:
    row = theirs(files, "some", ["a dog", "a cat"])[0]
    [manifest] = files.root.glob("mixes/*/*/manifest.json")
    manifest.unlink()
    found = explain(str(files.root), files.project, row["sample_id"])
    assert found.records == () and len(found.mixes) == 1
    assert "of a file that no last run of a mix names" in as_text(found)
