"""`vesalius corpus build` on archives that are made to break it: what is good in them comes out, and nothing else."""

import gzip
import json
from pathlib import Path

import polars as pl
from PIL import Image

from vesalius.corpus.build import build
from vesalius.corpus.build.recipe import Recipe
from vesalius.corpus.build.tables import read_documents

WORDS = "The surgeon opened the abdomen and found the appendix that had been seen on the scan the day before. "
GOOD = f"<html><body><article><h1>Good %d</h1>{''.join(f'<p>Part {i} of %d. {WORDS * 3}</p>' for i in range(9))}"


def record(number: int, body: bytes, head: str = "", length: int | None = None) -> bytes:
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{head}\r\n".encode() + body
    lines = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.org/{number}\r\nWARC-Date: 2024-05-06T07:08:09Z"
        f"\r\nContent-Type: application/http; msgtype=response\r\n"
        f"Content-Length: {len(block) if length is None else length}\r\n\r\n"
    )
    return gzip.compress(lines.encode() + block + b"\r\n\r\n", 1)


def good(number: int) -> bytes:
    return (GOOD % (number, *[number] * 9)).encode()


HOSTILE = {
    "deep nesting": b"<div>" * 300_000 + b"text",
    "deep tables": b"<table><tr><td>" * 50_000,
    "a page of 30 MB": b"<p>word " * (4 << 20),
    "invalid UTF-8": b"\xff\xfe\xfd" * 5000,
    "null bytes": b"<p>" + b"\0" * 100_000,
    "an attribute of 8 MB": b'<p class="' + b"a" * (8 << 20) + b'">x</p>',
    "unclosed comment": b"<!--" + b"x" * 100_000,
    "100,000 attributes": b"<p " + b" ".join(b"a%d=1" % i for i in range(100_000)) + b">x",
    "a bomb": gzip.compress(b"\0" * (200 << 20), 1),
}


def test_each_hostile_page_costs_itself_and_what_stands_between_them_is_kept(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pages = []
    for number, (name, page) in enumerate(HOSTILE.items()):
        zipped = "Content-Encoding: gzip\r\n" if name == "a bomb" else ""
        pages += [record(2 * number, good(2 * number)), record(2 * number + 1, page, zipped)]
    pages += [record(90, good(90), length=50), record(91, good(91), length=10**9), record(92, good(92))]
    (tmp_path / "in" / "hostile.warc.gz").write_bytes(b"".join(pages))
    cut = record(100, good(100)) + record(101, good(101))
    (tmp_path / "in" / "cut.warc.gz").write_bytes(cut[:-40])
    recipe = Recipe(
        sources=(str(tmp_path / "in"),), output=tmp_path / "out", similarity=1.0, repeated=False, privacy=False,
        heuristics=(), feedback=False, seconds=4, memory=3 << 30, most_failures=1.0,
    )  # fmt: skip
    summary = build(recipe, workers=2)
    out = tmp_path / "out"
    kept = {str(d.facts["url"]) for file in (out / "shards").glob("*.parquet") for d in read_documents(file)}
    wanted = {f"http://a.org/{2 * i}" for i in range(len(HOSTILE))} | {"http://a.org/100"}
    assert kept >= wanted and not kept & {f"http://a.org/{2 * i + 1}" for i in range(len(HOSTILE))}
    dropped = pl.read_parquet(out / "dropped.parquet")
    assert dropped.height >= 8 and dropped["reason"].str.len_chars().min() > 0
    assert summary.totals["documents"] == len(kept)
    assert build(recipe, workers=2).totals == summary.totals  # again does nothing anew


def test_image_bombs_and_what_is_no_image_never_reach_the_corpus(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("1", (30_000, 30_000)).save(folder / "bomb.png")  # 110 kB of 900 million pixels
    (folder / "text.png").write_bytes(b"<html>no image</html>" * 99)
    (folder / "secret.txt").write_text("not a figure")
    names = ("bomb.png", "text.png", "../../secret.png", "/etc/passwd", "http://127.0.0.1:9/x.png")
    figures = "".join(f'<fig><graphic xlink:href="{name}"/></fig>' for name in names)
    (folder / "x.xml").write_text(
        '<article xmlns:xlink="http://www.w3.org/1999/xlink"><front><article-meta><title-group><article-title>A title'
        f"</article-title></title-group></article-meta></front><body><sec><p>{WORDS * 20}</p>{figures}</sec></body>"
        "</article>"
    )
    recipe = Recipe.model_validate(
        dict(
            sources=(str(folder),), output=tmp_path / "out", heuristics=(), feedback=False, privacy=False,
            images={"fetch": True, "unsafe": False, "burnt_in": False, "policy": {"retries": 0}},
        )
    )  # fmt: skip
    build(recipe, workers=1)
    (document,) = [d for file in (tmp_path / "out" / "shards").glob("*.parquet") for d in read_documents(file)]
    assert document.images == ()
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())["fetched"]
    assert told.get("private", 0) + told.get("outside", 0) >= 2
