"""Candidates of one picture become conversations: nothing is lost, each fits, and its tokens are its prompt's own."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import growth
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from curate import digests, schema
from curate.codecs import plain
from curate.errors import OutsideError, SampleError
from curate.grounding import conversation, dialogue
from curate.grounding.templates import template
from curate.io.tokens import TokenCounter, counter
from curate.kernels.packing import Limits
from curate.sample import ImageRef, Sample, Transform, Turn
from curate.stages import measure, mix
from curate.stages.merge import CANDIDATES, Groups, Member, fitted, grouped, replaced, shared_tokens

ROOM = 900
MODEL = measure.TokenModel("llava-1.5-336", "vicuna_v1", "abc", ROOM)
CHAT = template("vicuna_v1")


@pytest.fixture(scope="module")
def count(tmp_path_factory: pytest.TempPathFactory) -> TokenCounter:
    """A tokenizer of letters that makes one token of `? ` and of the letters around the end of an answer."""
    letters = sorted({*map(chr, range(32, 127)), "\n"})
    vocabulary = {letter: number for number, letter in enumerate([*letters, "aa", "?a"])}
    made = Tokenizer(models.BPE(vocabulary, [("a", "a"), ("?", "a")]))
    made.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    made.add_special_tokens([AddedToken("</s>", normalized=False)])
    path: Path = tmp_path_factory.mktemp("tokens") / "tokenizer.json"
    made.save(str(path))
    return counter(str(path), CHAT)


def image(sha: str, width: int = 640) -> ImageRef:
    return ImageRef("m", 0, 1, sha, "", "jpeg", width, 480, width, 480, 1)


def sample(number: int, lengths: Sequence[int] = (9,), images: Sequence[ImageRef] = (), **rest: object) -> Sample:
    turns = [
        turn
        for place, length in enumerate(lengths)
        for turn in (
            Turn("human", ("<image>" * len(images) if place == 0 else "") + "a" * length + "?"),
            Turn("gpt", f"a{number}"),
        )
    ]
    told = {"conversations": tuple(turns), **rest}
    return Sample(f"{number:032x}", "tiny", 0, number, str(number), images=tuple(images), **told)  # type: ignore[arg-type]


ONE, OTHER, NAMELESS = "a" * 64, "b" * 64, ""
SAMPLES = st.lists(
    st.tuples(
        st.lists(st.integers(0, 120), min_size=1, max_size=3) | st.just([]),
        st.sampled_from(([ONE], [ONE], [ONE], [OTHER], [], [ONE, OTHER], [NAMELESS])),
        st.sampled_from((640, 640, 32)),
    ),
    min_size=1,
    max_size=14,
)


def made(drawn: list[tuple[list[int], list[str], int]]) -> list[Sample]:
    return [
        sample(number, lengths, [image(sha, width) for sha in shas])
        for number, (lengths, shas, width) in enumerate(drawn)
    ]


def candidates(samples: Sequence[Sample], count: measure.Count, model: measure.TokenModel = MODEL) -> pa.Table:
    table = measure.measured(schema.to_table(samples), plain, model, count)
    for name in ("record_offset", "record_bytes"):
        table = table.append_column(name, pa.nulls(table.num_rows, pa.int64()))
    return table


class Reader:
    """Reads members of conversations from samples, in memory."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples, self.calls = samples, 0

    def __call__(self, groups: Groups) -> Iterator[Member]:
        self.calls += 1
        for row, number in zip(groups.rows.tolist(), groups.number.tolist(), strict=True):
            one = self.samples[row]
            size = (one.images[0].width, one.images[0].height)
            yield Member(number, dialogue.turns_of(one, plain.encode), size)


def merged(
    samples: Sequence[Sample],
    count: measure.Count,
    most: int = 4,
    seed: int = 0,
    shared: int | None = None,
    room: int = ROOM,
) -> tuple[pa.Table, pa.Table]:
    """Return the candidates before and after."""
    before = candidates(samples, count)
    shared = shared_tokens(CHAT, count) if shared is None else shared
    groups = grouped(before, most, room, shared, seed)
    return before, replaced(before, fitted(before, groups, room, MODEL, count, Reader(samples)))


def exported(row: dict[str, object], samples: Iterable[Sample]) -> tuple[Turn, ...]:
    by_id = {each.sample_id: each for each in samples}
    return conversation.joined([dialogue.turns_of(by_id[key], plain.encode) for key in row["members"]])  # type: ignore[attr-defined]


