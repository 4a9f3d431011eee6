"""One pass over a page: bytes of HTML become blocks of text, the elements that hold them, and images.

Puts together what `lexing.py` reads and what `tree.py` makes of it. Lexbor, which builds the whole tree, finds the same
blocks in four times the time (the tests ask it). Leaves to `body.py` which blocks are the page's own.
"""

from typing import NamedTuple

import numpy as np

from vesalius.corpus.extract import lexing, tags, tree
from vesalius.media.kernels import made_with, njit

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


def scan(html: bytes) -> Scan:
    """Scans a page, in UTF-8; bytes that are none pass into its text as they are."""
    many = html.count(b"<") + 4
    text = np.empty(len(html) + len(html) // 5 + 8, np.uint8)  # `&nLt;` becomes six bytes
    blocks, images, notes = (np.empty((rows, many), np.int32) for rows in (5, 4, 2))
    elements = np.empty((5, 3 * many), np.int32)  # a cell may need two above it
    xhtml = _XHTML in html[:_BEGINNING]
    given = (np.frombuffer(html, np.uint8), xhtml, *tags.TAG_TABLE, tags.ATTRIBUTES, *tags.AUTOMATON, *tags.ENTITIES)
    b, e, i, n, size = _scan(*given, text, blocks, elements, images, notes)
    return Scan(
        Blocks(text[:size], *blocks[:, :b]),
        Elements(*elements[:, :e]),
        Images(*images[:, :i]),
        Notes(*notes[:, :n]),
    )


@made_with(lexing, tags, tree)
@njit(cache=True, nogil=True)
def _scan(
    html, xhtml, keys, rows, kinds, does, names, follow, bits, e_keys, e_rows, spellings, windows,
    text, blocks, elements, images, notes,
):  # fmt: skip
    n = len(html)
    s, stack = np.zeros(tree.STATES, np.int64), np.zeros((tree.DEPTHS, tree.COLUMNS), np.int32)
    spelled = np.zeros(7, np.uint8)
    elements[0, 0], elements[1, 0], elements[2, 0], elements[3, 0], s[tree.ELEMENTS] = -1, tags.OTHER, 0, 0, 1
    tree.push(tree.HTML, tags.OTHER, does[tree.HTML], 0, s, stack, text, blocks, elements)
    tree.push(tree.HEAD, tags.OTHER, does[tree.HEAD], 0, s, stack, text, blocks, elements)
    i = 3 if n > 2 and html[0] == 239 and html[1] == 187 and html[2] == 191 else 0  # a byte order mark
    while i < n:
        if not lexing.is_tag(html, i, n):
            if s[tree.SKIP]:
                i += 1
                while i < n and html[i] != 60:
                    i += 1
                continue
            if s[tree.STAGE] < tree.IN_BODY:
                while i < n and html[i] <= 32:
                    i += 1
                if i == n or lexing.is_tag(html, i, n):
                    continue
                tree.begin_body(s, stack, text, blocks, elements)
            i = _take(html, i, n, False, text, s, e_keys, e_rows, spellings, windows, spelled)
            continue
        closing = html[i + 1] == 47
        at = i + 1 + closing
        if not lexing.letter(html[at]):
            i = lexing.comment_end(html, i, n)
            continue
        end = at
        while end < n and html[end] > 32 and html[end] != 62 and html[end] != 47:
            end += 1
        which = lexing.found(lexing.hashed(html, at, end), keys, rows)
        kind, doing = (kinds[which], does[which]) if which >= 0 else (np.int64(-1), np.int64(0))
        j, own, related, slash = lexing.attributes(html, end, n, 0 <= kind < tags.KINDS, names, follow, bits)
        if j >= n:
            break
        if kind < 0:
            pass
        elif kind == tags.BREAK:
            t = s[tree.T]
            if not s[tree.SKIP] and t > s[tree.START] and text[t - 1] != 10:
                text[t] = 10
                s[tree.T], s[tree.SPACE] = t + 1, 0
        elif closing:
            tree.end(which, kind, doing, s, stack, text, blocks, elements)
        elif kind == tags.IMAGE:
            if not s[tree.SKIP]:
                tree.begin_body(s, stack, text, blocks, elements)
                m = s[tree.IMAGES]
                images[0, m], images[1, m], images[2, m] = i, j + 1, s[tree.BLOCKS] + (s[tree.T] > s[tree.START])
                images[3, m] = stack[s[tree.DEPTH], tree.HELD]
                s[tree.IMAGES] += 1
        elif kind == tags.RAW or (kind == tags.TITLE and not s[tree.FOREIGN]):
            if not (slash and (xhtml or s[tree.FOREIGN])):
                after = lexing.raw_end(html, j + 1, n, at, end, which == tree.SCRIPT)
                if kind == tags.TITLE:
                    tree.push(which, kind, doing, own, s, stack, text, blocks, elements)
                    if not s[tree.SKIP]:
                        _take(html, j + 1, after, True, text, s, e_keys, e_rows, spellings, windows, spelled)
                    tree.pop(s, stack, text, blocks, elements)
                j = after
                while j < n and html[j] != 62:
                    j += 1
        else:
            if not s[tree.SKIP] and (kind == tags.META or (kind == tags.LINK and related)):
                notes[0, s[tree.NOTES]], notes[1, s[tree.NOTES]] = i, j + 1
                s[tree.NOTES] += 1
            if not (slash and (kind == tags.SKIP or (xhtml and (kind == tags.LINK or kind == tags.BUTTON)))):
                tree.begin(which, kind, doing, own, s, stack, text, blocks, elements)
        i = j + 1
    while s[tree.DEPTH]:
        tree.pop(s, stack, text, blocks, elements)
    elements[4, 0] = s[tree.BLOCKS]
    return s[tree.BLOCKS], s[tree.ELEMENTS], s[tree.IMAGES], s[tree.NOTES], s[tree.T]


@njit(nogil=True)
def _take(html, i, n, literal, text, s, keys, rows, spellings, windows, spelled):
    """Text goes into the block at hand."""
    given = (text, s[tree.T], s[tree.START], s[tree.SPACE], s[tree.LINKS], s[tree.LINK] > 0, s[tree.PRE] > 0)
    i, s[tree.T], s[tree.SPACE], s[tree.LINKS] = lexing.take(
        html, i, n, literal, *given, keys, rows, spellings, windows, spelled
    )
    return i
