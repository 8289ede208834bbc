"""Real pictures, captions and boxes laid out as CC12M, GRiT and SA-1B; the pictures are served where they lie."""

import csv
import functools
import http.server
import json
import random
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from curate.io.tars import write_tar
from curate.kernels import rle

COCO = "photos_coco/developer0hye__COCO128"
PANOPTIC = "photos_coco/lightly-ai__coco128_yolo/panoptic_segmentation/annotations"
MINI = "photos_coco_captions/Obmutescence__COCO-MINI"
VOC = "photos_voc/rafaelpadilla__review_object_detection_metrics/data/database"
AS1B = "photos_sa1b/Weiyun1025__All-Seeing-Dataset-Browser"
PANOPTIC_API = "photos_panoptic/cocodataset__panopticapi/sample_data"
DATUMARO = "annotations/sa1b_format/openvinotoolkit__datumaro/tests/assets/segment_anything_dataset"
LONE_PICTURE = "photos_misc/facebookresearch__segment-anything/notebooks/images/truck.jpg"

BROKEN = 200
SECOND_CAPTIONS = 10
MASK_PICTURES = 20
MASKS = 20
"""Boxes taken of one AS-1B picture: a mask of three million pixels takes its time to encode."""
PHRASES = 5
SCORE = 0.9

# What captions call a COCO category, beside its own name: for one of it, and for several.
_ONE = {"person": "man|woman|boy|girl|lady|guy", "airplane": "plane|jet", "motorcycle": "motorbike", "tv": "television"}
_MANY = {"person": "people|men|women|children|kids", "airplane": "planes|jets", "bus": "buses", "sheep": "sheep"}

PxBox = tuple[float, float, float, float]
"""x, y, width, height in pixels of the original picture, as COCO writes it."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words of a caption that name boxes; `wider` is the end of the referring expression that begins there."""

    start: int
    end: int
    wider: int
    boxes: tuple[PxBox, ...]


@dataclass(frozen=True, slots=True)
class Planted:
    """One source row as it was laid out; `file` is its picture, None where there is none."""

    dataset: str
    key: str
    kind: str
    file: Path | None
    text: str | None = None
    size_wh: tuple[int, int] | None = None
    phrases: tuple[Phrase, ...] = ()
    boxes: tuple[PxBox, ...] = ()


@dataclass(frozen=True, slots=True)
class RealWorld:
    """The rows of all datasets by (dataset, source key), and what the picture list says of the broken files."""

    rows: dict[tuple[str, str], Planted]
    opens: dict[str, bool]

    def of(self, kind: str) -> list[Planted]:
        return [row for row in self.rows.values() if row.kind == kind]


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder over loopback HTTP, and give its URL."""
    server = _Server(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def lay_out(shared: Path, folder: Path, url: str) -> RealWorld:
    """Write the three datasets and their catalogs into `folder`; `url` is where `shared` is served."""
    folder.mkdir()
    rows = [*_cc12m(shared, folder, url), *_grit(shared, folder, url), *_sa1b(shared, folder)]
    (folder / "catalogs").mkdir()
    inputs = {"cc12m": "cc12m.tsv", "grit": "coyo_*_snappy.parquet", "sa1b": "links.tsv"}
    for name, files in inputs.items():
        text = (
            f"source: {name}\nuri: {folder}/{files}\nlicence: see the list of the shared files\nshard_rows: 100\n"
            "fetch: {timeout_s: 10, allow_hosts: [127.0.0.1]}\n"
        )
        (folder / f"catalogs/real_{name}.yaml").write_text(text)
    return RealWorld({(row.dataset, row.key): row for row in rows}, _opens(shared))


def _opens(shared: Path) -> dict[str, bool]:
    """Return path → whether a picture of one of the web's formats decodes there, as the picture list says."""
    with (shared / "IMAGES.tsv").open(encoding="utf-8", newline="") as lines:
        listed = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    web = {"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF"}
    return {row["path"]: row["pillow"] == "ok" and row["format"] in web for row in listed}


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _link(url: str, shared: Path, path: Path) -> str:
    return f"{url}/{quote(path.relative_to(shared).as_posix())}"


