"""A small root made by the real pipeline: a source and a scorer of its own, no network, no model."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from curate.driver import Where
from curate.io import images
from curate.pipeline import Run, run
from curate.plugins import Project

SOURCE = '''"""Rows from a JSON file beside their pictures."""
import json
from pathlib import Path
from curate.sample import Region, SourceRow, Turn
from curate.shards import ShardInput

def plan(uris, shard_rows):
    for uri in uris:
        total = len(json.loads(Path(uri).read_text()))
        for first in range(0, total, shard_rows):
            yield ShardInput(uri, first, min(shard_rows, total - first))

def rows(part):
    found = json.loads(Path(part.uri).read_text())
    for row in found[part.first_row : part.first_row + part.rows]:
        picture = Path(row["picture"]).read_bytes() if row.get("picture") else None
        regions = tuple(
            Region(r["phrase"], tuple(map(tuple, r["boxes"])), r.get("turn"), r.get("start"), r.get("end"), 0.9)
            for r in row.get("regions", [])
        )
        yield SourceRow(
            row["key"], row.get("url"), picture, text=row.get("text"), regions=regions,
            conversations=tuple(Turn(*turn) for turn in row.get("turns", [])),
            meta=json.dumps({"clip": row.get("clip")}), error=tuple(row["error"]) if row.get("error") else None,
        )
'''

SCORER = '''"""The similarity that the row itself states."""
import json
from dataclasses import dataclass
import numpy as np
from curate.shards import Needs

VERSION, NEEDS, PICTURES = 1, Needs(), False
COLUMNS = {"clip_similarity": "as the row says"}

@dataclass(frozen=True, slots=True)
class Options:
    """None."""

def prepare(table, open_picture, options):
    return [json.loads(meta)["clip"] for meta in table["source_meta"].to_pylist()]

class Scorer:
    def __init__(self, options):
        pass
    def score(self, payload):
        return {"clip_similarity": np.array([np.nan if value is None else value for value in payload], float)}
'''


@dataclass
class Told:
    reports: list = field(default_factory=list)

    def phase(self, *_):
        pass

    def shard(self, report):
        self.reports.append(report)

    def note(self, _):
        pass


@dataclass
class World:
    """A project folder and a root; `dataset` and `job` write files, `run` runs."""

    folder: Path

    def __post_init__(self):
        for name in ("catalogs", "jobs", "plugins/sources", "plugins/scorers", "pictures"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "plugins/sources/shelf.py").write_text(SOURCE)
        (self.folder / "plugins/scorers/clip_similarity.py").write_text(SCORER)

    @property
    def root(self):
        return str(self.folder / "root")

    @property
    def project(self):
        return Project(str(self.folder))

    def dataset(self, name, rows, shard_rows=40):
        (self.folder / f"{name}.json").write_text(json.dumps(rows))
        (self.folder / f"catalogs/{name}.yaml").write_text(
            f"source: shelf\nuri: {self.folder}/{name}.json\nlicence: CC BY 4.0\ncitation: Nobody 2026\n"
            f"shard_rows: {shard_rows}\n"
        )

    def job(self, name, text):
        (self.folder / f"jobs/{name}.yaml").write_text(text)

    def tokenizer(self):
        """A tokenizer.json that counts words."""
        words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
        words.pre_tokenizer = pre_tokenizers.Whitespace()
        words.add_special_tokens(["</s>"])
        words.save(str(self.folder / "tokenizer.json"))
        return self.folder / "tokenizer.json"

    def run(self, name):
        return run(name, Run(self.root, self.project, Where("inline")), Told())

    def picture(self, seed, width=96, height=72):
        """A picture of a few coloured blocks."""
        path = self.folder / f"pictures/{seed}-{width}x{height}.jpg"
        rng = np.random.default_rng(seed)
        blocks = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        pixels = np.kron(blocks, np.ones((height // 4, width // 4, 1), dtype=np.uint8))
        path.write_bytes(images.encode_jpeg(pixels, 90))
        return str(path)


def phrase(text, words, *boxes):
    """A region over the first place where `words` stand in `text`; outside of it where they do not."""
    start = text.find(words)
    place = {"start": start, "end": start + len(words)} if start >= 0 else {}
    return {"phrase": words, "boxes": [list(box) for box in boxes], **place}
