"""Which parts of something printed are an article's own text: not authors and addresses, references, interests.

Names of sections are known to `extract/sections.py`; here, what they mean on paper.
"""

import re
from collections.abc import Sequence

from vesalius.corpus.document import Heading
from vesalius.corpus.extract.sections import LEAST, part_of, tells_about

_REFERENCES = re.compile(r"\W*\d*\W*(?:references|bibliography|literature|works|reference list)", re.IGNORECASE)
_ABSTRACT = re.compile(r"\W*(?:abstract|summary)", re.IGNORECASE)
_WORKPLACE = re.compile(
    r"\b(?:universit\w+|hospital|institut\w+|department|school of|centre|center|faculty|division)\b", re.IGNORECASE
)
_LONG, _ADDRESS = 25, 10  # words of an abstract that no heading tells, and of addresses
_BEGINNING = 60  # characters in which an address says whose it is


def own_lines(lines: Sequence[str]) -> list[bool]:
    """For each line of something printed whether it is the text of an article; all are where it is no article.

    Of what stands before the first section only title and abstract are, and nothing after the references but sections
    of the article's own.
    """
    parts = [part_of(line) if isinstance(line, Heading) else None for line in lines]
    names = {line[:6].lower() for line, part in zip(lines, parts, strict=True) if part}
    if len(names) < LEAST or "own" not in parts:
        return [True] * len(lines)
    first = parts.index("own")
    headed = _ABSTRACT.match(lines[first])
    own, now, within, over = [], False, 0, False
    for at, (line, part) in enumerate(zip(lines, parts, strict=True)):
        if isinstance(line, Heading):
            if within and line.level <= within and at >= first:
                now, within = not over, 0
            if part and not within:
                now, within = part == "own", line.level if part == "back" else 0
                over = over or bool(_REFERENCES.match(line))
        title = isinstance(line, Heading) and line.level == 1
        abstract = at < first and not headed and _is_abstract(line)
        own.append(title or abstract or (now and not tells_about(line) and not _is_address(line)))
    return own


def _is_abstract(line: str) -> bool:
    """Whether a paragraph is one that no heading says is the abstract."""
    return len(line.split()) >= _LONG and line[-1] in ".!?" and "@" not in line and not _in_commas(line)


def _is_address(line: str) -> bool:
    """Whether a paragraph lists where its authors work: names, between commas."""
    words = line.split()
    if len(words) < _ADDRESS or not _WORKPLACE.search(line[:_BEGINNING]) or not _in_commas(line):
        return False
    return sum(not word[0].islower() for word in words) > 0.6 * len(words)


def _in_commas(line: str) -> bool:
    words = line.split()
    return sum(word.endswith((",", ";")) for word in words) >= len(words) / 8