def _captions(shared: Path, split: str) -> list[tuple[Path, list[str]]]:
    """Return picture → its captions, those that tell left from right first."""
    found = _read(shared / MINI / f"annotations/captions_{split}.json")
    said = defaultdict(list)
    for one in found["annotations"]:
        said[one["image_id"]].append(" ".join(one["caption"].split()))
    for captions in said.values():
        captions.sort(key=lambda text: re.search(r"\b(left|right)\b", text) is None)
    return [(shared / MINI / split / one["file_name"], said[one["id"]]) for one in found["images"]]


def _cc12m(shared: Path, folder: Path, url: str) -> list[Planted]:
    rows = [Planted("real_cc12m", "", "captioned", path, said[0]) for path, said in _captions(shared, "train2017")]
    rows += [
        Planted("real_cc12m", "", "second", path, said[1])
        for path, said in _captions(shared, "train2017")[:SECOND_CAPTIONS]
    ]
    dead = [(path, said[0]) for path, said in _captions(shared, "val2017")]
    turned = sorted((shared / "photos_exif").rglob("*.jpg"))
    rows += [Planted("real_cc12m", "", "exif", path, f"a photograph by {path.stem}") for path in turned]
    broken = sorted(path for path in (shared / "broken_images").rglob("*") if path.is_file())
    chosen = [broken[place * len(broken) // BROKEN] for place in range(BROKEN)]
    rows += [Planted("real_cc12m", "", "broken", path, f"file {n} of many") for n, path in enumerate(chosen)]
    lines = [(row, row.file) for row in rows]
    lines += [(Planted("real_cc12m", "", "dead", None, text), path) for path, text in dead]
    random.Random(7).shuffle(lines)
    (folder / "cc12m.tsv").write_text(
        "".join(f"{_link(url, shared, path)}\t{row.text}\n" for row, path in lines), encoding="utf-8"
    )
    return [replace(row, key=f"cc12m:{number}") for number, (row, _) in enumerate(lines)]


@dataclass(frozen=True, slots=True)
class _Annotated:
    """A picture with the boxes of each category, and its captions."""

    path: Path
    size_wh: tuple[int, int]
    boxes: dict[str, tuple[PxBox, ...]]
    captions: tuple[str, ...] = ()


def _instances(annotations: Path, pictures: Path, captions: dict[str, list[str]]) -> list[_Annotated]:
    found = _read(annotations)
    names = {one["id"]: one["name"] for one in found["categories"]}
    boxes: dict[int, dict[str, list[PxBox]]] = defaultdict(lambda: defaultdict(list))
    for one in found["annotations"]:
        if not one["iscrowd"]:
            boxes[one["image_id"]][names[one["category_id"]]].append(tuple(map(float, one["bbox"])))
    return [
        _Annotated(
            pictures / one["file_name"],
            (one["width"], one["height"]),
            {name: tuple(found) for name, found in boxes[one["id"]].items()},
            tuple(captions.get(one["file_name"], ())),
        )
        for one in found["images"]
    ]


def _grit(shared: Path, folder: Path, url: str) -> list[Planted]:
    mini = shared / MINI
    annotated = _instances(shared / COCO / "annotations/instances_train2017.json", shared / COCO / "train2017", {})
    for split in ("train2017", "val2017"):
        captions = {path.name: said for path, said in _captions(shared, split)}
        annotated += _instances(mini / f"annotations/instances_{split}.json", mini / split, captions)
    annotated += _instances(shared / VOC / "gts/coco_format_v2/instances_v2.json", shared / VOC / "images", {})
    random.Random(7).shuffle(annotated)
    rows, records = [], []
    for number, one in enumerate(annotated):
        text, phrases = _words(one)
        there = one.path.is_file()
        kind = "boxed" if there else "dead"
        rows.append(Planted("real_grit", str(number), kind, one.path if there else None, text, one.size_wh, phrases))
        records.append(_grit_record(rows[-1], _link(url, shared, one.path)))
    entries = pa.list_(pa.list_(pa.float64()))
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("key", "url", "caption")),
            *((name, pa.float64()) for name in ("clip_similarity_vitb32", "clip_similarity_vitl14")),
            *((name, pa.int64()) for name in ("id", "width", "height")),
            *((name, entries) for name in ("noun_chunks", "ref_exps")),
        ]
    )
    half = len(records) // 2
    for number, part in enumerate((records[:half], records[half:])):
        pq.write_table(pa.Table.from_pylist(part, schema), folder / f"coyo_{number}_snappy.parquet")
    return rows


