"""Texts that somebody wrote in one encoding and read in another, mended: "â€”" is a dash again.

Knows documents; ftfy knows the mending. It is asked only where a text has what every such accident leaves.
"""

from dataclasses import replace

from vesalius.corpus.document import Document, Heading

# "Â" alone is an operator, too.
_TRACES = ("â€", "Ã", "Ð", "Ñ")  # of UTF-8 that was read as cp1252: punctuation, Latin, Cyrillic


def mended(document: Document) -> tuple[Document, int]:
    """The document, and how many of its paragraphs were mended."""
    text = document.text
    if not any(trace in text for trace in _TRACES):
        return document, 0
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    parts, count = list(document.parts), 0
    for at, part in enumerate(parts):
        if isinstance(part, str) and is_bad(part) and (new := fix_encoding(part)) != part:
            parts[at] = Heading(new, part.level) if isinstance(part, Heading) else new
            count += 1
    return (replace(document, parts=tuple(parts)), count) if count else (document, 0)
