"""What HTML says about its tags, its entities and the words of its class names, as tables for `scan.py`.

Knows names; leaves to `scan.py` how a page is read with them. Tags that are not here (`span`, `b`) break no text and
hold none back: a page is the same without them.
"""

from collections.abc import Iterable
from html.entities import html5

import numpy as np

# What a tag is to the scan.
OTHER, P, HEADING, LI, CELL, TERM, CAPTION, PRE, QUOTE, ROW, TABLE, LIST, ARTICLE, MAIN, NAV, FOOTER, HEADER = range(17)
ASIDE, FORM, FIGURE, SECTION, BUTTON, TITLE, BODY = range(17, 24)
KINDS = 24  # of elements that break text; the others:
LINK, BREAK, IMAGE, SKIP, RAW, VOID, META = range(32, 39)

_TAGS = {
    P: "p", HEADING: "h1 h2 h3 h4 h5 h6 legend", LI: "li", CELL: "td th", TERM: "dt dd summary",
    CAPTION: "figcaption caption", PRE: "pre listing", QUOTE: "blockquote", ROW: "tr", TABLE: "table",
    LIST: "ul ol dl menu dir", ARTICLE: "article", MAIN: "main", NAV: "nav", FOOTER: "footer", HEADER: "header",
    ASIDE: "aside", FORM: "form", FIGURE: "figure", SECTION: "section", BUTTON: "button", TITLE: "title", BODY: "body",
    OTHER: "div fieldset details dialog address center hgroup thead tbody tfoot search html head",
    LINK: "a", BREAK: "br", IMAGE: "img image", VOID: "hr", META: "meta link",
    SKIP: "svg template select canvas datalist audio video map annotation annotation-xml foreignobject desc",
    RAW: "script style iframe noembed noframes xmp textarea",
}  # fmt: skip

# What it does to the elements that are open (HTML, "tree construction").
CLOSES_P = 1
STOPS = 2  # the search for an item that another one ends
SCOPE = 4  # what is open outside cannot be ended from inside, but by parts of a table; links have their own
NUMBERED = 8  # h1 to h6 end each other
ITEM = 16  # li, dt and dd end their like
GROUP = 32  # of rows
PART = 64  # of a table: nothing outside of one
HOLDS_ITEMS, HOLDS_P = 128, 256  # what is open outside it, an item's or a paragraph's end does not reach
_DOES = {
    CLOSES_P: "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p pre search section summary table ul dd dt "
    "xmp",
    STOPS: "article aside blockquote body button caption center dd details dir dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup html li listing main menu nav ol pre search section select summary table "
    "tbody td template tfoot th thead tr ul foreignobject",
    SCOPE: "caption html table td template th foreignobject desc",
    NUMBERED: "h1 h2 h3 h4 h5 h6",
    ITEM: "li dd dt",
    GROUP: "thead tbody tfoot",
    PART: "caption thead tbody tfoot tr td th",
    HOLDS_ITEMS: "ul ol",
    HOLDS_P: "button",
}  # fmt: skip

# Groups of words in class, id, role, itemprop and style: a bit each. A space stands for the end of a word.
WORDS = (
    ("comment", "disqus", " respond ", " replies", " reply"),
    ("sidebar", "side bar", " rail", " aside"),
    ("related", "recommend", " more ", "readmore", "read more", "mostread", "most read", "trending", "popular",
     "latest", "teaser", "outbrain", "taboola", "promo", "upnext", "up next"),
    ("share", "sharing", "social", "follow", "facebook", "twitter", "tweet", "addthis"),
    (" ad ", " ads ", "advert", "sponsor", "banner", " dfp", " gpt"),
    ("newsletter", "subscri", "signup", "sign up", "login", "paywall", "cookie", "consent", "gdpr", "popup", "modal",
     "overlay", "donat"),
    (" nav", "menu", "breadcrumb", "pagination", "pager ", " skip", "toolbar", " tab"),
    ("footer", "copyright", "legal", "disclaimer"),
    ("header", "masthead", "topbar", " logo"),
    ("byline", "author", " date", " time", " meta", " tag", "categor", "publish", "dateline", "credit"),
    ("caption", "figure", "photo", "image", "gallery", "carousel", "slide", "media ", "video"),
    ("widget", "module", " box", "block "),
    ("content", "body", "text", "entry", " post", "story", "article"),
    (" main ", "articlebody", "article body", "entry content", "post content", "story body", "body content",
     "article text", "article content", "articlecontent", "fulltext", "full text"),
    (" display none", " hidden ", "sr only", "visually hidden", "visuallyhidden", "screen reader", "noprint",
     "print only"),
    ("referenc", "citation", "biblio", "footnote", "endnote"),
    ("abstract", "summary", " lead", "intro", "standfirst", " deck", " dek ", "subhead", "subtitle"),
    (" title", "headline"),
    (" list", "archive", " feed", " card", " grid", "item "),
    (" bio", "about", "profile", "contributor"),
    ("rating", "vote", " poll", "quiz", "survey"),
    ("infobox", " toc", "navbox", "catlinks", "editsection", "mw edit"),
)  # fmt: skip
_LOOKED_AT = ("class", "id", "role", "itemprop", "style")
_SLOTS, _ENTITY_SLOTS = 512, 8192  # powers of two, a few times what they hold


