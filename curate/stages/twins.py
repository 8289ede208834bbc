"""Candidates of a mix that are like one before them: byte for byte, nearly, or by their picture alone.

Each function takes FACTS whose `place` counts the rows from 0, and marks of those that are out already, shape (n,);
those are neither dropped nor a reason to drop. It returns (places, firsts): who is dropped, ascending, and of each
the one before it that stays.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from curate.errors import ConfigError
from curate.io.warehouse import Warehouse
from curate.kernels import near
from curate.kernels.linked import linked
from curate.plugins import Project
from curate.stages.facts import FACTS, gate_sql, picture_numbers

Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MAX_PAIRS = 50_000_000
"""Of near pictures under equal words; more are no duplicates but a hash that tells nothing apart."""
_SMALL = 64  # a group of equal words up to this size is compared all with all


def duplicates(facts: pa.Table, out: Flags, project: Project) -> tuple[Places, Places]:
    """Find those with the same pictures, moved alike, and the same words and boxes as one before.

    Raises:
        ConfigError: a query of the user's own is wrong.
    """
    warehouse = Warehouse()
    warehouse.add("facts", facts.filter(pa.array(~out, pa.bool_())), FACTS)
    table = warehouse.table(gate_sql("duplicates", project))
    warehouse.close()
    # One may be like two before it, by its bytes and by its number: all that are like each other are one.
    pairs = np.concatenate([table["place"].to_numpy(), table["first"].to_numpy()]).astype(np.int64)
    firsts = linked(facts.num_rows, pairs, np.tile(np.arange(table.num_rows), 2))
    gone = np.flatnonzero(firsts != np.arange(facts.num_rows))
    return gone, firsts[gone]


def near_duplicates(facts: pa.Table, out: Flags, distance: int) -> tuple[Places, Places]:
    """Find those of one picture with equal words over a picture within `distance` bits of one before that stays.

    Pictures whose hash says nothing (see `near.telling`) are not compared.

    Raises:
        ConfigError: more than MAX_PAIRS are near each other.
    """
    places, words, hashes = _comparable(facts, out)
    if not len(places):
        return places, places
    # Equal hashes under equal words are one thing, told by the first of them.
    order = np.lexsort((places, hashes, words))
    places, words, hashes = places[order], words[order], hashes[order]
    new = np.append(True, (words[1:] != words[:-1]) | (hashes[1:] != hashes[:-1]))
    thing = np.cumsum(new) - 1
    firsts = places[new]
    keeper = _keepers(firsts, words[new], hashes[new], distance)
    stays = firsts[keeper[thing]]
    gone = stays != places
    by_place = np.argsort(places[gone])
    return places[gone][by_place], stays[gone][by_place]


def same_pictures(facts: pa.Table, out: Flags, joins: Mapping[str, str], project: Project) -> tuple[Places, Places]:
    """Find those that show the picture of one before, by `facts.picture_numbers`.

    Raises:
        ConfigError: a query of the user's own is wrong.
    """
    places = np.flatnonzero(~out)
    numbers = picture_numbers(facts.take(pa.array(places)), joins, project)
    places, numbers = places[numbers >= 0], numbers[numbers >= 0]
    _, first, which = np.unique(numbers, return_index=True, return_inverse=True)
    again = first[which] != np.arange(len(places))
    return places[again], places[first[which]][again]


def flat_hashes(facts: pa.Table) -> tuple[Places, near.Hashes]:
    """Return (rows, hashes): each hash of each row of FACTS that tells something of its picture."""
    column = facts["hashes"].combine_chunks()
    rows = pc.list_parent_indices(column).to_numpy(zero_copy_only=False).astype(np.int64)
    places, hashes = sound_hashes(pc.list_flatten(column))
    return rows[places], hashes


def sound_hashes(texts: pa.Array | pa.ChunkedArray) -> tuple[Places, near.Hashes]:
    """Return (places, hashes) of the texts that are hashes and tell something of their picture."""
    sound = pc.fill_null(pc.match_substring_regex(texts, "^[0-9a-fA-F]{16}$"), False)
    hashes = near.numbers(texts.filter(sound).to_pylist())
    tells = near.telling(hashes)
    return np.flatnonzero(np.asarray(sound))[tells], hashes[tells]


def _comparable(facts: pa.Table, out: Flags) -> tuple[Places, Places, near.Hashes]:
    """Return (places, numbers of words, hashes) of those of one picture that share their words with another."""
    single = [pc.fill_null(pc.equal(pc.list_value_length(facts[name]), 1), False) for name in ("shas", "hashes")]
    one = pc.and_(*single).to_numpy(zero_copy_only=False) & ~out  # what does not decode has no hash
    rows = np.flatnonzero(one)
    chosen = facts.select(["hashes", "words", "chain"]).take(pa.array(rows))
    places, hashes = sound_hashes(pc.list_element(chosen["hashes"], 0))
    keyed = pc.binary_join_element_wise(chosen["words"], chosen["chain"], "/").take(pa.array(places))
    words = pc.dictionary_encode(keyed).combine_chunks().indices.to_numpy(zero_copy_only=False).astype(np.int64)
    shared = np.bincount(words, minlength=1)[words] > 1
    return rows[places][shared], words[shared], hashes[shared]


def _keepers(places: Places, words: Places, hashes: near.Hashes, distance: int) -> Places:
    """Return for each thing the one that stays for it, itself if it does; the earlier place stays."""
    keeper = np.arange(len(places))
    found, total = [], 0
    for left, right in _near_pairs(words, hashes, distance):
        total += len(left)
        if total > MAX_PAIRS:
            raise ConfigError(f"more than {MAX_PAIRS:,} near pictures under equal words", hint="ask for fewer bits")
        earlier = np.where(places[left] < places[right], left, right)
        found.append(np.stack([earlier, left + right - earlier]))
    if not found:
        return keeper
    first, second = np.concatenate(found, 1)
    order = np.lexsort((places[first], places[second]))
    for one, other in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if keeper[one] == one and keeper[other] == other:
            keeper[other] = one
    return keeper


def _near_pairs(words: Places, hashes: near.Hashes, distance: int) -> Iterator[tuple[Places, Places]]:
    """Yield pairs of near things under equal words; `words` is ascending, and no two things are the same."""
    starts = np.flatnonzero(np.append(True, words[1:] != words[:-1]))
    sizes = np.diff(np.append(starts, len(words)))
    size = np.repeat(sizes, sizes)
    small = np.flatnonzero(size <= _SMALL)
    for step in range(1, min(_SMALL, int(sizes.max()))):
        left = small[small + step < len(words)]
        left = left[words[left + step] == words[left]]
        close = np.bitwise_count(hashes[left] ^ hashes[left + step]) <= distance
        yield left[close], left[close] + step
    for start, length in zip(starts.tolist(), sizes.tolist(), strict=True):
        if length > _SMALL:
            for one, other in near.within(hashes[start : start + length], distance):
                yield start + one, start + other
