"""Linked things: the components that a walk over all shared keys finds."""

import numpy as np
import pytest
from conftest import growth
from hypothesis import given
from hypothesis import strategies as st

from curate.kernels.linked import linked


def walked(count, edges):
    label = list(range(count))
    for _ in range(count):
        for one, key in edges:
            for other, same in edges:
                if key == same:
                    label[one] = label[other] = min(label[one], label[other])
    return label


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(
    st.just(n), st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, 6)), max_size=12)
)))  # fmt: skip
def test_groups_are_what_a_walk_finds(given_edges):
    count, edges = given_edges
    things, keys = np.array(edges, np.int64).reshape(-1, 2).T
    assert linked(count, things, keys).tolist() == walked(count, edges)


def test_a_long_chain_is_one_group_in_few_rounds():
    def chain(size):
        things = np.repeat(np.random.default_rng(0).permutation(size), 2)
        assert not linked(size, things, (np.arange(2 * size) + 1) // 2).any()

    assert growth(chain, 2_000) < 25
    chain(100_000)


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="keys"):
        linked(3, np.zeros(2, np.int64), np.zeros(1, np.int64))
