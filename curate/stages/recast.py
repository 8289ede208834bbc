"""One record from one written form to another: which texts it holds, of which picture, and what is lost on the way.

Records are LLaVA's dialogues (haotian-liu/LLaVA, docs/Finetune_Custom_Data.md), SVIT's own (`image_id`, nested
`content`; BAAI-DCAI/Visual-Instruction-Tuning), or those of a form that is itself a JSON object (GRiT, ODVG, COCO).
"""

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from curate.errors import SampleError
from curate.grounding import conversation, dialogue
from curate.io.coco_files import Instances
from curate.io.sizes import Size, Sizes
from curate.sample import Grounded
from curate.stages import grounded_chat
from curate.stages.layouts import Json, Picture, Refused, apart, flat, name_of, named, stated
from curate.stages.losses import Losses, has_tag, of_coco

_ANY = (1_000_000, 1_000_000)  # a size where only whether there are boxes is asked


@dataclass(slots=True)
class Recast:
    """What came of one record.

    `lost` counts by reason what the target's form does not hold, `left` the turns without boxes, for which a form
    of records has no place, `boxes` those written, `notes` what is worth a look, by `losses.NOTES`. `said` is what
    turns of a dialogue say without any written form, by their number, where a form had to be read.
    """

    records: list[Json] = field(default_factory=list)
    lost: Counter[str] = field(default_factory=Counter)
    left: int = 0
    boxes: int = 0
    notes: Counter[str] = field(default_factory=Counter)
    said: dict[int, Grounded] = field(default_factory=dict)


