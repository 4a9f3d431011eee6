"""Sound archives: every page once, as its server meant it; what is no page is counted."""

import gzip
import json
import zlib
from collections import Counter
from pathlib import Path

import brotli
import pytest
from fastwarc.stream_io import GzipWriter
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType
from make_warc import member, page, response

from vesalius.corpus.document import Document
from vesalius.corpus.read import html, read
from vesalius.corpus.read.record import Bad, Raw
from vesalius.corpus.read.warc import records
from vesalius.errors import VesaliusError


@pytest.fixture
def archive(tmp_path: Path):
    """Writes records as an archive, a gzip member each."""

    def write(*parts: bytes, name: str = "a.warc.gz") -> Path:
        (tmp_path / name).write_bytes(b"".join(map(member, parts)) if name.endswith(".gz") else b"".join(parts))
        return tmp_path / name

    return write


def only(path: Path) -> Raw:
    (found,) = records(path)
    assert isinstance(found, Raw), found
    return found


def test_every_real_page_becomes_its_document_once(shared_data: Path, tmp_path: Path) -> None:
    """What the archive gives is what the saved page gives, though it was written by another program."""
    pages = sorted((shared_data / "corpus/scrapinghub/html").glob("*.html.gz"))[:40]
    with (tmp_path / "a.warc.gz").open("wb") as file:
        for path in pages:
            record = WarcRecord()
            record.init_headers(WarcRecordType.response)
            record.headers.append("WARC-Target-URI", f"http://example.org/{path.name}")
            record.is_http = True
            content = gzip.decompress(path.read_bytes())
            record.set_bytes_content(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + content)
            stream = GzipWriter(file)
            record.write(stream)
            stream.finish()
    documents = list(read(tmp_path / "a.warc.gz"))
    assert [d.facts["url"].rpartition("/")[2] for d in documents if isinstance(d, Document)] == [p.name for p in pages]
    assert len({d.id for d in documents}) == len(pages)
    for path, document in zip(pages, documents, strict=True):
        (alone,) = html.read(path)
        assert isinstance(document, Document)
        assert document.texts == alone.texts and document.facts["title"] == alone.facts["title"]
        assert len(document.images) == len(alone.images)


def fastwarc(path: Path) -> list[tuple[str, bytes | None]]:
    """Address and bytes of every page; None for bytes sent encoded, in which it is stricter than archives are."""
    found = []
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, WarcRecordType.response | WarcRecordType.resource):
            headers = record.http_headers
            kind = record.headers.get("WARC-Identified-Payload-Type") or record.http_content_type
            kind = kind or record.headers.get("Content-Type") or ""
            if (headers is None or headers.status_code == 200) and kind.startswith(("text/html", "application/xhtml")):
                encoded = headers and (headers.get("Transfer-Encoding") or headers.get("Content-Encoding"))
                url = (record.headers.get("WARC-Target-URI") or "").strip("<>")
                found.append((url, None if encoded else record.reader.read()))
    return found


@pytest.mark.parametrize("folder", ["aut", "commoncrawl", "dolma", "pywb", "ukwa", "warcio"])
def test_real_archives_hold_what_fastwarc_finds_in_them(shared_data: Path, folder: str) -> None:
    for path in sorted((shared_data / "corpus/warc" / folder).glob("*.warc*")):
        ours = list(records(path))
        if path.name == "example-trunc.warc":
            assert [one.code for one in ours if isinstance(one, Bad)] == ["length"]
            continue
        theirs = fastwarc(path)
        assert [one.url for one in ours if isinstance(one, Raw)] == [url for url, _ in theirs] and len(ours) == len(
            theirs
        )
        for one, (_, content) in zip(ours, theirs, strict=True):
            assert isinstance(one, Raw) and one.content == (one.content if content is None else content)


def test_what_is_known_of_a_page_comes_with_it(archive) -> None:
    http = (
        'Link: <http://a.org/x>; rel="next", <https://creativecommons.org/licenses/by/4.0/>; rel="license"\r\n'
        "X-Robots-Tag: noai\r\nX-Robots-Tag: noimageai\r\nTDM-Reservation: 1\r\n"
    )
    path = archive(response(7, http=http, head="WARC-Payload-Digest: sha1:ABC\r\nWARC-Truncated: length\r\n"))
    found = only(path)
    assert (found.id, found.url, found.charset, found.offset) == (f"{path}@0", "http://example.org/7", "utf-8", 0)
    assert found.facts == {
        "date": "2024-05-06T07:08:09Z", "type": "text/html; charset=utf-8", "digest": "sha1:ABC",
        "record": "urn:uuid:7", "robots": "noai, noimageai", "tdm_reservation": "1", "truncated": "length",
        "licence": "https://creativecommons.org/licenses/by/4.0/",
    }  # fmt: skip
    (document,) = read(path)
    assert isinstance(document, Document) and document.facts["robots"] == "noai, noimageai"
    json.dumps(document.to_row())


