"""How a row of the tiny world is written: its picture, and its line, record or pair in the native form."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.demo.scenes import PixelBox, Scene, draw, empty_box, masks
from curate.io import images
from curate.io.tars import write_tar
from curate.kernels import rle

QUALITY = 90
GRIT_FILES = 2
ORIENTATIONS = (6, 8, 3)
"""EXIF: turn by 90 degrees clockwise, by 90 counter-clockwise, or by 180, to see the picture upright."""
UNSERVED = ("dead_link", "html_page", "flood", "private_redirect")
"""Faults at whose URL there is no picture."""

Entry = tuple[float, float, float, float, float, float, float]
"""Character start and end, x0, y0, x1, y1 normalised, score: GRiT's form."""


@dataclass(frozen=True, slots=True)
class Row:
    """One source row: the scene that its picture shows, and the scene that its words and boxes tell of.

    `twin` is the URL of the row whose picture this one repeats, `tar` the number of an SA-1B row's tar.
    """

    dataset: str
    index: int
    scene: Scene
    fault: str
    told: Scene
    url: str | None
    twin: str | None
    tar: int

    @property
    def stem(self) -> str:
        """Return the name of an SA-1B picture, numbered from 1."""
        return f"sa_{self.index + 1}"

    @property
    def orientation(self) -> int | None:
        """Return the EXIF orientation of a rotated picture."""
        # By 180 degrees the shape does not tell in which frame boxes were drawn: only where there are none.
        turns = ORIENTATIONS[: 2 if self.dataset == "grit" else 3]
        return turns[self.index % len(turns)] if self.fault == "rotated" else None

    @property
    def seen_unturned(self) -> bool:
        """Tell whether the annotators of a rotated picture saw it lying on its side, as half of them did."""
        return self.fault == "rotated" and self.index % 4 >= 2

    def truth(self) -> dict[str, str | int | None]:
        """Return the row of `truth.parquet`."""
        keys = {"cc12m": None, "grit": str(self.index), "sa1b": f"sa_{self.tar:06d}/{self.stem}"}
        return {
            "dataset": self.dataset,
            "source_key": keys[self.dataset],
            "url": self.url,
            "fault": self.fault,
            "twin": self.twin,
            "width": self.scene.width,
            "height": self.scene.height,
        }


