"""Recipes of other trainers read as they are: LLaVA-NeXT's YAML of files, InternVL's JSON of annotations.

LLaVA-NeXT (LLaVA-VL/LLaVA-NeXT llava/train/train.py): `datasets`, a list of {json_path, sampling_strategy}, which is
`all`, or `first:`, `end:` or `random:` with a count or a whole percentage: all of a file once, at most. InternVL
(OpenGVLab/InternVL internvl_chat/internvl/train/dataset.py): name → {annotation, root, repeat_time}. What a trainer
cuts off the head of a file (`first`, `repeat_time` below 1) is drawn from all of it here, as much of it.
"""

import json
import re
from collections.abc import Hashable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from curate.yamlfile import Loader

_STRATEGY = re.compile(r"(first|end|random):(\d{1,9})(%?)", re.ASCII)
_UNNAMED = re.compile(r"[^\w.-]+")
MAX_TIMES = 1000
"""A recipe that repeats a file more often is a mistake."""

INTERNVL = "internvl"
"""The written form of InternVL's files."""


def components(path: str) -> dict[str, dict[str, Any]]:
    """Return the components that a recipe names, as a mix would say them.

    Raises:
        ValueError: the file is not there, it is no recipe, or a key is given twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"no recipe at {path}: {error}") from error
    try:
        found = json.loads(text, object_pairs_hook=_once) if path.endswith(".json") else yaml.load(text, _Loader)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    entries = _internvl(found) if path.endswith(".json") else _llava_next(found)
    named: dict[str, dict[str, Any]] = {}
    for name, component in entries:
        named[_free(name, named)] = component
    return named


def _llava_next(found: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    datasets = found.get("datasets") if isinstance(found, dict) else None
    if not isinstance(datasets, list) or not datasets:
        raise ValueError("a recipe of LLaVA-NeXT is a list of `datasets`")
    for number, entry in enumerate(datasets):
        file = entry.get("json_path") if isinstance(entry, dict) else None
        if not isinstance(file, str):
            raise ValueError(f"datasets[{number}] names no json_path")
        yield PurePosixPath(file).stem, {"from": file, **_sampling(entry.get("sampling_strategy", "all"), number)}


def _sampling(said: Any, number: int) -> dict[str, Any]:
    if said == "all":
        return {}
    match = _STRATEGY.fullmatch(said) if isinstance(said, str) else None
    amount = int(match[2]) if match else 0
    if match is None or not amount:
        raise ValueError(f"datasets[{number}].sampling_strategy is all, or first, end or random with :N or :N%")
    return {"epochs": min(amount, 100) / 100} if match[3] else {"samples": amount, "max_epochs": 1}


def _internvl(found: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(found, dict) or not found:
        raise ValueError("a recipe of InternVL is an object of datasets")
    for name, entry in found.items():
        told = entry if isinstance(entry, dict) else {}
        file, root, times = told.get("annotation"), told.get("root", ""), told.get("repeat_time", 1)
        if not isinstance(file, str) or not isinstance(root, str):
            raise ValueError(f"{name} names no annotation")
        if isinstance(times, bool) or not isinstance(times, int | float) or not 0 < times <= MAX_TIMES:
            raise ValueError(f"{name}.repeat_time is no number above 0 and up to {MAX_TIMES}")
        images = {"images": root} if root else {}
        yield name, {"from": file, "epochs": float(times), "codec": INTERNVL, **images}


class _Loader(Loader):
    """Refuses keys that are given twice, too."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        _once((key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        return super().construct_mapping(node, deep)


def _once(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return an object of its keys and values; ValueError for a key that is given twice, of which one would be lost."""
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:80]!r} is given twice")
        found[key] = value
    return found


def _free(name: str, taken: dict[str, Any]) -> str:
    plain = _UNNAMED.sub("_", name).strip("_.-")[:90] or "part"
    return next(each for each in (plain, *(f"{plain}_{n}" for n in range(2, len(taken) + 3))) if each not in taken)
