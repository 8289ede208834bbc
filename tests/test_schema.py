"""Samples survive the table and back; the digest follows values alone."""

import math
from dataclasses import fields, replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curate import digests, schema
from curate.sample import ImageRef, Region, Relation, Sample, Transform, Turn

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(["", "\ufeffx", "\0", "🐕é"])
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def several(values: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=most).map(tuple)


IMAGES = st.builds(
    ImageRef, TEXTS, INT64, INT64, TEXTS, TEXTS, TEXTS, INT32, INT32, INT32, INT32, st.integers(-128, 127)
)
REGIONS = st.builds(
    Region, TEXTS, several(st.tuples(FLOATS, FLOATS, FLOATS, FLOATS)), maybe(INT32), maybe(INT32), maybe(INT32),
    maybe(FLOATS), several(TEXTS),
)  # fmt: skip
RELATIONS = st.builds(Relation, TEXTS, several(INT32), several(INT32), maybe(INT32), maybe(INT32), maybe(INT32))
SAMPLES = st.builds(
    Sample,
    sample_id=TEXTS, dataset=TEXTS, shard=INT32, row=INT32, source_key=TEXTS, status=TEXTS, error=maybe(TEXTS),
    error_detail=maybe(TEXTS), parent_id=maybe(TEXTS),
    transforms=several(st.builds(Transform, TEXTS, INT32, TEXTS)), affine=maybe(st.tuples(*[FLOATS] * 6)),
    url=maybe(TEXTS), attempts=maybe(INT32), fetched_at=maybe(TEXTS), images=several(IMAGES), text=maybe(TEXTS),
    conversations=several(st.builds(Turn, TEXTS, TEXTS)), regions=several(REGIONS), relations=several(RELATIONS),
    source_meta=TEXTS,
)  # fmt: skip

FULL = Sample(
    "id", "d", 1, 2, "k", "ok", "e", "detail", "p", (Transform("hflip", 1),), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), "u", 1,
    "t",
    (ImageRef("m", 1, 2, "s", "p", "jpeg", 3, 4, 5, 6, 1),), "text", (Turn("human", "hi"),),
    (Region("a", ((0.0, 0.1, 0.2, 0.3),), 0, 1, 2, 0.5, ("tag",)),), (Relation("on", (0,), (1,), 0, 1, 2),), "{}",
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(SAMPLES, max_size=4))
def test_samples_survive_the_table(samples: list[Sample]) -> None:
    table = schema.to_table(samples)
    assert table.schema.equals(schema.SAMPLES)
    assert list(schema.from_table(table)) == samples


def test_the_schema_has_every_field_of_a_sample_and_no_other() -> None:
    assert {field.name for field in fields(Sample)} == set(schema.SAMPLES.names)


@pytest.mark.parametrize("bad", ["\ud83d", "\udc00", "\udc00\ud83d"])
def test_lone_surrogates_become_replacement_characters_one_for_one(bad: str) -> None:
    dirty = replace(
        FULL,
        text=f"a{bad}b",
        error_detail=bad,
        regions=(Region(f"{bad}x", (), tags=(bad,)),),
        conversations=(Turn("human", f"x{bad}"),),
        source_meta=f'"{bad}"',
    )
    clean = "\ufffd" * len(bad)
    [found] = schema.from_table(schema.to_table([dirty]))
    assert found == replace(
        FULL,
        text=f"a{clean}b",
        error_detail=clean,
        regions=(Region(f"{clean}x", (), tags=(clean,)),),
        conversations=(Turn("human", f"x{clean}"),),
        source_meta=f'"{clean}"',
    )


def test_a_bad_row_leaves_its_neighbours_as_they_are() -> None:
    other = replace(FULL, text="\ufeff🐕 ok", source_key="other")
    found = list(schema.from_table(schema.to_table([replace(FULL, text="\ud800"), other])))
    assert found[1] == other


@given(st.text(st.characters(categories=["Cs", "L", "N"]), max_size=12))
@example("\ud83d\ude00 a pair, as two characters")
@example("a\ud83d")
def test_cleaning_keeps_the_length_so_that_spans_stay(text: str) -> None:
    [found] = schema.from_table(schema.to_table([replace(FULL, text=text)]))
    assert found.text is not None
    assert len(found.text) == len(text)


def test_a_score_that_is_not_a_number_survives() -> None:
    [found] = schema.from_table(schema.to_table([replace(FULL, regions=(Region("x", (), score=math.nan),))]))
    assert found.regions[0].score is not None
    assert math.isnan(found.regions[0].score)


@settings(max_examples=20, deadline=None)
@given(st.lists(SAMPLES, min_size=1, max_size=5), st.integers(1, 4))
def test_the_digest_does_not_depend_on_chunks(samples: list[Sample], size: int) -> None:
    table = schema.to_table(samples)
    chunked = pa.concat_tables([table.slice(at, size) for at in range(0, table.num_rows, size)])
    assert digests.content_digest(chunked) == digests.content_digest(table)


def test_the_digest_does_not_depend_on_how_many_rows_go_at_once() -> None:
    table = schema.to_table([replace(FULL, row=row) for row in range(2500)])
    chunked = pa.concat_tables([table.slice(0, 7), table.slice(7, 1999), table.slice(2006)])
    assert digests.content_digest(chunked) == digests.content_digest(table)


OTHER: dict[str, Any] = {
    **dict.fromkeys(("sample_id", "dataset", "source_key", "status", "error", "parent_id", "url", "text"), "other"),
    "source_meta": '{"a": 1}', "shard": 9, "row": 9, "transforms": (), "affine": None, "images": (),
    "conversations": (Turn("gpt", "hi"),),
    "regions": (Region("a", ((0.0, 0.1, 0.2, 0.30000000000000004),), 0, 1, 2, 0.5, ("tag",)),),
    "relations": (Relation("on", (0,), (1,), 0, 1, 3),),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in schema.SAMPLES.names if name not in digests.UNSTABLE])
def test_the_digest_changes_with_any_value(name: str) -> None:
    changed = digests.content_digest(schema.to_table([replace(FULL, **{name: OTHER[name]})]))
    assert changed != digests.content_digest(schema.to_table([FULL]))


@pytest.mark.parametrize(("name", "value"), [("attempts", 7), ("fetched_at", "later"), ("error_detail", "else")])
def test_the_digest_leaves_out_what_honest_reruns_change(name: str, value: object) -> None:
    assert name in digests.UNSTABLE
    changed = digests.content_digest(schema.to_table([replace(FULL, **{name: value})]))
    assert changed == digests.content_digest(schema.to_table([FULL]))


def test_the_digest_tells_order_and_number() -> None:
    one, two = FULL, replace(FULL, row=3)
    tables = ([], [one], [one, one], [one, two], [two, one])
    assert len({digests.content_digest(schema.to_table(rows)) for rows in tables}) == 5
