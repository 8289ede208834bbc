"""Pictures by names that others wrote: only files are opened, and none without bound."""

import os
from pathlib import Path

import pytest

from curate.errors import SampleError
from curate.io import below


def test_what_is_no_file_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("pipe.jpg", "loop.jpg", "folder.jpg", "none.jpg"):
        with pytest.raises(SampleError) as caught:
            below.read(str(tmp_path), name)
        assert caught.value.code == "no_picture"


def test_a_picture_above_the_bound_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(below, "MAX_BYTES", 10)
    (tmp_path / "fits.jpg").write_bytes(b"0" * 10)
    (tmp_path / "large.jpg").write_bytes(b"0" * 11)
    assert below.read(str(tmp_path), "fits.jpg") == b"0" * 10
    with pytest.raises(SampleError) as caught:
        below.read(str(tmp_path), "large.jpg")
    assert caught.value.code == "too_large"
