"""Rules of the human-feedback filter for what surrounds an article: references, credits, dates, authors, contacts.

Leaves form to `feedback_shape` and the phrases of sites to `feedback_phrases`.
"""

import re

from vesalius.corpus.document import Heading
from vesalius.corpus.filters import HEADING, ITEM, KINDS, PROSE, Drop, Page, Paragraph, ParagraphRule

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATE = re.compile(
    rf"\b(?:{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}|\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH}\.?,?\s+\d{{4}}|"
    r"\d{4}[-/]\d{2}[-/]\d{2}|\d{1,2}[/.]\d{1,2}[/.](?:19|20)\d{2}|\d{1,2}/\d{1,2}/\d{2})\b",
    re.IGNORECASE,
)
_ZONE = r"(?:gmt|utc|[ecmp][sd]?t|bst|cest|ist)\b"
_TIME = re.compile(
    rf"\b(?:[01]?\d|2[0-3])[:.][0-5]\d(?::[0-5]\d)?\s*(?:[ap]\.?\s?m\b\.?|{_ZONE})|"
    r"\b(?:1[0-2]|0?[1-9])\s*[ap]\.?m\b\.?",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?\b")
_PHONE = re.compile(r"\(\d{3}\)\s?\d{3}[-.\s]\d{4}\b|(?<![\d.-])\d{3}-\d{3}-\d{4}\b(?![.-]?\d)")
_MAIL = re.compile(r"\b[\w.%+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b")
_HANDLE = re.compile(r"(?<![\w.])@\w*[A-Za-z_]\w{2,}")


class SourceReferences(ParagraphRule):
    """Drops lines that say where a text is from (`filter_source_references`).

    "Special thanks …", "All photo credits and copyright …", "Published by …", "Originally published on …" as the
    beginning of up to 15 words, and lines that are nothing but "(cf. …)" or "(Smith, 2012)". The public rule drops any
    paragraph that *ends* in such a citation, as many of a paper do, or that has "published by" anywhere; one of its
    branches is never reached.
    """

    _start = re.compile(
        r"special thanks\b(?! are due)|published\s+by\b|all\s*photos?\s*(?:credits?|copyright)|"
        r"(?:this (?:article|story|piece|post) (?:was |first )*)?originally (?:published|appeared)\b|"
        r"this (?:article|story|piece|post) (?:was |first |originally )*(?:published|appeared)\b"
    )
    _citation = re.compile(r"\((?:cf\.[^()]*|[\w\s&,.’'-]+,\s*\d{4}[a-z]?)\)\.?")

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        if len(paragraph.text) > 200 or len(paragraph.words) > 15:
            return None
        if self._start.match(paragraph.lowered):
            return Drop("says the source")
        return Drop("nothing but a citation") if self._citation.fullmatch(paragraph.text.strip()) else None


_ENTRY = re.compile(r"(?:- )?\[\d{1,3}\]\s+\S.*\.", re.DOTALL)
_BIBLIOGRAPHY = re.compile(
    r"(?:\d{1,2}\.?\s+|[ivx]+\.\s+)?(?:references?(?: cited| list| and notes)?|bibliography|literature(?: cited)?|"
    r"works cited|cited literature|notes and references)\s*:?(?:\s*\[\s*(?:edit\s*)?\])?"
)


class SquareBrackets(ParagraphRule):
    """Drops entries "[1] …" of a list of references at a document's end (`square_brackets_discard`).

    At least two in a row, the last within the last five paragraphs. The public rule then also drops a paragraph of
    the text that begins so, and takes " [7]" out of all texts: in "[18]F-FDG" it is an isotope. Ours leaves texts
    alone.
    """

    kinds = frozenset((PROSE, ITEM))

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        if not paragraph.text.startswith(("[", "- [")):
            return None
        return Drop("entry of references") if paragraph.at in paragraph.page.once(_entries) else None


def _entries(page: Page) -> range:
    """The last run of entries, if it is near the end."""
    paragraphs = [(at, part) for at, part in enumerate(page.parts) if isinstance(part, str)]
    places = [number for number, (_, part) in enumerate(paragraphs) if _ENTRY.match(part)]
    if not places or places[-1] < len(paragraphs) - 5:
        return range(0)
    first = len(places) - 1
    while first and places[first] - places[first - 1] <= 2:
        first -= 1
    return range(paragraphs[places[first]][0], paragraphs[places[-1]][0] + 1) if first < len(places) - 1 else range(0)


class References(ParagraphRule):
    """Drops a list of references: its heading, and what is under it (`reference_sponsore_discard`).

    Down to the next heading of the same or a higher level; where the heading is a plain line, which is believed only
    in the second half, down to any heading. The public rule drops all, to the end, from the first line of less than
    ten words with "reference" in the last quarter: "Reference standard" is a section of diagnostic papers, what
    follows the references may be legends and appendices, and long lists begin before the last quarter.
    """

    kinds = KINDS

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        return Drop("list of references") if paragraph.at in paragraph.page.once(_references) else None


def _references(page: Page) -> frozenset[int]:
    found: set[int] = set()
    level = None  # of the heading whose list we are in; 9 for a plain line
    for at, part in enumerate(page.parts):
        if not isinstance(part, str):
            continue
        head = part.level if isinstance(part, Heading) else None
        named = len(part) < 40 and _BIBLIOGRAPHY.fullmatch(part.strip().lower()) is not None
        if named and (head or at >= len(page.parts) / 2):
            level = head or 9
        elif head and level and head <= level:
            level = None
        if level:
            found.add(at)
    return frozenset(found)


class LastBracket(ParagraphRule):
    """Drops a last paragraph that is one bracket, "(This story has not been edited …)" (`last_bracket_parag_discard`).

    Up to 60 words. The public rule looks at the first and last character only: "(a) Before. (b) After (n = 5)".
    """

    _whole = re.compile(r"\((?:[^()]|\([^()]*\))*\)\.?")

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        text = paragraph.text.strip()
        if paragraph.after or not text.startswith("(") or len(paragraph.words) > 60:
            return None
        return Drop("last bracket") if self._whole.fullmatch(text) else None


class Contact(ParagraphRule):
    """Drops lines of addresses: e-mail, @name, telephone (`time_person_email_phonenum_url_discard`, `phonenum_…`).

    Less than ten words with any of them; up to 79 with a telephone number and a word of calling. Publicly any paragraph
    below 80 words goes for ten digits in groups. Web addresses are `Url`'s.
    """

    kinds = frozenset((PROSE, ITEM))
    _call = re.compile(r"\b(?:call|phone|telephone|tel|fax|toll[- ]free|contact|hotline|reach us|e-?mail|text)\b")

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        text = paragraph.text
        if len(text) > 800 or not ("@" in text or _PHONE.search(text)):
            return None
        count = len(paragraph.words)
        if count < 10 and (_MAIL.search(text) or _HANDLE.search(text) or _PHONE.search(text)):
            return Drop("contact")
        calls = count < 80 and _PHONE.search(text) and self._call.search(paragraph.lowered)
        return Drop("telephone") if calls else None


class Dateline(ParagraphRule):
    """Drops lines of less than ten words that are a date or a time and what belongs to it (the same public rules).

    "Last updated: 16/07/13 5:22pm", "Published on November 30, 2015". Wants a word of publishing, or no more than one
    word beside the date. The public patterns drop any line of 20 words with a date, and take for times "2.30 m"
    (metres; the a or p is optional) and "1:10" (a dilution), and for a date `\\d{2}-\\d{2}-\\d{2}`, which is in
    registry and telephone numbers.
    """

    kinds = frozenset((PROSE, ITEM))
    _cue = re.compile(
        r"\b(?:(?:first |originally |last |e-?)?(?:published|posted|updated|modified|edited|reviewed|received|"
        r"accepted|revised|created|printed|added|submitted|released|accessed|retrieved)|"
        r"date|prweb|prnewswire|business wire|reuters|ap|afp)\b",
        re.IGNORECASE,
    )
    _small = re.compile(
        r"\b(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?|on|at|the|this|"
        r"article|story|page|was|is|of|by|and|in|from|it|until|to|last|first|am|pm|noon|[ecmp][sd]?t|gmt|utc)\b",
        re.IGNORECASE,
    )

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        text = paragraph.text
        if len(text) > 120 or len(paragraph.words) >= 10 or not any(map(str.isdigit, text)):
            return None
        rest, dates = _DATE.subn(" ", text)
        rest, times = _TIME.subn(" ", rest)
        if not dates + times:
            return None
        rest = _CLOCK.sub(" ", rest) if dates else rest
        rest, cues = self._cue.subn(" ", rest)
        left = re.findall(r"\w+", self._small.sub(" ", rest))
        return Drop("date or time") if len(left) <= (4 if cues else 1 if dates else 0) else None


class Byline(ParagraphRule):
    """Drops lines and headings of less than ten words that name an author: "By Jane Doe, BBC News", "(Photo: J.
    Doe)".

    `phonenum_author_time_discard` drops whatever begins with "by": "By contrast, the controls did not." Ours wants
    names.
    """

    kinds = frozenset((PROSE, ITEM, HEADING))
    _name = r"[A-Z][\w.'’-]*"
    _by = re.compile(
        r"\W*(?:(?:[Ww]ritten|[Pp]osted|[Rr]eport(?:ed|ing)|[Ee]dit(?:ed|ing)|[Ss]tory|[Aa]rticle|[Ww]ords|[Tt]ext|"
        r"[Pp]hotos?(?:graphs?)?)\s+)?[Bb][Yy]:?\s+"
        rf"(?!(?i:{_MONTH}|monday|tuesday|wednesday|thursday|friday|saturday|sunday|day|week|month|year|contrast|"
        r"comparison|using|the|this|these)\b)"
        rf"{_name}(?:\s+(?:(?:de|van|der|den|von|la|le|al|bin|da|di|and|&)\s+)*{_name}){{0,5}}\s*(?:[,;|–—•(-][^.!?]*)?\W*"
    )
    _photo = re.compile(
        r"\W*\(?(?:photo|image|picture)s?(?:\s+(?:by|credit|courtesy))*\s*:.{0,40}|.*\((?:photo|image)s?:[^)]{0,40}\)\W*",
        re.IGNORECASE,
    )

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        text = paragraph.text
        if len(text) > 120 or len(paragraph.words) >= 10 or len(paragraph.words) < 2:
            return None
        if self._by.fullmatch(text) and not text.rstrip().endswith((".", "?")):
            return Drop("author")
        return Drop("author of a photograph") if self._photo.fullmatch(text.strip()) else None
