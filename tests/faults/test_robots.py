"""robots.txt: asked once for an origin, obeyed, and no excuse for losing a row without a reason."""

import asyncio
import re
import socket
from pathlib import Path

import pytest
from conftest import growth
from lying_server import LIES, LyingServer, answer, endless, fixed, once, reset, to

from curate.catalog import Fetch
from curate.io import robots
from curate.io.fetch import Fetched, FetchOptions, fetch_all, may_pass
from curate.io.robots import Kept, Robots, Rules, groups

COUNTS = [f"/count/{number}" for number in range(20)]


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    monkeypatch.setattr(robots, "KEPT", robots.Kept())
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
        ("User-agent: Curate/1.0 (any)\nDisallow: /", "robots"),
        ("User-agent: otherbot\nUser-agent: curate\nDisallow: /", "robots"),
        ("User-agent: *\nSitemap: /s.xml\nUser-agent: otherbot\nDisallow: /", "robots"),  # one group, 2.2.4
        ("User-agent: *\nAllow: /\nUser-agent: otherbot\nDisallow: /", None),
        ("User-agent: cur\nDisallow: /", None),  # no product token of ours, though it begins like it
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


@pytest.mark.parametrize(
    "status", ["404 Not Found", "301 Nowhere", "401 Unauthorized", "403 Forbidden", "410 Gone", "204 No Content"]
)
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
        found = get(server, COUNTS, host_failures=0)
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
        # More URLs than slots: they must not take all of them.
        silent = [bad.url(path).replace("127.0.0.1", "localhost") for path in COUNTS]
        order: list[int] = []
        options = FetchOptions(timeout_s=8, allow_hosts=("127.0.0.1", "localhost"), concurrency=4)
        fetch_all([*silent, *(good.url(path) for path in COUNTS)], options, lambda index, fetched: order.append(index))
        assert min(order[: len(COUNTS)]) >= len(silent)
        assert len(order) == 2 * len(COUNTS)


def test_a_deadline_before_robots_txt_came_says_so():
    with LyingServer(robots=endless(b"", b"", 0.2)) as server:
        found = get(server, ["/count/1"], timeout_s=1)["/count/1"]
        assert (found.error, found.attempts) == ("deadline", 0)
        assert found.detail.startswith("robots.txt: ")


def test_a_page_header_on_robots_txt_is_no_opt_out():
    text = b"User-agent: *\nDisallow: /count/2"
    with LyingServer(robots=fixed(answer("200 OK", "X-Robots-Tag: noindex, follow", body=text))) as server:
        found = get(server, ["/count/1", "/count/2"])
        assert {path: each.error for path, each in found.items()} == {"/count/1": None, "/count/2": "robots"}


def test_many_names_for_many_rules_take_no_more_than_their_length():
    def work(count: int) -> None:
        names = "".join(f"user-agent: {n}\n" for n in range(count))
        robots._rules(None, names + "".join(f"allow: /{n}\n" for n in range(count)), "curate")

    assert growth(work, 250) < 30  # 64 if each rule were kept for each name


def test_only_the_rules_that_speak_to_us_are_kept():
    text = (
        "User-agent: a\nDisallow: /a # why\n\nuseragent curate*\ndisalow /b\nCrawl-delay: 3\n"
        "User-agent: *\nAllow: /c\nHost: x\nUser-agent: b\nUser-agent: CURATE\nDisallow: /d\nnonsense\n"
    )
    assert groups(text, "curate").split("\n") == [
        "User-agent: curate", "disalow /b", "User-agent: *", "Allow: /c", "User-agent: curate", "Disallow: /d",
    ]  # fmt: skip


