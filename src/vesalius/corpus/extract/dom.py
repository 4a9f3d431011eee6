"""A page as bytes of well-formed UTF-8 HTML: its encoding found, parsed and written out again by lexbor."""

import re

from resiliparse.parse.encoding import detect_encoding
from resiliparse.parse.html import HTMLTree

_XHTML, _START = b"http://www.w3.org/1999/xhtml", 2000  # bytes at a page's start in which it is named
# To HTML's parser these are open, and all that follows is in them.
_CLOSED = re.compile(
    rb"<(a|audio|button|canvas|iframe|noframes|noscript|object|script|select|style|svg|template|textarea|title|video)"
    rb"((?:\s+[\w:.-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'))?)*)\s*/>"
)


def well_formed(page: bytes, encoding: str | None = None) -> bytes:
    """HTML as lexbor writes it; `encoding` is what the server said, then the page's own word counts, then a guess.

    A page that says that it is XHTML is taken at its word where an element closes itself.
    """
    encoding = encoding or detect_encoding(page, from_html_meta=True) or "utf-8"
    if _XHTML in page[:_START]:
        page = _CLOSED.sub(rb"<\1\2></\1>", page)
    document = HTMLTree.parse_from_bytes(page, encoding).document
    return b"" if document is None else document.html.encode()
