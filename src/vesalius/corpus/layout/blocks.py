"""Lines of type to blocks: a paragraph, a heading, an item, a row of a table each.

What is known here is print: lines of a paragraph stand at one distance in one size, paragraphs are indented, a line
that ends early was ended, and what stands below a table's caption in small type, or in cells, are its rows.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from vesalius.corpus.extract.sections import part_of
from vesalius.corpus.layout.lines import ENUMERATOR, Line
from vesalius.corpus.layout.wording import tidy

SAME = 0.06  # share by which two sizes of type may differ that are one
_CELL_TEXT = 40  # characters of a cell as large as the text
_GAP = 1.35  # usual distances of lines from which a gap parts paragraphs
_STEP = 1.25  # sizes of type from a line to the next, where a document does not say it
_SHORT = 3  # sizes of type by which a heading is shorter than a line of text
_INDENT = 0.7  # sizes of type
_INDENTED = 3  # by which a paragraph's first line may be
_ASIDE = 0.3  # from which a line does not stand below another
_COLUMN = 100  # lines of one that are looked at
ITEM = re.compile(r"(?:[•‣◦▪·]|[-–—*](?=\s))\s*")
_NUMBERED = re.compile(rf"(?:{ENUMERATOR})\s+\S")
_CAPTION = re.compile(
    r"(?:supplementary |extended data )?(?:fig(?:ure|\.)?|(?P<table>table)|scheme|box|plate)\s*s?\d", re.IGNORECASE
)
_SENTENCE = re.compile(r"\d*\)?,?\s+[a-z(]")  # after "Table 1"
FULL = re.compile(r"[.!?:;…]['\"’”)\]\d,–-]*$")


@dataclass
class Block:
    """Lines that belong together.

    Attributes:
        lines: one or more.
        kind: title, heading, text, caption, row, or small: no text.
        begins: whether its first line is indented, or an item's.
        level: of a heading.
    """

    lines: list[Line]
    kind: str = "text"
    begins: bool = False
    level: int = 0

    @property
    def first(self) -> Line:
        """Its first line."""
        return self.lines[0]

    @property
    def last(self) -> Line:
        """Its last line."""
        return self.lines[-1]

    @property
    def text(self) -> str:
        """All of its lines."""
        return " ".join(line.text for line in self.lines)


@dataclass(frozen=True)
class Body:
    """What most of a document is set in: size and font, and for each size the usual distance of lines (in sizes)."""

    size: float
    font: str
    steps: dict[float, float]

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "Body":
        """Of a document's lines."""
        sizes, fonts, steps = Counter[float](), Counter[str](), defaultdict[float, list[float]](list)
        for line in lines:
            sizes[rounded(line.size)] += len(line.text)
            fonts[line.font] += len(line.text)
        for above, below in pairwise(lines):
            step = (above.y - below.y) / max(above.size, 1)
            if above.page == below.page and alike(above, below) and 0.8 < step < 2.2:
                steps[rounded(above.size)].append(step)
        usual = {size: median(found) for size, found in steps.items()}
        return cls(sizes.most_common(1)[0][0], fonts.most_common(1)[0][0], usual)

    def step(self, line: Line) -> float:
        """The usual distance from a line to the next; points."""
        return line.size * self.steps.get(rounded(line.size), _STEP)

    def is_small(self, line: Line, by: float = SAME) -> bool:
        """Whether a line is set smaller than the text."""
        return line.size < (1 - by) * self.size


def blocks_of(lines: Sequence[Line], body: Body) -> Iterator[Block]:
    """The blocks of a document in order."""
    run: list[Line] = []
    table: list[Line] = []
    for line in lines:
        if table and _in_table(table, line, body):
            table.append(line)
        elif run and _follows(run, line, body):
            run.append(line)
        else:
            yield from _rows(table)
            yield from _paragraphs(run)
            below = run and _captions_table(run, body) and _in_table(run[-1:], line, body)
            run, table = ([], [line]) if below else ([line], [])
    yield from _rows(table)
    yield from _paragraphs(run)


def _captions_table(run: list[Line], body: Body) -> bool:
    found = _CAPTION.match(run[0].text)
    return found is not None and bool(found["table"]) and is_caption(run[0], body)


