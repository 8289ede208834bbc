"""Storage on a disk, in memory, over HTTP and on a real S3 server."""

import functools
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from curate.errors import ConfigError, OutsideError
from curate.io import storage

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["path", "file", "memory", "s3"])
def root(request, tmp_path):
    name = uuid.uuid4().hex
    if request.param == "s3":
        return f"{request.getfixturevalue('s3_server')}/{name}"
    return {"path": f"{tmp_path}/{name}", "file": f"file://{tmp_path}/{name}", "memory": f"memory://{name}"}[
        request.param
    ]


def test_what_is_written_is_read_back(root):
    uri = storage.join(root, "a", "b.bin")
    data = bytes(range(256)) * 1000
    assert not storage.exists(uri)
    storage.write_bytes(uri, data)
    assert storage.exists(uri)
    assert storage.size(uri) == len(data)
    assert storage.read_bytes(uri) == data
    assert storage.read_bytes(uri, 100) == data[100:]
    assert storage.read_bytes(uri, 100, 50) == data[100:150]
    assert storage.read_bytes(uri, 100, 0) == b""
    assert storage.read_bytes(uri, len(data) - 5, 50) == data[-5:]
    with storage.open_read(uri) as stream:
        assert stream.seekable() and stream.readable()
        assert stream.read(3) == data[:3]
        stream.seek(200_001)
        assert stream.tell() == 200_001
        assert stream.read(7) == data[200_001:200_008]
        stream.seek(-4, 2)
        assert stream.read() == data[-4:]
    storage.write_bytes(uri, memoryview(b"new"))
    assert storage.read_bytes(uri) == b"new"


def test_a_file_is_read_here_and_there_and_fetched_once(root, monkeypatch):
    uri = storage.join(root, "a", "records.json")
    data = bytes(range(256)) * 40_000
    storage.write_bytes(uri, data)
    opened = []
    open_read = storage.open_read
    monkeypatch.setattr(storage, "open_read", lambda uri: (opened.append(uri), open_read(uri))[1])
    with storage.open_here(uri) as file:
        for place in (9_999_000, 5, 5_000_000, 0):
            assert os.pread(file.fileno(), 700, place) == data[place : place + 700]
        assert os.pread(file.fileno(), 10, len(data)) == b""
    assert len(opened) <= 1
    with pytest.raises(FileNotFoundError):
        storage.open_here(storage.join(root, "absent"))


def test_put_file_leaves_the_local_file(root, tmp_path):
    local = tmp_path / "source.tar"
    local.write_bytes(b"x" * 10_000)
    uri = storage.join(root, "images", "00000.tar")
    storage.put_file(local, uri)
    storage.put_file(local, uri)
    assert storage.read_bytes(uri) == local.read_bytes()
    with pytest.raises(FileNotFoundError):
        storage.put_file(tmp_path / "absent", uri)


def test_a_folder_lists_its_finished_files(root):
    for name in ("b.parquet", "a.parquet", "c.tar", "._tmp-x.parquet", "deeper/d.parquet"):
        storage.write_bytes(storage.join(root, name), b"1")
    assert storage.list_names(root, ".parquet") == ["a.parquet", "b.parquet"]
    assert storage.list_names(root, "") == ["a.parquet", "b.parquet", "c.tar"]
    assert storage.list_names(storage.join(root, "absent"), "") == []
    assert storage.list_names(storage.join(root, "c.tar", "x"), "") == []
    assert storage.glob(storage.join(root, "*.parquet")) == [
        storage.join(root, "a.parquet"),
        storage.join(root, "b.parquet"),
    ]
    assert storage.glob(storage.join(root, "a.parquet")) == [storage.join(root, "a.parquet")]
    assert storage.glob(storage.join(root, "**/d.parquet")) == [storage.join(root, "deeper", "d.parquet")]
    assert storage.glob(storage.join(root, "nothing*")) == []
    storage.remove(storage.join(root, "a.parquet"))
    storage.remove(storage.join(root, "a.parquet"))
    assert storage.list_names(root, ".parquet") == ["b.parquet"]


def test_what_is_absent_says_its_name(root):
    uri = storage.join(root, "absent.bin")
    for call in (storage.read_bytes, storage.size):
        with pytest.raises(FileNotFoundError, match=r"absent\.bin"):
            call(uri)
    with pytest.raises(FileNotFoundError, match=r"absent\.bin"), storage.open_read(uri) as stream:
        stream.read(1)


def test_a_commit_by_another_client_is_seen_at_once(s3_server, tmp_path):
    folder = f"{s3_server}/{uuid.uuid4().hex}"
    storage.write_bytes(f"{folder}/a", b"1")
    assert storage.list_names(folder, "") == ["a"]
    code = f"from curate.io import storage; storage.write_bytes('{folder}/b', b'2')"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert storage.list_names(folder, "") == ["a", "b"]
    assert storage.exists(f"{folder}/b")


def test_a_store_that_refuses_is_an_outside_error(s3_server):
    with pytest.raises(OutsideError, match="no-such-bucket"):
        storage.write_bytes("s3://no-such-bucket-here/x", b"1")


