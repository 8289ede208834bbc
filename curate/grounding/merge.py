"""Several samples of one picture as one conversation of several turns: the picture's tokens are paid once."""

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from curate.errors import SampleError
from curate.grounding.dialogue import CAPTION, GROUNDED, IMAGE
from curate.sample import Region, Relation, Sample, Turn, sample_id


def merged(samples: Sequence[Sample]) -> Sample:
    """Return one sample whose turns are those of all, in the order given; a single sample comes back as it is.

    A caption becomes the answer to a question, as `dialogue.turns_of` asks it. Regions and relations name their
    turn, and relations their boxes, in the whole conversation. No turn holds `<image>`: `dialogue.turns_of` puts the
    one in front. Picture, transforms, key and place in its shard are the first sample's; `source_meta` adds `merged`,
    the ids of all. The id rests on the ids in their order; that of a child with pixels of its own is kept, since
    its picture is found by it. `samples` must not be empty.

    Raises SampleError: `not_one_picture` (a sample with none or several, or moved otherwise than the first),
    `no_text` (a sample without words), `bad_turns` (not a question, an answer, and so on), `bad_span` (a region or
    relation of a turn, or a box, that does not exist).
    """
    if len(samples) == 1:
        return samples[0]
    first, chat = samples[0], _Chat()
    for sample in samples:
        if len(sample.images) != 1 or _moved(sample) != _moved(first):
            raise SampleError("not_one_picture", f"{sample.sample_id} beside {first.sample_id}")
        chat.add(sample)
    ids = [sample.sample_id for sample in samples]
    own_pixels = bool(first.transforms) and not first.is_virtual()
    return replace(
        first,
        sample_id=first.sample_id if own_pixels else sample_id(first.dataset, "\x00".join(("merged", *ids))),
        text=None,
        conversations=tuple(chat.turns),
        regions=tuple(chat.regions),
        relations=tuple(chat.relations),
        source_meta=_meta(first.source_meta, ids),
    )


@dataclass(slots=True)
class _Chat:
    """A conversation that grows by one sample after the other."""

    turns: list[Turn] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    boxes: int = 0

    def add(self, sample: Sample) -> None:
        """Add the turns of a sample, its regions and relations with them."""
        turns, cuts = _turns(sample)
        moves = [_Cuts(cut) for cut in cuts]
        base, dialogue = len(self.turns), bool(sample.conversations)
        for region in sample.regions:
            turn, start, end = _place(region, dialogue, moves)
            turn = None if turn is None else base + turn
            self.regions.append(replace(region, turn=turn, start=start, end=end))
        count = sum(len(region.boxes) for region in sample.regions)
        for relation in sample.relations:
            if not all(0 <= box < count for box in (*relation.subjects, *relation.objects)):
                raise SampleError("bad_span", f"relation {relation.predicate[:40]!r} of a box beyond {count}")
            turn, start, end = _place(relation, dialogue, moves)
            self.relations.append(
                replace(
                    relation,
                    turn=None if turn is None else base + turn,
                    start=start,
                    end=end,
                    subjects=tuple(self.boxes + box for box in relation.subjects),
                    objects=tuple(self.boxes + box for box in relation.objects),
                )
            )
        self.turns += turns
        self.boxes += count


def _turns(sample: Sample) -> tuple[list[Turn], list[list[tuple[int, int]]]]:
    """Return the turns without place holders, and for each what was cut out of it, as (start, end)."""
    turns = list(sample.conversations)
    if not turns:
        if not sample.text or not sample.text.strip():
            raise SampleError("no_text", sample.sample_id)
        grounded = any(region.turn is None and region.start is not None for region in sample.regions)
        turns = [Turn("human", GROUNDED if grounded else CAPTION), Turn("gpt", sample.text)]
    for number, turn in enumerate(turns):
        if turn.role != ("human", "gpt")[number % 2]:
            raise SampleError("bad_turns", f"turn {number} of {sample.sample_id} is {turn.role[:40]!r}")
    if len(turns) % 2:
        raise SampleError("bad_turns", f"{sample.sample_id} ends with a question")
    cuts = [_cuts(turn.value) for turn in turns]
    bare = [replace(turn, value=_without(turn.value, cut)) for turn, cut in zip(turns, cuts, strict=True)]
    return bare, cuts


def _cuts(text: str) -> list[tuple[int, int]]:
    cuts: list[tuple[int, int]] = []
    at = text.find(IMAGE)
    while at >= 0:
        start, end = at, at + len(IMAGE)
        if text.startswith("\n", end):
            end += 1
        elif start and text[start - 1] == "\n" and (not cuts or cuts[-1][1] < start):
            start -= 1
        cuts.append((start, end))
        at = text.find(IMAGE, end)
    return cuts


def _without(text: str, cuts: list[tuple[int, int]]) -> str:
    edges = [0, *(edge for cut in cuts for edge in cut), len(text)]
    return "".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))


def _place(
    spanned: Region | Relation, dialogue: bool, cuts: Sequence["_Cuts"]
) -> tuple[int | None, int | None, int | None]:
    """Return turn and span among the sample's own turns; words outside of them have no place."""
    turn = spanned.turn
    if not dialogue:  # a caption is the answer
        turn = 1 if turn is None and spanned.start is not None else None
    if turn is None:
        return None, None, None
    if not 0 <= turn < len(cuts):
        raise SampleError("bad_span", f"turn {turn} of {len(cuts)}")
    if spanned.start is None or spanned.end is None:
        return turn, spanned.start, spanned.end
    return turn, cuts[turn].moved(spanned.start), cuts[turn].moved(spanned.end)


class _Cuts:
    """Where characters go when some before them are cut out."""

    def __init__(self, cuts: Sequence[tuple[int, int]]) -> None:
        self._cuts = cuts
        self._gone = [0, *accumulate(end - start for start, end in cuts)]

    def moved(self, at: int) -> int:
        """Return the new place of a character; of one that is cut, that of the next one left."""
        number = bisect_left(self._cuts, (at, 0))
        kept_back = max(0, self._cuts[number - 1][1] - at) if number else 0
        return at - self._gone[number] + kept_back


def _moved(sample: Sample) -> tuple[object, ...]:
    """Return what was done to a picture: samples of one picture moved alike show the same."""
    return (*((step.name, step.version) for step in sample.transforms), sample.affine)


def _meta(source_meta: str, ids: list[str]) -> str:
    try:
        meta = json.loads(source_meta)
        return json.dumps({**meta, "merged": ids} if isinstance(meta, dict) else {"merged": ids})
    except (ValueError, RecursionError):
        return json.dumps({"merged": ids})
