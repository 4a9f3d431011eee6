"""What heuristics count in a document, each number once, and a filter that shares the numbers among several.

Words are what white space separates, lines what a newline ends. Leaves thresholds to `heuristics` and `feedback`.
"""

import re
import string
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import pairwise

from vesalius.corpus.document import Document, Heading

_CONTROLS = "".join(map(chr, (*range(9), *range(11, 32), *range(127, 160))))
TERMINAL = (
    ".", "?", "!", "։", "؝", "؞", "؟", "۔", "܀", "܁", "܂", "߹", "।", "॥", "၊", "။", "።", "፧", "፨", "᙮", "᠃", "᠉",
    "‼", "‽", "⁇", "⁈", "⁉", "⸮", "。", "﹒", "﹖", "﹗", "！", "．", "？", "｡",
)  # fmt: skip
"""Marks that end a sentence, in the scripts that are written today (Unicode's Sentence_Terminal)."""
MARKS = frozenset(
    string.punctuation + "—–…’“”„«»´━►∶《》「」【】（）〈〉、，：；％～１" + _CONTROLS + "".join(TERMINAL)
)
"""Those that datatrove takes for no part of a word; a word of nothing else is a symbol."""
_ALL_MARKS = "".join(sorted(MARKS))
_ELLIPSES = ("...", "…")
_SENTENCES = re.compile(r"[.!?]+[\"'”’)\]]*(?:\s+|$)")


class Statistics:
    """Numbers of a text; each is worked out when it is first asked for.

    Args:
        document: the text is its paragraphs, a line each.
        split: text to words; white space by default.
    """

    def __init__(self, document: Document, split: Callable[[str], list[str]] = str.split):
        self._document, self._split = document, split
        self.text = document.text

    @cached_property
    def words(self) -> list[str]:
        """In their order, with the marks on them."""
        return self._split(self.text)

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each word stands."""
        return Counter(self.words)

    @cached_property
    def lowered(self) -> Counter[str]:
        """How often each word stands, in small letters and without marks around it."""
        found: Counter[str] = Counter()
        for word, count in self.counts.items():
            found[word.strip(_ALL_MARKS).lower()] += count
        del found[""]
        return found

    @cached_property
    def letters(self) -> int:
        """Characters of all words."""
        return sum(map(len, self.words))

    @cached_property
    def alphabetic(self) -> int:
        """Words with a letter in them."""
        # isalpha is asked for whole words first: it is true of most, and one call.
        return sum(n for word, n in self.counts.items() if word.isalpha() or any(map(str.isalpha, word)))

    @cached_property
    def symbols(self) -> Counter[str]:
        """Words that are marks only."""
        return Counter({w: n for w, n in self.counts.items() if w[0] in MARKS and not w.strip(_ALL_MARKS)})

    @cached_property
    def ellipses(self) -> int:
        """Ellipses in the text."""
        return sum(map(self.text.count, _ELLIPSES))

    @cached_property
    def lines(self) -> list[str]:
        """At every mark that Unicode calls a line's end."""
        return self.text.splitlines()

    @cached_property
    def filled(self) -> list[str]:
        """Lines at newlines, but for those of white space."""
        return [line for line in self.text.split("\n") if line and not line.isspace()]

    @cached_property
    def bulleted(self) -> int:
        """Lines that begin with a bullet or a hyphen."""
        return sum(1 for line in self.lines if line.lstrip().startswith(("•", "-")))

    @cached_property
    def trailing(self) -> int:
        """Lines that end in an ellipsis."""
        return sum(1 for line in self.lines if line.rstrip().endswith(_ELLIPSES))

    @cached_property
    def body_sizes(self) -> list[int]:
        """Words of each paragraph that is no heading."""
        return [len(text.split()) for text in self._document.texts if not isinstance(text, Heading)]

    @cached_property
    def duplicate_lines(self) -> tuple[int, int, int]:
        """Lines that were there before, their characters, and all lines; empty lines do not count."""
        lines = re.split(r"\n+", self.text) if "\n\n" in self.text else self.text.split("\n")
        return (*duplicates(lines), len(lines))

    @cached_property
    def duplicate_paragraphs(self) -> tuple[int, int, int]:
        """The same of what empty lines separate, of which the text of our readers has none."""
        if "\n\n" not in self.text:
            return 0, 0, 1
        parts = re.split(r"\n{2,}", self.text.strip())
        return (*duplicates(parts), len(parts))

    @cached_property
    def grams(self) -> "Grams":
        """Runs of words that come again."""
        return Grams(self.words)


def duplicates(found: Sequence[str]) -> tuple[int, int]:
    """How many are there for the second time or more, and their characters."""
    counts = Counter(found)
    if len(counts) == len(found):
        return 0, 0
    again = [(text, count - 1) for text, count in counts.items() if count > 1]
    return sum(n for _, n in again), sum(n * len(text) for text, n in again)


def sentences(text: str) -> int:
    """How many sentences there are: ends of one before white space, and a rest."""
    ends = [found.end() for found in _SENTENCES.finditer(text)]
    return len(ends) + (bool(text.strip()) if not ends else ends[-1] < len(text.rstrip()))


class Grams:
    """Runs of n words that come again.

    A run that comes again holds two shorter ones that do, one word apart, so each length is sought only where the
    length below it was found; of most texts little is left beyond three words.
    """

    def __init__(self, words: list[str]):
        self._words = words
        # starts[n]: where runs of n words start whose type stands twice or more; all for 1.
        self._starts: list[Sequence[int]] = [(), range(len(words))]
        self._counts: list[Counter] = [Counter(), Counter()]

    def _again(self, n: int) -> Sequence[int]:
        while len(self._starts) <= n:
            size = len(self._starts)
            words, below = self._words, self._starts[-1]
            if size == 2:
                runs: list[tuple] = list(pairwise(words))
                at: Sequence[int] = range(len(runs))
            else:
                again = set(below)
                at = [start for start in below if start + 1 in again]
                runs = [tuple(words[start : start + size]) for start in at]
            counts = Counter(runs)
            self._starts.append([start for start, run in zip(at, runs, strict=True) if counts[run] > 1])
            self._counts.append(counts)
        return self._starts[n]

    def top(self, n: int) -> int:
        """Characters that the commonest run of n words takes up, spaces within it counted; of several the first."""
        if len(self._words) < n:
            return 0
        if not self._again(n):
            return len(" ".join(self._words[:n]))
        run, count = self._counts[n].most_common(1)[0]
        return len(" ".join(run)) * count

    def repeated(self, n: int) -> int:
        """Characters of runs of n words that came before, without overlaps, spaces not counted."""
        seen: set[tuple] = set()
        total, free = 0, 0
        for start in self._again(n):
            if start < free:
                continue
            run = tuple(self._words[start : start + n])
            if run in seen:
                total += sum(map(len, run))
                free = start + n
            else:
                seen.add(run)
        return total


class StatisticsFilter(ABC):
    """A document filter that looks at numbers only."""

    @abstractmethod
    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """The reason to drop the document, the same words for every such document; None keeps it."""

    def judge(self, document: Document) -> str | None:
        """See `DocumentFilter`; several filters of one document are faster in `Together`."""
        return self.weigh(document, Statistics(document))


class Together(StatisticsFilter):
    """Several filters as one, which share their counts; the first reason is given."""

    def __init__(self, filters: Iterable[StatisticsFilter]):
        self.filters = tuple(filters)

    def weigh(self, document: Document, statistics: Statistics) -> str | None:
        """See `StatisticsFilter`."""
        return next((why for each in self.filters if (why := each.weigh(document, statistics))), None)
