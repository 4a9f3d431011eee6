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

from vesalius.corpus.layout.lines import CELL, Line

_EVEN = 1.4  # widest gap between the words of a line by its narrowest that no cells have
_LOOKS = 5  # characters of a line whose type is looked at
_STEP = 20  # of a page's characters one is asked in which direction it runs
_SPACES = frozenset({9, 32, 0xA0})
_ENDS = frozenset({10, 13})
_HYPHEN = 2  # pdfium's character for one that ends a line
_BOLD = re.compile(r"bold|black|heavy|demi|cmbx|cmssbx|[-,.]B$|-BI$", re.IGNORECASE)
_SUBSET = re.compile(r"^[A-Z]{6}\+")
_FORCED = 1 << 18  # the font descriptor's flag ForceBold
_HEAVY = 600
_FORMS = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\xad": "-"}
_BULLETS = dict.fromkeys("\uf0b7\uf0a7\uf0d8\uf076\uf0fc\uf06c\uf06e\u25cf\u25a0\u25aa\u25ba", "•")  # Symbol's, too
_PLAIN = {ord(char): plain for char, plain in {**_FORMS, **_BULLETS}.items()}


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
        self.codes = [raw.FPDFText_GetUnicode(self.text, i) for i in range(text.count_chars())]
        looked = (self._type(i)[0] for i in range(0, len(self.codes), _STEP) if self.codes[i] > 32)
        self.turn = next((turn for turn, _ in Counter(looked).most_common(1)), 0)
        (_, low), (_, high) = sorted((self._turned(*box[:2]), self._turned(*box[2:])), key=lambda corner: corner[1])
        self.low, self.tall = low, max(high - low, 1.0)

    def lines(self) -> Iterator[Line]:
        """Between the line ends that pdfium sees."""
        start = 0
        for end, code in enumerate([*self.codes, 10]):
            if code in _ENDS or code == _HYPHEN:
                letters = [i for i in range(start, end) if self.codes[i] not in _SPACES]
                if letters and (line := self._line(letters, code == _HYPHEN)):
                    yield line
                start = end + 1

    def _line(self, letters: list[int], hyphen: bool) -> Line | None:
        # An index or a sign may be in the middle: the middle one of a few by size says what the line is set in.
        some = sorted((*self._type(i), i) for i in letters[:: len(letters) // _LOOKS + 1])
        turn, size, middle = some[len(some) // 2]
        if turn != self.turn or size <= 0:
            return None
        self.raw.FPDFText_GetCharOrigin(self.text, middle, self._x, self._y)
        _, y = self._turned(self._x.value, self._y.value)
        cells = self._cells(letters, size)
        cells[-1] += "\xad" * hyphen
        x0, x1 = self._sides(letters[0])[0], self._sides(letters[-1])[1]
        return Line(self.number, x0, x1, y, size, *self._font(middle), (y - self.low) / self.tall, tuple(cells))

    def _cells(self, letters: list[int], size: float) -> list[str]:
        """Pieces between wide gaps; where all gaps of words are as wide, the line was stretched to its column."""
        ends = [(before, after) for before, after in pairwise(letters) if after > before + 1]
        gaps = [self._sides(after)[0] - self._sides(before)[1] for before, after in ends]
        if len(gaps) > 1 and max(gaps) < _EVEN * min(gaps):
            words = self._words(letters[0], letters[-1]).split()
            if sum(word.islower() for word in words) > len(words) / 2:
                ends = []
        cut = [pair for pair, gap in zip(ends, gaps, strict=False) if gap > CELL * size]
        firsts = [letters[0], *(after for _, after in cut)]
        lasts = [*(before for before, _ in cut), letters[-1]]
        return [self._words(first, last) for first, last in zip(firsts, lasts, strict=True)]

    def _words(self, first: int, last: int) -> str:
        return " ".join("".join(map(_letter, self.codes[first : last + 1])).translate(_PLAIN).split())

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
        first, _ = self._turned(self._box.left, self._box.bottom)
        last, _ = self._turned(self._box.right, self._box.top)
        return min(first, last), max(first, last)

    def _font(self, i: int) -> tuple[str, bool]:
        """Its name, and whether it is bold."""
        self.raw.FPDFText_GetFontInfo(self.text, i, self._name, 128, self._flags)
        name = _SUBSET.sub("", self._name.value.decode("utf-8", "replace"))
        heavy = self.raw.FPDFText_GetFontWeight(self.text, i) >= _HEAVY or bool(self._flags.value & _FORCED)
        return name, heavy or _BOLD.search(name) is not None


def _letter(code: int) -> str:
    """A character; one that a font keeps for itself is no text, but a bullet."""
    char = chr(code) if 0 <= code <= 0x10FFFF else ""
    if code in _SPACES or char in _BULLETS:
        return char
    own = code < 32 or 0xD800 <= code < 0xF900 or not char
    return "\ufffd" if own else char
