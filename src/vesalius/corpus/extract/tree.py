"""Elements as they open and close, as HTML's rules for "tree construction" have it, as far as blocks of text can tell.

What a tag ends without its end tag, what a table adds, what an end tag reaches; but text that stands astray in a table
stays where it is. Kernels for `scan.py`, each over the same arrays: the state, the stack of open elements, the text,
and a column for each block and each element (the rows are `scan.Blocks`' and `scan.Elements`', but for the text).
"""

from vesalius.corpus.extract import tags as g
from vesalius.media.kernels import njit

DEPTHS = 512  # elements open at once; one that is deeper takes the place of its parent, as in browsers
# The state: how many of each were found; the block at hand, from and to where in the text, of it in links, its level;
# how many elements are open; how many links, those outside the cell among them; of each kind that counts, how many are
# open; whether a space is due; the body, once it began; whether a form's end tag is awaited.
BLOCKS, ELEMENTS, IMAGES, NOTES, START, T, LINKS, LEVEL, DEPTH, LINK, BASE, SKIP, PRE, FOREIGN, OPEN_P = range(15)
SPACE, STAGE, BODY, FORM = range(15, 19)
STATES = 19
IN_HEAD, AFTER_HEAD, IN_BODY = range(3)  # stages
# The stack: an element's tag, what that is and does, the nearest element that breaks text; whether its end tag came
# before those inside it; links around it, and around what holds those.
WHICH, KIND, DOES, HELD, GHOST, OUTSIDE, BENEATH = range(7)
COLUMNS = 7
P, LI, H1, SVG, TEMPLATE = (g.WHICH[name] for name in ("p", "li", "h1", "svg", "template"))
HTML, HEAD, TITLE, SCRIPT, BODY_TAG = (g.WHICH[name] for name in ("html", "head", "title", "script", "body"))
TABLE, TBODY, TR = (g.WHICH[name] for name in ("table", "tbody", "tr"))
_P_DOES, _TBODY_DOES, _TR_DOES, _BODY_DOES = (int(g.TAG_TABLE[3][which]) for which in (P, TBODY, TR, BODY_TAG))


@njit(nogil=True)
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


@njit(nogil=True)
def push(which, kind, doing, own, s, stack, text, blocks, elements):
    """An element is open, whose attributes name `own` groups of words."""
    if s[DEPTH] + 1 == len(stack):
        pop(s, stack, text, blocks, elements)
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


@njit(nogil=True)
def pop(s, stack, text, blocks, elements):
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


@njit(nogil=True)
def _pop_to(depth, s, stack, text, blocks, elements):
    """Ends what is as deep and deeper; nothing for 0."""
    while depth and s[DEPTH] >= depth:
        pop(s, stack, text, blocks, elements)


@njit(nogil=True)
def _nearest(which, like, barrier, last, s, stack):
    """How deep the innermost open element is of a tag, or that does what it does; not found behind a barrier, nor 0."""
    for depth in range(s[DEPTH], 0, -1):
        if not stack[depth, GHOST]:
            if stack[depth, WHICH] == which or stack[depth, DOES] & like:
                return depth
            if stack[depth, WHICH] == last or stack[depth, DOES] & barrier:
                return 0
    return 0


@njit(nogil=True)
def begin_body(s, stack, text, blocks, elements):
    """Unless it has begun, or this is of a template in the head."""
    if s[STAGE] < IN_BODY and not s[SKIP]:
        if s[STAGE] == IN_HEAD:
            _pop_to(2, s, stack, text, blocks, elements)
        s[STAGE], s[BODY] = IN_BODY, s[ELEMENTS]
        push(BODY_TAG, g.BODY, _BODY_DOES, 0, s, stack, text, blocks, elements)