class Recaster:
    """Takes records from one codec's form to another's; `sizes` knows the pictures where they are at hand.

    Texts whose boxes are shares of the picture itself are read, and written as such texts, without its size.
    """

    def __init__(
        self, reader: ModuleType, writer: ModuleType, sizes: Sizes | None, instances: Instances | None = None
    ) -> None:
        self._sizes, self._instances = sizes, instances
        self._reads_text, self._writes_text = "text" in reader.HOLDS, "text" in writer.HOLDS
        self._reads_records, self._writes_records = holds_records(reader), holds_records(writer)
        self._decode, self._encode = reader.decode, writer.encode
        of_text = not self._reads_records and not self._writes_records
        self._sizeless = of_text and reader.FRAME == "original" and writer.FRAME in ("original", "none")
        self._signs = signs(reader, writer)
        self._losses = Losses(writer)

    def recast(self, unit: Json) -> Recast:
        """Return a record, or an entry of one (see `layouts.units`), in the target's form.

        Raises Refused: `bad_record`, `no_size` where boxes need the picture's size and nothing tells it,
        `several_pictures` where they could be of any of several, `aspect_changed` where the picture has another
        shape than the record states, `no_boxes` for phrases without boxes where the form has place for nothing
        else, and whatever the codecs and `Sizes` raise.
        """
        record = flat(unit, self._sizes)
        turns = record.get("conversations")
        if self._reads_records and turns is None:
            return self._record(record)
        if not isinstance(turns, list):
            raise Refused("bad_record", "no list of turns", "conversations")
        done, changed, number = Recast(), dict[int, Json](), 0
        done.notes["no_picture"] += record is not unit and name_of(record) is None
        if not self._writes_records and self._all_plain(turns):
            done.records.append(record)
            return done
        read, picture = None, None
        try:
            if self._reads_records:
                picture = Picture(record, self._sizes)
                read = self._chat(record, turns, picture)
            for number, turn in enumerate(turns):
                value = turn.get("value") if isinstance(turn, dict) else None
                if not isinstance(value, str):
                    raise SampleError("bad_record", "a turn without a text")
                before, words, after = ("", value, "") if read or self._is_plain(value) else apart(value)
                if read is None and self._is_plain(words):
                    done.left += self._writes_records
                    continue
                picture = picture or Picture(record, self._sizes)
                grounded, size = (read[number], picture.known) if read else self._decoded(words, picture)
                done.notes["tags"] += has_tag(grounded.text)
                grounded = self._worded(grounded)
                if not self._writes_records:
                    written = before + self._encoded(grounded, size, done) + after
                    done.said[number] = _between(before, grounded, after)
                    if written != value:
                        changed[number] = {**turn, "value": written}
                elif grounded.regions:
                    done.records.append(named(json.loads(self._encoded(grounded, size, done)), record, size))
                else:
                    done.left += 1
        except SampleError as error:
            raise Refused(error.code, error.detail, f"conversations[{number}].value") from error
        if not self._writes_records:
            made = {key: value for key, value in record.items() if key not in grounded_chat.KEYS} if read else record
            if changed:
                made = {**made, "conversations": [changed.get(n, turn) for n, turn in enumerate(turns)]}
                size = picture.known if picture else None
                if size is not None and stated(record) not in (None, size):
                    made |= {"width": size[0], "height": size[1]}
            done.records.append(made)
        elif not done.records and not self._writes_text:
            done.records += self._bare(record, picture or Picture(record, self._sizes))
        elif len(done.records) > 1:
            done.records = [{**each, "id": f"{each.get('id', '')}-{n}"} for n, each in enumerate(done.records)]
        return done

    def _bare(self, record: Json, picture: Picture) -> list[Json]:
        """Return the record of a picture without boxes, for a form that lists pictures; none where it has no size."""
        try:
            size = picture.size()
        except SampleError:
            return []
        if name_of(record) is None:
            return []
        return [named(json.loads(self._encode(Grounded(""), *size)), record, size)]

    def _all_plain(self, turns: list[Any]) -> bool:
        """Tell at once whether no turn holds anything of either form, as in most dialogues; False says nothing."""
        try:
            text = "\n".join([turn["value"] for turn in turns])
        except (TypeError, KeyError):  # not turns
            return False
        return self._is_plain(text.removeprefix(dialogue.IMAGE))

    def _is_plain(self, words: str) -> bool:
        """Tell at once whether words hold nothing of either form, as most do; False says nothing."""
        if self._signs is None:
            return False
        for sign in self._signs:  # noqa: SIM110 - a generator is most of the time of a dialogue without boxes
            if sign in words:
                return False
        return True

    def _chat(self, record: Json, turns: list[Any], picture: Picture) -> list[Grounded]:
        """Return what each turn of a dialogue says whose boxes lie in another file."""
        if self._instances is None:
            raise SampleError("bad_record", "a dialogue, where records are awaited; for GVC give --instances")
        if not all(isinstance(turn, dict) and isinstance(turn.get("value"), str) for turn in turns):
            raise SampleError("bad_record", "a turn without a text")
        read = grounded_chat.readings(record, self._instances, self._decode)
        if any(grounded.regions for grounded in read):
            picture.known = None
            picture.size(grounded_chat.size_of(record, self._instances))
        return read

    def _record(self, record: Json) -> Recast:
        """Return a record of a form of records as another, or as a dialogue of two turns."""
        done = Recast()
        try:
            grounded, size = self._decoded(json.dumps(record), Picture(record, self._sizes))
            grounded = self._worded(grounded)
            written = self._encoded(grounded, size, done)
        except SampleError as error:
            raise Refused(error.code, error.detail) from error
        of_coco(record, done.lost)
        if self._writes_records:
            done.records.append(named(json.loads(written), record, size))
            return done
        if not written.strip():
            done.notes["empty"] += 1
            done.records.append(named({"conversations": []}, record, size or stated(record)))
            return done
        question = dialogue.GROUNDED if grounded.regions else dialogue.CAPTION
        marker = f"{dialogue.IMAGE}\n" if name_of(record) is not None else ""
        turns = [{"from": "human", "value": marker + question}, {"from": "gpt", "value": written}]
        done.records.append(named({"conversations": turns}, record, size))
        done.said[1] = grounded
        return done

    def _decoded(self, text: str, picture: Picture) -> tuple[Grounded, Size | None]:
        """Return what a text says, and the size it was read for; a picture is looked for where there are boxes."""
        size = picture.known
        if size is None:
            free = self._sizeless and picture.unsized
            try:
                found: Grounded = self._decode(text, *_ANY)
            except SampleError:
                if self._is_words(text):
                    return Grounded(text), None
                if picture.nowhere or free:
                    raise
            else:
                if free or not (found.regions or found.relations):
                    return found, None
            size = picture.size()
        try:
            return self._decode(text, *size), size
        except SampleError:
            if self._is_words(text):
                return Grounded(text), size
            raise

    def _is_words(self, text: str) -> bool:
        """Tell whether a text is a question beside texts of a form that holds no words, only phrases and tags."""
        return not self._reads_text and not self._reads_records and "<" not in text

    def _worded(self, grounded: Grounded) -> Grounded:
        """Return phrases as a text where only the target has texts."""
        return listed(grounded) if self._writes_text and not self._reads_text and not grounded.text else grounded

    def _encoded(self, grounded: Grounded, size: Size | None, done: Recast) -> str:
        if grounded.regions or grounded.relations:
            boxes = self._losses.tally(grounded, done.lost)
            done.boxes += boxes
            if not boxes and not self._writes_text and not self._writes_records:
                if not grounded.text.strip():
                    raise SampleError("no_boxes", "nothing but phrases without boxes")
                return grounded.text  # words of which the form marks nothing
        elif not self._writes_text and not self._writes_records:
            return grounded.text  # a question beside boxes stays a question
        text: str = self._encode(grounded, *(size or _ANY))
        return text


def holds_records(codec: ModuleType) -> bool:
    """Tell whether a codec's written form is a whole record, a JSON object, and not a text among others."""
    return bool(codec.encode(Grounded("a"), 8, 8).startswith("{"))


def signs(*codecs: ModuleType) -> tuple[str, ...] | None:
    """Return the characters without which a text is the same in all of these forms; None where one tells none."""
    if any(not hasattr(codec, "SIGNS") for codec in codecs):
        return None
    return tuple(dict.fromkeys(sign for codec in codecs for sign in codec.SIGNS))


def _between(before: str, grounded: Grounded, after: str) -> Grounded:
    found = conversation.replaced(grounded, 0, 0, before) if before else grounded
    return replace(found, text=found.text + after) if after else found


def listed(grounded: Grounded) -> Grounded:
    """Return phrases that stand in no text as a text of them, a comma between."""
    text, regions = "", []
    for region in grounded.regions:
        start = len(text) + 2 if text else 0
        text = f"{text}, {region.phrase}" if text else region.phrase
        regions.append(replace(region, start=start, end=len(text)))
    return Grounded(text, tuple(regions))
