"""The gate of a mix: pictures of benchmarks stay out of training, and what two components have in common comes once."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import ConfigError, nearest
from curate.io.warehouse import Warehouse
from curate.kernels import near
from curate.plugins import Project
from curate.stages import twins
from curate.stages.eval_lists import EVALS, EvalList
from curate.stages.facts import FACTS, JOINS, gate_sql, joins_table

VERSION = 2
"""Changes with what FACTS hold."""

By = Literal["picture_id", "url", "sha256", "phash"]
BY: tuple[By, ...] = get_args(By)

NEAR, MIRROR = 4, 8
"""Bits of 64. Of 302 real photographs a copy at half the size or at quality 75 lay within 4 for 300, its mirror image
(see `near.mirrored`) within 8 for 297; of all 45,451 pairs of different ones none was nearer than 14."""

HITS = pa.schema([("place", pa.int64()), ("benchmark", pa.string()), ("by", pa.string())])
REPORT = pa.schema(
    [
        ("component", pa.string()),
        ("reason", pa.string()),
        ("against", pa.string()),
        ("by", pa.string()),
        ("samples", pa.int64()),
    ]
)
"""How many samples of a component left for a reason, against which benchmark or component. A contaminated sample is
counted once for each benchmark and way that found it, and once for each benchmark as `any`."""

Flags = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
_EVALS = EVALS.append(pa.field("benchmark", pa.string()))


@dataclass(frozen=True, slots=True)
class Rules:
    """What the gate does: the ways in which a benchmark's picture is known, distances in bits, what duplicates are.

    `near` is of pictures as they are, `mirror` of mirrored ones; None compares none. Of duplicates the first in
    the order of components stays; `near_duplicates` have equal words over pictures within `near`. `same_picture`
    "drop" keeps one sample for each picture.
    """

    by: tuple[By, ...] = BY
    near: int | None = NEAR
    mirror: int | None = MIRROR
    duplicates: bool = True
    near_duplicates: bool = True
    same_picture: Literal["keep", "drop"] = "keep"

    def check(self) -> None:
        """Raise ConfigError for a way or a distance that there is not."""
        for way in self.by:
            if way not in BY:
                raise ConfigError(f'no way "{way}" to know a picture by', hint=nearest(way, BY))
        for bits in (self.near, self.mirror):
            if bits is not None and not 0 <= bits <= near.MAX_DISTANCE:
                raise ConfigError(f"a distance of {bits} bits", hint=f"between 0 and {near.MAX_DISTANCE} of 64")


@dataclass(frozen=True, slots=True)
class Gated:
    """What became of the candidates: reasons by component, each as long as its facts, null for what may be drawn.

    Reasons: `contaminated`, `duplicate`, `near_duplicate`, `same_picture`. `report` has schema REPORT; `known` tells,
    by component, how many candidates can be known in each way at all.
    """

    reasons: Mapping[str, pa.Array]
    report: pa.Table
    known: Mapping[str, Mapping[str, int]]


def gated(
    facts: Mapping[str, pa.Table],
    lists: Sequence[EvalList],
    rules: Rules,
    project: Project,
    joins: Mapping[str, str] | None = None,
    gone: Mapping[str, Flags] | None = None,
) -> Gated:
    """Return what may be drawn of each component; `facts` are of `facts.facts_of`, in the order of the job.

    `gone` marks candidates that cannot be drawn anyway: they are not judged, and nothing is dropped for being like
    them. `joins` says which numbers mean one picture (`image_data.id_joins`).

    Raises:
        ConfigError: wrong rules, two lists of one name, or a query of the user's own that is wrong.
    """
    rules.check()
    names = [each.name for each in lists]
    if len(set(names)) < len(names):
        raise ConfigError(f"two lists are named {max(names, key=names.count)}", hint="name them apart")
    table = together(facts)
    component = np.repeat(np.arange(len(facts)), [part.num_rows for part in facts.values()])
    out = np.concatenate([np.zeros(0, np.bool_), *(_gone(name, part, gone or {}) for name, part in facts.items())])
    reasons = np.full(table.num_rows, None, object)
    counted: Counter[tuple[int, str, str, str]] = Counter()

    hits = contaminated(table, lists, project, rules, joins)
    hits = hits.filter(pa.array(~out[hits["place"].to_numpy()], pa.bool_()))
    reasons[hits["place"].to_numpy()] = "contaminated"
    counted.update(_ways(hits, component))
    out[hits["place"].to_numpy()] = True
    for reason, find in _twins(table, rules, project, joins or {}).items():
        places, firsts = find(out)
        reasons[places], out[places] = reason, True
        for place, first in zip(component[places].tolist(), component[firsts].tolist(), strict=True):
            counted[place, reason, list(facts)[first], ""] += 1
    ends = np.cumsum([0, *(part.num_rows for part in facts.values())])
    parted = {
        name: pa.array(reasons[start:end], pa.string())
        for name, start, end in zip(facts, ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    }
    return Gated(parted, _report(list(facts), counted), {name: known(part) for name, part in facts.items()})


def contaminated(
    facts: pa.Table,
    lists: Sequence[EvalList],
    project: Project,
    rules: Rules,
    joins: Mapping[str, str] | None = None,
) -> pa.Table:
    """Return HITS: each row of FACTS that shows a picture of a list, once for each list and way that tells so.

    Ways are those of BY and `mirrored`: the hash of a mirrored copy. A derived sample shows what its parent shows.

    Raises:
        ConfigError: wrong rules, or a query of the user's own that is wrong.
    """
    rules.check()
    evals = [each.table.append_column("benchmark", pa.array([each.name] * each.table.num_rows)) for each in lists]
    warehouse = Warehouse()
    warehouse.add("facts", facts, FACTS)
    warehouse.add("joins", joins_table(joins or {}), JOINS)
    warehouse.add("evals", pa.concat_tables([_EVALS.empty_table(), *evals]), _EVALS)
    found = warehouse.table(gate_sql("contaminated", project), {"by": [way for way in rules.by if way != "phash"]})
    warehouse.close()
    parts = [found.select(HITS.names).cast(HITS)]
    if "phash" in rules.by:
        parts += _near_hits(facts, lists, rules)
    return pa.concat_tables(parts)


def _near_hits(facts: pa.Table, lists: Sequence[EvalList], rules: Rules) -> Iterator[pa.Table]:
    rows, hashes = twins.flat_hashes(facts)
    for each in lists:
        theirs = twins.sound_hashes(each.table["phash"])[1]
        for way, others, bits in (("phash", theirs, rules.near), ("mirrored", near.mirrored(theirs), rules.mirror)):
            if bits is not None:
                hit = np.unique(rows[near.reached(hashes, others, bits)])
                columns = [facts["place"].take(pa.array(hit)), [each.name] * len(hit), [way] * len(hit)]
                yield pa.table(dict(zip(HITS.names, columns, strict=True)), schema=HITS)


def together(facts: Mapping[str, pa.Table]) -> pa.Table:
    """Return the FACTS of all components one behind the other, `place` counted through."""
    table = pa.concat_tables([FACTS.empty_table(), *facts.values()])
    return table.set_column(0, "place", pa.array(np.arange(table.num_rows)))


def known(facts: pa.Table) -> dict[str, int]:
    """Return how many rows of FACTS can be known in each way: where none can, a way finds nothing."""
    columns = {"picture_id": "ids", "url": "urls", "sha256": "origins", "phash": "hashes"}
    lists = {way: facts[name].combine_chunks() for way, name in columns.items()}
    told = {way: pc.list_parent_indices(each).filter(pc.is_valid(pc.list_flatten(each))) for way, each in lists.items()}
    return {way: len(rows.unique()) for way, rows in told.items()}


Find = Callable[[Flags], tuple[Places, Places]]


def _twins(table: pa.Table, rules: Rules, project: Project, joins: Mapping[str, str]) -> dict[str, Find]:
    """Return reason → what finds it, in order of precedence."""
    ways: dict[str, Find] = {}
    if rules.duplicates:
        ways["duplicate"] = lambda out: twins.duplicates(table, out, project)
    if rules.near_duplicates and rules.near is not None:
        bits = rules.near
        ways["near_duplicate"] = lambda out: twins.near_duplicates(table, out, bits)
    if rules.same_picture == "drop":
        ways["same_picture"] = lambda out: twins.same_pictures(table, out, joins, project)
    return ways


def _gone(name: str, facts: pa.Table, gone: Mapping[str, Flags]) -> Flags:
    """Return the marks of a component's candidates that cannot be drawn anyway."""
    return gone.get(name, np.zeros(facts.num_rows, np.bool_))


def _ways(hits: pa.Table, component: Places) -> Counter[tuple[int, str, str, str]]:
    """Count (component, `contaminated`, benchmark, way), and each sample once for each benchmark as `any`."""
    counted: Counter[tuple[int, str, str, str]] = Counter()
    once: set[tuple[int, str]] = set()
    for place, benchmark, way in zip(*(hits[name].to_pylist() for name in HITS.names), strict=True):
        number = int(component[place])
        counted[number, "contaminated", benchmark, way] += 1
        if (place, benchmark) not in once:
            once.add((place, benchmark))
            counted[number, "contaminated", benchmark, "any"] += 1
    return counted


def _report(names: Sequence[str], counted: Counter[tuple[int, str, str, str]]) -> pa.Table:
    rows = [(names[number], *rest, count) for (number, *rest), count in sorted(counted.items())]
    return pa.Table.from_pylist([dict(zip(REPORT.names, row, strict=True)) for row in rows], schema=REPORT)
