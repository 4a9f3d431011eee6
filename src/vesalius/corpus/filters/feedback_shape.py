"""Rules of the human-feedback filter that look at a paragraph's form: breaks, length, capitals, digits, place.

The public rules (OmniCorpus, `human_feedback_textfiltering`) work on trafilatura's XML and only on its `p` and `lb`;
ours leave lists, tables, captions and formulas alone likewise. Their defects are named where they are not kept.
Leaves what a paragraph says to `feedback_phrases`, and what surrounds an article to `feedback_ends`.
"""

import re
import string

from vesalius.corpus.document import Heading
from vesalius.corpus.filters import HEADING, ITEM, KINDS, Drop, Page, Paragraph, ParagraphRule

_ENDS = ".!?:;)'\"”’…"


class Newlines(ParagraphRule):
    """Joins lines that were broken within a sentence (`newlines_discard`).

    A break stays one, and the lines become paragraphs, after a mark that ends a clause and at an empty line. The public
    code deletes the break without a space, so that two words become one.
    """

    kinds = KINDS
    _break = re.compile(r"[ \t]*\r?\n[ \t\r]*(\n\s*)?")

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        text = paragraph.text
        return self._break.sub(self._joint, text.strip()) if "\n" in text else None

    @staticmethod
    def _joint(found: re.Match[str]) -> str:
        last = found.string[: found.start()][-1:]
        if found.group(1) or last in _ENDS:
            return "\n"
        return "" if last == "-" else " "


class Underlines(ParagraphRule):
    """Splits a paragraph at runs of 15 or more underscores, which rule a line on a page (`underlines_split`).

    The public code puts three or more pieces in reverse order, and doubles a text with underscores on one side.
    """

    kinds = KINDS

    def __init__(self, least: int = 15):
        self._run = re.compile(f"_{{{least},}}")

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        return self._run.sub("\n", paragraph.text) if "___" in paragraph.text else None


class Video(ParagraphRule):
    """Takes out the mark "[Video]" that players leave (`video_field_discard`).

    The public code replaces it in the serialised XML and leaves two spaces.
    """

    kinds = KINDS
    _mark = re.compile(r"\s*\[video\]", re.IGNORECASE)

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        return self._mark.sub("", paragraph.text).strip() if "[" in paragraph.text else None


class Uppercase(ParagraphRule):
    """Drops paragraphs of which more than 0.8 of the letters are capitals (`uppercase_discard`).

    The public code divides by all marks and digits too, and spares what stands near an image by comparing a line number
    of the file with an index into pieces cut at "<": for a file on one line, all or nothing. Ours spares what is right
    beside an image, and sequences of bases or residues.
    """

    _sequence = re.compile(r"[ACGTUNRYKMSWBDHV]{12,}|[ACDEFGHIKLMNPQRSTVWY]{20,}")

    def __init__(self, share: float = 0.8):
        self.share = share

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        capitals, small = _count(paragraph.text, _CAPITALS), _count(paragraph.text, _SMALL)
        if capitals < 2 or capitals <= self.share * (capitals + small):
            return None
        spared = paragraph.beside_image or self._sequence.search(paragraph.text)
        return None if spared else Drop("mostly capitals")


_CAPITALS, _SMALL = string.ascii_uppercase.encode(), string.ascii_lowercase.encode()
_DIGITS, _SPACE = string.digits.encode(), string.whitespace.encode()


def _count(text: str, marks: bytes) -> int:
    """How many of these ASCII characters are in a text; ten times faster than asking each character."""
    data = text.encode(errors="replace")
    return len(data) - len(data.translate(None, marks))


class Numerical(ParagraphRule):
    """Drops paragraphs of which more than 0.8 of the characters are digits (`numerical_discard`), but for white space.

    The public code counts spaces as characters, so "12 34 56 78" is kept; spared near images as in `Uppercase`.
    """

    def __init__(self, share: float = 0.8):
        self.share = share

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        digits, text = _count(paragraph.text, _DIGITS), paragraph.text
        many = digits > self.share * (len(text) - _count(text, _SPACE))
        return Drop("mostly digits") if many and not paragraph.beside_image else None


