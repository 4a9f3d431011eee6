"""Paragraphs that a site repeats on its pages: menus, disclaimers, "share this".

Knows documents and their site; two passes, one that counts and one that takes away. Equal documents are found with the
similar ones, in `clusters.py`, by the same normal form and its 128-bit hash (`signatures.digest`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from vesalius.corpus.dedup.counts import Counts, count
from vesalius.corpus.dedup.signatures import key, normal_form
from vesalius.corpus.document import Document, Heading


def site(document: Document) -> str:
    """The host that a document is from, without `www.`, by its fact `url` or else its id; "" where neither is a URL."""
    try:
        host = urlsplit(str(document.facts.get("url") or document.id)).hostname or ""
    except ValueError:  # a bracket that is no IPv6 address
        return ""
    return host.removeprefix("www.")


def count_paragraphs(documents: Iterable[Document]) -> Counts:
    """First pass, shard by shard: in how many documents of its site each paragraph occurs, and each site's documents.

    Put the shards together with `frequent(shards, folder, least=3)`. Paragraphs are compared in their normal form;
    documents without a site are left out.
    """
    return count([key(place), *_keys(place, document).values()] for document in documents if (place := site(document)))


@dataclass(frozen=True)
class RepeatedParagraphs:
    """Second pass: takes away what a site repeats.

    Attributes:
        counts: of all shards, from `frequent`; what it left out as too rare is kept.
        number: a paragraph goes if more documents of the site than this have it, however large the site is,
        share: or a larger share of the site's documents,
        least: but not if fewer than this have it, however small the site is.
        heading_words: headings of at most so many words stay ("Methods", "Side effects"), repeated or not.
    """

    counts: Counts
    number: int = 20
    share: float = 0.3
    least: int = 3
    heading_words: int = 8

    def remove(self, document: Document) -> tuple[Document, list[str]]:
        """The document without them, and the paragraphs that went; images stay."""
        place = site(document)
        keys = _keys(place, document) if place else {}
        if not keys:
            return document, []
        all_documents, *found = self.counts.of([key(place), *keys.values()])
        limit = min(self.number, self.share * all_documents)
        often = {text for text, times in zip(keys, found, strict=True) if times > limit and times >= self.least}
        gone = [isinstance(part, str) and part in often and not self._stays(part) for part in document.parts]
        if not any(gone):
            return document, []
        kept = tuple(part for part, goes in zip(document.parts, gone, strict=True) if not goes)
        return replace(document, parts=kept), [
            str(part) for part, goes in zip(document.parts, gone, strict=True) if goes
        ]

    def _stays(self, text: str) -> bool:
        return isinstance(text, Heading) and len(normal_form(text).split()) <= self.heading_words


def _keys(place: str, document: Document) -> dict[str, int]:
    """A document's paragraphs with a word in them, and their keys at its site."""
    forms = {text: normal_form(text) for text in document.texts}
    return {text: key(place, form) for text, form in forms.items() if form}