@given(SAMPLES, st.integers(2, 5), st.integers(0, 3), st.sampled_from((None, 0, 200)), st.integers(-90, 0))
def test_nothing_is_lost_and_every_conversation_fits(
    count: TokenCounter,
    drawn: list[tuple[list[int], list[str], int]],
    most: int,
    seed: int,
    shared: int | None,
    less: int,
) -> None:
    samples = made(drawn)
    before, after = merged(samples, count, most, seed, shared, ROOM + less)
    assert after.schema.equals(CANDIDATES)
    known = {row["sample_id"]: row for row in before.to_pylist()}
    places: Counter[str] = Counter()
    for row in after.to_pylist():
        places.update(row["members"] or [row["sample_id"]])
        if row["members"] is None:
            mine = known[row["sample_id"]]
            assert all(row[name] == mine[name] for name in mine if name in row)
            continue
        members = [known[key] for key in row["members"]]
        assert len(members) > 1 and row["sample_id"] not in known and row["reason"] is None
        assert all(each["reason"] is None for each in members)
        assert len({(each["picture"], each["shown"]) for each in members}) == 1
        assert row["picture"] == members[0]["picture"] and row["n_images"] == 1
        assert sum(each["n_pairs"] for each in members) <= most
        assert row["n_text_tok"] + row["n_img_tok"] <= ROOM + less
        turns = exported(row, samples)
        text, label = count([CHAT.segments(turns, 1)])
        assert (row["n_text_tok"], row["n_label_tok"], row["n_img_tok"]) == (text[0], label[0], 576)
    assert places == Counter(list(known))


@given(SAMPLES, st.randoms(), st.integers(0, 3))
def test_the_order_of_the_input_is_of_no_consequence(
    count: TokenCounter, drawn: list[tuple[list[int], list[str], int]], random: object, seed: int
) -> None:
    def digest(samples: list[Sample]) -> str:
        _, after = merged(samples, count, 4, seed)
        try:
            draws = mix.drawn({mix.Part("a", "one", "", epochs=2.0): after}, None, seed)
        except Exception as error:
            return str(error)
        packed, _ = mix.planned(draws, mix.Recipe(Limits(2000), seed=seed), "m", "d")
        return digests.columns_digest(packed)

    samples = made(drawn)
    shuffled = list(samples)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert digest(samples) == digest(shuffled)


def test_the_seed_orders_the_members(count: TokenCounter) -> None:
    samples = [sample(number, images=[image("a" * 64)]) for number in range(6)]
    orders = {tuple(merged(samples, count, 9, seed)[1].to_pylist()[0]["members"]) for seed in range(4)}
    assert len(orders) > 1 and {tuple(sorted(each)) for each in orders} == {tuple(each.sample_id for each in samples)}


def test_conversations_are_as_few_as_pairs_and_room_allow(count: TokenCounter) -> None:
    samples = [sample(number, images=[image("a" * 64)]) for number in range(12)]
    assert [len(row["members"]) for row in merged(samples, count, 4)[1].to_pylist()] == [4, 4, 4]
    full = [row for row in merged(samples, count, 99)[1].to_pylist() if row["members"]]
    one = candidates(samples[:1], count).to_pylist()[0]["n_text_tok"] - shared_tokens(CHAT, count)
    assert sum(len(row["members"]) for row in full) >= len(samples) - 1
    assert sum(row["n_text_tok"] + row["n_img_tok"] + one <= ROOM - 5 for row in full) <= 1  # the last one


@pytest.mark.parametrize("room", range(800, ROOM, 10))
def test_what_was_guessed_too_short_is_parted(count: TokenCounter, room: int) -> None:
    samples = [sample(number, images=[image(ONE)]) for number in range(12)]
    rows = merged(samples, count, 99, shared=10**6, room=room)[1].to_pylist()
    assert all(row["n_text_tok"] + row["n_img_tok"] <= room for row in rows if row["members"])
    assert sum(len(row["members"] or [0]) for row in rows) == 12 and any(row["members"] for row in rows)


