"""Archives, pages and papers as documents; one file a kind.

To add a kind: a module with `read(path) -> Iterator[Document]`, and its suffixes here.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from vesalius.corpus.document import Document
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
}


def read(path: str | Path) -> Iterator[Document]:
    """The documents of a file, by its suffix.

    Raises:
        VesaliusError: a suffix that nobody reads, or what its reader says.
    """
    name = Path(path).name.lower()
    suffix = max((s for s in READERS if name.endswith(s)), key=len, default=None)
    if suffix is None:
        remedy = f"known are {', '.join(READERS)}"
        raise VesaliusError("has a suffix that no reader knows", file=path, remedy=remedy, code="format")
    yield from import_module(READERS[suffix]).read(path)
