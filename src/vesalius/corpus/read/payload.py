"""What a server sent, as the page that it meant: chunks joined, gzip, deflate and brotli undone.

Archives often keep the headers of what they have already undone themselves: a body that is not what its header says,
but HTML, stays as it is. Nothing grows past `limit`, whatever is inside.
"""

import re
import zlib
from collections.abc import Callable, Mapping

from vesalius.errors import VesaliusError

_CODINGS = 3  # one upon the other; nobody has a reason for more
_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")


def decoded(body: bytes, headers: Mapping[str, str], limit: int) -> tuple[bytes, bool]:
    """The page, and whether it is whole: one that was cut is given as far as it goes.

    Args:
        body: as the archive has it.
        headers: of the response, names in lower case.
        limit: bytes of the page.

    Raises:
        VesaliusError: code `encoding`, not what the header says; `large`.
    """
    whole = True
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body, whole = _joined(body)
    codings = [coding.strip().lower() for coding in headers.get("content-encoding", "").split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity", "none", "utf-8")]
    if len(codings) > _CODINGS:
        raise VesaliusError(f"is encoded {len(codings)} times", code="encoding")
    for coding in reversed(codings):
        if not body or _MARKUP.match(body):
            break
        if coding not in _WAYS:
            raise VesaliusError(f"has the content encoding {coding[:40]!r}, which is not known", code="encoding")
        try:
            body, ended = _WAYS[coding](body, limit + 1)
        except Exception as error:  # brotli has one class of its own, zlib another
            raise VesaliusError(f"is no {coding}, as its header says ({error})", code="encoding") from None
        whole = whole and ended
    if len(body) > limit:
        raise VesaliusError(f"is larger than {limit >> 20} MiB", code="large")
    return body, whole


def _joined(body: bytes) -> tuple[bytes, bool]:
    """Chunks as one, up to the first that is none."""
    chunks, at = [], 0
    while (head := _CHUNK.match(body, at)) and (size := int(head[1], 16)):
        chunks.append(body[head.end() : head.end() + size])
        at = head.end() + size
        at += 2 if body[at : at + 2] == b"\r\n" else body[at : at + 1] == b"\n"
    return (b"".join(chunks), head is not None) if chunks or head else (body, True)


def _zlib(body: bytes, most: int, window: int) -> tuple[bytes, bool]:
    stream = zlib.decompressobj(window)
    return stream.decompress(body, most), stream.eof


def _gzip(body: bytes, most: int) -> tuple[bytes, bool]:
    return _zlib(body, most, 31)


def _deflate(body: bytes, most: int) -> tuple[bytes, bool]:
    try:
        return _zlib(body, most, 15)
    except zlib.error:  # bare, as some servers have always sent it
        return _zlib(body, most, -15)


def _brotli(body: bytes, most: int) -> tuple[bytes, bool]:
    import brotli

    stream = brotli.Decompressor()
    found = [stream.process(body, output_buffer_limit=most)]
    while not stream.can_accept_more_data() and sum(map(len, found)) < most:
        found.append(stream.process(b"", output_buffer_limit=most))
    return b"".join(found), stream.is_finished()


_WAYS: dict[str, Callable[[bytes, int], tuple[bytes, bool]]] = {
    "gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli,
}  # fmt: skip
