"""Plans of mixes that stand under a root: what another pack length would give, and how two plans differ."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curate.errors import ConfigError, nearest
from curate.io import storage
from curate.io.records import MANIFEST, read_json
from curate.io.warehouse import read_sql
from curate.kernels import packing
from curate.layout import mix_folder
from curate.plugins import Project, sql_report
from curate.telling import table
from curate.views import open_root, runs_table

_WORTH_IT = 0.995
LENGTHS = (1024, 2048, 4096, 8192, 16384, 32768)


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan: its mix, its digest, and what its manifest says."""

    mix: str
    digest: str
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PackLength:
    """What packs of `tokens` would give at best: packs, the share of them that is filled, draws that do not fit.

    `slots` is the tokens of all packs as a share of what the plan has now: the time that a run would take of it.
    """

    tokens: int
    packs: int
    ceiling: float
    left_out: int
    slots: float


def find(name: str, root: str) -> Plan:
    """Return the plan of a mix's last run, or the one that `MIX@DIGEST` names by the digest's beginning.

    Raises:
        ConfigError: there is none, or more than one.
    """
    mix, _, begin = name.removeprefix("jobs/").partition("@")
    mix = mix.removesuffix(".yaml")
    last = {row["job"]: row["digest"] for row in runs_table(root).to_pylist() if row["latest"] and row["kind"] == "mix"}
    if begin:
        manifests = storage.glob(f"{mix_folder(root, mix)}/*/manifest.json")
        found = [each for uri in manifests if (each := uri.split("/")[-2]).startswith(begin)]
        if len(found) != 1:
            raise ConfigError(f'{len(found)} plans of "{mix}" begin with {begin} under {root}')
        digest = found[0]
    elif mix in last:
        digest = last[mix]
    else:
        raise ConfigError(f'no mix "{mix}" was run under {root}', hint=nearest(mix, last) or f"curate run {mix}")
    return Plan(mix, digest, read_json(f"{mix_folder(root, mix)}/{digest}/manifest.json", MANIFEST))


def advise(plan: Plan, root: str, project: Project, lengths: Sequence[int] = LENGTHS) -> list[PackLength]:
    """Return what each pack length would give for the draws of a plan.

    Raises:
        ConfigError: a length below 1.
    """
    if min(lengths, default=1) < 1:
        raise ConfigError("a pack holds one token at least", where="--length")
    rows = _rows("mix_lengths", {"mix": plan.mix, "digest": plan.digest}, root, project)
    longest = plan.manifest["facts"]["tokens_model"]["max_tokens"]
    rows = [row for row in rows if row["tokens"] <= longest]  # what is longer is in no pack of any length
    tokens = np.repeat([row["tokens"] for row in rows], [row["draws"] for row in rows]).astype(np.int64)
    now = plan.manifest["facts"]["packs"] * plan.manifest["facts"]["pack_tokens"]
    return [
        PackLength(each.tokens, each.packs, each.ceiling, each.left_out, each.packs * each.tokens / max(now, 1))
        for each in packing.advise(tokens, lengths)
    ]


def differ(mine: Plan, other: Plan, root: str, project: Project) -> list[dict[str, Any]]:
    """Return, component by component, what two plans draw: see sql/reports/mix_diff.sql."""
    asked = {"mix": mine.mix, "digest": mine.digest, "other_mix": other.mix, "other_digest": other.digest}
    return _rows("mix_diff", asked, root, project)


def advice_text(plan: Plan, found: Sequence[PackLength]) -> str:
    """Return the advice as a table, and what to do."""
    facts = plan.manifest["facts"]
    header = ("pack length", "packs", "full at best", "too long", "tokens to run")
    rows = [(each.tokens, each.packs, f"{each.ceiling:.2%}", each.left_out, f"{each.slots - 1:+.1%}") for each in found]
    lines = [
        f"mix {plan.mix} {plan.digest}: {facts['packs']:,} packs of {facts['pack_tokens']:,}, {facts['fill']:.2%} full",
        table(header, rows),
    ]
    best = min((each for each in found if not each.left_out), key=lambda each: each.slots, default=None)
    if best is not None and best.slots < _WORTH_IT:
        lines.append(f"packs of {best.tokens:,} would save {1 - best.slots:.0%} of the tokens that a run goes through")
    return "\n".join(lines)


def difference_text(mine: Plan, other: Plan, rows: Sequence[dict[str, Any]]) -> str:
    """Return the difference as a table, and what else the manifests disagree in."""
    header = ("component", "draws a", "draws b", "tokens a", "tokens b", "only a", "only b", "both")
    here, there = _told(mine), _told(other)
    changed = [key for key in sorted(here.keys() | there.keys()) if here.get(key) != there.get(key)]
    return "\n".join(
        [
            f"a: {mine.mix} {mine.digest}",
            f"b: {other.mix} {other.digest}",
            table(header, [tuple(row.values()) for row in rows]),
            *(f"{key}: {here.get(key)} -> {there.get(key)}" for key in changed),
        ]
    )


def as_json(plan: Plan, found: Sequence[PackLength]) -> dict[str, Any]:
    """Return the advice as `curate mix advise --json` prints it."""
    return {"schema": "curate.advice/1", "mix": plan.mix, "digest": plan.digest, "lengths": [asdict(e) for e in found]}


def _told(plan: Plan) -> dict[str, Any]:
    facts = plan.manifest["facts"]
    plain = {key: facts.get(key) for key in ("samples", "tokens", "packs", "pack_tokens", "packer", "steps", "ranks")}
    made_of = {f"from {name}": digest[:16] for name, digest in plan.manifest["parents"].items()}
    return {**plain, **{f"tokens.{key}": value for key, value in facts["tokens_model"].items()}, **made_of}


def _rows(report: str, asked: dict[str, Any], root: str, project: Project) -> list[dict[str, Any]]:
    warehouse = open_root(root, project)
    rows: list[dict[str, Any]] = warehouse.table(read_sql(sql_report(report, project)), asked).to_pylist()
    warehouse.close()
    return rows