def _grit_record(row: Planted, url: str) -> dict[str, object]:
    width, height = row.size_wh

    def entries(ends: list[int]) -> list[list[float]]:
        return [
            [phrase.start, end, x / width, y / height, (x + w) / width, (y + h) / height, SCORE]
            for phrase, end in zip(row.phrases, ends, strict=True)
            for x, y, w, h in phrase.boxes
        ]

    return {
        "key": f"{int(row.key):09d}",
        "id": int(row.key),
        "url": url,
        "caption": row.text,
        "width": width,
        "height": height,
        "clip_similarity_vitb32": 0.3,
        "clip_similarity_vitl14": 0.25,
        "noun_chunks": entries([phrase.end for phrase in row.phrases]),
        "ref_exps": entries([phrase.wider for phrase in row.phrases]),
    }


def _words(one: _Annotated) -> tuple[str, tuple[Phrase, ...]]:
    """Return the real caption that names most of the boxes, or a sentence made of the categories."""
    told = max(((text, _mentions(text, one)) for text in one.captions), key=lambda pair: len(pair[1]), default=None)
    return told if told and told[1] else _sentence(one)


def _mentions(text: str, one: _Annotated) -> tuple[Phrase, ...]:
    """Return where a caption names a category: one of it in the singular, several in the plural."""
    found: list[Phrase] = []
    for name, boxes in one.boxes.items():
        if len(boxes) == 1:
            words = "(?:an? |the |one )?(?:" + "|".join(filter(None, (re.escape(name), _ONE.get(name)))) + ")"
        else:
            words = "(?:" + "|".join(filter(None, (f"{re.escape(name)}s", _MANY.get(name)))) + ")"
        match = re.search(rf"\b{words}\b", text, re.IGNORECASE)
        if match and all(match.end() <= other.start or other.end <= match.start() for other in found):
            found.append(Phrase(match.start(), match.end(), match.end(), boxes))
    return tuple(sorted(found, key=lambda phrase: phrase.start))


def _sentence(one: _Annotated) -> tuple[str, tuple[Phrase, ...]]:
    text, phrases = "a photo", []
    largest = sorted(one.boxes, key=lambda name: -max(w * h for _, _, w, h in one.boxes[name]))
    for name in largest[:PHRASES]:
        boxes = one.boxes[name]
        noun = f"a {name}" if len(boxes) == 1 else "people" if name == "person" else f"{len(boxes)} {name}s"
        text += ", " if phrases else " of "
        start = len(text)
        text += noun
        end = len(text)
        if len(boxes) == 1:
            middle = (boxes[0][0] + boxes[0][2] / 2) / one.size_wh[0]
            text += " on the left" if middle < 0.4 else " on the right" if middle > 0.6 else ""
        phrases.append(Phrase(start, end, len(text), boxes))
    return text, tuple(phrases)


