"""A sample's journey tells everything that the root knows of it, and nothing that a terminal would obey."""

from pathlib import Path

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