@njit(nogil=True)
def begin(which, kind, doing, own, s, stack, text, blocks, elements):
    """An element begins, and what it ends ends."""
    if kind == g.META:
        return
    if which in (HTML, HEAD):
        elements[2, 1 if which == HTML else 2] |= own
        return
    if which != TEMPLATE:
        begin_body(s, stack, text, blocks, elements)
    if which == BODY_TAG:
        if s[STAGE] == IN_BODY:
            elements[2, s[BODY]] |= own
        return
    if kind == g.LINK:
        s[LINK] = s[BASE] + 1
        return
    if kind == g.FORM and s[FORM]:
        return
    if s[FOREIGN] and kind < g.KINDS and which != TITLE:
        _pop_to(_nearest(SVG, 0, g.SCOPE, -1, s, stack), s, stack, text, blocks, elements)
    if doing & g.CLOSES_P and s[OPEN_P]:
        _pop_to(_nearest(P, 0, g.SCOPE | g.HOLDS_P, -1, s, stack), s, stack, text, blocks, elements)
    if kind == g.VOID:
        return
    ends = 0  # how deep what ends before it is
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
        if above in (TABLE, TR) or above_does & g.GROUP:
            push(which, kind, doing, own, s, stack, text, blocks, elements)
            pop(s, stack, text, blocks, elements)
            return
    elif kind == g.TABLE:
        part = _nearest(TABLE, g.PART, g.SCOPE, -1, s, stack)
        if part and (stack[part, WHICH] == TABLE or not stack[part, DOES] & g.SCOPE):
            ends = _nearest(TABLE, 0, 0, -1, s, stack)
    elif doing & g.PART:
        ends = _begin_part(kind, s, stack, text, blocks, elements)
        if not ends:
            return
    _pop_to(ends, s, stack, text, blocks, elements)
    if kind == g.CELL and stack[s[DEPTH], WHICH] != TR:
        push(TR, g.ROW, _TR_DOES, 0, s, stack, text, blocks, elements)
    push(which, kind, doing, own, s, stack, text, blocks, elements)


@njit(nogil=True)
def _begin_part(kind, s, stack, text, blocks, elements):
    """From where on what is open ends before a part of a table begins; 0 outside of tables."""
    depth = _nearest(TABLE, 0, 0, TEMPLATE, s, stack)
    if not depth or (kind != g.ROW and kind != g.CELL):
        return depth and depth + 1
    if s[DEPTH] > depth and stack[depth + 1, DOES] & g.GROUP:
        depth += 1
    else:
        _pop_to(depth + 1, s, stack, text, blocks, elements)
        push(TBODY, g.OTHER, _TBODY_DOES, 0, s, stack, text, blocks, elements)
        depth += 1
    if kind == g.CELL and s[DEPTH] > depth and stack[depth + 1, WHICH] == TR:
        depth += 1
    return depth + 1


@njit(nogil=True)
def end(which, kind, doing, s, stack, text, blocks, elements):
    """An end tag ends what it reaches."""
    if which in (HTML, BODY_TAG) or (kind >= g.KINDS and kind != g.LINK and kind != g.SKIP):
        return
    if kind == g.LINK:
        s[LINK] = max(s[LINK] - 1, s[BASE])
        return
    if which == HEAD:
        if s[STAGE] == IN_HEAD:
            _pop_to(2, s, stack, text, blocks, elements)
            s[STAGE] = AFTER_HEAD
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
    elif which in (TABLE, TEMPLATE):
        barrier, last = 0, TEMPLATE
    depth = _nearest(which, like, barrier, last, s, stack)
    if kind == g.FORM:
        depth = depth if s[FORM] else 0
        s[FORM] = 0
        while depth and s[DEPTH] > depth and (stack[s[DEPTH], WHICH] == P or stack[s[DEPTH], DOES] & g.ITEM):
            pop(s, stack, text, blocks, elements)
        if 0 < depth < s[DEPTH]:  # what stands open in it goes on
            stack[depth, GHOST] = 1
            return
    if depth:
        _pop_to(depth, s, stack, text, blocks, elements)
    elif which == P:
        begin_body(s, stack, text, blocks, elements)
        push(P, g.P, _P_DOES, 0, s, stack, text, blocks, elements)
        pop(s, stack, text, blocks, elements)
