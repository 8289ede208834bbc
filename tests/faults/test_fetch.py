"""Every way a server can lie has one named outcome, in bounded time, and nothing private is ever reached."""

import asyncio
import ipaddress
import socket
import time
from dataclasses import dataclass

import pytest
from lying_server import PICTURE, LyingServer

from curate.errors import SampleError
from curate.io.answers import forbids, retry_after_s
from curate.io.fetch import Fetched, FetchOptions, fetch_all, may_pass
from curate.io.guard import is_public, literal, parse

TIMEOUT_S = 6.0  # the honest and the quick liars end well within it, even on a busy machine
OPTIONS = FetchOptions(timeout_s=TIMEOUT_S, max_bytes=100_000, allow_hosts=("127.0.0.1",))

# path: (error, requests that reach the server, least seconds, most seconds)
OUTCOMES: dict[str, tuple[str | None, int, float, float]] = {
    "/ok.jpg": (None, 0, 0, 4.5),
    "/404": ("http_404", 1, 0, 4.5),
    "/410": ("http_410", 1, 0, 4.5),
    "/403": ("http_403", 1, 0, 4.5),
    "/999": ("http_999", 1, 0, 4.5),
    "/500": ("http_500", 3, 0.5, 5.5),
    "/503-once": (None, 2, 0.2, 4.5),
    "/429-seconds": (None, 2, 1, 5.5),
    "/429-date": (None, 2, 0.5, 5.5),
    "/429-tomorrow": ("http_429", 1, 0, 4.5),
    "/429-nonsense": (None, 2, 0.2, 4.5),
    "/truncated": ("truncated_body", 3, 0.5, 5.5),
    "/truncated-once": (None, 2, 0.2, 4.5),
    "/cut-then-reset": ("truncated_body", 3, 0.5, 5.5),
    "/bad-chunks": ("bad_response", 1, 0, 4.5),
    "/chunks-cut": ("truncated_body", 3, 0.5, 5.5),
    "/drip": ("deadline", 1, 3.0, 9),
    "/drip-header": ("deadline", 0, 3.0, 9),
    "/continue-for-ever": ("deadline", 0, 3.0, 9),
    "/silence": ("deadline", 0, 3.0, 9),
    "/silence-in-body": ("deadline", 1, 3.0, 9),
    "/oversize-announced": ("too_large", 1, 0, 4.5),
    "/oversize-close": ("too_large", 1, 0, 4.5),
    "/oversize-chunked": ("too_large", 1, 0, 4.5),
    "/html.jpg": (None, 1, 0, 4.5),
    "/empty": ("empty", 1, 0, 4.5),
    "/204": ("empty", 1, 0, 4.5),
    "/redirect": (None, 0, 0, 4.5),
    "/redirect-303": (None, 1, 0, 4.5),
    "/redirect-space": (None, 1, 0, 4.5),
    "/redirect-private": ("not_public", 1, 0, 4.5),
    "/redirect-localhost": ("not_public", 1, 0, 4.5),
    "/redirect-number": ("not_public", 1, 0, 4.5),
    "/redirect-metadata": ("not_public", 1, 0, 4.5),
    "/redirect-file": ("bad_url", 1, 0, 4.5),
    "/redirect-data": ("bad_url", 1, 0, 4.5),
    "/redirect-nowhere": ("http_302", 1, 0, 4.5),
    "/redirect-broken": ("bad_url", 1, 0, 4.5),
    "/loop": ("too_many_redirects", 6, 0, 4.5),
    # not counted: aiohttp itself may ask once more where a connection ends without an answer
    "/reset": ("connect", 0, 0.5, 5.5),
    "/hang-up": ("connect", 0, 0.5, 5.5),
    "/garbage": ("bad_response", 1, 0, 4.5),
    "/two-lengths": ("bad_response", 1, 0, 4.5),
    "/negative-length": ("bad_response", 1, 0, 4.5),
    "/huge-header": ("bad_response", 1, 0, 4.5),
    "/opt-out": ("opt_out", 1, 0, 4.5),
    "/opt-out-me": ("opt_out", 1, 0, 4.5),
    "/opt-out-other": (None, 1, 0, 4.5),
    "/gzip": (None, 1, 0, 4.5),
    "/gzip-bomb": ("too_large", 1, 0, 4.5),
    "/gzip-cut": ("truncated_body", 3, 0.5, 5.5),
    "/gzip-not": (None, 1, 0, 4.5),
    "/br-not": (None, 1, 0, 4.5),
}


@dataclass
class Run:
    """Results and seconds until they came, by URL."""

    server: LyingServer
    results: dict[str, Fetched]
    seconds: dict[str, float]


