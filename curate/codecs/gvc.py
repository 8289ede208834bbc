"""LLaVA-Grounding's grounded visual chat (GVC): phrases marked in the text, boxes as COCO annotations beside it.

`<g_s> phrase <g_e> <seg>`, and `gd_ls` with an entry for each `<seg>` in order of the text: a list of annotation ids,
or null where a phrase has no box; an annotation's `bbox` is COCO's x, y, width, height in pixels of the picture.
In the data these lie in different files; the written form here is one JSON object:
`{"value": text, "gd_ls": [[1], null, [2, 3]], "annotations": [{"id": 1, "bbox": [x, y, w, h]}, ...]}`.

Sources are files of UX-Decoder/LLaVA-Grounding: datasets_os/dataset_mappers/coco_instruct_grounding_dataset_mapper.py
for the record, scripts/data_process/interleave2end.py of its first commit for the other layout,
llava/eval/LLaVA_G_Eval.py for Grounding-Bench's boxes. `grounding.gvc_records` reads the published files.

A `<seg>` without a phrase is no GVC: boxes that stand in the text by themselves are left out.
"""

import json
import re
from collections.abc import Mapping, Sequence

from curate.errors import SampleError
from curate.grounding.decimals import SEMICOLONS, checked_size, cut, read_boxes, refuse_broken, writer
from curate.grounding.spans import Span, apart, by_span, check_seams, in_order, weave
from curate.sample import Box, Grounded, Region

FRAME = "original"
"""Pixels of the picture as it is."""

HOLDS = frozenset({"text", "spans"})
"""What comes back besides the boxes."""

TOLERANCE = 2e-6
"""Largest error of a coordinate as a share: pixels are written in millionths, and a side has at least one."""

_CODE = "bad_gvc"
_MICRO = 1_000_000
_OVER_PX = 0.5
"""How far a published box may reach beyond the picture, in pixels: corners were rounded."""
_FAR_PX = 1e9
_QUOTED = json.JSONEncoder(ensure_ascii=False).encode

# A tag, or what looks like one that was cut off: no ">" after its name, or the text ends inside the name.
_TAG = re.compile(r"<(g_s|g_e|seg)(?![0-9A-Za-z_])(>?+)|<(?:g_?+|se?+)\Z")
_TAIL = re.compile(r"1: <seg>(?:; [0-9]++: <seg>)*+\.\s*+")
_BOX_STRING = re.compile(rf"\[{SEMICOLONS}")


def encode(grounded: Grounded, width: int, height: int) -> str:
    """Return the JSON text of the grounded text, for a picture of width x height pixels.

    Regions of one span share one mark. Where spans overlap the longest with a box is written; `uncoded` lists the
    rest. A region without a box is written with null, if any other has one. Annotations are numbered from 1 in
    order of the text; equal boxes are one annotation. Boxes are cut to the picture. Raises SampleError: `bad_box`
    for a coordinate that is not finite or corners the wrong way round, `reserved_tag` for a text that holds a tag,
    `bad_size`.
    """
    checked_size(width, height)
    tag = _TAG.search(grounded.text) if "<" in grounded.text else None
    if tag:
        raise SampleError("reserved_tag", f"the text holds {tag[0]!r} at character {tag.start()}")
    ids: dict[str, int] = {}
    parts: dict[Span, str] = {}
    entries = []
    by_x, by_y = width * _MICRO, height * _MICRO
    for (start, end), regions in _marked(grounded).items():
        parts[start, end] = f"<g_s> {grounded.text[start:end]} <g_e> <seg>"
        named = []
        for region in regions:
            for box in grounded.regions[region].boxes:
                x0, y0, x1, y1 = cut(box)
                x, y = int(x0 * by_x + 0.5), int(y0 * by_y + 0.5)
                w, h = int(x1 * by_x + 0.5) - x, int(y1 * by_y + 0.5) - y
                bbox = "[%r, %r, %r, %r]" % (x / _MICRO, y / _MICRO, w / _MICRO, h / _MICRO)  # noqa: UP031
                named.append(str(ids.setdefault(bbox, len(ids) + 1)))
        entries.append(f"[{', '.join(named)}]" if named else "null")
    check_seams(grounded.text, parts, ("g_s", "g_e", "seg"))
    value = _QUOTED(weave(grounded.text, parts))
    listed = ", ".join([f'{{"id": {number}, "bbox": {bbox}}}' for bbox, number in ids.items()])
    return f'{{"value": {value}, "gd_ls": [{", ".join(entries)}], "annotations": [{listed}]}}'


