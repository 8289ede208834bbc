import hashlib
import io
import json
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps
from real_world import SCORE, Planted, RealWorld, lay_out, serving

import curate
from curate.augmenters.square_pad import FILL_RGB
from curate.codecs import asv2
from curate.driver import Where
from curate.errors import SampleError
from curate.io import images
from curate.kernels import rle
from curate.pipeline import Run, run
from curate.plugins import Project
from curate.results import JobResult

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]

CLIP = (Path(curate.__file__).parent / "demo/tiny_clip/weights.safetensors").is_file()
MIN_CLIP = -0.75  # the toy model knows simple shapes: what it says of photographs is noise, and only noise
MIN_AREA, MAX_AREA = 0.0005, 0.95
MAX_SIDE = {"real_cc12m": 1024, "real_grit": 512, "real_sa1b": 1024}
JOBS = {
    "real_captions": """
from: real_cc12m
ingest: {max_side: 1024}
score: [CLIP]
keep:
  unique_pictures:
  ALIGNED
augment: [hflip]
seed: 7
""",
    "real_grounded": f"""
from: real_grit
ingest: {{max_side: 512, min_side: 32}}
score: [box_stats, CLIP, REGIONS]
keep:
  has_boxes:
  good_boxes: {{min_area: {MIN_AREA}, max_area: {MAX_AREA}, min_score: 0.65, max_out_of_frame: 0.01,
                max_duplicate_iou: 0.95}}
  ALIGNED
augment: [square_pad, hflip, [square_pad, hflip]]
seed: 7
""",
    "real_masks": """
from: real_sa1b
ingest: {max_side: 1024, min_side: 4}
score: [box_stats]
keep:
  has_boxes:
  unique_pictures:
  good_boxes: {min_area: 0.0, max_area: 1.0, min_score: 0.5, max_out_of_frame: 0.01, max_duplicate_iou: 1.0}
augment: [square_pad, hflip]
seed: 7
""",
    "real_mix": """
mix:
  captions:      {from: jobs/real_captions, epochs: 1}
  captions_flip: {from: jobs/real_captions, derived: hflip, epochs: 1}
  grounded:      {from: jobs/real_grounded, epochs: 1}
  grounded_pad:  {from: jobs/real_grounded, derived: square_pad, epochs: 1}
  grounded_flip: {from: jobs/real_grounded, derived: hflip, epochs: 1}
tokens: {model: llava-1.5-336, tokenizer: clip, max: 2048}
pack: {length: 4096}
export: {as: llava_json, codec: asv2, file: real.json}
seed: 7
""",
}
RECIPES = {"real_captions": 1, "real_grounded": 3, "real_masks": 2}
UNREADABLE = {"empty", "not_image", "too_many_pixels", "truncated", "corrupt"}
BROKEN_SEQUENCES = {"chunk_no_fctl.png", "truncated_end_chunk.png"}
"""PNGs whose first frame Pillow shows when it is asked again after its error: the picture list did, ingest does not."""
LUMA = (0.299, 0.587, 0.114)
SIDES = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class Done:
    """The real world after its jobs: every row of the samples and of the children, and the verdicts."""

    world: RealWorld
    project: Path
    root: Path
    jobs: dict[str, JobResult]
    samples: dict[str, dict]
    children: dict[str, dict]
    reasons: dict[str, str | None]

    def ok(self, dataset: str) -> list[tuple[Planted, dict]]:
        """Return the stored rows of a dataset, each with what was laid out."""
        good = (row for row in self.samples.values() if row["dataset"] == dataset and row["status"] == "ok")
        return [(self.world.rows[dataset, row["source_key"]], row) for row in good]

    def kept(self, dataset: str) -> list[tuple[Planted, dict]]:
        return [(planted, row) for planted, row in self.ok(dataset) if self.reasons[row["sample_id"]] is None]

    def made(self, recipe: str) -> Iterator[tuple[dict, dict]]:
        """Yield (parent, child) of a recipe."""
        for child in self.children.values():
            if child["status"] == "ok" and child["recipe"] == recipe:
                yield self.samples[child["parent_id"]], child

    def tar(self, row: dict) -> Path:
        folder = f"augmented/{row['digest']}" if row["parent_id"] else "images"
        return self.root / row["dataset"] / folder / f"{row['shard']:05d}.tar"

    def data(self, row: dict) -> bytes:
        """Return the stored bytes of a sample or a child, read as its row says."""
        image = row["images"][0]
        with self.tar(row).open("rb") as tar:
            tar.seek(image["offset"])
            return tar.read(image["size"])

    def pixels(self, row: dict) -> np.ndarray:
        with Image.open(io.BytesIO(self.data(row))) as picture:
            return np.asarray(picture.convert("RGB")).astype(float)


