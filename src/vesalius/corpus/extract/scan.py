"""One pass over a page: bytes of HTML become blocks of text, the elements that hold them, and images.

Elements open and close as HTML's rules for "tree construction" have it, as far as blocks of text can tell: what a tag
ends without its end tag, what a table adds, what an end tag reaches; text that stands astray in a table stays where it
is, though. Beside lexbor, which builds the whole tree, it takes a quarter of the time and finds the same blocks
(`side_by_side/extraction_blocks.py`). Leaves to `tags.py` what tags are, to `body.py` which blocks are the page's own.
"""

from typing import NamedTuple

import numpy as np

from vesalius.corpus.extract import tags as g
from vesalius.media.kernels import njit

_DEPTH = 512  # elements open at once; one that is deeper takes the place of its parent, as in browsers
_XHTML, _BEGINNING = b"http://www.w3.org/1999/xhtml", 2000  # bytes at a page's start in which it is named


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
        parent, kind: (elements,); the kinds are those of `tags.py`.
        bits: (elements,) groups of `tags.WORDS` that its attributes name.
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


class Notes(NamedTuple):
    """Where tags stand that may say something about the page: `meta`, `link`, and links that have a `rel`."""

    start: np.ndarray
    end: np.ndarray


class Scan(NamedTuple):
    """What a page has."""

    blocks: Blocks
    elements: Elements
    images: Images
    notes: Notes


# Where the state keeps what; the first five are how many were found, of text bytes.
_STATES = 19
BLOCKS, ELEMENTS, IMAGES, NOTES, T, START, DEPTH, LINKS, LEVEL, LINK, BASE, SKIP, PRE, SPACE, STAGE, BODY = range(16)
FOREIGN, FORM, OPEN_P = 16, 17, 18
# The stack of open elements has a row each: its tag, what that is and does, the nearest that breaks text, whether its
# end tag came before those inside it, links around it, and around what holds those.
WHICH, KIND, DOES, HELD, GHOST, OUTSIDE, BENEATH = range(7)
_W = g.WHICH
BR, P, LI, TITLE, H1, SVG, TEMPLATE = (_W[name] for name in "br p li title h1 svg template".split())
HTML, HEAD, BODY_TAG, TABLE, TBODY, TR = (_W[name] for name in "html head body table tbody tr".split())
_P_DOES, _TBODY_DOES, _TR_DOES, _BODY_DOES = (int(g.TAG_TABLE[3][which]) for which in (P, TBODY, TR, BODY_TAG))


