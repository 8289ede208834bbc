"""Static checks of a job: every mistake by its place in the file, before anything runs."""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from curate import plugins, recipes, schema
from curate.catalog import load_catalog
from curate.errors import ConfigError, nearest
from curate.export_job import Export
from curate.io.warehouse import Warehouse, parameters, read_sql
from curate.job import CurateJob, Job, job_path, read_job
from curate.mix_job import Component, MixJob, component_job, jobs_below
from curate.mixes import inventory, mix_checks
from curate.plugins import Project
from curate.yamlfile import Step, dotted, mistake

KINDS = {int: (int,), float: (int, float), str: (str,), bool: (bool,)}
"""Annotation of an option → Python types that a job may give for it."""

_USUAL = re.compile(r"^-- usual: (\w+) (\S+)$", re.MULTILINE)
"""A parameter's usual value, as a filter's file tells it."""

_NO_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
"""Comments and texts in SQL."""


def check(name: str, project: Project) -> list[ConfigError]:
    """Return every mistake in a job, in what it names, and in the jobs that it draws from; nothing is run."""
    return list(_check(name, project, (), set()))


def items(name: str, project: Project) -> list[inventory.Item]:
    """Return the files and folders that a sound job and the mixes below it need of the disk, and which are there."""
    mixes = [(path.stem, job) for path, job in in_order(name, project) if isinstance(job, MixJob)]
    return inventory.inventory(mixes)


def _check(name: str, project: Project, above: tuple[str, ...], seen: set[str]) -> Iterator[ConfigError]:
    """Yield the mistakes in a job not `seen` yet, and in those below it; `above` are the mixes that lead to it.

    That it is not there the mix above says, by its place.
    """
    try:
        path = job_path(name, project)
    except ConfigError as error:
        if not above:
            yield error
        return
    if path.stem in seen:
        return
    seen.add(path.stem)
    job, mistakes = read_job(path)
    yield from mistakes
    if isinstance(job, CurateJob):
        yield from _check_curation(path, job, project)
    elif isinstance(job, MixJob):
        yield from _check_mix(path, job, project, (*above, path.stem), seen)


def _check_curation(path: Path, job: CurateJob, project: Project) -> Iterator[ConfigError]:
    yield from _caught(path, ("from",), lambda: _check_catalog(job, project))
    for place, wanted in enumerate(job.score):
        yield from _check_scorer(path, ("score", place), wanted.name, wanted.options, project)
    measured = {wanted.name for wanted in job.score}
    if len(measured) < len(job.score):
        yield mistake(path, ("score",), "the same scorer is given twice")
    for name, given in job.keep.items():
        yield from _check_filter(path, name, given, measured, project)
    for place, chain in enumerate(job.augment):
        for name in chain:
            yield from _caught(path, ("augment", place), lambda name=name: plugins.load("augmenters", name, project))
    if job.children.pixels == "virtual":
        yield from _check_virtual(path, job, project)
    if len(set(job.augment)) < len(job.augment):
        yield mistake(path, ("augment",), "the same augmentation is given twice")
    yield from _check_export(path, job.export, project)


def _check_virtual(path: Path, job: CurateJob, project: Project) -> Iterator[ConfigError]:
    known = set(plugins.names("augmenters", project))
    for place, chain in enumerate(job.augment):
        for name in known.intersection(chain):
            module = plugins.load("augmenters", name, project)
            if not (hasattr(module, "redraw") and hasattr(module, "relabel")):
                what = f'augmenter "{name}" makes pixels that no affine describes: it has no redraw and relabel'
                yield mistake(path, ("augment", place), what, "children: {pixels: write}")


def _check_catalog(job: CurateJob, project: Project) -> None:
    plugins.load("sources", load_catalog(job.from_, project).source, project)


def _check_scorer(
    path: Path, steps: tuple[Step, ...], name: str, options: dict[str, Any], project: Project
) -> Iterator[ConfigError]:
    try:
        module = plugins.load("scorers", name, project)
    except ConfigError as error:
        yield mistake(path, steps, error.what, error.hint)
        return
    known = _options(module)
    for key, value in options.items():
        if key not in known:
            yield mistake(path, (*steps, name, key), f'scorer "{name}" has no option "{key}"', nearest(key, known))
        elif not isinstance(value, KINDS.get(known[key], (object,))) or (
            isinstance(value, bool) and known[key] in (int, float)
        ):
            yield mistake(path, (*steps, name, key), f"must be {known[key].__name__} (got {value!r})")


def _options(module: ModuleType) -> dict[str, type]:
    hints = inspect.get_annotations(module.Options, eval_str=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(module.Options)}


def _check_filter(
    path: Path, name: str, given: dict[str, Any], measured: set[str], project: Project
) -> Iterator[ConfigError]:
    steps: tuple[Step, ...] = ("keep", name)
    try:
        file = plugins.find("filters", name, project)
    except ConfigError as error:
        yield mistake(path, steps, error.what, error.hint)
        return
    try:
        sql = read_sql(file)
        wanted = parameters(sql)
    except ConfigError as error:
        yield ConfigError(error.what, file=error.file or str(file), where=f"read by {path}, {dotted(steps)}")
        return
    usual = dict(_USUAL.findall(sql))
    for key in sorted(wanted - given.keys()):
        yield mistake(
            path, steps, f'filter "{name}" needs the parameter "{key}"', f"add  {key}: {usual.get(key, '<value>')}"
        )
    for key in sorted(given.keys() - wanted):
        yield mistake(path, (*steps, key), f'filter "{name}" has no parameter "{key}"', nearest(key, wanted))
    words = set(re.findall(r"\w+", _NO_CODE.sub(" ", sql)))
    unscored = sorted(set(plugins.names("scorers", project)) & words - measured)
    for scorer in unscored:
        hint = f"add  score: [{scorer}]"
        yield mistake(path, steps, f'filter "{name}" reads the scores of "{scorer}", which the job does not run', hint)
    if wanted == given.keys() and not unscored:
        yield from _caught(path, steps, lambda: _bind(sql, given, measured, project))


