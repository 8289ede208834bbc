import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from curate.demo.server import serve

PICTURE = b"\xff\xd8\xff" + bytes(30_000)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    root: Path = tmp_path_factory.mktemp("served")
    (root / "pictures").mkdir()
    (root / "pictures" / "a_000001.jpg").write_bytes(PICTURE)
    with serve(root) as taken:
        yield taken


def ask(port: int, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    try:
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_fine_pictures_and_dead_links(port: int) -> None:
    assert ask(port, "/fine/a_000001.jpg")[2] == PICTURE
    assert ask(port, "/dead_link/a_000002.jpg")[0] == 404
    assert ask(port, "/fine/../../truth.parquet")[0] == 404


def test_faults_that_pass(port: int) -> None:
    assert [ask(port, "/busy_once/a_000001.jpg")[0] for _ in range(3)] == [503, 200, 200]
    status, headers, _ = ask(port, "/slow_down_once/a_000001.jpg")
    assert (status, headers["Retry-After"]) == (429, "1")
    assert ask(port, "/slow_down_once/a_000001.jpg")[2] == PICTURE


def test_faults_that_stay(port: int) -> None:
    assert ask(port, "/html_page/a_000001.jpg")[2].startswith(b"<!doctype html>")
    assert ask(port, "/private_redirect/a_000002.jpg")[1]["Location"].startswith("http://10.")
    assert ask(port, "/private_redirect/a_000003.jpg")[1]["Location"].startswith("http://169.254.")
    with pytest.raises(http.client.IncompleteRead):
        ask(port, "/cut_transfer/a_000001.jpg")


@pytest.mark.parametrize(("name", "announced"), [("a_000002.jpg", True), ("a_000003.jpg", False)])
def test_a_flood_does_not_stop(port: int, name: str, announced: bool) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/flood/{name}")
    answer = connection.getresponse()
    assert (answer.getheader("Content-Length") is not None) == announced
    assert len(answer.read(5_000_000)) == 5_000_000
    connection.close()


def test_a_drip_is_slow_and_holds_up_nobody(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/drip/a_000001.jpg")
    started = time.monotonic()
    assert connection.getresponse().read(2) == PICTURE[:2]
    assert time.monotonic() - started > 0.9
    assert ask(port, "/fine/a_000001.jpg")[0] == 200
    connection.close()


def _many(port: int, count: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for _ in range(count):
        connection.request("GET", "/fine/a_000001.jpg")
        assert len(connection.getresponse().read()) == len(PICTURE)
    connection.close()


def test_it_serves_hundreds_of_pictures_a_second(port: int) -> None:
    started = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: _many(port, 100), range(4)))
    # 400 pictures; the bound leaves much room for a busy machine.
    assert time.monotonic() - started < 20


def test_the_port_is_free_again(tmp_path: Path) -> None:
    with serve(tmp_path) as taken:
        assert ask(taken, "/fine/none.jpg")[0] == 404
    with pytest.raises(OSError):
        ask(taken, "/fine/none.jpg")
