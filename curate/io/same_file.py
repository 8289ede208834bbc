"""Whether two URIs name one file, however they are spelled."""

from curate.errors import CurateError
from curate.io import storage


def same(one: str, other: str) -> bool:
    """Tell whether two URIs name one file: by links followed and the file's number on disk, or as its store spells it.

    Nothing is read of files elsewhere.
    """
    if one == other:
        return True
    left, right = storage.local_path(one), storage.local_path(other)
    if left is None or right is None:
        return left is right and _spelled(one) == _spelled(other)
    try:
        return left.resolve() == right.resolve() or left.samefile(right)
    except (OSError, RuntimeError):  # one that is not there, or a link that leads to itself
        return False


def _spelled(uri: str) -> str:
    try:
        store = storage.filesystem(uri)
        return f"{type(store).__name__} {store._strip_protocol(uri)}"  # fsspec has no other way to it
    except CurateError:
        return uri
