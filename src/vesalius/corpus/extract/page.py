"""A page as a reader sees it: its own text and images in their order, links and surroundings gone.

    page = extract(html, "https://example.org/article")
    page.text                  paragraphs, headings, `- items`, rows of tables `a | b`, captions, a line each
    page.images                where each stands among the lines, its address, alternative text and size

Text and images come out of one pass, so the text is the same whether images are wanted or not.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

import numpy as np

from vesalius.corpus.extract import tags
from vesalius.corpus.extract.attributes import attributes
from vesalius.corpus.extract.body import body
from vesalius.corpus.extract.encoding import decoded, utf8
from vesalius.corpus.extract.said import said
from vesalius.corpus.extract.scan import Blocks, Elements, Images, scan

_SOURCES = ("data-src", "data-original", "data-lazy-src", "data-hi-res-src", "src")
_SETS = ("data-srcset", "srcset")
_AFTER_TITLE = 3  # blocks between a title and the text's first in which an image still belongs to the text
_FIGURE = 12  # blocks that it has at most
_ITEMS = (tags.LI, tags.TERM)


@dataclass(frozen=True)
class Image:
    """An image of the page.

    Attributes:
        line: before which of the page's lines it stands.
        url: absolute where the page's own address is known.
        alt: alternative text.
        width, height: as the page says them, in pixels; None where it does not.
    """

    line: int
    url: str
    alt: str
    width: int | None
    height: int | None


@dataclass(frozen=True)
class Page:
    """The main body.

    Attributes:
        title: of the document's head.
        lines: paragraphs, headings, items, rows and captions, in order.
        headings: which of the lines are headings, and their level: {line: 1 to 6}.
        images: in order.
        said: about itself, see `said.py`.
    """

    title: str
    lines: tuple[str, ...]
    headings: dict[int, int]
    images: tuple[Image, ...]
    said: dict[str, str]

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)


def extract(page: bytes, url: str = "", encoding: str | None = None) -> Page:
    """The main body of an HTML page.

    Args:
        page: as it came, in any encoding.
        url: its address, against which images' are resolved.
        encoding: what the server said; found in the page where it did not.
    """
    html = utf8(page, encoding)
    blocks, elements, images, notes = scan(html)
    wanted = body(blocks, elements)
    lines, headings, line_of = _lines(blocks, elements, wanted)
    found = tuple(_images(html, blocks, elements, images, wanted, line_of, url))
    title = next((_text(blocks, b) for b in np.flatnonzero(elements.kind[blocks.element] == tags.TITLE)[:1]), "")
    return Page(title, tuple(lines), headings, found, said(html, notes))


def _text(blocks: Blocks, b: int) -> str:
    return decoded(blocks.text[blocks.start[b] : blocks.end[b]].tobytes())


def _lines(blocks: Blocks, elements: Elements, wanted: np.ndarray) -> tuple[list[str], dict[int, int], np.ndarray]:
    """Lines, which are headings, and for each block the number of lines before it."""
    lines: list[str] = []
    headings: dict[int, int] = {}
    before = np.zeros(len(wanted) + 1, np.int32)  # 1 after a block that begins a line
    last_row = last_cell = last_item = -1
    chosen = np.flatnonzero(wanted)
    # Lists and bytes, since one number at a time comes slowly out of an array.
    text, kind, parent = blocks.text.tobytes(), elements.kind.tolist(), elements.parent.tolist()
    columns = (chosen, blocks.start[chosen], blocks.end[chosen], blocks.element[chosen], blocks.level[chosen])
    for b, start, end, element, level in zip(*(column.tolist() for column in columns), strict=True):
        part = decoded(text[start:end])
        row, cell, item = _held_by(kind, parent, element)
        if cell >= 0 and cell == last_cell and lines:
            lines[-1] += f" {part}"
        elif row >= 0 and row == last_row and lines:
            lines[-1] += f" | {part}"
        else:
            before[b + 1] = 1
            if item >= 0 and item != last_item:
                lines.append(f"- {part}")
            else:
                if level:
                    headings[len(lines)] = level
                lines.append(part)
        last_row, last_cell, last_item = row, cell, item
    return lines, headings, np.cumsum(before)


def _held_by(kind: list[int], parent: list[int], element: int) -> tuple[int, int, int]:
    """The row, the cell and the item that hold an element; -1 where none does."""
    cell = item = -1
    while element > 0:
        one = kind[element]
        if one == tags.ROW:
            return element, cell, item
        if one == tags.CELL and cell < 0:
            cell = element
        elif one in _ITEMS and item < 0 and cell < 0:
            item = element
        element = parent[element]
    return -1, -1, item


def _images(
    html: bytes,
    blocks: Blocks,
    elements: Elements,
    images: Images,
    wanted: np.ndarray,
    line_of: np.ndarray,
    url: str,
) -> Iterator[Image]:
    if not wanted.any() or not len(images.start):
        return
    first = int(np.argmax(wanted))
    heads = np.flatnonzero(blocks.level[:first] == 1)
    title = int(heads[-1]) if len(heads) else first
    seen = set()
    parents, firsts, afters = elements.parent.tolist(), elements.first.tolist(), elements.after.tolist()
    sizes, kept = (blocks.end - blocks.start).tolist(), [0, *np.cumsum(wanted).tolist()]
    for start, end, block, element in zip(*(column.tolist() for column in images), strict=True):
        if not (
            _within(parents, firsts, afters, kept, sizes, element) or title < block <= first <= title + _AFTER_TITLE
        ):
            continue
        given = attributes(html[start:end])
        address = _address(given)
        if not address or address in seen:
            continue
        seen.add(address)
        width, height = _pixels(given.get("width")), _pixels(given.get("height"))
        yield Image(int(line_of[block]), urljoin(url, address), given.get("alt", "").strip(), width, height)


def _within(
    parent: list[int], first: list[int], after: list[int], kept: list[int], sizes: list[int], element: int
) -> bool:
    """Whether the nearest element that holds text is the page's own: most of its blocks, or, of a figure, the longest.

    A figure may have more links below it than captions.
    """
    while element > 0 and after[element] == first[element]:
        element = parent[element]
    start, end = first[element], after[element]
    most = 2 * (kept[end] - kept[start]) >= end - start
    if most or end - start > _FIGURE:
        return most
    longest = max(range(start, end), key=sizes.__getitem__)
    return kept[longest + 1] > kept[longest]


def _address(given: dict[str, str]) -> str:
    """Where an image really is: pages that load late put it beside a placeholder."""
    for name in _SOURCES:
        address = given.get(name, "").strip()
        if address and not address.startswith("data:"):
            return address
    for name in _SETS:
        if given.get(name):
            return given[name].split(",")[-1].split()[0] if given[name].strip(", ") else ""
    return ""


def _pixels(text: str | None) -> int | None:
    digits = re.match(r"\d{1,5}", text or "")
    return int(digits[0]) if digits else None
