"""What servers pack: every gzip member is read, and none without bounds."""

import gzip

import pytest

from curate.errors import SampleError
from curate.io.answers import unpacked

FIRST, SECOND = gzip.compress(b"first "), gzip.compress(b"second")


def code(body, limit=100):
    with pytest.raises(SampleError) as caught:
        unpacked(body, "gzip", limit)
    return caught.value.code


def test_all_members_of_a_body_are_read():
    assert unpacked(FIRST + SECOND, "gzip", 12) == b"first second"
    assert unpacked(FIRST + gzip.compress(b"") + SECOND + bytes(20), "x-gzip", 12) == b"first second"


def test_the_limit_holds_for_all_members_together():
    assert code(FIRST + SECOND, 11) == "too_large"
    assert code(FIRST + gzip.compress(bytes(10**7)), 6) == "too_large"
    assert code(gzip.compress(b"") * 101) == "bad_response"
    assert unpacked(FIRST * 100, "gzip", 600) == b"first " * 100


def test_a_later_member_may_be_broken_too():
    assert code(FIRST + SECOND[:-3]) == "truncated_body"
    assert code(FIRST + SECOND[:-8] + bytes(8)) == "bad_response"