def scan(html: bytes) -> Scan:
    """Scans a page, in UTF-8; bytes that are none pass into its text as they are."""
    many = html.count(b"<") + 4
    text = np.empty(len(html) + len(html) // 5 + 8, np.uint8)  # `&nLt;` becomes six bytes
    blocks, images, notes = (np.empty((rows, many), np.int32) for rows in (5, 4, 2))
    elements = np.empty((5, 3 * many), np.int32)  # a cell may need two above it
    xhtml = _XHTML in html[:_BEGINNING]
    given = (np.frombuffer(html, np.uint8), xhtml, *g.TAG_TABLE, g.ATTRIBUTES, *g.AUTOMATON, *g.ENTITIES)
    b, e, i, n, size = _scan(*given, text, blocks, elements, images, notes)
    return Scan(
        Blocks(text[:size], *blocks[:, :b]),
        Elements(*elements[:, :e]),
        Images(*images[:, :i]),
        Notes(*notes[:, :n]),
    )


@njit(cache=True, nogil=True)
def _scan(
    html, xhtml, keys, rows, kinds, does, names, follow, bits, e_keys, e_rows, spellings, windows,
    text, blocks, elements, images, notes,
):  # fmt: skip
    n = len(html)
    s, stack = np.zeros(_STATES, np.int64), np.zeros((_DEPTH, 7), np.int32)
    spelled = np.zeros(7, np.uint8)
    elements[0, 0], elements[1, 0], elements[2, 0], elements[3, 0], s[ELEMENTS] = -1, g.OTHER, 0, 0, 1
    _push(HTML, g.OTHER, does[HTML], 0, s, stack, text, blocks, elements)
    _push(HEAD, g.OTHER, does[HEAD], 0, s, stack, text, blocks, elements)
    i = 3 if n > 2 and html[0] == 239 and html[1] == 187 and html[2] == 191 else 0  # a byte order mark
    while i < n:
        if not _is_tag(html, i, n):
            if s[SKIP]:
                i += 1
                while i < n and html[i] != 60:
                    i += 1
                continue
            if s[STAGE] < 2:
                while i < n and html[i] <= 32:
                    i += 1
                if i == n or _is_tag(html, i, n):
                    continue
                _begin_body(s, stack, text, blocks, elements)
            i = _text(html, i, n, False, text, s, e_keys, e_rows, spellings, windows, spelled)
            continue
        closing = html[i + 1] == 47
        at = i + 1 + closing
        if not _letter(html[at]):
            i = _comment_end(html, i, n)
            continue
        end = at
        while end < n and html[end] > 32 and html[end] != 62 and html[end] != 47:
            end += 1
        which = _found(_hash(html, at, end), keys, rows)
        kind, doing = (kinds[which], does[which]) if which >= 0 else (np.int64(-1), np.int64(0))
        j, own, related, slash = _attributes(html, end, n, 0 <= kind < g.KINDS, names, follow, bits)
        if j >= n:
            break
        if kind < 0:
            pass
        elif which == BR:
            t = s[T]
            if not s[SKIP] and t > s[START] and text[t - 1] != 10:
                text[t] = 10
                s[T], s[SPACE] = t + 1, 0
        elif closing:
            _end(which, kind, doing, s, stack, text, blocks, elements)
        elif kind == g.IMAGE:
            if not s[SKIP]:
                _begin_body(s, stack, text, blocks, elements)
                m = s[IMAGES]
                images[0, m], images[1, m], images[2, m] = i, j + 1, s[BLOCKS] + (s[T] > s[START])
                images[3, m] = stack[s[DEPTH], HELD]
                s[IMAGES] += 1
        elif kind == g.RAW or (kind == g.TITLE and not s[FOREIGN]):
            if not (slash and (xhtml or s[FOREIGN])):
                after = _raw_end(html, j + 1, n, at, end)
                if kind == g.TITLE:
                    _push(which, kind, doing, own, s, stack, text, blocks, elements)
                    if not s[SKIP]:
                        _text(html, j + 1, after, True, text, s, e_keys, e_rows, spellings, windows, spelled)
                    _pop(s, stack, text, blocks, elements)
                j = after
                while j < n and html[j] != 62:
                    j += 1
        else:
            if not s[SKIP] and (kind == g.META or (kind == g.LINK and related)):
                notes[0, s[NOTES]], notes[1, s[NOTES]] = i, j + 1
                s[NOTES] += 1
            if not (slash and (kind == g.SKIP or (xhtml and (kind == g.LINK or kind == g.BUTTON)))):
                _begin(which, kind, doing, own, s, stack, text, blocks, elements)
        i = j + 1
    while s[DEPTH]:
        _pop(s, stack, text, blocks, elements)
    elements[4, 0] = s[BLOCKS]
    return s[BLOCKS], s[ELEMENTS], s[IMAGES], s[NOTES], s[T]


@njit(cache=True, nogil=True)
def _letter(c):
    return 97 <= c | 32 <= 122


@njit(cache=True, nogil=True)
def _is_tag(html, i, n):
    """Whether markup begins here, and not text."""
    if html[i] != 60 or i + 1 >= n:
        return False
    c = html[i + 1]
    return _letter(c) or c == 33 or c == 63 or (c == 47 and i + 2 < n)


@njit(cache=True, nogil=True)
def _comment_end(html, i, n):
    """After a comment, or what is taken for one."""
    if i + 3 < n and html[i + 1] == 33 and html[i + 2] == 45 and html[i + 3] == 45:
        j = i + 4
        while j < n:
            if html[j] == 62:
                if html[j - 1] == 45 and html[j - 2] == 45:
                    break
                if html[j - 1] == 33 and j > i + 6 and html[j - 2] == 45 and html[j - 3] == 45:
                    break
            j += 1
        return j + 1
    while i < n and html[i] != 62:
        i += 1
    return i + 1


@njit(cache=True, nogil=True)
def _hash(html, at, end):
    """`tags.fnv` of a name, in lower case."""
    value = np.uint64(14695981039346656037)
    for i in range(at, end):
        c = html[i]
        if 65 <= c <= 90:
            c += 32
        value = (value ^ np.uint64(c)) * np.uint64(1099511628211)
    return value


@njit(cache=True, nogil=True)
def _found(value, keys, which):
    """Which a hash is; -1 where it is none."""
    last = np.uint64(len(keys) - 1)
    slot = value & last
    while keys[slot]:
        if keys[slot] == value:
            return np.int64(which[slot])
        slot = (slot + np.uint64(1)) & last
    return np.int64(-1)


@njit(cache=True, nogil=True)
def _attributes(html, j, n, look, names, follow, bits):
    """Where a tag ends, groups of words that its attributes name, whether it has a `rel`, and closes itself."""
    own, related, slash, seen = np.uint32(0), False, False, 0
    while j < n and html[j] != 62:
        if html[j] <= 32 or html[j] == 47:
            slash = html[j] == 47
            j += 1
            continue
        slash = False
        begin = j
        j += 1
        while j < n and html[j] > 32 and html[j] != 61 and html[j] != 62 and html[j] != 47:
            j += 1
        end = j
        wanted = False
        if look:
            key = _hash(html, begin, end)
            for k in range(len(names)):
                if key == names[k] and not seen >> k & 1:  # of two, the first counts
                    wanted = True
                    seen |= 1 << k
        while j < n and html[j] <= 32:
            j += 1
        if j >= n or html[j] != 61:
            continue
        j += 1
        while j < n and html[j] <= 32:
            j += 1
        if j >= n:
            break
        first, quote = j, html[j]
        if quote == 34 or quote == 39:
            first = j = j + 1
            while j < n and html[j] != quote:
                j += 1
            last = j
            j += 1
        else:
            while j < n and html[j] > 32 and html[j] != 62:
                j += 1
            last = j
        if wanted:
            state = follow[0, 32]
            for k in range(first, last):
                state = follow[state, html[k]]
                own |= bits[state]
            own |= bits[follow[state, 32]]
        elif not look and end - begin == 3:
            related |= html[begin] | 32 == 114 and html[begin + 1] | 32 == 101 and html[begin + 2] | 32 == 108
    return j, own, related, slash


@njit(cache=True, nogil=True)
def _raw_end(html, i, n, at, end):
    """Where the end tag of an element begins that holds no others; a script's may stand in a script within it."""
    size, name = end - at, _hash(html, at, end)
    script = size == 6  # no other of these is as long
    inside = 0  # 1 in a comment of a script, 2 in a script of the comment
    while True:
        if inside:
            while i < n and html[i] != 60 and html[i] != 62:
                i += 1
        else:
            while i < n and html[i] != 60:
                i += 1
        if i + 1 >= n:
            return n
        if html[i] == 62:
            if html[i - 1] == 45 and html[i - 2] == 45:
                inside = 0
        elif html[i + 1] == 47 or (inside and _letter(html[i + 1])):
            closes = html[i + 1] == 47
            after = i + 1 + closes + size
            if after <= n and (after == n or html[after] <= 32 or html[after] == 62 or html[after] == 47):
                if _hash(html, after - size, after) == name:
                    if closes and inside < 2:
                        return i
                    inside = 1 if closes else 2
        elif script and not inside and i + 3 < n and html[i + 1] == 33 and html[i + 2] == 45 and html[i + 3] == 45:
            inside = 1
            i += 3
        i += 1


@njit(cache=True, nogil=True)
def _text(html, i, n, literal, text, s, keys, rows, spellings, windows, spelled):
    """Takes text up to the next tag into the block, its white space collapsed; `literal` has no tags."""
    t, start, space, pre, links = s[T], s[START], s[SPACE], s[PRE], s[LINKS]
    inside = s[LINK] > 0
    while i < n:
        c, more = html[i], 0
        i += 1
        if c == 60:
            if not literal and _is_tag(html, i - 1, n):
                i -= 1
                break
        elif c == 38:
            spelled[0], spelled[1] = 1, 38
            i = _entity(html, i - 1, n, keys, rows, spellings, windows, spelled)
            c, more = spelled[1], np.int64(spelled[0]) - 1
            if more == 1 and c == 194 and spelled[2] == 160:
                c, more = np.uint8(32), 0
        elif c == 194 and i < n and html[i] == 160:
            c = np.uint8(32)
            i += 1
        if c <= 32:
            if pre and t > start:
                if c != 13 or i == n or html[i] != 10:  # CR LF is one
                    text[t] = 10 if c == 10 or c == 13 else 32
                    t += 1
            elif c:
                space = 1 + inside
            continue
        if space:
            if t > start and text[t - 1] != 10:
                text[t] = 32
                t += 1
                links += space == 2
            space = 0
        before = t
        text[t] = c
        t += 1
        for k in range(more):
            text[t] = spelled[2 + k]
            t += 1
        while i < n and html[i] > 32 and html[i] != 60 and html[i] != 38 and html[i] != 194:
            text[t] = html[i]
            t += 1
            i += 1
        if inside:
            links += t - before
    s[T], s[SPACE], s[LINKS] = t, space, links
    return i


@njit(cache=True, nogil=True)
def _entity(html, i, n, keys, rows, spellings, windows, spelled):
    """Spells the entity that may stand here: how many bytes, and the bytes; what follows it."""
    j = i + 1
    if j < n and html[j] == 35:
        base = 16 if j + 1 < n and html[j + 1] | 32 == 120 else 10
        j += 1 + (base == 16)
        first, value = j, 0
        while j < n:
            c = np.int64(html[j])
            if 48 <= c <= 57:
                digit = c - 48
            elif base == 16 and 97 <= c | 32 <= 102:
                digit = (c | 32) - 87
            else:
                break
            value = min(value * base + digit, 0x110000)
            j += 1
        if j == first:
            return i + 1
        if 128 <= value < 160:
            value = windows[value - 128]
        _spell(value, spelled)
        return j + (j < n and html[j] == 59)
    value, best, after = np.uint64(14695981039346656037), -1, i + 1
    while j < n and j - i <= 32 and (_letter(html[j]) or 48 <= html[j] <= 57 or html[j] == 59):
        value = (value ^ np.uint64(html[j])) * np.uint64(1099511628211)
        if j - i <= 6 or html[j] == 59:  # none is longer that does without its end
            row = _found(value, keys, rows)
            if row >= 0:
                best, after = row, j + 1
        if html[j] == 59:
            break
        j += 1
    if best >= 0:
        spelled[:] = spellings[best]
    return after


@njit(cache=True, nogil=True)
def _spell(value, spelled):
    """A character in UTF-8."""
    if value == 0 or value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
        value = 0xFFFD
    if value < 0x80:
        spelled[0], spelled[1] = 1, value
        return
    size = 2 + (value >= 0x800) + (value >= 0x10000)
    spelled[0] = size
    for k in range(size, 1, -1):
        spelled[k] = 0x80 | (value & 0x3F)
        value >>= 6
    spelled[1] = (0xF00 >> size & 0xFF) | value


@njit(cache=True, nogil=True)
def _flush(s, stack, text, blocks):
    """Ends the block of text."""
    start, t = s[START], s[T]
    while t > start and text[t - 1] <= 32:
        t -= 1
    if t > start:
        b = s[BLOCKS]
        blocks[0, b], blocks[1, b], blocks[2, b] = start, t, stack[s[DEPTH], HELD]
        blocks[3, b], blocks[4, b] = min(s[LINKS], t - start), s[LEVEL]
        s[BLOCKS] = b + 1
    s[START] = s[T] = t
    s[LINKS] = s[SPACE] = 0


@njit(cache=True, nogil=True)
def _push(which, kind, doing, own, s, stack, text, blocks, elements):
    if s[DEPTH] + 1 == len(stack):
        _pop(s, stack, text, blocks, elements)
    held = above = stack[s[DEPTH], HELD]
    if kind < g.KINDS:
        if not s[SKIP]:
            _flush(s, stack, text, blocks)
        held = s[ELEMENTS]
        elements[0, held], elements[1, held], elements[2, held], elements[3, held] = above, kind, own, s[BLOCKS]
        s[ELEMENTS] += 1
        s[PRE] += kind == g.PRE
        if kind == g.HEADING:
            s[LEVEL] = min(which - H1 + 1, 6)
    s[DEPTH] += 1
    d = s[DEPTH]
    stack[d, WHICH], stack[d, KIND], stack[d, DOES], stack[d, HELD], stack[d, GHOST] = which, kind, doing, held, 0
    if doing & g.SCOPE:
        stack[d, OUTSIDE], stack[d, BENEATH] = s[LINK], s[BASE]
        s[BASE] = s[LINK]
    s[SKIP] += kind == g.SKIP
    s[FOREIGN] += which == SVG
    s[OPEN_P] += which == P


@njit(cache=True, nogil=True)
def _pop(s, stack, text, blocks, elements):
    """Ends the innermost element, and those around it whose end tag came before its."""
    while True:
        d = s[DEPTH]
        kind = stack[d, KIND]
        if kind < g.KINDS:
            if not s[SKIP]:
                _flush(s, stack, text, blocks)
            elements[4, stack[d, HELD]] = s[BLOCKS]
            s[PRE] -= kind == g.PRE
            if kind == g.HEADING:
                s[LEVEL] = 0
        if stack[d, DOES] & g.SCOPE:
            s[LINK], s[BASE] = stack[d, OUTSIDE], stack[d, BENEATH]
        s[SKIP] -= kind == g.SKIP
        s[FOREIGN] -= stack[d, WHICH] == SVG
        s[OPEN_P] -= stack[d, WHICH] == P
        s[DEPTH] = d - 1
        if not stack[d - 1, GHOST]:
            return


@njit(cache=True, nogil=True)
def _pop_to(depth, s, stack, text, blocks, elements):
    while s[DEPTH] >= depth:
        _pop(s, stack, text, blocks, elements)


@njit(cache=True, nogil=True)
def _nearest(which, like, barrier, last, s, stack):
    """How deep the innermost open element is of a tag, or that does what it does; not found behind a barrier, nor 0."""
    for depth in range(s[DEPTH], 0, -1):
        if not stack[depth, GHOST]:
            if stack[depth, WHICH] == which or stack[depth, DOES] & like:
                return depth
            if stack[depth, WHICH] == last or stack[depth, DOES] & barrier:
                return 0
    return 0


@njit(cache=True, nogil=True)
def _begin_body(s, stack, text, blocks, elements):
    if s[STAGE] < 2:
        if s[STAGE] == 0:
            _pop_to(2, s, stack, text, blocks, elements)
        s[STAGE], s[BODY] = 2, s[ELEMENTS]
        _push(BODY_TAG, g.BODY, _BODY_DOES, 0, s, stack, text, blocks, elements)


@njit(cache=True, nogil=True)
def _begin(which, kind, doing, own, s, stack, text, blocks, elements):
    """An element begins, and what it ends ends."""
    if kind == g.META:
        return
    if which == HTML or which == HEAD:
        elements[2, 1 if which == HTML else 2] |= own
        return
    if which != TEMPLATE:
        _begin_body(s, stack, text, blocks, elements)
    if which == BODY_TAG:
        elements[2, s[BODY]] |= own
        return
    if kind == g.LINK:
        s[LINK] = s[BASE] + 1
        return
    if kind == g.FORM and s[FORM]:
        return
    ends = 0  # what ends before it, and all inside
    if s[FOREIGN] and kind < g.KINDS and which != TITLE:
        ends = _nearest(SVG, 0, g.SCOPE, -1, s, stack)
        if ends:
            _pop_to(ends, s, stack, text, blocks, elements)
    if doing & g.CLOSES_P and s[OPEN_P]:
        ends = _nearest(P, 0, g.SCOPE | g.HOLDS_P, -1, s, stack)
        if ends:
            _pop_to(ends, s, stack, text, blocks, elements)
    if kind == g.VOID:
        return
    ends = 0
    above, above_does = stack[s[DEPTH], WHICH], stack[s[DEPTH], DOES]
    if doing & g.ITEM:
        for depth in range(s[DEPTH], 0, -1):
            if stack[depth, KIND] == kind and stack[depth, DOES] & g.ITEM:
                ends = depth
                break
            if stack[depth, DOES] & g.STOPS:
                break
    elif doing & g.NUMBERED:
        ends = s[DEPTH] if above_does & g.NUMBERED else 0
    elif kind == g.BUTTON:
        ends = _nearest(which, 0, g.SCOPE, -1, s, stack)
    elif kind == g.FORM:
        s[FORM] = 1
        if above == TABLE or above == TR or above_does & g.GROUP:
            _push(which, kind, doing, own, s, stack, text, blocks, elements)
            ends = s[DEPTH]
            _pop_to(ends, s, stack, text, blocks, elements)
            return
    elif kind == g.TABLE:
        part = _nearest(TABLE, g.PART, g.SCOPE, -1, s, stack)
        if part and (stack[part, WHICH] == TABLE or not stack[part, DOES] & g.SCOPE):
            ends = _nearest(TABLE, 0, 0, -1, s, stack)
    elif doing & g.PART:
        ends = _begin_part(kind, s, stack, text, blocks, elements)
        if not ends:
            return
    if ends:
        _pop_to(ends, s, stack, text, blocks, elements)
    if kind == g.CELL and stack[s[DEPTH], WHICH] != TR:
        _push(TR, g.ROW, _TR_DOES, 0, s, stack, text, blocks, elements)
    _push(which, kind, doing, own, s, stack, text, blocks, elements)


@njit(cache=True, nogil=True)
def _begin_part(kind, s, stack, text, blocks, elements):
    """From where on what is open ends before a part of a table begins; 0 outside of tables."""
    depth = _nearest(TABLE, 0, 0, TEMPLATE, s, stack)
    if not depth or (kind != g.ROW and kind != g.CELL):
        return depth and depth + 1
    if s[DEPTH] > depth and stack[depth + 1, DOES] & g.GROUP:
        depth += 1
    else:
        _pop_to(depth + 1, s, stack, text, blocks, elements)
        _push(TBODY, g.OTHER, _TBODY_DOES, 0, s, stack, text, blocks, elements)
        depth += 1
    if kind == g.CELL and s[DEPTH] > depth and stack[depth + 1, WHICH] == TR:
        depth += 1
    return depth + 1


@njit(cache=True, nogil=True)
def _end(which, kind, doing, s, stack, text, blocks, elements):
    """An end tag ends what it reaches."""
    if which == HTML or which == BODY_TAG or (kind >= g.KINDS and kind != g.LINK and kind != g.SKIP):
        return
    if kind == g.LINK:
        s[LINK] = max(s[LINK] - 1, s[BASE])
        return
    if which == HEAD:
        if s[STAGE] == 0:
            _pop_to(2, s, stack, text, blocks, elements)
            s[STAGE] = 1
        return
    like, barrier, last = 0, g.SCOPE, -1
    if which == P:
        barrier |= g.HOLDS_P
    elif which == LI:
        barrier |= g.HOLDS_ITEMS
    elif doing & g.NUMBERED:
        like = g.NUMBERED
    elif doing & g.PART:
        barrier, last = 0, TABLE
    elif which == TABLE or which == TEMPLATE:
        barrier, last = 0, TEMPLATE
    depth = _nearest(which, like, barrier, last, s, stack)
    if kind == g.FORM:
        depth = depth if s[FORM] else 0
        s[FORM] = 0
        while depth and s[DEPTH] > depth and (stack[s[DEPTH], WHICH] == P or stack[s[DEPTH], DOES] & g.ITEM):
            _pop(s, stack, text, blocks, elements)
        if 0 < depth < s[DEPTH]:  # what stands open in it goes on
            stack[depth, GHOST] = 1
            return
    if depth:
        _pop_to(depth, s, stack, text, blocks, elements)
    elif which == P:
        _begin_body(s, stack, text, blocks, elements)
        _push(P, g.P, _P_DOES, 0, s, stack, text, blocks, elements)
        _pop(s, stack, text, blocks, elements)
