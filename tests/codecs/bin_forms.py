"""What the forms of `curate.grounding.bins` are tested by: texts, spans and boxes at random, and a watch on time."""

import time

from conftest import growth
from hypothesis import strategies as st

from curate.errors import SampleError
from curate.sample import Box, Grounded, Region

SIZES = [(1, 7), (640, 480), (333, 1000), (1, 1), (4000, 3)]

WORDS = st.text(st.sampled_from("ab   ,<>/|;[]()0字م🎈‍\n"), max_size=24) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=24
)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    edge = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, 1 / 32, 31 / 32, 0.999, 0.9995, 1e-9])
    x1, x2 = sorted((draw(edge), draw(edge)))
    y1, y2 = sorted((draw(edge), draw(edge)))
    return x1, y1, x2, y2


@st.composite
def grounded(draw: st.DrawFn) -> Grounded:
    """A text with spans that may overlap, repeat, be empty (a bare box), lie outside, or begin with a space."""
    text = draw(WORDS)
    regions = []
    for _ in range(draw(st.integers(0, 5))):
        start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text) + 1))))
        some = tuple(draw(st.lists(boxes(), min_size=1, max_size=3)))
        regions.append(Region(text[start:end], some, start=start, end=end))
    return Grounded(text, tuple(regions))


def close(one: tuple[Box, ...], other: tuple[Box, ...], tolerance: float) -> bool:
    pairs = [(a, b) for old, new in zip(one, other, strict=True) for a, b in zip(old, new, strict=True)]
    return all(abs(a - b) <= tolerance for a, b in pairs)


def comes_back(codec, before: Grounded, size: tuple[int, int]) -> bool:
    """Assert that a form with text and spans gives back what it held; return whether it could be written."""
    try:
        written = codec.encode(before, *size)
    except SampleError as error:
        assert error.code == "reserved_tag"
        return False
    after = codec.decode(written, *size)
    assert after.text == before.text
    assert codec.encode(after, *size) == written
    assert codec.decode(codec.encode(after, *size), *size) == after
    told: dict[tuple[int, int], tuple[Box, ...]] = {}
    for index, region in enumerate(before.regions):
        if index not in codec.uncoded(before):
            told[region.start, region.end] = told.get((region.start, region.end), ()) + region.boxes
    assert sorted((r.start, r.end) for r in after.regions) == sorted(told)
    for region in after.regions:
        assert region.phrase == before.text[region.start : region.end]
        assert close(told[region.start, region.end], region.boxes, codec.TOLERANCE)
    return True


def phrases_come_back(codec, before: Grounded, size: tuple[int, int], merges: bool) -> bool:
    """Assert that a form of phrases alone gives them back; `merges`: neighbours of one phrase become one."""
    try:
        written = codec.encode(before, *size)
    except SampleError as error:
        assert error.code == "reserved_tag"
        return False
    after = codec.decode(written, *size)
    assert after.text == ""
    assert codec.encode(after, *size) == written
    assert codec.decode(codec.encode(after, *size), *size) == after
    told: list[tuple[object, str, tuple[Box, ...]]] = []
    kept = [r for i, r in enumerate(before.regions) if i not in codec.uncoded(before)]
    for span in dict.fromkeys((r.start, r.end) for r in kept):
        some = tuple(box for r in kept if (r.start, r.end) == span for box in r.boxes)
        phrase = next(r.phrase for r in kept if (r.start, r.end) == span)
        if told and told[-1][1] == phrase and (merges or not phrase):
            told[-1] = (None, phrase, told[-1][2] + some)
        else:
            told.append((None, phrase, some))
    assert [r.phrase for r in after.regions] == [phrase for _, phrase, _ in told]
    for region, (_, _, some) in zip(after.regions, told, strict=True):
        assert close(some, region.boxes, codec.TOLERANCE)
    return True


def reading_grows(codec, before: str, unit: str, after: str, megabytes: float = 10) -> float:
    """Return how much longer eight times the text takes, the longer being of so many megabytes."""

    def read(count: int) -> None:
        try:
            codec.decode(before + unit * count + after, 640, 480)
        except SampleError as error:
            assert error.code == f"bad_{codec.__name__.rsplit('.', 1)[-1]}"
            assert len(error.detail) < 400

    return growth(read, int(megabytes * 1e6 / len(unit) / 32))


def boxes_per_second(codec, count: int = 2000) -> float:
    """Return how many boxes of captions with five phrases a second of the processor writes."""
    text = "a red circle to the left of a blue square and a dog with a cat under the old wooden table in the rain"
    places = [text.index(word) for word in ("red", "blue", "dog", "cat", "table")]
    sizes = [len(word) for word in ("red", "blue", "dog", "cat", "table")]
    regions = tuple(
        Region(text[at : at + size], ((0.1, 0.2, 0.3 + at / 200, 0.77),), None, at, at + size)
        for at, size in zip(places, sizes, strict=True)
    )
    one = Grounded(text, regions)
    best = 0.0
    for _ in range(3):
        begun = time.process_time()
        for _ in range(count):
            codec.encode(one, 640, 480)
        best = max(best, count * 5 / (time.process_time() - begun))
    return best
