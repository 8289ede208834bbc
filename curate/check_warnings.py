"""What is no mistake in a job, and yet would go wrong: variables that are not set, files read in another form."""

from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Any

from curate import plugins
from curate.catalog import expand, load_catalog
from curate.errors import ConfigError, OutsideError, SampleError
from curate.export_job import Export
from curate.grounding import dialects
from curate.io import json_stream
from curate.job import CurateJob, Job, job_path, read_job
from curate.mix_job import Component, MixJob, jobs_below
from curate.plugins import Project
from curate.stages.export import codec_of
from curate.yamlfile import mistake

LOOKED_AT = 300
"""Records of a file that are looked at to tell its form, those that begin in its first LOOKED_BYTES."""
LOOKED_BYTES = 1 << 22
ENOUGH = 3
"""So many records must be in a form for it to be told, or all of fewer."""
SURE = 0.95
"""Share of the records with boxes that must be in it."""

_SIDE = 1000  # pixels of a picture whose size is not asked for; a square, which has no padding


def warnings(name: str, project: Project) -> list[ConfigError]:
    """Return what a run here and now would stumble over, or get wrong without a word; mistakes are left out.

    That is variables that are not set, and files of mixes whose records are surely in another written form than the
    one that they would be read in. A file that cannot be read is not judged.
    """
    jobs = dict(_jobs(name, project, set()))
    sources = sorted({job.from_ for job in jobs.values() if isinstance(job, CurateJob)})
    found = [error for source in sources for error in _unset(source, project)]
    mixes = ((path, job) for path, job in jobs.items() if isinstance(job, MixJob))
    return found + [error for path, job in mixes for error in _misread(path, job, project)]


def _jobs(name: str, project: Project, seen: set[str]) -> Iterator[tuple[Path, Job]]:
    """Yield a job and those that it draws from, each once; faulty ones are left out."""
    try:
        path = job_path(name, project)
    except ConfigError:
        return
    if path.stem in seen:
        return
    seen.add(path.stem)
    job, _ = read_job(path)
    if job is not None:
        yield path, job
        for below in jobs_below(job) if isinstance(job, MixJob) else ():
            yield from _jobs(below, project, seen)


def _unset(source: str, project: Project) -> Iterator[ConfigError]:
    try:
        catalog = load_catalog(source, project)
    except ConfigError:
        return
    for uri in catalog.uri:
        try:
            expand(uri, f"catalogs/{source}.yaml")
        except ConfigError as error:
            yield error


def _misread(path: Path, job: MixJob, project: Project) -> Iterator[ConfigError]:
    """Yield a warning for each file of a mix that is surely in another form than the one that it is read in."""
    try:
        usual = codec_of(job.export or Export.model_validate({"as": "llava_json"}), project)
    except ConfigError:
        return
    for name, component in job.mix.items():
        if component.is_file() and component.codec != "plain":
            form = component.codec or usual
            found = _forms(component, form, f"jobs/{path.stem}.yaml", project)
            if found and form not in found:
                what = f"its records look like {found[0]}, and are read as {form}"
                yield mistake(path, ("mix", name), what, f"codec: {' or '.join(found)}")


def _forms(component: Component, form: str, file: str, project: Project) -> tuple[str, ...]:
    """Return the forms that a file's first records may be in, the likeliest first; none where that is not sure."""
    if form not in (*dialects.DIALECTS, *dialects.TOKENS, "plain"):
        return ()  # one's own: nobody knows what it looks like
    votes, grounded, seen = list[str | None](), list[str](), 0
    try:
        uri = expand(component.from_, file)
        for found in takewhile(lambda found: found.offset < LOOKED_BYTES, json_stream.records(uri)):
            texts = _texts(found.record)
            seen += bool(texts)
            told = {text: one for text in texts if (one := dialects.written_in(text))}
            if told:
                grounded += told
                first = next(iter(told.values()))
                votes.append(first if {*told.values()} == {first} and _holds(first, told, project) else None)
            if found.index + 1 >= LOOKED_AT:
                break
    except (ConfigError, OutsideError, OSError):
        return ()
    best = max({*votes} - {None}, key=votes.count, default=None)
    count = votes.count(best)
    if best is None or count < min(ENOUGH, seen) or count < SURE * len(votes):
        return ()
    return dialects.alike(best, grounded)


def _holds(form: str, texts: Iterable[str], project: Project) -> bool:
    """Tell whether a form's codec reads all of some texts, and boxes in one of them."""
    if form not in plugins.names("codecs", project):
        return False
    codec: ModuleType = plugins.load("codecs", form, project)
    try:
        return any([bool(codec.decode(text.replace("<image>", ""), _SIDE, _SIDE).regions) for text in texts])
    except SampleError:
        return False


def _texts(record: Any) -> list[str]:
    """Return what the turns of a LLaVA-style record say."""
    turns = record.get("conversations") if isinstance(record, dict) else None
    values = [turn.get("value") for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    return [value for value in values if isinstance(value, str)]
