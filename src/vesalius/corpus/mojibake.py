"""Texts that somebody wrote in one encoding and read in another, mended: "â€”" is a dash again.

Knows documents; ftfy knows the mending. It is asked only where a document has what every such accident leaves.
"""

from dataclasses import replace

from vesalius.corpus.document import Document, Heading

# "Â" alone is an operator, too.
_TRACES = ("â€", "Ã", "Ð", "Ñ")  # of UTF-8 that was read as cp1252: punctuation, Latin, Cyrillic


def mended(document: Document) -> tuple[Document, int]:
    """The document, its title and alternative texts among it, and how many of its texts were mended."""
    title = str(document.facts.get("title") or "")
    texts = [title, *(part if isinstance(part, str) else part.alt for part in document.parts)]
    if not any(trace in text for text in texts for trace in _TRACES):
        return document, 0
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    new = [str(fix_encoding(text)) if is_bad(text) else str(text) for text in texts]
    count = sum(one != other for one, other in zip(texts, new, strict=True))
    if not count:
        return document, 0
    parts = tuple(
        replace(part, alt=text)
        if not isinstance(part, str)
        else Heading(text, part.level)
        if isinstance(part, Heading)
        else text
        for part, text in zip(document.parts, new[1:], strict=True)
    )
    facts = {**document.facts, "title": new[0]} if title else document.facts
    return replace(document, parts=parts, facts=facts), count
