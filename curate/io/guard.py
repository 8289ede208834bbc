"""Which URLs and which addresses a download may touch: the open internet, and what the user allows by name.

The same parsed URL is checked and connected to, so that no second parser can read it differently, and a
name is checked by what it resolves to at the moment of connecting, so that DNS cannot answer twice.
"""

import asyncio
import ipaddress
import re
import socket
from concurrent.futures import Executor
from urllib.parse import quote

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from curate.errors import SampleError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IANA special-purpose registries. Written out because `ipaddress.is_global` changed between patch releases.
_CLOSED_V4 = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, some clouds' metadata
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Of IPv6 only global unicast is open, less what lies inside it and leads elsewhere.
_OPEN_V6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",  # documentation
    )
)
# These carry an IPv4 address, which decides. NAT64 is how IPv6-only networks reach the rest.
_CARRIERS = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ASCII = "".join(chr(code) for code in range(0x21, 0x7F))


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the open internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in _CLOSED_V4)
    if any(address in block for block in _CARRIERS):
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _OPEN_V6 and not any(address in block for block in _CLOSED_V6)


def literal(host: str) -> Address | None:
    """Return the address that a host spells out, in any form that a C library would take; None for a name.

    `127.1`, `0x7f.1`, `0177.0.0.1` and `2130706433` are all 127.0.0.1.
    """
    bare = host.rstrip(".")
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(bare))
    except (OSError, UnicodeError):
        return None


def parse(text: str) -> URL:
    """Read a URL, percent-encoding once what needs it; SampleError `bad_url` for what HTTP cannot fetch.

    An ASCII URL is sent as it was published, byte for byte: decoding and encoding it again can break a
    signature. Everything else (spaces, non-ASCII paths, international names) goes through yarl.
    """
    text = text.strip()
    try:
        if _CONTROL.search(text):
            raise ValueError("control characters")
        url = URL(text, encoded=text.isascii() and " " not in text)
        return _checked(url.with_fragment(None))
    except (ValueError, TypeError) as error:
        raise SampleError("bad_url", f"{text[:200]!r}: {error}") from error


def join(base: URL, location: str) -> URL:
    """Return the absolute URL of a Location header; raise SampleError `bad_url` as `parse` does."""
    # Headers are bytes in an unknown encoding: what is not ASCII is escaped byte by byte.
    escaped = quote(location.strip().encode("utf-8", "surrogateescape"), safe=_ASCII)
    try:
        target = base.join(URL(escaped, encoded=True))
    except (ValueError, TypeError) as error:
        raise SampleError("bad_url", f"redirect to {location[:200]!r}: {error}") from error
    return parse(str(target))


def _checked(url: URL) -> URL:
    if url.scheme not in ("http", "https"):
        raise ValueError("neither http nor https")
    host = url.raw_host or ""
    if ":" in host:
        ipaddress.IPv6Address(host)
    elif not _NAME.fullmatch(host) or not host.strip("."):
        raise ValueError("no usable host")
    return url


class Guard(AbstractResolver):
    """aiohttp's resolver, which answers with public addresses or with SampleError `not_public`.

    `allow_hosts` holds `host` or `host:port` as they stand in the URL; they may be anything. aiohttp asks no
    resolver about a literal address: `check` is for those, before every request.
    """

    def __init__(self, allow_hosts: tuple[str, ...], threads: Executor) -> None:
        self._allowed = frozenset(host.lower() for host in allow_hosts)
        self._threads = threads

    def check(self, url: URL) -> None:
        """Raise SampleError for a URL whose host is itself an address outside the open internet."""
        host = url.raw_host or ""
        address = literal(host)
        if address is None or self._is_allowed(host, url.port or 0):
            return
        if not is_public(address):
            raise SampleError("not_public", f"{host} is {address}")
        if str(address) != host and isinstance(address, ipaddress.IPv4Address):
            raise SampleError("bad_url", f"{host} is an unusual spelling of {address}")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look a name up; one address outside the open internet among the answers refuses the name."""
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(self._threads, _look_up, host, port, family)
        if not self._is_allowed(host, port):
            for answer in answers:
                address = ipaddress.ip_address(answer["host"])
                if not is_public(address):
                    raise SampleError("not_public", f"{host} is {address}")
        return answers

    async def close(self) -> None:
        """Nothing to close: the threads belong to the caller."""

    def _is_allowed(self, host: str, port: int) -> bool:
        name = host.lower().rstrip(".")
        return not self._allowed.isdisjoint({name, f"{name}:{port}", f"[{name}]", f"[{name}]:{port}"})


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    try:
        found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError as error:
        raise SampleError("bad_url", f"{host}: {error}") from error
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=kind,
            proto=proto,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, proto, _, address in found
    ]
