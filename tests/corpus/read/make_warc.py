"""Archives for the tests of their reader, written by hand so that they may be wrong."""

import gzip

TEXT = (
    "Patients with chronic kidney disease were followed for five years, and their scans were read twice. "
    "The second reading was done by another radiologist, who did not know the first. "
)


def page(number: int) -> bytes:
    """A page with a main text of its own."""
    body = "".join(f"<p>{TEXT} This is page {number}, paragraph {i}.</p>" for i in range(3))
    return f"<html><head><title>Page {number}</title></head><body><article>{body}</article></body></html>".encode()


def response(
    number: int,
    body: bytes | None = None,
    http: str = "",
    *,
    head: str = "",
    length: int | str | None = None,
    kind: str = "response",
    status: str = "HTTP/1.1 200 OK",
    type: str = "Content-Type: text/html; charset=utf-8\r\n",
    first: str = "WARC/1.0",
) -> bytes:
    """A record; `http` and `head` are further header lines, each with its end."""
    block = f"{status}\r\n{type}{http}\r\n".encode() + (page(number) if body is None else body)
    size = len(block) if length is None else length
    header = (
        f"{first}\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number}>\r\nWARC-Date: 2024-05-06T07:08:09Z\r\n"
        f"WARC-Target-URI: http://example.org/{number}\r\nContent-Type: application/http; msgtype=response\r\n{head}"
        f"Content-Length: {size}\r\n\r\n"
    )
    return header.encode("utf-8", "surrogateescape") + block + b"\r\n\r\n"


def member(record: bytes) -> bytes:
    """A gzip member, as archives have one a record."""
    return gzip.compress(record, 6, mtime=0)
