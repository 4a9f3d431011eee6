"""PDF: its text in reading order, and, where they are asked for, its pages as images.

Opens the file and says what is known of it; leaves its lines of type to `pdf_lines.py`, and what they are to `layout/`.
Images are addresses such as `leaflet.pdf#page=3`, whose pixels `page_image` gives. Text that only pictures show is not
read: that is OCR's work, and its layer of text is read like any other. pdfium does the reading, one caller at a time.
"""

import contextlib
import math
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from vesalius.corpus import layout
from vesalius.corpus.document import Document, Image
from vesalius.corpus.layout.lines import Line
from vesalius.corpus.licences import licence_name
from vesalius.corpus.read.options import Pdf
from vesalius.corpus.read.pdf_lines import lines_of
from vesalius.errors import VesaliusError

_DPI = 150
_PIXELS = 1 << 24  # of a page's image; posters are drawn smaller
_STRANGE = re.compile("[\x80-\xff\ufffd]")  # a font that knows no letters has its glyphs here
_SHARE = 0.3  # of them, that makes a line, or a file, unreadable
_LICENCE = re.compile(r".{,100}creative ?commons.{,300}", re.IGNORECASE)  # with what is said around it
_PROGRAM = re.compile(r"^Microsoft \w+ - |\.(?:docx?|pdf|pptx?|indd|tex|dvi|qxd)$|^untitled", re.IGNORECASE)
_LOCK = threading.Lock()


def read(path: str | Path, how: Pdf = Pdf()) -> Iterator[Document]:
    """The document of a file.

    Args:
        path: PDF.
        how: whether its pages become images, too.

    Raises:
        VesaliusError: code `unreadable`; `locked`, a password is asked for; `empty`, no text, or none that can be told.
    """
    path = Path(path)
    with _opened(path) as pdf:
        pages = [_page(pdf, number) for number in range(len(pdf))]
        said = pdf.get_metadata_dict(skip_empty=True)
    lines = _readable([line for page in pages if page for line in page[1]], path)
    found = layout.parts(lines, said.get("Title", ""))
    if not found.parts:
        raise VesaliusError("has page numbers and the like alone", file=path, remedy="leave it out", code="empty")
    parts: list[tuple[int, int, Any]] = [(page, 1, text) for page, text in found.parts]
    if how.page_images:
        parts += [(number, 0, _image(path, number, page[0])) for number, page in enumerate(pages) if page]
        parts.sort(key=lambda part: part[:2])
    facts: dict[str, Any] = {
        "title": found.title or _title(said.get("Title", "")),
        "date": _date(said.get("CreationDate", "")),
        "licence": _licence(" ".join(line.text for line in lines if line.page == 0)),
        "pages": len(pages),
        "lost_pages": pages.count(None),
    }
    known = {key: value for key, value in facts.items() if value}
    yield Document(str(path), tuple(part for _, _, part in parts), known)


def page_image(url: str) -> np.ndarray:
    """The pixels of an image of `read`: RGB, (height, width, 3), uint8.

    Raises:
        VesaliusError: code `unreadable`, `locked`; `content`, no such page.
    """
    path, _, number = url.rpartition("#page=")
    with _opened(Path(path)) as pdf:
        if not 1 <= int(number) <= len(pdf):
            raise VesaliusError(f"has no page {number}", file=path, remedy="read it again", code="content")
        page = pdf[int(number) - 1]
        bitmap = page.render(scale=_scale(page.get_size()), rev_byteorder=True, prefer_bgrx=False)
        return np.array(bitmap.to_numpy()[..., :3])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import pypdfium2
    from pypdfium2.raw import FPDF_ERR_PASSWORD

    with _LOCK:
        try:
            pdf = pypdfium2.PdfDocument(path)
        except (pypdfium2.PdfiumError, OSError) as error:
            if getattr(error, "err_code", None) == FPDF_ERR_PASSWORD:
                remedy = "save it without one"
                raise VesaliusError("asks for a password", file=path, remedy=remedy, code="locked") from None
            problem = f"cannot be read ({getattr(error, 'strerror', None) or 'no PDF, or a damaged one'})"
            raise VesaliusError(problem, file=path, remedy="fetch it again", code="unreadable") from None
        with contextlib.closing(pdf):
            try:
                yield pdf
            except pypdfium2.PdfiumError as error:
                remedy = "print it to a new PDF"
                raise VesaliusError(f"is damaged ({error})", file=path, remedy=remedy, code="unreadable") from None


def _page(pdf: Any, number: int) -> tuple[tuple[float, float], list[Line]] | None:
    """Size and lines of a page; None where it is damaged: the others are read."""
    import pypdfium2

    try:
        return pdf.get_page_size(number), lines_of(pdf, number)
    except pypdfium2.PdfiumError:
        return None


def _title(known: str) -> str | None:
    """What the file says, unless a program said it: the name of what it was printed from."""
    title = " ".join(known.split())
    return None if _PROGRAM.search(title) else title or None


def _licence(first_page: str) -> str | None:
    """Creative Commons' alone: what else a page says of rights is mostly that they are reserved."""
    found = _LICENCE.search(first_page)
    name = licence_name(found[0].replace("creativecommons.org/ ", "creativecommons.org/")) if found else ""
    return name if name.startswith(("CC", "PUBLIC")) else None


def _date(known: str) -> str | None:
    try:
        return datetime.strptime(known.removeprefix("D:")[:8], "%Y%m%d").date().isoformat()
    except ValueError:
        return None


def _scale(size: tuple[float, float]) -> float:
    """Pixels a point."""
    return min(_DPI / 72, (_PIXELS / max(1.0, size[0] * size[1])) ** 0.5)


def _image(path: Path, number: int, size: tuple[float, float]) -> Image:
    width, height = (math.ceil(length * _scale(size)) for length in size)
    return Image(f"{path}#page={number + 1}", "", width, height, {"page": number + 1})


def _readable(lines: list[Line], path: Path) -> list[Line]:
    """Without lines of fonts that do not tell which letters they show: glyphs by number, mostly above ASCII."""
    clear = [line for line in lines if len(_STRANGE.findall(line.text)) <= _SHARE * len(line.text)]
    if not lines:
        remedy = "if its pages are pictures, have ocrmypdf put text beneath them"
        raise VesaliusError("has no text", file=path, remedy=remedy, code="empty")
    if sum(len(line.text) for line in clear) < (1 - _SHARE) * sum(len(line.text) for line in lines):
        problem, remedy = "has fonts that do not tell their letters", "have `ocrmypdf --force-ocr` read it anew"
        raise VesaliusError(problem, file=path, remedy=remedy, code="empty")
    return clear
