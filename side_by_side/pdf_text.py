"""Text of journal articles' PDFs against their publishers' XML: ours, pypdf, pdfminer.six, PyMuPDF, pymupdf4llm.

    .venv/bin/python side_by_side/pdf_text.py [--data FOLDER] [--articles FOLDER] [--repeats 3]

Articles: those of `--data` in JATS, typeset in two columns by Chromium, with running heads; and each `name.pdf` beside
a `name.xml` below `--articles`, as publishers print them (`fulltext.pdf` and `fulltext.xml` in ContentMine/norma).
Counted are runs of four words, against title, abstract and body; seconds are of one core. Peers give a page as it is
printed: heads, authors and references, too, which their precision shows. Their environment is made where there is none
(side_by_side/.venv/pdf).
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

from corpus_pipeline import environment

HERE = Path(__file__).parent
PEERS = ("pypdf", "pdfminer.six", "pymupdf", "pymupdf4llm")
CSS = """@page { size: A4 } body { font: 9.5pt/1.25 serif; margin: 0 } h1 { font-size: 19pt }
p { margin: 0; text-indent: 1em } main { column-count: 2; column-gap: 7mm; text-align: justify; hyphens: auto }
h2, h3 { font: bold 11pt sans-serif }"""
HEAD = "<div style='font-size: 7pt; width: 100%; text-align: center'>Somebody et al. A Journal of Print</div>"
FOOT = "<div style='font-size: 7pt; width: 100%; text-align: center'>Page <span class=pageNumber></span></div>"


def ours(path: str) -> str:
    from vesalius.corpus.read import pdf

    return next(pdf.read(path)).text


def pypdf(path: str) -> str:
    from pypdf import PdfReader

    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def pdfminer(path: str) -> str:
    from pdfminer.high_level import extract_text

    return extract_text(path)


def pymupdf(path: str) -> str:
    import pymupdf

    with pymupdf.open(path) as document:
        return "\n".join(page.get_text() for page in document)


def pymupdf4llm(path: str) -> str:
    import pymupdf4llm

    return pymupdf4llm.to_markdown(path)


READERS: dict[str, Callable[[str], str]] = {f.__name__: f for f in (ours, pypdf, pdfminer, pymupdf, pymupdf4llm)}


def read_all(reader: str, paths: list[str]) -> dict:
    """Texts and seconds of every file; the first is read once before, so that libraries are loaded."""
    read, texts, seconds = READERS[reader], [], []
    read(paths[0])
    for path in paths:
        start = time.perf_counter()
        texts.append(read(path))
        seconds.append(time.perf_counter() - start)
    return {"texts": texts, "seconds": seconds}


def asked(reader: str, paths: list[str]) -> dict:
    """`read_all` in a process of its own, on one core."""
    python = sys.executable if reader == "ours" else environment("pdf", PEERS)
    with tempfile.NamedTemporaryFile("r", suffix=".json") as out:
        command = ["taskset", "-c", "0", python, __file__, "--reader", reader, "--out", out.name, *paths]
        done = subprocess.run(
            command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
        )
        if done.returncode:
            sys.exit(f"{reader} failed:\n{done.stderr[-2000:]}")
        return json.load(out)


def grams(text: str) -> Counter:
    words = re.findall(r"\w+", text.lower())
    return Counter(zip(*(words[i:] for i in range(4)), strict=False))


def truth(xml: Path) -> str | None:
    """Title, abstract and body: JATS, or BioMed Central's own; None for anything else."""
    from lxml import etree

    from vesalius.corpus.read import jats
    from vesalius.errors import VesaliusError

    try:
        return next(jats.read(xml)).text
    except VesaliusError:
        root = etree.parse(str(xml)).getroot()
    if root.tag != "art":
        return None
    nodes = [node for part in ("abs", "bdy") for found in root.iter(part) for node in found.iter("p", "tblbdy")]
    return "\n".join([root.findtext(".//title/p") or "", *(" ".join("".join(n.itertext()).split()) for n in nodes)])


def typeset(data: Path, folder: Path) -> list[tuple[str, str]]:
    """(PDF, text) of each JATS article."""
    import html

    from playwright.sync_api import sync_playwright

    from vesalius.corpus.document import Heading
    from vesalius.corpus.read import jats

    made = []
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for number, file in enumerate(sorted((data / "jats" / "with_images").glob("*/*.xml"))):
            article = next(jats.read(file))
            tags = [f"h{min(3, t.level)}" if isinstance(t, Heading) else "p" for t in article.texts]
            title, *rest = (f"<{tag}>{html.escape(t)}</{tag}>" for tag, t in zip(tags, article.texts, strict=True))
            page = browser.new_page()
            page.set_content(f"<!doctype html><html lang=en><style>{CSS}</style>{title}<main>{''.join(rest)}</main>")
            path = str(folder / f"{number}.pdf")
            margin = dict.fromkeys(("top", "bottom", "left", "right"), "20mm")
            page.pdf(path=path, margin=margin, display_header_footer=True, header_template=HEAD, footer_template=FOOT)
            page.close()
            made.append((path, article.text))
        browser.close()
    return made


def printed(folder: Path) -> list[tuple[str, str]]:
    """(PDF, text) of each article that is in both forms, none twice."""
    found = {}
    for path in sorted(folder.rglob("*.pdf")):
        if path.with_suffix(".xml").is_file() and path.read_bytes()[:4] == b"%PDF":
            text = truth(path.with_suffix(".xml"))
            if text and len(text) > 3000:
                found.setdefault(text[:200], (str(path), text))
    return list(found.values())


def compare(name: str, articles: list[tuple[str, str]], repeats: int) -> None:
    paths, wanted = [path for path, _ in articles], [grams(text) for _, text in articles]
    runs: dict[str, list[dict]] = {reader: [] for reader in READERS}
    for _ in range(repeats):
        for reader in READERS:
            runs[reader].append(asked(reader, paths))
    for reader, found in runs.items():
        said = [grams(text) for text in found[0]["texts"]]
        shared = [(a & b).total() for a, b in zip(wanted, said, strict=True)]
        precision = [n / max(1, b.total()) for n, b in zip(shared, said, strict=True)]
        recall = [n / a.total() for n, a in zip(shared, wanted, strict=True)]
        f1 = [2 * p * r / max(1e-9, p + r) for p, r in zip(precision, recall, strict=True)]
        ratio = median(sum(a["seconds"]) / sum(b["seconds"]) for a, b in zip(found, runs["ours"], strict=True))
        scores = " | ".join(f"{score:.3f}" for score in (mean(precision), mean(recall), mean(f1), min(f1)))
        spent = 1000 * median(sum(run["seconds"]) for run in found) / len(paths)
        print(f"| {name} | {len(paths)} | {reader} | {scores} | {spent:.0f} | {ratio:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data" / "corpus")
    parser.add_argument("--articles", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reader", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reader:
        options.out.write_text(json.dumps(read_all(options.reader, options.paths)))
        return
    print("| articles | n | reader | precision | recall | F1 | least | ms an article | times ours |\n|" + "---|" * 9)
    with tempfile.TemporaryDirectory() as folder:
        compare("typeset", typeset(options.data, Path(folder)), options.repeats)
    if options.articles:
        compare("as printed", printed(options.articles), options.repeats)


if __name__ == "__main__":
    main()
