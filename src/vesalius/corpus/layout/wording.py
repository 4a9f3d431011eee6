"""Words of lines put together again: hyphens at line ends, spaces, leaders."""

import re
from collections import Counter
from collections.abc import Sequence

from vesalius.corpus.layout.lines import HYPHEN, Line

_TIGHT = ("-", "—", "/")  # what no space follows
_SPACED = re.compile(r"(?:\w ){3,}\w")
_LEADERS = re.compile(r"(?:\s?[.…_]){5,}")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_TAIL = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*$")


def vocabulary(lines: Sequence[Line]) -> Counter[str]:
    """The document's words, but for what may be half of one."""
    words = Counter[str]()
    broken = False
    for line in lines:
        found = _WORD.findall(line.text.lower())
        words.update(found[broken : len(found) - line.text.endswith(HYPHEN)])
        broken = line.text.endswith(HYPHEN)
    return words


def run_on(lines: Sequence[str], words: Counter[str]) -> str:
    """Lines as one. A hyphen at a line's end goes, unless the document writes the word with it."""
    text = ""
    for line in lines:
        if text.endswith(HYPHEN):
            text = text[:-1] + "-" * _keeps_hyphen(text[:-1], line, words) + line
        else:
            text += line if not text or text.endswith(_TIGHT) or line.startswith("—") else f" {line}"
    return text


def _keeps_hyphen(before: str, after: str, words: Counter[str]) -> bool:
    """Between halves of which neither says more it stays where both are words of the document: self-governed."""
    head, tail = _TAIL.search(before.lower()), _WORD.match(after.lower())
    if head is None or tail is None or not after[0].islower():
        return True
    if head[0] + tail[0] in words:
        return False
    if "-" in head[0] or f"{head[0]}-{tail[0]}" in words:
        return True
    return len(head[0]) > 2 and words[head[0]] > 0 and words[tail[0]] > 0


def tidy(text: str) -> str:
    """Spaces as they should be, no leaders; A B S T R A C T is a word."""
    text = " ".join(_LEADERS.sub(" ", text.replace(HYPHEN, "-")).split())
    return text.replace(" ", "") if _SPACED.fullmatch(text) else text
