"""What became of records, stage by stage: how many documents, words and images are left, and why others are gone.

Tallies of sources add up; they are JSON, so that they can be kept beside what they count.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from vesalius.corpus.document import Document

ORDER = (
    "read", "extract", "opt-out", "licence", "language", "heuristics", "feedback", "biomedical", "images", "privacy",
    "duplicates", "repeated", "pictures",
)  # fmt: skip


@dataclass
class Stage:
    """What left a stage.

    Attributes:
        documents, words, images: that it kept.
        reasons: how many it dropped, and why.
        edits: what it did to paragraphs of those it kept, by rule; of reading, records that are no pages, by kind.
        seconds: that it took, of one worker.
    """

    documents: int = 0
    words: int = 0
    images: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    edits: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class Tally:
    """Stages by name; told in the order in which documents meet them."""

    def __init__(self, given: dict[str, Any] | None = None):
        self.stages: dict[str, Stage] = {}
        for name, values in (given or {}).items():
            values = {**values, "reasons": Counter(values["reasons"]), "edits": Counter(values["edits"])}
            self.stages[name] = Stage(**values)

    def __getitem__(self, name: str) -> Stage:
        return self.stages.setdefault(name, Stage())

    def kept(self, name: str, document: Document) -> None:
        """A document passed a stage."""
        stage = self[name]
        stage.documents += 1
        stage.words += sum(len(text.split()) for text in document.texts)
        stage.images += len(document.images)

    def add(self, other: "Tally") -> None:
        """Counts another one in."""
        for name, theirs in other.stages.items():
            own = self[name]
            for what in ("documents", "words", "images", "seconds"):
                setattr(own, what, getattr(own, what) + getattr(theirs, what))
            own.reasons.update(theirs.reasons)
            own.edits.update(theirs.edits)

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return {
            name: {**vars(stage), "reasons": dict(stage.reasons), "edits": dict(stage.edits)}
            for name, stage in sorted(self.stages.items(), key=lambda item: ORDER.index(item[0]))
        }
