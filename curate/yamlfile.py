"""YAML files read strictly: every mistake is named with its line, its path and the nearest valid key."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from curate.errors import ConfigError, nearest

Model = TypeVar("Model", bound=BaseModel)
Other = TypeVar("Other", bound=BaseModel)
Step = str | int
_WANTED = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "a text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}
"""What pydantic says of a wrong type, in the words of YAML."""

MAX_DEPTH = 50
"""Nesting beyond this is no configuration."""


class Strict(BaseModel):
    """A closed set of keys: an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Loader(yaml.SafeLoader):
    """Refuses what makes a small file large: aliases, and nesting without end."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="an alias is not allowed, write it out", problem_mark=mark)
        if self.depth >= MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_DEPTH} levels deep", problem_mark=mark)
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_model(path: Path, model: type[Model]) -> Model:
    """Read one YAML file as `model`.

    Raises:
        ConfigError: the first mistake in the file.
    """
    found, mistakes = read_all(path, model)
    if found is None:
        raise mistakes[0]
    return found


def read_all(
    path: Path, model: type[Model], keyed: Mapping[str, type[Other]] | None = None
) -> tuple[Model | Other | None, list[ConfigError]]:
    """Read one YAML file as `model`, and return it, or None with every mistake in it.

    `keyed` names another model for a file that has a certain key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        data = yaml.load(text, Loader=Loader)
        doubled = _doubled(_compose(text), ())
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        return None, [ConfigError(f"not YAML: {' '.join(str(error).split())}", file=place)]
    except OSError as error:
        return None, [ConfigError(f"cannot be read: {error.strerror}", file=str(path))]
    if not isinstance(data, dict):
        return None, [ConfigError("must be a mapping of keys to values", file=str(path))]
    mistakes = [mistake(path, steps, f'key "{steps[-1]}" is given twice') for steps in doubled]
    wanted: type[Model | Other] = next((other for key, other in (keyed or {}).items() if key in data), model)
    try:
        found = wanted.model_validate(data)
    except ValidationError as error:
        mistakes += [_translate(path, wanted, dict(item)) for item in error.errors()]
        return None, mistakes
    return (None, mistakes) if mistakes else (found, [])


def mistake(path: Path, steps: tuple[Step, ...], what: str, hint: str = "") -> ConfigError:
    """Return a ConfigError that points at the line and the path of one key in a YAML file."""
    line = _line(path, steps)
    return ConfigError(what, file=f"{path}:{line}" if line else str(path), where=dotted(steps), hint=hint)


def dotted(steps: tuple[Step, ...]) -> str:
    """Write a path of keys and indices: ("score", 1, "min_clip") → `score[1].min_clip`."""
    out = ""
    for step in steps:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
    return out


def _translate(path: Path, model: type[BaseModel], item: dict[str, Any]) -> ConfigError:
    steps: tuple[Step, ...] = item["loc"]
    if item["type"] == "extra_forbidden":
        keys = _keys_at(model, steps[:-1])
        return mistake(path, steps, f'unknown key "{steps[-1]}"', nearest(str(steps[-1]), keys))
    if item["type"] == "missing":
        return mistake(path, steps[:-1], f'the key "{steps[-1]}" is missing')
    got = item.get("input")
    plain = _WANTED.get(item["type"])
    if plain:
        return mistake(path, steps, f"must be {plain} (got {got!r:.60})")
    what = item["msg"].removeprefix("Value error, ")
    return mistake(path, steps, what if isinstance(got, str) and got and got in what else f"{what} (got {got!r:.60})")


def _keys_at(model: type[BaseModel], steps: tuple[Step, ...]) -> list[str]:
    here: Any = model
    for step in steps:
        field = getattr(here, "model_fields", {}).get(step) or next(
            (f for f in getattr(here, "model_fields", {}).values() if f.alias == step), None
        )
        here = field.annotation if field else _item(here)
        here = _item(here)
    return [field.alias or name for name, field in getattr(here, "model_fields", {}).items()]


def _item(annotation: Any) -> Any:
    """The model inside `X | None`, `dict[str, X]`, `list[X]`; the annotation itself when it is a model."""
    if hasattr(annotation, "model_fields"):
        return annotation
    inner = [arg for arg in getattr(annotation, "__args__", ()) if hasattr(arg, "model_fields")]
    return inner[-1] if inner else annotation


def _line(path: Path, steps: tuple[Step, ...]) -> int | None:
    try:
        node = _compose(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError):
        return None
    line = 1
    for step in steps:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(step)), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line


@lru_cache(maxsize=1)
def _compose(text: str) -> yaml.Node | None:
    return yaml.compose(text, Loader=Loader)


def _doubled(node: yaml.Node | None, here: tuple[Step, ...]) -> list[tuple[Step, ...]]:
    if isinstance(node, yaml.SequenceNode):
        return [found for i, item in enumerate(node.value) for found in _doubled(item, (*here, i))]
    if not isinstance(node, yaml.MappingNode):
        return []
    keys = Counter(key.value for key, _ in node.value if isinstance(key.value, str))
    twice = [(*here, key) for key, times in sorted(keys.items()) if times > 1]
    return twice + [found for key, value in node.value for found in _doubled(value, (*here, str(key.value)))]
