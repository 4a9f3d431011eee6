"""The preliminary heuristics of Gopher, C4 and FineWeb for documents, with their published thresholds.

The numbers are datatrove's for the same words. Leaves counting to `statistics`; C4's paragraphs that go are a rule for
`filters.apply`, so that they can be looked at.
"""

import re
from collections.abc import Sequence

from vesalius.corpus.document import Document
from vesalius.corpus.filters import KINDS, Drop, Paragraph, ParagraphRule
from vesalius.corpus.filters.statistics import TERMINAL, Statistics, StatisticsFilter, duplicates, sentences
from vesalius.corpus.filters.words import FLAGGED, GOPHER_STOP_WORDS, POLICY


class GopherQuality(StatisticsFilter):
    """Quality rules of Gopher (Rae et al., arXiv 2112.11446, A1.1).

    Args:
        words: fewest and most; words of marks only do not count.
        lengths: of a word, mean of those same words.
        symbols: most hash signs, and most ellipses, a word.
        bullets: largest share of lines that begin with one.
        trailing: largest share of lines that end in an ellipsis.
        alphabetic: smallest share of words with a letter.
        stop_words: how many of the, be, to, of, and, that, have, with there must be.
    """

    def __init__(
        self,
        words: tuple[int, int] = (50, 100_000),
        lengths: tuple[float, float] = (3, 10),
        symbols: float = 0.1,
        bullets: float = 0.9,
        trailing: float = 0.3,
        alphabetic: float = 0.8,
        stop_words: int = 2,
    ):
        self.words, self.lengths, self.symbols, self.bullets = words, lengths, symbols, bullets
        self.trailing, self.alphabetic, self.stop_words = trailing, alphabetic, stop_words

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        s, total = statistics, len(statistics.words)
        count = total - sum(s.symbols.values())
        if not count or count < self.words[0]:
            return f"gopher: fewer than {self.words[0]} words"
        if count > self.words[1]:
            return f"gopher: more than {self.words[1]} words"
        mean = (s.letters - sum(len(word) * n for word, n in s.symbols.items())) / count
        if not self.lengths[0] <= mean <= self.lengths[1]:
            return "gopher: mean word length"
        if s.text.count("#") > self.symbols * total:
            return "gopher: hash signs"
        if s.ellipses > self.symbols * total:
            return "gopher: ellipses"
        if s.bulleted > self.bullets * len(s.lines):
            return "gopher: lines with bullets"
        if s.trailing > self.trailing * len(s.lines):
            return "gopher: lines ending in an ellipsis"
        if s.alphabetic < self.alphabetic * total:
            return "gopher: words without letters"
        stops = len(GOPHER_STOP_WORDS & s.counts.keys())
        return "gopher: stop words" if stops < self.stop_words else None


class GopherRepetition(StatisticsFilter):
    """Repetition rules of Gopher (Rae et al., arXiv 2112.11446, table A1).

    Args:
        lines: largest share of lines that were there before, and of their characters in the text.
        paragraphs: the same of paragraphs that empty lines separate.
        top: of the commonest run of so many words, the largest share of characters.
        repeated: of runs of so many words that were there before, the largest share of characters.
    """

    def __init__(
        self,
        lines: tuple[float, float] = (0.3, 0.2),
        paragraphs: tuple[float, float] = (0.3, 0.2),
        top: Sequence[tuple[int, float]] = ((2, 0.2), (3, 0.18), (4, 0.16)),
        repeated: Sequence[tuple[int, float]] = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.1)),
    ):
        self.lines, self.paragraphs, self.top, self.repeated = lines, paragraphs, tuple(top), tuple(repeated)

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        size = len(statistics.text)
        if not size:
            return "gopher: empty"
        for name, found, (most, most_characters) in (
            ("paragraphs", statistics.duplicate_paragraphs, self.paragraphs),
            ("lines", statistics.duplicate_lines, self.lines),
        ):
            again, characters, of = found
            if again > most * of or characters > most_characters * size:
                return f"gopher: repeated {name}"
        grams = statistics.grams
        for n, most in self.top:
            if grams.top(n) > most * size:
                return f"gopher: commonest {n} words"
        for n, most in self.repeated:
            if grams.repeated(n) > most * size:
                return f"gopher: repeated {n} words"
        return None


_CITATIONS = re.compile(r"\[\d*]|\[edit]|\[citation needed]")
_ENDS = (".", "?", "!", '"', "'")


