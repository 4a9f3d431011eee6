"""A page as bytes of well-formed UTF-8 HTML: its encoding found, parsed and written out again by lexbor."""

from resiliparse.parse.encoding import detect_encoding
from resiliparse.parse.html import HTMLTree


def well_formed(page: bytes, encoding: str | None = None) -> bytes:
    """HTML as lexbor writes it; `encoding` is what the server said, then the page's own word counts, then a guess."""
    encoding = encoding or detect_encoding(page, from_html_meta=True) or "utf-8"
    document = HTMLTree.parse_from_bytes(page, encoding).document
    return b"" if document is None else document.html.encode()
