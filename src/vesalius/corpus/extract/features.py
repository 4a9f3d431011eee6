"""What a block looks like, as numbers: its words, its place, what holds it, who stands beside it.

Knows nothing of which blocks are wanted; `body.py` weighs these numbers.
"""

import numpy as np

from vesalius.corpus.extract import tags as t
from vesalius.corpus.extract.scan import Blocks, Elements
from vesalius.media.kernels import made_with, njit

_BITS = len(t.WORDS)
_OWN_KINDS = np.array([t.P, t.HEADING, t.LI, t.CELL, t.TERM, t.CAPTION, t.PRE, t.QUOTE, t.OTHER], np.int8)
_HOLDERS = np.array(
    [t.NAV, t.FOOTER, t.HEADER, t.ASIDE, t.FORM, t.ARTICLE, t.MAIN, t.FIGURE, t.TABLE, t.LIST, t.BUTTON, t.SECTION],
    np.int8,
)
_WORDY = 9 + len(_OWN_KINDS) + len(_HOLDERS) + 2 * _BITS
OWN = _WORDY + 4 + 9 + 4 + 3 + 3 + 1
_SHOWN = 6  # what neighbours show of themselves
NEIGHBOURS = (-3, -2, -1, 1, 2, 3)
COLUMNS = OWN + _SHOWN * len(NEIGHBOURS)


def features(blocks: Blocks, elements: Elements) -> np.ndarray:
    """(blocks, COLUMNS) float32; the lines of `_features` say what each is."""
    return _features(*blocks, *elements, _OWN_KINDS, _HOLDERS)


@made_with(t)
@njit(cache=True, nogil=True)
def _features(text, start, end, element, links, level, parent, kind, bits, first, after, own_kinds, holders):
    n, m = len(start), len(parent)
    out = np.zeros((n, COLUMNS), np.float32)
    if n == 0:
        return out
    # what holds what
    above = np.zeros(m, np.uint32)  # bits of kinds of all that hold an element, itself too
    anywhere = np.zeros(m, np.uint32)  # groups of words of all that hold it
    near = np.zeros(m, np.uint32)
    depth = np.zeros(m, np.float32)
    for e in range(m):
        p = parent[e]
        above[e] = np.uint32(1) << np.uint32(kind[e])
        anywhere[e] = near[e] = bits[e]
        if p >= 0:
            above[e] |= above[p]
            anywhere[e] |= anywhere[p]
            near[e] |= bits[p]
            if parent[p] >= 0:
                near[e] |= bits[parent[p]]
            depth[e] = depth[p] + 1
    chars = np.zeros(n + 1, np.int64)  # before each block
    linked = np.zeros(n + 1, np.int64)
    prose = np.zeros(n + 1, np.int64)  # in paragraphs
    headed = -1
    for b in range(n):
        size = end[b] - start[b]
        chars[b + 1] = chars[b] + size
        linked[b + 1] = linked[b] + links[b]
        prose[b + 1] = prose[b] + (size if kind[element[b]] == t.P else 0)
        if headed < 0 and level[b] == 1:
            headed = b
    title = -1
    for b in range(n):
        if kind[element[b]] == t.TITLE:
            title = b
            break
    total, in_links, in_prose = chars[n], linked[n], prose[n]
    for b in range(n):
        e = element[b]
        size = end[b] - start[b]
        words, stops, commas, upper, letters, digits = 1, 0, 0, 0, 0, 0
        for i in range(start[b], end[b]):
            c = text[i]
            if c <= 32:
                words += 1
            elif c == 46 or c == 33 or c == 63:
                stops += i + 1 == end[b] or text[i + 1] <= 32 or text[i + 1] == 34
            elif c == 44 or c == 59:
                commas += 1
            elif 48 <= c <= 57:
                digits += 1
            elif 65 <= c <= 90:
                upper += 1
                letters += 1
            elif c >= 97:
                letters += 1
        row = out[b]
        row[0] = np.log1p(size)
        row[1] = np.log1p(words)
        row[2] = links[b] / size
        row[3] = np.log1p(stops)
        row[4] = np.log1p(commas)
        last = text[end[b] - 1]
        row[5] = last == 46 or last == 33 or last == 63 or last == 34 or last >= 128
        row[6] = upper / max(letters, 1)
        row[7] = digits / size
        row[8] = 97 <= text[start[b]] <= 122
        k = 9
        for one in own_kinds:
            row[k] = kind[e] == one
            k += 1
        for one in holders:
            row[k] = above[e] >> np.uint32(one) & np.uint32(1)
            k += 1
        for bit in range(_BITS):
            row[k] = anywhere[e] >> np.uint32(bit) & np.uint32(1)
            row[k + _BITS] = near[e] >> np.uint32(bit) & np.uint32(1)
            k += 1
        k = _WORDY
        row[k] = depth[e] / 10
        row[k + 1] = b / n
        row[k + 2] = chars[b] / total
        row[k + 3] = 1 / level[b] if level[b] else 0
        k += 4
        p = e
        for _ in range(3):
            p = max(parent[p], 0)
            inside = chars[after[p]] - chars[first[p]]
            row[k] = np.log1p(inside)
            row[k + 1] = (linked[after[p]] - linked[first[p]]) / max(inside, 1)
            row[k + 2] = np.log1p(after[p] - first[p])
            k += 3
        p = e
        for _ in range(2):
            p = max(parent[p], 0)
            inside = prose[after[p]] - prose[first[p]]
            row[k] = np.log1p(inside)
            row[k + 1] = inside / max(in_prose, 1)
            k += 2
        row[k] = headed >= 0
        row[k + 1] = b > headed
        row[k + 2] = np.log1p(abs(b - headed)) if headed >= 0 else 0
        row[k + 3] = np.log1p(total)
        row[k + 4] = np.log1p(n)
        row[k + 5] = in_links / max(total, 1)
        if title >= 0 and b != title and size <= end[title] - start[title]:
            same = True
            for i in range(size):
                if text[start[b] + i] != text[start[title] + i]:
                    same = False
                    break
            row[k + 6] = same
    k = OWN
    for shift in NEIGHBOURS:
        for b in range(n):
            o = b + shift
            if 0 <= o < n:
                out[b, k] = out[o, 0]
                out[b, k + 1] = out[o, 2]
                out[b, k + 2] = out[o, 3]
                out[b, k + 3] = level[o] > 0
                out[b, k + 4] = kind[element[o]] == t.P
                out[b, k + 5] = parent[element[o]] == parent[element[b]]
        k += _SHOWN
    return out