def test_what_shows_a_picture_otherwise_is_not_merged(count: TokenCounter) -> None:
    flip, pad = (Transform("hflip", 2),), (Transform("square_pad", 1),)
    virtual = {"affine": (-1.0, 0.0, 640.0, 0.0, 1.0, 0.0)}
    picture = image("a" * 64)
    samples = [
        sample(0, images=[picture]),
        sample(1, images=[picture], transforms=flip, **virtual),
        sample(2, images=[picture], transforms=flip, affine=(1.0, 0.0, 0.0, 0.0, 1.0, 9.0)),
        sample(3, images=[picture], transforms=pad, **virtual),
        sample(4, images=[picture], transforms=flip, **virtual),
        sample(5, images=[image("a" * 64, 32)]),
        sample(6, images=[image("c" * 64)]),
        sample(7),
        sample(8, images=[picture, picture]),
        sample(9, images=[picture], conversations=(Turn("human", "<image>"), Turn("gpt", "x"))),
    ]
    _, after = merged(samples, count)
    assert [sorted(row["members"]) for row in after.to_pylist() if row["members"]] == [
        [samples[1].sample_id, samples[4].sample_id]
    ]


def test_a_candidate_with_a_reason_keeps_it(count: TokenCounter) -> None:
    samples = [sample(number, images=[image("a" * 64)]) for number in range(4)]
    before = candidates(samples, count)
    reasons = pa.array([None, "contaminated", None, "duplicate"], pa.string())
    before = before.set_column(before.column_names.index("reason"), "reason", reasons)
    groups = grouped(before, 4, ROOM, 140, 0)
    after = replaced(before, fitted(before, groups, ROOM, MODEL, count, Reader(samples))).to_pylist()
    assert sorted(str(row["reason"]) for row in after) == ["None", "contaminated", "duplicate"]
    (one,) = [row for row in after if row["members"]]
    assert sorted(one["members"]) == [samples[0].sample_id, samples[2].sample_id]


def test_a_conversation_that_the_template_refuses_is_parted(count: TokenCounter) -> None:
    samples = [sample(number, images=[image("a" * 64)]) for number in range(3)]
    ended = (Turn("human", "a ASSISTANT:<image>b"), Turn("gpt", "x"))  # a mark of vicuna_v1, once <image> is gone
    samples.append(sample(3, images=[image("a" * 64)], conversations=ended))
    before, after = merged(samples, count)
    assert before["reason"].to_pylist() == [None] * 4
    with pytest.raises(SampleError, match="control_token"):
        CHAT.segments(conversation.joined([ended]), 1)
    rows = after.to_pylist()
    assert sorted(len(row["members"] or [0]) for row in rows) == [1, 1, 2]
    assert samples[3].sample_id in [row["sample_id"] for row in rows]


def test_a_member_that_is_gone_is_not_left_out_without_a_word(count: TokenCounter) -> None:
    samples = [sample(number, images=[image("a" * 64)]) for number in range(4)]
    before = candidates(samples, count)
    groups = grouped(before, 4, ROOM, 140, 0)

    def short(asked: Groups) -> Iterator[Member]:
        yield from list(Reader(samples)(asked))[1:]

    with pytest.raises(OutsideError, match="not there any more"):
        fitted(before, groups, ROOM, MODEL, count, short)

    def unreadable(asked: Groups) -> Iterator[Member]:
        for number, each in enumerate(Reader(samples)(asked)):
            yield each if number else Member(each.number, (), (1, 1))

    rows = replaced(before, fitted(before, groups, ROOM, MODEL, count, unreadable)).to_pylist()
    assert sorted(len(row["members"] or [0]) for row in rows) == [1, 1, 2]


def test_nothing_to_merge(count: TokenCounter) -> None:
    before = candidates([], count)
    read = Reader([])
    assert fitted(before, grouped(before, 4, ROOM, 0, 0), ROOM, MODEL, count, read).num_rows == 0 == read.calls
    assert replaced(before).schema.equals(CANDIDATES)


def test_the_work_grows_with_the_candidates() -> None:
    rng = np.random.default_rng(0)

    def work(rows: int) -> object:
        table = pa.table(
            {
                "sample_id": [f"{number:032x}" for number in range(rows)],
                "picture": [f"{number:064x}" for number in rng.integers(0, rows // 4, rows)],
                "shown": ["1x1"] * rows,
                "n_pairs": pa.array([1] * rows, pa.int32()),
                "n_text_tok": pa.array([60] * rows, pa.int32()),
                "n_img_tok": pa.array([576] * rows, pa.int32()),
                "reason": pa.nulls(rows, pa.string()),
            }
        )
        return grouped(table, 8, 2048, 35, 0)

    assert growth(work, 4000) < 24
