"""Rules of the human-feedback filter that look for what sites say around an article: links, counters, adverts.

Each public rule looks for a word anywhere in a paragraph of any length; in journal text nearly all of those words
have a meaning of their own. Ours want the phrase to be the whole of a short line, or its beginning or end where a
link stands. Leaves form to `feedback_shape`, and references, dates and names to `feedback_ends`.
"""

import re

from vesalius.corpus.filters import CAPTION, HEADING, ITEM, PROSE, ROW, Drop, Paragraph, ParagraphRule
from vesalius.corpus.filters.words import COUNTED, FLAGGED, FURNITURE, NAVIGATION, STEMS

_LINES = frozenset((PROSE, ITEM, ROW, HEADING))


def _short(paragraph: Paragraph, most: int) -> bool:
    return len(paragraph.text) < 20 * most and len(paragraph.words) <= most


class DownloadLinks(ParagraphRule):
    """Drops lines of up to 20 words that hand out a link: "For details on the …", "the link is …".

    `filter_download_links` says "less than 20" and drops paragraphs of any length. Ours wants the phrase to begin the
    line or a link to follow: "For details on the statistics see Methods" is journal text and stays.
    """

    _phrase = re.compile(
        r"\bthe (?:download )?link is\b|^for details on the\b.*(?:\b(?:click|visit|download)\b|https?:|www\.)"
    )

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        found = _short(paragraph, 20) and self._phrase.search(paragraph.lowered)
        return Drop("hands out a link") if found else None


class SocialMediaCounter(ParagraphRule):
    """Drops lines that are counts of likes, shares, comments (`social_media_counter_discard`).

    The public rule drops whatever ends in one of the words: "… the lion's share".
    """

    _count = re.compile(r"\d[\d.,]*")

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        if not _short(paragraph, 10):
            return None
        tokens = [token for token in paragraph.tokens if token not in ("k", "m", "and")]
        numbers = sum(1 for token in tokens if self._count.fullmatch(token))
        words = sum(1 for token in tokens if token in COUNTED)
        return Drop("counts of a social medium") if numbers and words and numbers + words == len(tokens) else None


class SocialMedia(ParagraphRule):
    """Drops lines that are buttons and lists of a social medium or a forum (`social_media_discard`).

    The public rule drops every paragraph that ends in "like", "share", "comments", "review" …, or has "more here" or
    "for more info" anywhere. Ours: the whole line, "most read" and the like up to six words, and "for more
    information" only where a link, a call or a visit follows within 15 words. Ours also knows invitations to follow
    somebody, to share and to get a letter, and cuts the first off a paragraph's end.
    """

    kinds = _LINES
    _line = re.compile(
        r"(?:please )?(?:likes?|liked|shares?|comments?|reviews?|reviews about|subscribes?|copyright|call us at|"
        r"email us at|more images|\d+ users online|users online|share (?:this|on|via|with)\b.{0,40}|tweet(?: this)?|"
        r"follow (?:us|me)\b.{0,40}|leave a reply|"
        r"tell us what you think.{0,20}|(?:like|follow|find|join) us on .{0,40})[\s:!.…»>]*"
    )
    _networks = r"(?:twitter|facebook|instagram|youtube|linkedin|tiktok|snapchat|pinterest|mastodon|bluesky|threads)\b"
    _invitation = re.compile(
        rf"\W*(?:please )?(?:(?:follow|like|find|join) .{{1,40}}\bon {_networks}.*|"
        r"(?:like|enjoy(?:ed)?|love) (?:this|the) (?:story|article|post|piece|video)\?.*|"
        r"(?:sign up|subscribe) (?:here )?(?:for|to) (?:our|the)\b.{0,40}\b(?:newsletters?|updates|alerts)\b.*)"
    )
    _follow = re.compile(
        rf"(?:(?<=[.!?…)”\"])\s+follow [^.!?]{{1,40}}\bon {_networks}[^.!?]*[.!?]?)+\s*$", re.IGNORECASE
    )
    _list = re.compile(
        r"\W*(?:top threads|most (?:read|viewed|shared|liked|popular)\b|trending(?: now)?\b|"
        r"(?:read|see|find) more here)"
    )
    _more = re.compile(
        r"(?:for|want) more (?:info|detail|information)\w*\b"
        r".*(?:\b(?:call|click|visit|contact|go to|e-?mail|log on)\b|https?:|www\.|@)"
    )

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        if paragraph.kind == PROSE and "follow" in paragraph.lowered[-160:]:
            end = self._follow.search(paragraph.text, max(0, len(paragraph.text) - 160))
            if end and end.start():
                return paragraph.text[: end.start()]
        if not _short(paragraph, 15):
            return None
        line, count = paragraph.lowered.lstrip("-•* "), len(paragraph.words)
        if count <= 8 and self._line.fullmatch(line) and paragraph.kind != HEADING:
            return Drop("button of a social medium")
        if paragraph.kind != HEADING and self._invitation.fullmatch(line):
            return Drop("invitation of a site")
        if (count <= 6 and self._list.match(line)) or self._more.match(line):
            return Drop("list or link of a site")
        return None


