"""Roots of which a mix is exported: samples of a catalog, or records of a file of others, in a shuffled plan."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from curate import schema
from curate.io import json_stream, tables
from curate.io.records import write_json
from curate.results import JobResult
from curate.sample import Sample

SHARD = 2000
DIGEST = "d" * 32
JOB = "bench_mix"


def of_samples(root: Path, count: int, sample: Callable[[int], Sample]) -> JobResult:
    """Write `count` samples in shards, their verdicts and a mix of all of them; return what was run."""
    keys: list[str] = []
    numbers = iter(range(count))
    while batch := list(islice(numbers, SHARD)):
        made = [sample(number) for number in batch]
        shard = f"{len(keys) // SHARD:05d}.parquet"
        keys += [one.sample_id for one in made]
        tables.write_table(f"{root}/bench/samples/{shard}", schema.to_table(made), {})
        tables.write_table(f"{root}/bench/decisions/{DIGEST}/{shard}", _verdicts(made), {})
    ran = {"dataset": "bench", "decisions": DIGEST, "augmented": "", "complete": True, "digest": DIGEST}
    write_json(f"{root}/runs/1/job-part.json", {"run": "1", "job": "part", "kind": "curate", **ran})
    drawn = [{"sample_id": key, "record_offset": None, "record_bytes": None} for key in keys]
    return _mixed(root, drawn, {})


def of_file(root: Path, count: int, rows: Iterator[dict[str, Any]], codec: str) -> JobResult:
    """Write `count` records of LLaVA's form as one file, and a mix of all of them; return what was run."""
    path = root / "them.json"
    root.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        for number, row in enumerate(islice(rows, count)):
            out.write(("[\n" if number == 0 else ",\n") + json.dumps(row, ensure_ascii=False))
        out.write("\n]\n")
    places = [found.offset for found in json_stream.records(str(path))]
    ends = [*places[1:], path.stat().st_size]
    drawn = [
        {"sample_id": f"{number:032x}", "record_offset": at, "record_bytes": end - at}
        for number, (at, end) in enumerate(zip(places, ends, strict=True))
    ]
    return _mixed(root, drawn, {"part": {"name": "part", "uri": str(path), "codec": codec, "images": ""}})


def _verdicts(made: list[Sample]) -> pa.Table:
    row = {"dataset": "bench", "digest": DIGEST, "filter": "", "place": 0, "reason": None}
    return pa.Table.from_pylist([{**row, "sample_id": one.sample_id} for one in made], schema=schema.VERDICTS)


def _mixed(root: Path, drawn: list[dict[str, Any]], files: dict[str, Any]) -> JobResult:
    """Lay the draws out in an order of their own: four in a pack, 128 packs in a step."""
    named = {"mix": JOB, "digest": DIGEST, "component": "part", "job": "part", "dataset": "bench", "recipe": ""}
    counted = {"draw": 0, "n_text_tok": 150, "n_label_tok": 100, "n_img_tok": 576}
    order = np.random.default_rng(7).permutation(len(drawn))
    batches = []
    for begin in range(0, len(drawn), 10_000):
        rows = [
            {
                **named,
                **counted,
                **drawn[number],
                "step": at // 512,
                "rank": at // 16 % 32,
                "pack": at // 4,
                "slot": at % 4,
            }
            for at, number in enumerate(order[begin : begin + 10_000].tolist(), start=begin)
        ]
        batches.append(pa.Table.from_pylist(rows, schema=schema.MIXED))
    tables.write_table(f"{root}/mixes/{JOB}/{DIGEST}/packs.parquet", pa.concat_tables(batches), {})
    return JobResult(JOB, "mix", "", DIGEST, "", "", True, facts={"samples": len(drawn), "files": files})
