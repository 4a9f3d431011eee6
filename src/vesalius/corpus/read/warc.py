"""Web archives (WARC 1.0 and 1.1), gzipped or not, here or on a network: their HTML pages.

    for page in records("s3://bucket/crawl.warc.gz", skipped=counts):
        ...                        Raw, or Bad: reading goes on after it

Knows records and the HTTP in them. A record is believed only where another one or the end follows it; what a broken
header, length or gzip member costs is that record, and it is told. (FastWARC reads three times as fast, but stops at
the first of these, takes what follows a too large length for part of it, and does not tell that a file was cut. To take
a page's main body costs ten times what reading it does.)
"""

import codecs
import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vesalius.corpus.document import Document
from vesalius.corpus.read import html
from vesalius.corpus.read.flow import GZIP, Damaged, Flow, next_member
from vesalius.corpus.read.html import LARGEST
from vesalius.corpus.read.payload import decoded
from vesalius.corpus.read.record import Bad, Raw
from vesalius.corpus.read.remote import open_stream
from vesalius.errors import VesaliusError

_HEAD = 1 << 16  # bytes of a header, of a record or of HTTP
_MOST = LARGEST + (1 << 20)  # bytes of a page with what chunks and a header add to it
_PAGES = ("text/html", "application/xhtml+xml")
_KINDS = ("warcinfo", "request", "metadata", "revisit", "conversion", "continuation")
_TYPES = ("image", "text", "application", "audio", "video", "font")
_LICENCE = re.compile(r'<([^<>]*)>[^,<]*;\s*rel\s*=\s*"?license\b', re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)


class _Lost(VesaliusError):
    """A record of which nobody knows where it ends; the next may begin as early as at `block`."""

    block: int | None = None


def read(path: str | Path) -> Iterator[Document | Bad]:
    """The documents of an archive, one a page; a page without main text is `Bad`.

    Raises:
        VesaliusError: as `records`.
    """
    for record in records(path):
        yield record if isinstance(record, Bad) else html.document_or_bad(record)


def records(path: str | Path, start: int = 0, skipped: Counter[str] | None = None) -> Iterator[Raw | Bad]:
    """The HTML pages that were served (status 200), as they came, content and transfer encodings undone.

    Their facts: `date`, `type` (as the server said it), `digest` and `record` (as the archive says them), `robots`
    (X-Robots-Tag), `tdm_reservation`, `licence` (Link: rel=license), `truncated`.

    Args:
        path: a file, or an http, https or s3 address.
        start: the `offset` of an earlier record, to begin with it (or, where a gzip member holds several records,
            with the first of them).
        skipped: counts what is no page, by reason (`request`, `revisit`, `status 404`, `type image`, ...).

    Raises:
        VesaliusError: code `unreadable`, no such file; `network`; `content`, no WARC.
    """
    try:
        with open_stream(path) as stream:
            for one in _records(stream, str(path), start):
                if not isinstance(one, str):
                    yield one
                elif skipped is not None:
                    skipped[one] += 1
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error})"
        raise VesaliusError(problem, file=path, remedy="check the disk", code="unreadable") from None


def _records(stream: IO[bytes], name: str, start: int) -> Iterator[Raw | Bad | str]:
    stream.seek(start)
    magic = stream.read(len(GZIP))
    # By its first bytes, and where these are damaged by what comes later.
    zipped = magic == GZIP or (magic != b"WAR" and next_member(stream, start) is not None)
    if not _holds_records(stream, start, zipped):
        remedy = "give a WARC; `warcio recompress` makes one of an ARC, `zstd -d` of a .zst"
        raise VesaliusError("holds no WARC record", file=name, remedy=remedy, code="content")
    offset: int | None = start
    while offset is not None:
        member = _Member(stream, name, offset, zipped)
        yield from member.records()
        offset = member.following


def _holds_records(stream: IO[bytes], offset: int, zipped: bool) -> bool:
    flow = Flow(stream, offset, zipped)
    with contextlib.suppress(Damaged):
        if flow.drop_newlines() and (flow.at_mark() or flow.to_mark()):
            return True
    return zipped and next_member(stream, offset) is not None