class Short(ParagraphRule):
    """Drops lines of up to ten words with "sign in", "sign up", "read more", "items in cart" (`short_discard`).

    The public rule drops "A positive Babinski sign in both feet", for it looks anywhere. Ours wants an invitation.
    """

    kinds = _LINES
    _start = re.compile(
        r"\W*(?:please )?(?:(?:sign|log)[ -]?(?:in|up|out)|register|create an account|my account|"
        r"forgot (?:your )?password|join now)"
        r"(?:\W*$|\s+(?:or|to|with|here|now|for|via|below|using|today|and)\b|\s*[/|,!»>])"
    )
    _anywhere = re.compile(
        r"\bitems? in (?:your )?(?:cart|basket)|\badd to (?:cart|basket)|\b(?:please|or|to) (?:sign|log)[ -](?:in|up)\b"
    )
    _end = re.compile(r"\b(?:read|see|view|show|load) more\W*$|\bread more\b.{0,40}»")

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        if not _short(paragraph, 10):
            return None
        line = paragraph.lowered
        found = self._start.match(line) or self._anywhere.search(line) or self._end.search(line)
        return Drop("sign in, cart or more") if found else None


class Adult(ParagraphRule):
    """Drops paragraphs of which two words and 0.02 are of adult sites (`porn_discard`).

    Publicly one such word in 50, of a list with words of anatomy and medicine, is enough; see `words.FLAGGED`.
    """

    kinds = frozenset((PROSE, ITEM, ROW, HEADING, CAPTION))

    def __init__(self, share: float = 0.02, least: int = 2):
        self.share, self.least = share, least

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        if not any(stem in paragraph.lowered for stem in STEMS):
            return None
        flagged = sum(token in FLAGGED for token in paragraph.tokens)
        return Drop("adult words") if flagged >= self.least and flagged >= self.share * len(paragraph.tokens) else None


class HeaderFooter(ParagraphRule):
    """Drops lines of headers and footers (`header_footer_discard`).

    The public rule drops a paragraph with "Services", "Subscribe", "Looking for", "YouTube" or "ID #" anywhere, and
    all of less than ten characters ("P < 0.05"); its patterns of addresses, telephone numbers and dates are tried
    only on what is already gone. Ours: lines all of whose parts are links of a site, lines of up to 25 words with a
    phrase that no article has, and lines that begin with a copyright mark.
    """

    kinds = frozenset((PROSE, ITEM, ROW))
    _parts = re.compile(r"\s*[|•·»/>\n]\s*|\s+-\s+")
    _copyright = re.compile(r"(?:copyright\s*)?©|\(c\) (?:19|20)\d\d|copyright (?:19|20)\d\d")

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        if not _short(paragraph, 25):
            return None
        line = paragraph.lowered.lstrip("-•* ")
        parts = [part for part in self._parts.split(line.rstrip(" .:…»>")) if part]
        if parts and NAVIGATION.issuperset(parts):
            return Drop("links of a site")
        if self._copyright.match(line) or any(phrase in line for phrase in FURNITURE):
            return Drop("header or footer")
        return None


class ReadMore(ParagraphRule):
    """Takes "Read more", "Continue reading", "Click here" off a paragraph's end, or drops a line of it
    (`readme_discard`).

    The public `Is_finished` compares small letters with "See More", "Show More" and twelve others in capitals, which
    never match; drops a whole paragraph for its last link; and drops any sentence with "learn more" that is a
    paragraph of its own. Ours cuts what stands alone after a finished sentence, and drops lines that begin with a link:
    up to ten words, or 25 after "Read more:".
    """

    kinds = frozenset((PROSE, ITEM))
    _link = (
        r"(?:read (?:more|next|on|full article|the (?:rest|full (?:article|story))|next section)|learn more|"
        r"see (?:more|this article|remaining)|show more|click (?:here(?: (?:to|for) [^.!?]{0,40})?|to view details)|"
        r"continue (?:reading|browsing|watching)|view full content|explore more|more words|expand)"
    )
    _end = re.compile(rf"(?:^|(?<=[.!?…:»)\"”’]))[\s\-–—»>]*{_link}[\s.…»>→]*$", re.IGNORECASE)
    _line = re.compile(rf"\W*{_link}(?:\W*$|[:»>]|\s+(?:about|at|from|on|here|in|for|to|by|»|>))", re.IGNORECASE)

    _label = re.compile(r"\W*(?:read|see|learn) (?:more|next|also)\s*[:»>]")

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        line = _short(paragraph, 10) and self._line.match(paragraph.text)
        if line or (_short(paragraph, 25) and self._label.match(paragraph.lowered)):
            return Drop("read more")
        found = self._end.search(paragraph.text, max(0, len(paragraph.text) - 80))
        return paragraph.text[: found.start()] if found else None


