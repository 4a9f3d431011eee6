"""Saved web pages, gzipped or not.

Knows files; leaves what of a page is its own to `extract/`. A page larger than `LARGEST` is refused before it is
parsed.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vesalius.corpus.document import Document, Heading, Image
from vesalius.corpus.extract.page import Page, extract
from vesalius.corpus.read.record import Bad, Raw
from vesalius.errors import VesaliusError

LARGEST = 20 << 20  # bytes of HTML; the largest page that browsers still show is a tenth of it


def read(path: str | Path) -> Iterator[Document]:
    """The page of a file.

    Raises:
        VesaliusError: code `unreadable`, no such file or a broken one; `large`; `empty`, no main body in it.
    """
    try:
        yield document(Raw(str(path), content(Path(path))))
    except VesaliusError as error:
        error.file = str(path)
        raise


def document(raw: Raw) -> Document:
    """The main body of a page, and what is known of it.

    Raises:
        VesaliusError: code `empty`, no main body in it.
    """
    page = extract(raw.content, raw.url, raw.charset)
    if not page.lines:
        raise VesaliusError("holds no main text", remedy="leave it out", code="empty")
    known = {"title": page.title, "url": raw.url, **page.said, **raw.facts}
    if "robots" in raw.facts and "robots" in page.said:  # headers and page; either may refuse
        known["robots"] = f"{page.said['robots']}, {raw.facts['robots']}"
    return to_document(page, raw.id, {key: value for key, value in known.items() if value})


def document_or_bad(raw: Raw) -> Document | Bad:
    """The same, with an error as a value."""
    try:
        return document(raw)
    except VesaliusError as error:
        return Bad.of(raw.id, "extract", error)


def to_document(page: Page, id: str, facts: dict[str, Any]) -> Document:
    """A page as a document: each image before the line where it stands."""
    parts: list[str | Image] = []
    images = iter([*page.images, None])
    image = next(images)
    for number, line in enumerate(page.lines):
        while image and image.line <= number:
            parts.append(Image(image.url, image.alt, image.width, image.height))
            image = next(images)
        parts.append(Heading(line, page.headings[number]) if number in page.headings else line)
    while image:
        parts.append(Image(image.url, image.alt, image.width, image.height))
        image = next(images)
    return Document(id, tuple(parts), facts)


def content(path: Path) -> bytes:
    """The page of a file, unzipped as far as it may be large: a small file can hold a large one.

    Raises:
        VesaliusError: code `unreadable`; `large`.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as stream:
            found = stream.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or error})"
        raise VesaliusError(problem, file=path, remedy="check the path, or fetch it again", code="unreadable") from None
    if len(found) > LARGEST:
        problem = f"is larger than {LARGEST >> 20} MiB"
        raise VesaliusError(problem, file=path, remedy="split it: no page is that large", code="large")
    return found