def _follows(run: list[Line], line: Line, body: Body) -> bool:
    """Whether a line goes on with those above it."""
    last = run[-1]
    left, right = min(one.x0 for one in run[-_COLUMN:]), max(one.x1 for one in run[-_COLUMN:])
    if last.page != line.page or not 0 < last.y - line.y < _GAP * body.step(last) or line.x0 > right or line.x1 < left:
        return False
    if len(run) == 1 and _CAPTION.fullmatch(last.text.rstrip(".: ")):  # a label alone, its caption below
        return True
    stretched = abs(line.x1 - right) < line.size and abs(line.x0 - left) < _INDENTED * line.size
    if not alike(last, line) or (not stretched and (len(line.cells) > 1 or len(run[0].cells) > 1)):
        return False
    if len(last.cells) > 1 and len(line.cells) > 1:  # two such lines are rows
        return False
    if part_of(tidy(last.text)):
        return False
    if last.font == line.font or is_caption(run[0], body):
        return True
    # A heading may stand as near to its text as a line of it, and in type nearly as large.
    if abs(last.size - line.size) > 0.02 * line.size:
        return False
    short = _SHORT * last.size
    above = last.x1 + short < line.x1 and not FULL.search(last.text) and all(one.font == last.font for one in run)
    below = line.x1 + short < right and not FULL.search(line.text) and bool(FULL.search(last.text))
    return not (above or below)


def _in_table(table: list[Line], line: Line, body: Body) -> bool:
    """Whether a line goes on with a table: set smaller than the text, or in cells."""
    if line.page != table[-1].page:
        return False
    if body.is_small(line, SAME / 2) or len(line.cells) > 1:
        return True
    return line.size < 1.02 * table[0].size and len(line.text) < _CELL_TEXT


def _rows(table: list[Line]) -> Iterator[Block]:
    """Cells that stand at one height, from left to right."""
    rows: list[list[Line]] = []
    for line in table:
        row = next((row for row in rows if abs(row[0].y - line.y) < 0.4 * line.size), None)
        if row is None:
            rows.append(row := [])
        row.append(line)
    for row in sorted(rows, key=lambda row: -row[0].y):
        row.sort(key=lambda line: line.x0)
        cells = tuple(cell for line in row for cell in line.cells)
        yield Block([replace(row[0], x1=row[-1].x1, cells=cells)], "row")


def _paragraphs(run: list[Line]) -> Iterator[Block]:
    """Parts lines where one is indented (or, where they hang, is not), is an item, or follows one that was ended."""
    if not run:
        return
    left, right = min(line.x0 for line in run), max(line.x1 for line in run)
    deep = [line.x0 - left > _INDENT * line.size for line in run]
    hanging = len(run) > 2 and sum(deep) > len(run) / 2
    item = _is_item(run[0])
    block = Block([run[0]], begins=item or deep[0] != hanging)
    for i, (before, line) in enumerate(pairwise(run), 1):
        aside = line.x0 - block.first.x0 > _ASIDE * line.size
        begins = _is_item(line) and _may_begin(before, line, right)
        if item and not aside:  # out of the item again
            begins = begins or before.x0 - line.x0 > _ASIDE * line.size
        if not (item and aside):
            begins = begins or (deep[i] != hanging and deep[i - 1] == hanging)
        if begins or (len(run) > 2 and _ended(before, line, right)):
            yield block
            item = _is_item(line)
            block = Block([], begins=begins)
        block.lines.append(line)
    yield block


def _is_item(line: Line) -> bool:
    return bool(ITEM.match(line.text) or _NUMBERED.match(line.text))


def _may_begin(before: Line, line: Line, right: float) -> bool:
    """Whether an item begins here: a number may also be the first word of a line in the middle of a sentence."""
    aside = abs(line.x0 - before.x0) > _ASIDE * line.size or before.x1 + _SHORT * line.size < right
    return aside or bool(ITEM.match(line.text) or FULL.search(before.text))


def _ended(line: Line, after: Line, right: float) -> bool:
    """Whether a line ended before the next one's first word had to."""
    first = after.text.split(" ", 1)[0]
    width = (after.x1 - after.x0) * (len(first) + 1) / max(1, len(after.text))
    return line.x1 + width + line.size < right and bool(FULL.search(line.text))


def is_caption(line: Line, body: Body) -> bool:
    """Whether a block's first line begins a caption, not a sentence about a figure."""
    found = _CAPTION.match(line.text)
    if found is None:
        return False
    return body.is_small(line, SAME / 2) or not _SENTENCE.match(line.text[found.end() :])


def rounded(size: float) -> float:
    """A size of type, to a quarter of a point."""
    return round(size * 4) / 4


def alike(a: Line, b: Line) -> bool:
    """Whether two lines are set in one size."""
    return abs(a.size - b.size) <= SAME * max(a.size, b.size)
