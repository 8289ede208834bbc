"""Where the bytes lie under a root: one method per kind of file, names alone, nothing is opened here."""

from dataclasses import dataclass

from curate.errors import ConfigError
from curate.sample import Sample
from curate.shards import shard_name


def sound_root(root: str) -> str:
    """Return a root without its last slash.

    Raises:
        ConfigError: it is empty, names no bucket, or has a sign that would be read as a pattern of file names.
    """
    place = root.split("://", 1)[-1].rstrip("/")
    if (not place and root != "/") or any(sign in place for sign in "*?["):
        raise ConfigError(f'"{root}" cannot be a root', hint="a folder, or s3://bucket/prefix, without * ? [")
    return root.rstrip("/")


@dataclass(frozen=True, slots=True)
class Layout:
    """The folder of one dataset under a root; all paths are URIs."""

    root: str
    dataset: str

    @property
    def folder(self) -> str:
        """The dataset's own folder."""
        return f"{self.root.rstrip('/')}/{self.dataset}"

    @property
    def plan(self) -> str:
        """Written first: the ordered shards and what they were made from."""
        return f"{self.folder}/plan.json"

    @property
    def manifest(self) -> str:
        """Written last: the books of the whole dataset."""
        return f"{self.folder}/manifest.json"

    def samples(self, shard: int | None = None) -> str:
        """The samples table of a shard, or the folder of all."""
        return self._file("samples", shard, "parquet")

    def images(self, shard: int) -> str:
        """The pictures of a shard, committed before its samples."""
        return self._file("images", shard, "tar")

    def scores(self, scores: str, shard: int | None = None) -> str:
        """What one version of one scorer measured; `scores` is its folder's name."""
        return self._file(f"scores/{scores}", shard, "parquet")

    def decisions(self, digest: str, shard: int | None = None) -> str:
        """The verdicts of one set of filters."""
        return self._file(f"decisions/{digest}", shard, "parquet")

    def augmented(self, digest: str, shard: int | None = None) -> str:
        """The derived samples of one set of augmentations, committed after their pictures."""
        return self._file(f"augmented/{digest}", shard, "parquet")

    def augmented_images(self, digest: str, shard: int) -> str:
        """The pictures of derived samples."""
        return self._file(f"augmented/{digest}", shard, "tar")

    def holder(self, sample: Sample, augmented: str | None) -> str:
        """The tar that holds a sample's picture: a virtual child's is its parent's.

        `augmented` is the digest of the augmentation that made the sample, empty or None for an original.
        """
        if augmented and not sample.is_virtual():
            return self.augmented_images(augmented, sample.shard)
        return self.images(sample.shard)

    def _file(self, folder: str, shard: int | None, suffix: str) -> str:
        place = f"{self.folder}/{folder}"
        return place if shard is None else f"{place}/{shard_name(shard)}.{suffix}"


def job_folder(root: str, job: str) -> str:
    """Manifests of a job that curates a dataset, one per digest."""
    return f"{root.rstrip('/')}/jobs/{job}"


def mix_folder(root: str, job: str) -> str:
    """Packs, manifest and exports of a mix, one folder per digest."""
    return f"{root.rstrip('/')}/mixes/{job}"


PACKS = ("packs.parquet", "packs/*.parquet")
"""The rows of a mix below its folder: one file, or one for each slice where it was placed slice by slice."""


def placed_file(folder: str, number: int) -> str:
    """The rows of one slice of a mix that was placed slice by slice."""
    return f"{folder}/packs/{shard_name(number)}.parquet"


def lengths_folder(root: str, job: str, key: str) -> str:
    """The lengths of one job's samples under one token model and written form, a file for each shard."""
    return f"{root.rstrip('/')}/lengths/{job}/{key}"


def merged_file(root: str, job: str, key: str) -> str:
    """The conversations that one job's samples are merged to, and how long they are."""
    return f"{root.rstrip('/')}/lengths/{job}/{key}.merged"


def facts_folder(root: str, job: str, key: str) -> str:
    """What a gate knows of one job's samples: their pictures and their words, a file for each of lengths."""
    return f"{root.rstrip('/')}/gates/facts/{job}/{key}"


def looks_folder(root: str, name: str, key: str) -> str:
    """What the pictures of one file of others are known by, some pictures a file."""
    return f"{root.rstrip('/')}/gates/looks/{name}/{key}"


def runs_folder(root: str) -> str:
    """Records of the runs."""
    return f"{root.rstrip('/')}/runs"
