"""A loopback HTTP server that lies in every way a web server can; each path is one lie."""

import asyncio
import email.utils
import gzip
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

PICTURE = b"\xff\xd8\xff" + bytes(range(256)) * 8
Lie = Callable[["LyingServer", asyncio.StreamWriter, str], Awaitable[None]]


def answer(status: str, *headers: str, body: bytes = b"", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return ("\r\n".join([*lines, "", ""])).encode("utf-8") + body


def fixed(raw: bytes) -> Lie:
    async def lie(server: "LyingServer", writer: asyncio.StreamWriter, path: str) -> None:
        writer.write(raw)

    return lie


def once(first: Callable[[], bytes]) -> Lie:
    """Answer `first()` to the first request and the picture to the later ones."""

    async def lie(server: "LyingServer", writer: asyncio.StreamWriter, path: str) -> None:
        writer.write(first() if server.hits[path] == 1 else answer("200 OK", body=PICTURE))

    return lie


def endless(head: bytes, piece: bytes, every_s: float) -> Lie:
    async def lie(server: "LyingServer", writer: asyncio.StreamWriter, path: str) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            server.sent[path] += len(piece)
            await asyncio.sleep(every_s)

    return lie


async def reset(server: "LyingServer", writer: asyncio.StreamWriter, path: str) -> None:
    writer.transport.abort()


async def cut_then_reset(server: "LyingServer", writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(answer("200 OK", body=PICTURE[:50], length=len(PICTURE)))
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()


async def late_bad_chunks(server: "LyingServer", writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(answer("200 OK", "Transfer-Encoding: chunked", length=-1) + b"3\r\nabc\r\n")
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.write(b"zz\r\nabc\r\n")


def to(location: str, status: str = "302 Found") -> Lie:
    return fixed(answer(status, f"Location: {location}"))


def in_seconds(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


LIES: dict[str, Lie] = {
    "/ok.jpg": fixed(answer("200 OK", "Content-Type: image/jpeg", body=PICTURE)),
    "/404": fixed(answer("404 Not Found", body=b"no")),
    "/410": fixed(answer("410 Gone", body=b"no")),
    "/403": fixed(answer("403 Forbidden", body=b"no")),
    "/999": fixed(answer("999 Request denied", body=b"no")),
    "/500": fixed(answer("500 Oops", body=b"no")),
    "/503-once": once(lambda: answer("503 Busy")),
    "/429-seconds": once(lambda: answer("429 Slow", "Retry-After: 1")),
    "/429-date": once(lambda: answer("429 Slow", f"Retry-After: {in_seconds(2)}")),
    "/429-tomorrow": fixed(answer("429 Slow", "Retry-After: 86400")),
    "/429-nonsense": once(lambda: answer("429 Slow", "Retry-After: soon, I think")),
    "/truncated": fixed(answer("200 OK", body=PICTURE[:50], length=len(PICTURE))),
    "/truncated-once": once(lambda: answer("200 OK", body=PICTURE[:50], length=len(PICTURE))),
    "/cut-then-reset": cut_then_reset,
    "/bad-chunks": fixed(answer("200 OK", "Transfer-Encoding: chunked", length=-1) + b"zz\r\nabc\r\n"),
    "/late-bad-chunks": late_bad_chunks,
    "/chunks-cut": fixed(answer("200 OK", "Transfer-Encoding: chunked", length=-1) + b"5\r\nabcde\r\n"),
    "/drip": endless(answer("200 OK", length=1000), b"x", 1.0),
    "/drip-header": endless(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 0.5),
    "/continue-for-ever": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
    "/silence": endless(b"", b"", 0.2),
    "/silence-in-body": endless(answer("200 OK", body=PICTURE[:9], length=999), b"", 0.2),
    "/oversize-announced": endless(answer("200 OK", length=10**12), b"x" * 1000, 0.01),
    "/oversize-close": endless(answer("200 OK", length=-1), b"x" * 20_000, 0.001),
    "/oversize-chunked": endless(
        answer("200 OK", "Transfer-Encoding: chunked", length=-1),
        b"4e20\r\n" + b"x" * 20_000 + b"\r\n",
        0.001,
    ),
    "/html.jpg": fixed(answer("200 OK", "Content-Type: text/html", body=b"<html>gone</html>")),
    "/empty": fixed(answer("200 OK")),
    "/204": fixed(answer("204 No Content", length=-1)),
    "/redirect": to("/ok.jpg"),
    "/redirect-303": to("/redirect", "303 See Other"),
    "/redirect-space": to("/with space/é.jpg?q=%2F"),
    "/redirect-private": to("http://10.0.0.1/x.jpg"),
    "/redirect-metadata": to("//169.254.169.254/latest/meta-data/"),
    "/redirect-file": to("file:///etc/hostname"),
    "/redirect-data": to("data:image/png;base64,AAAA"),
    "/redirect-nowhere": fixed(answer("302 Found")),
    "/redirect-broken": to("http://[::1"),
    "/loop": to("/loop"),
    "/reset": reset,
    "/hang-up": fixed(b""),
    "/garbage": fixed(b"\x00\xff SSH-2.0-OpenSSH\r\n\r\n"),
    "/two-lengths": fixed(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 9\r\n\r\nabc"),
    "/negative-length": fixed(b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc"),
    "/huge-header": fixed(answer("200 OK", "X-Long: " + "x" * 100_000, body=PICTURE)),
    "/opt-out": fixed(answer("200 OK", "X-Robots-Tag: noarchive, NoAI", body=PICTURE)),
    "/opt-out-me": fixed(answer("200 OK", "X-Robots-Tag: curate: noindex", body=PICTURE)),
    "/opt-out-other": fixed(answer("200 OK", "X-Robots-Tag: otherbot: noindex, noai", body=PICTURE)),
    "/gzip": fixed(answer("200 OK", "Content-Encoding: gzip", body=gzip.compress(PICTURE))),
    "/gzip-bomb": fixed(answer("200 OK", "Content-Encoding: gzip", body=gzip.compress(bytes(10**7)))),
    "/gzip-cut": fixed(answer("200 OK", "Content-Encoding: gzip", body=gzip.compress(PICTURE)[:-20])),
    "/gzip-not": fixed(answer("200 OK", "Content-Encoding: gzip", body=PICTURE)),
    "/br-not": fixed(answer("200 OK", "Content-Encoding: br", body=PICTURE)),
    "/with%20space/%C3%A9.jpg?q=%2F": fixed(answer("200 OK", body=PICTURE)),
    "/signed?sig=a%2Bb%2F%7E%20c+d%25": fixed(answer("200 OK", body=PICTURE)),
}


@dataclass
class LyingServer:
    """Use as a context manager; `hits` and `sent` (body bytes of endless answers) are counted by path."""

    port: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    heads: dict[str, str] = field(default_factory=dict)
    robots: Lie = field(default_factory=lambda: fixed(answer("404 Not Found")))
    busy: int = 0
    busiest: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> "LyingServer":
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        assert self._thread is not None
        self._thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        listening = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = listening.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        listening.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            first = await reader.readexactly(1)
            if first == b"\x16":  # a TLS greeting
                writer.write(answer("400 Bad Request"))
                return
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ")[1]
            self.hits[path] += 1
            self.heads[path] = head
            if path == "/robots.txt":
                await self.robots(self, writer, path)
            elif path.startswith("/count/"):
                await asyncio.sleep(0.02)
                writer.write(answer("200 OK", body=PICTURE))
            elif path in ("/redirect-localhost", "/redirect-number"):
                host = "localhost" if path.endswith("localhost") else "2130706433"
                writer.write(answer("302 Found", f"Location: http://{host}:{self.port}/ok.jpg"))
            else:
                await LIES[path](self, writer, path)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.busy -= 1
            writer.close()