def fnv(word: bytes) -> int:
    """Fowler, Noll and Vo's hash 1a, of 64 bits: what `scan.py` looks names up by."""
    value = 14695981039346656037
    for c in word:
        value = (value ^ c) * 1099511628211 & (1 << 64) - 1
    return value


def _slots(keys: Iterable[int], size: int) -> tuple[np.ndarray, np.ndarray]:
    """(size,) hashes, 0 where none is, and (size,) which of the keys; the next slot is taken where one is full."""
    held, which = np.zeros(size, np.uint64), np.full(size, -1, np.int16)
    for k, key in enumerate(keys):
        slot = key & size - 1
        while held[slot]:
            slot = (slot + 1) % size
        held[slot], which[slot] = key, k
    return held, which


def _tag_table() -> tuple[np.ndarray, ...]:
    names = list(NAMES)
    does = [sum(flag for flag, those in _DOES.items() if name in those.split()) for name in names]
    return (*_slots((fnv(n.encode()) for n in names), _SLOTS), np.array(list(NAMES.values()), np.int8), np.array(does))


def _automaton() -> tuple[np.ndarray, np.ndarray]:
    """Aho and Corasick's: (states, 256) next state and (states,) bits; bytes are made lower case, others spaces."""
    goto: list[dict[int, int]] = [{}]
    bits = [0]
    for bit, words in enumerate(WORDS):
        for word in words:
            state = 0
            for c in word.encode():
                if c not in goto[state]:
                    goto[state][c] = len(goto)
                    goto.append({})
                    bits.append(0)
                state = goto[state][c]
            bits[state] |= 1 << bit
    fail, queue = [0] * len(goto), list(goto[0].values())
    table = np.zeros((len(goto), 256), np.int16)
    for c, state in goto[0].items():
        table[0, c] = state
    for state in queue:
        bits[state] |= bits[fail[state]]
        table[state] = table[fail[state]]
        for c, after in goto[state].items():
            fail[after] = int(table[state, c])
            table[state, c] = after
            queue.append(after)
    fold = np.array([c if chr(c).isalnum() and c < 128 else 32 for c in range(256)])
    fold[65:91] += 32
    return np.ascontiguousarray(table[:, fold]), np.array(bits, np.uint32)


def _entities() -> tuple[np.ndarray, ...]:
    """Hashes of names (`amp;`, and `amp`, which needs no end), which they are, and what they spell: (names, 7) bytes.

    A row is how many bytes there are, and the bytes.
    """
    spelled = np.zeros((len(html5), 7), np.uint8)
    for row, characters in zip(spelled, html5.values(), strict=True):
        written = characters.encode()
        row[: len(written) + 1] = [len(written), *written]
    return (*_slots((fnv(name.encode()) for name in html5), _ENTITY_SLOTS), spelled)


def _windows() -> np.ndarray:
    """(32,) what the numbers 128 to 159 stand for."""
    return np.array([ord(bytes([c]).decode("cp1252", "ignore") or chr(c)) for c in range(128, 160)])


NAMES = {name: kind for kind, names in _TAGS.items() for name in names.split()}
WHICH = {name: which for which, name in enumerate(NAMES)}
TAG_TABLE = _tag_table()
ATTRIBUTES = np.array([fnv(name.encode()) for name in _LOOKED_AT], np.uint64)
AUTOMATON = _automaton()
ENTITIES = (*_entities(), _windows())