def _sa1b(shared: Path, folder: Path) -> list[Planted]:
    tars = (("sa_000000", [*_as1b(shared), _lone(shared)]), ("sa_000001", [*_masked(shared), *_datumaro(shared)]))
    rows, links = [], ["file_name\tcdn_link\n"]
    for tar, pairs in tars:
        members = []
        for row, annotation in pairs:
            stem = row.key
            members += [(f"{stem}.jpg", row.file.read_bytes())] if row.file else []
            members += [(f"{stem}.json", json.dumps(annotation).encode())] if annotation else []
            rows.append(replace(row, key=f"{tar}/{stem}"))
        write_tar(folder / f"{tar}.tar", members)
        links.append(f"{tar}.tar\t{folder / tar}.tar\n")
    (folder / "links.tsv").write_text("".join(links))
    return rows


Pair = tuple[Planted, dict | None]


def _pair(path: Path, kind: str, size_wh: tuple[int, int], masks: list[dict]) -> Pair:
    """Return a row and its JSON in SA-1B's form."""
    boxes = tuple(tuple(map(float, mask["bbox"])) for mask in masks)
    row = Planted("real_sa1b", path.stem, kind, path if path.is_file() else None, size_wh=size_wh, boxes=boxes)
    image = {"image_id": 1, "width": size_wh[0], "height": size_wh[1], "file_name": path.name}
    return row, {"image": image, "annotations": [{"id": n, **mask} for n, mask in enumerate(masks)]}


def _as1b(shared: Path) -> Iterator[Pair]:
    """Yield the pictures of SA-1B with AS-1B's boxes, masks filled; most pictures are absent."""
    for path in sorted((shared / AS1B / "annotations").glob("*.json")):
        found = _read(path)
        size_wh = (found["image"]["width"], found["image"]["height"])
        picture = shared / AS1B / "images" / found["image"]["file_name"]
        boxes = [one["box"] for one in found["annotations"]]
        if picture.is_file():
            yield _pair(picture, "as1b", size_wh, [_filled(box, size_wh) for box in boxes[:MASKS]])
        else:
            yield _pair(picture, "no_picture", size_wh, [{"bbox": box} for box in boxes])


def _filled(box: PxBox, size_wh: tuple[int, int]) -> dict:
    x, y, w, h = (round(value) for value in box)
    mask = np.zeros(size_wh[::-1], bool)
    mask[y : y + h, x : x + w] = True
    return {"bbox": box, **_segmentation(mask), "area": int(mask.sum())}


def _segmentation(mask: np.ndarray) -> dict:
    return {"segmentation": {"size": list(mask.shape), "counts": rle.encode(mask)}}


def _masked(shared: Path) -> Iterator[Pair]:
    """Yield COCO pictures with real masks: run-length strings as published, and label pictures encoded by us."""
    found = _read(shared / PANOPTIC_API / "panoptic_coco_detection_format.json")
    for one in found["images"]:
        masks = [mask | {"predicted_iou": 0.95} for mask in found["annotations"] if mask["image_id"] == one["id"]]
        path = shared / PANOPTIC_API / "input_images" / one["file_name"]
        yield _pair(path, "masked", (one["width"], one["height"]), masks)
    for one in _read(shared / PANOPTIC / "panoptic_train2017.json")["annotations"][:MASK_PICTURES]:
        path = shared / COCO / "train2017" / one["file_name"].replace(".png", ".jpg")
        with Image.open(shared / PANOPTIC / "panoptic_train2017" / one["file_name"]) as labels:
            red, green, blue = np.moveaxis(np.asarray(labels.convert("RGB")).astype(np.int64), 2, 0)
        segment = red + 256 * green + 65536 * blue
        masks = [
            {"bbox": part["bbox"], **_segmentation(segment == part["id"]), "predicted_iou": 0.95}
            for part in one["segments_info"]
        ]
        yield _pair(path, "masked", segment.shape[::-1], masks)


def _datumaro(shared: Path) -> Iterator[Pair]:
    for path in sorted((shared / DATUMARO).glob("*.json")):
        found = _read(path)
        image = found["image"]
        yield _pair(path.with_suffix(".jpg"), "toy", (image["width"], image["height"]), found["annotations"])


def _lone(shared: Path) -> Pair:
    path = shared / LONE_PICTURE
    return Planted("real_sa1b", path.stem, "no_annotation", path), None
