"""Archives at addresses: they come as they are read, and a connection that drops costs nothing."""

import random
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from make_warc import member, page, response

from vesalius.corpus.document import Document
from vesalius.corpus.read import read, remote
from vesalius.corpus.read.record import Bad, Raw
from vesalius.corpus.read.warc import records
from vesalius.errors import VesaliusError

NOISE = random.Random(7)
# Pages that do not shrink, so that the archive is larger than what is read ahead.
BODIES = [page(i) + NOISE.randbytes(400_000) for i in range(12)]
ARCHIVE = b"".join(member(response(i, body)) for i, body in enumerate(BODIES))


class Server(ThreadingHTTPServer):
    """Serves the archive, as badly as it is told to."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.sent = 0
        self.most: int | None = None  # bytes after which a connection is dropped,
        self.drops = 10**9  # so many times
        self.ranges = True
        self.headers: dict[str, str] = {}
        self.tags = ["one"]
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if "none" in self.path:
            self.send_error(404)
            return
        found = re.fullmatch(r"bytes=(\d+)-", asked or "")
        begin = int(found[1]) if found and self.server.ranges else 0
        self.send_response(206 if found and self.server.ranges else 200)
        self.send_header("Content-Length", str(len(ARCHIVE) - begin))
        self.send_header("ETag", self.server.tags[min(len(self.server.asked), len(self.server.tags)) - 1])
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.server.drops -= 1
        sent = ARCHIVE[begin:][: self.server.most if self.server.drops >= 0 else None]
        self.server.sent += len(sent)
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(remote, "_PAUSE", 0.01)
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def contents(path: str, start: int = 0) -> list[bytes]:
    found = list(records(path, start))
    assert not [one for one in found if isinstance(one, Bad)]
    return [one.content for one in found if isinstance(one, Raw)]


def test_an_archive_is_read_in_one_go(server: Server) -> None:
    assert contents(f"{server.url}/a.warc.gz?x=1") == BODIES
    assert server.asked == ["bytes=0-"]
    documents = list(read(f"{server.url}/a.warc.gz?x=1"))
    assert (
        all(isinstance(one, Document) and one.id.startswith(server.url) for one in documents) and len(documents) == 12
    )


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_drops_is_opened_where_it_was(server: Server, ranges: bool) -> None:
    """By its range, or, where the server knows none, by reading up to there again."""
    server.most, server.ranges, server.drops = 700_000, ranges, 10**9 if ranges else 2
    assert contents(f"{server.url}/a.warc.gz") == BODIES
    begins = [int(re.findall(r"\d+", asked)[0]) for asked in server.asked if asked]
    assert begins == sorted(begins) and len(set(begins)) > 1
    if ranges:
        assert server.sent < 3 * len(ARCHIVE)  # what was on its way when the connection dropped comes again


def test_bytes_are_taken_as_they_lie_there(server: Server) -> None:
    """A server that calls the gzip of the archive an encoding of it changes no offset."""
    server.headers = {"Content-Encoding": "gzip"}
    offsets = [one.offset for one in records(f"{server.url}/a.warc.gz") if isinstance(one, Raw)]
    assert contents(f"{server.url}/a.warc.gz", offsets[9]) == BODIES[9:]
    assert f"bytes={offsets[9]}-" in server.asked


def test_a_file_that_is_not_there_a_server_that_is_gone_and_one_that_changes(server: Server) -> None:
    with pytest.raises(VesaliusError, match="is not there to read") as caught:
        contents(f"{server.url}/none.warc.gz")
    assert caught.value.code == "unreadable" and len(server.asked) == 1
    server.most, server.tags = 700_000, ["none", "one", "two"]
    with pytest.raises(VesaliusError, match="changed while it was read"):
        contents(f"{server.url}/a.warc.gz")
    server.shutdown()
    server.server_close()
    with pytest.raises(VesaliusError, match="cannot be reached") as caught:
        contents(f"{server.url}/a.warc.gz")
    assert caught.value.code == "network"


def test_only_archives_are_read_from_afar(server: Server) -> None:
    with pytest.raises(VesaliusError, match="only from a disk"):
        list(read(f"{server.url}/page.html"))
    assert server.asked == []


def test_without_its_packages_the_error_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    with pytest.raises(VesaliusError, match=r"s3fs.*vesalius\[remote\]") as caught:
        list(records("s3://bucket/a.warc.gz"))
    assert caught.value.code == "packages"


def test_an_archive_in_a_bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Against moto's server, which speaks S3 over HTTP."""
    import boto3
    from moto.server import ThreadedMotoServer

    moto = ThreadedMotoServer(port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host.replace('0.0.0.0', '127.0.0.1')}:{port}",
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    try:
        client = boto3.client("s3")
        client.create_bucket(Bucket="crawl")
        client.put_object(Bucket="crawl", Key="2024/a.warc.gz", Body=ARCHIVE)
        assert contents("s3://crawl/2024/a.warc.gz") == BODIES
        offset = [one.offset for one in records("s3://crawl/2024/a.warc.gz") if isinstance(one, Raw)][10]
        assert contents("s3://crawl/2024/a.warc.gz", offset) == BODIES[10:]
        with pytest.raises(VesaliusError, match="is not there to read"):
            contents("s3://crawl/none.warc.gz")
        broken = ARCHIVE[: len(ARCHIVE) // 2]
        client.put_object(Bucket="crawl", Key="cut.warc.gz", Body=broken)
        assert [one.code for one in records("s3://crawl/cut.warc.gz") if isinstance(one, Bad)] == ["truncated"]
    finally:
        moto.stop()
