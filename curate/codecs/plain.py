"""Text alone: captions for trainers that read no boxes."""

from curate.sample import Grounded

FRAME = "none"
"""No coordinates are written."""

HOLDS = frozenset({"text"})
"""What comes back."""

TOLERANCE = 0.0
"""No coordinate survives, so none has an error."""

SIGNS = ""
"""No text is another in this form."""


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the text as it is; boxes and relations are dropped, whatever the picture's size in pixels."""
    return grounded.text


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of all regions: this form holds none."""
    return tuple(range(len(grounded.regions)))


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the text without regions; tags of other forms stay in it as words."""
    return Grounded(text=text)