def get(urls: list[str], options: FetchOptions = OPTIONS) -> dict[str, Fetched]:
    results: dict[str, Fetched] = {}

    def keep(index: int, fetched: Fetched) -> None:
        assert urls[index] not in results
        results[urls[index]] = fetched

    fetch_all(urls, options, keep)
    assert set(results) == set(urls)
    return results


@pytest.fixture(scope="module")
def run():
    """All lies at once: a liar must not hold up the honest."""
    seconds: dict[str, float] = {}
    results: dict[str, Fetched] = {}
    with LyingServer() as server:
        urls = [server.url(path) for path in OUTCOMES]
        start = time.monotonic()

        def keep(index: int, fetched: Fetched) -> None:
            path = list(OUTCOMES)[index]
            assert path not in results
            results[path], seconds[path] = fetched, time.monotonic() - start

        options = FetchOptions(timeout_s=TIMEOUT_S, max_bytes=100_000, allow_hosts=("127.0.0.1",), per_host=len(urls))
        fetch_all(urls, options, keep)
        yield Run(server, results, seconds)


def test_every_url_ends_once_and_in_time(run):
    assert set(run.results) == set(OUTCOMES)
    assert max(run.seconds.values()) < TIMEOUT_S + 3


@pytest.mark.parametrize("path", OUTCOMES)
def test_a_lie_has_one_named_outcome(run, path):
    error, hits, least_s, most_s = OUTCOMES[path]
    fetched = run.results[path]
    assert fetched.error == error, fetched
    assert (fetched.body is None) == (error is not None)
    assert least_s <= run.seconds[path] <= most_s
    if hits:
        assert run.server.hits[path] == hits
    assert fetched.fetched_at.endswith("+00:00")


def test_bodies_arrive_as_sent(run):
    plain = {path for path, outcome in OUTCOMES.items() if outcome[0] is None} - {"/html.jpg"}
    assert {path for path in plain if run.results[path].body != PICTURE} == set()
    assert run.results["/html.jpg"].body == b"<html>gone</html>"


def test_the_cap_stops_the_reading_and_not_the_counting(run):
    assert "announces" in run.results["/oversize-announced"].detail
    assert run.server.sent["/oversize-announced"] < 400_000
    assert run.server.sent["/oversize-close"] < 8_000_000  # socket buffers, not gigabytes
    assert run.server.sent["/oversize-chunked"] < 8_000_000


def test_the_request_is_honest_and_asks_for_no_compression(run):
    head = run.server.heads["/ok.jpg"].lower()
    assert "user-agent: curate/" in head
    assert "accept-encoding: identity" in head
    assert "cookie" not in head


def test_attempts_and_status_are_recorded(run):
    assert (run.results["/404"].attempts, run.results["/404"].status) == (1, 404)
    assert (run.results["/500"].attempts, run.results["/500"].status) == (3, 500)
    # silence costs one attempt after another, so that a server that wakes up in between is heard
    assert run.results["/silence"].attempts == run.server.hits["/silence"] >= 2
    assert run.results["/reset"].attempts == run.results["/truncated"].attempts == 3
    assert (run.results["/503-once"].attempts, run.results["/503-once"].status) == (2, 200)


def test_urls_are_encoded_once():
    with LyingServer() as server:
        texts = [
            "/with space/é.jpg?q=%2F",
            "/with%20space/%C3%A9.jpg?q=%2F",
            "/signed?sig=a%2Bb%2F%7E%20c+d%25",
        ]
        urls = [f"  {server.url(texts[0])}\n", *(server.url(text) for text in texts[1:])]
        options = FetchOptions(timeout_s=TIMEOUT_S, allow_hosts=("127.0.0.1",), attempts=1)
        results = get(urls, options)
        assert [results[url].error for url in urls[1:]] == [None, None]
        # yarl decodes %2F in the query of a URL that needed encoding; an ASCII URL goes out untouched.
        sent = set(server.hits)
        assert texts[1] in sent and texts[2] in sent


def test_a_chunk_that_breaks_half_way_ends_in_time():
    # Some versions of aiohttp do not tell the reader; then the deadline does.
    with LyingServer() as server:
        url, start = server.url("/late-bad-chunks"), time.monotonic()
        options = FetchOptions(timeout_s=2, attempts=1, allow_hosts=("127.0.0.1",))
        assert get([url], options)[url].error in ("truncated_body", "deadline")
        assert time.monotonic() - start < 10


def test_names_and_ports_that_fail():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with LyingServer() as server:
            urls = {
                f"http://127.0.0.1:{port}/x.jpg": "connect",
                "http://nowhere.invalid/x.jpg": "dns",
                f"https://127.0.0.1:{server.port}/x.jpg": "tls",
            }
            results = get(list(urls))
    assert {url: result.error for url, result in results.items()} == urls