def picture(row: Row) -> bytes:
    """Return the JPEG of a row, turned or cut as its fault has it."""
    pixels = draw(row.scene)
    orientation = row.orientation
    if orientation is not None:
        pixels = np.ascontiguousarray(np.rot90(pixels, {6: 1, 8: -1, 3: 2}[orientation]))
    data = images.encode_jpeg(pixels, QUALITY, orientation)
    return data[: len(data) // 2] if row.fault in ("cut_file", "cut_member") else data


def write_picture(folder: Path, row: Row) -> None:
    """Write the picture of a row for the server, under the last part of its URL."""
    if row.url is not None and row.fault not in UNSERVED:
        (folder / row.url.rpartition("/")[2]).write_bytes(picture(row))


def write_cc12m(path: Path, rows: list[Row]) -> None:
    """Write url, tab, caption; no header."""
    path.write_text("".join(f"{row.url}\t{row.told.caption}\n" for row in rows), encoding="utf-8")


def write_grit(folder: Path, rows: list[Row]) -> None:
    """Write `coyo_<n>_snappy.parquet` with the columns and types of GRIT-20M."""
    entries = pa.list_(pa.list_(pa.float64()))
    kinds = [
        ("key", pa.string()),
        ("clip_similarity_vitb32", pa.float64()),
        ("clip_similarity_vitl14", pa.float64()),
        ("id", pa.int64()),
        ("url", pa.string()),
        ("caption", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("noun_chunks", entries),
        ("ref_exps", entries),
    ]
    for number, part in enumerate(np.array_split(np.arange(len(rows)), GRIT_FILES)):
        table = pa.Table.from_pylist([_grit_record(rows[index]) for index in part], pa.schema(kinds))
        pq.write_table(table, folder / f"coyo_{number}_snappy.parquet", compression="snappy")


def _grit_record(row: Row) -> dict[str, object]:
    rng = np.random.default_rng((row.scene.seed, 3))
    told = row.told
    size_wh = (told.height, told.width) if row.seen_unturned and row.orientation else (told.width, told.height)
    chunks = _chunks(row, rng)
    return {
        "key": f"{row.index:09d}",
        "clip_similarity_vitb32": float(rng.uniform(0.28, 0.38)),
        "clip_similarity_vitl14": float(rng.uniform(0.22, 0.32)),
        "id": row.index,
        "url": row.url,
        "caption": told.caption,
        "width": size_wh[0],
        "height": size_wh[1],
        "noun_chunks": chunks,
        # What Kosmos-2 does with a phrase that has nothing to expand by.
        "ref_exps": chunks,
    }


def _chunks(row: Row, rng: np.random.Generator) -> list[Entry]:
    told = row.told
    chunks: list[Entry] = []
    for start, end, index in told.phrases:
        x0, y0, x1, y1 = _placed(row, index, rng)
        box = (x0 / told.width, y0 / told.height, x1 / told.width, y1 / told.height)
        if row.seen_unturned:
            box = _turned(box, row.orientation)
        chunks.append((start, end, *box, float(rng.uniform(0.66, 0.95))))
        if row.fault == "double_box" and index == 0:
            chunks.append(chunks[-1])
    return chunks


def _placed(row: Row, index: int, rng: np.random.Generator) -> PixelBox:
    """Return the box of an object in pixels; of the first object as the row's fault has it."""
    told = row.told
    x0, y0, x1, y1 = told.objects[index].box_px
    if index:
        return x0, y0, x1, y1
    if row.fault == "off_box":
        found = empty_box(told, index, np.random.default_rng(told.seed))
        if found is None:
            raise ValueError(f"scene {told.seed} has no room for a box that is off")
        return found
    if row.fault == "tiny_box":
        x, y = (x0 + x1) // 2, (y0 + y1) // 2
        return x, y, x + 3, y + 3
    if row.fault == "outside_box":
        return x0, y0, told.width + int(rng.integers(20, 80)), y1
    return x0, y0, x1, y1


def _turned(box: tuple[float, float, float, float], orientation: int | None) -> tuple[float, float, float, float]:
    """Return a box of the upright picture in the frame of the stored, unturned one."""
    x0, y0, x1, y1 = box
    if orientation == 6:
        return y0, 1 - x1, y1, 1 - x0
    if orientation == 8:
        return 1 - y1, x0, 1 - y0, x1
    return box


def sa1b_pair(row: Row) -> tuple[int, str, bytes, bytes | None]:
    """Return the tar's number, the stem, the JPEG, and the JSON (None where it is lost)."""
    if row.fault == "lost_json":
        return row.tar, row.stem, picture(row), None
    rng = np.random.default_rng((row.scene.seed, 4))
    found = row.scene
    annotations = []
    for number, (thing, mask) in enumerate(zip(found.objects, masks(found), strict=True)):
        x0, y0, x1, y1 = thing.box_px
        inside = np.argwhere(mask)[int(rng.integers(mask.sum()))]
        annotations.append(
            {
                "id": 1000 * (row.index + 1) + number,
                "segmentation": {"size": [found.height, found.width], "counts": rle.encode(mask)},
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": int(mask.sum()),
                "predicted_iou": float(rng.uniform(0.88, 1.0)),
                "stability_score": float(rng.uniform(0.95, 1.0)),
                "crop_box": [0, 0, found.width, found.height],
                "point_coords": [[float(inside[1]), float(inside[0])]],
            }
        )
    named = {
        "image_id": row.index + 1,
        "width": found.width,
        "height": found.height,
        "file_name": f"{row.stem}.jpg",
    }
    data = json.dumps({"image": named, "annotations": annotations}).encode()
    cut = data[: len(data) // 2] if row.fault == "broken_json" else data
    return row.tar, row.stem, picture(row), cut


def write_sa1b(folder: Path, pairs: list[tuple[int, str, bytes, bytes | None]]) -> None:
    """Write `sa_000000.tar` and on, JPEG before JSON, and `links.tsv` (file_name, cdn_link: a local path)."""
    links = ["file_name\tcdn_link\n"]
    for tar in sorted({number for number, _, _, _ in pairs}):
        name = f"sa_{tar:06d}.tar"
        members: list[tuple[str, bytes]] = []
        for number, stem, jpeg, annotation in pairs:
            if number == tar:
                members.append((f"{stem}.jpg", jpeg))
                members += [(f"{stem}.json", annotation)] if annotation is not None else []
        write_tar(folder / name, members)
        links.append(f"{name}\t{(folder / name).resolve()}\n")
    (folder / "links.tsv").write_text("".join(links))
