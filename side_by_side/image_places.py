"""Whether images stand where the page has them: ours, and trafilatura as OmniCorpus calls it, on the same pages.

    .venv/bin/python side_by_side/image_places.py [--data FOLDER] [--pages FOLDER ...]

Pages are those of the article-extraction benchmark, journal pages, and `.html` below each `--pages`. Another parser
(lxml) says in which order a page has its words and its images. An image that an extractor gives is in its place where
the page has it after the beginning of the text before it and before the end of the text after it; texts are known by
five words, and an image between texts that the page does not have is not counted. PYTHON has trafilatura (see
`corpus_pipeline.py`).
"""

import argparse
import gzip
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from corpus_pipeline import environment

HERE = Path(__file__).parent
WORDS = 5
Parts = list[tuple[str, str]]  # ("text", a line) and ("image", its address), in order


def of_ours(page: bytes) -> Parts:
    from vesalius.corpus.extract.page import extract

    found = extract(page)
    parts: Parts = []
    images = list(found.images)
    for number, line in enumerate([*found.lines, ""]):
        while images and images[0].line <= number:
            parts.append(("image", images.pop(0).url))
        parts.append(("text", line))
    return parts


def of_trafilatura(page: bytes) -> Parts:
    import trafilatura
    from lxml import etree

    xml = trafilatura.extract(page, include_comments=False, include_images=True, output_format="xml")
    parts: Parts = []

    def walk(node) -> None:
        if node.tag == "graphic":
            parts.append(("image", node.get("src", "")))
        parts.append(("text", node.text or ""))
        for child in node:
            walk(child)
            parts.append(("text", child.tail or ""))

    if xml:
        walk(etree.fromstring(xml).find("main"))
    return parts


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def reference(page: bytes) -> tuple[dict[tuple[str, ...], list[int]], dict[str, list[int]]]:
    """Where the page's runs of words begin, and before which word each address of an image stands."""
    from lxml import html
    from resiliparse.parse.encoding import detect_encoding

    root = html.document_fromstring(page, parser=html.HTMLParser(encoding=detect_encoding(page) or "utf-8"))
    stream: list[str] = []
    images: dict[str, list[int]] = defaultdict(list)

    def walk(node) -> None:
        if isinstance(node.tag, str) and node.tag not in ("script", "style"):
            if node.tag == "img":
                for value in node.attrib.values():
                    for address in {value.strip(), *(one.split()[0] for one in value.split(",") if one.split())}:
                        images[address].append(len(stream))
            stream.extend(words(node.text or ""))
            for child in node:
                walk(child)
                stream.extend(words(child.tail or ""))

    walk(root)
    starts: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at in range(len(stream) - WORDS + 1):
        starts[tuple(stream[at : at + WORDS])].append(at)
    return starts, images


def placed(parts: Parts, page: bytes) -> Iterator[bool | None]:
    """Of each image whether it is in its place; None where nobody can say."""
    starts, images = reference(page)
    for at, (kind, address) in enumerate(parts):
        if kind != "image":
            continue
        before = next((words(t) for k, t in reversed(parts[:at]) if k == "text" and len(words(t)) >= WORDS), None)
        after = next((words(t) for k, t in parts[at:] if k == "text" and len(words(t)) >= WORDS), None)
        places = images.get(address.strip(), [])
        begins = starts.get(tuple(before[:WORDS]), []) if before else [-1]
        ends = [place + WORDS for place in starts.get(tuple(after[-WORDS:]), [])] if after else [sys.maxsize]
        if not places or not begins or not ends:
            yield None
        else:
            yield any(begin <= place <= end for place in places for begin in begins for end in ends if begin < end)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data" / "corpus")
    parser.add_argument("--pages", type=Path, nargs="*", default=[], help="folders of .html")
    parser.add_argument("--python", help="of an environment with the peers")
    parser.add_argument("--role", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        files = json.load(sys.stdin)
        print("\n" + json.dumps([of_trafilatura(_read(Path(file))) for file in files]))
        return
    sets = {
        "news": sorted((options.data / "scrapinghub" / "html").glob("*.html.gz")),
        "journals": sorted((options.data / "pages").rglob("*.html")),
        **{folder.name: sorted(folder.rglob("*.html")) for folder in options.pages},
    }
    print("| | pages | | images | in their places | cannot be said | accuracy |\n|" + "---|" * 7)
    for name, files in sets.items():
        command = [options.python or environment(), __file__, "--role", "peer"]
        done = subprocess.run(command, input=json.dumps(list(map(str, files))), capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"the peer failed:\n{done.stderr[-2000:]}")
        pages = [_read(file) for file in files]
        for who, found in (("ours", map(of_ours, pages)), ("trafilatura", json.loads(done.stdout.splitlines()[-1]))):
            verdicts = [v for parts, page in zip(found, pages, strict=True) for v in placed(list(parts), page)]
            right, known = sum(v is True for v in verdicts), sum(v is not None for v in verdicts)
            share = f"{right / known:.3f}" if known else "–"
            print(f"| {name} | {len(pages)} | {who} | {len(verdicts)} | {right} | {len(verdicts) - known} | {share} |")


def _read(file: Path) -> bytes:
    return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()


if __name__ == "__main__":
    main()