def uncoded(grounded: Grounded) -> tuple[int, ...]:
    """Return the indices of the regions left out.

    They have no span of the text or one of blanks alone, a span that overlaps one that is written, or no box in a
    text where nothing has one.
    """
    held = {index for indices in _marked(grounded).values() for index in indices}
    return tuple(index for index in range(len(grounded.regions)) if index not in held)


def _marked(grounded: Grounded) -> dict[Span, list[int]]:
    """Return the spans that are written, in order, with their regions: those with a box come first."""
    regions, text = grounded.regions, grounded.text
    found = in_order(grounded)
    if found is not None and not any(_blank(text, span) for span in found):
        return found
    spans = by_span(regions, range(len(regions)))
    boxed = by_span(regions, (i for i, region in enumerate(regions) if region.boxes))
    taken = bytearray(len(text))
    held = apart([span for span in boxed if not _blank(text, span)], taken)
    if held:
        held += apart([span for span in spans if not _blank(text, span)], taken)
    return {span: spans[span] for span in sorted(held)}


def _blank(text: str, span: Span) -> bool:
    return span[0] >= 0 and text[span[0] : span[1]].isspace()


def decode(text: str, width: int, height: int) -> Grounded:
    """Return the clean text and its regions with their spans, from the JSON text for a width x height picture.

    The blanks inside `<g_s> phrase <g_e> <seg>` may lack. A phrase with null is a region without a box. Also read is
    the layout with all `<seg>` at the end, `<g_s>1 phrase<g_e> ... 1: <seg>; 2: <seg>.`, with or without the numbers
    before the phrases. `gd_ls` missing or null is null for each `<seg>`. `encode` numbers the annotations anew.

    Raises SampleError `bad_gvc` with a position in characters, of the text for broken JSON, else of its `value`:
    half a tag, tags out of order, an empty phrase, another number of entries in `gd_ls` than of `<seg>`, an id that
    is not among the annotations, a box that is not four finite numbers or reaches beyond the picture by more than
    half a pixel, two annotations of one id; `bad_size`.
    """
    checked_size(width, height)
    value, named, annotations = _loaded(text)
    clean, marks = _parse(value)
    named = [None] * len(marks) if named is None else named
    if len(named) != len(marks):
        place = marks[len(named)][2] if len(named) < len(marks) else len(value)
        raise _bad(f"{len(marks)} <seg> and {len(named)} entries of gd_ls", place)
    by_id = _by_id(annotations)
    regions = []
    for (start, end, place), ids in zip(marks, named, strict=True):
        if ids is not None and not (isinstance(ids, list) and ids):
            raise _bad("an entry of gd_ls that is neither ids nor null", place)
        boxes = tuple(_box(by_id, number, place, (width, height)) for number in ids or ())
        regions.append(Region(clean[start:end], boxes, start=start, end=end))
    return Grounded(clean, tuple(regions))


def _loaded(text: str) -> tuple[str, list[object] | None, list[object]]:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise _bad(f"no JSON: {error.msg}", error.pos) from None
    except (ValueError, RecursionError):
        raise _bad("JSON with a number or a depth beyond reading", 0) from None
    record = record if isinstance(record, dict) else {}
    value, named, annotations = record.get("value"), record.get("gd_ls"), record.get("annotations", [])
    if not isinstance(value, str) or not isinstance(named, list | None) or not isinstance(annotations, list):
        raise _bad("not an object with the text `value` and the lists `gd_ls` and `annotations`", 0)
    return value, named, annotations


