"""Tars from servers that cut, stall, refuse and lie: the same rows as from a disk, or an error that says what to do."""

import http.server
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from curate.errors import OutsideError, ShardError
from curate.io import ranged, storage, tars
from curate.shards import ShardInput
from curate.sources import sa1b

ROOT = Path(__file__).parents[2]
BLOCK = 1 << 20


@dataclass
class Server:
    """Serves a folder in ranges, with the faults that are set; counts requests and the bytes of bodies."""

    folder: Path
    cut_bytes: int = 0
    """Every connection ends after so many bytes of a body."""
    how: str = "close"
    """How a connection is cut: it is closed, it is reset, or nothing comes at all where too much is asked."""
    busy_every: int = 0
    retry_after: str = ""
    ignores_ranges: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    """What the path answers, whatever is asked."""
    before: Callable[[int], None] = lambda number: None
    """Called with the number of each request before it is answered."""
    stalls: set[int] = field(default_factory=set)
    """The requests that stop in the middle of the body."""
    piece_s: float = 0.0
    requests: list[tuple[str, str]] = field(default_factory=list)
    served: int = 0
    port: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ours: Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        ours, name = self.ours, self.path.lstrip("/").split("?")[0]
        ours.requests.append((name, self.headers.get("Range", "")))
        number = len(ours.requests)
        ours.before(number)
        if ours.busy_every and number % ours.busy_every == 0:
            return self.refuse(503)
        path = ours.folder / name
        if name in ours.statuses or not path.is_file():
            return self.refuse(ours.statuses.get(name, 404))
        total = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked is None or ours.ignores_ranges:
            return self.send(200, path, 0, total, {})
        start, end = int(asked[1]), min(int(asked[2]) + 1, total)
        if start >= total:
            return self.refuse(416, f"bytes */{total}")
        return self.send(206, path, start, end, {"Content-Range": f"bytes {start}-{end - 1}/{total}"})

    def refuse(self, status: int, content_range: str = "") -> None:
        self.send_response(status)
        for key, value in (("Retry-After", self.ours.retry_after), ("Content-Range", content_range)):
            if value:
                self.send_header(key, value)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"<no>")

    def send(self, status: int, path: Path, start: int, end: int, headers: dict[str, str]) -> None:
        ours = self.ours
        self.send_response(status)
        for key, value in ({"Content-Length": str(end - start)} | headers | ours.headers).items():
            self.send_header(key, value)
        self.end_headers()
        stop = min(end, start + ours.cut_bytes) if ours.cut_bytes else end
        stop = start if stop < end and ours.how == "nothing" else stop
        stop = start + (end - start) // 2 if len(ours.requests) in ours.stalls else stop
        try:
            with path.open("rb") as file:
                while start < stop:
                    size = min(stop - start, 1 << 16 if ours.piece_s else 4 << 20)
                    sent = self.connection.sendfile(file, start, size)
                    ours.served += sent
                    start += sent
                    time.sleep(ours.piece_s)
        except OSError:
            self.close_connection = True
            return
        if stop < end:
            self.close_connection = True
            if len(ours.requests) in ours.stalls:
                ours.ended.wait(20)
            elif ours.how == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Listening(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is nothing to tell."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(ranged, "BLOCK_BYTES", BLOCK)
    monkeypatch.setattr(ranged, "WAITS_S", (0.01,) * 4)
    folder = tmp_path / "served"
    folder.mkdir()
    ours = Server(folder)
    handler = type("OurHandler", (Handler,), {"ours": ours})
    listening = Listening(("127.0.0.1", 0), handler)
    ours.port = listening.server_address[1]
    threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield ours
    ours.ended.set()
    listening.shutdown()
    listening.server_close()


def note(stem: str) -> bytes:
    head = {"image_id": 1, "width": 100, "height": 50, "file_name": f"{stem}.jpg"}
    return json.dumps({"image": head, "annotations": [{"id": 1, "bbox": [10, 5, 20, 25]}]}).encode()


def write(path: Path, pairs: int = 20, picture_bytes: int = 250_000) -> Path:
    """Write a tar of noise: every byte that is lost or comes twice shows."""
    noise = np.random.default_rng(0).bytes(picture_bytes + pairs)
    members = [(f"sa_{n}.jpg", noise[n : n + picture_bytes]) for n in range(pairs)]
    tars.write_tar(path, [m for name, data in members for m in ((name, data), (f"{name[:-4]}.json", note(name[:-4])))])
    return path


def rows(uri: object) -> list[object]:
    return list(sa1b.rows(ShardInput(str(uri))))


def listed(server: Server, name: str = "sa_000001.tar", link: str = "old/a.tar") -> Path:
    """Write the list that names one link, in the stead of the one that stands there."""
    links = server.folder.parent / "links.tsv"
    fresh = links.with_suffix(".new")
    fresh.write_text(f"file_name\tcdn_link\n{name}\t{server.url(link)}?sig=a%2Fb~\n")
    return fresh.replace(links)


@pytest.fixture
def tar(server: Server) -> Path:
    """A tar of 5 MB that old/a.tar and new/a.tar serve, and a list that names the old link."""
    for folder in ("old", "new"):
        (server.folder / folder).mkdir()
    path = write(server.folder / "old" / "a.tar")
    (server.folder / "new" / "a.tar").hardlink_to(path)
    listed(server)
    return path


def local(tar: Path) -> list[object]:
    """The rows of the same tar on a disk."""
    copy = tar.parents[2] / "sa_000001.tar"
    if not copy.exists():
        copy.hardlink_to(tar)
    return rows(copy)


def part(tar: Path) -> str:
    return f"{tar.parents[2] / 'links.tsv'}#tar=sa_000001.tar"


def test_a_calm_server_serves_every_byte_once(server, tar):
    assert rows(part(tar)) == local(tar)
    size = tar.stat().st_size
    assert len(server.requests) == -(-size // BLOCK)
    assert server.served == size
    assert {name for name, _ in server.requests} == {"old/a.tar"}


@pytest.mark.parametrize("cut_bytes", [700_000, 300_001, 90_000])
@pytest.mark.parametrize("how", ["close", "reset", "nothing"])
def test_every_connection_is_cut(cut_bytes, how, server, tar):
    server.cut_bytes, server.how = cut_bytes, how
    assert rows(part(tar)) == local(tar)
    assert len(server.requests) > tar.stat().st_size / max(cut_bytes, ranged.PROGRESS_BYTES)
    assert len(server.requests) < 40 * tar.stat().st_size / cut_bytes


def test_what_came_before_a_cut_is_kept_and_needs_no_wait(server, tar, monkeypatch):
    monkeypatch.setattr(ranged, "WAITS_S", (60.0,) * 4)
    server.cut_bytes = 700_000
    rows(part(tar))
    assert server.served <= 1.5 * tar.stat().st_size


def test_a_server_that_is_busy_now_and_then(server, tar):
    server.busy_every = 3
    assert rows(part(tar)) == local(tar)
    assert server.served == tar.stat().st_size
    assert len(server.requests) <= 1.5 * -(-server.served // BLOCK) + 1


def test_a_server_says_when_to_come_back(server, tar, monkeypatch):
    server.busy_every, server.retry_after = 4, "1"
    begun = time.monotonic()
    assert rows(part(tar)) == local(tar)
    assert time.monotonic() - begun >= 1
    server.retry_after = "86400"
    monkeypatch.setattr(ranged, "MAX_WAIT_S", 0.01)
    assert rows(part(tar)) == local(tar)


def test_a_slow_server_and_one_that_stalls(server, tar, monkeypatch):
    monkeypatch.setattr(ranged, "SILENCE_S", 1.5)
    server.piece_s, server.stalls = 0.01, {2}
    assert rows(part(tar)) == local(tar)
    assert server.served <= 1.2 * tar.stat().st_size


def test_a_server_that_stays_down_is_named_with_the_place(server, tar):
    got = []

    def down(number: int) -> None:
        if number > 2:
            server.statuses["old/a.tar"] = 500

    server.before = down
    with pytest.raises(OutsideError, match=r"links\.tsv#tar=sa_000001\.tar: gave up after 5 tries at byte .*HTTP 500"):
        for row in sa1b.rows(ShardInput(part(tar))):
            got.append(row)
    assert got == local(tar)[: len(got)] and len(got) == 8
    assert len(server.requests) == 2 + 5


def test_a_server_without_ranges_is_refused_before_its_gigabyte_comes(server):
    with (server.folder / "sa_000001.tar").open("wb") as file:
        file.truncate(1 << 30)
    server.ignores_ranges = True
    with pytest.raises(ShardError, match="ignores ranges"):
        rows(server.url("sa_000001.tar"))
    assert len(server.requests) == 1
    assert server.served < 64 << 20


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 7-99/100"},
        {"Content-Range": "bytes 0-99/*"},
        {"Content-Range": ""},
        {"Content-Encoding": "gzip"},
    ],
)
def test_an_answer_that_is_not_the_range_is_refused(headers, server, tar):
    server.headers = headers
    with pytest.raises(ShardError, match="not the range"):
        rows(part(tar))
    assert len(server.requests) == 1


@pytest.mark.parametrize("size", [9_000_000, 3_000_000])
def test_a_tar_that_changes_meanwhile_is_refused_with_both_sizes(size, server, tar):
    was = tar.stat().st_size

    def change(number: int) -> None:
        if number == 4:
            tar.unlink()
            tar.write_bytes(bytes(size))

    server.before = change
    with pytest.raises(ShardError, match=rf"changed .*{was:,} bytes before, {size:,} now"):
        rows(part(tar))


@pytest.mark.parametrize("status", [403, 404, 410, 500])
def test_a_link_that_expires_half_way_is_looked_up_again(status, server, tar):
    def expire(number: int) -> None:
        if number == 4:
            server.statuses["old/a.tar"] = status
            listed(server, link="new/a.tar")

    server.before = expire
    assert rows(part(tar)) == local(tar)
    asked = [name for name, _ in server.requests]
    assert asked[:4] == ["old/a.tar"] * 4 and asked[-1] == "new/a.tar"
    assert asked.count("old/a.tar") == (8 if status == 500 else 4)
    assert server.served == tar.stat().st_size


def test_a_link_that_has_expired_says_what_to_do(server, tar):
    expected = local(tar)
    got = []

    def expire(number: int) -> None:
        if number == 4:
            server.statuses["old/a.tar"] = 403

    server.before = expire
    with pytest.raises(ShardError) as caught:
        for row in sa1b.rows(ShardInput(part(tar))):
            got.append(row)
    links = tar.parents[2] / "links.tsv"
    said = "put a fresh list at {} and run again; committed shards are kept"
    assert str(caught.value) == f"{part(tar)}: the link has expired (HTTP 403 Forbidden): {said.format(links)}"
    assert got == expected[: len(got)] and len(got) > 8
    assert len(server.requests) == 4
    listed(server, link="new/a.tar")
    assert rows(part(tar)) == expected


def test_a_new_link_must_lead_to_the_same_tar(server, tar):
    (server.folder / "new" / "a.tar").unlink()
    write(server.folder / "new" / "a.tar", pairs=21)

    def expire(number: int) -> None:
        if number == 3:
            server.statuses["old/a.tar"] = 403
            listed(server, link="new/a.tar")

    server.before = expire
    with pytest.raises(ShardError, match="changed while it was read"):
        rows(part(tar))


def test_a_new_link_may_lie_in_a_store(server, tar):
    def expire(number: int) -> None:
        if number == 3:
            server.statuses["old/a.tar"] = 403
            listed(server).write_text("file_name\tcdn_link\nsa_000001.tar\tmemory://renewed/a.tar\n")

    server.before = expire
    storage.put_file(tar, "memory://renewed/a.tar")
    assert rows(part(tar)) == local(tar)
    storage.write_bytes("memory://renewed/a.tar", bytes(9_000_000))
    server.requests.clear()
    server.statuses.clear()
    listed(server)
    with pytest.raises(ShardError, match="changed while it was read"):
        rows(part(tar))


def test_links_that_are_all_refused_come_to_an_end(server, tar):
    server.statuses = {f"{number}.tar": 403 for number in range(100)} | {"old/a.tar": 403}
    server.before = lambda number: listed(server, link=f"{number}.tar") and None
    with pytest.raises(ShardError, match="expired"):
        rows(part(tar))
    assert len(server.requests) == 1 + ranged.RENEWALS


def test_a_tar_without_a_list_is_refused_by_its_name_and_not_its_signature(server):
    server.statuses["sa_000009.tar"] = 403
    with pytest.raises(ShardError, match=r"sa_000009\.tar: HTTP 403") as caught:
        rows(server.url("sa_000009.tar?sig=secret"))
    assert "secret" not in str(caught.value)
    with pytest.raises(ShardError, match="HTTP 404"):
        rows(server.url("sa_000010.tar"))
    with pytest.raises(ShardError, match="no such file"):
        rows("memory://nowhere/sa_000010.tar")


def test_a_signature_is_sent_as_it_was_given(server, tar):
    heads = []
    handled = Handler.do_GET

    def remember(self: Handler) -> None:
        heads.append(self.path)
        handled(self)

    Handler.do_GET = remember
    try:
        rows(part(tar))
    finally:
        Handler.do_GET = handled
    assert set(heads) == {"/old/a.tar?sig=a%2Fb~"}


def test_an_empty_file(server):
    (server.folder / "sa_000001.tar").write_bytes(b"")
    with ranged.open_read(server.url("sa_000001.tar")) as stream:
        assert stream.read() == b""


def test_a_bucket(s3_server, server, tar):
    uri = f"{s3_server}/ranged/sa_000001.tar"
    storage.put_file(tar, uri)
    assert rows(uri) == local(tar)


def gone() -> bool:
    """Tell whether the threads that read ahead have ended, after some time at most."""
    deadline = time.monotonic() + 10
    while any(thread.name.startswith("ranged") for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_one_block_is_read_ahead_and_no_more(server, tar):
    with ranged.open_read(server.url("old/a.tar")) as stream:
        assert not stream.seekable()
        assert len(stream.read(1)) == 1
        while server.served < 2 * BLOCK:
            time.sleep(0.01)
        time.sleep(0.3)
        assert len(server.requests) == 2
    assert gone()


def test_closing_ends_an_answer_that_hangs(server, tar):
    server.stalls = {3}
    with ranged.open_read(server.url("old/a.tar")) as stream:
        stream.read(BLOCK + 1)
        while server.served <= 2 * BLOCK:
            time.sleep(0.01)
    assert gone()
    assert server.served <= 3 * BLOCK


def test_closing_ends_a_long_wait(server, tar, monkeypatch):
    monkeypatch.setattr(ranged, "WAITS_S", (60.0,) * 4)
    server.statuses["old/a.tar"] = 503
    with ranged.open_read(server.url("old/a.tar")):
        while not server.requests:
            time.sleep(0.01)
    assert gone()
    assert len(server.requests) == 1


def test_a_gigabyte_passes_in_little_memory(server):
    picture_bytes, pairs = 32 << 20, 32
    with (server.folder / "sa_000001.tar").open("wb") as file:
        for number in range(pairs):
            for name, data, size in (
                (f"sa_{number}.jpg", b"J", picture_bytes),
                (f"sa_{number}.json", note(f"sa_{number}"), len(note(f"sa_{number}"))),
            ):
                info = tars.tarfile.TarInfo(name)
                info.size = size
                file.write(info.tobuf())
                place = file.tell()
                file.write(data)
                file.seek(place + size + -size % 512)
        file.truncate(file.tell() + 1024)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from curate.shards import ShardInput\n"
        "from curate.sources import sa1b\n"
        "def peak():\n"
        "    return int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) << 10\n"
        "before = peak()\n"
        "sizes = [len(row.picture) for row in sa1b.rows(ShardInput(sys.argv[1])) if row.error is None]\n"
        "print(len(sizes), sum(sizes), peak() - before)\n"
    )
    command = [sys.executable, "-c", code, server.url("sa_000001.tar")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    count, total, growth = map(int, done.stdout.split())
    assert (count, total) == (pairs, pairs * picture_bytes)
    assert growth < 200 << 20, growth
    assert server.served <= 1.2 * (server.folder / "sa_000001.tar").stat().st_size
