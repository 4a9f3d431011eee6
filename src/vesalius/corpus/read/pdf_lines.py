"""Lines of type of a PDF's page, each with its place, size and font, as pdfium finds them.

Most of a page runs in one direction, which need not be that of the sheet: places are told as who reads the page along
it has them. What runs in another is left out: stamps on margins, labels of axes.
"""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from vesalius.corpus.layout.lines import CELL, HYPHEN, Line

_LOOKS = 5  # words of a line whose type is looked at
_STEP = 20  # of a page's characters one is asked in which direction it runs
_EVEN = 1.4  # widest gap between the words of a line by its narrowest, below which it was stretched
_LINE = re.compile("[^\r\n\x02\ufffe]+")
_HYPHENS = ("\x02", "\ufffe")  # pdfium's characters for one that ends a line
_WORD = re.compile(r"\S+")
_BOLD = re.compile(r"bold|black|heavy|demi|cmbx|cmssbx|[-,.]B$|-BI$", re.IGNORECASE)
_SUBSET = re.compile(r"^[A-Z]{6}\+")
_FORCED = 1 << 18  # the font descriptor's flag ForceBold
_HEAVY = 600
_FORMS = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\xad": "-"}
_BULLETS = dict.fromkeys("\uf0b7\uf0a7\uf0d8\uf076\uf0fc\uf06c\uf06e\u25cf\u25a0\u25aa\u25ba", "•")  # Symbol's, too
_WRITTEN = {**_FORMS, **_BULLETS}
# Ligatures and bullets, and what a font keeps for itself, which is no text.
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1b\xad\u25a0\u25aa\u25ba\u25cf\ud800-\uf8ff\ufb00-\ufb06]")


def lines_of(pdf: Any, number: int) -> list[Line]:
    """The lines of a page of a `pypdfium2.PdfDocument`, in the order in which the file draws them."""
    page = pdf[number]
    try:
        text = page.get_textpage()
        try:
            return list(_Page(text, page.get_cropbox(), number).lines())
        finally:
            text.close()
    finally:
        page.close()


class _Page:
    """The characters of a page as pdfium counts them."""

    def __init__(self, text: Any, box: tuple[float, float, float, float], number: int):
        import pypdfium2.raw as raw

        self.raw, self.text, self.number = raw, text.raw, number
        self._box, self._matrix = raw.FS_RECTF(), raw.FS_MATRIX()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._name, self._flags = ctypes.create_string_buffer(128), ctypes.c_int()
        self.said = self._said(text.count_chars())
        looked = (self._type(i)[0] for i in range(0, len(self.said), _STEP) if self.said[i] > " ")
        self.turn = next((turn for turn, _ in Counter(looked).most_common(1)), 0)
        (_, low), (_, high) = sorted((self._turned(*box[:2]), self._turned(*box[2:])), key=lambda corner: corner[1])
        self.low, self.tall = low, max(high - low, 1.0)

    def _said(self, count: int) -> str:
        """All characters, one for each that pdfium counts."""
        if count <= 0:
            return ""
        letters = (ctypes.c_ushort * (count + 1))()
        size = self.raw.FPDFText_GetText(self.text, 0, count, letters) - 1
        text = bytes(letters)[: 2 * max(size, 0)].decode("utf-16-le", "surrogatepass")
        if len(text) == size == count:
            return text
        # Some characters are none in a text, some two: one by one.
        codes = (self.raw.FPDFText_GetUnicode(self.text, i) for i in range(count))
        return "".join(chr(code) if code <= 0x10FFFF else "\ufffd" for code in codes)

    def lines(self) -> Iterator[Line]:
        """Between the line ends that pdfium sees."""
        for found in _LINE.finditer(self.said):
            words = [word.span() for word in _WORD.finditer(self.said, *found.span())]
            if words and (line := self._line(words, self.said.startswith(_HYPHENS, found.end()))):
                yield line

    def _line(self, words: list[tuple[int, int]], hyphen: bool) -> Line | None:
        # An index or a sign may be in the middle: the middle one of a few by size says what the line is set in.
        looked = [(start + end - 1) // 2 for start, end in words[:: len(words) // _LOOKS + 1]]
        some = sorted((*self._type(i), i) for i in looked)
        turn, size, middle = some[len(some) // 2]
        if turn != self.turn or size <= 0:
            return None
        self.raw.FPDFText_GetCharOrigin(self.text, middle, self._x, self._y)
        _, y = self._turned(self._x.value, self._y.value)
        x0, x1, cells = self._cells(words, size)
        cells[-1] += HYPHEN * hyphen
        return Line(self.number, x0, x1, y, size, *self._font(middle), (y - self.low) / self.tall, tuple(cells))

    def _cells(self, words: list[tuple[int, int]], size: float) -> tuple[float, float, list[str]]:
        """Left, right, and pieces between wide gaps; where all gaps of words are as wide, the line was stretched."""
        sides = [(self._sides(start)[0], self._sides(end - 1)[1]) for start, end in words]
        gaps = [after[0] - before[1] for before, after in pairwise(sides)]
        said = [_written(self.said[start:end]) for start, end in words]
        even = len(gaps) > 1 and max(gaps) < _EVEN * min(gaps)
        stretched = even and sum(map(str.islower, said)) > len(said) / 2
        cells = said[:1]
        for gap, word in zip(gaps, said[1:], strict=True):
            if gap > CELL * size and not stretched:
                cells.append(word)
            else:
                cells[-1] += f" {word}"
        return sides[0][0], sides[-1][1], cells

    def _type(self, i: int) -> tuple[int, float]:
        """Direction, in quarter turns against the clock, and size, in points, in which a character is set."""
        self.raw.FPDFText_GetMatrix(self.text, i, self._matrix)
        a, b = self._matrix.a, self._matrix.b
        turn = (0 if a > 0 else 2) if abs(a) >= abs(b) else (1 if b > 0 else 3)
        return turn, self.raw.FPDFText_GetFontSize(self.text, i) * math.hypot(self._matrix.c, self._matrix.d)

    def _turned(self, x: float, y: float) -> tuple[float, float]:
        """A place on the sheet as who reads the page along its text has it."""
        return ((x, y), (y, -x), (-x, -y), (-y, x))[self.turn]

    def _sides(self, i: int) -> tuple[float, float]:
        """Where a character begins and ends."""
        self.raw.FPDFText_GetLooseCharBox(self.text, i, self._box)
        if not self.turn:
            return self._box.left, self._box.right
        first, _ = self._turned(self._box.left, self._box.bottom)
        last, _ = self._turned(self._box.right, self._box.top)
        return min(first, last), max(first, last)

    def _font(self, i: int) -> tuple[str, bool]:
        """Its name, and whether it is bold."""
        self.raw.FPDFText_GetFontInfo(self.text, i, self._name, 128, self._flags)
        name = _SUBSET.sub("", self._name.value.decode("utf-8", "replace"))
        heavy = self.raw.FPDFText_GetFontWeight(self.text, i) >= _HEAVY or bool(self._flags.value & _FORCED)
        return name, heavy or _BOLD.search(name) is not None


def _written(word: str) -> str:
    """A word as people write it."""
    return _ODD.sub(lambda odd: _WRITTEN.get(odd[0], "\ufffd"), word)
