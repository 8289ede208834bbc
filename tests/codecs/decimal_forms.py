"""What the forms whose boxes are decimals in brackets have in common: samples to write, and what must come back."""

import pytest
from hypothesis import strategies as st

from curate.errors import SampleError
from curate.sample import Grounded, Region

SIZES = [(640, 480), (480, 640), (1, 7), (7, 1), (333, 1000), (501, 300), (300, 300), (1, 1)]

unit = st.floats(0, 1)
boxes = st.tuples(unit, unit, unit, unit).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)
words = st.text(st.sampled_from("ab ,;.\n[]<>/05é🎈שלום猫"), max_size=30) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=30
)


@st.composite
def grounded(draw):
    text = draw(words)
    place = st.integers(-1, len(text) + 1)
    spans = draw(st.lists(st.tuples(place, place), max_size=5))
    some = st.lists(boxes, min_size=1, max_size=3).map(tuple)
    return Grounded(text, tuple(Region(text[max(a, 0) : b], draw(some), start=a, end=b) for a, b in spans))


def one(box, text="cat", start=0):
    return Grounded(text, (Region(text[start:], (box,), start=start, end=len(text)),))


def comes_back(codec, sample, size, apart):
    try:
        written = codec.encode(sample, *size)
    except SampleError as error:
        assert error.code == "reserved_tag"
        return
    read = codec.decode(written, *size)
    assert read.text == sample.text
    missing = codec.uncoded(sample)
    told = sorted((r.start, r.end, i) for i, r in enumerate(sample.regions) if i not in missing)
    before = [(r, box) for r in (sample.regions[i] for *_, i in told) for box in r.boxes]
    after = [(r, box) for r in read.regions for box in r.boxes]
    assert [r.end for r, _ in before] == [r.start for r, _ in after]
    assert all(r.start == r.end and r.phrase == "" for r, _ in after)
    for (_, old), (_, new) in zip(before, after, strict=True):
        assert apart(old, new, size) <= codec.TOLERANCE
    assert codec.encode(read, *size) == written
    assert codec.decode(codec.encode(read, *size), *size) == read


def share_a_mark(codec):
    a, b, c = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), (0.0, 0.5, 1.0, 1.0)
    regions = (
        Region("cat", (a,), start=2, end=5),
        Region("", (b, c), start=5, end=5),
        Region("a", (a,), start=3, end=4),
        Region("cat", (a,)),
        Region("a", (), start=0, end=1),
    )
    sample = Grounded("a cat", regions)
    assert codec.uncoded(sample) == (2, 3, 4)
    (region,) = codec.decode(codec.encode(sample, 10, 10), 10, 10).regions
    assert (region.start, region.end, len(region.boxes)) == (5, 5, 3)


def check_rounded_edges(codec, size, halves, decimals, beyond):
    """A box at the picture's edges, rounded in the padded frame, is cut to it; `beyond` units further it is refused.

    Some writers centre the picture to half a pixel (`halves` 2) before they round: the far edge then is beyond.
    """
    side = max(size)
    left, top = ((side - length) * halves // 2 / halves for length in size)
    edges = [round(v / side, decimals) for v in (left, top, left + size[0], top + size[1])]
    text = "a cat [{}, {}, {}, {}]"
    box = codec.decode(text.format(*edges), *size).regions[0].boxes[0]
    near = [codec.TOLERANCE * side / length + 0.5 / length for length in size] * 2
    assert all(0 <= v <= 1 and abs(v - at) <= by for v, at, by in zip(box, (0, 0, 1, 1), near, strict=True))
    for place in range(4):
        if size[place % 2] == side:
            continue
        far = list(edges)
        far[place] = round(far[place] + (-1 if place < 2 else 1) * beyond * 10**-decimals, decimals)
        with pytest.raises(SampleError, match="a box in the padding"):
            codec.decode(text.format(*far), *size)