def _parse(value: str) -> tuple[str, list[tuple[int, int, int]]]:
    """Return the clean text, and start and end of each phrase there with the place of its `<seg>` in the value."""
    tail = value.find("<seg>") - 3
    at_end = tail >= 0 and tail > value.rfind("<g_e>") and _TAIL.fullmatch(value, tail) is not None
    body = value[:tail].removesuffix(" ") if at_end else value
    numbered = at_end and all(words.startswith(f"{n} ") for n, words in enumerate(body.split("<g_s>")[1:], 1))
    expected = ("g_s", "g_e") if at_end else ("g_s", "g_e", "seg")
    pieces: list[str] = []
    spans: list[Span] = []
    places = [seg.start() for seg in re.finditer("<seg>", value)]
    cursor = length = turn = 0
    spare = ""  # the blank that belonged to a <seg> that stood there before it went to the end
    for tag in _TAG.finditer(body):
        if not tag[2]:
            raise _bad(f"half a tag {tag[0]!r}", tag.start())
        if tag[1] != expected[turn]:
            raise _bad(f"{tag[0]} where <{expected[turn]}> should be", tag.start())
        piece = body[cursor : tag.start()]
        if tag[1] == "g_e":
            spare = " " if at_end and piece.endswith(" ") else ""
            piece = piece.removeprefix(f"{len(spans) + 1} " if numbered else "").removeprefix(" ").removesuffix(" ")
            spans.append((length, length + len(piece)))
            if not piece or piece.isspace():
                raise _bad("an empty phrase", tag.start())
        else:
            piece = piece.removeprefix(" " if tag[1] == "seg" else spare)
        pieces.append(piece)
        length += len(piece)
        cursor, turn = tag.end(), (turn + 1) % len(expected)
    if turn:
        raise _bad(f"<{expected[turn]}> is missing", len(body))
    if at_end and re.findall("([0-9]+): <seg>", value[tail:]) != [str(n + 1) for n in range(len(spans))]:
        raise _bad(f"{len(spans)} phrases that are not those of the <seg> at the end", tail)
    clean = "".join([*pieces, body[cursor:].removeprefix(spare)])
    refuse_broken(clean, _TAG, _CODE)
    return clean, [(start, end, place) for (start, end), place in zip(spans, places, strict=True)]


def _by_id(annotations: Sequence[object]) -> dict[int, object]:
    """Return what stands as bbox of each annotation."""
    found: dict[int, object] = {}
    for place, annotation in enumerate(annotations):
        number = annotation.get("id") if isinstance(annotation, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or number in found:
            raise _bad(f"annotations[{place}] has no id of its own", 0)
        found[number] = annotation.get("bbox") if isinstance(annotation, dict) else None
    return found


def _box(by_id: Mapping[int, object], number: object, place: int, size_wh: tuple[int, int]) -> Box:
    if not isinstance(number, int) or isinstance(number, bool) or number not in by_id:
        name = str(number)[:20] if isinstance(number, int | str) else f"a {type(number).__name__}"
        raise _bad(f"gd_ls names {name}, which is no annotation of the picture,", place)
    bbox, (width, height) = by_id[number], size_wh
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(_is_number(value) for value in bbox):
        raise _bad(f"annotation {str(number)[:20]} has no bbox of four finite numbers", place)
    x, y, w, h = bbox
    over = max(-x, -y, x + w - width, y + h - height)
    if w < 0 or h < 0 or over > _OVER_PX:
        raise _bad(f"the bbox of annotation {str(number)[:20]} has a negative side or leaves the picture", place)
    return cut((x / width, y / height, (x + w) / width, (y + h) / height))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_FAR_PX < value < _FAR_PX


def _bad(what: str, position: int) -> SampleError:
    return SampleError(_CODE, f"{what} at character {position}")


def box_string(boxes: Sequence[Box]) -> str:
    """Return boxes, shares of the picture, as Grounding-Bench's predictions write them: `[0.1,0.25,0.5,1.0;...]`.

    Rounded to three decimals and printed as Python prints a float, no blanks. A box that is all zeros found nothing
    and is left out; what remains of such boxes alone is "". Raises SampleError `bad_box`.
    """
    write = writer("%s,%s,%s,%s", 3, short=True)
    found = [write(box) for box in boxes if any(box)]
    return f"[{';'.join(found)}]" if found else ""


def boxes_of(text: str) -> tuple[Box, ...]:
    """Return the boxes of one of Grounding-Bench's box strings. Raises SampleError `bad_gvc` with the position."""
    if not _BOX_STRING.fullmatch(text):
        raise _bad(f"not boxes of four numbers: {text[:80]!r}", 0)
    return read_boxes(text, 0, _CODE)
