"""Merge: candidates of a mix that show one picture become conversations of several turns, each of which fits.

Nothing is lost on the way: each candidate stands by itself or is a member of one conversation, and a conversation
that turns out too long, or that the template refuses, is parted until it fits.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate import mixture, schema
from curate.errors import OutsideError, SampleError
from curate.grounding import conversation
from curate.grounding.dialogue import IMAGE
from curate.grounding.templates import Segment, Template, template
from curate.kernels.balance import mixed
from curate.sample import Turn, sample_id
from curate.stages import lengths, measure

VERSION = 1
"""Changes with what `fitted` returns."""

CANDIDATES = pa.schema(
    [
        *(field for field in schema.LENGTHS if field.name not in (*lengths.LABELS, "shown", "n_pairs")),
        *schema.MEMBERS,
    ]
)
"""One row per candidate: those that are merged in one, and those by themselves."""

BATCH = 1024
_SOME = 65_536

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Groups:
    """Conversations: `rows` are the candidates' rows, (M,), one conversation after another, each in order of its turns;
    `number`, (M,), is the conversation's, from 0 on. Each has two members at least.
    """

    rows: Ints
    number: Ints

    def sizes(self) -> Ints:
        """Return how many members each conversation has."""
        return np.bincount(self.number).astype(np.int64)

    def starts(self) -> Ints:
        """Return where in `rows` each conversation starts, and where the last one ends."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.sizes())])

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Groups":
        """Return those of the conversations that are chosen, (conversations,), numbered anew."""
        kept = chosen[self.number]
        return Groups(self.rows[kept], (np.cumsum(chosen) - 1)[self.number[kept]])

    def halves(self) -> "Groups":
        """Return each conversation parted in two; a half of one member is none."""
        place = np.arange(self.number.size) - self.starts()[self.number]
        first = place < (self.sizes()[self.number] + 1) // 2
        return _groups(self.rows, 2 * self.number + ~first)


@dataclass(frozen=True, slots=True)
class Member:
    """What one candidate says: the conversation that it belongs to, turns, and its picture's size in pixels.

    Without turns it can no longer be read: it stays by itself.
    """

    number: int
    turns: tuple[Turn, ...]
    size_wh: tuple[int, int]


Read = Callable[[Groups], Iterable[Member]]
"""Reads the members of conversations, in order."""


def grouped(candidates: pa.Table, most: int, room: int, shared: int, seed: int) -> Groups:
    """Return conversations of at most `most` pairs and about `room` tokens, of candidates with what LENGTHS says.

    Candidates that show one picture, moved alike, are put in an order of their ids and the seed alone, and each joins
    the conversation before it while there is room. `shared` is the tokens that two conversations have in common, paid
    once when they are one. Those with a reason, or that no other can join, are in none.
    """
    able = pc.and_(pc.is_null(candidates["reason"]), pc.is_valid(candidates["picture"]))
    able = pc.and_(able, pc.fill_null(pc.less(candidates["n_pairs"], most), False))  # with `most` it is full alone
    rows = np.flatnonzero(able.to_numpy())
    table = candidates.take(pa.array(rows))
    picture = _codes(table["picture"]) * (candidates.num_rows + 1) + _codes(table["shown"])
    keys = mixed(_keys(table["sample_id"]), seed)
    order = np.lexsort((keys, picture))
    pairs, text, image = (_ints(table[name])[order].tolist() for name in ("n_pairs", "n_text_tok", "n_img_tok"))
    number = np.zeros(rows.size, np.int64)
    here, held_pairs, held, last = -1, 0, 0, -1
    for at, each in enumerate(picture[order].tolist()):
        if each == last and held_pairs + pairs[at] <= most and held + text[at] - shared <= room:
            held_pairs, held = held_pairs + pairs[at], held + text[at] - shared
        else:
            here, held_pairs, held, last = here + 1, pairs[at], text[at] + image[at], each
        number[at] = here
    return _groups(rows[order], number)


def shared_tokens(chat: Template, count: measure.Count) -> int:
    """Return about how many tokens of text two dialogues have in common that one conversation of both pays once.

    Raises:
        SampleError: the template takes no conversation of two questions.
    """
    one = (Turn("human", f"{IMAGE}\nWhat?"), Turn("gpt", "That."))
    text, _ = count([chat.segments(one, 1), chat.segments(conversation.joined([one, one]), 1)])
    return max(int(2 * text[0] - text[1]), 0)


def fitted(
    candidates: pa.Table, groups: Groups, room: int, model: measure.TokenModel, count: measure.Count, read: Read
) -> pa.Table:
    """Return the conversations that fit, as rows of CANDIDATES: counted from their prompts, not from their members.

    Raises:
        OutsideError: a member is not there any more.
    """
    found = [CANDIDATES.empty_table()]
    while groups.rows.size:
        table = counted(candidates, groups, model, count, read)
        tokens = _ints(table["n_text_tok"]) + _ints(table["n_img_tok"])
        fits = pc.is_null(table["reason"]).to_numpy() & (tokens <= room)
        found.append(table.filter(pa.array(fits)))
        groups = groups.where(~fits).halves()
    return pa.concat_tables(found).combine_chunks()


