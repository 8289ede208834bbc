"""The components of a mix: the jobs, mixes and files that they are drawn from, by content, and where those lie."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from curate.catalog import expand
from curate.export_job import Export
from curate.grounding.resolve import Policy
from curate.io import folders, storage
from curate.kernels.token_count import MODELS
from curate.layout import Layout
from curate.mix_job import Component, MixJob, component_job, jobs_below
from curate.plugins import Project
from curate.results import JobResult
from curate.stages import foreign, mix
from curate.stages.candidates import Curated
from curate.stages.export import codec_of


@dataclass(frozen=True)
class Components:
    """What the mix `name` names, and the results of all jobs that ran before it."""

    name: str
    job: MixJob
    project: Project
    root: str
    parents: tuple[JobResult, ...]

    @cached_property
    def parts(self) -> tuple[mix.Part, ...]:
        """All of them, as they will be drawn."""
        return tuple(_part(name, component) for name, component in self.job.mix.items())

    @cached_property
    def jobs(self) -> list[JobResult]:
        """The jobs and mixes that they name: those below these are in their digests."""
        return [parent for parent in self.parents if parent.job in jobs_below(self.job)]

    @cached_property
    def mixes(self) -> dict[mix.Part, JobResult]:
        """Component → what it draws from, where that is a mix."""
        made = {parent.job: parent for parent in self.jobs if parent.kind == "mix"}
        return {part: made[part.job] for part in self.parts if part.name not in self.files and part.job in made}

    @cached_property
    def files(self) -> dict[str, foreign.File]:
        """Component → its file, where it is one."""
        root = self.job.pictures.root if self.job.pictures else None
        return {
            name: foreign.File(
                name,
                self._expanded(part.from_, f"mix.{name}.from"),
                part.codec or self.written[0],
                self._expanded(part.images or root, f"mix.{name}.images"),
            )
            for name, part in self.job.mix.items()
            if part.is_file()
        }

    @cached_property
    def all_files(self) -> dict[str, foreign.File]:
        """Component → its file, and those of mixes below, see `below`."""
        return self.files | {name: foreign.File(**said) for name, said in self.below("files").items()}

    @cached_property
    def pictures(self) -> dict[str, str]:
        """Folder of a file's pictures → how many there are, where they are looked at."""
        gate = self.job.gate
        seen = MODELS[self.job.tokens.model].sized or (gate is not None and gate.reads_pictures())
        asked = {file.images for file in self.all_files.values() if seen or file.codec != self.written[0]}
        return {images: str(folders.count_pictures(images) or 0) for images in asked - {""}}

    @cached_property
    def written(self) -> tuple[str, Policy | None]:
        """The codec in which lengths are measured, and which of overlapping phrases it writes."""
        export = self.job.export or Export.model_validate({"as": "llava_json"})
        return codec_of(export, self.project), export.phrases

    @cached_property
    def digests(self) -> dict[str, str]:
        """Name → digest of the jobs and of the files that are drawn from; a file may be called as a job is.

        Pictures of files count where it depends on them which records can be drawn.
        """
        jobs = {made.job: made.digest for made in self.jobs}
        files = {f"file {name}": foreign.digest(file.uri) for name, file in self.files.items()}
        pictures = {
            f"pictures of {name}": f"{self.pictures[file.images]} in {storage.absolute(file.images)}"
            for name, file in self.all_files.items()
            if file.images in self.pictures
        }
        return jobs | files | pictures

    @cached_property
    def sha256(self) -> dict[str, str]:
        """Component → the digest of its file, as in `all_files`."""
        return {name: self.digests[f"file {name}"] for name in self.files} | self.below("sha256")

    def source(self, part: mix.Part) -> tuple[str, foreign.File | Curated]:
        """Return the digest of what a component is drawn from, and where that lies; it is no mix."""
        if file := self.files.get(part.name):
            return self.digests[f"file {part.name}"], file
        (made,) = (parent for parent in self.parents if parent.job == part.job)
        layout = Layout(self.root, made.dataset)
        return made.digest, Curated(layout, made.decisions, made.augmented, part.recipe)

    def below(self, fact: str) -> dict[str, Any]:
        """Return what the mixes below say of each of their files, by component and file: `outer/inner`."""
        made = {part.name: made.facts[fact].items() for part, made in self.mixes.items()}
        return {f"{name}/{file}": said for name, files in made.items() for file, said in files}

    def _expanded(self, text: str | None, where: str) -> str:
        return expand(text or "", f"jobs/{self.name}.yaml", where)


def _part(name: str, component: Component) -> mix.Part:
    said = component.model_dump(exclude={"from_", "derived", "codec", "images"})
    job = component.from_ if component.is_file() else component_job(component.from_)
    return mix.Part(name, job, component.derived or "", **said)
