"""Folders: every file that has a reader, once, in an order that does not change; what cannot be read is told."""

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest
from make_warc import member, page, response

from vesalius.corpus.document import Document
from vesalius.corpus.read import folder, read
from vesalius.corpus.read.record import Bad, Raw
from vesalius.errors import VesaliusError


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    top = tmp_path / "pages"
    for number, name in enumerate(["b.html", "a/z.html.gz", "a/b/c.HTM", "a.html", "notes.txt", "a/logo.png"]):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(gzip.compress(page(number)) if name.endswith("gz") else page(number))
    (top / "crawl.warc.gz").write_bytes(member(response(7)) + member(response(8)))
    return top


def test_pages_come_in_order_with_their_path_as_id(pages: Path) -> None:
    skipped: Counter[str] = Counter()
    found = list(folder.records(pages, skipped))
    assert [one.id for one in found] == ["a/b/c.HTM", "a/z.html.gz", "a.html", "b.html"]
    assert [one.content for one in found if isinstance(one, Raw)] == [page(2), page(1), page(3), page(0)]
    assert skipped == {".txt": 1, ".png": 1, ".gz": 1}


def test_a_folder_is_read_whatever_is_in_it(pages: Path) -> None:
    found = list(read(pages))
    assert all(isinstance(one, Document) for one in found)
    archive = pages / "crawl.warc.gz"
    ids = ["a/b/c.HTM", "a/z.html.gz", "a.html", "b.html", f"{archive}@0", f"{archive}@{len(member(response(7)))}"]
    assert [one.id for one in found] == ids and found == list(read(str(pages)))


def test_a_table_beside_the_pages_says_what_is_known_of_them(pages: Path) -> None:
    (pages / "metadata.csv").write_text(
        "path,url,licence,id,self\r\na/z.html.gz,http://example.org/z,CC BY 4.0,,\r\nb.html,x,y,7,8\r\n", "utf-8-sig"
    )
    by_id = {one.id: one for one in folder.records(pages) if isinstance(one, Raw)}
    assert by_id["a/z.html.gz"].url == "http://example.org/z"
    assert by_id["a/z.html.gz"].facts == {"licence": "CC BY 4.0"} and by_id["b.html"].facts == {
        "licence": "y",
        "id": "7",
        "self": "8",
    }
    document = next(one for one in read(pages) if one.id == "a/z.html.gz")
    assert isinstance(document, Document)
    assert document.facts == {"title": "Page 1", "url": "http://example.org/z", "licence": "CC BY 4.0"}
    assert {one.id for one in read(pages)} >= {"b.html", "a.html"}
    (pages / "metadata.csv").write_text("file,url\nb.html,x\n")
    with pytest.raises(VesaliusError, match="no column `path`"):
        list(read(pages))


def test_loops_pipes_and_broken_files_are_told_and_the_rest_is_read(pages: Path) -> None:
    (pages / "a/loop").symlink_to(pages)
    (pages / "again").symlink_to(pages / "a")
    (pages / "gone.html").symlink_to(pages / "nowhere.html")
    (pages / "knot.html").symlink_to(pages / "knot.html")
    os.mkfifo(pages / "pipe.html")
    (pages / "cut.html.gz").write_bytes(gzip.compress(page(1))[:-9])
    (pages / "large.html.gz").write_bytes(gzip.compress(bytes(30 << 20), 1))
    (pages / "empty.html").touch()
    (pages / "article.xml").write_text("<not-jats>")
    (pages / os.fsdecode(b"\xff\xfe.html")).write_bytes(page(9))
    found = list(read(pages))
    assert {one.id: one.code for one in found if isinstance(one, Bad)} == {
        "a/loop": "loop", "again": "loop", "gone.html": "unreadable", "knot.html": "unreadable",
        "pipe.html": "unreadable", "cut.html.gz": "unreadable", "large.html.gz": "large", "empty.html": "empty",
        "article.xml": "unreadable",
    }  # fmt: skip
    assert "\\xff\\xfe.html" in [one.id for one in found]
    assert sum(isinstance(one, Document) for one in found) == 7


def test_a_folder_that_is_linked_to_from_elsewhere_is_read(pages: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links/data").symlink_to(pages)
    assert [one.id for one in folder.records(tmp_path / "links")][:2] == ["data/a/b/c.HTM", "data/a/z.html.gz"]


def test_what_is_no_folder_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(VesaliusError, match="is no folder"):
        list(folder.read(tmp_path / "none"))
