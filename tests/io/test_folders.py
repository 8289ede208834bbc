"""How many pictures a folder holds."""

from pathlib import Path

from curate.io.folders import count_pictures


def test_links_to_folders_are_followed_and_no_folder_is_counted_twice(tmp_path: Path) -> None:
    (tmp_path / "elsewhere/deep").mkdir(parents=True)
    (tmp_path / "data/a").mkdir(parents=True)
    for name in ("elsewhere/1.jpg", "elsewhere/deep/2.PNG", "elsewhere/words.txt", "data/a/3.jpeg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "data/coco").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/deep/round").symlink_to(tmp_path / "data")
    (tmp_path / "data/nowhere").symlink_to(tmp_path / "gone")
    assert count_pictures(str(tmp_path / "data")) == 3
    assert count_pictures(str(tmp_path / "gone")) is None