def test_what_is_no_page_is_counted_by_reason(archive) -> None:
    skipped: Counter[str] = Counter()
    path = archive(
        response(0, kind="request"), response(1, kind="revisit"), response(2, kind="warcinfo"),
        response(3, status="HTTP/1.1 404 Not Found"), response(4, status="HTTP/1.0 301 Moved"),
        response(5, type="Content-Type: image/png\r\n"), response(6, type="Content-Type: what/ever\r\n"),
        response(7, status="GARBAGE"), response(8, b"plain", type=""), response(9),
        response(10, head="WARC-Identified-Payload-Type: application/pdf\r\n"),
    )  # fmt: skip
    assert [one.id.rpartition("@")[2] for one in records(path, skipped=skipped)] != []
    assert skipped == {
        "request": 1, "revisit": 1, "warcinfo": 1, "status 404": 1, "status 301": 1, "type image": 1, "other type": 1,
        "no status": 1, "no type": 1, "type application": 1,
    }  # fmt: skip


def test_a_page_without_a_type_is_known_by_its_markup(archive) -> None:
    assert only(archive(response(1, type=""))).content == page(1)


@pytest.mark.parametrize(
    ("coding", "zipped"),
    [
        ("gzip", gzip.compress(page(1))),
        ("deflate", zlib.compress(page(1))),
        ("deflate", zlib.compress(page(1))[2:-4]),
        ("br", brotli.compress(page(1))),
        ("gzip, br", brotli.compress(gzip.compress(page(1)))),
        ("gzip", page(1)),
        ("utf-8", page(1)),
    ],
)
def test_content_encodings_are_undone_unless_they_have_been(archive, coding: str, zipped: bytes) -> None:
    found = only(archive(response(1, zipped, f"Content-Encoding: {coding}\r\n")))
    assert found.content == page(1) and "truncated" not in found.facts


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate"])
def test_a_page_that_was_cut_is_given_as_far_as_it_goes(archive, coding: str) -> None:
    whole = page(1) + bytes(range(256)) * 20
    zipped = {"gzip": gzip.compress, "br": brotli.compress, "deflate": zlib.compress}[coding](whole)
    found = only(archive(response(1, zipped[:-20], f"Content-Encoding: {coding}\r\n")))
    assert whole.startswith(found.content) and found.facts["truncated"] == "encoding"


def test_chunks_are_joined_unless_they_have_been(archive) -> None:
    whole = page(1)
    chunked = b"%x;a=b\r\n%s\r\n%X\r\n%s\r\n0\r\n\r\n" % (100, whole[:100], len(whole) - 100, whole[100:])
    chunks = "Transfer-Encoding: chunked\r\n"
    for body in (chunked, whole):
        found = only(archive(response(1, body, chunks)))
        assert found.content == whole and "truncated" not in found.facts
    cut = only(archive(response(1, chunked[:-30], chunks)))
    assert whole.startswith(cut.content) and cut.facts["truncated"] == "encoding"
    both = b"%x\r\n%s\r\n0\r\n\r\n" % (len(gzip.compress(whole, mtime=0)), gzip.compress(whole, mtime=0))
    assert only(archive(response(1, both, f"{chunks}Content-Encoding: gzip\r\n"))).content == whole


@pytest.mark.parametrize("charset", ["utf-99", "\x00", "", "'utf-8", "x" * 5000])
def test_a_charset_that_does_not_exist_is_none(archive, charset: str) -> None:
    path = archive(response(1, "<p>Größe</p>".encode(), type=f"Content-Type: text/html; charset={charset}\r\n"))
    assert only(path).charset in (None, "utf-8")


def test_reading_goes_on_where_it_was_left(archive) -> None:
    """From each record's offset on, the same records come, with the same ids."""
    for name in ("a.warc.gz", "a.warc"):
        path = archive(*(response(i) for i in range(5)), name=name)
        whole = [one for one in records(path) if isinstance(one, Raw)]
        assert len(whole) == 5
        for number, one in enumerate(whole):
            assert list(records(path, start=one.offset)) == whole[number:]


def test_it_matters_not_how_records_were_zipped(tmp_path: Path) -> None:
    """A member a record, all in one, or in blocks that end anywhere."""
    plain = b"".join(response(i) for i in range(6))
    ways = [
        b"".join(member(response(i)) for i in range(6)),
        member(plain),
        b"".join(member(plain[at : at + 700]) for at in range(0, len(plain), 700)),
        plain,
    ]
    for number, way in enumerate(ways):
        (tmp_path / f"{number}.warc.gz").write_bytes(way)
        found = list(records(tmp_path / f"{number}.warc.gz"))
        assert [one.content for one in found if isinstance(one, Raw)] == [page(i) for i in range(6)] and len(found) == 6
        assert len({one.id for one in found}) == 6


def test_a_warc_inside_a_page_is_part_of_the_page(archive) -> None:
    body = page(1) + b"\r\n\r\n" + response(99)
    for name in ("a.warc.gz", "a.warc"):
        found = list(records(archive(response(0), response(1, body), response(2), name=name)))
        assert [one.content for one in found if isinstance(one, Raw)] == [page(0), body, page(2)]


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"<html>", gzip.compress(b"<html>", mtime=0), b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08"]
)
def test_what_is_no_archive_is_one_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.warc.gz").write_bytes(content)
    with pytest.raises(VesaliusError, match="holds no WARC record") as caught:
        list(read(tmp_path / "a.warc.gz"))
    assert caught.value.code == "content"
    with pytest.raises(VesaliusError, match="cannot be read"):
        list(read(tmp_path / "none.warc.gz"))
