"""The gate: every planted picture of a benchmark is found whatever its disguise, and no other; twins come once."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from curate import schema
from curate.errors import ConfigError
from curate.io import images
from curate.io.picture import Limits
from curate.io.warehouse import Warehouse
from curate.kernels import near
from curate.kernels.phash import phash
from curate.plugins import Project
from curate.sample import ImageRef, Region, Sample, Transform, Turn
from curate.stages import twins
from curate.stages.eval_lists import EVALS, EvalList, eval_list_of_dataset
from curate.stages.facts import facts_of, picture_numbers
from curate.stages.gate import HITS, REPORT, Rules, contaminated, gated, together

PROJECT = Project("/nowhere")
PICTURES = 40
BOX = (0.1, 0.2, 0.3, 0.4)


def picture(seed, phash_text=None):
    """An ImageRef of its own bytes and hash."""
    scene = np.kron(np.random.default_rng(seed).uniform(0, 255, (8, 8)), np.ones((4, 4)))
    sha = hashlib.sha256(str(seed).encode()).hexdigest()
    return ImageRef(f"{seed}.jpg", 0, 9, sha, phash_text or phash(scene), "jpeg", 64, 48, 64, 48, 1)


def sample(name, image=None, text=None, **changes):
    shown = () if image is None else (image,)
    return replace(Sample(name, "web", 0, 0, name, images=shown, text=text or f"words {name}"), **changes)


def facts(*samples):
    return facts_of(schema.to_table(samples), PROJECT)


def listed(name="val", **columns):
    rows = max(map(len, columns.values()))
    table = pa.table({each: pa.array(columns.get(each, [None] * rows), pa.string()) for each in EVALS.names})
    return EvalList(name, table, rows, 0)


def hits(found):
    assert found.schema == HITS
    return [tuple(row.values()) for row in found.to_pylist()]


def ways(one, **columns):
    return {by for _, _, by in hits(contaminated(facts(one), [listed(**columns)], PROJECT, Rules()))}


def reasons(components, lists=(), rules=None, **options):
    found = gated(
        {name: facts(*part) for name, part in components.items()}, lists, rules or Rules(), PROJECT, **options
    )
    assert found.report.schema == REPORT
    return {name: part.to_pylist() for name, part in found.reasons.items()}, found.report.to_pylist()


# What a benchmark's picture is known by


@pytest.mark.parametrize(
    "changes",
    [
        {"source_key": "coco/train2017/000000000042.jpg"},
        {"source_key": "coco_flip/train2014/COCO_train2014_000000000042.jpg"},
        {"url": "http://images.cocodataset.org/train2017/000000000042.jpg"},
        {"source_meta": json.dumps({"image": "COCO_train2014_000000000042.jpg"})},
        {"source_meta": json.dumps({"file_name": "000000000042.jpg", "n": [1, {"image": 3}]})},
        {"source_meta": json.dumps({"image": ["1.jpg", "000000000042.jpg"]})},
        {"source_meta": json.dumps({"image": "VG_100K/7.jpg"})},
    ],
)
def test_a_number_of_a_collection(changes):
    table, joins = facts(sample("a", picture(1), **changes), sample("b", picture(2))), {"vg:7": "coco:42"}
    here = contaminated(table, [listed(picture_id=["coco:42"])], PROJECT, Rules(), joins)
    there = contaminated(table, [listed(picture_id=["vg:7"])], PROJECT, Rules(), joins)
    assert hits(here) == hits(there) == [(0, "val", "picture_id")]


@pytest.mark.parametrize(
    "meta", ["", "{", "[" * 100_000, '{"image": NaN}', '{"image": {"image": 1}}', '"\\ud800"', "null"]
)
def test_hostile_meta_names_no_picture(meta):
    assert facts(sample("a", source_meta=meta))["ids"].to_pylist() == [[]]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://x.org/a.jpg", "https://X.ORG:443/a.jpg", True),
        ("http://x.org/a.jpg?w=640", "http://x.org/a.jpg#top", True),
        ("http://x.org/a.JPG?w=640&b=/", "x.org/a.JPG", True),
        ("http://x.org/show?id=1", "http://x.org/show?id=2", False),
        ("http://x.org/show?id=1", "http://x.org:80/show?id=1#a", True),
        ("http://x.org/A.jpg", "http://x.org/a.jpg", False),
        ("http://x.org/a.jpg", "http://y.org/a.jpg", False),
        ("http://x.org/a.jpg", "http://x.org/a.png", False),
    ],
)
def test_a_url(one, other, same):
    assert ways(sample("a", url=one), url=[other]) == ({"url"} if same else set())


def test_an_empty_url_or_hash_is_no_mark():
    one = sample("a", replace(picture(1), sha256="", phash=""), url="")
    assert ways(one, url=["", "http://", " "], sha256=["", None, ""], phash=["", None, "x"]) == set()


def test_bytes_and_near_hashes():
    one = picture(1)
    assert ways(sample("a", one), sha256=[one.sha256.upper()]) == {"sha256"}
    bits = [f"{int(one.phash, 16) ^ (2**count - 1):016x}" for count in (0, 4, 5)]
    assert [ways(sample("a", one), phash=[text]) for text in bits] == [{"phash"}, {"phash"}, set()]
    mirror = int(near.mirrored(near.numbers([one.phash]))[0])
    bits = [f"{mirror ^ (2**count - 1):016x}" for count in (0, 8, 9)]
    assert [ways(sample("a", one), phash=[text]) for text in bits] == [{"mirrored"}, {"mirrored"}, set()]


def test_a_flat_picture_is_like_no_other():
    flat = picture(1, phash(np.full((32, 32), 200, np.uint8)))
    assert ways(sample("a", flat), phash=[flat.phash]) == set()


def test_any_picture_of_several_counts():
    several = replace(sample("a"), images=(picture(1), picture(2)))
    assert ways(several, sha256=[picture(2).sha256]) == {"sha256"} == ways(several, sha256=[picture(1).sha256])


def test_a_derived_sample_shows_what_its_parent_shows():
    parent, own = sample("a", picture(1)), picture(2)
    child = replace(parent, sample_id="kid", parent_id="a", transforms=(Transform("square_pad", 2),), images=(own,))
    root = Warehouse()
    root.add("all_samples", schema.to_table([parent, sample("b", picture(3))]), schema.SAMPLES)
    stranger = replace(child, sample_id="lost", parent_id="unknown")
    table = facts_of(schema.to_table([child, sample("c", picture(4)), stranger]), PROJECT, root)
    assert table["origins"].to_pylist() == [[picture(n).sha256] for n in (1, 4, 2)]
    for of_parent in ({"sha256": [picture(1).sha256]}, {"phash": [picture(1).phash]}):
        found = contaminated(table, [listed(**of_parent)], PROJECT, Rules())
        assert hits(found) == [(0, "val", next(iter(of_parent)))]


def test_only_the_ways_asked_for():
    one = sample("a", picture(1), url="http://x.org/a.jpg")
    against = listed(url=["http://x.org/a.jpg", None, None], sha256=[None, picture(1).sha256, None],
                     phash=[None, None, picture(1).phash])  # fmt: skip
    for by in (("url",), ("sha256",), ("phash",), ("url", "phash"), ()):
        found = contaminated(facts(one), [against], PROJECT, Rules(by=by))
        assert {way for _, _, way in hits(found)} == set(by)
    assert hits(contaminated(facts(one), [against], PROJECT, Rules(by=("phash",), near=None))) == []


# Real pictures


@pytest.fixture(scope="module")
def photos(shared):
    """Photographs as ingest stores them: (ImageRef, pixels)."""
    found = []
    for path in sorted((shared / "photos_coco").rglob("*.jpg"))[:PICTURES]:
        pixels = images.decode(path.read_bytes())
        found.append((stored(path.read_bytes()), pixels))
    return found


def stored(data):
    kept = images.store(data, Limits())
    sha = hashlib.sha256(kept.data).hexdigest()
    return ImageRef(f"{sha[:9]}.jpg", 0, 9, sha, kept.phash, "jpeg", kept.width, kept.height, 1, 1, 1)


def test_planted_photographs_are_found_in_every_disguise(photos):
    """Half of the photographs are the benchmark; of all, copies made worse, smaller and mirrored are in training."""
    disguises = {
        "phash": lambda pixels: images.encode_jpeg(pixels, 75),
        "phash small": lambda pixels: images.encode_jpeg(images.resize(pixels, (320, 240)), 85),
        "mirrored": lambda pixels: images.encode_jpeg(np.ascontiguousarray(pixels[:, ::-1]), 75),
    }
    half = len(photos) // 2
    against = listed(phash=[image.phash for image, _ in photos[:half]])
    for way, disguise in disguises.items():
        table = facts(*(sample(str(n), stored(disguise(pixels))) for n, (_, pixels) in enumerate(photos)))
        found = hits(contaminated(table, [against], PROJECT, Rules()))
        by = way.split()[0]
        caught = {place for place, _, how in found if how == by}
        assert len(caught) >= half - (by == "mirrored"), way
        assert {place for place, _, _ in found} <= set(range(half)), "a picture that is not in the benchmark"


def test_photographs_lie_far_apart_and_their_mirrors_near(photos):
    hashes = near.numbers([image.phash for image, _ in photos])
    flips = near.numbers([images.perceptual_hash(np.ascontiguousarray(pixels[:, ::-1])) for _, pixels in photos])
    guessed = np.bitwise_count(near.mirrored(hashes)[:, None] ^ flips)
    assert (np.diag(guessed) <= Rules().mirror).mean() >= 0.95
    assert np.diag(guessed).mean() < 5
    np.fill_diagonal(guessed, 64)
    assert guessed.min() > Rules().mirror + 2
    assert not [pair for pair in near.within(hashes, Rules().near + 4) if len(pair[0])]


def test_an_ingested_benchmark_by_name_url_bytes_and_hash(photos):
    (one, _), (two, _), (three, pixels), (four, _), *_ = photos
    benchmark = [
        Sample("e1", "refcoco_val", 0, 0, "e1", images=(one,)),
        Sample("e2", "refcoco_val", 0, 1, "COCO_val2014_000000000042.jpg", images=(two,)),
        Sample("e3", "refcoco_val", 0, 2, "e3", images=(three,)),
        Sample("e4", "refcoco_val", 0, 3, "e4", status="failed", error="http_404", url="http://x.org/4.jpg"),
    ]
    root = Warehouse()
    root.add("all_samples", schema.to_table(benchmark), schema.SAMPLES)
    flip = stored(images.encode_jpeg(np.ascontiguousarray(pixels[:, ::-1]), 75))
    training = [
        sample("a", one),
        sample("b", picture(1), source_key="vg/VG_100K/7.jpg"),
        sample("c", flip),
        sample("d", picture(2), url="https://x.org/4.jpg?size=z"),
        sample("f", four),
    ]
    found, report = reasons(
        {"web": training}, [eval_list_of_dataset(root, "refcoco_val", PROJECT)], joins={"vg:7": "coco:42"}
    )
    assert found == {"web": ["contaminated"] * 4 + [None]}
    counts = {row["by"]: row["samples"] for row in report}
    assert counts == {"any": 4, "mirrored": 1, "phash": 1, "picture_id": 1, "sha256": 1, "url": 1}


# Twins


def grounded(name, image, box=BOX, **changes):
    return sample(name, image, "a dog", regions=(Region("a dog", (box,), None, 0, 5),), **changes)


def test_duplicates_across_components_the_first_stays():
    one, two = picture(1), picture(2)
    chat = {"conversations": (Turn("human", "What?"), Turn("gpt", "A dog."))}
    found, report = reasons(
        {
            "web": [sample("a", one, "a dog"), sample("b", two, "a dog"), sample("t", None, "only words")],
            "more": [sample("c", one, "a dog"), sample("d", one, "a cat"), sample("e", one, **chat)],
            "last": [sample("f", one, **chat), sample("g", two, "a dog"), sample("h", None, "only words")],
        }
    )
    assert found == {
        "web": [None] * 3,
        "more": ["duplicate", None, None],
        "last": ["duplicate"] * 3,
    }
    counted = [tuple(row.values()) for row in report]
    assert counted == [
        ("more", "duplicate", "web", "", 1), ("last", "duplicate", "more", "", 1), ("last", "duplicate", "web", "", 2)
    ]  # fmt: skip


def test_boxes_make_a_difference_of_a_hundredth():
    one = picture(1)
    moved, nudged = (0.4, 0.2, 0.6, 0.4), (0.1001, 0.2001, 0.2999, 0.4)
    table = facts(grounded("a", one), grounded("b", one, moved), grounded("c", one, nudged), sample("d", one, "a dog"))
    places, firsts = twins.duplicates(table, np.zeros(4, bool), PROJECT)
    assert (places.tolist(), firsts.tolist()) == ([2], [0])


def test_a_mirrored_child_is_no_duplicate_of_its_parent_nor_one_without_words():
    one = picture(1)
    child = sample("kid", one, "a dog", transforms=(Transform("hflip", 2),), parent_id="a")
    folder = sample("x", one, "a dog", source_key="coco_flip/train2014/COCO_train2014_000000000042.jpg")
    nothing = [replace(sample(name), text=None) for name in "no"]
    nameless = [sample(name, replace(picture(3), sha256=""), "a dog") for name in "pq"]
    table = facts(sample("a", one, "a dog"), child, folder, *nothing, *nameless)
    places, firsts = twins.duplicates(table, np.zeros(table.num_rows, bool), PROJECT)
    assert (places.tolist(), firsts.tolist()) == ([2], [1]), "a folder of mirrored pictures says what was done"


def test_nan_boxes_are_compared_too():
    one = (float("nan"), 0.2, 0.3, float("inf"))
    table = facts(grounded("a", picture(1), one), grounded("b", picture(1), one))
    assert twins.duplicates(table, np.zeros(2, bool), PROJECT)[0].tolist() == [1]


def bits(image, count, sha):
    return replace(image, sha256=sha * 64, phash=f"{int(image.phash, 16) ^ (2**count - 1):016x}")


def test_near_duplicates_need_equal_words():
    one = picture(1)
    parts = {"web": [sample("a", one, "a dog"), sample("b", picture(2), "a dog")],
             "more": [sample("c", bits(one, 4, "c"), "a dog"), sample("d", bits(one, 4, "d"), "a cat"),
                      sample("e", bits(one, 6, "e"), "a dog"), sample("f", bits(one, 0, "f"), "a dog")]}  # fmt: skip
    found, report = reasons(parts)
    # 6 bits from the first, 2 from one that is itself dropped: it stays, no chain leads away from a picture.
    assert found == {"web": [None, None], "more": ["near_duplicate", None, None, "near_duplicate"]}
    assert [tuple(row.values()) for row in report] == [("more", "near_duplicate", "web", "", 2)]
    assert reasons(parts, rules=Rules(near_duplicates=False))[0]["more"] == [None] * 4
    assert reasons(parts, rules=Rules(near=None))[0]["more"] == [None] * 4


@pytest.mark.parametrize("small", [1, 64])
def test_near_duplicates_are_what_a_walk_finds(monkeypatch, small):
    """Many hashes under few words, against each compared with all that stay before it."""
    monkeypatch.setattr(twins, "_SMALL", small)
    rng = np.random.default_rng(small)
    images_ = []
    for number in range(300):
        flips = sum(1 << int(bit) for bit in rng.integers(0, 64, rng.integers(0, 5)))
        base = picture(number % 20)
        hashed = f"{int(base.phash, 16) ^ flips:016x}"
        images_.append(replace(base, sha256=f"{number:064x}", phash=hashed))
    samples = [sample(str(n), image, f"text {rng.integers(0, 3)}") for n, image in enumerate(images_)]
    out = rng.random(300) < 0.1
    kept, expected = [], {}
    for place, each in enumerate(samples):
        if out[place]:
            continue
        mine = int(each.images[0].phash, 16)
        close = [
            other
            for other in kept
            if samples[other].text == each.text and (int(samples[other].images[0].phash, 16) ^ mine).bit_count() <= 4
        ]
        if close:
            expected[place] = close[0]
        else:
            kept.append(place)
    places, firsts = twins.near_duplicates(facts(*samples), out, 4)
    assert dict(zip(places.tolist(), firsts.tolist(), strict=True)) == expected
    assert 50 < len(expected) < 250


def test_too_many_near_pairs_are_refused(monkeypatch):
    monkeypatch.setattr(twins, "MAX_PAIRS", 3)
    table = facts(*(sample(str(n), bits(picture(1), n % 4, str(n)), "a dog") for n in range(8)))
    with pytest.raises(ConfigError, match="near pictures"):
        twins.near_duplicates(table, np.zeros(8, bool), 4)


def test_the_same_picture_comes_once_over_all_components():
    one = picture(1)
    parts = {
        "web": [sample("a", one), sample("b", picture(2), source_key="000000000042.jpg")],
        "more": [
            sample("c", one),
            sample("d", picture(3), source_key="vg/VG_100K/7.jpg"),
            sample("e", picture(4)),
            sample("f", one, transforms=(Transform("hflip", 2),)),
            sample("t"),
            sample("u"),
        ],
    }
    drop = Rules(same_picture="drop")
    assert reasons(parts, rules=drop, joins={"vg:7": "coco:42"})[0] == {
        "web": [None, None], "more": ["same_picture", "same_picture", None, None, None, None]
    }  # fmt: skip
    assert reasons(parts)[0]["more"] == [None] * 6


def test_picture_numbers_join_bytes_and_ids_in_a_chain():
    one, two, three = picture(1), picture(2), picture(3)
    flip = (Transform("hflip", 2),)
    table = facts(
        sample("a", one),
        sample("b", one, source_key="000000000042.jpg"),
        sample("c", two, source_key="VG_100K/7.jpg"),
        sample("d", two),
        sample("e", three),
        sample("f", one, transforms=flip),
        sample("g", two, transforms=flip, source_key="COCO_train2014_000000000042.jpg"),
        replace(sample("h"), images=(one, two)),
        replace(sample("i"), images=(one, two)),
        replace(sample("j"), images=(two, one)),
        sample("k"),
    )
    joins = {"vg:7": "coco:42"}
    assert picture_numbers(table, joins, PROJECT).tolist() == [0, 0, 0, 0, 4, 5, 6, 7, 7, 9, -1]
    assert picture_numbers(table, joins, PROJECT, copies=True).tolist() == [0, 0, 0, 0, 4, 0, 0, 7, 7, 9, -1]


# The whole gate


def test_who_is_gone_already_neither_drops_nor_is_dropped():
    one, against = picture(1), listed(sha256=[picture(9).sha256])
    parts = {"web": [sample("a", one, "a dog"), sample("b", picture(9), "x")],
             "more": [sample("c", one, "a dog"), sample("d", picture(9), "x"), sample("e", one, "a dog")]}  # fmt: skip
    gone = {"web": np.array([True, True])}
    found, report = reasons(parts, [against], gone=gone)
    assert found == {"web": [None, None], "more": [None, "contaminated", "duplicate"]}
    assert {row["component"] for row in report} == {"more"}


def test_a_contaminated_sample_keeps_no_other_out():
    parts = {"web": [sample("a", picture(1), "a dog", source_key="000000000042.jpg")],
             "more": [sample("c", picture(1), "a dog")]}  # fmt: skip
    found, _ = reasons(parts, [listed(picture_id=["coco:42"])], Rules(by=("picture_id",)))
    assert found == {"web": ["contaminated"], "more": [None]}


def test_several_benchmarks_are_told_apart_and_what_can_be_known_is_told():
    one = sample("a", picture(1), source_key="000000000042.jpg")
    lists = [listed("val", picture_id=["coco:42"]), listed("crpe", sha256=[picture(1).sha256])]
    found = gated({"web": facts(one, sample("t")), "none": facts()}, lists, Rules(), PROJECT)
    told = [tuple(row.values()) for row in found.report.to_pylist()]
    assert told == [
        ("web", "contaminated", "crpe", "any", 1),
        ("web", "contaminated", "crpe", "sha256", 1),
        ("web", "contaminated", "val", "any", 1),
        ("web", "contaminated", "val", "picture_id", 1),
    ]
    assert found.known["web"] == {"picture_id": 1, "url": 0, "sha256": 1, "phash": 1}
    assert found.known["none"] == {"picture_id": 0, "url": 0, "sha256": 0, "phash": 0}
    assert found.reasons["none"].to_pylist() == []


def test_wrong_rules_are_refused():
    for rules in (Rules(by=("sha",)), Rules(near=-1), Rules(mirror=17)):
        with pytest.raises(ConfigError):
            gated({}, [], rules, PROJECT)
    with pytest.raises(ConfigError, match="two lists are named val"):
        gated({}, [listed(url=["x"]), listed(url=["y"])], Rules(), PROJECT)
    assert gated({}, [], Rules(), PROJECT).reasons == {}


def test_a_users_own_query_stands_before_the_shipped_one(tmp_path):
    folder = tmp_path / "sql" / "gate"
    folder.mkdir(parents=True)
    (folder / "duplicates.sql").write_text("select place, place as first from facts where false")
    table = facts(sample("a", picture(1), "x"), sample("b", picture(1), "x"))
    assert twins.duplicates(table, np.zeros(2, bool), Project(str(tmp_path)))[0].tolist() == []
    (folder / "duplicates.sql").write_text("selec")
    with pytest.raises(ConfigError):
        twins.duplicates(table, np.zeros(2, bool), Project(str(tmp_path)))


def test_places_are_counted_through():
    both = together({"a": facts(sample("a"), sample("b")), "b": facts(sample("c"))})
    assert both["place"].to_pylist() == [0, 1, 2]
