"""jobs/as_mix_4m.yaml from end to end on a stand-in of its shape: every component by name, folders, plan, packs, JSON.

make bench-as_mix                       400,000 records
RECORDS=4000000 make bench-as_mix       all of it: some 4 GB below TMPDIR
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from metered import metered
from table import Row, publish
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from tokenizers.trainers import BpeTrainer

REPO = Path(__file__).parents[2]
RECORDS = int(os.environ.get("RECORDS", "400000"))
KINDS = 2000
"""Dialogues of a component that differ; each record adds its number."""

# Component: share, words of an answer (log-normal median and spread), turns, share with boxes, folder of pictures.
# The published mix does not tell them; these give lengths like those of `mix_lengths`.
SHAPES: dict[str, tuple[float, float, float, int, float, str]] = {
    "llava_665k": (0.165, 60, 0.9, 3, 0.15, "coco/train2017"),
    "rec_conversation": (0.006, 50, 0.5, 4, 1.0, "coco/train2017"),
    "rec_detailed_description": (0.010, 130, 0.4, 1, 1.0, "coco/train2017"),
    "rec_region_captioning": (0.016, 20, 0.4, 1, 1.0, "coco/train2017"),
    "as_core": (0.30, 25, 0.6, 2, 0.7, "sam/sa_000000"),
    "llavar": (0.02, 20, 0.7, 2, 0.0, "LLaVAR/images"),
    "sharegpt4v_100k": (0.025, 150, 0.4, 1, 0.0, "sam/images"),
    "clevr": (0.17, 3, 0.3, 2, 0.0, "CLEVR_v1.0/images"),
    "scienceqa": (0.005, 30, 0.8, 1, 0.0, "ScienceQA/train"),
    "st_vqa": (0.006, 3, 0.4, 1, 0.0, "ST-VQA"),
    "docvqa": (0.01, 4, 0.5, 1, 0.0, "DocVQA/documents"),
    "visual7w": (0.03, 6, 0.4, 3, 0.5, "Visual7W/images"),
    "flickr30k": (0.037, 25, 0.4, 1, 1.0, "flickr30k/images"),
    "vcr": (0.05, 15, 0.4, 2, 0.6, "VCR"),
    "refcoco_flip": (0.15, 4, 0.3, 3, 1.0, "coco_flip/train2014"),
}


def main() -> None:
    """Build the stand-in, check, run, and publish."""
    work = Path(tempfile.mkdtemp(prefix="as-mix-"))
    try:
        job = yaml.safe_load((REPO / "jobs/as_mix_4m.yaml").read_text())
        assert set(job["mix"]) == set(SHAPES)
        size = sum(write(work, name, component["from"]) for name, component in job["mix"].items())
        tokenizer(work)
        rows = [Row("stand-in", "records", "", RECORDS, None, None, "", None)]
        rows.append(Row("stand-in", "files", "MB", size / 1e6, None, None, "", None))
        rows += run(work)
        publish("as_mix", rows)
    finally:
        shutil.rmtree(work)


def write(work: Path, name: str, template: str) -> int:
    """Write one component's file; return its bytes."""
    share, *_, folder = SHAPES[name]
    (work / "playground" / folder).mkdir(parents=True, exist_ok=True)
    (work / "playground" / folder / "0.jpg").write_bytes(b"")
    kinds = dialogues(name)
    path = work / "annotations" / Path(template).name
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as out:
        out.write("[")
        for number in range(max(int(RECORDS * share), 1)):
            image = f"{folder}/{number:012d}.jpg"
            out.write(f'{"," if number else ""}\n{{"id": "{name}-{number}", "image": "{image}", ')
            out.write(f'"conversations": {kinds[number % len(kinds)]}}}')
        out.write("\n]\n")
    return path.stat().st_size


