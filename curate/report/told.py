"""What a manifest tells, read so that nothing that an older one lacks or writes otherwise can end the page."""

import math
from collections.abc import Mapping
from typing import Any


def number(facts: Mapping[str, Any], name: str) -> float:
    """Return a finite number, or 0.0."""
    value = facts.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def count(facts: Mapping[str, Any], name: str) -> int:
    """Return a whole number, or 0."""
    return int(number(facts, name))


def table(facts: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what is told by name, or nothing."""
    value = facts.get(name)
    return value if isinstance(value, dict) else {}


def tables(facts: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """Return the tables that are told by name, or nothing."""
    return {key: value for key, value in table(facts, name).items() if isinstance(value, dict)}


def rows(facts: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the rows of a list, or none."""
    value = facts.get(name)
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
