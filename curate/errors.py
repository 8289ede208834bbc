"""Errors, named by what happens next.

    CurateError
    ├── ConfigError    stop before anything runs; the user mends a file or an option (exit 2)
    ├── SampleError    record the row with its code and go on
    ├── ShardError     the shard failed as a whole; retry it, then name it in the summary (exit 1)
    └── OutsideError   the store, Ray or the disk failed; safe to repeat (exit 3)
        └── AlarmError the network is down: the other shards are not even tried

Anything else is a bug.
"""

import difflib
from collections.abc import Iterable


class CurateError(Exception):
    """Root of all errors that curate raises on purpose."""


class ConfigError(CurateError):
    """A mistake in a job, a catalog, a plug-in name or an option.

    `where` is the path inside the file (`score[1].min_clip`), `file` the file, `hint` the next step.
    """

    def __init__(self, what: str, *, file: str = "", where: str = "", hint: str = "") -> None:
        self.what, self.file, self.where, self.hint = what, file, where, hint
        place = "  ".join(part for part in (file, where) if part)
        lines = [what, f"  --> {place}" if place else "", f"  help: {hint}" if hint else ""]
        super().__init__("\n".join(line for line in lines if line))

    def as_dict(self) -> dict[str, str]:
        """Return the error as an object for JSON."""
        return {"error": self.what, "file": self.file, "where": self.where, "help": self.hint}

    def __reduce__(self) -> tuple[object, ...]:
        return _config_error, (self.what, self.file, self.where, self.hint)


def _config_error(what: str, file: str, where: str, hint: str) -> ConfigError:
    return ConfigError(what, file=file, where=where, hint=hint)


class SampleError(CurateError):
    """One row cannot be used: `code` is stable and counted, `detail` is free text."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code, self.detail = code, detail
        super().__init__(f"{code}: {detail}" if detail else code)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.code, self.detail)


class ShardError(CurateError):
    """A whole shard failed; its rows are not lost, the next run tries it again."""


class OutsideError(CurateError):
    """Something outside curate failed: an object store, a Ray cluster, a disk."""


class AlarmError(OutsideError):
    """Nearly everything fails outside: going on with the other shards would only cost more."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the closest known names, or all of them when none is close."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"nearest names: {', '.join(close)}"
    return f"there are: {', '.join(names)}" if names else "there are none"
