"""Archives, pages, papers, PDFs and videos as documents; one file a kind.

To add a kind: a module with `read(path) -> Iterator[Document | Bad]`, and its suffixes here; where there is more
than one way to read it, its part of `options.py`, which it is given. A file that holds one thing raises for it; of one
that holds many, what cannot be read is a `Bad`, and the rest comes.
"""

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from vesalius.corpus.document import Document
from vesalius.corpus.read.options import Reading
from vesalius.corpus.read.record import Bad
from vesalius.corpus.read.remote import is_remote
from vesalius.errors import VesaliusError

# Suffix -> module; the longest that fits counts.
READERS = {
    ".html": "vesalius.corpus.read.html",
    ".htm": "vesalius.corpus.read.html",
    ".xhtml": "vesalius.corpus.read.html",
    ".html.gz": "vesalius.corpus.read.html",
    ".htm.gz": "vesalius.corpus.read.html",
    ".xml": "vesalius.corpus.read.jats",
    ".nxml": "vesalius.corpus.read.jats",
    ".warc": "vesalius.corpus.read.warc",
    ".warc.gz": "vesalius.corpus.read.warc",
    ".pdf": "vesalius.corpus.read.pdf",
    ".mp4": "vesalius.corpus.read.video",
    ".m4v": "vesalius.corpus.read.video",
    ".mov": "vesalius.corpus.read.video",
    ".mkv": "vesalius.corpus.read.video",
    ".webm": "vesalius.corpus.read.video",
}


def read(path: str | Path, how: Reading = Reading()) -> Iterator[Document | Bad]:
    """The documents of a file by its suffix, of an archive at an http, https or s3 address, or of a folder.

    Args:
        path: see there.
        how: what is asked of readers, by kind.

    Raises:
        VesaliusError: a suffix that nobody reads, or what its reader says.
    """
    remote = is_remote(path)
    if not remote and Path(path).is_dir():
        yield from import_module("vesalius.corpus.read.folder").read(path, how)
        return
    reader = reader_of(str(path).partition("?")[0] if remote else path)
    if reader is None:
        remedy = f"known are {', '.join(READERS)}"
        raise VesaliusError("has a suffix that no reader knows", file=path, remedy=remedy, code="format")
    if remote and not reader.__name__.endswith(".warc"):
        raise VesaliusError("is read only from a disk", file=path, remedy="download it", code="format")
    yield from read_with(reader, path, how)


def read_with(reader: Any, path: str | Path, how: Reading, id: str = "") -> Iterator[Document | Bad]:
    """What a module of `READERS` reads, asked as it can be; `id` is for a document that has none but its path."""
    own = getattr(how, reader.__name__.rpartition(".")[2], None)
    for document in reader.read(path) if own is None else reader.read(path, own):
        named = isinstance(document, Document) and document.id == str(path)
        yield replace(document, id=id) if id and named else document


def reader_of(path: str | Path) -> Any:
    """The module that reads a file; None where its suffix says nothing."""
    name = Path(path).name.lower()
    suffix = max((s for s in READERS if name.endswith(s)), key=len, default=None)
    return suffix and import_module(READERS[suffix])
