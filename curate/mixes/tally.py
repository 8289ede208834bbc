"""What the manifest of a mix tells of its components: what was wanted, what was drawn, what was left out and why."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import ShardError
from curate.quotas import Budget, Wish, quotas
from curate.stages import mix


def check_some(candidates: Mapping[mix.Part, pa.Table]) -> None:
    """Raise ShardError for a component all of whose candidates are left out, with the reasons why."""
    for part, table in candidates.items():
        if table.num_rows and not table["reason"].null_count:
            told = sorted(Counter(table["reason"].to_pylist()).items())
            why = ", ".join(f"{reason} {count:,}" for reason, count in told)
            raise ShardError(f"{part.name} has no samples, all are left out: {why}")


def dropped(packed: pa.Table) -> dict[str, int]:
    """Return reason → candidates left out, of rows of MIXED."""
    told = packed["reason"].drop_null().value_counts().to_pylist()
    return {each["values"]: each["counts"] for each in sorted(told, key=lambda each: str(each["values"]))}


def wanted(candidates: Mapping[mix.Part, pa.Table], budget: Budget | None) -> dict[str, int]:
    """Return component → the draws that the recipe asks for, as if no candidate were left out and no bound held.

    Of candidates that are left out as many would have become one conversation as of the others.
    """
    wishes = []
    for part, table in candidates.items():
        usable = table.select(["n_text_tok", "n_img_tok"]).filter(pc.is_null(table["reason"]))
        left_out = (table.num_rows - usable.num_rows) * usable.num_rows / max(mix.sample_rows(table), 1)
        tokens = pc.sum(pc.add(usable["n_text_tok"], usable["n_img_tok"])).as_py() or 0
        counted = budget is None or part.epochs is not None or part.samples is not None
        size = usable.num_rows + round(left_out) if counted else usable.num_rows
        tokens = round(tokens / max(usable.num_rows, 1) * size)
        wishes.append(Wish(part.name, size, tokens, part.epochs, part.samples, part.weight))
    try:
        return quotas(wishes, budget and replace(budget, families=None))
    except ValueError:  # all candidates together would outgrow the budget
        return {}


def drawn(
    sums: pa.Table, wanted: Mapping[str, int], merged: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """Return component → samples wanted (where that is known) and drawn, their tokens, candidates left out, and where
    it merges the candidates merged and the conversations that they became.
    """
    told = {row.pop("component"): row for row in sums.to_pylist()}
    return {
        name: {**({"wanted": wanted[name]} if name in wanted else {}), **row, **merged[name]}
        for name, row in told.items()
    }
