"""Visual Genome's image_data.json: which of its pictures are COCO's or Flickr's.

Format: https://homes.cs.washington.edu/~ranjay/visualgenome/api.html; one array of objects with `image_id`,
`coco_id`, `flickr_id`, the last two null where there is none.
"""

from curate.errors import ConfigError
from curate.grounding.picture_ids import Space, numbered
from curate.io import json_stream

_KEYS: tuple[tuple[str, Space], ...] = (("coco_id", "coco"), ("flickr_id", "flickr30k"))


def id_joins(uri: str) -> dict[str, str]:
    """Return `vg:2345` → `coco:123456`, or → `flickr30k:789` for a picture of Flickr that COCO lacks.

    Memory is that of the answer. Flickr30k names its pictures by Flickr's numbers.

    Raises:
        ConfigError: no such file, a damaged one, or one without any such pair.
    """
    joins: dict[str, str] = {}
    try:
        for found in json_stream.records(uri):
            if found.error is not None:
                raise ConfigError(f"record {found.index}, at byte {found.offset}: {found.error}", file=uri)
            record = found.record if isinstance(found.record, dict) else {}
            own = numbered(record.get("image_id", record.get("id")), "vg")
            others = (numbered(record.get(key), space) for key, space in _KEYS)
            other = next((known for known in others if known is not None), None)
            if own is not None and other is not None:
                joins[own] = other
    except FileNotFoundError:
        raise ConfigError("no such file", file=uri, hint="Visual Genome's image_data.json") from None
    if not joins:
        raise ConfigError(
            "no picture with image_id and coco_id or flickr_id", file=uri, hint="Visual Genome's image_data.json"
        )
    return joins
