"""A dishonest web server on the loopback: a world's pictures, with the fault that each path names."""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

HTML = b"<!doctype html><title>Gone shopping</title><p>This picture has moved.</p>"
FLOOD_BYTES = 1 << 30
"""What a flood announces; one that announces nothing goes on for as long."""
DRIP_S = 1.0
PRIVATE = ("http://10.0.0.1/picture.jpg", "http://169.254.169.254/latest/meta-data/")
BACKLOG = 256


@contextmanager
def serve(world_root: Path, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Serve `world_root`/pictures from a process of its own; give the port, one that was free for 0.

    The pictures may appear later. The process ends with the block, and when its parent does. OSError when
    the port is taken.
    """
    with socket.create_server((host, port), backlog=BACKLOG) as listening:
        taken = int(listening.getsockname()[1])
        child = subprocess.Popen(
            [sys.executable, "-m", __name__, str(world_root), str(listening.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=(listening.fileno(),),
            # Its parent's Ctrl-C is not its own: it ends when it is told to.
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    try:
        yield taken
    finally:
        child.terminate()
        child.communicate()


async def _converse(
    pictures: Path, visits: Counter[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer the requests of one connection until a side hangs up."""
    try:
        more = True
        while more:
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ", 2)[1].decode("latin-1")
            visits[path] += 1
            more = await _answer(path, visits[path], pictures, writer)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        # A client that has had enough of a drip or a flood hangs up.
        pass
    finally:
        writer.close()


async def _answer(path: str, visit: int, pictures: Path, writer: asyncio.StreamWriter) -> bool:
    """Answer `/<fault>/<picture>` (`fine` is no fault); tell whether the connection may go on."""
    fault, _, name = path.lstrip("/").partition("/")
    if fault == "busy_once" and visit == 1:
        writer.write(_head(503, 0))
    elif fault == "slow_down_once" and visit == 1:
        writer.write(_head(429, 0, "Retry-After: 1"))
    elif fault == "html_page":
        writer.write(_head(200, len(HTML), "Content-Type: text/html") + HTML)
    elif fault == "private_redirect":
        writer.write(_head(302, 0, f"Location: {PRIVATE[_number(name) % 2]}"))
    elif fault == "flood":
        return await _flood(_number(name) % 2 == 0, writer)
    else:
        return await _picture(fault, pictures / Path(name).name, writer)
    return True


async def _picture(fault: str, path: Path, writer: asyncio.StreamWriter) -> bool:
    try:
        data = path.read_bytes()
    except OSError:
        writer.write(_head(404, 0))
        return True
    head = _head(200, len(data), "Content-Type: image/jpeg")
    if fault == "cut_transfer":
        writer.write(head + data[: len(data) // 2])
        return False
    if fault == "drip":
        writer.write(head)
        for place in range(len(data)):
            writer.write(data[place : place + 1])
            await writer.drain()
            await asyncio.sleep(DRIP_S)
        return True
    writer.write(head + data)
    return True


async def _flood(announced: bool, writer: asyncio.StreamWriter) -> bool:
    writer.write(_head(200, FLOOD_BYTES if announced else None, "Content-Type: image/jpeg"))
    part = b"\xff\xd8\xff\xe0" + bytes((1 << 16) - 4)
    for _ in range(FLOOD_BYTES // len(part)):
        writer.write(part)
        await writer.drain()
    return False


def _head(status: int, length: int | None, *lines: str) -> bytes:
    ending = "Connection: close" if length is None else f"Content-Length: {length}"
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    return "".join(f"{line}\r\n" for line in (first, *lines, ending, "")).encode()


def _number(name: str) -> int:
    return int("0" + "".join(filter(str.isdigit, name.partition("_")[2])))


async def _run(pictures: Path, descriptor: int) -> None:
    listening = socket.socket(fileno=descriptor)
    visits: Counter[str] = Counter()
    server = await asyncio.start_server(partial(_converse, pictures, visits), sock=listening)
    # The parent holds the other end: it closes when the parent is gone, however it went.
    threading.Thread(target=lambda: os._exit(len(sys.stdin.read())), daemon=True).start()
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve on a listening socket that the parent process made and handed down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world_root", type=Path)
    parser.add_argument("descriptor", type=int)
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.world_root / "pictures", arguments.descriptor))


if __name__ == "__main__":
    main()
