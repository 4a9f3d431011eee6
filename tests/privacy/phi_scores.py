"""Recall and precision of findings against annotated spans, and the shared sets as texts with spans."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from vesalius.privacy import Scrubbed

Note = tuple[str, list[tuple[int, int, str]]]

_PRESIDIO = {
    "PERSON": "name without title",
    "PHONE_NUMBER": "phone",
    "EMAIL_ADDRESS": "email",
    "US_SSN": "id number",
    "US_DRIVER_LICENSE": "id number",
    "CREDIT_CARD": "account",
    "IBAN_CODE": "account",
    "IP_ADDRESS": "ip address",
    "STREET_ADDRESS": "address",
    "ADDRESS": "address",
    "DATE_TIME": "other date",
}
_TITLE = re.compile(r"\b(?:mr|mrs|ms|miss|dr|prof)\.?\s*$", re.IGNORECASE)
_BORN = re.compile(r"born on|date of birth", re.IGNORECASE)


@dataclass
class Scores:
    """Counts by kind; a span is found where all of its letters and digits are gone, under whatever name.

    Attributes:
        spans, hits: annotated spans, and those found.
        findings, right: what was found, and what of it touches a span of any kind.
    """

    spans: Counter = field(default_factory=Counter)
    hits: Counter = field(default_factory=Counter)
    findings: Counter = field(default_factory=Counter)
    right: Counter = field(default_factory=Counter)
    missed: list[tuple[str, str]] = field(default_factory=list)

    def recall(self, kind: str) -> float:
        return self.hits[kind] / self.spans[kind]

    def precision(self, kind: str) -> float:
        return self.right[kind] / self.findings[kind]


def score(notes: Iterable[Note], scrubbed: Iterable[Scrubbed]) -> Scores:
    """Counts over notes and what was made of them, in the same order."""
    scores = Scores()
    for (text, spans), result in zip(notes, scrubbed, strict=True):
        gone = {at for finding in result.findings for at in range(finding.start, finding.end)}
        for start, end, kind in spans:
            scores.spans[kind] += 1
            if all(at in gone for at in range(start, end) if text[at].isalnum()):
                scores.hits[kind] += 1
            else:
                scores.missed.append((kind, text[max(0, start - 30) : end + 10]))
        for finding in result.findings:
            scores.findings[finding.kind] += 1
            scores.right[finding.kind] += any(start < finding.end and finding.start < end for start, end, _ in spans)
    return scores


def presidio(path: Path) -> list[Note]:
    """A file of presidio-research; persons behind a title and dates of birth are told by what stands before them."""
    notes = []
    for row in json.loads(path.read_text(encoding="utf-8")):
        text, spans = row["full_text"], []
        for span in row["spans"]:
            start, before = span["start_position"], row["full_text"][max(0, span["start_position"] - 40) :]
            before = before[: start - max(0, start - 40)]
            kind = _PRESIDIO.get(span["entity_type"], span["entity_type"].lower())
            kind = "name" if kind == "name without title" and _TITLE.search(before) else kind
            kind = "date of birth" if kind == "other date" and _BORN.search(before) else kind
            spans.append((start, span["end_position"], kind))
        notes.append((text, spans))
    return notes


def articles(folder: Path) -> dict[str, list[str]]:
    """Of JATS articles: the entries of bibliographies, author lists as text (and made of names), body paragraphs."""
    found: dict[str, list[str]] = {"references": [], "author lists": [], "lists of names": [], "body": []}
    for path in sorted([*folder.glob("*/*.nxml"), *folder.glob("*/*/*.xml")]):
        root = etree.parse(str(path)).getroot()
        found["references"] += [_words(node) for node in root.iter("ref")]
        for group in root.iter("contrib-group"):
            found["author lists"].append(_words(group))
            names = [(n.findtext("given-names") or "", n.findtext("surname") or "") for n in group.iter("name")]
            found["lists of names"] += [
                ", ".join(f"{g} {s}" for g, s in names),
                "; ".join(f"{s}, {g}" for g, s in names),
            ]
        found["body"] += [_words(p) for p in root.iter("p") if any(a.tag == "body" for a in p.iterancestors())]
    return {kind: [text for text in texts if text] for kind, texts in found.items()}


def _words(node) -> str:
    return " ".join(" ".join(node.itertext()).split())
