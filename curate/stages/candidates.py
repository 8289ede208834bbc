"""Candidates of a mix from a job: of each shard what it kept, or what it derived from that."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from curate import schema
from curate.io import storage, tables
from curate.layout import Layout
from curate.stages.decide import kept_samples

_BATCH_ROWS = 2048


@dataclass(frozen=True, slots=True)
class Curated:
    """What a job made of a dataset: the digests of its verdicts and of its augmentation, and which recipe's children.

    Without a recipe it is the kept samples themselves.
    """

    layout: Layout
    decisions: str
    augmented: str
    recipe: str

    def shards(self) -> list[int]:
        """Return the shards that are committed, in order."""
        if self.recipe and not self.augmented:
            return []
        layout = self.layout
        folder = layout.augmented(self.augmented) if self.recipe else layout.decisions(self.decisions)
        stems = (name.removesuffix(".parquet") for name in storage.list_names(folder, ".parquet"))
        return sorted(int(stem) for stem in stems if stem.isdigit())

    def samples(self, shard: int) -> Iterator[pa.Table]:
        """Yield the candidates of a shard, some at a time, in an order that no worker can change."""
        table = self.table(shard).sort_by([("row", "ascending"), ("sample_id", "ascending")])
        for first in range(0, table.num_rows, _BATCH_ROWS):
            yield table.slice(first, _BATCH_ROWS)

    def table(self, shard: int) -> pa.Table:
        """Return the candidates of a shard, as rows of SAMPLES."""
        if not self.recipe:
            return kept_samples(self.layout, self.decisions, shard)
        children = self.children(shard)
        return children.filter(pc.equal(children["recipe"], self.recipe)).select(schema.SAMPLES.names)

    def children(self, shard: int) -> pa.Table:
        """Return what was derived from a shard by any recipe, as rows of CHILDREN."""
        if not self.augmented or not storage.exists(self.layout.augmented(self.augmented, shard)):
            return schema.CHILDREN.empty_table()
        table = tables.read_table(self.layout.augmented(self.augmented, shard))
        return table.filter(pc.equal(table["status"], "ok"))
