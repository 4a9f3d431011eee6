"""The labelled texts that the classifier learns from and is judged on, and which side of the split each is on.

Knows the layout of each public source; none of them is in this repository. `docs/biomedical_filter.md` lists them with
their licences. Leaves what is learnt from them to `training.py`.
"""

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vesalius.errors import VesaliusError

TEST, VALIDATION = 20, 30  # of a hundred parts, the first 20 are held out, the next 10 calibrate
_SPACE = re.compile(r"\s+")
_NO_WORD = re.compile(r"\W+")

# Chapters that lie between the two: neither learnt from nor judged on.
_UNDECIDED = re.compile(
    r"Biopsychology|States of Consciousness|Sensation and Perception|Stress, Lifestyle|Lifespan|Health and Medicine"
    r"|Introduction to Psychology|Nuclear Chemistry|Organic Chemistry|Biological Evolution|Genus Homo|Medical Anthro"
    r"|Anthropology of Food",
)
_BOOKS = {
    "osbooks-anatomy-physiology": 1,
    "osbooks-microbiology": 1,
    "osbooks-psychology": 0,
    "osbooks-chemistry-bundle": 0,
    "osbooks-introduction-sociology": 0,
    "osbooks-us-history": 0,
    "osbooks-introduction-anthropology": 0,
    "osbooks-physics": 0,
}
# Mouse genetics, fuel cells: the first line is the title.
_ARTICLES = (
    ("CRAFT", "articles/txt/*.txt", 1),
    ("sofc-exp_textmining_resources", "sofc-exp-corpus/texts/*.txt", 0),
)
_GUM_LEFT_OUT = re.compile(r"GENTLE|health|secondlang|sneeze|teeth|sexual|vet|dentist|ants|medic|disease|covid", re.I)


@dataclass(frozen=True, slots=True)
class Text:
    """A labelled text.

    Attributes:
        text: the words.
        label: 1 biomedical, 0 not.
        source: where it is from.
        title: of its article, or its first words; texts of one title are on one side of the split.
    """

    text: str
    label: int
    source: str
    title: str

    @property
    def part(self) -> str:
        """`test`, `validation` or `train`, by a hash of the title alone."""
        return part_of(self.title)


def part_of(title: str) -> str:
    """Which part of the split a title is in; capitals, marks and spaces do not matter."""
    key = _NO_WORD.sub(" ", title.lower()).strip()
    place = int.from_bytes(hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=8).digest(), "big") % 100
    return "test" if place < TEST else "validation" if place < VALIDATION else "train"


def labelled(path: Path) -> Iterator[Text]:
    """`biomed_vs_general.jsonl.gz`: rows of text, label, source, kind.

    Raises:
        VesaliusError: code `file`: no such file.
    """
    if not path.is_file():
        raise VesaliusError("no labelled texts", file=str(path), remedy="see docs/biomedical_filter.md", code="file")
    seen = set()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            title = " ".join(_NO_WORD.sub(" ", row["text"].lower()).split()[:10])
            if title not in seen:
                seen.add(title)
                yield Text(row["text"], row["label"], row["source"], title)


def repositories(folder: Path) -> Iterator[Text]:
    """The checkouts in a folder, each under its repository's name; those that are missing are left out."""
    for book, label in _BOOKS.items():
        yield from _book(folder / book, label)
    yield from _medquad(folder / "MedQuAD")
    yield from _articles(folder / "OA-STM-Corpus")
    for name, files, label in _ARTICLES:
        for file in sorted((folder / name).glob(files)):
            text = file.read_text("utf-8", "replace")
            yield Text(text, label, name, text.strip().split("\n")[0])
    yield from _gum(folder / "gum")
    yield from _recipes(folder / "based.cooking")
    yield from _syntheses(folder / "uspto-revisit")
    for file in sorted((folder / "book" / "src").glob("ch*.md")):
        yield Text(re.sub(r"\{\{.*?\}\}", " ", file.read_text("utf-8")), 0, "rust-book", file.stem)


def _book(folder: Path, label: int) -> Iterator[Text]:
    """OpenStax: a module a text; a chapter is on one side of the split. Psychology's last two chapters are clinical."""
    from lxml import etree

    seen = set()
    for collection in sorted(folder.glob("collections/*.xml")):
        for chapter in etree.parse(str(collection)).getroot().iter("{*}subcollection"):
            title = next(chapter.iter("{*}title")).text or ""
            if _UNDECIDED.search(title) or next(chapter.iterdescendants("{*}subcollection"), None) is not None:
                continue
            clinical = folder.name == "osbooks-psychology" and title in ("Psychological Disorders",
                                                                         "Therapy and Treatment")  # fmt: skip
            for module in (node.get("document") for node in chapter.iter("{*}module")):
                file = folder / "modules" / module / "index.cnxml"
                if module in seen or not file.is_file():
                    continue
                seen.add(module)
                root = etree.parse(str(file)).getroot()
                texts = [" ".join(node.itertext()) for node in root.iter("{*}para")]
                text = _SPACE.sub(" ", " ".join(texts))
                if len(text) > 500:
                    yield Text(text, int(label or clinical), folder.name, f"{folder.name}: {title}")


def _medquad(folder: Path) -> Iterator[Text]:
    """Questions and answers of one disease are one text; GARD and GHR repeat themselves: every fifth."""
    from lxml import etree

    for at, file in enumerate(sorted(folder.glob("*/*.xml"))):
        if at % 5 and file.parent.name[:2] in ("2_", "3_"):
            continue
        root = etree.parse(str(file), etree.XMLParser(recover=True)).getroot()
        answers = [node.text or "" for node in root.iter("Answer")]
        text = _SPACE.sub(" ", " ".join(answers)).strip()
        focus = next((node.text for node in root.iter("Focus") if node.text), file.stem)
        if len(text) > 300:
            yield Text(text, 1, "MedQuAD", focus)  # one disease in two of its sites is one title


def _articles(folder: Path) -> Iterator[Text]:
    """OA-STM: articles of ten sciences; its biology is stem cells of man throughout."""
    kinds = folder / "fileCategories.txt"
    for line in kinds.read_text("utf-8").splitlines() if kinds.is_file() else ():
        name, _, kind = line.partition("\t")
        file = folder / "SimpleText" / "SimpleText_auto" / f"{name}.txt"
        if file.is_file():
            text = file.read_text("utf-8")
            yield Text(text, int(kind.strip() in ("Medicine", "Biology")), "OA-STM-Corpus", text.strip().split("\n")[0])


def _gum(folder: Path) -> Iterator[Text]:
    """Sixteen genres, from fiction to travel; the few on health are left out."""
    for file in sorted(folder.glob("xml/*.xml")):
        if not _GUM_LEFT_OUT.search(file.stem):
            lines = file.read_text("utf-8").splitlines()
            yield Text(" ".join(line.split("\t")[0] for line in lines if "\t" in line), 0, "gum", file.stem)


def _recipes(folder: Path) -> Iterator[Text]:
    for file in sorted(folder.glob("content/*.md")):
        yield Text(file.read_text("utf-8").split("---", 2)[-1], 0, "based.cooking", file.stem)


def _syntheses(folder: Path) -> Iterator[Text]:
    """Paragraphs of US patents on how a compound was made; a compound is a title."""
    file = folder / "benchmarks" / "ai_et_al" / "output.json"
    rows = json.loads(file.read_text("utf-8-sig")) if file.is_file() else []
    for row in rows:
        if len(row["paragraph"]) > 200:
            yield Text(row["paragraph"], 0, "uspto-revisit", row["title"])
