"""From pages to clean text side by side: extraction, and the whole text pipeline, one core, one run.

    .venv/bin/python side_by_side/corpus_pipeline.py [--data FOLDER] [--pages FOLDER ...] [--repeats 3]

Extraction: the pages of the article-extraction benchmark, gzipped in memory, by ours, trafilatura (three settings),
resiliparse, and what OmniCorpus calls; the floor is to unzip, find the encoding and parse. F1 is that benchmark's own.
The pipeline: a WARC of the same pages, and of those in `--pages`, through Gopher's, C4's and FineWeb's filters, ours
and datatrove's with its reader and its extractor. PYTHON has the peers (side_by_side/.venv/corpus is made where none
is given; python-magic wants libmagic). Rounds are interleaved; ratios are of the same round, their median is told.
"""

import argparse
import gzip
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
PEERS = (
    "trafilatura",
    "nltk",
    "lxml",
    "lxml_html_clean",
    "datatrove",
    "warcio",
    "spacy",
    "faust-cchardet",
    "python-magic",
    "resiliparse",
)
EXTRACTORS = ("floor", "ours", "resiliparse", "trafilatura", "trafilatura fast", "trafilatura precise", "OmniCorpus'")


def grams(text: str) -> Counter:
    """The benchmark's: runs of four words."""
    words = re.findall(r"\w+", text)
    return Counter(tuple(words[i : i + 4]) for i in range(max(1, len(words) - 3))) if words else Counter()


def f1(texts: dict[str, str], truth: dict) -> float:
    """The benchmark's score: of mean precision and mean recall."""
    precision, recall = [], []
    for case, said in truth.items():
        wanted, found = grams(said["articleBody"]), grams(texts[case])
        right = (wanted & found).total()
        precision.append(right / found.total() if found else 0)
        recall.append(right / wanted.total())
    p, r = statistics.mean(precision), statistics.mean(recall)
    return 2 * p * r / (p + r)


def floor(page: bytes) -> str:
    from resiliparse.parse.encoding import detect_encoding
    from resiliparse.parse.html import HTMLTree

    HTMLTree.parse_from_bytes(page, detect_encoding(page) or "utf-8")
    return ""


def of_ours(page: bytes) -> str:
    from vesalius.corpus.extract.page import extract

    return extract(page).text


def of_resiliparse(page: bytes) -> str:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import detect_encoding
    from resiliparse.parse.html import HTMLTree

    tree = HTMLTree.parse_from_bytes(page, detect_encoding(page) or "utf-8")
    return extract_plain_text(tree, main_content=True, alt_texts=False, noscript=False)


def of_trafilatura(**settings) -> Callable[[bytes], str]:
    def run(page: bytes) -> str:
        import trafilatura

        return trafilatura.extract(page, include_comments=False, **settings) or ""

    return run


FUNCTIONS: dict[str, Callable[[bytes], str]] = {
    "floor": floor,
    "ours": of_ours,
    "resiliparse": of_resiliparse,
    "trafilatura": of_trafilatura(),
    "trafilatura fast": of_trafilatura(fast=True),
    "trafilatura precise": of_trafilatura(favor_precision=True),
    "OmniCorpus'": of_trafilatura(include_images=True, output_format="xml"),
}


def timed_extraction(name: str, folder: str) -> dict:
    """Seconds for all pages, and their texts; one page first, so that nothing is loaded or compiled on the way."""
    packed = {p.name.removesuffix(".html.gz"): p.read_bytes() for p in sorted(Path(folder).glob("*.html.gz"))}
    function = FUNCTIONS[name]
    for page in list(packed.values())[:3]:
        function(gzip.decompress(page))
    texts, start = {}, time.perf_counter()
    for case, page in packed.items():
        texts[case] = function(gzip.decompress(page))
    return {"seconds": time.perf_counter() - start, "texts": texts}


def pipeline_of_datatrove(warc: str) -> dict:
    """Reader, extractor and filters as FineWeb has them, in this process but for the extractor's sandbox."""
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.pipeline.readers import WarcReader

    def steps() -> list:
        reader = WarcReader(str(Path(warc).parent), glob_pattern=Path(warc).name)
        filters = [GopherRepetitionFilter(), GopherQualityFilter(), FineWebQualityFilter()]
        # Its sentences need NLTK's data, which would be fetched; FineWeb, too, takes lines.
        return [reader, Trafilatura(favour_precision=True, timeout=10), C4QualityFilter(split_paragraph=True), *filters]

    def run() -> list[str]:
        data = None
        for step in steps():
            data = step.run(data, 0, 1)
        return [document.metadata["url"] for document in data or ()]

    run()
    start = time.perf_counter()
    kept = run()
    return {"seconds": time.perf_counter() - start, "kept": kept}


def pipeline_of_ours(warc: str) -> dict:
    """The same filters; beside them ours signs documents for deduplication and scores how biomedical they are."""
    from vesalius.corpus.build.recipe import Recipe
    from vesalius.corpus.build.sources import items, sources_of
    from vesalius.corpus.build.stages import Stages

    recipe = Recipe(sources=(warc,), output=Path("out"), languages=(), feedback=False, privacy=False, opt_out=False)
    (source,) = sources_of(recipe)

    def run() -> list[str]:
        stages = Stages(recipe)
        found = (stages(record)[0] for item in items(source, Counter()) for record in item())
        return [str(document.facts["url"]) for document in found if document is not None]

    run()
    start = time.perf_counter()
    kept = run()
    return {"seconds": time.perf_counter() - start, "kept": kept}


