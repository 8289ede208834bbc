"""Lists of a benchmark's pictures: every form tells the same, and a list that tells nothing is no list."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate import schema
from curate.errors import ConfigError
from curate.io.warehouse import Warehouse
from curate.plugins import Project
from curate.sample import ImageRef, Sample
from curate.stages.eval_lists import EVALS, eval_list_of_dataset, eval_list_of_file

ROWS = [
    {"image": "COCO_train2014_000000581857_16.jpg", "sha256": "AB" * 32, "phash": None, "image_url": None},
    {"image": None, "sha256": None, "phash": "0123456789abcdef", "image_url": "http://x.org/a.jpg"},
    {"image": "1.jpg", "sha256": "zz", "phash": "٣" * 16, "image_url": ""},
]
TOLD = {
    ("picture_id", "coco:581857"),
    ("sha256", "ab" * 32),
    ("phash", "0123456789abcdef"),
    ("url", "http://x.org/a.jpg"),
}


def told(found):
    assert found.table.schema == EVALS
    return {(name, value) for name in EVALS.names for value in found.table[name].to_pylist() if value is not None}


def written(path):
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ROWS[0], delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(ROWS)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    else:
        path.write_text(json.dumps(ROWS))
    return str(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".json", ".jsonl"])
def test_every_form_tells_the_same(tmp_path, suffix):
    found = eval_list_of_file(written(tmp_path / f"refcoco_val.x{suffix}"))
    assert told(found) == TOLD
    assert (found.name, found.rows, found.unusable) == ("refcoco_val", 3, 1)


def test_coco_instances_and_their_kin(tmp_path):
    images = [{"id": 9, "file_name": "000000000009.jpg", "width": 4, "height": 4}, {"id": 5, "file_name": "5.jpg"}]
    path = tmp_path / "instances_val2017.json"
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    assert told(eval_list_of_file(str(path))) == {("picture_id", "coco:9")}
    path.write_text(json.dumps({"version": 1, "images": images}))
    found = eval_list_of_file(str(path), "coco_val")
    assert (told(found), found.name, found.rows) == ({("picture_id", "coco:9")}, "coco_val", 2)


def test_bare_numbers_need_their_collection(tmp_path):
    path = tmp_path / "ids.jsonl"
    path.write_text('{"image_id": 12}\n{"image_id": "000000000013"}\n{"picture_id": "vg:3"}\n{"image": "12"}\n')
    assert told(eval_list_of_file(str(path), ids="coco")) == {
        ("picture_id", "coco:12"), ("picture_id", "coco:13"), ("picture_id", "vg:3")
    }  # fmt: skip
    assert told(eval_list_of_file(str(path))) == {("picture_id", "vg:3")}
    path.write_text('{"image_id": 12}\n')
    with pytest.raises(ConfigError, match="bare numbers need ids"):
        eval_list_of_file(str(path))


def test_several_pictures_of_a_row_and_a_url_of_a_collection(tmp_path):
    path = tmp_path / "a.json"
    url = "http://images.cocodataset.org/val2017/000000000139.jpg"
    path.write_text(json.dumps([{"image": ["VG_100K/1.jpg", "sa_2.jpg"]}, {"coco_url": url}]))
    assert told(eval_list_of_file(str(path))) == {
        ("picture_id", "vg:1"), ("picture_id", "sa:2"), ("picture_id", "coco:139"), ("url", url)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", b""),
        ("a.json", b"[]"),
        ("a.json", b'[{"caption": "x"}]'),
        ("a.json", b'[{"image": {"a": 1}, "url": 7, "sha256": 5, "phash": [], "image_id": 1e999}]'),
        ("a.json", b'[{"image": "000000000009.jpg"}, {'),
        ("a.json", b"[" * 100_000),
        ("a.json", b'[{"image_id": ' + b"9" * 6000 + b"}]"),
        ("a.jsonl", b'{"image": "000000000009.jpg"}\n{'),
        ("a.csv", b""),
        ("a.csv", b"file_name\n\xff\xfe.jpg\n"),
        ("a.csv", b"file_name\n" + b"x" * 200_000 + b"\n"),
        ("a.csv", b"caption\nx\n"),
        ("a.parquet", b"PAR1 no"),
        ("a.txt", b"000000000009.jpg\n"),
        ("a.p", b"\x80\x04."),
    ],
)
def test_a_list_that_tells_nothing_is_refused(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ConfigError) as refused:
        eval_list_of_file(str(path), ids="coco")
    assert refused.value.file == str(path)


def test_a_missing_file_is_refused(tmp_path):
    for suffix in (".json", ".csv", ".parquet"):
        with pytest.raises(ConfigError, match="no such file"):
            eval_list_of_file(str(tmp_path / f"none{suffix}"))


def test_a_lone_surrogate_is_kept_out_of_arrow(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"url": "http://x/\\ud800.jpg", "image": "\\ud800.jpg"}]')
    assert told(eval_list_of_file(str(path))) == {("url", "http://x/?.jpg")}


def test_a_dataset_tells_its_pictures(tmp_path):
    image = ImageRef("a.jpg", 512, 9, "5a" * 32, "0123456789abcdef", "jpeg", 4, 4, 4, 4, 1)
    samples = [
        Sample("a", "refcoco", 0, 0, "COCO_val2014_000000000042.jpg", images=(image,)),
        Sample("b", "refcoco", 0, 1, "b", status="failed", error="http_404", url="http://x.org/b.jpg"),
        Sample("c", "refcoco", 0, 2, "c", status="failed", error="bad_row"),
        Sample("d", "other", 0, 0, "d", url="http://x.org/d.jpg"),
    ]
    warehouse = Warehouse()
    warehouse.add("all_samples", schema.to_table(samples), schema.SAMPLES)
    project = Project(str(tmp_path))
    found = eval_list_of_dataset(warehouse, "refcoco", project)
    assert told(found) == {
        ("picture_id", "coco:42"), ("sha256", "5a" * 32), ("phash", "0123456789abcdef"), ("url", "http://x.org/b.jpg")
    }  # fmt: skip
    assert (found.name, found.rows, found.unusable) == ("refcoco", 3, 1)
    with pytest.raises(ConfigError, match="none of which"):
        eval_list_of_dataset(warehouse, "absent", project)
    assert eval_list_of_dataset(warehouse, "other", project, "mine").name == "mine"
