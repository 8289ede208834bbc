"""robots.txt: asked once for an origin, obeyed, and no excuse for losing a row without a reason."""

import socket

import pytest
from lying_server import LyingServer, answer, endless, fixed, once, reset

from curate.catalog import Fetch
from curate.io import robots
from curate.io.fetch import Fetched, FetchOptions, fetch_all, may_pass

COUNTS = [f"/count/{number}" for number in range(20)]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(robots, "_KEPT", type(robots._KEPT)())
    monkeypatch.setattr(robots, "PATIENCE_S", 3.0)


def get(server: LyingServer, paths: list[str], **more) -> dict[str, Fetched]:
    results: dict[str, Fetched] = {}
    options = FetchOptions(**{"timeout_s": 8, "allow_hosts": ("127.0.0.1",), "per_host": 30, **more})
    urls = [path if "://" in path else server.url(path) for path in paths]
    fetch_all(urls, options, lambda index, fetched: results.__setitem__(paths[index], fetched))
    assert set(results) == set(paths)
    return results


def says(text: str) -> LyingServer:
    return LyingServer(robots=fixed(answer("200 OK", "Content-Type: text/plain", body=text.encode())))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("User-agent: *\nDisallow: /count/", "robots"),
        ("User-agent: *\nDisallow: /", "robots"),
        ("User-agent: curate\nDisallow: /count/\n\nUser-agent: *\nAllow: /", "robots"),
        ("User-agent: CURATE\nDisallow: /count/", "robots"),
        ("User-agent: *\nDisallow: /*1$", "robots"),
        ("user-agent:*\r\ndisallow:/count/1", "robots"),
        ("\ufeffUser-agent: *\nDisallow: /count/", "robots"),
        ("User-agent: *\nDisallow: /\nAllow: /count/", None),  # the longest match decides
        ("User-agent: curate\nAllow: /\n\nUser-agent: *\nDisallow: /", None),
        ("User-agent: otherbot\nDisallow: /", None),
        ("User-agent: *\nDisallow:", None),
        ("Disallow: /", None),
        ("", None),
        ("<html>not found</html>", None),
        ("\x00\xff garbage" * 100, None),
    ],
)
def test_rules_are_obeyed(text, error):
    with says(text) as server:
        found = get(server, ["/count/1"])["/count/1"]
        assert found.error == error
        assert server.hits["/count/1"] == (0 if error else 1)
        assert "user-agent: curate/" in server.heads["/robots.txt"].lower()
    assert not may_pass("robots")


def test_an_origin_is_asked_once_also_by_the_next_shard():
    with says("User-agent: *\nDisallow: /count/7") as server:
        for _ in range(2):
            found = get(server, COUNTS)
            assert {path for path in COUNTS if found[path].error} == {"/count/7"}
        assert server.hits["/robots.txt"] == 1
        assert server.hits["/count/7"] == 0


def test_it_can_be_switched_off():
    with says("User-agent: *\nDisallow: /") as server:
        assert get(server, ["/count/1"], robots="ignore")["/count/1"].error is None
        assert server.hits["/robots.txt"] == 0


def test_the_user_agent_of_the_catalog_counts():
    with says("User-agent: lab\nDisallow: /") as server:
        assert get(server, ["/count/1"], user_agent="lab/1.0 (mailto:a@lab.org)")["/count/1"].error == "robots"
        assert get(server, ["/count/2"])["/count/2"].error is None


@pytest.mark.parametrize("status", ["404 Not Found", "401 Unauthorized", "403 Forbidden", "410 Gone", "204 No Content"])
def test_none_allows_everything(status):
    with LyingServer(robots=fixed(answer(status))) as server:
        assert get(server, ["/count/1"])["/count/1"].error is None


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        (fixed(answer("503 Busy")), "http_503"),
        (fixed(answer("429 Slow")), "http_429"),
        (reset, "connect"),
        (endless(answer("200 OK", length=10**6), b"x", 0.5), "deadline"),
        (endless(b"", b"", 0.2), "deadline"),
    ],
    ids=["503", "429", "reset", "drip", "silence"],
)
def test_one_that_cannot_be_read_forbids_for_the_time_being(lie, error):
    with LyingServer(robots=lie) as server:
        found = get(server, COUNTS)
        assert {each.error for each in found.values()} == {error}
        assert all(each.detail.startswith("robots.txt: ") for each in found.values())
        assert not any(server.hits[path] for path in COUNTS)
        assert may_pass(error)


def test_a_hiccup_is_asked_again():
    with LyingServer(robots=once(lambda: b"")) as server:
        assert get(server, ["/count/1"])["/count/1"].error is None
        assert server.hits["/robots.txt"] >= 2


def test_a_dripping_robots_txt_holds_up_no_other_host():
    with LyingServer(robots=endless(b"", b"", 0.2)) as bad, LyingServer() as good:
        urls = [bad.url("/count/1"), *(good.url(path) for path in COUNTS)]
        order: list[int] = []
        options = FetchOptions(timeout_s=8, allow_hosts=("127.0.0.1",), concurrency=4)
        fetch_all(urls, options, lambda index, fetched: order.append(index))
        assert order[-1] == 0


def test_a_redirect_asks_the_other_origin():
    with says("User-agent: *\nDisallow: /") as closed, LyingServer() as open_one:
        closed_url = closed.url("/count/1")
        open_one.robots = fixed(answer("404 Not Found"))
        from lying_server import LIES, to

        LIES["/away"] = to(closed_url)
        try:
            assert get(open_one, ["/away"])["/away"].error == "robots"
        finally:
            del LIES["/away"]
        assert closed.hits["/count/1"] == 0


def test_a_redirected_robots_txt_is_followed_but_not_inside():
    with LyingServer(robots=fixed(answer("302 Found", "Location: /rules"))) as server:
        from lying_server import LIES

        LIES["/rules"] = fixed(answer("200 OK", body=b"User-agent: *\nDisallow: /count/"))
        try:
            assert get(server, ["/count/1"])["/count/1"].error == "robots"
        finally:
            del LIES["/rules"]
    with LyingServer(robots=fixed(answer("302 Found", "Location: http://169.254.169.254/"))) as server:
        assert get(server, ["/count/1"])["/count/1"].error is None


def test_a_long_one_is_read_to_the_cap():
    rules = b"User-agent: *\nDisallow: /count/\n" + b"# comment\n" * 60_000
    with LyingServer(robots=fixed(answer("200 OK", body=rules))) as server:
        assert get(server, ["/count/1"])["/count/1"].error == "robots"


def test_a_host_that_is_not_there_keeps_its_own_code():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/x.jpg"
        with LyingServer() as server:
            assert get(server, [url])[url].error == "connect"


def test_ignoring_needs_a_reason():
    with pytest.raises(ValueError, match="needs a robots_reason"):
        Fetch(robots="ignore")
    fetch = Fetch(robots="ignore", robots_reason="our own pictures")
    assert fetch.options()["robots"] == "ignore"
    FetchOptions(**fetch.options())


@pytest.mark.parametrize("agent", ["Mozilla/5.0", "lab", "lab/1 nobody"])
def test_a_user_agent_says_whom_to_ask(agent):
    with pytest.raises(ValueError, match="user_agent"):
        Fetch(user_agent=agent)
    assert Fetch(user_agent="lab/1.0 (+https://lab.org/crawl)").options()["user_agent"].startswith("lab/")
