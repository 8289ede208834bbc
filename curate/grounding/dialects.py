"""The written forms of boxes as a linter sees them: their tags, how a box looks, what its numbers may be.

The codecs know each form exactly; here is what is needed to name a fault by its kind. A form is told by its
markers; All-Seeing v2's padded, its un-padded and InternVL's form look alike, and are taken for the padded one.
"""

import re
from dataclasses import dataclass

_N = r"[-+]?[0-9.]++(?:[eE][-+]?[0-9]++)?"
_JSON = rf"\s*+\[\s*+{_N}\s*+(?:,\s*+{_N}\s*+){{3}}\]\s*+"
_JSON_LIST = re.compile(rf"\s*+\[(?:{_JSON}(?:,{_JSON})*+|\s*+)\]\s*+")
_POINTS = re.compile(rf"\s*+\(\s*+{_N}\s*+,\s*+{_N}\s*+\)\s*+,\s*+\(\s*+{_N}\s*+,\s*+{_N}\s*+\)\s*+")
_REC_MARKER = r"<box>\s*+\[\s*+\[|<pred>"
_SHIKRA = r"<ph_st>|\[(?:0\.[0-9]{3},){3}0\.[0-9]{3};|(?<=\w)\[(?:[01]\.[0-9]{3},){3}[01]\.[0-9]{3}\]"
"""Of one box there is no blank before it, as Pink has."""
_BARE = re.compile(r"\[[-+0-9.eE,;\s]*+\]")
_REC = {"<ref>": "</ref>", "<pred>": "</pred>", "<box>": "</box>"}
_QWEN2 = {"<|object_ref_start|>": "<|object_ref_end|>", "<|box_start|>": "<|box_end|>"}
_MARKS = {f"<{name}>": f"</{name}>" for name in ("loc", "des", "cls", "rel")}

NUMBER = re.compile(_N)
"""A number of a box."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A written form: which tags pair up, what stands between box tags or bare in the text, how far numbers go.

    `paired` finds a sound pair of tags without another between; of a pair that needs a box beside or inside it, that
    a bracket stands there. `box` is the tag that opens a box, None where boxes stand bare; `form` is what a list of
    boxes must look like.
    `frame` is that of the coordinates: `square_pad`, `original`, or `none` for forms without any.
    """

    name: str
    marker: re.Pattern[str]
    frame: str
    pairs: dict[str, str]
    paired: re.Pattern[str]
    box: str | None = None
    form: re.Pattern[str] | None = None
    highest: float = 1.0
    whole: bool = False

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags, opening and closing."""
        return (*self.pairs, *self.pairs.values())


_PAIRED = {"<st>": r"<st>[^<\[]++<ed> (?=\[)", "<loc>": r"<loc>\[[^<\]]*+\]</loc>"}
"""Pairs that are nothing without a box."""


def _form(name: str, marker: str, frame: str, pairs: dict[str, str], *rest: object) -> Dialect:
    paired = "|".join(_PAIRED.get(one, f"{re.escape(one)}[^<]*+{re.escape(other)}") for one, other in pairs.items())
    return Dialect(name, re.compile(marker), frame, pairs, re.compile(paired or "(?!)"), *rest)  # type: ignore[arg-type]


_ALL = (
    _form("asv2", _REC_MARKER, "square_pad", _REC, "<box>", _JSON_LIST, 999.0, True),
    _form("asv2_unpadded", "(?!)", "original", _REC, "<box>", _JSON_LIST, 999.0, True),
    _form("internvl", "(?!)", "original", _REC, "<box>", _JSON_LIST, 1000.0, True),
    _form("qwen_vl", r"<box>\(", "original", _REC, "<box>", _POINTS, 1000.0, True),
    _form("qwen2_vl", r"<\|box_start\|>", "original", _QWEN2, "<|box_start|>", _POINTS, 1000.0, True),
    _form("svit", "<st>|<ed>", "original", {"<st>": "<ed>"}, None, _BARE),
    _form("gvc", "<g_s>|<g_e>", "none", {"<g_s>": "<g_e>"}),
    _form("glamm", r"</p>\s*\[SEG\]", "none", {"<p>": "</p>"}),
    _form("shikra", _SHIKRA, "square_pad", {"<ph_st>": "<ph_ed>"}, None, _BARE),
    _form("pink", "</?(?:loc|des|cls|rel)>", "original", _MARKS, None, _BARE),
    _form("llava", r"\[(?:[01]\.[0-9]{1,3}, ){3}[01]\.[0-9]{1,3}\]", "square_pad", {}, None, _BARE),
)  # fmt: skip

DIALECTS = {form.name: form for form in _ALL}
"""Name → form; the names of forms that have a codec are those of the codecs."""

ANY = _form("", "(?!)", "none", {**_REC, **_QWEN2, "<st>": "<ed>", "<g_s>": "<g_e>", "<ph_st>": "<ph_ed>"})
"""The tags of all forms that hardly stand in other texts, to be looked for where no form was told."""

TOKENS = {"kosmos2": r"<patch_index_[0-9]", "florence2": r"<loc_[0-9]", "paligemma": r"<loc[0-9]{4}>"}
"""Forms of location tokens, told by these markers and read by their codecs alone."""


_MARKERS = {name: form.marker for name, form in DIALECTS.items()} | {n: re.compile(m) for n, m in TOKENS.items()}
_UNTAGGED = ("shikra", "llava")

_BOXES = re.compile(r"<box>\[\[[^<]*+")
_ZEROS = re.compile(r"[\[ ]0[0-9]{1,2}[,\]]")
_NO_ZEROS = re.compile(r"[\[ ][0-9]{1,2}[,\]]")


def written_in(text: str) -> str | None:
    """Return the one form that the markers of a text belong to; None where there are none, or those of several.

    Bare numbers beside the tags of another form are of that one.
    """
    found = [name for name, marker in _MARKERS.items() if marker.search(text)]
    tagged = [name for name in found if name not in _UNTAGGED]
    found = tagged or found
    return found[0] if len(found) == 1 else None


def alike(form: str, texts: list[str]) -> tuple[str, ...]:
    """Return the forms that texts told as `form` may be in, the likeliest first.

    InternVL writes no 7 as 007, as files of All-Seeing v2 do.
    """
    if form != "asv2":
        return (form,)
    boxes = [found[0] for text in texts for found in _BOXES.finditer(text)]
    padded = any(map(_ZEROS.search, boxes)) and not any(map(_NO_ZEROS.search, boxes))
    return ("asv2", "asv2_unpadded") if padded else ("asv2", "asv2_unpadded", "internvl")


def detect(texts: list[str]) -> str | None:
    """Return the name of the form that most of the markers of some texts, JSON as it stands, belong to."""
    counts = dict.fromkeys(_MARKERS, 0)
    for text in texts:
        plain = text.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u003C", "<").replace("\\u003E", ">")
        for name, marker in _MARKERS.items():
            counts[name] += sum(1 for _ in marker.finditer(plain))
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else None
