from itertools import pairwise

import pytest
from conftest import growth
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.codecs import asv2, grit
from curate.errors import SampleError
from curate.grounding import rec, scene_graph
from curate.grounding.scene_graph import Edge, Node, Pairs, RelationTuple
from curate.sample import Grounded, Region, Relation

A, B, C = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 0.25)


def test_a_grounded_text_becomes_nodes_edges_and_tuples():
    grounded = Grounded(
        "two men hold a racket; the men",
        (
            Region("the men", (A, B), start=23, end=30),
            Region("two men", (A, B), start=0, end=7),
            Region("a racket", (C,), start=13, end=21),
        ),
        (Relation("hold", (0, 1), (4,), start=8, end=12),),
    )
    graph = scene_graph.from_grounded(grounded)
    assert graph.nodes == (Node(("two men", "the men"), A), Node(("two men", "the men"), B), Node(("a racket",), C))
    assert graph.edges == (Edge("hold", 0, 2), Edge("hold", 1, 2))
    assert graph.tuples()[1] == RelationTuple(("two men", "the men"), B, ("a racket",), C, "hold")
    assert graph.correct_format


@pytest.mark.parametrize(
    ("subjects", "objects", "edges", "correct"),
    [
        ([A], [B, C], [(0, 1), (0, 2)], True),
        ([A, B], [C], [(0, 2), (1, 2)], True),
        ([A, B], [B, C], [(0, 1), (1, 2)], True),
        ([A, B, C], [C, A], [(0, 2), (1, 0)], False),
        ([], [C], [], True),
        ([], [B, C], [], False),
        ([A, None], [B, C], [(0, 1)], True),
        ([None], [B, C], [], True),
    ],
)
def test_subjects_and_objects_pair_up(subjects, objects, edges, correct):
    graph = scene_graph.build({"a": [A], "b": [B], "c": [C]}, [Pairs("on", subjects, objects)])
    assert [(edge.subject, edge.object) for edge in graph.edges] == edges
    assert graph.correct_format is correct


def test_boxes_without_a_name():
    nameless = (Region("", (A,), start=3, end=3), Region("", (B,)), Region("", (C,)))
    graph = scene_graph.from_grounded(Grounded("on the", nameless, (Relation("on", (1,), (1,), start=0, end=2),)))
    assert graph.nodes == (Node((), A), Node((), B), Node((), C))
    assert graph.edges == (Edge("on", 1, 1),)
    assert scene_graph.build({}, [Pairs("on", [A], [A])], unnamed=("Unknown",)).nodes == (Node(("Unknown",), A),)


def test_any_codec_that_reads_the_same_gives_the_same_graph():
    text = "a red cat 猫"
    grounded = Grounded(text, (Region("cat", (A, C), start=6, end=9), Region("猫", (A,), start=10, end=11)))
    read = grit.decode(grit.encode(grounded, 9, 7), 9, 7)
    assert scene_graph.from_grounded(read) == scene_graph.from_grounded(grounded)


@pytest.mark.parametrize("index", [-1, 1, 10**30])
def test_a_relation_of_no_box_is_refused(index):
    grounded = Grounded("a", (Region("a", (A,), start=0, end=1),), (Relation("on", (0,), (index,)),))
    with pytest.raises(SampleError, match="bad_relation"):
        scene_graph.from_grounded(grounded)


# Boxes far enough apart that no two become the same integers.
grid = st.tuples(*[st.integers(0, 20)] * 4).map(
    lambda b: (min(b[0], b[2]) / 20, min(b[1], b[3]) / 20, max(b[0], b[2]) / 20, max(b[1], b[3]) / 20)
)
WORDS = "one cat 🐈 two dogs on mat"


