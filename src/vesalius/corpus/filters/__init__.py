"""What text filters are made of: paragraphs with their place, rules for them, filters for whole documents.

A paragraph rule keeps, drops or edits one paragraph; `apply` repeats a list of them until nothing changes and records
all that they took away. A document filter gives the reason to drop a document. Leaves to `feedback` and its neighbours
what each rule is about, to `heuristics` what is counted in a document, and to the stages what becomes
of it all.
"""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

from vesalius.corpus.document import Document, Heading, Image

Part = str | Image
Found = TypeVar("Found")

# What a paragraph is, told from its form. Readers write list items as "- …" and table rows as "a | b".
PROSE, HEADING, ITEM, ROW, CAPTION, FORMULA = "prose", "heading", "item", "row", "caption", "formula"
KINDS = frozenset((PROSE, HEADING, ITEM, ROW, CAPTION, FORMULA))

_CAPTION = re.compile(
    r"(?:(?:supplement\w*|supporting|extended data|additional|online|suppl?)\.?\s+)?"
    r"(?:fig(?:ure|s)?|tables?|schemes?|box|charts?|plates?|panels?|videos?|movies?|files?|data(?:set)?|appendix)\b"
    r"\.?\s*(?:[a-z]{0,2}\d|[ivx]+\b|[a-h]\b)|\([a-h](?:[-–,]\s?[a-h])*\)",
    re.IGNORECASE,
)
_TEX = re.compile(r"\\[a-zA-Z]{2,}|\$[^$]+\$")
_MATHS = re.compile(r"[=≤≥±≈∼×÷∑∫√∝∂∆→]|[<>]\s*[-−]?\.?\d")
_SEQUENCE = re.compile(r"[ACGTUN]{12,}")  # of bases; a primer is as good as a formula
_ADDRESS = re.compile(r"https?:|www\.")
_FORMULA_WORDS = 15  # more words than this are a sentence with a formula in it, unless it is TeX


class Page:
    """The parts of a document as they stand in one pass, and what rules found in the whole of them."""

    def __init__(self, parts: Sequence[Part]):
        self.parts = tuple(parts)
        self._found: dict[Callable, Any] = {}

    def once(self, finder: "Callable[[Page], Found]") -> Found:
        """What `finder` finds in this page, sought on the first call only."""
        if finder not in self._found:
            self._found[finder] = finder(self)
        return self._found[finder]

    def paragraphs(self) -> "Iterator[Paragraph]":
        """Each text with its place."""
        return (Paragraph(part, self, at) for at, part in enumerate(self.parts) if isinstance(part, str))


class Paragraph:
    """A paragraph and where it stands.

    Attributes:
        text: the words; a `Heading` where it is one.
        page: the parts around it.
        at: its index among them, images counted.
    """

    def __init__(self, text: str, page: Page, at: int):
        self.text, self.page, self.at = text, page, at

    @cached_property
    def words(self) -> list[str]:
        """Split at white space."""
        return self.text.split()

    @cached_property
    def lowered(self) -> str:
        """In small letters, without white space around it."""
        return self.text.strip().lower()

    @cached_property
    def tokens(self) -> list[str]:
        """Runs of letters and numbers, in small letters, without marks."""
        return re.findall(r"[^\W\d_]+|\d[\d.,]*", self.lowered)

    @cached_property
    def kind(self) -> str:
        """One of `KINDS`."""
        text = self.text
        if isinstance(text, Heading):
            return HEADING
        if text.startswith(("- ", "• ", "* ")):
            return ITEM
        if " | " in text or text.startswith("| "):
            return ROW
        if _CAPTION.match(text):
            return CAPTION
        few = len(text) < 400 and len(self.words) <= _FORMULA_WORDS
        if few and (_TEX.search(text) or _SEQUENCE.search(text)):
            return FORMULA
        return FORMULA if few and _MATHS.search(text) and not _ADDRESS.search(text) else PROSE

    @property
    def previous(self) -> Part | None:
        """The part before it."""
        return self.page.parts[self.at - 1] if self.at else None

    @property
    def next(self) -> Part | None:
        """The part after it."""
        return self.page.parts[self.at + 1] if self.at + 1 < len(self.page.parts) else None

    @property
    def beside_image(self) -> bool:
        """Whether an image stands right before or after it."""
        return isinstance(self.previous, Image) or isinstance(self.next, Image)

    @property
    def section(self) -> Heading | None:
        """The nearest heading above it."""
        return self.page.once(_sections)[self.at]

    @property
    def before(self) -> int:
        """How many paragraphs are above it."""
        return self.page.once(_texts_before)[self.at]

    @property
    def after(self) -> int:
        """How many paragraphs are below it."""
        return self.page.once(_texts_before)[-1] - self.before - 1


