"""Lines of type as a file has them, and which of them are its text: running heads and tables of contents are not."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

_EDGE = 0.12  # of a page's height, above and below, in which running heads and feet stand
_HEAD = 20  # characters that a running head may begin with on a page where it is shorter
CELL = 1.5  # sizes of type between two pieces of a line from which they are cells
_SPACE = 0.15  # from which they are words
_BESIDE = 8  # between an item's number and its text
HYPHEN = "\xad"  # at a line's end
ENUMERATOR = r"\(?(?:\d{1,3}|[a-zA-Z]|[ivx]+)[.)]|\[\d{1,3}\]|\d{1,3}[A-Z]?(?:\.\d{1,3})+\.?"  # 1. (a) [3] 2.1
_LABEL = re.compile(rf"[•‣◦▪·*–—-]|o|\d{{1,3}}[A-Z]?\.?|{ENUMERATOR}")
_CONTENTS = re.compile(r"(?:\s?[.…_]){5,}\s*(?:\d{1,4}|[ivxl]+)$")
_NUMBER = re.compile(r"(?:page )?(?:\d{1,4}|[ivxl]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """A line of type.

    Attributes:
        page: counted from 0.
        x0, x1, y: left, right and baseline; points, y upwards.
        size: of its type, in points.
        font, bold: of its middle.
        height: of its baseline, as a share of the page's.
        cells: its text; more than one where wide gaps part it. A last `HYPHEN` is one at the line's end.
    """

    page: int
    x0: float
    x1: float
    y: float
    size: float
    font: str
    bold: bool
    height: float
    cells: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """All of it."""
        return " ".join(self.cells)


def without_heads(lines: Sequence[Line]) -> list[Line]:
    """Without running heads and feet, page numbers and tables of contents.

    A head repeats at its height on other pages, whatever the number in it; left and right pages, and the first one, may
    have others, so two of a kind are enough. On one page it may be shorter.
    """
    pages = Counter(key for key, _ in {(_key(line), line.page) for line in lines if _at_edge(line)})
    heads = {key for key, count in pages.items() if count > 1}
    longer = [text for text, _ in heads if len(text) >= _HEAD]

    def is_head(line: Line) -> bool:
        key = _key(line)
        shorter = len(key[0]) >= _HEAD and any(text.startswith(key[0]) for text in longer)
        return key in heads or shorter or bool(_NUMBER.fullmatch(line.text))

    return [line for line in lines if not (_CONTENTS.search(line.text) or (_at_edge(line) and is_head(line)))]


def _at_edge(line: Line) -> bool:
    return not _EDGE < line.height < 1 - _EDGE


def _key(line: Line) -> tuple[str, int]:
    return re.sub(r"\d+|\b[ivxl]+\b", "#", line.text), round(line.height * 50)


def joined_pieces(lines: Sequence[Line]) -> list[Line]:
    """Pieces of one line as one: what follows an index above it, and what stands beside an item's number or bullet."""
    joined: list[Line] = []
    for line in lines:
        line = _labelled(line)
        if joined and (gap := _gap(joined[-1], line)) is not None:
            last = joined.pop()
            main = max(last, line, key=lambda one: (one.size, len(one.text)))
            cells = (*last.cells[:-1], last.cells[-1] + " " * (gap > _SPACE) + line.cells[0], *line.cells[1:])
            line = replace(main, x0=last.x0, x1=line.x1, cells=cells)
        joined.append(line)
    return joined


def _gap(last: Line, line: Line) -> float | None:
    """Sizes of type between two pieces of a line; None where they are none."""
    size = max(last.size, line.size)
    gap = (line.x0 - last.x1) / size
    most = _BESIDE if _LABEL.fullmatch(last.text) else CELL
    return gap if last.page == line.page and abs(last.y - line.y) < 0.5 * size and -0.3 <= gap < most else None


def _labelled(line: Line) -> Line:
    """An item's number and its text are no cells."""
    if len(line.cells) < 2 or not _LABEL.fullmatch(line.cells[0]):
        return line
    return replace(line, cells=(f"{line.cells[0]} {line.cells[1]}", *line.cells[2:]))
