"""Files of mixes that are gone, or that were copied from elsewhere: looked at only, by what they and manifests say."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import pyarrow as pa

from curate.errors import OutsideError, ShardError
from curate.io import storage, tables
from curate.io.records import read_json
from curate.layout import lengths_folder, mix_folder
from curate.stages import lengths

LENGTHS = f"{lengths_folder('', '*', '*')}/*.parquet"
STEPS = f"{mix_folder('', '*')}/*/steps.parquet"
MANIFESTS = f"{mix_folder('', '*')}/*/manifest.json"
"""Where they lie below a root."""

Labels = tuple[tuple[str, ...], ...]
"""What the rows of a table say that they are of, each once."""

_ROWS = re.compile(r"packs(/\d{5,})?")
"""Names under which a manifest tells the rows of a mix."""


def shards(folder: str) -> Mapping[str, object] | None:
    """Return the files of rows that the manifest of a mix names, with their digests; None without a sound manifest."""
    try:
        named = read_json(f"{folder}/manifest.json").get("shards")
    except (OutsideError, FileNotFoundError):
        return None
    return {name: named[name] for name in named if _ROWS.fullmatch(name)} if isinstance(named, dict) else None


def gone(base: str) -> Iterator[str]:
    """Yield every file that the manifest of a mix below a root names and that is not there."""
    for manifest in storage.glob(f"{base}{MANIFESTS}"):
        folder = manifest.rpartition("/")[0]
        if (named := shards(folder)) is not None:
            files = (f"{folder}/{name}.parquet" for name in ("steps", *named))
            yield from (uri for uri in files if not storage.exists(uri))


def strangers(base: str) -> Iterator[tuple[str, str]]:
    """Yield (file, what is wrong) of lengths and steps below a root whose rows say that they are of something else.

    What tells nothing, or cannot be read, is passed over. Lengths of one folder are all measured alike: those unlike
    most are not its own, and where none are most, none is.
    """
    yield from _unlike(storage.glob(f"{base}{LENGTHS}"), lengths.LABELS, _job_folder)
    yield from _unlike(storage.glob(f"{base}{STEPS}"), ("mix", "digest"), _plan_folder)


def _unlike(
    uris: Sequence[str], columns: Sequence[str], is_of: Callable[[str, tuple[str, ...]], bool]
) -> Iterator[tuple[str, str]]:
    for folder, files in groupby(sorted(uris), lambda uri: uri.rpartition("/")[0]):
        said = {uri: labels for uri in files if (labels := _labels(uri, columns))}
        own = Counter(labels for labels in said.values() if len(labels) == 1 and is_of(folder, labels[0]))
        most = [labels for labels in own if own[labels] == max(own.values())]
        for uri, labels in said.items():
            if [labels] != most:
                seen = ", ".join(f"{name} {value!r:.80}" for name, value in zip(columns, labels[0], strict=True))
                yield uri, f"copied from elsewhere, or beside what was: {seen}"


def _labels(uri: str, columns: Sequence[str]) -> Labels:
    try:
        if not set(columns) <= set(tables.column_names(uri)):
            return ()
        rows = tables.read_table(uri, columns).unify_dictionaries().group_by(list(columns)).aggregate([]).to_pylist()
    except (ShardError, FileNotFoundError, pa.ArrowException):
        return ()
    return tuple(sorted(tuple(str(row[name]) for name in columns) for row in rows))


def _job_folder(folder: str, label: tuple[str, ...]) -> bool:
    return folder.split("/")[-2] == label[0]


def _plan_folder(folder: str, label: tuple[str, ...]) -> bool:
    return tuple(folder.split("/")[-2:]) == label
