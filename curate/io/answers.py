"""What an answer says beside the picture: when to come back, whether its owner objects, how it is packed."""

import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from curate.errors import SampleError

_OPT_OUT = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
_MAX_GZIP_MEMBERS = 100
_VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})


def retry_after_s(header: str) -> float | None:
    """Return the seconds that Retry-After asks for (a number or an HTTP date), None where it says nothing."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    moment = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def forbids(x_robots_tags: Iterable[str], user_agent: str) -> bool:
    """Tell whether X-Robots-Tag lines object to this use, by everyone or by this user agent.

    A line is `directive, directive` or `agent: directive, directive`; the agent holds until the next one.
    """
    me = user_agent.split("/")[0].strip().lower()
    for line in x_robots_tags:
        agent = "*"
        for part in line.lower().split(","):
            name, colon, rest = (piece.strip() for piece in part.partition(":"))
            if colon and name not in _VALUED and " " not in name:
                agent, name = name, rest
            if name in _OPT_OUT and agent in ("*", me):
                return True
    return False


def unpacked(body: bytes, content_encoding: str, max_bytes: int) -> bytes:
    """Return the body without the gzip that some servers add unasked, never more than `max_bytes`.

    A body that is not gzip whatever its header says stays as it is. SampleError `too_large`,
    `truncated_body`, `bad_response`.
    """
    if "gzip" not in content_encoding.lower() or not body.startswith(b"\x1f\x8b"):
        return body
    plain, rest = b"", body
    # A body may be several members end to end (RFC 1952, 2.2); what follows the last one is padding.
    for _ in range(_MAX_GZIP_MEMBERS):
        unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            plain += unzip.decompress(rest, max_bytes + 1 - len(plain))
        except zlib.error as error:
            raise SampleError("bad_response", f"gzip: {error}") from error
        if len(plain) > max_bytes:
            raise SampleError("too_large", f"more than {max_bytes} bytes once unpacked")
        if not unzip.eof:
            raise SampleError("truncated_body", "gzip ends early")
        rest = unzip.unused_data
        if not rest.startswith(b"\x1f\x8b"):
            return plain
    raise SampleError("bad_response", f"gzip of more than {_MAX_GZIP_MEMBERS} members")