@st.composite
def grounded_texts(draw):
    cuts = draw(st.lists(st.integers(0, len(WORDS)), min_size=2, max_size=10, unique=True).map(sorted))
    spans = draw(st.permutations(list(pairwise(cuts))))
    phrases = draw(st.integers(1, len(spans)))
    regions = [
        Region(WORDS[a:b], tuple(draw(st.lists(grid, min_size=1, max_size=3))), start=a, end=b)
        for a, b in spans[:phrases]
    ]
    before = min(region.start for region in regions)
    regions += [Region("", (draw(grid),), start=at, end=at) for at in draw(st.sets(st.integers(0, before), max_size=2))]
    regions += [Region("", tuple(draw(st.lists(grid, min_size=1, max_size=2))))]
    count = sum(len(region.boxes) for region in regions)
    places = st.lists(st.integers(0, count - 1), max_size=3).map(tuple)
    relations = [
        Relation(WORDS[a:b], draw(places), draw(places), start=a, end=b)
        for a, b in draw(st.permutations([span for span in spans[phrases:] for _ in range(2)]))
    ]
    return Grounded(WORDS, tuple(regions), tuple(relations))


@given(grounded_texts(), st.sampled_from([(1, 7), (640, 480), (333, 1000), (50, 50)]))
@settings(max_examples=60)
def test_the_graph_survives_asv2(grounded, size):
    left_out = set(asv2.uncoded(grounded))
    regions = tuple(
        Region(r.phrase, () if i in left_out else r.boxes, start=r.start, end=r.end)
        for i, r in enumerate(grounded.regions)
    )
    if asv2.uncoded_relations(grounded) or any(r.start is not None and not r.boxes for r in regions):
        return  # what is not written cannot survive
    before = scene_graph.from_grounded(Grounded(WORDS, grounded.regions, grounded.relations))
    written = asv2.encode(grounded, *size)
    read = asv2.decode(written, *size)
    graph = scene_graph.from_grounded(read)
    used = {place for edge in before.edges for place in (edge.subject, edge.object)}
    nodes = [node for place, node in enumerate(before.nodes) if node.names or place in used]
    assert scene_graph.from_grounded(asv2.decode(asv2.encode(read, *size), *size)) == graph
    assert graph.correct_format == before.correct_format
    long = max(size)
    close = [asv2.TOLERANCE * long / side for side in (*size, *size)]

    def same(one, two):
        return all(abs(a - b) <= limit for a, b, limit in zip(one, two, close, strict=True))

    def known(names):
        return tuple(name for name in names if name != "Unknown")

    told, kept = graph.tuples(), before.tuples()
    if 20 * asv2.TOLERANCE * long / min(size) < 0.4:  # boxes keep apart
        assert [(t.predicate, t.subject_names, t.object_names) for t in told] == [
            (t.predicate, t.subject_names, t.object_names) for t in kept
        ]
        named = [node for node in nodes if node.names]
        assert [node.names for node in graph.nodes if node.names] == [node.names for node in named]
        assert all(same(a.box, b.box) for a, b in zip([n for n in graph.nodes if n.names], named, strict=True))
        # The official parser reads the same edges; it takes equal predicates together.
        parsed = rec.parse(written).graph.tuples()
        # It calls boxes without a name Unknown, also where they have one elsewhere.
        plain = [(t.predicate, t.subject_names, t.object_names) for t in told]
        order = list(dict.fromkeys(relation.predicate for relation in read.relations))
        assert [(t.predicate, known(t.subject_names), known(t.object_names)) for t in parsed] == sorted(
            plain, key=lambda one: order.index(one[0])
        )
    assert len(told) == len(kept)
    assert all(
        same(t.subject_box, k.subject_box) and same(t.object_box, k.object_box) for t, k in zip(told, kept, strict=True)
    )


def test_building_is_linear():
    def build(count):
        boxes = [(float(n), 0.0, float(n), 1.0) for n in range(count)]
        names = {str(n): [box, boxes[0]] for n, box in enumerate(boxes)}
        scene_graph.build(names, [Pairs("on", boxes[:1], boxes), Pairs("by", boxes, boxes)]).tuples()

    assert growth(build, 2_000) < 24
