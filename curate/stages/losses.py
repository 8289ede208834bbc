"""What a written form does not hold of a text that is written in it, counted by reason."""

import re
from collections import Counter
from types import ModuleType
from typing import Any

from curate.sample import Grounded, Region

REASONS = {
    "regions": "regions that the form has no place for",
    "relations": "relations between boxes",
    "phrases": "phrases that the text and its spans do not tell",
    "spans": "marks of where a phrase stands in its text",
    "scores": "scores of regions",
    "tags": "tags of regions",
    "texts": "texts around the phrases",
    "crowd": "marks of boxes as crowds",
    "masks": "outlines of regions",
}
"""What `tally` and `of_coco` count, in words."""

NOTES = {
    "tags": "texts with tags that the form read does not know, left as words",
    "no_picture": "records without the path of their picture, as its folder is not known: give --images",
    "empty": "pictures without words and boxes, written as dialogues without turns",
}
"""What is not lost but worth a look, in words."""

_TAG = re.compile(r"</?(?:ref|box|pred|quad|phrase|object|grounding|st|ed|g_s|g_e|seg|loc[0-9_]*+)>|<\|[a-z_]++\|>")


def has_tag(text: str) -> bool:
    """Tell whether a text holds a tag of some written form of boxes."""
    return "<" in text and _TAG.search(text) is not None


def of_coco(record: Any, lost: Counter[str]) -> None:
    """Add to `lost` what no form takes over of a COCO object's annotations."""
    annotations = record.get("annotations")
    for each in annotations if isinstance(annotations, list) else ():
        if isinstance(each, dict):
            if each.get("iscrowd"):
                lost["crowd"] += 1
            if each.get("segmentation"):
                lost["masks"] += 1


class Losses:
    """Counts what one codec, which says by HOLDS and `uncoded` what it can hold, loses of texts."""

    def __init__(self, codec: ModuleType) -> None:
        holds = codec.HOLDS
        self._uncoded = codec.uncoded
        self._uncoded_relations = getattr(codec, "uncoded_relations", None)
        self._text, self._spans, self._phrases = (each in holds for each in ("text", "spans", "phrases"))
        self._relations, self._score, self._tags = (each in holds for each in ("relations", "score", "tags"))

    def tally(self, grounded: Grounded, lost: Counter[str]) -> int:
        """Add to `lost` what the form will not hold of a text, and return how many boxes it will."""
        uncoded, boxes, text = frozenset(self._uncoded(grounded)), 0, grounded.text
        whole = self._text and self._spans  # then a phrase that is the text of its span is held
        for place, region in enumerate(grounded.regions):
            if not uncoded or place not in uncoded:
                boxes += len(region.boxes)
                if (
                    not whole
                    or text[region.start : region.end] != region.phrase
                    or region.tags
                    or region.score is not None
                ):
                    self._region(region, text, lost)
        if uncoded:
            lost["regions"] += len(uncoded)
        if not self._text and boxes and text.strip():
            lost["texts"] += 1
        if grounded.relations:
            left = self._uncoded_relations(grounded) if self._uncoded_relations is not None else ()
            count = len(left) if self._relations else len(grounded.relations)
            if count:
                lost["relations"] += count
        return boxes

    def _region(self, region: Region, text: str, lost: Counter[str]) -> None:
        start, end = region.start, region.end
        if not self._spans and start is not None and start != end:
            lost["spans"] += 1
        if not self._phrases and region.phrase and not (self._text and text[start:end] == region.phrase):
            lost["phrases"] += 1
        if region.score is not None and not self._score:
            lost["scores"] += 1
        if region.tags and not self._tags:
            lost["tags"] += 1