def test_what_is_kept_is_bounded_and_grows_old(monkeypatch):
    monkeypatch.setattr(robots, "MAX_ORIGINS", 3)
    monkeypatch.setattr(robots, "MAX_KEPT_CHARS", 100)
    kept = Kept()
    for number in range(5):
        kept.put((f"h{number}", "curate"), Rules(until=1e18, size=10))
    assert [bool(kept.get((f"h{number}", "curate"))) for number in range(5)] == [False, False, True, True, True]
    kept.put(("h4", "curate"), Rules(until=1e18, size=95))
    assert len(kept) == 1 and kept.get(("h4", "curate"))
    kept.put(("h4", "curate"), Rules(until=1e18, size=10))
    kept.put(("h5", "curate"), Rules(until=1e18, size=10))
    assert len(kept) == 2
    kept.put(("h5", "curate"), Rules())
    assert kept.get(("h5", "curate")) is None


def test_a_failure_is_not_kept_for_a_day(monkeypatch):
    monkeypatch.setattr(robots, "FAILED_S", 0.0)
    with LyingServer(robots=once(lambda: answer("503 Busy"))) as server:
        found = get(server, ["/count/1", "/count/2"], concurrency=1)
        assert [each.error for each in found.values()] == ["http_503", None]
        assert robots.KEPT_S <= 24 * 3600 and server.hits["/robots.txt"] == 2


def test_a_private_host_that_another_catalog_allows_is_asked():
    with says("User-agent: *\nDisallow: /") as server:
        assert get(server, ["/count/1"], allow_hosts=())["/count/1"].error == "not_public"
        assert get(server, ["/count/1"])["/count/1"].error == "robots"


def test_one_that_gives_up_leaves_the_question_to_the_others():
    async def asked() -> tuple[int, object]:
        calls, come = [], asyncio.Event()

        async def ask(url):
            calls.append(url)
            await come.wait()
            return None, ""

        some = Robots("curate/1", ask)
        url = robots.URL("http://h/x")
        first = asyncio.create_task(some.check(url))
        second = asyncio.create_task(some.check(url))
        await asyncio.sleep(0)
        first.cancel()
        come.set()
        answer = await second
        return len(calls), answer

    assert asyncio.run(asked()) == (1, None)


def test_every_code_of_a_fetch_is_in_the_readme():
    table = (Path(__file__).parents[2] / "README.md").read_text().split("## Why a row failed")[1].split("\n## ")[0]
    told = set(re.findall(r"`(\w+)`", table))
    codes = set(re.findall(r"`([a-z_]+)`", Fetched.__doc__ or "")) - {"fetched_at"}
    assert {"robots", "host_down", "deadline"} <= codes <= told


def test_every_option_of_a_catalog_is_in_the_readme():
    text = (Path(__file__).parents[2] / "README.md").read_text()
    assert {name for name in Fetch.model_fields if not re.search(rf"\b{name}\b", text)} == set()
    assert set(Fetch.model_fields) - {"robots_reason"} <= {name for name in FetchOptions.__slots__}


def test_a_redirect_asks_the_other_origin():
    with says("User-agent: *\nDisallow: /") as closed, LyingServer() as open_one:
        closed_url = closed.url("/count/1")
        open_one.robots = fixed(answer("404 Not Found"))
        LIES["/away"] = to(closed_url)
        try:
            assert get(open_one, ["/away"])["/away"].error == "robots"
        finally:
            del LIES["/away"]
        assert closed.hits["/count/1"] == 0


def test_a_redirected_robots_txt_is_followed_but_not_inside():
    with LyingServer(robots=fixed(answer("302 Found", "Location: /rules"))) as server:
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


@pytest.mark.parametrize("agent", ["Mozilla/5.0", "lab", "lab/1 nobody", "lab/1 a@b\nX: y", "läb/1 a@b"])
def test_a_user_agent_says_whom_to_ask(agent):
    with pytest.raises(ValueError, match="user_agent"):
        Fetch(user_agent=agent)
    assert Fetch(user_agent="lab/1.0 (+https://lab.org/crawl)").options()["user_agent"].startswith("lab/")


@pytest.mark.parametrize("path", ["/./count/1", "/a/../count/1", "/a/%2e%2e/count/1"])
def test_another_spelling_of_a_path_is_forbidden_too(path):
    with says("User-agent: *\nDisallow: /count/") as server:
        assert get(server, [path])[path].error == "robots"