def test_a_store_that_is_down_is_not_an_absent_file(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDAKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRETSECRET")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    filesystem = storage.filesystem("s3://")
    filesystem.clear_instance_cache()
    monkeypatch.setattr(type(filesystem), "retries", 1)
    with pytest.raises(OutsideError, match="s3://bucket/x"):
        storage.exists("s3://bucket/x")
    filesystem.clear_instance_cache()


def test_a_disk_that_refuses_is_an_outside_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutsideError):
        storage.write_bytes(str(tmp_path), b"a folder is in the way")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    with pytest.raises(OutsideError):
        storage.read_bytes(str(tmp_path))


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    uri = str(tmp_path / "x")
    storage.write_bytes(uri, b"old")

    def broken(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OutsideError, match="disk full"):
        storage.write_bytes(uri, b"new")
    assert storage.read_bytes(uri) == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_killed_writer_leaves_nothing_that_is_listed(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from curate.io import storage\n"
        "os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)\n"
        "storage.write_bytes(sys.argv[1], b'half')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "00000.parquet")], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    assert storage.list_names(str(tmp_path), "") == []
    assert storage.glob(f"{tmp_path}/*") == []


def test_a_file_appears_whole_to_a_reader_who_looks_all_the_time(tmp_path):
    uri = str(tmp_path / "x")
    storage.write_bytes(uri, b"a" * 300_000)
    seen = set()
    stop = threading.Event()

    def look():
        while not stop.is_set():
            data = storage.read_bytes(uri)
            seen.add((len(data), data[:1], data[-1:]))

    watcher = threading.Thread(target=look)
    watcher.start()
    for letter in (b"b", b"a") * 20:
        storage.write_bytes(uri, letter * 300_000)
    stop.set()
    watcher.join()
    assert seen <= {(300_000, b"a", b"a"), (300_000, b"b", b"b")}


def test_http_is_read_and_never_written(tmp_path):
    (tmp_path / "list.tsv").write_bytes(b"0123456789")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_address[1]}/list.tsv?a=*"
        assert storage.read_bytes(uri) == b"0123456789"
        assert storage.size(uri) == 10
        assert storage.glob(uri) == [uri]
        with storage.open_read(uri) as stream:
            assert stream.read() == b"0123456789"
        # This server knows no ranges: silence would mean the wrong bytes.
        with pytest.raises(OutsideError, match="range"):
            storage.read_bytes(uri, 2, 3)
        with pytest.raises(FileNotFoundError):
            storage.read_bytes(uri.replace("list", "absent"))
        for call in (lambda: storage.write_bytes(uri, b""), lambda: storage.remove(uri)):
            with pytest.raises(ConfigError, match="write"):
                call()
        server.shutdown()


def begin(uri):
    with storage.open_read(uri) as stream:
        return stream.read(1)


@pytest.mark.parametrize("call", [storage.read_bytes, storage.size, storage.exists, begin])
def test_a_web_server_that_is_down_is_not_an_absent_file(call):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refused at once, and nobody else can take the port
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}/list.tsv"
        with pytest.raises(OutsideError, match=uri):
            call(uri)


@pytest.mark.parametrize("call", [storage.read_bytes, storage.size, begin])
def test_what_a_web_server_has_not_is_absent(call, serve, tmp_path):
    uri = f"{serve(tmp_path)}/absent.tsv"
    with pytest.raises(FileNotFoundError, match=uri):
        call(uri)


def test_what_a_web_server_has_or_has_not(serve, tmp_path):
    (tmp_path / "list.tsv").write_bytes(b"0")
    url = serve(tmp_path)
    assert storage.exists(f"{url}/list.tsv")
    assert not storage.exists(f"{url}/absent.tsv")


@pytest.mark.parametrize("uri", ["nonsense://a/b", "ftps3://x"])
def test_an_unknown_protocol_is_the_users_mistake(uri):
    for call in (storage.open_read, storage.read_bytes, storage.exists, storage.glob, storage.filesystem):
        with pytest.raises(ConfigError, match=uri.split(":")[0]):
            call(uri)


def test_the_hub_is_reachable_by_its_protocol():
    assert type(storage.filesystem("hf://datasets/x/y")).__name__ == "HfFileSystem"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("/r", "a", "b.x"), "/r/a/b.x"),
        (("/r/", "/a/", "b"), "/r/a/b"),
        (("s3://bucket", "a"), "s3://bucket/a"),
        (("memory://", "a"), "memory://a"),
        (("/", "a"), "/a"),
        (("", "a"), "a"),
        (("r",), "r"),
    ],
)
def test_join(parts, expected):
    assert storage.join(*parts) == expected


def test_local_path():
    assert storage.local_path("a/b") == Path("a/b")
    assert storage.local_path("file:///a/b") == Path("/a/b")
    assert storage.local_path("s3://a/b") is None


def test_a_copy_across_disks_is_a_copy(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "a").write_bytes(b"1")
    storage.put_file(tmp_path / "a", str(tmp_path / "sub" / "b"))
    assert (tmp_path / "sub" / "b").read_bytes() == b"1"
    shutil.rmtree(tmp_path / "sub")
