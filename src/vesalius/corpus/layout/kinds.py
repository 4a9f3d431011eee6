"""Which blocks are title, headings, captions, and which are no text: labels in figures, pieces of formulas."""

import re
from collections import Counter

from vesalius.corpus.extract.sections import part_of
from vesalius.corpus.layout.blocks import FULL, ITEM, SAME, Block, Body, is_caption, rounded
from vesalius.corpus.layout.wording import tidy

_LONGEST = 140  # characters of a heading
_WORDS = 8  # of small type that are more than a label in a figure
_KNOWN = 20  # characters of a title that the file says from which it is looked for
_SECTION = re.compile(r"\d{1,2}(?:\.\d{1,2})*\.?\s")
_LETTERS = re.compile(r"[^\W\d_]{2,}")


def tell(blocks: list[Block], body: Body) -> None:
    """Sets `kind` and `level` of blocks, all but the title's."""
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        words = len(_LETTERS.findall(block.text))
        if block.kind == "row":
            continue
        if is_caption(block.first, body):
            block.kind = "caption"
        elif len(block.lines) == 1 and len(block.first.cells) > 1:
            block.kind = "row" if words >= _WORDS else "small"
        elif _is_heading(block, after, body):
            block.kind = "heading"
        elif words < _WORDS:
            plain = block.first.font == body.font and not body.is_small(block.first)
            if not words or not (plain or (words > 1 and FULL.search(block.text))):
                block.kind = "small"
    _levels([block for block in blocks if block.kind == "heading"])


def _levels(headings: list[Block]) -> None:
    """By their numbers, where they have some, else by how they are set; 1 is the title's."""
    keys = [(rounded(block.first.size), block.first.bold, block.text.isupper()) for block in headings]
    usual = [key for key, count in Counter(keys).items() if count > 1]
    for block, key in zip(headings, keys, strict=True):
        number = _SECTION.match(block.text)
        below = number[0].rstrip(". ").count(".") if number else sum(other > key for other in usual)
        block.level = min(6, 2 + below)


def _is_heading(block: Block, after: Block | None, body: Body) -> bool:
    text, first = tidy(block.text), block.first
    if len(block.lines) > 3 or len(text) > _LONGEST or not _LETTERS.search(text):
        return False
    if part_of(text):
        return True
    if text[-1] in ".,;" or ITEM.match(text) or body.is_small(first) or text[0].islower():
        return False
    if first.size > (1 + SAME) * body.size or (first.bold and first.font != body.font):
        return True
    # In type of the text's own size it differs by its font or by capitals, and text follows.
    if len(block.lines) > 1 or after is None or after.kind != "text" or len(after.lines) < 2:
        return False
    return after.first.font == body.font and (first.font != body.font or (text.isupper() and len(text) > 3))


def tell_title(blocks: list[Block], body: Body, known: str) -> None:
    """Sets the title's `kind`: what the file says (`known`) where its first page has it, else what is set largest
    there, rather of four words or more."""
    first = [b for b in blocks if b.first.page == 0 and b.kind in ("heading", "text") and b.first.size >= body.size]
    said = _letters(known)
    title = next((b for b in first if len(said) >= _KNOWN and said in _letters(b.text) and len(b.lines) < 8), None)
    if title is None:
        large = [b for b in first if b.first.size > (1 + 2 * SAME) * body.size and _LETTERS.search(b.text)]
        least = 0.85 * max((b.first.size for b in large), default=0)
        title = max(large, key=lambda b: (b.first.size > least and len(b.text.split()) > 3, b.first.size), default=None)
    if title is not None:
        title.kind, title.level = "title", 1


def _letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())