class _Silent:
    def phase(self, *told: object) -> None:
        pass

    def shard(self, report: object) -> None:
        pass

    def note(self, text: str) -> None:
        pass


@pytest.fixture(scope="module")
def done(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("real")
    project, root = folder / "project", folder / "root"
    with serving(shared) as url:
        world = lay_out(shared, project, url)
        _write_jobs(project / "jobs")
        asked = Run(str(root), Project(str(project)), Where("inline"))
        results = [run(name, asked, _Silent()) for name in ("real_masks", "real_mix")]
    assert all(result.ok() for result in results)
    jobs = {job.job: job for result in results for job in result.jobs}
    samples = {row["sample_id"]: row for row in _rows(root, "*/samples/*.parquet")}
    children = {row["sample_id"]: row for row in _rows(root, "*/augmented/*/*.parquet")}
    reasons: dict[str, str | None] = {}
    for verdict in sorted(_rows(root, "*/decisions/*/*.parquet"), key=lambda verdict: verdict["place"]):
        reasons[verdict["sample_id"]] = reasons.get(verdict["sample_id"]) or verdict["reason"]
    return Done(world, project, root, jobs, samples, children, reasons)


def _write_jobs(folder: Path) -> None:
    folder.mkdir()
    for name, text in JOBS.items():
        words = {"CLIP": "clip_similarity: {model: tiny}", "REGIONS": "region_similarity: {model: tiny}"}
        text = text.replace("ALIGNED", f"aligned: {{min_clip: {MIN_CLIP}}}" if CLIP else "")
        for word, scorer in words.items():
            text = text.replace(word, scorer) if CLIP else re.sub(rf"(, )?\b{word}\b", "", text)
        (folder / f"{name}.yaml").write_text(text.lstrip())


def _rows(root: Path, pattern: str) -> list[dict]:
    return [row for path in sorted(root.glob(pattern)) for row in pq.read_table(path).to_pylist()]


def _xyxy(boxes: list[dict]) -> np.ndarray:
    return np.array([[box[name] for name in ("x0", "y0", "x1", "y1")] for box in boxes]).reshape(-1, 4)


def _boxes(row: dict) -> np.ndarray:
    return np.concatenate([np.zeros((0, 4)), *(_xyxy(region["boxes"]) for region in row["regions"])])


def _size(row: dict) -> np.ndarray:
    return np.array([row["images"][0]["width"], row["images"][0]["height"]] * 2)


def _upright(path: Path, max_side: int) -> Image.Image:
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    longest = max(picture.size)
    size = tuple(round(side * max_side / longest) for side in picture.size) if longest > max_side else picture.size
    return picture.resize(size, Image.Resampling.BICUBIC)


def _jpeg(picture: Image.Image) -> np.ndarray:
    """Return the pixels of a picture once it went through a JPEG of the quality that is stored."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=95)
    with Image.open(out) as again:
        return np.asarray(again.convert("RGB")).astype(float)


def _picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels.astype(np.uint8))


def _chosen(child: dict) -> bool:
    """Tell whether the pixels of a child are compared too: every other one, as it takes its time."""
    return int(child["sample_id"], 16) % 2 == 0


def test_every_row_of_the_inputs_has_one_end(done):
    project, inputs = done.project, {}
    inputs["real_cc12m"] = len((project / "cc12m.tsv").read_bytes().splitlines())
    inputs["real_grit"] = sum(pq.read_metadata(path).num_rows for path in project.glob("coyo_*.parquet"))
    stems = set()
    for path in project.glob("*.tar"):
        with tarfile.open(path) as tar:
            stems |= {(path, Path(name).stem) for name in tar.getnames()}
    inputs["real_sa1b"] = len(stems)
    assert Counter(row["dataset"] for row in done.samples.values()) == inputs
    assert {(row["dataset"], row["source_key"]) for row in done.samples.values()} == done.world.rows.keys()
    for row in done.samples.values():
        if row["status"] == "ok":
            assert row["error"] is None and len(row["images"]) == 1 and row["sample_id"] in done.reasons
        else:
            assert row["status"] == "failed" and row["error"] and not row["images"]
            assert row["sample_id"] not in done.reasons


def test_the_books_agree_with_a_count_of_the_rows(done):
    for name, recipes in RECIPES.items():
        job = done.jobs[name]
        books = {stage.stage: stage for stage in job.books}
        rows = [row for row in done.samples.values() if row["dataset"] == job.dataset]
        ids = [row["sample_id"] for row in rows if row["status"] == "ok"]
        dropped = Counter(done.reasons[one] for one in ids if done.reasons[one])
        kept = len(ids) - dropped.total()
        ingest, chosen, augment = books["ingest"], books["filter"], books["augment"]
        assert (ingest.rows_in, ingest.rows_out) == (len(rows), len(ids))
        assert ingest.lost == Counter(row["error"] for row in rows if row["error"])
        assert (chosen.rows_in, chosen.rows_out, chosen.lost) == (len(ids), kept, dropped)
        children = [row for row in done.children.values() if row["dataset"] == job.dataset]
        refused = Counter(row["error"] for row in children if row["status"] != "ok")
        assert len(children) == augment.rows_in == kept * recipes
        assert augment.lost == refused and augment.rows_out == len(children) - refused.total()


def test_what_was_laid_out_decides_how_a_row_ends(done):
    ends = {"dead": "http_404", "no_picture": "no_picture", "no_annotation": "no_annotation"}
    for row in done.samples.values():
        planted = done.world.rows[row["dataset"], row["source_key"]]
        if planted.kind != "broken":
            assert row["error"] == ends.get(planted.kind), (planted.kind, row["error_detail"])


def test_broken_pictures_fail_by_name_or_open(done, shared):
    wrong = set()
    for planted in done.world.of("broken"):
        [row] = [row for row in done.samples.values() if row["source_key"] == planted.key]
        assert row["error"] in UNREADABLE | {None}, planted.file
        if (row["status"] == "ok") is not done.world.opens.get(str(planted.file.relative_to(shared)), False):
            wrong.add(planted.file.name)
        try:
            again = images.store(planted.file.read_bytes(), images.Limits(max_side=MAX_SIDE["real_cc12m"]))
            assert hashlib.sha256(again.data).hexdigest() == row["images"][0]["sha256"]
        except SampleError as error:
            assert error.code == row["error"]
    assert wrong <= BROKEN_SEQUENCES


def test_every_stored_picture_lies_where_its_row_says_and_is_upright(done):
    told, found = {}, {}
    for row in [*done.samples.values(), *done.children.values()]:
        for image in row["images"]:
            told.setdefault(done.tar(row), {})[image["member"]] = (image["offset"], image["size"])
            data = done.data(row)
            assert len(data) == image["size"] and hashlib.sha256(data).hexdigest() == image["sha256"]
            with Image.open(io.BytesIO(data)) as picture:
                picture.load()
                assert picture.size == (image["width"], image["height"])
                assert picture.getexif().get(0x0112, 1) == 1
                assert max(picture.size) <= MAX_SIDE[row["dataset"]]
    for path in done.root.rglob("*.tar"):
        with tarfile.open(path) as tar:
            found[path] = {member.name: (member.offset_data, member.size) for member in tar}
    assert found == told


def test_pictures_that_will_do_are_stored_as_they_came(done):
    stored = [(planted, row) for planted, row in done.ok("real_cc12m") if planted.kind in ("captioned", "second")]
    assert len(stored) == 90
    assert all(done.data(row) == planted.file.read_bytes() for planted, row in stored)


def test_turned_photographs_are_stored_as_a_viewer_shows_them(done):
    seen = set()
    for planted, row in done.ok("real_cc12m"):
        if planted.kind != "exif":
            continue
        with Image.open(planted.file) as picture:
            size, orientation = picture.size, picture.getexif().get(0x0112, 1)
        image = row["images"][0]
        assert (image["source_width"], image["source_height"]) == size
        assert image["exif_orientation"] == (orientation if orientation in range(1, 9) else 1)
        expected, found = _upright(planted.file, 1024), done.pixels(row)
        assert expected.size == (image["width"], image["height"])
        assert np.abs(found - np.asarray(expected)).mean() < 3, planted.file
        for other in (expected.transpose(turn) for turn in Image.Transpose):
            if other.size == expected.size and orientation > 1:
                assert np.abs(found - np.asarray(other)).mean() > 20, planted.file
        seen.add(image["exif_orientation"])
    assert seen == set(range(1, 9))


def test_boxes_of_captions_stay_on_what_they_named(done):
    count = 0
    for planted, row in done.kept("real_grit"):
        assert row["text"] == planted.text
        scale = _size(row) / np.array([*planted.size_wh, *planted.size_wh])
        by_span = {(region["start"], region["end"]): region for region in row["regions"]}
        spans = {(p.start, end): p.boxes for p in planted.phrases for end in (p.end, p.wider)}
        assert by_span.keys() == spans.keys()
        for span, boxes in spans.items():
            assert by_span[span]["phrase"] == planted.text[slice(*span)] and by_span[span]["score"] == SCORE
            px = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes]) * scale
            assert np.abs(_xyxy(by_span[span]["boxes"]) * _size(row) - px).max() <= 0.5
            count += len(boxes)
        original = _upright(planted.file, MAX_SIDE["real_grit"])
        scaled = original.size != planted.size_wh
        expected = _jpeg(original) if scaled else np.asarray(original)
        # Scaled pictures are averages of areas, here cubic ones: a pixel beside its place would be far more off.
        assert np.abs(done.pixels(row) - expected).mean() < (6 if scaled else 0.5)
    assert count > 300


def test_boxes_of_masks_stay_around_them(done):
    count = 0
    for planted, row in done.kept("real_sa1b"):
        scale = _size(row) / np.array([*planted.size_wh, *planted.size_wh])
        px = np.array([(x, y, x + w, y + h) for x, y, w, h in planted.boxes]) * scale
        assert np.abs(_boxes(row) * _size(row) - px).max() <= 0.5
        for box, meta in zip(planted.boxes, json.loads(row["source_meta"])["annotations"], strict=True):
            assert meta["size"] == [planted.size_wh[1], planted.size_wh[0]]
            mask = rle.decode(meta["counts"], tuple(meta["size"]))
            ys, xs = np.nonzero(mask)
            tight = xs.min(), ys.min(), xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()
            assert tight == rle.bbox(meta["counts"], tuple(meta["size"]))
            assert np.abs(np.subtract(tight, box)).max() <= 2
            count += 1
    assert count > 250


def test_reasons_of_boxes_follow_from_the_annotations(done):
    seen = Counter()
    for planted, row in done.ok("real_grit"):
        shares = [w * h / np.prod(planted.size_wh) for phrase in planted.phrases for _, _, w, h in phrase.boxes]
        reason = None if shares else "no_boxes"
        if shares:
            reason = "box_too_small" if min(shares) < MIN_AREA else "box_too_large" if max(shares) > MAX_AREA else None
        found = done.reasons[row["sample_id"]]
        assert found == reason or (reason is None and found in ("clip_low", "box_duplicate", "box_out_of_frame"))
        seen[reason] += 1
    assert set(seen) == {None, "no_boxes", "box_too_small", "box_too_large"}
    toys = {row["source_key"]: done.reasons[row["sample_id"]] for p, row in done.ok("real_sa1b") if p.kind == "toy"}
    assert toys == {"sa_000001/a": "box_score_low", "sa_000001/b": "box_inverted"}


def test_a_picture_is_kept_once(done):
    for dataset in ("real_cc12m", "real_sa1b"):
        copies = defaultdict(list)
        for _, row in sorted(done.ok(dataset), key=lambda pair: (pair[1]["shard"], pair[1]["row"])):
            copies[row["images"][0]["sha256"]].append(done.reasons[row["sample_id"]])
        assert all(first != "duplicate_picture" for first, *_ in copies.values())
        assert all(set(others) <= {"duplicate_picture"} for _, *others in copies.values())


def test_flipped_children_mirror_pixels_boxes_and_words(done):
    swapped = 0
    for parent, child in done.made("hflip"):
        if _chosen(child):
            _no_further_than_a_jpeg(done.pixels(child), ImageOps.mirror(_picture(done.pixels(parent))))
        x0, y0, x1, y1 = _boxes(parent).T
        assert np.allclose(_boxes(child), np.stack([1 - x1, y0, 1 - x0, y1], axis=1), atol=1e-12)
        for region in child["regions"]:
            assert not region["phrase"] or region["phrase"] == child["text"][region["start"] : region["end"]]
        if parent["text"] is not None:
            assert child["text"] == _mirrored(parent["text"])
            swapped += child["text"] != parent["text"]
    assert swapped > 20


def _no_further_than_a_jpeg(found: np.ndarray, wanted: Image.Image) -> None:
    """What was mirrored in its coefficients is nearer to the truth than what was encoded anew, never further."""
    truth = np.asarray(wanted, float)
    assert np.abs(found - truth).mean() <= np.abs(_jpeg(wanted) - truth).mean() + 0.1


def _mirrored(text: str) -> str:
    """Return what a person would write: made sentences tell sides, real captions do with one exception."""
    if text.startswith("a photo") or "his right hand" in text:
        return re.sub(r"\b(left|right)\b", lambda match: SIDES[match[0]], text)
    return text


def test_words_and_boxes_agree_about_sides(done):
    sides = Counter()
    for row in [*(row for _, row in done.kept("real_grit")), *done.children.values()]:
        for region in row["regions"] if row["status"] == "ok" and row["dataset"] == "real_grit" else ():
            found = re.search(r" on the (left|right)$", region["phrase"])
            if found:
                middle = _xyxy(region["boxes"])[0, [0, 2]].mean()
                assert middle < 0.5 if found[1] == "left" else middle > 0.5
                sides[found[1]] += 1
    assert min(sides["left"], sides["right"]) > 100


def test_refused_flips_have_a_reason_in_their_words(done):
    refused = [child for child in done.children.values() if child["status"] != "ok"]
    assert refused and {child["error"] for child in refused} <= {"flip_text", "flip_directional", "flip_unclear"}
    assert all(re.search(r"clock|sign|book|left|right|letter|word|map|logo", c["text"]) for c in refused)


def test_padded_children_show_the_same_in_every_box(done):
    count = 0
    for parent, child in done.made("square_pad"):
        width, height = _size(parent)[:2]
        side = max(width, height)
        dx, dy = (side - width) // 2, (side - height) // 2
        assert tuple(_size(child)[:2]) == (side, side)
        old, new = _boxes(parent) * _size(parent), _boxes(child) * side
        assert np.allclose(new, old + np.array([dx, dy, dx, dy]), atol=1e-6)
        if not _chosen(child):
            continue
        before, after = done.pixels(parent), done.pixels(child)
        padded = Image.new("RGB", (side, side), FILL_RGB)
        padded.paste(_picture(before), (dx, dy))
        _no_further_than_a_jpeg(after, padded)
        for x0, y0, x1, y1 in np.round(old).astype(int):
            inside = before[y0:y1, x0:x1]
            moved = after[y0 + dy : y1 + dy, x0 + dx : x1 + dx]
            if inside.size and min(inside.shape[:2]) >= 8:
                assert np.abs((inside - moved) @ LUMA).mean() < 6  # colour is stored at half the resolution
                count += 1
    assert count > 200


def test_a_chain_moves_boxes_as_its_affine_says(done):
    count = 0
    for parent, child in done.made("square_pad+hflip"):
        a, b, c, d, e, f = child["affine"]
        assert (b, d) == (0, 0) and [step["name"] for step in child["transforms"]] == ["square_pad", "hflip"]
        x0, y0, x1, y1 = (_boxes(parent) * _size(parent)).T
        px = np.stack([np.minimum(a * x0 + c, a * x1 + c), e * y0 + f, np.maximum(a * x0 + c, a * x1 + c), e * y1 + f])
        assert np.allclose(_boxes(child) * _size(child), px.T, atol=1e-6)
        count += 1
    assert count > 50


def test_the_export_says_what_the_samples_say(done):
    exported = done.jobs["real_mix"].facts["export"]
    folder = Path(exported["folder"])
    records = json.loads((folder / "real.json").read_text(encoding="utf-8"))
    rows = {**done.samples, **done.children}
    assert len(records) == exported["records"] == done.jobs["real_mix"].facts["samples"] > 300
    count = 0
    for record in records:
        row = rows[record["id"]]
        assert hashlib.sha256((folder / record["image"]).read_bytes()).hexdigest() == row["images"][0]["sha256"]
        human, gpt = record["conversations"]
        assert (human["from"], gpt["from"]) == ("human", "gpt") and human["value"].startswith("<image>\n")
        count += _decodes(gpt["value"], row)
    assert count > 500


def _decodes(value: str, row: dict) -> int:
    """Check that the written boxes are those of the row, the longest phrase of each place, and count them."""
    width, height = _size(row)[:2].tolist()
    grounded = asv2.decode(value, width, height)
    longest = {}
    for region in row["regions"]:
        if region["end"] > longest.get(region["start"], region)["end"] or region["start"] not in longest:
            longest[region["start"]] = region
    assert grounded.text == row["text"]
    assert [(one.start, one.end) for one in grounded.regions] == [(s, longest[s]["end"]) for s in sorted(longest)]
    size, side = np.array([width, height, width, height]), max(width, height)
    padded = []
    for one in grounded.regions:
        boxes = np.clip(_xyxy(longest[one.start]["boxes"]), 0, 1)
        assert np.all(np.abs(np.array(one.boxes) - boxes) <= asv2.TOLERANCE * side / size)
        padded += ((boxes * size + (side - size) // 2) / side * 999).tolist()
    # What the form means, without the codec: 0 to 999 of the padded square, truncated at most twice.
    written = [box for boxes in re.findall(r"<box>(.*?)</box>", value) for box in json.loads(boxes)]
    off = np.array(padded) - np.array(written)
    assert np.all((off > -1e-6) & (off < 2))
    return len(padded)


def test_any_duckdb_reads_the_samples(done):
    found = duckdb.connect().execute(
        "select dataset, status, count(*), count(distinct sample_id) from read_parquet(?) group by all",
        [f"{done.root}/*/samples/*.parquet"],
    )
    counts = Counter((row["dataset"], row["status"]) for row in done.samples.values())
    assert {(dataset, status): (rows, ids) for dataset, status, rows, ids in found.fetchall()} == {
        key: (count, count) for key, count in counts.items()
    }


@pytest.mark.skipif(not CLIP, reason="the toy model has no weights here")
def test_scores_stand_beside_every_sample_and_decide(done):
    scores = {row["sample_id"]: row for row in _rows(done.root, "*/scores/clip_similarity-*/*.parquet")}
    good = {row["sample_id"] for d in ("real_cc12m", "real_grit") for _, row in done.ok(d)}
    assert scores.keys() == good
    low = {one for one, row in scores.items() if row["clip_similarity"] < MIN_CLIP}
    assert {one for one, reason in done.reasons.items() if reason == "clip_low"} <= low
    assert not low & {one for one, reason in done.reasons.items() if reason is None}
    regions = _rows(done.root, "*/scores/region_similarity-*/*.parquet")
    with_boxes = {row["sample_id"] for _, row in done.ok("real_grit") if len(_boxes(row))}
    assert {row["sample_id"] for row in regions if not np.isnan(row["min_region_similarity"])} == with_boxes
    assert all(-1 <= row["min_region_similarity"] <= 1 for row in regions if row["sample_id"] in with_boxes)
