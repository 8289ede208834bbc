"""Manifests come back as they were written; books that do not balance are refused with their figures."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.manifest import Books, Manifest, UnbalancedError, from_json

COUNTS = st.dictionaries(st.text(max_size=5), st.integers(0, 10**9), max_size=4)
BOOKS = Books(7, 5, {"http_404": 2}, 1, {"clip_low": 2}, 2)
FULL = Manifest("x", "p", BOOKS, {"0": "a"}, {"up": "d"}, {"n": [1, None]}, {"curate": "1"})


def test_round_trip() -> None:
    assert from_json(FULL.to_json()) == FULL
    assert from_json(FULL.to_json()).to_json() == FULL.to_json()


def test_keys_are_in_order_so_that_equal_manifests_are_equal_bytes() -> None:
    one = Manifest("x", "p", BOOKS, {"1": "b", "0": "a"})
    two = Manifest("x", "p", BOOKS, {"0": "a", "1": "b"})
    assert one.to_json() == two.to_json()


@given(COUNTS, COUNTS, st.integers(0, 10**9), st.integers(0, 10**9))
def test_books_that_add_up_balance(failed: dict[str, int], dropped: dict[str, int], kept: int, undecided: int) -> None:
    ok = kept + sum(dropped.values()) + undecided
    Books(ok + sum(failed.values()), ok, failed, kept, dropped, undecided).balance()
    Books(ok + sum(failed.values()), ok, failed).balance()


@given(COUNTS, COUNTS, st.integers(0, 10**9), st.integers(-5, 5).filter(bool))
def test_one_row_too_few_or_too_many_is_refused(
    failed: dict[str, int], dropped: dict[str, int], kept: int, wrong: int
) -> None:
    ok = kept + sum(dropped.values())
    read = ok + sum(failed.values())
    with pytest.raises(UnbalancedError, match=f"read {read + wrong} "):
        Books(read + wrong, ok, failed, kept, dropped).balance()
    with pytest.raises(UnbalancedError, match=f"kept {kept + wrong} "):
        Books(read, ok, failed, kept + wrong, dropped).balance()
    with pytest.raises(UnbalancedError, match=rf"\+ undecided {wrong}$"):
        Books(read, ok, failed, kept, dropped, wrong).balance()


def test_undecided_rows_are_written_in_the_books_of_their_own() -> None:
    books = json.loads(FULL.to_json())["books"]
    assert (books["undecided"], books["dropped"]) == (2, {"clip_low": 2})
    BOOKS.balance()


@pytest.mark.parametrize("schema", [None, "curate.manifest/2", 1])
def test_another_version_is_refused(schema: object) -> None:
    body = {**json.loads(FULL.to_json()), "schema": schema}
    with pytest.raises(ValueError, match=r"not a curate\.manifest/1"):
        from_json(json.dumps(body).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"\xff"])
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
        from_json(data)
