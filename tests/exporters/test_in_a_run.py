"""An export of a mix has the mix's packs and lengths; another choice of phrases is another export."""

import json
from collections import defaultdict
from pathlib import Path

import conforming
import pyarrow.parquet as pq
import pytest
from conftest import Workshop
from tokenizers import Tokenizer, models, pre_tokenizers

from curate import pipeline
from curate.driver import Where
from curate.export_job import Export
from curate.exporting import export_last


@pytest.fixture
def asked(workshop: Workshop) -> pipeline.Run:
    """A mix of six captions, twice each, which ran."""
    workshop.captions(count=6)
    path = workshop.folder / "words.json"
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "</s>": 1}, unk_token="[UNK]"))
    words.add_special_tokens(["</s>"])
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(path))
    tokens = f"tokens: {{model: llava-1.5-336, tokenizer: {path}, max: 1800}}\npack: {{length: 1800}}\n"
    workshop.write("jobs/mine.yaml", "from: tiny\n")
    workshop.write("jobs/mixed.yaml", f"mix:\n  a: {{from: mine, epochs: 2}}\n{tokens}export: {{as: qwen_vl_packed}}\n")
    assert workshop.run("mixed").ok()
    return pipeline.Run(str(workshop.root), workshop.project, Where("inline"))


def export(asked: pipeline.Run, **wanted: object) -> tuple[Path, dict[str, object]]:
    folder, manifest = export_last("mixed", Export(codec="asv2", **wanted), asked.project, asked.root)  # type: ignore[arg-type]
    return Path(folder), manifest


def test_packs_lengths_and_phrases(asked: pipeline.Run) -> None:
    root = Path(asked.root)
    [path] = root.glob("mixes/mixed/*/packs.parquet")
    packs: dict[int, list[tuple[int, str]]] = defaultdict(list)
    lengths = {}
    for row in pq.ParquetFile(path).read().to_pylist():
        packs[row["pack"]].append((row["slot"], row["sample_id"]))
        lengths[row["sample_id"]] = row["n_text_tok"] + row["n_img_tok"]
    [folder] = root.glob("exports/mixed/qwen_vl_packed-*")
    read = json.loads((folder / "mixed.json").read_bytes())
    assert [[row["id"] for row in pack] for pack in read] == [
        [name for _, name in sorted(packs[number])] for number in sorted(packs)
    ]
    assert max(len(pack) for pack in read) > 1
    assert all(row["num_tokens"] == lengths[row["id"]] for pack in read for row in pack)
    for pack in read:
        conforming.qwen_vl(pack, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert (manifest["files"], manifest["picture_files"], manifest["phrases"]) == (["mixed.json"], 6, None)

    folder, manifest = export(asked, as_="internvl", pictures=False)
    found = [json.loads(line) for line in (folder / "mixed-a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["length"] for row in found] == [lengths[row["id"]] for row in found]
    assert (len(found), manifest["picture_files"]) == (12, 0)

    told = [export(asked, as_="llava_json", phrases=phrases) for phrases in (None, "longest", "shortest", "best_score")]
    assert len({folder for folder, _ in told}) == 4
    assert [manifest["phrases"] for _, manifest in told] == [None, "longest", "shortest", "best_score"]
