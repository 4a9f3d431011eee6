"""`vesalius corpus extract`: a line a document, in the order given; what cannot be read is a line too."""

import gzip
import json
from pathlib import Path

from typer.testing import CliRunner

from vesalius.cli import app

SENTENCE = "The kidneys of forty patients were measured twice, before and after treatment, by two readers. "
PAGE = f"<html><body><h1>Kidneys</h1>{f'<p>{SENTENCE * 3}</p>' * 6}<img src=/a.png></body></html>"
ARTICLE = f"<article><body><sec><title>Methods</title><p>{SENTENCE}</p></sec></body></article>"


def test_documents_come_in_the_order_given_and_errors_are_lines(tmp_path: Path) -> None:
    (tmp_path / "b.html.gz").write_bytes(gzip.compress(PAGE.encode()))
    (tmp_path / "a.nxml").write_text(ARTICLE)
    (tmp_path / "broken.html.gz").write_bytes(gzip.compress(PAGE.encode())[:40])
    files = [str(tmp_path / name) for name in ("b.html.gz", "broken.html.gz", "gone.html", "a.nxml", "x.docx")]
    done = CliRunner().invoke(app, ["corpus", "extract", *files, "--out", str(tmp_path / "out.jsonl")])
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert done.exit_code == 1 and [row["path"] for row in rows] == files
    assert rows[0]["texts"].count((SENTENCE * 3).strip()) == 6 and len(rows[0]["texts"]) == len(rows[0]["images"])
    assert rows[3]["texts"] == ["Methods", SENTENCE.strip()] and rows[3]["metadata"][0] == {"level": 2}
    assert [row.get("code") for row in rows] == [None, "unreadable", "unreadable", None, "format"]
    assert all("error" in rows[n] for n in (1, 2, 4))