def counted(
    candidates: pa.Table, groups: Groups, model: measure.TokenModel, count: measure.Count, read: Read
) -> pa.Table:
    """Return all conversations, one at least, in order as rows of CANDIDATES; one that cannot be drawn has its reason.

    Raises:
        OutsideError: a member is not there any more.
    """
    batches = [_counted(part, model, count) for part in _parts(candidates, groups, read(groups))]
    return _with_members(pa.concat_tables(batches).drop_columns(["shown", "n_pairs"]), candidates, groups)


def replaced(candidates: pa.Table, conversations: pa.Table | None = None) -> pa.Table:
    """Return CANDIDATES: the conversations, and the candidates that are a member of none."""
    alone = candidates.drop_columns(["shown", "n_pairs"])
    if conversations is not None and conversations.num_rows:
        members = pc.list_flatten(conversations["members"])
        alone = alone.filter(pc.invert(pc.is_in(alone["sample_id"], value_set=members)))
    for field in schema.MEMBERS:
        alone = alone.append_column(field, pa.nulls(alone.num_rows, field.type))
    tables = [alone] if conversations is None else [conversations, alone]
    return pa.concat_tables([table.select(CANDIDATES.names).cast(CANDIDATES) for table in tables])


@dataclass(frozen=True, slots=True)
class _Part:
    """Some conversations, by what they are called, and what their members say."""

    named: Sequence[tuple[str, str, str]]
    members: Sequence[tuple[Member, ...]]


def _parts(candidates: pa.Table, groups: Groups, members: Iterable[Member]) -> Iterator[_Part]:
    """Yield conversations some at a time: (dataset, id, picture), and all members of each."""
    starts, told = groups.starts(), groupby(members, key=lambda member: member.number)
    for begin in range(0, starts.size - 1, BATCH):
        ends = starts[begin : begin + BATCH + 1]
        rows = candidates.take(pa.array(groups.rows[ends[0] : ends[-1]]))
        ids = rows["sample_id"].to_pylist()
        firsts = rows.select(["dataset", "picture"]).take(pa.array(ends[:-1] - ends[0])).to_pylist()
        spans = zip((ends[:-1] - ends[0]).tolist(), (ends[1:] - ends[0]).tolist(), strict=True)
        named = [
            (first["dataset"], sample_id(first["dataset"], "\x00".join(("merged", *ids[start:end]))), first["picture"])
            for first, (start, end) in zip(firsts, spans, strict=True)
        ]
        read = [(number, tuple(group)) for number, group in islice(told, len(named))]
        wanted = list(zip(range(begin, begin + len(named)), np.diff(ends).tolist(), strict=True))
        if [(number, len(group)) for number, group in read] != wanted:
            raise OutsideError("samples to merge are not there any more: run the mix again")
        yield _Part(named, [group for _, group in read])


def _counted(part: _Part, model: measure.TokenModel, count: measure.Count) -> pa.Table:
    chat = template(model.template)
    prompts = [_prompted(*each, chat) for each in zip(part.named, part.members, strict=True)]
    return measure.counted(prompts, model, count)


def _prompted(named: tuple[str, str, str], members: Sequence[Member], chat: Template) -> measure.Prompted:
    dataset, key, picture = named
    prompt: tuple[Segment, ...] = ()
    reason: str | None = None
    try:
        said = [member.turns for member in members]
        prompt, reason = (chat.segments(conversation.joined(said), 1), None) if all(said) else ((), "no_text")
    except SampleError as error:
        reason = error.code
    return measure.Prompted(dataset, key, prompt, reason, (members[0].size_wh,), picture)


def _with_members(table: pa.Table, candidates: pa.Table, groups: Groups) -> pa.Table:
    members = candidates.take(pa.array(groups.rows))
    ends = pa.array(groups.starts(), pa.int32())
    in_file = pc.is_valid(members["record_bytes"]).to_numpy()
    for (name, column), kind in zip(
        (("members", "sample_id"), ("member_offsets", "record_offset"), ("member_bytes", "record_bytes")),
        schema.MEMBERS.types,
        strict=True,
    ):
        values = pa.ListArray.from_arrays(ends, members[column].combine_chunks()).cast(kind)
        told = name == "members" or bool(in_file.size and in_file.all())
        table = table.append_column(name, values if told else pa.nulls(table.num_rows, kind))
    for name in ("record_offset", "record_bytes"):
        table = table.append_column(name, pa.nulls(table.num_rows, pa.int64()))
    return table.select(CANDIDATES.names).cast(CANDIDATES)


def _groups(rows: Ints, number: Ints) -> Groups:
    """Return groups of rows with numbers that rise, those of two members at least, numbered anew."""
    _, where, sizes = np.unique(number, return_inverse=True, return_counts=True)
    return Groups(rows, where.astype(np.int64)).where(sizes > 1)


def _codes(values: pa.ChunkedArray) -> Ints:
    return np.asarray(values.combine_chunks().dictionary_encode().indices.fill_null(-1), np.int64)


def _keys(values: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    batches = pa.table({"id": values}).to_batches(max_chunksize=_SOME)
    return np.concatenate([np.zeros(0, np.uint64), *(mixture.keys_of(batch[0].to_pylist()) for batch in batches)])


def _ints(values: pa.ChunkedArray) -> Ints:
    return np.asarray(values.to_numpy(), np.int64)
