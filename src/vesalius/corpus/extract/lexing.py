"""Tags, comments, attributes, entities and text in a page's bytes, as HTML's rules for "tokenization" have them.

Kernels for `scan.py`: each takes the page, where to begin and where the page ends. Knows nothing of what tags mean.
"""

import numpy as np

from vesalius.media.kernels import njit


@njit(nogil=True)
def letter(c):
    """Whether a byte is one of ASCII's."""
    return 97 <= c | 32 <= 122


@njit(nogil=True)
def is_tag(html, i, n):
    """Whether markup begins here, and not text."""
    if html[i] != 60 or i + 1 >= n:
        return False
    c = html[i + 1]
    return letter(c) or c == 33 or c == 63 or (c == 47 and i + 2 < n)


@njit(nogil=True)
def comment_end(html, i, n):
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


@njit(nogil=True)
def hashed(html, at, end):
    """`tags.fnv` of a name, in lower case."""
    value = np.uint64(14695981039346656037)
    for i in range(at, end):
        c = html[i]
        if 65 <= c <= 90:
            c += 32
        value = (value ^ np.uint64(c)) * np.uint64(1099511628211)
    return value


@njit(nogil=True)
def found(value, keys, which):
    """Which a hash is; -1 where it is none."""
    last = np.uint64(len(keys) - 1)
    slot = value & last
    while keys[slot]:
        if keys[slot] == value:
            return np.int64(which[slot])
        slot = (slot + np.uint64(1)) & last
    return np.int64(-1)


@njit(nogil=True)
def attributes(html, j, n, look, names, follow, bits):
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
            key = hashed(html, begin, end)
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


@njit(nogil=True)
def raw_end(html, i, n, at, end, script):
    """Where the end tag of an element begins that holds no others, `html[at:end]`; a script may in a comment."""
    size, name = end - at, hashed(html, at, end)
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
        elif html[i + 1] == 47 or (inside and letter(html[i + 1])):
            closes = html[i + 1] == 47
            after = i + 1 + closes + size
            ends = after <= n and (after == n or html[after] <= 32 or html[after] == 62 or html[after] == 47)
            if ends and hashed(html, after - size, after) == name:
                if closes and inside < 2:
                    return i
                inside = 1 if closes else 2
        elif script and not inside and i + 3 < n and html[i + 1] == 33 and html[i + 2] == 45 and html[i + 3] == 45:
            inside = 1
            i += 3
        i += 1


@njit(nogil=True)
def take(html, i, n, literal, text, t, start, space, links, inside, pre, keys, rows, spellings, windows, spelled):
    """Takes text up to the next tag, its white space collapsed; `literal` has no tags.

    Goes on at `text[t]` with a block that begins at `start`; a `space` may be due, 2 where it stands in a link.
    Returns where the tag is, and what `t`, `space` and the bytes in `links` have become.
    """
    while i < n:
        c, more = html[i], 0
        i += 1
        if c == 60:
            if not literal and is_tag(html, i - 1, n):
                i -= 1
                break
        elif c == 38:
            spelled[0], spelled[1] = 1, 38
            i = _entity(html, i - 1, n, keys, rows, spellings, windows, spelled)
            c, more = spelled[1], int(spelled[0]) - 1
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
    return i, t, space, links


@njit(nogil=True)
def _entity(html, i, n, keys, rows, spellings, windows, spelled):
    """Spells the entity that may stand here: how many bytes, and the bytes; what follows it."""
    j = i + 1
    if j < n and html[j] == 35:
        base = 16 if j + 1 < n and html[j + 1] | 32 == 120 else 10
        j += 1 + (base == 16)
        first, value = j, 0
        while j < n:
            c = int(html[j])
            if 48 <= c <= 57:
                digit = c - 48
            elif base == 16 and 97 <= c | 32 <= 102:
                digit = (c | 32) - 87
            else:
                break
            value = value * base + digit if value < 0x110000 else value
            j += 1
        if j == first:
            return i + 1
        if 128 <= value < 160:
            value = windows[value - 128]
        _spell(value, spelled)
        return j + (j < n and html[j] == 59)
    key, best, after = np.uint64(14695981039346656037), -1, i + 1
    while j < n and j - i <= 32 and (letter(html[j]) or 48 <= html[j] <= 57 or html[j] == 59):
        key = (key ^ np.uint64(html[j])) * np.uint64(1099511628211)
        if j - i <= 6 or html[j] == 59:  # none is longer that does without its end
            row = found(key, keys, rows)
            if row >= 0:
                best, after = row, j + 1
        if html[j] == 59:
            break
        j += 1
    if best >= 0:
        spelled[:] = spellings[best]
    return after


@njit(nogil=True)
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
