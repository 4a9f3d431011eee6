"""One pass over a page: bytes of well-formed HTML become blocks of text, the elements that hold them, and images.

What comes in was parsed and written out again by lexbor: every element is closed and entities are down to four, so that
nothing of HTML's repair is needed here. Knows tags, words of class names, and where text is broken into blocks; leaves
to `body.py` which blocks are the page's own.
"""

from typing import NamedTuple

import numpy as np

from vesalius.media.kernels import njit

# What a tag is to the scan.
OTHER, P, HEADING, LI, CELL, TERM, CAPTION, PRE, QUOTE, ROW, TABLE, LIST, ARTICLE, MAIN, NAV, FOOTER, HEADER = range(17)
ASIDE, FORM, FIGURE, SECTION, BUTTON, TITLE, BODY = range(17, 24)
KINDS = 24  # of elements that break text; the others:
INLINE, LINK, BREAK, IMAGE, SKIP, RAW, VOID = range(32, 39)

_TAGS = {
    P: "p", HEADING: "h1 h2 h3 h4 h5 h6 legend", LI: "li", CELL: "td th", TERM: "dt dd summary",
    CAPTION: "figcaption caption", PRE: "pre", QUOTE: "blockquote", ROW: "tr", TABLE: "table", LIST: "ul ol dl menu",
    ARTICLE: "article", MAIN: "main", NAV: "nav", FOOTER: "footer", HEADER: "header", ASIDE: "aside", FORM: "form",
    FIGURE: "figure", SECTION: "section", BUTTON: "button", TITLE: "title", BODY: "body",
    OTHER: "div fieldset details dialog address center hgroup thead tbody tfoot html head search",
    LINK: "a", BREAK: "br", IMAGE: "img", VOID: "area base col embed hr input link meta param source track wbr",
    SKIP: "svg template select canvas datalist audio video map annotation annotation-xml",
    RAW: "script style iframe noembed noframes xmp textarea",
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


class Blocks(NamedTuple):
    """Blocks of text, in order; `text[start:end]` is one, UTF-8, its white space collapsed.

    Attributes:
        text: (bytes,) uint8.
        start, end: (blocks,) of the text.
        element: (blocks,) that holds it, the innermost that breaks text.
        links: (blocks,) bytes of it inside links.
        level: (blocks,) 1 to 6 of headings, else 0.
    """

    text: np.ndarray
    start: np.ndarray
    end: np.ndarray
    element: np.ndarray
    links: np.ndarray
    level: np.ndarray


class Elements(NamedTuple):
    """Elements that break text, in order; the first is the document.

    Attributes:
        parent, kind: (elements,); the kinds are this module's.
        bits: (elements,) groups of `WORDS` that its attributes name.
        first, after: (elements,) blocks that it holds, from and before which.
    """

    parent: np.ndarray
    kind: np.ndarray
    bits: np.ndarray
    first: np.ndarray
    after: np.ndarray


class Images(NamedTuple):
    """Image tags in order: where each stands in the HTML, and before which block; `element` holds it."""

    start: np.ndarray
    end: np.ndarray
    block: np.ndarray
    element: np.ndarray


def scan(html: bytes) -> tuple[Blocks, Elements, Images]:
    """Scans a page that lexbor wrote."""
    found = _scan(np.frombuffer(html, np.uint8), *_TAG_TABLE, _ATTRIBUTES, *_AUTOMATON)
    return Blocks(*found[:6]), Elements(*found[6:11]), Images(*found[11:])


@njit(cache=True, nogil=True)
def _hash(html, at, end):
    value = np.uint64(14695981039346656037)
    for i in range(at, end):
        c = html[i]
        if 65 <= c <= 90:
            c += 32
        value = (value ^ np.uint64(c)) * np.uint64(1099511628211)
    return value


def _hashed(words: list[str]) -> np.ndarray:
    return np.array([_hash(np.frombuffer(w.encode(), np.uint8), 0, len(w)) for w in words], np.uint64)


def _tag_table() -> tuple[np.ndarray, np.ndarray]:
    pairs = [(name, kind) for kind, names in _TAGS.items() for name in names.split()]
    hashes = _hashed([name for name, _ in pairs])
    order = np.argsort(hashes)
    return hashes[order], np.array([kind for _, kind in pairs], np.int8)[order]


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


@njit(cache=True, nogil=True)
def _scan(html, tags, kinds, attributes, follow, bits):
    n = len(html)
    many = 2
    for i in range(n):
        many += html[i] == 60
    text = np.empty(n + many, np.uint8)
    b_start, b_end, b_element = np.empty(many, np.int32), np.empty(many, np.int32), np.empty(many, np.int32)
    b_links, b_level = np.empty(many, np.int32), np.zeros(many, np.int8)
    e_parent, e_kind, e_bits = np.empty(many, np.int32), np.empty(many, np.int8), np.zeros(many, np.uint32)
    e_first, e_after = np.empty(many, np.int32), np.empty(many, np.int32)
    i_start, i_end, i_block = np.empty(many, np.int32), np.empty(many, np.int32), np.empty(many, np.int32)
    i_element = np.empty(many, np.int32)
    stack, held = np.empty(many, np.int8), np.empty(many, np.int32)  # kinds of open elements; the block one within
    e_parent[0], e_kind[0], e_first[0], held[0], stack[0] = -1, OTHER, 0, 0, OTHER
    blocks, elements, images, depth = 0, 1, 0, 0
    start, t, links, level = 0, 0, 0, 0
    link, skip, pre, space = 0, 0, 0, 0  # a space that is due: 1, inside a link 2
    i = 0
    while i < n:
        c = html[i]
        if c != 60:  # text
            if skip:
                i += 1
                continue
            if c == 38:  # &amp; &lt; &gt; &nbsp;
                if html[i + 1] == 97:
                    c, i = np.uint8(38), i + 4
                elif html[i + 1] == 108:
                    c, i = np.uint8(60), i + 3
                elif html[i + 1] == 103:
                    c, i = np.uint8(62), i + 3
                else:
                    c, i = np.uint8(32), i + 5
            elif c == 194 and i + 1 < n and html[i + 1] == 160:
                c, i = np.uint8(32), i + 1
            i += 1
            if c <= 32:
                if pre and t > start and c != 13:
                    text[t] = 10 if c == 10 else 32
                    t += 1
                else:
                    space = 1 + (link > 0)
                continue
            if space and t > start and text[t - 1] != 10:
                text[t] = 32
                t += 1
                links += space == 2
            space = 0
            text[t] = c
            t += 1
            links += link > 0
            continue
        # a tag, a comment, or the end of what lexbor wrote
        if i + 1 < n and html[i + 1] == 33:
            if i + 3 < n and html[i + 2] == 45 and html[i + 3] == 45:
                i += 4
                while i < n and not (html[i] == 62 and html[i - 1] == 45 and html[i - 2] == 45):
                    i += 1
            else:
                while i < n and html[i] != 62:
                    i += 1
            i += 1
            continue
        closing = i + 1 < n and html[i + 1] == 47
        at = i + 1 + closing
        end = at
        while end < n and html[end] != 62 and html[end] != 32 and html[end] != 47:
            end += 1
        name = _hash(html, at, end)
        place = np.searchsorted(tags, name)
        kind = kinds[place] if place < len(tags) and tags[place] == name else INLINE
        own = np.uint32(0)
        j = end
        while j < n and html[j] != 62:  # attributes
            while j < n and (html[j] == 32 or html[j] == 47):
                j += 1
            begin = j
            while j < n and html[j] != 61 and html[j] != 62 and html[j] != 32:
                j += 1
            if j >= n or html[j] != 61:
                continue
            look = False
            if kind < KINDS:
                key = _hash(html, begin, j)
                for one in attributes:
                    look |= key == one
            j += 2  # ="
            state = follow[0, 32]
            while j < n and html[j] != 34:
                if look:
                    state = follow[state, html[j]]
                    own |= bits[state]
                j += 1
            if look:
                own |= bits[follow[state, 32]]
            j += 1
        if kind == BREAK:
            if not skip and t > start and text[t - 1] != 10:
                text[t] = 10
                t, space = t + 1, 0
        elif kind == IMAGE:
            if not skip:
                i_start[images], i_end[images], i_block[images] = i, j + 1, blocks + (t > start)
                i_element[images] = held[depth]
                images += 1
        elif kind == VOID:
            pass
        elif kind == RAW and not closing:
            j += 1
            while j < n and not (
                html[j] == 60
                and j + 1 < n
                and html[j + 1] == 47
                and _hash(html, j + 2, min(n, j + 2 + end - at)) == name
            ):
                j += 1
            while j < n and html[j] != 62:
                j += 1
        else:
            if kind < KINDS and not skip:
                while t > start and text[t - 1] <= 32:
                    t -= 1
                if t > start:
                    b_start[blocks], b_end[blocks], b_element[blocks] = start, t, held[depth]
                    b_links[blocks], b_level[blocks] = min(links, t - start), level
                    blocks += 1
                start, links, space = t, 0, 0
            if closing:
                if depth:
                    gone = stack[depth]
                    link -= gone == LINK
                    skip -= gone == SKIP
                    if gone < KINDS:
                        e_after[held[depth]] = blocks
                        pre -= gone == PRE
                        if gone == HEADING:
                            level = 0
                    depth -= 1
            else:
                above = held[depth]
                depth += 1
                stack[depth] = kind
                held[depth] = above
                link += kind == LINK
                skip += kind == SKIP
                if kind < KINDS:
                    e_parent[elements], e_kind[elements], e_bits[elements] = above, kind, own
                    e_first[elements] = blocks
                    held[depth] = elements
                    elements += 1
                    pre += kind == PRE
                    if kind == HEADING:
                        level = html[at + 1] - 48 if end - at == 2 else 6
        i = j + 1
    if t > start:
        b_start[blocks], b_end[blocks], b_element[blocks], b_links[blocks] = (
            start,
            t,
            held[depth],
            min(links, t - start),
        )
        blocks += 1
    while depth >= 0:
        if stack[depth] < KINDS:
            e_after[held[depth]] = blocks
        depth -= 1
    b = slice(0, blocks)
    e = slice(0, elements)
    m = slice(0, images)
    return (
        text[:t], b_start[b], b_end[b], b_element[b], b_links[b], b_level[b],
        e_parent[e], e_kind[e], e_bits[e], e_first[e], e_after[e],
        i_start[m], i_end[m], i_block[m], i_element[m],
    )  # fmt: skip


_TAG_TABLE = _tag_table()
_ATTRIBUTES = _hashed(list(_LOOKED_AT))
_AUTOMATON = _automaton()
