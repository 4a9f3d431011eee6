"""From lines of type to what a reader sees: title, headings, paragraphs, items, captions and rows of tables.

    found = parts(lines)       lines as `read/pdf.py` takes them from a file

Lines come in the order in which the file draws them, which is the order of reading in nearly every PDF; floats stand
between. `lines.py` leaves out running heads, `blocks.py` parts paragraphs, `kinds.py` tells what they are, `wording.py`
joins hyphenated words, `article.py` leaves out what is not an article's own; here what a column or a float broke is
made whole.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vesalius.corpus.document import Heading
from vesalius.corpus.layout.article import own_lines
from vesalius.corpus.layout.blocks import FULL, ITEM, Block, Body, alike, blocks_of
from vesalius.corpus.layout.kinds import tell, tell_title
from vesalius.corpus.layout.lines import Line, joined_pieces, without_heads
from vesalius.corpus.layout.wording import run_on, tidy, vocabulary

_INDENTS = 5  # paragraphs from which a document is one that indents them


@dataclass(frozen=True)
class Found:
    """What a document's lines are.

    Attributes:
        title: as its first page has it; None where none stands out.
        parts: texts, with the page on which each begins.
    """

    title: str | None
    parts: list[tuple[int, str]]


def parts(lines: Sequence[Line], title: str = "") -> Found:
    """The parts of a document; `title` is what its file says of it."""
    lines = joined_pieces(without_heads(lines))
    if not lines:
        return Found(None, [])
    body, words = Body.of(lines), vocabulary(lines)
    blocks = list(blocks_of(lines, body))
    tell(blocks, body)
    tell_title(blocks, body, title)
    said = [(block.first.page, text) for block in _whole(blocks, body) if (text := _said(block, words))]
    own = own_lines([text for _, text in said])
    shown = next((str(text) for _, text in said if isinstance(text, Heading) and text.level == 1), None)
    return Found(shown, [part for part, kept in zip(said, own, strict=True) if kept])


def _whole(blocks: list[Block], body: Body) -> list[Block]:
    """Paragraphs that a column, a page or a float broke, in one piece, where they began."""
    indents = sum(block.begins for block in blocks if block.kind == "text") > _INDENTS
    whole: list[Block] = []
    open: dict[str, Block] = {}  # by font: what stands between is mostly set in another
    for block in blocks:
        if block.kind == "text":
            before = open.get(block.first.font)
            if before is not None and _goes_on(before, block, indents):
                before.lines += block.lines
                continue
            if not body.is_small(block.first):
                open[block.first.font] = block
        elif block.kind in ("heading", "title"):
            open.clear()
        whole.append(block)
    return whole


def _goes_on(open: Block, block: Block, indents: bool) -> bool:
    """Whether a paragraph goes on with a block in the same font: in the middle of a sentence, or where none begins."""
    if not alike(open.last, block.first) or block.begins or block.first.page > open.last.page + 1:
        return False
    if block.first.text[0].islower():
        return True
    if not FULL.search(open.last.text):
        return len(open.lines) > 1
    moved = block.first.page != open.last.page or block.first.y > open.last.y
    return indents and moved and len(block.lines) > 1


def _said(block: Block, words: Counter[str]) -> str:
    """A block's text as a part of a document; "" where it is none."""
    if block.kind == "small":
        return ""
    if block.kind == "row":
        return " | ".join(filter(None, map(tidy, block.first.cells)))
    text = tidy(run_on([line.text for line in block.lines], words))
    if block.kind in ("title", "heading"):
        return Heading(text, block.level)
    item = ITEM.match(text)
    return f"- {text[item.end() :]}" if item else text