def c4_line(line: str, fewest: int = 3, longest: int = 1000) -> str | None:
    """Why C4 drops a line; None keeps it."""
    words, line = line.split(), _bare(line)
    if not line.endswith(_ENDS) or line.endswith("..."):
        return "no end of a sentence"
    if len(line) > longest and max(map(len, words)) > longest:
        return f"a word of more than {longest} characters"
    if len(words) < fewest:
        return f"fewer than {fewest} words"
    lowered = line.lower()
    if "javascript" in lowered:
        return _SCRIPT
    return _TERMS if any(phrase in lowered for phrase in POLICY) else None


_SCRIPT, _TERMS = "javascript", "terms and cookies"


class C4Lines(ParagraphRule):
    """Lines that C4 drops (Raffel et al., arXiv 1910.10683, 2.2, and its code): no end of a sentence, few words,
    policies.

    Headings, captions and tables have no full stop and go too: made for running text alone, and no part of the recipe
    for papers. Wikipedia's marks "[3]" are left in the text.

    Args:
        fewest: words. longest: characters of a word.
    """

    kinds = KINDS

    def __init__(self, fewest: int = 3, longest: int = 1000):
        self.fewest, self.longest = fewest, longest

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See `ParagraphRule`."""
        why = c4_line(paragraph.text, self.fewest, self.longest)
        return Drop(f"c4: {why}") if why else None


class C4Quality(StatisticsFilter):
    """Documents that C4 drops: fewer than five sentences in the lines that it keeps, lorem ipsum, curly brackets.

    Args:
        sentences: fewest.
        curly: whether a curly bracket drops; formulas in TeX have them.
        fewest, longest: as in `C4Lines`.
    """

    def __init__(self, sentences: int = 5, curly: bool = True, fewest: int = 3, longest: int = 1000):
        self.sentences, self.curly, self.fewest, self.longest = sentences, curly, fewest, longest

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        count = 0
        for line in statistics.lines:
            why = c4_line(line, self.fewest, self.longest)
            if why not in (None, _SCRIPT, _TERMS):
                continue
            if "lorem ipsum" in line.lower():
                return "c4: lorem ipsum"
            if self.curly and why != _SCRIPT and "{" in line:
                return "c4: curly bracket"
            # Sentences are counted only until there are enough.
            count += sentences(_bare(line)) if why is None and count < self.sentences else 0
        return f"c4: fewer than {self.sentences} sentences" if count < self.sentences else None


def _bare(line: str) -> str:
    return _CITATIONS.sub("", line.strip()) if "[" in line else line.strip()


class C4Paragraphs(StatisticsFilter):
    """At least three lines of 200 characters (mC4, Xue et al., arXiv 2010.11934)."""

    def __init__(self, count: int = 3, length: int = 200):
        self.count, self.length = count, length

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        long = sum(len(line) >= self.length for line in statistics.filled)
        return f"c4: fewer than {self.count} long lines" if long < self.count else None


class C4BadWords(StatisticsFilter):
    """No bad word at all, as C4 has it; of our own list, since theirs has the words of anatomy and is fetched."""

    def __init__(self, words: frozenset[str] = FLAGGED):
        self.words = words

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        return None if self.words.isdisjoint(statistics.lowered) else "c4: bad word"


class FineWebQuality(StatisticsFilter):
    """FineWeb's own rules (Penedo et al., arXiv 2406.17557, 3.5), with the thresholds of its code.

    Args:
        ended: smallest share of lines that end a sentence.
        short: largest share of lines of at most `short_length` characters.
        repeated: largest share of characters in lines that were there before.
        newlines: most newlines a word.
    """

    def __init__(
        self,
        ended: float = 0.12,
        short: float = 0.67,
        short_length: int = 30,
        repeated: float = 0.01,
        newlines: float = 0.3,
    ):
        self.ended, self.short, self.short_length = ended, short, short_length
        self.repeated, self.newlines = repeated, newlines

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        lines, text = statistics.filled, statistics.text
        if not lines:
            return "fineweb: empty"
        if sum(line.endswith(TERMINAL) for line in lines) < self.ended * len(lines):
            return "fineweb: lines that end no sentence"
        if sum(len(line) <= self.short_length for line in lines) > self.short * len(lines):
            return "fineweb: short lines"
        breaks = text.count("\n")
        if duplicates(lines)[1] > self.repeated * (len(text) - breaks):
            return "fineweb: repeated lines"
        return "fineweb: newlines" if breaks > self.newlines * len(statistics.words) else None


PRELIMINARY: tuple[StatisticsFilter, ...] = (GopherQuality(), GopherRepetition(), FineWebQuality())
"""Of stage 2; C4's, which drop formulas and tables, only where a recipe names them. For `statistics.Together`."""