BAD_URLS = [
    "", " ", "x", "/etc/passwd", "file:///etc/hostname", "ftp://example.com/x", "data:image/png;base64,AA",
    "javascript:alert(1)", "http://", "http:///x.jpg", "http://[::1", "http://exa mple.com/", "http://a\nb/",
    "http://h:99999/", "http://h:x/", "http://127%2e0%2e0%2e1/", "http://\x00/", "http://.../", "gopher://h/",
    "http://\udcff/", "http://8.8.8.8\\@127.0.0.1/", "http://" + "a" * 300 + ".com/", "http://a..b/",
    "http://134744072/", "unix:///var/run/docker.sock", "http+unix://x/", "//example.com/x", "\ud800",
    "http:example.com", "http://[]@", "http://][@/x.jpg",
]  # fmt: skip


def test_bad_urls_are_named_and_raise_nothing():
    codes = {url: result.error for url, result in get(BAD_URLS).items()}
    assert {url: code for url, code in codes.items() if code != "bad_url"} == {}


CLOSED = [
    # loopback, in the ways that a C library reads an IPv4 address
    "127.0.0.1", "127.0.0.2", "127.255.255.255", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1",
    "0x7f.0.0.1", "0X7F.0x0.0x0.0x1", "0177.0.0.1", "0177.1", "017700000001", "00000177.0.0.1", "127.0.0.1.",
    "①②⑦.0.0.1", "127。0。0。1", "127.0.0.1..", "0x7F000001",
    # other closed blocks
    "0.0.0.0", "0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "167772161", "012.0.0.1", "172.16.0.1",
    "172.31.255.255", "192.168.0.1", "192.168.255.255", "3232235521", "169.254.169.254", "2852039166",
    "0xa9fea9fe", "0251.0376.0251.0376", "100.64.0.1", "100.100.100.200", "100.127.255.255", "192.0.0.1",
    "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    # IPv6
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[fe80::1]", "[fe80::1%25lo]",
    "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b::a00:1]", "[64:ff9b:1::1]", "[2001::1]", "[2001:db8::1]", "[100::1]",
    "[3fff::1]", "[5f00::1]",
    # names
    "localhost", "LOCALHOST", "user:pw@127.0.0.1", "8.8.8.8@127.0.0.1", "8.8.8.8:80@localhost",
]  # fmt: skip


@pytest.fixture
def connects(monkeypatch):
    """Addresses that anything tried to connect to; nothing gets through."""
    reached: list[object] = []

    async def refuse(self: object, sock: object, address: object) -> None:
        reached.append(address)
        raise ConnectionRefusedError("the test lets nothing out")

    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", refuse)
    return reached


def test_no_closed_address_is_ever_reached(connects):
    assert len(CLOSED) >= 60
    with LyingServer() as server:
        urls = [f"http://{host}:{server.port}/ok.jpg" for host in CLOSED]
        results = get(urls, FetchOptions(timeout_s=TIMEOUT_S))
        assert sum(server.hits.values()) == 0
    assert connects == []
    wrong = {url: result.error for url, result in results.items() if result.error != "not_public"}
    # Doubled dots are no name at all, and one trailing dot hides no address.
    assert set(wrong.values()) <= {"bad_url"} and len(wrong) <= 1, wrong


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:192.168.0.1"], ["2606:4700::1", "fd00::1"]],
)
def test_a_name_that_resolves_inside_is_refused(monkeypatch, connects, answers):
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: infos(answers, port))
    result = get(["http://innocent.example/x.jpg"])["http://innocent.example/x.jpg"]
    assert (result.error, connects) == ("not_public", [])


def test_a_name_that_changes_its_answer_is_reached_only_where_it_was_checked(monkeypatch, connects):
    turns = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]])
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: infos(next(turns), port))
    get(["http://rebind.example/x.jpg"])
    assert {address[0] for address in connects} == {"93.184.216.34"}


def infos(answers: list[str], port: int) -> list[tuple[object, ...]]:
    return [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (answer, port, 0, 0))
        if ":" in answer
        else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))
        for answer in answers
    ]


