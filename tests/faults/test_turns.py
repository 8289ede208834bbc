"""Rates, hosts that are down, and the alarm: what keeps a job polite, and stops it when the network is gone."""

import asyncio
import socket
import time

import pytest
from conftest import Quiet, Workshop
from lying_server import LIES, LyingServer, to

from curate.driver import Where
from curate.errors import AlarmError, OutsideError
from curate.io.alarm import Alarm
from curate.io.fetch import Fetched, FetchOptions, fetch_all, may_pass
from curate.io.turns import Turns
from curate.pipeline import Run, run


def get(urls: list[str], **more) -> list[Fetched]:
    results: dict[int, Fetched] = {}
    options = FetchOptions(
        **{"timeout_s": 20, "allow_hosts": ("127.0.0.1",), "attempts": 1, "robots": "ignore", **more}
    )
    fetch_all(urls, options, results.__setitem__)
    return [results[number] for number in range(len(urls))]


@pytest.fixture
def closed():
    """A port on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_rate_is_kept_and_other_hosts_do_not_wait_for_it():
    with LyingServer() as server:
        slow = [server.url(f"/count/{number}") for number in range(9)]
        begun, ended = time.monotonic(), {}

        def done(index, fetched):
            assert fetched.error is None
            ended[index] = time.monotonic() - begun

        options = FetchOptions(allow_hosts=("127.0.0.1",), per_host_rate=10, concurrency=4, robots="ignore")
        fetch_all(slow, options, done)
        assert ended[8] > 0.75  # the ninth begins 0.8 s after the first
        assert min(ended.values()) < ended[8] - 0.4


def test_a_rate_of_one_host_leaves_the_turns_to_others():
    async def taken():
        turns = Turns(["a1", "a2", "a3", "b1", "b2", "b3"], lambda url: url[0], 2, per_host_rate=20)
        order = []
        while turn := await turns.take():
            order.append(turn.url)
            turns.give_back(turn, None)
        return order

    begun = time.monotonic()
    order = asyncio.run(taken())
    assert sorted(order) == ["a1", "a2", "a3", "b1", "b2", "b3"]
    assert {url[0] for url in order[:2]} == {"a", "b"}
    assert time.monotonic() - begun > 0.09


def test_a_host_that_is_down_is_given_up(closed):
    with LyingServer() as server:
        urls = [f"http://127.0.0.1:{closed}/{number}.jpg" for number in range(50)]
        good = [f"http://localhost:{server.port}/count/{number}" for number in range(5)]
        found = get([*urls, *good], per_host=2, allow_hosts=("127.0.0.1", "localhost"))
        codes = [each.error for each in found]
        assert codes[50:] == [None] * 5
        assert codes.count("connect") in (8, 9)  # one more may be under way
        assert codes.count("host_down") == 50 - codes.count("connect")
        assert may_pass("host_down")
        assert all(each.attempts == 0 and each.fetched_at for each in found if each.error == "host_down")


def test_a_success_between_keeps_a_host(closed):
    async def codes():
        turns = Turns([f"a{n}" for n in range(40)], lambda url: "a", 1, host_failures=4)
        downs = []
        for number in range(40):
            turn = await turns.take()
            downs.append(turn.down)
            turns.give_back(turn, None if number % 4 == 3 else "connect")
        return downs

    assert not any(asyncio.run(codes()))


def test_a_host_that_leads_to_one_that_is_down_is_there_itself(closed, monkeypatch):
    with LyingServer() as server:
        monkeypatch.setitem(LIES, "/gone", to(f"http://127.0.0.1:{closed}/x.jpg"))
        found = get([server.url("/gone")] * 20 + [server.url("/ok.jpg")], per_host=1)
        assert [each.error for each in found] == ["connect"] * 20 + [None]


def test_a_silent_host_has_one_turn_until_it_answers():
    async def taken():
        turns = Turns([*(f"a{n}" for n in range(5)), "b0"], lambda url: url[0], 3, knock=True)
        first, other = await turns.take(), await turns.take()
        assert (first.host, other.host) == ("a", "b")
        waiting = [asyncio.create_task(turns.take()) for _ in range(4)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        turns.answered("a")
        await asyncio.sleep(0.05)
        done = [task.result() for task in waiting if task.done()]
        assert [turn.host for turn in done if turn] == ["a", "a"]
        for turn in (first, *filter(None, done)):
            turns.give_back(turn, None)
        rest = [await turns.take() for _ in range(3)]
        return [turn.url for turn in rest if turn]

    assert asyncio.run(taken()) == ["a3", "a4"]


@pytest.mark.parametrize("code", ["connect", "http_404"])
def test_workers_that_wait_for_a_silent_host_end_with_it(code):
    async def worked():
        turns = Turns([f"a{n}" for n in range(30)], lambda url: "a", 4, host_failures=8, knock=True)
        held = most = 0

        async def work():
            nonlocal held, most
            while turn := await turns.take():
                held += 1
                most = max(most, held)
                await asyncio.sleep(0)
                held -= 1
                turns.give_back(turn, code)

        async with asyncio.timeout(20):
            await asyncio.gather(*(work() for _ in range(6)))
        return most

    assert asyncio.run(worked()) == (1 if code == "connect" else 4)


def test_none_is_given_up_where_that_is_asked(closed):
    urls = [f"http://127.0.0.1:{closed}/{number}.jpg" for number in range(20)]
    assert {each.error for each in get(urls, host_failures=0)} == {"connect"}


def test_a_404_says_nothing_against_its_host():
    with LyingServer() as server:
        urls = [server.url("/404") + "" for _ in range(20)]
        assert {each.error for each in get(urls)} == {"http_404"}


@pytest.mark.parametrize(
    ("ends", "rings"),
    [
        ([(f"h{n % 9}", "dns") for n in range(60)], True),
        ([(f"h{n % 9}", "dns") for n in range(59)], False),
        ([(f"h{n % 7}", "dns") for n in range(500)], False),  # seven dead hosts are no dead network
        ([(f"h{n % 9}", "connect" if n else None) for n in range(500)], False),  # one is there
        ([(f"h{n % 9}", "connect" if n < 60 else "http_404") for n in range(61)], False),  # though late
        ([(f"h{n % 9}", "http_404") for n in range(500)], False),
    ],
)
def test_the_alarm(ends, rings):
    alarm = Alarm(concurrency=4)
    heard = False
    try:
        for host, code in ends:
            alarm.end(alarm.begin(), host, code)
        alarm.finish()
    except AlarmError as error:
        heard = True
        assert "resolver" in str(error)
    assert heard == rings


def test_the_alarm_rings_before_all_is_tried():
    alarm = Alarm(concurrency=4)
    with pytest.raises(AlarmError, match="all of 64 URLs"):
        for n in range(1000):
            alarm.end(alarm.begin(), f"h{n % 9}", "dns")


def test_dead_links_beside_one_server_that_answers_ring_no_alarm(closed):
    hosts = tuple(f"127.0.0.{n}" for n in range(1, 11))
    with LyingServer() as server:
        dead = [f"http://{hosts[n % 9 + 1]}:{closed}/{n}.jpg" for n in range(400)]
        assert get([*dead, server.url("/404")], allow_hosts=hosts)[-1].error == "http_404"


def test_quick_failures_beside_slow_pictures_are_no_dead_network(closed):
    hosts = tuple(f"127.0.0.{n}" for n in range(1, 11))
    with LyingServer() as server:
        dead = [f"http://{hosts[n % 9 + 1]}:{closed}/{n}.jpg" for n in range(90)]
        codes = [each.error for each in get([server.url(f"/count/{n}") for n in range(60)] + dead, allow_hosts=hosts)]
    assert codes[:60] == [None] * 60
    assert set(codes[60:]) <= {"connect", "host_down"}


def test_a_dead_network_raises_and_dead_links_do_not(closed):
    hosts = tuple(f"127.0.0.{n}" for n in range(1, 10))
    urls = [f"http://{hosts[n % 9]}:{closed}/{n}.jpg" for n in range(300)]
    with pytest.raises(AlarmError, match=r"alarm: all of \d+ URLs on 9 hosts .*connect \d+.*run again"):
        get(urls, allow_hosts=hosts)
    found = get(urls, allow_hosts=hosts, alarm=False)
    assert {each.error for each in found} == {"connect", "host_down"}


def test_a_dead_network_stops_the_job_and_commits_nothing(workshop: Workshop, closed) -> None:
    lines = "".join(f"http://127.0.0.{n % 9 + 1}:{closed}/{n}.jpg\ta dog\n" for n in range(800))
    workshop.write("dead.tsv", lines)
    hosts = ", ".join(f"127.0.0.{n + 1}" for n in range(9))
    workshop.write(
        "catalogs/dead.yaml",
        f"source: cc12m\nuri: {workshop.folder}/dead.tsv\nlicence: CC0\nshard_rows: 100\n"
        f"fetch: {{timeout_s: 5, attempts: 1, allow_hosts: [{hosts}]}}\n",
    )
    workshop.write("jobs/j.yaml", "from: dead\n")
    quiet = Quiet()
    with pytest.raises(OutsideError, match=r"dead-00000 ingest: .*alarm: all of \d+ URLs on 9 hosts"):
        run("j", Run(str(workshop.root), workshop.project, Where("inline")), quiet)
    assert len(quiet.reports) == 1
    assert not list(workshop.root.glob("dead/samples/*"))