def dialogues(name: str) -> list[str]:
    """Return some dialogues as JSON."""
    _, median, sigma, turns, boxed, _ = SHAPES[name]
    rng = np.random.default_rng(len(name))
    words = np.array(
        [
            "the",
            "a",
            "of",
            "man",
            "woman",
            "red",
            "bus",
            "dog",
            "table",
            "left",
            "right",
            "with",
            "two",
            "people",
            "on",
            "street",
            "sign",
            "blue",
            "cup",
        ]
    )
    found = []
    for _ in range(KINDS):
        said = []
        for turn in range(turns):
            question = "<image>\n" * (turn == 0) + " ".join(rng.choice(words, 9)) + "?"
            answer = " ".join(rng.choice(words, max(int(np.exp(np.log(median) + sigma * rng.standard_normal())), 1)))
            if rng.random() < boxed:
                x, y = rng.integers(0, 500, 2)
                answer = (
                    f"<ref>{' '.join(rng.choice(words, 3))}</ref><box>[[{x}, {y}, {x + 300}, {y + 200}]]</box> "
                    + answer
                )
            said += [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
        found.append(json.dumps(said))
    return found


def tokenizer(work: Path) -> None:
    """Train a small tokenizer with the marks of vicuna."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    texts = [turn["value"] for name in SHAPES for text in dialogues(name)[:200] for turn in json.loads(text)]
    made.train_from_iterator(texts, BpeTrainer(vocab_size=4000, show_progress=False))
    made.add_special_tokens([AddedToken("</s>", normalized=False)])
    made.save(str(work / "tokenizer.json"))


def run(work: Path) -> list[Row]:
    """Check and run the job in processes of its own."""
    environment = {
        **os.environ,
        "ANNOTATIONS": str(work / "annotations"),
        "PLAYGROUND": str(work / "playground"),
        "VICUNA_TOKENIZER": str(work / "tokenizer.json"),
    }
    curate = [str(Path(sys.executable).parent / "curate")]
    job = str(REPO / "jobs/as_mix_4m.yaml")
    checked = subprocess.run([*curate, "check", job, "--json"], env=environment, capture_output=True, check=False)
    states = [item["state"] for item in json.loads(checked.stdout)["inventory"] if item["kind"] == "file"]
    assert states == ["present"] * len(SHAPES), checked.stdout
    command = [*curate, "run", job, "--root", str(work / "root"), "--cpus", str(os.cpu_count() or 1)]
    meter = metered(command, work / "run.log", 7200, environment, REPO)
    assert meter.code == 0, (work / "run.log").read_text()[-3000:]
    (manifest,) = (work / "root/mixes").rglob("manifest.json")
    facts = json.loads(manifest.read_text())["facts"]
    (out,) = (work / "root/exports").rglob("as_mix_4m.json")
    exported = json.loads((out.parent / "manifest.json").read_text())
    assert exported["records"] == facts["samples"]
    case = "as_mix_4m, end to end"
    full, ceiling = 100 * facts["fill"], 100 * facts["ceiling"]
    tokens, cost = facts["token_balance"], facts["cost_balance"]
    near = full >= min(99.9, ceiling - 0.3)
    return [
        Row(case, "wall", "s", meter.wall_s, None, None, "", None),
        Row(case, "CPU", "s", meter.cpu_s, None, None, "", None),
        Row(case, "largest process", "MB", max(meter.peaks.values()) / 2**20, None, None, "", None),
        Row(case, "samples drawn", "", facts["samples"], None, None, "", None),
        Row(case, f"filled, by {facts['packer']}", "%", full, None, ceiling, "99.9, or ceiling - 0.3", near),
        Row(case, "tokens, busiest rank / mean", "ratio", tokens, None, 1.0, "<= 1.002", tokens <= 1.002),
        Row(case, "cost, busiest rank / mean", "ratio", cost, None, 1.0, "<= 1.02", cost <= 1.02),
        Row(case, "as_mix_4m.json", "MB", out.stat().st_size / 1e6, None, None, "", None),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