def test_public_addresses_are_public():
    for text in ("8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "172.32.0.1"):
        assert is_public(ipaddress.ip_address(text)), text
    assert literal("example.com") is None
    assert str(literal("0x8.8.8.8")) == "8.8.8.8"


def test_an_allowed_host_is_allowed_by_name_and_port_only():
    with LyingServer() as server:
        url = server.url("/ok.jpg")
        local = f"http://localhost:{server.port}/ok.jpg"
        for allowed, here, there in [
            ("127.0.0.1", None, "not_public"),
            (f"127.0.0.1:{server.port}", None, "not_public"),
            ("127.0.0.1:1", "not_public", "not_public"),
            ("LocalHost", "not_public", None),
            (f"localhost:{server.port}", "not_public", None),
        ]:
            results = get([url, local], FetchOptions(timeout_s=TIMEOUT_S, allow_hosts=(allowed,)))
            assert (results[url].error, results[local].error) == (here, there), allowed


def test_one_host_is_not_asked_too_often_at_once():
    with LyingServer() as server:
        urls = [server.url(f"/count/{number}") for number in range(60)]
        options = FetchOptions(timeout_s=TIMEOUT_S, per_host=3, allow_hosts=("127.0.0.1",))
        results = get(urls, options)
        assert {result.error for result in results.values()} == {None}
        assert 2 <= server.busiest <= 3


def test_waiting_for_a_busy_host_is_not_counted_against_a_url():
    with LyingServer() as server:
        urls = [server.url(f"/count/{number}") for number in range(60)]
        options = FetchOptions(timeout_s=0.8, per_host=1, attempts=1, allow_hosts=("127.0.0.1",))
        start = time.monotonic()
        results = get(urls, options)
        assert time.monotonic() - start > 1.2
        assert {result.error for result in results.values()} == {None}


def test_bodies_in_memory_are_bounded_while_on_done_is_slow():
    with LyingServer() as server:
        urls = [server.url(f"/count/{number}") for number in range(30)]
        finished: list[int] = []
        ahead: list[int] = []

        def slow(index: int, fetched: Fetched) -> None:
            time.sleep(0.02)
            # Fetched so far is at most what is done and what the four workers hold.
            ahead.append(sum(server.hits.values()) - server.hits["/robots.txt"] - len(finished))
            finished.append(index)

        fetch_all(urls, FetchOptions(concurrency=4, allow_hosts=("127.0.0.1",)), slow)
        assert len(ahead) == 30 and max(ahead) <= 4


def test_an_exception_in_on_done_stops_the_run():
    with LyingServer() as server:
        urls = [server.url("/drip"), *(server.url(f"/count/{number}") for number in range(20))]

        def fail(index: int, fetched: Fetched) -> None:
            raise RuntimeError("disk full")

        start = time.monotonic()
        with pytest.raises(RuntimeError, match="disk full"):
            fetch_all(urls, FetchOptions(allow_hosts=("127.0.0.1",)), fail)
        assert time.monotonic() - start < 15  # the drip alone would take its 30 s


def test_no_urls_is_no_work():
    fetch_all([], OPTIONS, lambda index, fetched: pytest.fail("called"))


def test_which_codes_may_pass():
    passing = ["dns", "connect", "deadline", "truncated_body", "http_408", "http_429", "http_500", "http_503"]
    final = [
        "http_404",
        "http_410",
        "http_403",
        "tls",
        "not_public",
        "bad_url",
        "too_large",
        "empty",
        "opt_out",
    ]
    assert [code for code in passing if not may_pass(code)] == []
    assert [code for code in final if may_pass(code)] == []


@pytest.mark.parametrize(
    ("line", "no"),
    [
        ("noai", True), ("index, noimageai", True), ("none", True), ("all", False), ("", False),
        ("noml", True), ("NoIndex", True), (" nofollow ,noindex", True), ("nofollow", False),
        ("CURATE: NoImageAI", True), ("curate : noai", True), ("otherbot: noai, curate: all", False),
        ("curate: all, otherbot: noindex", False), ("curated: noai", False),
        ("googlebot: noindex", False), ("googlebot: noindex, curate: noml", True), ("*: noai", True),
        ("max-image-preview: large, noindex", True), ("noaiart", False),
        ("unavailable_after: 25 Jun 2030 15:00:00 PST, noai", True),
    ],
)  # fmt: skip
def test_opting_out(line, no):
    assert forbids([line], "curate/1.0 (x)") is no


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("0", 0, 0), ("17", 17, 17), (" 5 ", 5, 5), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("9" * 400, 1e9, float("inf")),
    ],
)  # fmt: skip
def test_retry_after(header, least, most):
    wait = retry_after_s(header)
    assert wait is not None and least <= wait <= most


@pytest.mark.parametrize("header", ["", "soon", "-5", "1.5.2", "²", "Wed, 99 Foo 9999 07:28:00 GMT"])
def test_retry_after_nonsense(header):
    assert retry_after_s(header) is None


def test_parse_names_the_url():
    with pytest.raises(SampleError) as caught:
        parse("ftp://example.com/x")
    assert caught.value.code == "bad_url" and "ftp://example.com/x" in caught.value.detail
