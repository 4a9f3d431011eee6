"""Where a name that was found stands again: "Mr. John Kowalski … Kowalski's wife".

Only names that a title, a label or the like made sure are spread, and of their words only those that are no words of
the language; what a thing is named after stays. Given names and initials before such a word go with it.
"""

import re
from collections.abc import Sequence

import regex

from vesalius.privacy.findings import Finding, Part
from vesalius.privacy.lexicon import THINGS, WORDS, given_names

SURE = 0.75
_WORD = regex.compile(r"(?<![\p{L}\p{N}])\p{Lu}[\p{L}\p{M}]{2,}(?:['’-]\p{L}{2,})*(?!\p{N})", regex.VERSION1)
_GIVEN_BEFORE = regex.compile(
    r"(?<![\p{L}\p{N}.’'-])(?:(?<given>\p{Lu}\p{Ll}+)(?:-\p{Lu}\p{Ll}+)?[ ]|\p{Lu}\.[ ]?)$", regex.VERSION1
)
_THING_BEHIND = regex.compile(rf"['’]s?[ ](?:{THINGS})\b|[ -](?i:{THINGS})\b|[-–]\p{{L}}", regex.VERSION1)


def again(
    texts: Sequence[str], found: Sequence[Sequence[Finding]], kept: Sequence[Sequence[Part]], least: float = SURE
) -> list[list[Finding]]:
    """Further findings in texts that belong together, beside those that are there.

    Args:
        texts: of one document.
        found: in each of them, so far.
        kept: characters of each that are published, see `published`.
        least: score of the names that are spread.
    """
    words = _words(texts, found, least)
    more: list[list[Finding]] = []
    for text, findings, parts in zip(texts, found, kept, strict=True):
        spans = [(one.start, one.end) for one in findings] + [(low, high) for low, high, _ in parts]
        matches = _WORD.finditer(text) if words else ()
        more.append(
            [
                Finding("name", _begin(text, match.start()), match.end(), 0.7, "again")
                for match in matches
                if match[0].lower() in words
                and not any(low < match.end() and match.start() < high for low, high in spans)
                and not _THING_BEHIND.match(text, match.end())
            ]
        )
    return more


def _begin(text: str, start: int) -> int:
    """Where the given names and initials before a surname begin, or the surname."""
    before = _GIVEN_BEFORE.search(text, max(0, start - 40), start)
    while before and (before["given"] is None or before["given"].lower() in given_names()):
        start = before.start()
        before = _GIVEN_BEFORE.search(text, max(0, start - 40), start)
    return start


def _words(texts: Sequence[str], found: Sequence[Sequence[Finding]], least: float) -> set[str]:
    """In small letters."""
    words = {
        word.lower()
        for text, findings in zip(texts, found, strict=True)
        for one in findings
        if one.kind == "name" and one.score >= least
        for word in _WORD.findall(text[one.start : one.end])
    } - WORDS
    return {word for word in words if not any(re.search(rf"(?<![\w'’-]){re.escape(word)}\b", text) for text in texts)}
