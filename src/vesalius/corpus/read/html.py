"""Saved web pages, gzipped or not.

Knows files; leaves what of a page is its own to `extract/`. A page larger than `LARGEST` is refused before it is
parsed.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from vesalius.corpus.document import Document, Heading, Image
from vesalius.corpus.extract.page import Page, extract
from vesalius.errors import VesaliusError

LARGEST = 20 << 20  # bytes of HTML; the largest page that browsers still show is a tenth of it


def read(path: str | Path) -> Iterator[Document]:
    """The page of a file.

    Raises:
        VesaliusError: code `unreadable`, no such file or a broken one; `large`; `empty`, no main body in it.
    """
    path = Path(path)
    page = extract(_bytes(path))
    if not page.lines:
        raise VesaliusError("holds no main text", file=path, remedy="leave it out", code="empty")
    yield to_document(page, str(path))


def to_document(page: Page, id: str, **facts: str) -> Document:
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
    return Document(id, tuple(parts), {"title": page.title, **facts} if page.title else dict(facts))


def _bytes(path: Path) -> bytes:
    """The page, unzipped as far as it may be large: a small file can hold a large one."""
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
