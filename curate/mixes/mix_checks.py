"""Static checks of what a mix says of itself: quantities, budget, tokens, packs and steps; nothing else is read."""

import math
from collections.abc import Collection, Iterator
from pathlib import Path

from curate.errors import ConfigError, nearest
from curate.grounding.templates import TEMPLATES
from curate.kernels import balance
from curate.kernels.packing import PACKERS
from curate.kernels.placement import NAME
from curate.kernels.token_count import MODELS
from curate.mix_job import Component, MixJob
from curate.stages import lengths
from curate.yamlfile import Step, mistake


def check(path: Path, job: MixJob, mixes: Collection[str] = ()) -> Iterator[ConfigError]:
    """Yield the mistakes in a mix's own words, by their place in the file; `mixes` are its components that are some."""
    for name, component in job.mix.items():
        yield from _quantity(path, ("mix", name), component, job)
        yield from _kind(path, ("mix", name), component)
    for name in mixes:
        yield from _nested(path, ("mix", name), job.mix[name])
    yield from _merge(path, job)
    yield from _budget(path, job)
    yield from _tokens(path, job)
    yield from _packs(path, job, mixes)
    yield from _curves(path, job)


def _quantity(path: Path, steps: tuple[Step, ...], component: Component, job: MixJob) -> Iterator[ConfigError]:
    given = [name for name in ("epochs", "samples", "weight") if getattr(component, name) is not None]
    if len(given) > 1:
        yield mistake(path, steps, f"give {' or '.join(given)}, not both")
    if job.budget is None and "weight" in given:
        yield mistake(path, (*steps, "weight"), "a weight is a share of a budget", "add  budget: {tokens: <number>}")
    bounded = "samples" in given or (job.budget is not None and "epochs" not in given)
    if component.max_epochs is not None and not bounded:
        what = "max_epochs bounds samples, or a share of a budget, and this takes neither"
        yield mistake(path, (*steps, "max_epochs"), what)
    if component.family is not None and job.budget is None:
        yield mistake(path, (*steps, "family"), "a family bounds shares of a budget, and there is none")


def _kind(path: Path, steps: tuple[Step, ...], component: Component) -> Iterator[ConfigError]:
    if component.is_file() and component.derived is not None:
        yield mistake(path, (*steps, "derived"), "a file derives nothing: only jobs do")
    for name in () if component.is_file() else ("codec", "images"):
        if getattr(component, name) is not None:
            yield mistake(path, (*steps, name), f"{name} is of files of records; a job has its own")


def _nested(path: Path, steps: tuple[Step, ...], component: Component) -> Iterator[ConfigError]:
    if component.derived is not None:
        yield mistake(path, (*steps, "derived"), "a mix derives nothing: what it draws from does")
    if component.merge is not None:
        yield mistake(path, (*steps, "merge"), "what a mix drew stays as it is: merge in that mix")


def _merge(path: Path, job: MixJob) -> Iterator[ConfigError]:
    for name in [name for name, component in job.mix.items() if component.merge is not None]:
        if job.tokens.template == "plain":
            yield mistake(path, ("mix", name, "merge"), "the template plain holds one question and its answer")
        if job.gate is not None and job.gate.same_picture == "drop":
            what = "same_picture: drop leaves one sample of each picture: nothing is left to merge"
            yield mistake(path, ("mix", name, "merge"), what, "same_picture: keep")


def _budget(path: Path, job: MixJob) -> Iterator[ConfigError]:
    if job.budget is None:
        return
    families = {component.family for component in job.mix.values() if component.family is not None}
    for name in job.budget.families.keys() - families:
        what = f'no component is of the family "{name}"'
        yield mistake(path, ("budget", "families", name), what, nearest(name, families))
    if all(each.epochs is not None or each.samples is not None for each in job.mix.values()):
        yield mistake(path, ("budget",), "every component says how much it gives: nothing is left to share")
    weights = [each.weight for each in job.mix.values() if each.weight is not None]
    if not math.isfinite(sum(weights)):
        yield mistake(path, ("budget",), "the weights of the components have no sum")
    if len(weights) == len(job.mix) and not sum(weights):
        yield mistake(path, ("budget",), "the weights of the components come to nothing")


def _tokens(path: Path, job: MixJob) -> Iterator[ConfigError]:
    model, template = job.tokens.model, job.tokens.template
    if model not in MODELS:
        yield mistake(path, ("tokens", "model"), f'unknown token model "{model}"', nearest(model, MODELS))
    if template not in TEMPLATES:
        yield mistake(path, ("tokens", "template"), f'unknown template "{template}"', nearest(template, TEMPLATES))
    elif model in MODELS:
        try:
            lengths.token_model(job.tokens)
        except ConfigError as error:
            yield mistake(path, ("tokens", "tokenizer"), error.what, error.hint)


def _packs(path: Path, job: MixJob, mixes: Collection[str]) -> Iterator[ConfigError]:
    if job.pack.length < job.tokens.max:
        yield mistake(path, ("pack", "length"), f"a pack of {job.pack.length} cannot hold samples of {job.tokens.max}")
    if job.pack.by is None:
        return
    if NAME in job.pack.by:
        if job.pack.by != (NAME,):
            yield mistake(path, ("pack", "by"), f"{NAME} stands alone", f"by: [{NAME}]")
        yield from unplaceable(path, job, mixes)
        return
    for packer in job.pack.by:
        if packer not in PACKERS:
            yield mistake(path, ("pack", "by"), f'unknown packer "{packer}"', nearest(packer, (*PACKERS, NAME)))
    if (job.layout.curves or job.layout.apart) and job.pack.by != ("subset_sum",):
        what = "only subset_sum keeps the order that curves and apart give"
        yield mistake(path, ("pack", "by"), what, "by: [subset_sum]")
    if not job.pack.by:
        yield mistake(path, ("pack", "by"), "names no packer", "leave it out to try them all")


def unplaceable(path: Path, job: MixJob, mixes: Collection[str] = ()) -> Iterator[ConfigError]:
    """Yield what a mix asks for that needs all candidates in one place, which one that is placed does not have.

    `mixes` are the components that are mixes: the samples of their draws are looked up among all.
    """
    asked: dict[tuple[str, ...], bool] = {
        ("gate",): job.gate is not None,
        ("layout", "apart"): job.layout.apart > 0,
        ("layout", "curves"): bool(job.layout.curves),
        **{("mix", name, "per_picture"): part.per_picture is not None for name, part in job.mix.items()},
        **{("mix", name, "merge"): part.merge is not None for name, part in job.mix.items()},
    }
    for where in (where for where, is_asked in asked.items() if is_asked):
        what = f"{where[-1]} needs all candidates in one place: a mix that is placed slice by slice has none"
        yield mistake(path, where, what, "leave it out, and let the jobs filter what it would")
    for name in mixes:
        what = f"{name} is a mix, which a mix that is placed slice by slice cannot draw from"
        yield mistake(path, ("mix", name, "from"), what, "name the components of that mix here")


def _curves(path: Path, job: MixJob) -> Iterator[ConfigError]:
    for name, curve in job.layout.curves.items():
        if name not in job.mix:
            yield mistake(path, ("layout", "curves", name), f'no component "{name}"', nearest(name, job.mix))
        try:
            balance.checked(curve)
        except ValueError as error:
            yield mistake(path, ("layout", "curves", name), str(error), "[[0, 1], [1, 0]]")