def write_warc(pages: list[tuple[str, bytes]], path: Path) -> None:
    """An archive with a gzip member for each page."""
    with path.open("wb") as stream:
        for number, (url, page) in enumerate(pages):
            block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page
            head = (
                f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-06T07:08:09Z\r\n"
                f"WARC-Record-ID: <urn:uuid:{number:032d}>\r\nContent-Type: application/http; msgtype=response\r\n"
                f"WARC-Identified-Payload-Type: text/html\r\nContent-Length: {len(block)}\r\n\r\n"
            )
            stream.write(gzip.compress(head.encode() + block + b"\r\n\r\n"))


def environment(name: str = "corpus", packages: tuple[str, ...] = PEERS) -> str:
    """The Python of an environment with these packages; made if it is not there, or has others."""
    folder = HERE / ".venv" / name
    made, wanted = folder / ".made", "\n".join(packages)
    if not made.exists() or made.read_text("utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *packages], check=True)
        made.write_text(wanted, "utf-8")
    return str(folder / "bin" / "python")


def asked(python: str, role: str, value: str) -> dict:
    """The answer of this file in a process of its own, on one core."""
    command = ["taskset", "-c", "0", python, __file__, "--role", role, "--value", value]
    one = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    done = subprocess.run(command, capture_output=True, text=True, env=one)
    if done.returncode:
        sys.exit(f"{role} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def ratio(seconds: dict[str, list[float]], name: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(seconds[name], seconds[other], strict=True))


def extraction(options, python: str) -> None:
    folder = options.data / "scrapinghub"
    truth = json.loads((folder / "ground-truth.json").read_text("utf-8"))
    seconds: dict[str, list[float]] = {name: [] for name in EXTRACTORS}
    scores = {}
    for _ in range(options.repeats):
        for name in EXTRACTORS:
            own = sys.executable if name in ("ours", "floor") else python
            found = asked(own, name, str(folder / "html"))
            seconds[name].append(found["seconds"])
            plain = {
                case: re.sub(r"<[^>]*>", " ", t) if name == "OmniCorpus'" else t for case, t in found["texts"].items()
            }
            scores[name] = f1(plain, truth) if name != "floor" else float("nan")
    print(f"\n{len(truth)} pages of the benchmark; medians of {options.repeats} rounds\n")
    print("| | ms a page | ÷ floor | times as fast as trafilatura | F1 |\n|---|---|---|---|---|")
    for name in EXTRACTORS:
        ms = statistics.median(seconds[name]) / len(truth) * 1000
        against = 1 / ratio(seconds, name, "trafilatura")
        print(f"| {name} | {ms:.2f} | {ratio(seconds, name, 'floor'):.2f} | {against:.1f} | {scores[name]:.3f} |")


def pipeline(options, python: str) -> None:
    files = sorted((options.data / "scrapinghub" / "html").glob("*.html.gz"))
    pages = [(f"https://page.test/{p.name}", gzip.decompress(p.read_bytes())) for p in files]
    for folder in options.pages:
        pages += [(f"https://page.test/{p}", p.read_bytes()) for p in sorted(folder.rglob("*.html"))]
    seconds: dict[str, list[float]] = {"ours": [], "datatrove": []}
    with tempfile.TemporaryDirectory() as place:
        warc = Path(place) / "pages.warc.gz"
        write_warc(pages, warc)
        for _ in range(options.repeats):
            one = asked(sys.executable, "pipeline of ours", str(warc))
            two = asked(python, "pipeline of datatrove", str(warc))
            seconds["ours"].append(one["seconds"])
            seconds["datatrove"].append(two["seconds"])
    both = len(set(one["kept"]) & set(two["kept"]))
    print(f"\n{len(pages)} pages as WARC, extraction, C4, Gopher's two and FineWeb's filters\n")
    for name, kept in (("ours", one["kept"]), ("datatrove", two["kept"])):
        median = statistics.median(seconds[name])
        print(f"{name}: {len(pages) / median:.0f} pages/s ({median:.2f} s), {len(kept)} kept")
    print(f"ours is {ratio(seconds, 'datatrove', 'ours'):.1f} times as fast; {both} kept by both")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data" / "corpus")
    parser.add_argument("--pages", type=Path, nargs="*", default=[], help="folders of .html for the pipeline")
    parser.add_argument("--python", help="of an environment with the peers")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--role", help=argparse.SUPPRESS)
    parser.add_argument("--value", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        special = {"pipeline of ours": pipeline_of_ours, "pipeline of datatrove": pipeline_of_datatrove}
        found = special[options.role] if options.role in special else lambda v: timed_extraction(options.role, v)
        print("\n" + json.dumps(found(options.value)))
        return
    python = options.python or environment()
    extraction(options, python)
    pipeline(options, python)


if __name__ == "__main__":
    main()