class _Member:
    """What `Flow` is of: a gzip member, or all of a plain archive.

    Attributes:
        following: offset of the next member, once the records have been read; None if none follows.
    """

    def __init__(self, stream: IO[bytes], name: str, offset: int, zipped: bool):
        self.stream, self.name, self.offset, self.zipped = stream, name, offset, zipped
        self.flow = Flow(stream, offset, zipped)
        self.following: int | None = None

    def records(self) -> Iterator[Raw | Bad | str]:
        """Pages, failures, and of what is neither what it is."""
        begin, lost = 0, None
        try:
            while self.flow.drop_newlines():
                begin = self.flow.at
                try:
                    yield self._record(self._id(begin))
                    lost = None
                except _Lost as error:
                    again = lost is not None and error.code == lost.code == "header"
                    lost = error
                    self._find_next(lost)
                    if not again:  # a stretch of garbage is one failure, not thousands
                        yield Bad.of(self._id(begin), "read", lost)
                begin = self.flow.at
            self.following = self.flow.end
        except Damaged as error:
            self.following = next_member(self.stream, self.offset + 1) if self.zipped else None
            if self.following:  # so it was not the end of the file that came too early
                error.problem, error.code = "is damaged", "damaged"
            yield Bad.of(self._id(begin), "read", error)

    def _id(self, begin: int) -> str:
        if not self.zipped:
            return f"{self.name}@{self.offset + begin}"
        return f"{self.name}@{self.offset}+{begin}" if begin else f"{self.name}@{self.offset}"

    def _find_next(self, lost: _Lost) -> None:
        """Goes to where the next record begins: in the bytes that the lost one took for its own, or after them."""
        if lost.block is not None and not self.flow.wary:
            self.flow = Flow(self.stream, self.offset, self.zipped, skip=lost.block)
        self.flow.wary = True  # which also makes it one time that bytes are read again
        found = self.flow.at_mark() or self.flow.to_mark()
        if lost.code == "truncated" and (found or self.zipped):
            lost.code = "length"

    def _record(self, id: str) -> Raw | Bad | str:
        flow = self.flow
        if not flow.at_mark():
            raise _Lost("does not begin as a record does", code="header")
        offset = self.offset if self.zipped else self.offset + flow.at
        if (head := flow.head(_HEAD)) is None:
            raise _Lost("has a header that does not end", code="header")
        headers = _headers(head)
        if "," in headers.get("warc-type", ""):
            raise _Lost("has a header that runs into the next one", code="header")
        if not re.fullmatch("[0-9]{1,18}", stated := headers.get("content-length", "")):
            raise _Lost(f"has no length, but {stated[:40]!r}", code="length")
        size, block = int(stated), flow.at
        answer = _answer(flow, headers, size)
        body, _ = flow.take(size - (flow.at - block), _MOST + 1 if isinstance(answer, dict) else 0)
        self._check_end(flow.at - block, size, block)
        if isinstance(answer, str):
            return answer
        try:
            return _page(id, offset, headers, answer, body)
        except VesaliusError as error:
            return Bad.of(id, "read", error)

    def _check_end(self, came: int, size: int, block: int) -> None:
        gap = self.flow.at_gap()
        more = self.flow.drop_newlines()  # which at the end of a member compares its checksum
        if came < size:
            lost = _Lost(f"has {came:,} bytes, but says {size:,}", code="truncated")
        elif more and not gap and not self.flow.at_mark():
            lost = _Lost(f"goes on after the {size:,} bytes that it says", code="length")
        else:
            return
        lost.block = block
        raise lost


def _answer(flow: Flow, headers: dict[str, str], size: int) -> dict[str, str] | str:
    """The headers of a page that was served, passed over; of anything else what it is."""
    kind = headers.get("warc-type", "").lower()
    if kind == "resource":
        answer = {"content-type": headers.get("content-type", "")}
    elif kind != "response":
        return kind if kind in _KINDS else "other record"
    elif not headers.get("content-type", "").lower().startswith("application/http"):
        return "not http"
    else:
        head = flow.head(min(size, _HEAD)) or b""
        status = re.match(rb"HTTP/[\d.]+ +(\d{3})\b", head)
        if status is None or status[1] != b"200":
            return f"status {status[1].decode()}" if status else "no status"
        answer = _headers(head)
    stated = _type(headers.get("warc-identified-payload-type") or answer.get("content-type", ""))
    if stated and stated not in _PAGES:
        family = stated.partition("/")[0]
        return f"type {family}" if family in _TYPES else "other type"
    return answer


def _page(id: str, offset: int, headers: dict[str, str], answer: dict[str, str], body: bytes) -> Raw | str:
    if len(body) > _MOST:
        raise VesaliusError(f"is larger than {LARGEST >> 20} MiB", code="large")
    content, whole = decoded(body, answer, LARGEST)
    stated = answer.get("content-type", "")
    if not stated and not _MARKUP.match(content):
        return "no type"
    licence = _LICENCE.search(answer.get("link", ""))
    facts = {
        "date": headers.get("warc-date"),
        "type": stated,
        "digest": headers.get("warc-payload-digest"),
        "record": headers.get("warc-record-id", "").strip("<>"),
        "robots": answer.get("x-robots-tag"),
        "tdm_reservation": answer.get("tdm-reservation"),
        "licence": licence and licence[1],
        "truncated": headers.get("warc-truncated") or (None if whole else "encoding"),
    }
    url = headers.get("warc-target-uri", "").strip("<>")
    return Raw(id, content, url, _charset(stated), offset, {key: value for key, value in facts.items() if value})


def _headers(head: bytes) -> dict[str, str]:
    """The fields of a header; what is there twice is joined by commas, lines without a colon are passed over."""
    found: dict[str, str] = {}
    for line in re.sub(rb"\r?\n[ \t]+", b" ", head).split(b"\n")[1:]:
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        name, value = name.strip().lower(), value.strip()
        if colon:
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _type(stated: str) -> str:
    return re.split("[;,]", stated, maxsplit=1)[0].strip().lower()


def _charset(stated: str) -> str | None:
    """What the server said, if such a charset exists."""
    if named := _CHARSET.search(stated):
        with contextlib.suppress(LookupError, ValueError):
            return codecs.lookup(named[1]).name
    return None
