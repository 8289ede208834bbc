"""The web of the fetch bench, in a process of its own: cheap answers, with the latency or the dirt that a path names.

`/clean/img/000123.jpg` is picture 123 modulo the number of pictures, `/slow/…` the same after 100 ms, and `/dirty/…`
what `fault` says of 123. `/reset` forgets who was here before. Everything else, robots.txt too, is 404.
"""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.request import urlopen

LATENCY_S = 0.1
DRIP_S = 120
"""How long a drip goes on, one byte a second."""
RECOVERABLE = ("", "busy_once", "slow_down_once")
HTML = b"<!doctype html><title>Gone shopping</title><p>This picture has moved.</p>"
_SEND_BYTES = 1 << 18


def fault(number: int) -> str:
    """Return what is wrong with a dirty picture: of any 1,000 in a row, 221 are, spread evenly."""
    turn = (number - 50) * 389 % 1000
    ends = {"drip": 1, "gone": 101, "busy_once": 151, "slow_down_once": 181, "cut": 201, "html": 221}
    return next((name for name, end in ends.items() if turn < end), "")


@contextmanager
def serving(pictures: Path) -> Iterator[tuple[int, int]]:
    """Serve the pictures of a folder on the loopback; give the port and the process id."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        port = int(listening.getsockname()[1])
        command = [sys.executable, __file__, str(pictures), str(listening.fileno())]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(listening.fileno(),))
    try:
        yield port, child.pid
    finally:
        child.terminate()
        child.communicate()


def reset(port: int) -> None:
    """Let every URL be new to the server again."""
    with urlopen(f"http://127.0.0.1:{port}/reset") as answer:
        answer.read()


class Answers(asyncio.Protocol):
    """Answers the requests of one connection; nobody sends a second one before the first is answered."""

    def __init__(self, pictures: list[bytes], visited: set[bytes]) -> None:
        self._pictures, self._visited, self._received = pictures, visited, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: asyncio.Transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            request, self._received = self._received[:end], self._received[end + 4 :]
            self._answer(request.split(b" ", 2)[1], b"connection: close" in request.lower())

    def _answer(self, path: bytes, last: bool) -> None:
        kind, _, name = path.partition(b"/img/")
        loop = asyncio.get_running_loop()
        if path == b"/reset":
            self._visited.clear()
            self._send(_whole("200 OK", b"done"), last)
        elif not name:
            self._send(_whole("404 Not Found", b""), last)
        elif kind == b"/slow":
            loop.call_later(LATENCY_S, self._send, self._picture(name), last)
        elif kind == b"/dirty":
            self._dirty(fault(_number(name)), name, last)
        else:
            self._send(self._picture(name), last)

    def _dirty(self, wrong: str, name: bytes, last: bool) -> None:
        first = name not in self._visited
        self._visited.add(name)
        if wrong == "gone":
            self._send(_whole("404 Not Found", b""), last)
        elif wrong == "busy_once" and first:
            self._send(_whole("503 Service Unavailable", b""), last)
        elif wrong == "slow_down_once" and first:
            self._send(_whole("429 Too Many Requests", b"", "Retry-After: 1"), last)
        elif wrong == "html":
            self._send(_whole("200 OK", HTML, "Content-Type: text/html"), last)
        elif wrong == "cut":
            whole = self._picture(name)
            self._send(whole[: len(whole) // 2], True)
        elif wrong == "drip":
            self._transport.write(_whole("200 OK", bytes(DRIP_S), "Content-Type: image/jpeg")[:-DRIP_S])
            self._drip(DRIP_S, last)
        else:
            self._send(self._picture(name), last)

    def _drip(self, left: int, last: bool) -> None:
        if not self._transport.is_closing():
            self._send(b"\xff", last and left == 1)
            if left > 1:
                asyncio.get_running_loop().call_later(1, self._drip, left - 1, last)

    def _picture(self, name: bytes) -> bytes:
        return self._pictures[_number(name) % len(self._pictures)]

    def _send(self, data: bytes, last: bool) -> None:
        self._transport.write(data)
        if last:
            self._transport.close()


def _whole(status: str, body: bytes, *lines: str) -> bytes:
    head = (f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(head).encode() + body


def _number(name: bytes) -> int:
    return int(name.partition(b".")[0])


async def _serve(folder: Path, descriptor: int) -> None:
    files = sorted(folder.glob("*.jpg"))
    pictures = [_whole("200 OK", path.read_bytes(), "Content-Type: image/jpeg") for path in files]
    listening = socket.socket(fileno=descriptor)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)  # most pictures leave in one call
    # The parent holds the other end: it closes when the parent is gone, however it went.
    threading.Thread(target=lambda: os._exit(len(sys.stdin.read())), daemon=True).start()
    visited: set[bytes] = set()
    answers = partial(Answers, pictures, visited)
    server = await asyncio.get_running_loop().create_server(answers, sock=listening, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