class Url(ParagraphRule):
    """Drops lines that are an address and up to three words more (`url_discard`).

    The public rule means to take every address out of every text, DOIs and "a.b.c" among them, but edits a copy of the
    tree and returns the original; only where a text has a "<", so that the copy cannot be made, does it what it says.
    In a paper "available at https://…" is content; ours leaves it.
    """

    kinds = frozenset((PROSE, ITEM))
    _address = re.compile(r"(?:(?:https?|ftp|file)://|www\.)\S+", re.IGNORECASE)

    def __init__(self, most: int = 3):
        self.most = most

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        text = paragraph.text
        if "www." not in text and "://" not in text:
            return None
        rest, found = self._address.subn(" ", text)
        words = re.findall(r"\w+", rest)
        return Drop("an address") if found and len(words) <= self.most else None


class ImageCaption(ParagraphRule):
    """Drops lines of less than eight words beside an image that credit or offer it (`image_caption_discard`).

    The public rule drops all with "image", "photo", "source", "load" in any word: "Figure 2. MR image of the knee",
    "resources". Ours wants a credit or a link, and never looks at what begins like a caption. Images without address,
    or whose address is a page, the public rule drops too; ours leaves images to their own stage.
    """

    _credit = re.compile(
        r"\W*(?:image|photo(?:graph)?|picture|source|credit)s?(?: (?:credit|source|by|courtesy|via|from))*\s*"
        r"(?::|by\b|©|courtesy\b|/)|\W*(?:image|photo|picture)s?\W*$|"
        r".*\b(?:getty|shutterstock|istock(?:photo)?|alamy|unsplash|pixabay|afp|reuters)\b|"
        r"\W*(?:download|loading|open in (?:a )?new tab|view (?:large|full)|click to (?:enlarge|view)|enlarge|zoom)\b"
    )

    def __init__(self, most: int = 7):
        self.most = most

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        if len(paragraph.text) > 120 or not paragraph.beside_image:
            return None
        few = len(re.findall(r"\w+", paragraph.text)) <= self.most
        return Drop("credit of an image") if few and self._credit.match(paragraph.lowered) else None


class Advertisement(ParagraphRule):
    """Drops "Advertisement", "Sponsored by …" and quiz links (`advertisement_discard`, half of
    `reference_sponsore_discard`).

    The public rule knows the one word exactly, and a site's name with four phrases, one of which has a capital and
    never matches small letters; and drops what mentions "sponsored", as trials' funding does. Ours: whole lines.
    """

    kinds = frozenset((PROSE, ITEM, HEADING))
    _line = re.compile(
        r"\W*(?:advertisements?|advertising|adverts?|sponsored(?: (?:content|post|links?))?|promoted(?: content)?|"
        r"paid (?:content|post)|(?:story|article) continues below(?: advertisement)?|scroll (?:down )?to continue|"
        r"keep scrolling for more|take the quiz|word of the day|test your (?:vocabulary|knowledge)|"
        r"skip (?:this )?ad(?:vertisement)?)\W*$|\W*sponsored by\b"
    )

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        return Drop("advertisement") if _short(paragraph, 7) and self._line.match(paragraph.lowered) else None


class Comments(ParagraphRule):
    """Drops readers' comments: "12 Comments", "Leave a reply" and what is under that heading (`comments_discard`).

    The public rule empties trafilatura's `comments` element, which our readers do not read. A heading "Comment" is
    left: in journals it is a section.
    """

    kinds = frozenset((PROSE, ITEM, ROW, HEADING))
    _heading = re.compile(
        r"(?:\d[\d,]* (?:reader )?(?:comments?|responses?|replies|thoughts on .*)|(?:comments?|responses?) \(\d+\)|"
        r"(?:leave|post|add|write) (?:a|your) (?:reply|comment|response)s?|join the (?:discussion|conversation)|"
        r"reader comments)\W*$"
    )

    def judge(self, paragraph: Paragraph) -> Drop | str | None:
        """See the class."""
        above = paragraph.text if paragraph.kind == HEADING else paragraph.section
        return Drop("readers' comments") if above is not None and self._heading.match(above.strip().lower()) else None