def _sections(page: Page) -> list[Heading | None]:
    found: list[Heading | None] = []
    heading = None
    for part in page.parts:
        found.append(heading)
        heading = part if isinstance(part, Heading) else heading
    return found


def _texts_before(page: Page) -> list[int]:
    """Of each part, and last of all the number of texts."""
    found = [0]
    for part in page.parts:
        found.append(found[-1] + isinstance(part, str))
    return found


@dataclass(frozen=True, slots=True)
class Drop:
    """A rule's verdict that a paragraph goes, and why, in a few words that are the same for every such paragraph."""

    why: str


class ParagraphRule(ABC):
    """Judges one paragraph; named after its class.

    Attributes:
        kinds: of paragraphs that it looks at; lists, tables, captions and formulas are left alone unless it says so.
    """

    kinds: frozenset[str] = frozenset((PROSE,))

    @abstractmethod
    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """None keeps; `Drop` drops; a text takes the paragraph's place, each line of it a paragraph of its own."""


class DocumentFilter(Protocol):
    """Judges a whole document."""

    def judge(self, document: Document) -> str | None:
        """The reason to drop it, the same words for every such document; None keeps it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule did to a paragraph.

    Attributes:
        rule: its class.
        why: in a few words; empty for edits.
        before: the paragraph.
        after: what took its place; None where it was dropped.
    """

    rule: str
    why: str
    before: str
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Filtered:
    """What `apply` made of a document.

    Attributes:
        document: what is left.
        changes: all that was dropped or edited, in the order in which it was.
        passes: over the document, the last of which changed nothing if `settled`.
        settled: False where the bound on passes was hit first.
    """

    document: Document
    changes: tuple[Change, ...]
    passes: int
    settled: bool

    @property
    def dropped(self) -> tuple[Change, ...]:
        """The paragraphs that are gone, an edit to nothing included."""
        return tuple(change for change in self.changes if not change.after)

    @property
    def counts(self) -> Counter[str]:
        """How many paragraphs each rule dropped or edited."""
        return Counter(change.rule for change in self.changes)


def apply(document: Document, rules: Iterable[ParagraphRule], most_passes: int = 20) -> Filtered:
    """Judges each paragraph by the rules in their order, again and again until nothing changes.

    Within a pass all paragraphs see the page as it was at the pass's start; an edited paragraph is judged again in the
    next. The published code makes three passes, whatever they leave to do.

    Args:
        document: images stay as they are.
        rules: the first that drops or edits a paragraph ends its pass.
        most_passes: after which it stops unsettled.
    """
    rules = tuple(rules)
    by_kind = {kind: tuple((type(rule).__name__, rule.judge) for rule in rules if kind in rule.kinds) for kind in KINDS}
    parts, changes = document.parts, []
    for passes in range(1, most_passes + 1):
        left, new = _pass(parts, by_kind)
        changes.extend(new)
        if not new:
            kept = document if parts == document.parts else replace(document, parts=parts)
            return Filtered(kept, tuple(changes), passes, True)
        parts = left
    return Filtered(replace(document, parts=parts), tuple(changes), most_passes, False)


def _pass(parts: tuple[Part, ...], by_kind: dict[str, tuple]) -> tuple[tuple[Part, ...], list[Change]]:
    page = Page(parts)
    left: list[Part] = []
    changes: list[Change] = []
    for at, part in enumerate(parts):
        if isinstance(part, Image):
            left.append(part)
            continue
        paragraph = Paragraph(part, page, at)
        for name, judge in by_kind[paragraph.kind]:
            verdict = judge(paragraph)
            if verdict is None:
                continue
            if isinstance(verdict, Drop):
                changes.append(Change(name, verdict.why, part))
                break
            lines = [line.strip() for line in verdict.split("\n") if line.strip()]
            if lines == [part]:
                continue
            changes.append(Change(name, "", part, "\n".join(lines)))
            left.extend(Heading(line, part.level) if isinstance(part, Heading) else line for line in lines)
            break
        else:
            left.append(part)
    return tuple(left), changes