def _bind(sql: str, given: dict[str, Any], measured: set[str], project: Project) -> None:
    """Run a filter over one row of each table: what fails there would fail on every shard.

    Raises:
        ConfigError: an unknown column, a parameter of the wrong type, or an answer without `sample_id, reason`.
    """
    row = {"sample_id": "0", "status": "ok", "shard": 0, "row": 0}
    samples = pa.Table.from_pylist([row], schema=schema.SAMPLES)
    warehouse = Warehouse(threads=1)
    warehouse.add("samples", samples, schema.SAMPLES)
    warehouse.add("corpus", samples, schema.SAMPLES)
    for name in measured & set(plugins.names("scorers", project)):
        scores = {column: [0.5] for column in plugins.load("scorers", name, project).COLUMNS}
        table = pa.table({"sample_id": ["0"], "scores": [name], **scores})
        warehouse.add(name, table, table.schema)
    found = warehouse.table(sql, given).column_names
    warehouse.close()
    if not {"sample_id", "reason"} <= set(found):
        raise ConfigError(f"the filter gives {', '.join(found)}, not sample_id and reason")


def _check_mix(
    path: Path, job: MixJob, project: Project, above: tuple[str, ...], seen: set[str]
) -> Iterator[ConfigError]:
    yield from mix_checks.check(path, job, _mixes(job, project))
    for name, component in job.mix.items():
        steps: tuple[Step, ...] = ("mix", name)
        if component.is_file():
            codec = component.codec or "plain"
            yield from _caught(path, (*steps, "codec"), lambda codec=codec: plugins.load("codecs", codec, project))
            continue
        reference = component_job(component.from_)
        if reference in above:
            circle = " > ".join((*above[above.index(reference) :], reference))
            yield mistake(path, (*steps, "from"), f'"{reference}" draws from itself: {circle}')
            continue
        yield from _check_component(path, (*steps, "from"), component, project)
        yield from _check(reference, project, above, seen)
    yield from _check_export(path, job.export, project)


def _mixes(job: MixJob, project: Project) -> list[str]:
    """Return the components that are mixes themselves."""
    jobs = {name: component_job(part.from_) for name, part in job.mix.items() if not part.is_file()}
    return [name for name, reference in jobs.items() if _is_mix(reference, project)]


def _is_mix(reference: str, project: Project) -> bool:
    try:
        return isinstance(read_job(job_path(reference, project))[0], MixJob)
    except ConfigError:
        return False


def _check_component(
    path: Path, steps: tuple[Step, ...], component: Component, project: Project
) -> Iterator[ConfigError]:
    reference, derived = component_job(component.from_), component.derived
    try:
        drawn_from, _ = read_job(job_path(reference, project))
    except ConfigError as error:
        hint = f"a recipe is the whole of a mix:  mix: {component.from_}" if _is_recipe(component.from_) else error.hint
        yield mistake(path, steps, error.what, hint)
        return
    if isinstance(drawn_from, CurateJob) and derived is not None:
        made = ["+".join(chain) for chain in drawn_from.augment]
        if derived not in made:
            where = (*steps[:-1], "derived")
            yield mistake(path, where, f'"{reference}" derives nothing named "{derived}"', nearest(derived, made))


def _is_recipe(reference: str) -> bool:
    try:
        return reference.endswith(".yaml") and bool(recipes.components(reference))
    except ValueError:
        return False


def _check_export(path: Path, export: Export | None, project: Project) -> Iterator[ConfigError]:
    if export is not None:
        yield from _caught(path, ("export", "as"), lambda: plugins.load("exporters", export.as_, project))
        codec = export.codec or "plain"
        yield from _caught(path, ("export", "codec"), lambda: plugins.load("codecs", codec, project))


def _caught(path: Path, steps: tuple[Step, ...], attempt: Any) -> Iterator[ConfigError]:
    """Yield what `attempt` complains of: at its own file where it names one, else at `steps` of this one."""
    try:
        attempt()
    except ConfigError as error:
        yield error if error.file else mistake(path, steps, error.what, error.hint)


def loaded(name: str, project: Project) -> tuple[Path, Job]:
    """Return a job that has been checked.

    Raises:
        ConfigError: the first mistake in it.
    """
    mistakes = check(name, project)
    if mistakes:
        raise mistakes[0]
    path = job_path(name, project)
    job, _ = read_job(path)
    assert job is not None  # check read it a moment ago
    return path, job


def in_order(name: str, project: Project) -> list[tuple[Path, Job]]:
    """Return the jobs that a job draws from, each once and after those that it draws from itself, and then the job.

    Raises:
        ConfigError: the first mistake in any of them.
    """
    found: dict[str, tuple[Path, Job]] = {}
    _put(*loaded(name, project), project, found)
    return list(found.values())


def _put(path: Path, job: Job | None, project: Project, found: dict[str, tuple[Path, Job]]) -> None:
    assert job is not None  # check read it a moment ago
    for name in jobs_below(job) if isinstance(job, MixJob) else ():
        below = job_path(name, project)
        if below.stem not in found:
            _put(below, read_job(below)[0], project, found)
    found[path.stem] = path, job