class TooShort(ParagraphRule):
    """Drops paragraphs of at most four words (`one_word_discard`, `re_short_long_paragraphs`, `tooshort_discard`).

    Three public rules, of one, two and four words; the first spares what is near an image, which the others then
    drop. Ours spares what is right beside an image (it may be all the caption that there is) and lines that end in a
    colon and introduce what follows.
    """

    def __init__(self, most: int = 4):
        self.most = most

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        if len(paragraph.text) > 200 or len(paragraph.words) > self.most or paragraph.beside_image:
            return None
        if paragraph.text.endswith(":") and paragraph.next is not None and not isinstance(paragraph.next, Heading):
            return None
        return Drop(f"at most {self.most} words")


class AberrantItem(ParagraphRule):
    """Drops list items whose words are shorter than two letters on average, or that begin "Things to do".

    `aberrant_item_discard` has a threshold on word length that it never reads; what it does is the second half. A
    list of single letters is an index of a site.
    """

    kinds = frozenset((ITEM,))

    def __init__(self, least: float = 2.0, words: int = 3):
        self.least, self.words = least, words

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        if len(paragraph.text) > 400:
            return None
        if paragraph.lowered[2:].lstrip().startswith("things to do"):
            return Drop("things to do")
        words = [word for word in paragraph.words if any(map(str.isalnum, word))]
        if len(words) < self.words or any(map(str.isdigit, paragraph.text)):
            return None
        return Drop("single letters") if sum(map(len, words)) < self.least * len(words) else None


class Heads(ParagraphRule):
    """Drops headings without body: before a heading of the same or a higher level, and at the end (`heads_discard`).

    The first part of a document stays, for it is the title. The public code drops only before a heading of the very
    same level, so a subsection without body stays before the next section, and so does a last heading.
    """

    kinds = frozenset((HEADING,))

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        assert isinstance(paragraph.text, Heading)
        following = paragraph.next
        if paragraph.at == 0 or (following is not None and not isinstance(following, Heading)):
            return None
        without = following is None or following.level <= paragraph.text.level
        return Drop("heading without body") if without else None


_FINISHED = re.compile(r"[.!?:;…。！？](?:[\"'”’»)\]}*†‡]|\s*\[[\d,\s–-]+\]|\d{1,3}(?:[,–-]\d{1,3})*)*\s*$")
_SENTENCE = re.compile(r"[.!?…。！？][\"'”’»)\]]*(?:\s*\[[\d,\s–-]+\])?(?=\s)")
_ABBREVIATED = re.compile(
    r"\b(?:[A-Z]|e\.g|i\.e|cf|vs|al|ca|approx|figs?|eqs?|refs?|nos?|dr|prof|st|mrs?|spp?)\.$", re.IGNORECASE
)


class FullText(ParagraphRule):
    """At a document's two ends, takes out what is not a finished sentence (`fulltext_discard`).

    A first or last paragraph without any end of a sentence is dropped, then the next one; of the last paragraph what
    follows its last finished sentence is cut. Ours does so to prose of less than `most` words only: the public code
    drops a first paragraph of any length, knows no brackets or numbers of references after the full stop,
    and passes over a last paragraph whose element has no tail, which nearly all are.
    """

    def __init__(self, most: int = 30):
        self.most = most

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        first, last = (paragraph.at == edge for edge in paragraph.page.once(_edges))
        if not (first or last) or _FINISHED.search(paragraph.text):
            return None
        ends = [end.end() for end in _SENTENCE.finditer(paragraph.text) if not _abbreviated(paragraph.text, end)]
        if not ends:
            return Drop("no finished sentence at an end") if len(paragraph.words) < self.most else None
        left_over = paragraph.text[ends[-1] :]
        return paragraph.text[: ends[-1]] if last and len(left_over.split()) < self.most else None


def _edges(page: Page) -> tuple[int | None, int | None]:
    """Where the first paragraph that is no heading stands, and the last of any kind."""
    texts = [(at, part) for at, part in enumerate(page.parts) if isinstance(part, str)]
    first = next((at for at, part in texts if not isinstance(part, Heading)), None)
    return first, texts[-1][0] if texts else None


def _abbreviated(text: str, end: re.Match[str]) -> bool:
    at = end.start()
    return text[at] == "." and _ABBREVIATED.search(text[max(0, at - 10) : at + 1]) is not None
